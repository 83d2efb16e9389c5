#include "server/a2a/a2a_routes.h"

#include "server/a2a/a2a_card.h"
#include "server/a2a/a2a_error.h"
#include "server/a2a/a2a_methods.h"
#include "server/problem.h"

namespace mayfly::a2a {
namespace {

using Push = std::shared_ptr<PushNotifier>;

net::Response a2a_response(int status, const Json& body, std::string_view type) {
  net::Response out = json_response(status, body);
  out.headers.set("Content-Type", std::string(type));
  return out;
}

std::string origin_of(const Call& call) {
  const std::string scheme = call.request.headers.get("x-forwarded-proto") == "https" ? "https" : "http";
  return scheme + "://" + call.request.headers.get("host", "127.0.0.1");
}

Result<void> check_version(const Call& call) {
  std::string version = call.request.headers.get("a2a-version");
  if (version.empty()) version = call.request.query_parameter("A2A-Version").value_or("");
  if (version.empty() || version == "1.0" || version.starts_with("1.")) return {};
  return fail("a2a.version", "this agent speaks A2A 1.0, not " + version.substr(0, 20));
}

Request request_of(AppContext& app, Call& call, const Push& push, std::string method, JsonObject params) {
  Request out;
  out.app = &app;
  out.push = push.get();
  out.principal = call.principal;
  out.agent = call.parameter("agent");
  out.method = std::move(method);
  out.params = std::move(params);
  out.traceparent = call.traceparent;
  out.disconnected = call.request.disconnected;
  return out;
}

/// Sends payloads as server-sent events, each inside `wrap`.
struct SseWriter {
  net::Responder* responder;
  std::function<Json(Json)> wrap;

  static Task<bool> start(net::Responder* responder) {
    return responder->start(200, {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-cache"}});
  }
  static Task<bool> write(net::Responder* responder, Json payload) { co_return co_await responder->write("data: " + to_text(payload) + "\n\n"); }
  static Task<bool> comment(net::Responder* responder) { co_return co_await responder->write(": still here\n\n"); }
};

Task<> stream(Request request, Stream stream, net::Responder* responder, std::function<Json(Json)> wrap) {
  if (!co_await SseWriter::start(responder)) co_return;
  Emit emit = [responder, wrap = std::move(wrap)](Json payload) { return SseWriter::write(responder, wrap(std::move(payload))); };
  co_await run_stream(std::move(request), std::move(stream), std::move(emit), [responder] { return SseWriter::comment(responder); });
  co_await responder->finish();
}

Json rpc_result(const Json& id, Json result) { return JsonObject{{"jsonrpc", "2.0"}, {"id", id}, {"result", std::move(result)}}; }
net::Response rpc_failure(const Json& id, const Error& error) {
  return json_response(200, JsonObject{{"jsonrpc", "2.0"}, {"id", id}, {"error", to_rpc_error(error)}});
}

struct Rpc {
  Json id;
  std::string method;
  JsonObject params;
};
Result<Rpc> read_rpc(const std::string& body, Json* id) {
  auto value = parse_json(body);
  if (!value) return fail("json.invalid", value.error().message);
  JsonObject* object = value->if_object();
  if (!object) return fail("a2a.invalid_request", "send one JSON-RPC 2.0 request object; batches are not taken");
  if (const Json* given = get(*object, "id"); given && (given->is_string() || given->is_number())) *id = *given;
  Rpc out{*id, get_string(*object, "method"), {}};
  if (get_string(*object, "jsonrpc") != "2.0" || out.method.empty())
    return fail("a2a.invalid_request", "a request needs \"jsonrpc\": \"2.0\" and a \"method\"");
  if (const Json* params = get(*object, "params")) {
    if (!params->is_object()) return fail("a2a.invalid_params", "\"params\" must be an object");
    out.params = params->get_object();
  }
  return out;
}

Task<> serve_rpc(AppContext& app, Call& call, Push push) {
  Json id;
  auto rpc = read_rpc(call.request.body, &id);
  if (auto fine = check_version(call); !fine && rpc) rpc = std::unexpected(fine.error());
  if (rpc && !app.registry->current(call.parameter("agent"))) rpc = std::unexpected(app.registry->not_found(call.parameter("agent")));
  if (!rpc) {
    co_await call.responder.send(rpc_failure(id, rpc.error()));
    co_return;
  }
  Request request = request_of(app, call, push, rpc->method, std::move(rpc->params));
  if (!is_streaming(rpc->method)) {
    auto result = co_await a2a::call(std::move(request));
    co_await call.responder.send(result ? json_response(200, rpc_result(id, std::move(*result))) : rpc_failure(id, result.error()));
    co_return;
  }
  auto opened = co_await open_stream(request);
  if (!opened) {
    co_await call.responder.send(rpc_failure(id, opened.error()));
    co_return;
  }
  co_await stream(std::move(request), std::move(*opened), &call.responder, [id](Json payload) { return rpc_result(id, std::move(payload)); });
}

/// Query parameters as the fields of a request: numbers and booleans as such.
JsonObject params_of_query(const net::Request& request) {
  JsonObject out;
  for (const std::string_view name : {"contextId", "status", "pageToken", "statusTimestampAfter"})
    if (auto value = request.query_parameter(name)) out[name] = std::move(*value);
  for (const std::string_view name : {"historyLength", "pageSize"})
    if (const auto value = request.query_parameter(name)) {
      const auto number = parse_json(*value);
      out[name] = number && number->is_int64() ? *number : Json(-1);
    }
  if (const auto value = request.query_parameter("includeArtifacts")) out["includeArtifacts"] = *value == "true";
  return out;
}

Result<JsonObject> params_of_body(const net::Request& request) {
  if (request.body.empty()) return JsonObject();
  auto value = parse_json(request.body);
  if (!value) return fail("json.invalid", value.error().message);
  if (!value->is_object()) return fail("a2a.invalid_request", "the body must be a JSON object");
  return value->get_object();
}

/// One operation of the HTTP+JSON binding.
struct Rest {
  std::string method;
  Result<JsonObject> params;
  int status = 200;
};

/// What a request below /a2a/AGENT/tasks/ means: "ID", "ID:cancel", "ID:subscribe", "ID/pushNotificationConfigs[/CONFIG]".
Rest rest_of_task(const net::Request& request, std::string_view rest) {
  std::vector<std::string> parts;
  for (std::string_view left = rest; !left.empty();) {
    left.remove_prefix(1);
    const auto end = std::min(left.find('/'), left.size());
    parts.push_back(net::percent_decode(left.substr(0, end), false).value_or(""));
    left.remove_prefix(end);
  }
  const Rest unknown{"", fail("a2a.method_not_found", "there is no such operation; see the HTTP+JSON binding of A2A 1.0"), 200};
  if (parts.empty() || parts.size() > 3) return unknown;
  const bool get = request.method == "GET", post = request.method == "POST";
  if (parts.size() == 1) {
    const auto colon = parts[0].rfind(':');
    const std::string id = parts[0].substr(0, colon), verb = colon == std::string::npos ? "" : parts[0].substr(colon + 1);
    JsonObject params = params_of_query(request);
    params["id"] = id;
    if (verb.empty() && get) return {"GetTask", std::move(params), 200};
    if (verb == "cancel" && post) return {"CancelTask", std::move(params), 200};
    if (verb == "subscribe" && (get || post)) return {"SubscribeToTask", std::move(params), 200};
    return unknown;
  }
  if (parts[1] != "pushNotificationConfigs") return unknown;
  JsonObject params{{"taskId", parts[0]}};
  if (parts.size() == 3) {
    params["id"] = parts[2];
    if (get) return {"GetTaskPushNotificationConfig", std::move(params), 200};
    if (request.method == "DELETE") return {"DeleteTaskPushNotificationConfig", std::move(params), 204};
    return unknown;
  }
  if (get) return {"ListTaskPushNotificationConfigs", std::move(params), 200};
  if (!post) return unknown;
  auto body = params_of_body(request);
  if (body) (*body)["taskId"] = parts[0];
  return {"CreateTaskPushNotificationConfig", std::move(body), 200};
}

Task<> serve_rest(AppContext& app, Call& call, Push push, Rest rest) {
  if (auto fine = check_version(call); !fine) rest.params = std::unexpected(fine.error());
  if (rest.params && !app.registry->current(call.parameter("agent"))) rest.params = std::unexpected(app.registry->not_found(call.parameter("agent")));
  if (!rest.params) {
    co_await call.responder.send(to_rest_error(rest.params.error()));
    co_return;
  }
  Request request = request_of(app, call, push, rest.method, std::move(*rest.params));
  if (!is_streaming(rest.method)) {
    auto result = co_await a2a::call(std::move(request));
    if (!result)
      co_await call.responder.send(to_rest_error(result.error()));
    else if (rest.status == 204)
      co_await call.responder.send({204, {}, {}});
    else
      co_await call.responder.send(a2a_response(rest.status, *result, "application/a2a+json"));
    co_return;
  }
  auto opened = co_await open_stream(request);
  if (!opened) {
    co_await call.responder.send(to_rest_error(opened.error()));
    co_return;
  }
  co_await stream(std::move(request), std::move(*opened), &call.responder, [](Json payload) { return payload; });
}

Task<Result<net::Response>> card(AppContext& app, Call& call) {
  const auto agent = app.registry->current(call.parameter("agent"));
  if (!agent) co_return fail(app.registry->not_found(call.parameter("agent")));
  co_return json_response(200, card_of(*agent, origin_of(call)));
}

Task<Result<net::Response>> only_card(AppContext& app, Call& call) {
  const auto agents = app.registry->list();
  if (agents.size() == 1) co_return json_response(200, card_of(agents.front(), origin_of(call)));
  std::string names;
  for (const auto& agent : agents) names += (names.empty() ? "" : ", ") + agent.spec.name;
  co_return fail("agent.not_found", "several agents live here; ask for /a2a/NAME/.well-known/agent-card.json of one of: " + names);
}

}  // namespace

std::shared_ptr<PushNotifier> add_a2a_routes(Router& router) {
  Push push = make_push_notifier(router.app());
  const RouteOptions keyed{.any_of = {Scope::Invoke, Scope::Read}, .described = Described::Elsewhere};
  RouteOptions rest = keyed;
  rest.error_shape = to_rest_error;
  router.add("GET", "/.well-known/agent-card.json", keyed, only_card);
  router.add("GET", "/a2a/{agent}/.well-known/agent-card.json", keyed, card);
  router.add_stream("POST", "/a2a/{agent}", keyed, [push](AppContext& app, Call& call) { return serve_rpc(app, call, push); });
  const auto with_body = [push](std::string method) {
    return [push, method = std::move(method)](AppContext& app, Call& call) {
      return serve_rest(app, call, push, {method, params_of_body(call.request), 200});
    };
  };
  router.add_stream("POST", "/a2a/{agent}/message:send", rest, with_body("SendMessage"));
  router.add_stream("POST", "/a2a/{agent}/message:stream", rest, with_body("SendStreamingMessage"));
  router.add_stream("GET", "/a2a/{agent}/tasks", rest, [push](AppContext& app, Call& call) {
    return serve_rest(app, call, push, {"ListTasks", params_of_query(call.request), 200});
  });
  router.add_stream("GET", "/a2a/{agent}/extendedAgentCard", rest, with_body("GetExtendedAgentCard"));
  router.add_stream("*", "/a2a/{agent}/tasks/{rest*}", rest, [push](AppContext& app, Call& call) {
    return serve_rest(app, call, push, rest_of_task(call.request, call.parameter("rest")));
  });
  return push;
}

}  // namespace mayfly::a2a
