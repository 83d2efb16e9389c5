#include "server/mcp/mcp_calls.h"

#include "base/hash.h"

namespace mayfly {

std::unique_ptr<McpCalls::Registration> McpCalls::add(const std::string& function, const mcp::CallContext* context) {
  std::string token = to_base64url(secure_random_bytes(18));
  calls_[token] = Running{function, context};
  return std::make_unique<Registration>(this, std::move(token));
}

net::Response McpCalls::serve(const std::string& function, const net::Request& request) {
  const auto found = calls_.find(std::string_view(request.path).substr(kPath.size()));
  if (found == calls_.end() || found->second.function != function)
    return net::problem(404, "mcp.call_not_found",
                        "no such call of this function is under way; use the event's `call` while the handler runs");
  const auto body = parse_json(request.body, {.bytes_max = 256 * 1024});
  const auto* in = body ? body->if_object() : nullptr;
  const auto invalid = [] {
    return net::problem(
        422, "mcp.invalid",
        "send one of progress (a number), log {level, logger, data}, pause, changed (tools, prompts or resources) and updated (a URI)");
  };
  if (!in) return invalid();
  const mcp::CallContext& context = *found->second.context;
  if (const Json* progress = get(*in, "progress"); progress && progress->is_number()) {
    const Json* total = get(*in, "total");
    if (context.progress)
      context.progress(get_double(*in, "progress"), total && total->is_number() ? std::optional(get_double(*in, "total")) : std::nullopt,
                       get_string(*in, "message"));
  } else if (const auto* log = get_object(*in, "log")) {
    const Json* data = get(*log, "data");
    if (context.log) context.log(get_string(*log, "level", "info"), get_string(*log, "logger", function), data ? *data : Json(nullptr));
  } else if (get_bool(*in, "pause")) {
    if (context.pause) context.pause();
  } else if (const std::string list = get_string(*in, "changed"); !list.empty()) {
    if (list == "tools")
      changes.tell(mcp::Changes::List::Tools);
    else if (list == "prompts")
      changes.tell(mcp::Changes::List::Prompts);
    else if (list == "resources")
      changes.tell(mcp::Changes::List::Resources);
    else
      return invalid();
  } else if (const std::string uri = get_string(*in, "updated"); !uri.empty()) {
    if (updated) updated(uri);
  } else {
    return invalid();
  }
  return net::Response{204, {}, {}};
}

}  // namespace mayfly
