#include "server/api.h"

namespace mayfly {

void add_schedule_routes(Router&) {}

}  // namespace mayfly
