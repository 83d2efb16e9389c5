#include "server/openapi.h"

namespace mayfly {

EndpointGroup queue_endpoints() { return {"queues", "Durable queues, also reached by SQS clients", {}, "{}"}; }

}  // namespace mayfly
