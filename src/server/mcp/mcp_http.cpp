#include "server/mcp/mcp_http.h"

#include <algorithm>

#include "base/hash.h"
#include "base/log.h"
#include "mcp/server/http_rules.h"
#include "net/sse.h"
#include "server/problem.h"
#include "server/token_realm.h"

namespace mayfly {
namespace {

constexpr Millis kQuietJson{8'000}, kHeartbeat{15'000};
constexpr std::string_view kRetryField = "retry: 1000\n";

net::Response json_answer(int status, const JsonObject& body) { return {status, {{"Content-Type", "application/json"}}, to_text(body)}; }
net::Response rpc_refusal(int status, int code, std::string message, std::optional<mcp::RpcId> id = std::nullopt) {
  return json_answer(status, mcp::rpc_error(id, {code, std::move(message), std::nullopt}));
}
net::Response rpc_answer(const mcp::RpcId& id, mcp::Reply reply) {
  auto* result = std::get_if<JsonObject>(&reply.outcome);
  return json_answer(reply.status,
                     result ? mcp::rpc_result(id, std::move(*result)) : mcp::rpc_error(id, std::get<mcp::RpcError>(reply.outcome)));
}

bool accepts(const net::Request& request, std::string_view type) {
  const auto accept = request.headers.find("accept");
  if (!accept || accept->empty()) return true;
  std::string text(*accept);
  std::ranges::transform(text, text.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text.find(type) != std::string::npos || text.find("*/*") != std::string::npos ||
         text.find(std::string(type.substr(0, type.find('/'))) + "/*") != std::string::npos;
}

std::set<std::string> toolsets_of(const net::Request& request) {
  std::set<std::string> out;
  std::string text = request.query_parameter("toolsets").value_or(std::string()).substr(0, 1'000);
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find(',', at), text.size());
    if (end > at) out.insert(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

mcp::Caller caller_of(const Principal& principal) {
  mcp::Caller out;
  out.id = "key:" + principal.key_id;
  out.label = principal.name;
  out.organisation = principal.organisation;
  out.is_person = principal.is_person;
  for (const std::string_view scope : principal.scopes.names()) out.scopes.emplace(scope);
  out.workspace = principal.workspace;
  out.role_max = principal.role_max;
  return out;
}

}  // namespace

class McpHttp::Conversation final : public mcp::Exchange {
 public:
  Conversation(AppContext& app, Work& work) : app_(app), work_(work) {}
  void notify(std::string_view method, JsonObject params) override {
    work_.stream->push(to_text(mcp::rpc_notification(method, std::move(params))));
  }
  Task<std::expected<JsonObject, mcp::RpcError>> ask(std::string method, JsonObject params) override {
    return work_.session->ask(work_.stream.get(), std::move(method), std::move(params), app_.clock, work_.cancel.token());
  }
  void pause() override {
    // Only who knows the stream's name can come back to it.
    if (work_.session && work_.session->client.version == mcp::kVersionSessions) work_.stream->cut();
  }

 private:
  AppContext& app_;
  Work& work_;
};

bool McpHttp::accepts_json(const net::Request& request) { return accepts(request, "application/json"); }
bool McpHttp::accepts_events(const net::Request& request) { return accepts(request, "text/event-stream"); }

McpHttp::McpHttp(AppContext& app, const mcp::Offer& offer, mcp::Protocol& protocol, mcp::TaskPort* tasks, McpCalls& calls)
    : app_(app), offer_(offer), protocol_(protocol), tasks_(tasks), calls_(calls), sessions_(*app.clock), work_(app.executor) {}
McpHttp::~McpHttp() = default;

void McpHttp::changed(mcp::Changes::List list) {
  sessions_.for_each([&](mcp::Session& session) { session.notify(mcp::Changes::method_of(list), {}); });
}

Task<> McpHttp::stop() {
  stopping_.cancel();
  sessions_.close_all();
  co_await work_.join();
}

/// Origin, key and form of the request; the refusal, or nothing.
std::optional<net::Response> McpHttp::check_request(Call* call, mcp::Client* client) {
  const net::Request& request = call->request;
  std::vector<std::string> origins = app_.config->allowed_hosts;
  if (!app_.config->public_url.empty()) origins.push_back(app_.config->public_url);
  if (!mcp::is_origin_allowed(request.headers, app_.config->is_loopback(), origins))
    return rpc_refusal(403, mcp::rpc_code::kInvalidRequest, "requests of this Origin are refused; allow its host with --allow-host");
  const bool has_key = request.headers.find("authorization") || request.headers.find("x-api-key");
  if (app_.config->open_mcp && !has_key && request.remote_is_loopback) {
    client->caller = mcp::Caller{.id = "open", .label = "a caller on this machine"};
    client->caller.scopes = {"read", "invoke"};
  } else {
    auto token = app_.mcp_tokens ? app_.mcp_tokens->authenticate(request) : std::nullopt;
    auto principal = token ? std::move(*token) : app_.keys->authenticate(request.headers);
    if (!principal) {
      net::Response refused = to_problem(principal.error());
      if (refused.status == 401) {
        const bool is_tls = net::equal_ignoring_case(request.headers.get("x-forwarded-proto"), "https");
        const std::string base = !app_.config->public_url.empty()
                                     ? app_.config->public_url
                                     : (is_tls ? "https://" : "http://") + request.headers.get("host", "localhost");
        std::string challenge = "Bearer realm=\"mayfly\"";
        if (!metadata_path_.empty()) challenge += ", resource_metadata=\"" + base + metadata_path_ + "\"";
        if (has_key) challenge += ", error=\"invalid_token\"";
        if (app_.mcp_tokens) challenge = app_.mcp_tokens->challenge(request, principal.error());
        refused.headers.set("WWW-Authenticate", challenge);
      }
      return refused;
    }
    if (!principal->scopes.intersects({Scope::Read, Scope::Invoke, Scope::Files, Scope::Answer, Scope::Admin})) {
      net::Response refused =
          to_problem({"auth.forbidden", "this key may use nothing of the MCP server; it needs read, invoke or files", Retry::Never});
      refused.headers.set("WWW-Authenticate", "Bearer realm=\"mayfly\", error=\"insufficient_scope\", scope=\"read invoke files\"");
      if (app_.mcp_tokens)
        refused.headers.set("WWW-Authenticate", app_.mcp_tokens->challenge(request, {"auth.forbidden", "", Retry::Never}));
      return refused;
    }
    if (!principal->key_id.empty() && app_.keys->note_use(principal->key_id) && app_.tasks)
      app_.tasks->spawn(app_.keys->store_use(principal->key_id));
    client->caller = caller_of(*principal);
  }
  client->toolsets = toolsets_of(request);
  client->traceparent = call->traceparent;
  return std::nullopt;
}

Task<> McpHttp::serve(Call* call) {
  mcp::Client client;
  if (auto refused = check_request(call, &client)) {
    co_await call->responder.send(std::move(*refused));
    co_return;
  }
  const std::string& method = call->request.method;
  if (method == "POST") co_return co_await post(call, std::move(client));
  if (method == "GET") co_return co_await get(call, std::move(client));
  if (method == "DELETE") co_return co_await remove(call, std::move(client));
  net::Response refused = rpc_refusal(405, mcp::rpc_code::kInvalidRequest, "send messages by POST");
  refused.headers.add("Allow", "POST, GET, DELETE");
  co_await call->responder.send(std::move(refused));
}

Task<> McpHttp::post(Call* call, mcp::Client client) {
  const std::string type = call->request.headers.get("content-type");
  if (!net::equal_ignoring_case(std::string_view(type).substr(0, 16), "application/json")) {
    co_await call->responder.send(rpc_refusal(415, mcp::rpc_code::kInvalidRequest, "send messages as application/json"));
    co_return;
  }
  if (!accepts_json(call->request) && !accepts_events(call->request)) {
    co_await call->responder.send(rpc_refusal(406, mcp::rpc_code::kInvalidRequest, "accept application/json and text/event-stream"));
    co_return;
  }
  auto message = mcp::parse_rpc(call->request.body, {.bytes_max = app_.config->body_bytes_max});
  if (!message) {
    co_await call->responder.send(json_answer(400, mcp::rpc_error(message.error().id, message.error().error)));
    co_return;
  }
  if (auto* request = std::get_if<mcp::RpcRequest>(&*message);
      request && mcp::is_stateless(call->request.headers, request->params, request->method))
    co_return co_await stateless(call, std::move(client), std::move(*request));
  const bool has_session = call->request.headers.find("mcp-session-id").has_value();
  if (const auto* note = std::get_if<mcp::RpcNotification>(&*message); note && !has_session) {
    // In the stateless era a request is cancelled by closing its stream: nothing to do.
    co_await call->responder.send(net::Response{202, {}, {}});
    co_return;
  }
  co_await with_session(call, std::move(client), std::move(*message));
}

Task<> McpHttp::stateless(Call* call, mcp::Client client, mcp::RpcRequest request) {
  auto refused = mcp::read_envelope(call->request.headers, request.method, request.params, &client);
  if (!refused && request.method == "tools/call") {
    const auto tool = protocol_.find_tool(client.caller, get_string(request.params, "name"));
    const auto* arguments = get_object(request.params, "arguments");
    if (tool) refused = mcp::check_param_headers(call->request.headers, tool->info.input_schema, arguments ? *arguments : JsonObject());
  }
  if (refused) {
    co_await call->responder.send(rpc_answer(request.id, std::move(*refused)));
    co_return;
  }
  if (request.method == "subscriptions/listen") co_return co_await listen(call, std::move(client), std::move(request));
  auto work = std::make_shared<Work>(Work{std::move(client), std::move(request), std::make_shared<mcp::MessageStream>(), nullptr, {}});
  work_.spawn(perform(work));
  Writing writing{.stream = work->stream};
  writing.may_json = accepts_json(call->request);
  writing.may_sse = accepts_events(call->request);
  const Ended ended = co_await write(call, std::move(writing));
  if (ended != Ended::Done) work->cancel.cancel();
}

Task<> McpHttp::perform(std::shared_ptr<Work> work) {
  const auto stops = stopping_.token().on_cancel([work] { work->cancel.cancel(); });
  Conversation conversation(app_, *work);
  const mcp::RpcId id = work->request.id;
  std::optional<mcp::Reply> reply;
  if (work->session) reply = co_await session_method(work->session, work->request);
  if (!reply) reply = co_await protocol_.handle(work->client, work->request, &conversation, work->cancel.token());
  if (work->session) work->session->running.erase(id.key());
  auto* result = std::get_if<JsonObject>(&reply->outcome);
  // Whoever cancelled a request expects no answer to it.
  if (!work->cancel.cancelled() || !work->session)
    work->stream->push(
        to_text(result ? mcp::rpc_result(id, std::move(*result)) : mcp::rpc_error(id, std::get<mcp::RpcError>(reply->outcome))));
  work->stream->finish(work->session ? 200 : reply->status);
}

/// As JSON while the only message is the answer, else as events.
Task<McpHttp::Ended> McpHttp::write(Call* call, Writing what) {
  using Wake = mcp::MessageStream::Wake;
  CancelSource gone;
  const auto left = call->request.disconnected.on_cancel([&gone] { gone.cancel(); });
  const auto stops = stopping_.token().on_cancel([&gone] { gone.cancel(); });
  mcp::MessageStream& stream = *what.stream;
  std::int64_t sent = what.after;
  Wake wake = Wake::More;
  if (what.may_json) {
    wake = co_await stream.wait_beyond(app_.clock, sent, kQuietJson, gone.token());
    while (!what.may_sse && !stream.finished() && wake != Wake::Gone)
      wake = co_await stream.wait_beyond(app_.clock, stream.newest(), kHeartbeat, gone.token());
    if (wake == Wake::Gone) co_return Ended::Gone;
    if (stream.finished() && (!what.may_sse || stream.items().size() <= 1)) {
      net::Response answer{stream.status(), {{"Content-Type", "application/json"}}, {}};
      if (stream.items().empty())
        answer = net::Response{202, {}, {}};
      else
        answer.body = stream.items().back().text;
      for (const auto& [name, value] : what.headers) answer.headers.set(name, value);
      co_await call->responder.send(std::move(answer));
      co_return Ended::Done;
    }
  }
  net::Headers headers{{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-cache, no-transform"}, {"X-Accel-Buffering", "no"}};
  for (const auto& [name, value] : what.headers) headers.set(name, value);
  if (!co_await call->responder.start(200, std::move(headers))) co_return Ended::Gone;
  std::string first;
  if (what.prime) first = "id: " + what.name + "-" + std::to_string(sent) + "\n" + std::string(kRetryField) + "data: \n\n";
  if (!first.empty() && !co_await call->responder.write(std::move(first))) co_return Ended::Gone;
  if (wake == Wake::Cut) {
    co_await call->responder.finish();
    co_return Ended::Cut;
  }
  for (;;) {
    while (const auto* item = stream.after(sent)) {
      sent = item->number;
      net::SseEvent event{.event = "message", .data = item->text, .id = what.name.empty() ? "" : what.name + "-" + std::to_string(sent)};
      if (!co_await call->responder.write(net::to_sse(event))) co_return Ended::Gone;
    }
    if (stream.finished()) break;
    wake = co_await stream.wait_beyond(app_.clock, sent, kHeartbeat, gone.token());
    if (wake == Wake::TimedOut && !co_await call->responder.write(": still here\n\n")) co_return Ended::Gone;
    if (wake == Wake::Cut || (wake == Wake::Gone && !call->request.disconnected.cancelled())) {
      co_await call->responder.finish();
      co_return wake == Wake::Cut ? Ended::Cut : Ended::Gone;
    }
    if (wake == Wake::Gone) co_return Ended::Gone;
  }
  co_await call->responder.finish();
  co_return Ended::Done;
}

}  // namespace mayfly
