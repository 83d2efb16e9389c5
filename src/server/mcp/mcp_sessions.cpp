#include <algorithm>
#include <array>
#include <charconv>

#include "base/hash.h"
#include "mcp/server/http_rules.h"
#include "server/mcp/mcp_http.h"

/// The older era: sessions, their streams and the methods that only they have.
namespace mayfly {
namespace {

constexpr auto kLevels = std::to_array<std::string_view>({"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"});

net::Response refusal(int status, std::string message, std::optional<mcp::RpcId> id = std::nullopt) {
  return {status,
          {{"Content-Type", "application/json"}},
          to_text(mcp::rpc_error(id, {mcp::rpc_code::kInvalidRequest, std::move(message), std::nullopt}))};
}
net::Response no_session() { return refusal(404, "there is no such session of this caller: initialize again"); }

std::optional<mcp::RpcId> id_of(const mcp::RpcMessage& message) {
  const auto* request = std::get_if<mcp::RpcRequest>(&message);
  return request ? std::optional(request->id) : std::nullopt;
}

/// "STREAM-NUMBER".
bool read_event_id(std::string_view text, std::string* stream, std::int64_t* number) {
  const auto dash = text.rfind('-');
  if (dash == std::string_view::npos) return false;
  *stream = text.substr(0, dash);
  const auto [end, error] = std::from_chars(text.data() + dash + 1, text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size() && *number >= 0;
}

}  // namespace

Task<> McpHttp::with_session(Call* call, mcp::Client client, mcp::RpcMessage message) {
  const auto version = call->request.headers.find("mcp-protocol-version");
  auto* request = std::get_if<mcp::RpcRequest>(&message);
  const bool begins = request && request->method == "initialize";
  if (version && !begins && !mcp::is_session_version(*version)) {
    co_await call->responder.send(
        refusal(400, "the protocol version of the header MCP-Protocol-Version has no sessions here", id_of(message)));
    co_return;
  }
  if (begins) co_return co_await initialize(call, std::move(client), std::move(*request));
  const auto id = call->request.headers.find("mcp-session-id");
  if (!id) {
    co_await call->responder.send(refusal(400, "the header Mcp-Session-Id is missing: initialize first", id_of(message)));
    co_return;
  }
  const auto session = sessions_.find(*id, client.caller.id);
  if (!session) {
    co_await call->responder.send(no_session());
    co_return;
  }
  session->client.toolsets = client.toolsets;
  session->client.caller = client.caller;  // its rights may have changed
  session->client.traceparent = client.traceparent;
  if (request) co_return co_await in_session(call, session, std::move(*request));
  if (auto* response = std::get_if<mcp::RpcResponse>(&message)) {
    session->answer(std::move(*response));
  } else if (const auto& note = std::get<mcp::RpcNotification>(message); note.method == "notifications/cancelled") {
    const Json* cancelled = mayfly::get(note.params, "requestId");
    const auto key = cancelled ? mcp::RpcId::from(*cancelled) : std::nullopt;
    const auto running = key ? session->running.find(key->key()) : session->running.end();
    if (running != session->running.end()) {
      CancelSource source = running->second;
      source.cancel();
    }
  }
  co_await call->responder.send(net::Response{202, {}, {}});
}

Task<> McpHttp::initialize(Call* call, mcp::Client client, mcp::RpcRequest request) {
  const std::string asked = get_string(request.params, "protocolVersion");
  client.stateless = false;
  client.version = mcp::is_session_version(asked) ? asked : std::string(mcp::kVersionSessions);
  if (const auto* capabilities = get_object(request.params, "capabilities")) client.capabilities = *capabilities;
  client.log_level = "info";
  JsonObject result{
      {"protocolVersion", client.version}, {"capabilities", protocol_.capabilities(client)}, {"serverInfo", protocol_.server_info()}};
  if (const std::string& text = protocol_.options().instructions; !text.empty()) result["instructions"] = text;
  const auto session = sessions_.open(to_base64url(secure_random_bytes(24)), std::move(client));
  net::Response answer{200,
                       {{"Content-Type", "application/json"}, {"Mcp-Session-Id", session->id}},
                       to_text(mcp::rpc_result(request.id, std::move(result)))};
  co_await call->responder.send(std::move(answer));
}

Task<> McpHttp::in_session(Call* call, std::shared_ptr<mcp::Session> session, mcp::RpcRequest request) {
  const std::string key = request.id.key();
  if (session->running.contains(key)) {
    co_await call->responder.send(refusal(400, "a request with this id is under way; give each its own", request.id));
    co_return;
  }
  std::string name;
  auto work = std::make_shared<Work>(Work{session->client, std::move(request), session->open_stream(&name), session, {}});
  session->running.emplace(key, work->cancel);
  work_.spawn(perform(work));
  Writing writing{.stream = work->stream, .name = name};
  writing.may_json = accepts_json(call->request);
  writing.may_sse = accepts_events(call->request);
  writing.prime = session->client.version == mcp::kVersionSessions;
  const Ended ended = co_await write(call, std::move(writing));
  // An answer as JSON has arrived or is lost with its connection; events can be asked for again.
  if (ended == Ended::Done && work->stream->items().size() <= 1) session->forget_stream(name);
}

Task<std::optional<mcp::Reply>> McpHttp::session_method(std::shared_ptr<mcp::Session> session, mcp::RpcRequest request) {
  using mcp::Reply;
  if (request.method == "ping") co_return Reply::of({});
  if (request.method == "logging/setLevel") {
    const std::string level = get_string(request.params, "level");
    if (std::ranges::find(kLevels, level) == kLevels.end())
      co_return Reply::error(mcp::rpc_code::kInvalidParams,
                             "level must be debug, info, notice, warning, error, critical, alert or emergency");
    session->client.log_level = level;
    co_return Reply::of({});
  }
  const bool subscribes = request.method == "resources/subscribe";
  if (!subscribes && request.method != "resources/unsubscribe") co_return std::nullopt;
  const std::string uri = get_string(request.params, "uri");
  if (!subscribes) {
    session->watches.erase(uri);
    co_return Reply::of({});
  }
  auto* owner = protocol_.owner_of(uri);
  if (!owner) co_return Reply::error(mcp::rpc_code::kResourceNotFound, "there is no resource " + uri, JsonObject{{"uri", uri}});
  if (session->watches.size() >= mcp::Session::kWatchesMax)
    co_return Reply::error(mcp::rpc_code::kInvalidParams, "this session watches too many resources");
  std::weak_ptr<mcp::Session> weak = session;
  auto watch = co_await owner->watch(session->client.caller, uri, [weak, uri] {
    if (const auto alive = weak.lock()) alive->notify("notifications/resources/updated", {{"uri", uri}});
  });
  if (!watch) co_return Reply::error(mcp::rpc_code::kResourceNotFound, watch.error().message, JsonObject{{"uri", uri}});
  session->watches[uri] = std::move(*watch);
  co_return Reply::of({});
}

Task<> McpHttp::get(Call* call, mcp::Client client) {
  const auto id = call->request.headers.find("mcp-session-id");
  if (!id) {
    net::Response refused = refusal(405, "only sessions have a stream here: initialize first, or use subscriptions/listen");
    refused.headers.add("Allow", "POST");
    co_await call->responder.send(std::move(refused));
    co_return;
  }
  if (!accepts_events(call->request)) {
    co_await call->responder.send(refusal(406, "accept text/event-stream"));
    co_return;
  }
  const auto session = sessions_.find(*id, client.caller.id);
  if (!session) {
    co_await call->responder.send(no_session());
    co_return;
  }
  Writing writing;
  writing.name = mcp::Session::kStandalone;
  const std::string last = call->request.headers.get("last-event-id");
  if (!last.empty() && !read_event_id(last, &writing.name, &writing.after)) {
    co_await call->responder.send(refusal(400, "the header Last-Event-ID is not one that this server gave"));
    co_return;
  }
  writing.stream = session->stream(writing.name);
  if (!writing.stream) {
    co_await call->responder.send(refusal(404, "that stream is no longer kept: send the request again"));
    co_return;
  }
  if (last.empty()) writing.after = 0;
  writing.prime = session->client.version == mcp::kVersionSessions;
  co_await write(call, std::move(writing));
  session->used = app_.clock->now();
}

Task<> McpHttp::remove(Call* call, mcp::Client client) {
  const auto id = call->request.headers.find("mcp-session-id");
  const auto session = id ? sessions_.find(*id, client.caller.id) : nullptr;
  if (!session) {
    co_await call->responder.send(id ? no_session() : refusal(400, "the header Mcp-Session-Id is missing"));
    co_return;
  }
  sessions_.close(session->id);
  co_await call->responder.send(net::Response{204, {}, {}});
}

}  // namespace mayfly
