#include "server/mcp/mcp_http.h"

/// subscriptions/listen of the stateless era (SEP-2575), with tasks (SEP-2663).
namespace mayfly {
namespace {

constexpr std::size_t kResourcesMax = 200, kTasksMax = 100;

JsonObject stamped(JsonObject params, const Json& subscription) {
  params["_meta"] = JsonObject{{mcp::kSubscriptionIdKey, subscription}};
  return params;
}

std::vector<std::string> texts_of(const JsonObject& filter, std::string_view key, std::size_t max) {
  std::vector<std::string> out;
  if (const auto* values = get_array(filter, key))
    for (const Json& value : *values)
      if (value.is_string() && out.size() < max) out.emplace_back(value.get_string());
  return out;
}

}  // namespace

Task<> McpHttp::follow_task(mcp::Client client, std::string id, Json subscription, std::shared_ptr<mcp::MessageStream> stream,
                            CancelToken cancel) {
  auto task = co_await tasks_->get(client.caller, id);
  while (task && !task->ended() && !cancel.cancelled()) {
    task = co_await tasks_->next_status(client.caller, id, task->status, cancel);
    if (!task || cancel.cancelled()) co_return;
    stream->push(to_text(mcp::rpc_notification("notifications/tasks", stamped(protocol_.task_view(*task, true), subscription))));
  }
}

Task<> McpHttp::listen(Call* call, mcp::Client client, mcp::RpcRequest request) {
  const auto* filter = get_object(request.params, "notifications");
  std::optional<mcp::Reply> refused;
  if (!filter)
    refused = mcp::Reply::error(mcp::rpc_code::kInvalidParams, "subscriptions/listen needs notifications, an object", std::nullopt, 400);
  else if (listeners_ >= kListenersMax)
    refused = mcp::Reply::error(mcp::rpc_code::kInternal, "too many subscriptions are open; close some", std::nullopt, 429);
  if (refused) {
    const auto& error = std::get<mcp::RpcError>(refused->outcome);
    co_await call->responder.send(
        net::Response{refused->status, {{"Content-Type", "application/json"}}, to_text(mcp::rpc_error(request.id, error))});
    co_return;
  }
  const Json subscription = request.id.to_json();
  auto stream = std::make_shared<mcp::MessageStream>();
  CancelSource ending;
  JsonObject honored;
  std::set<mcp::Changes::List> lists;
  using List = mcp::Changes::List;
  const auto take = [&](std::string_view key, List list, bool offered) {
    if (!offered || !get_bool(*filter, key)) return;
    honored[key] = true;
    lists.insert(list);
  };
  take("toolsListChanged", List::Tools, !offer_.tools.empty());
  take("promptsListChanged", List::Prompts, !offer_.prompts.empty());
  take("resourcesListChanged", List::Resources, !offer_.resources.empty());
  std::vector<std::unique_ptr<mcp::ResourceProvider::Watch>> watches;
  JsonArray uris;
  for (const std::string& uri : texts_of(*filter, "resourceSubscriptions", kResourcesMax)) {
    auto* owner = protocol_.owner_of(uri);
    if (!owner) continue;
    auto watch = co_await owner->watch(client.caller, uri, [stream, uri, subscription] {
      stream->push(to_text(mcp::rpc_notification("notifications/resources/updated", stamped({{"uri", uri}}, subscription))));
    });
    if (!watch) continue;
    watches.push_back(std::move(*watch));
    uris.emplace_back(uri);
  }
  if (!uris.empty()) honored["resourceSubscriptions"] = std::move(uris);
  std::vector<std::string> followed;
  JsonArray task_ids;
  if (tasks_ && mcp::Protocol::has_tasks(client.capabilities))
    for (const std::string& id : texts_of(*filter, "taskIds", kTasksMax))
      if (co_await tasks_->get(client.caller, id)) {
        followed.push_back(id);
        task_ids.emplace_back(id);
      }
  if (!task_ids.empty()) honored["taskIds"] = std::move(task_ids);
  const bool nothing = honored.empty();
  stream->push(to_text(
      mcp::rpc_notification("notifications/subscriptions/acknowledged", stamped({{"notifications", std::move(honored)}}, subscription))));
  const auto end = [this, stream, subscription, id = request.id] {
    JsonObject meta{{mcp::kSubscriptionIdKey, subscription}, {mcp::kServerInfoKey, protocol_.server_info()}};
    stream->push(to_text(mcp::rpc_result(id, {{"resultType", "complete"}, {"_meta", std::move(meta)}})));
    stream->finish();
  };
  if (nothing) end();
  const auto stops = app_.stopping.on_cancel(end);
  const auto handle = calls_.changes.listen([stream, lists, subscription](List list) {
    if (lists.contains(list)) stream->push(to_text(mcp::rpc_notification(mcp::Changes::method_of(list), stamped({}, subscription))));
  });
  for (const std::string& id : followed) work_.spawn(follow_task(client, id, subscription, stream, ending.token()));
  ++listeners_;
  Writing writing{.stream = stream};
  co_await write(call, std::move(writing));
  --listeners_;
  ending.cancel();
}

}  // namespace mayfly
