#include "server/openapi.h"

namespace mayfly {
namespace {

constexpr std::string_view kTag = "triggers";

const Endpoint kEndpoints[] = {
    {"GET", "/v1/triggers", "listTriggers", kTag, {Scope::Read}, "List the triggers with their counters", "", "", 200, "Any"},
    {"GET", "/v1/triggers/{trigger}", "getTrigger", kTag, {Scope::Read}, "Show a trigger", "", "", 200, "Any"},
    {"PUT", "/v1/triggers/{trigger}", "putTrigger", kTag, {Scope::Deploy}, "Make or change a trigger", "", "Any", 201, "Any",
     "The body is the trigger as in mayfly.yaml. 200 when it was there."},
    {"DELETE", "/v1/triggers/{trigger}", "removeTrigger", kTag, {Scope::Deploy}, "Remove a trigger", "", "", 204, ""},
    {"POST", "/v1/triggers/{trigger}/test", "testTrigger", kTag, {Scope::Read}, "What a trigger would make of an event", "", "Any", 200, "Any",
     "Starts nothing. The body is a CloudEvent in JSON."},
    {"POST", "/v1/events", "publishEvents", kTag, {Scope::Invoke}, "Publish CloudEvents", "", "Any", 202, "Any",
     "Binary, structured and batched content modes. Durable when it answers; once per source and id within a day."},
    {"POST", "/v1/event-waits", "addEventWait", kTag, {Scope::Invoke}, "Let a run's callback wait for an event", "", "Any", 204, ""},
    {"GET", "/v1/endpoints", "listEndpoints", kTag, {Scope::Read}, "List where signed webhooks are sent", "", "", 200, "Any"},
    {"GET", "/v1/endpoints/{endpoint}", "getEndpoint", kTag, {Scope::Read}, "Show an endpoint", "", "", 200, "Any"},
    {"PUT", "/v1/endpoints/{endpoint}", "putEndpoint", kTag, {Scope::Deploy}, "Make or change an endpoint", "", "Any", 200, "Any"},
    {"DELETE", "/v1/endpoints/{endpoint}", "removeEndpoint", kTag, {Scope::Deploy}, "Remove an endpoint", "", "", 204, ""},
    {"GET", "/v1/endpoints/{endpoint}/secret", "getEndpointSecret", kTag, {Scope::Deploy}, "The secret that verifies what is sent there", "", "", 200, "Any"},
    {"GET", "/v1/deliveries", "listDeliveries", kTag, {Scope::Read}, "List deliveries, newest first", "limit", "", 200, "Any",
     "`?target=` (\"agent:NAME\") or `?trigger=` choose."},
    {"GET", "/v1/deliveries/{delivery}", "getDelivery", kTag, {Scope::Read}, "Show a delivery with its attempts", "", "", 200, "Any"},
    {"POST", "/v1/deliveries/{delivery}/redeliver", "redeliver", kTag, {Scope::Invoke}, "Deliver the same event again", "", "", 202, "Any"},
};

}  // namespace

EndpointGroup trigger_endpoints() { return {kTag, "Event sources, events, endpoints and deliveries", kEndpoints, "{}"}; }

}  // namespace mayfly
