#include "server/api.h"

namespace mayfly {

void add_workflow_routes(Router&) {}

}  // namespace mayfly
