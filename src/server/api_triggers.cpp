#include "server/api.h"

namespace mayfly {

void add_trigger_routes(Router&) {}

}  // namespace mayfly
