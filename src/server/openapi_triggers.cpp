#include "server/openapi.h"

namespace mayfly {

EndpointGroup trigger_endpoints() { return {"triggers", "Event sources, events, endpoints and deliveries", {}, "{}"}; }

}  // namespace mayfly
