#include "server/api.h"

namespace mayfly {

void add_queue_routes(Router&) {}

}  // namespace mayfly
