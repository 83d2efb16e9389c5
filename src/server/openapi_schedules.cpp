#include "server/openapi.h"

namespace mayfly {

EndpointGroup schedule_endpoints() { return {"schedules", "What starts at fixed times", {}, "{}"}; }

}  // namespace mayfly
