#include "server/openapi.h"

namespace mayfly {

EndpointGroup workflow_endpoints() { return {"workflows", "State machines and their executions", {}, "{}"}; }

}  // namespace mayfly
