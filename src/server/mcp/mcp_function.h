#pragma once

#include "mcp/provider.h"
#include "server/context.h"
#include "server/mcp/mcp_calls.h"

namespace mayfly {

/// The event of a function that MCP calls: {"method", "name" or "uri", "arguments", "variables", "inputResponses", "requestState",
/// "clientCapabilities", "_meta", "caller", "call", "task"}.
JsonObject mcp_event(const mcp::CallContext& context, std::string_view method, std::string_view name, JsonObject arguments);

/// Invokes it with the event and `call` for what it tells meanwhile (without `calls`: nothing). Error: `function.failed` with what it
/// threw, and those of FunctionService::invoke.
Task<Result<Json>> invoke_for_mcp(AppContext* app, McpCalls* calls, std::string function, const mcp::CallContext* context,
                                  JsonObject event);

/// {"content", …} or {"inputRequests", "requestState"} as they are; any other answer becomes a text, and structured when it is an object.
mcp::CallResult call_result_of(Json answer);
/// The same as MCP's result.
JsonObject result_json_of(Json answer);
mcp::CallResult call_result_of(const Error& error);

}  // namespace mayfly
