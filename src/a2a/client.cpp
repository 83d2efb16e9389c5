#include "a2a/client.h"

#include <algorithm>

#include "net/ssrf.h"

namespace mayfly::a2a {
namespace {

constexpr std::string_view kCardPath = ".well-known/agent-card.json";
constexpr std::chrono::minutes kCardKept{5};
constexpr std::size_t kCardBytesMax = 1024 * 1024;
constexpr std::size_t kAnswerBytesMax = 16 * 1024 * 1024;
constexpr Millis kCallTimeout{60'000};
constexpr Millis kPollFirst{250}, kPollMax{5'000};
constexpr std::size_t kCardsMax = 1'000;

std::string card_url(const std::string& url) {
  if (url.ends_with(".json")) return url;
  return url + (url.ends_with('/') ? "" : "/") + std::string(kCardPath);
}

Result<std::string> origin_of(const std::string& url) {
  auto target = net::parse_target(url);
  if (!target) return fail(target.error());
  return target->origin();
}

/// What a task or message says: texts one under another, JSON values as one or as an array.
void add_parts(const JsonObject& from, std::string& text, JsonArray& data) {
  const JsonArray* parts = get_array(from, "parts");
  for (std::size_t i = 0; parts && i < parts->size(); ++i) {
    const JsonObject* part = (*parts)[i].if_object();
    if (!part) continue;
    if (const std::string words = get_string(*part, "text"); !words.empty()) text += (text.empty() ? "" : "\n") + words;
    if (const Json* value = get(*part, "data")) data.push_back(*value);
    if (const std::string link = get_string(*part, "url"); !link.empty()) text += (text.empty() ? "" : "\n") + link;
  }
}

RemoteAnswer answer_of(std::string text, JsonArray data) {
  RemoteAnswer out;
  out.text = std::move(text);
  if (data.size() == 1) out.data = std::move(data.front());
  if (data.size() > 1) out.data = std::move(data);
  return out;
}

/// Nothing while the task goes on.
Result<std::optional<RemoteAnswer>> read_task(const JsonObject& task) {
  using State = RemoteAnswer::State;
  const JsonObject* status = get_object(task, "status");
  const std::string state = status ? get_string(*status, "state") : std::string();
  if (get_string(task, "id").empty() || state.empty())
    return fail("a2a.invalid_answer", "the remote agent answered with a task that has no id or no state", Retry::OutcomeUnknown);
  static constexpr std::pair<std::string_view, State> kStates[] = {
      {"TASK_STATE_COMPLETED", State::Done},     {"TASK_STATE_FAILED", State::Failed},
      {"TASK_STATE_CANCELED", State::Cancelled}, {"TASK_STATE_REJECTED", State::Rejected},
      {"TASK_STATE_INPUT_REQUIRED", State::InputRequired}, {"TASK_STATE_AUTH_REQUIRED", State::AuthRequired}};
  const auto* known = std::ranges::find(kStates, state, &std::pair<std::string_view, State>::first);
  if (known == std::end(kStates)) return std::optional<RemoteAnswer>();
  std::string text;
  JsonArray data;
  if (const JsonArray* artifacts = get_array(task, "artifacts"); artifacts && known->second == State::Done)
    for (const Json& artifact : *artifacts)
      if (const JsonObject* object = artifact.if_object()) add_parts(*object, text, data);
  if (const JsonObject* message = get_object(*status, "message"); message && text.empty() && data.empty()) add_parts(*message, text, data);
  RemoteAnswer out = answer_of(std::move(text), std::move(data));
  out.state = known->second;
  out.context = get_string(task, "contextId");
  out.task = get_string(task, "id");
  return std::optional(std::move(out));
}

Error remote_error(const JsonObject& error) {
  return {"a2a.remote", "the remote agent refused (" + std::to_string(get_int(error, "code")) + "): " + to_utf8_lossy(get_string(error, "message").substr(0, 1'000)),
          Retry::Never};
}

Error status_error(const net::ClientResponse& response) {
  const auto body = parse_json(response.body);
  const JsonObject* object = body ? body->if_object() : nullptr;
  const JsonObject* error = object ? get_object(*object, "error") : nullptr;
  const std::string says = error ? get_string(*error, "message") : std::string();
  const bool again = response.status == 429 || response.status >= 500;
  const std::string hint = response.status == 401 || response.status == 403 ? "; check the credentials of the tool" : "";
  return {"a2a.remote", "the remote agent answered with HTTP " + std::to_string(response.status) + (says.empty() ? "" : ": " + to_utf8_lossy(says.substr(0, 1'000))) + hint,
          again ? Retry::Safe : Retry::Never};
}

JsonObject message_json(const RemoteMessage& message) {
  JsonArray parts;
  if (!message.text.empty()) parts.push_back(JsonObject{{"text", message.text}, {"mediaType", "text/plain"}});
  if (!message.data.is_null()) parts.push_back(JsonObject{{"data", message.data}, {"mediaType", "application/json"}});
  JsonObject out{{"messageId", message.id}, {"role", "ROLE_USER"}, {"parts", std::move(parts)}};
  if (!message.context.empty()) out["contextId"] = message.context;
  if (!message.task.empty()) out["taskId"] = message.task;
  return out;
}

}  // namespace

Task<Result<Client::Interface>> Client::interface_of(RemoteAgent agent, CancelToken cancel) {
  const std::string url = card_url(agent.url), key = url + "\n" + agent.binding;
  if (const auto found = cards_.find(key); found != cards_.end() && clock_.monotonic() - found->second.read < kCardKept)
    co_return found->second.interface;
  net::ClientRequest request;
  request.url = url;
  request.headers = agent.headers;
  request.headers.set("A2A-Version", "1.0");
  request.egress = agent.egress;
  request.total_timeout = kCallTimeout;
  request.body_bytes_max = kCardBytesMax;
  request.redirects_max = 3;
  request.cancel = cancel;
  auto response = co_await http_.send(std::move(request));
  if (!response) co_return fail(response.error());
  if (response->status != 200) {
    Error error = status_error(*response);
    co_return fail("a2a.card", "the agent card at " + url + " cannot be read: " + error.message, error.retry);
  }
  const auto card = parse_json(response->body);
  const JsonObject* object = card ? card->if_object() : nullptr;
  const JsonArray* interfaces = object ? get_array(*object, "supportedInterfaces") : nullptr;
  for (std::size_t i = 0; interfaces && i < interfaces->size(); ++i) {
    const JsonObject* each = (*interfaces)[i].if_object();
    if (!each || !get_string(*each, "protocolVersion").starts_with("1.")) continue;
    const std::string binding = get_string(*each, "protocolBinding");
    if ((binding != "JSONRPC" && binding != "HTTP+JSON") || (!agent.binding.empty() && binding != agent.binding)) continue;
    Interface out{get_string(*each, "url"), binding == "JSONRPC"};
    const auto here = origin_of(url), there = origin_of(out.url);
    if (!here || !there || *here != *there)
      co_return fail("a2a.other_origin", "the card at " + url + " leads to another origin; give that origin's address as the tool's url instead");
    while (out.url.ends_with('/') && !out.rpc) out.url.pop_back();
    if (cards_.size() >= kCardsMax) cards_.clear();
    cards_[key] = {out, clock_.monotonic()};
    co_return out;
  }
  co_return fail("a2a.card", "the agent card at " + url + " names no interface of A2A 1.x" + (agent.binding.empty() ? "" : " with " + agent.binding) +
                                 "; is it an A2A 1.0 agent?");
}

Task<Result<JsonObject>> Client::call(RemoteAgent agent, Interface interface, std::string method, JsonObject params, CancelToken cancel) {
  net::ClientRequest request;
  request.headers = agent.headers;
  request.headers.set("A2A-Version", "1.0");
  request.headers.set("Accept", interface.rpc ? "application/json" : "application/a2a+json, application/json");
  request.egress = agent.egress;
  request.total_timeout = kCallTimeout;
  request.body_bytes_max = kAnswerBytesMax;
  request.cancel = cancel;
  request.method = "POST";
  request.url = interface.url;
  if (interface.rpc) {
    request.body = to_text(JsonObject{{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", std::move(params)}});
  } else if (method == "SendMessage") {
    request.url += "/message:send";
    request.body = to_text(params);
  } else {
    request.url += "/tasks/" + net::percent_encode(get_string(params, "id")) + (method == "CancelTask" ? ":cancel" : "");
    request.method = method == "CancelTask" ? "POST" : "GET";
    if (request.method == "POST") request.body = "{}";
  }
  if (!request.body.empty()) request.headers.set("Content-Type", "application/json");
  auto response = co_await http_.send(std::move(request));
  if (!response) co_return fail(response.error());
  if (response->status < 200 || response->status >= 300) co_return fail(status_error(*response));
  auto body = parse_json(response->body);
  JsonObject* object = body ? body->if_object() : nullptr;
  if (!object) co_return fail("a2a.invalid_answer", "the remote agent answered with something that is not a JSON object", Retry::OutcomeUnknown);
  if (!interface.rpc) co_return std::move(*object);
  if (const JsonObject* error = get_object(*object, "error")) co_return fail(remote_error(*error));
  const JsonObject* result = get_object(*object, "result");
  if (!result) co_return fail("a2a.invalid_answer", "the remote agent's answer has neither result nor error", Retry::OutcomeUnknown);
  co_return *result;
}

Task<Result<RemoteAnswer>> Client::send(RemoteAgent agent, RemoteMessage message, Millis wait, CancelToken cancel) {
  const auto deadline = clock_.monotonic() + wait;
  auto interface = co_await interface_of(agent, cancel);
  if (!interface) co_return fail(interface.error());
  JsonObject params{{"message", message_json(message)},
                    {"configuration", JsonObject{{"returnImmediately", true}, {"acceptedOutputModes", JsonArray{"text/plain", "application/json"}}}}};
  auto sent = co_await call(agent, *interface, "SendMessage", std::move(params), cancel);
  if (!sent) co_return fail(sent.error());
  if (const JsonObject* direct = get_object(*sent, "message")) {
    std::string text;
    JsonArray data;
    add_parts(*direct, text, data);
    RemoteAnswer out = answer_of(std::move(text), std::move(data));
    out.context = get_string(*direct, "contextId");
    co_return out;
  }
  const JsonObject* first = get_object(*sent, "task");
  if (!first) co_return fail("a2a.invalid_answer", "the remote agent answered with neither a task nor a message", Retry::OutcomeUnknown);
  JsonObject task = *first;
  for (Millis pause = kPollFirst;; pause = std::min(pause * 2, kPollMax)) {
    auto answer = read_task(task);
    if (!answer) co_return fail(answer.error());
    if (*answer) co_return std::move(**answer);
    const std::string id = get_string(task, "id");
    const bool in_time = clock_.monotonic() < deadline;
    if (!in_time || !co_await sleep_for(clock_, pause, cancel)) {
      if (cancel.cancelled()) (void)co_await call(agent, *interface, "CancelTask", JsonObject{{"id", id}}, {});
      co_return fail("a2a.timeout", "the remote task " + id + (in_time ? " was given up: this run was cancelled" : " did not end in time; raise the tool's timeout"),
                     Retry::OutcomeUnknown);
    }
    auto now = co_await call(agent, *interface, "GetTask", JsonObject{{"id", id}}, cancel);
    if (now) task = std::move(*now);
    if (!now && now.error().retry == Retry::Never && !cancel.cancelled()) co_return fail(now.error());
  }
}

}  // namespace mayfly::a2a
