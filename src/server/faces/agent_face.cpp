#include "agent/agent_program.h"
#include "engine/core/types.h"
#include "server/api_events.h"
#include "server/faces/face_app.h"
#include "server/faces/spoken_text.h"
#include "server/json_views.h"
#include "server/run_stream.h"

namespace mayfly::faces {
namespace {

using engine::Execution;
using engine::ExecutionStatus;
using engine::WaitReason;

constexpr Millis kHeartbeat{15'000};

std::unexpected<FaceError> not_for_agents(std::string param, std::string_view instead) {
  return unsupported(std::move(param), "an agent brings its own; " + std::string(instead));
}

/// What the newest user message says; images stay images.
Decoded<Json> input_of(const llm::LlmRequest& request) {
  if (!request.tools.empty()) return not_for_agents("tools", "declare tools in its mayfly.yaml");
  if (request.output_schema) return not_for_agents("response_format", "declare `output` in its mayfly.yaml");
  if (request.messages.empty() || request.messages.back().role != llm::Role::User)
    return reject("messages", "the last message must be the user's: it is what the agent is asked");
  const llm::Message& newest = request.messages.back();
  bool has_image = false;
  JsonArray parts;
  for (const llm::Content& content : newest.content) {
    if (content.kind == llm::Content::Kind::Image) has_image = true;
    parts.push_back(llm::to_json(content));
  }
  if (has_image) return Json(JsonObject{{"message", std::move(parts)}});
  std::string text = llm::text_of(newest);
  if (text.empty()) return reject("messages", "the user's message is empty; ask something");
  return Json(std::move(text));
}

Decoded<agent::Invocation> invocation_of(AppContext& app, const Call& call, const FaceRequest& request) {
  agent::Invocation out;
  out.agent = request.request.model;
  const auto deployed = app.registry->current(out.agent);
  if (!deployed) return std::unexpected(face_error(app.registry->not_found(out.agent)));
  auto input = input_of(request.request);
  if (!input) return std::unexpected(std::move(input.error()));
  out.input = std::move(*input);
  out.session = call.request.headers.get("mayfly-session");
  // Clients send `user` to agents without sessions too: it means nothing there.
  if (out.session.empty() && deployed->spec.session.keyed) out.session = request.session;
  out.idempotency_key = idempotency_key(call.request);
  out.traceparent = call.traceparent;
  return out;
}

bool waits_for_person(const Execution& run) {
  return run.wait && (run.wait->kind == WaitReason::Kind::Callback || run.wait->kind == WaitReason::Kind::OutcomeUnknown);
}

std::string answer_text(const Json& result) {
  const JsonObject* object = result.if_object();
  if (!object) return result.is_string() ? std::string(result.get_string()) : to_text(result);
  const Json* text = get(*object, "text");
  if (text && text->is_string()) return std::string(text->get_string());
  return to_text(result);
}

std::string question_text(const agent::Question& question) {
  return "I am waiting for a person before I go on: " + question.text + "\n\nAnswer it in the console, with `mayfly answer " +
         question.run + "`, or with POST /v1/runs/" + question.run + "/answer.";
}

FaceError run_error(const Execution& run) {
  if (run.status == ExecutionStatus::Stopped)
    return {.status = 409,
            .code = "run.stopped",
            .message = "the run " + run.id + " was cancelled" + (run.error ? ": " + run.error->message : ""),
            .param = {},
            .retry_after = {}};
  if (run.status == ExecutionStatus::TimedOut)
    return {.status = 504,
            .code = "run.timed_out",
            .message = "the run " + run.id + " took longer than its agent allows (`limits.wall_time`)",
            .param = {},
            .retry_after = {}};
  FaceError out = run.error ? face_error(*run.error)
                            : FaceError{.status = 500, .code = "run.failed", .message = "the run failed", .param = {}, .retry_after = {}};
  if (out.status < 500) out.status = 500;
  out.message = "the run " + run.id + " failed: " + out.message;
  // The same request would start another run.
  out.again = false;
  out.retry_after.reset();
  return out;
}

/// How a run's answer to this request ends.
struct Ending {
  std::optional<FaceError> error;
  std::string text;
  llm::LlmResponse response;
  JsonObject extension;
  std::string waiting;  ///< the question's kind, when a person must answer first
};

/// Follows one run for one reader.
class Follower {
 public:
  Follower(AppContext& app, Call& call, std::string run, std::shared_ptr<StreamEncoder> encoder, net::Headers headers)
      : app_(app), call_(call), run_(std::move(run)), encoder_(std::move(encoder)), headers_(std::move(headers)) {}

  /// Nothing when the reader has gone.
  Task<std::optional<Ending>> follow();
  Task<bool> send(std::string bytes);
  SpokenText& spoken() { return spoken_; }

 private:
  Task<std::optional<Ending>> ending_of(Execution run);
  Task<std::optional<Ending>> look();
  Task<bool> say(engine::Delta delta);
  Task<bool> say_whole(engine::Operation operation);
  Task<bool> say_all(std::vector<engine::Delta> running);

  AppContext& app_;
  Call& call_;
  std::string run_;
  std::shared_ptr<StreamEncoder> encoder_;  ///< null: nothing is streamed
  net::Headers headers_;
  SpokenText spoken_;
};

Task<bool> Follower::send(std::string bytes) {
  if (bytes.empty()) co_return true;
  if (!call_.responder.started() && !co_await call_.responder.start(200, stream_headers(headers_))) co_return false;
  co_return co_await call_.responder.write(std::move(bytes));
}

Task<bool> Follower::say(engine::Delta delta) {
  if (!encoder_) co_return true;
  std::string text = spoken_.take(delta);
  co_return co_await send(text.empty() ? text : encoder_->delta({.kind = llm::LlmDelta::Kind::Text, .text = std::move(text)}));
}

/// The text of a model call that has ended: it may have streamed before anybody listened.
Task<bool> Follower::say_whole(engine::Operation operation) {
  if (!encoder_ || operation.kind != agent::kind::kModel || operation.status != engine::OperationStatus::Succeeded) co_return true;
  const auto result = co_await app_.engine->unspill(std::move(operation.result));
  const Json* body = result && result->is_object() ? get(result->get_object(), "message") : nullptr;
  auto message = body ? llm::message_from_json(*body) : Result<llm::Message>(fail("", ""));
  std::string text = message ? llm::text_of(*message) : std::string();
  if (text.empty()) co_return true;
  co_return co_await say({operation.id, operation.attempts, "text", 0, std::move(text)});
}

/// What was said before the subscription: by calls that have ended and by those under way.
Task<bool> Follower::say_all(std::vector<engine::Delta> running) {
  if (!encoder_) co_return true;
  // An unknown run is reported by whoever looks next.
  auto described = co_await app_.engine->describe(run_);
  if (described)
    for (engine::Operation& operation : described->operations)
      if (!co_await say_whole(std::move(operation))) co_return false;
  for (engine::Delta& delta : running)
    if (!co_await say(std::move(delta))) co_return false;
  co_return true;
}

Task<std::optional<Ending>> Follower::ending_of(Execution run) {
  Ending out;
  const JsonObject* summary = run.summary.if_object();
  if (summary) out.response.usage.input = get_int(*summary, "input_tokens");
  if (summary) out.response.usage.output = get_int(*summary, "output_tokens");
  out.extension = {{"run", run.id}, {"status", run.open() ? "WAITING" : boost::json::string_view(engine::to_string(run.status))}};
  if (run.open()) {
    auto questions = co_await app_.service->questions(run.id, 1);
    if (!questions) co_return Ending{.error = face_error(questions.error()), .text = {}, .response = {}, .extension = {}, .waiting = {}};
    if (questions->empty()) co_return std::nullopt;
    out.text = question_text(questions->front());
    out.waiting = questions->front().kind;
    out.extension["question"] = question_view(questions->front());
  } else if (run.status != ExecutionStatus::Succeeded) {
    out.error = run_error(run);
  } else {
    auto result = co_await app_.engine->unspill(std::move(run.result));
    if (result)
      out.text = answer_text(*result);
    else
      out.error = face_error(result.error());
  }
  co_return out;
}

/// The ending, when the run has ended or cannot go on without a person.
Task<std::optional<Ending>> Follower::look() {
  auto run = co_await app_.engine->get(run_);
  if (!run) co_return Ending{.error = face_error(run.error()), .text = {}, .response = {}, .extension = {}, .waiting = {}};
  if (run->open() && !waits_for_person(*run)) co_return std::nullopt;
  co_return co_await ending_of(std::move(*run));
}

Task<std::optional<Ending>> Follower::follow() {
  const CancelToken disconnected = call_.request.disconnected;
  while (!disconnected.cancelled() && !app_.stopping.cancelled()) {
    // In this order nothing is missed between what was said before and what is said from here on.
    const auto subscription = app_.engine->subscribe(run_);
    if (!co_await say_all(app_.engine->said_so_far(run_))) co_return std::nullopt;
    if (auto ending = co_await look()) co_return ending;
    for (bool live = true; live;) {
      bool timed_out = false;
      auto item = co_await next_item(&app_, subscription.get(), disconnected, kHeartbeat, &timed_out);
      if (disconnected.cancelled() || app_.stopping.cancelled()) break;
      if (auto* delta = item ? std::get_if<engine::Delta>(&*item) : nullptr) {
        if (!co_await say(std::move(*delta))) co_return std::nullopt;
        continue;
      }
      const auto* event = item ? std::get_if<engine::RunEvent>(&*item) : nullptr;
      if (event && event->kind == engine::RunEvent::Kind::OperationEnded) {
        auto operation = engine::operation_from_json(event->body);
        if (operation && !co_await say_whole(std::move(*operation))) co_return std::nullopt;
      }
      if (timed_out && encoder_ && !co_await send(encoder_->heartbeat())) co_return std::nullopt;
      if (auto ending = co_await look()) co_return ending;
      live = item || timed_out;
    }
  }
  if (disconnected.cancelled() && !app_.stopping.cancelled()) co_return std::nullopt;
  FaceError stopping{.status = 503,
                     .code = "engine.stopping",
                     .message = "the server stops; the run " + run_ + " goes on when it starts again",
                     .param = {},
                     .retry_after = {}};
  co_return Ending{.error = std::move(stopping), .text = {}, .response = {}, .extension = {}, .waiting = {}};
}

llm::Message message_of(std::string text) { return llm::Message::assistant(std::move(text)); }

}  // namespace

Task<> serve_agent(AppContext* app, Call* call, const Dialect* dialect) {
  // Only the newest message counts, so that references to earlier items need not be known.
  const Recall recall = [](std::string_view) { return std::optional(llm::Content::make_text("")); };
  auto request = dialect->decode(call->request.body, recall);
  auto invocation = request ? invocation_of(*app, *call, *request) : Decoded<agent::Invocation>(std::unexpected(request.error()));
  if (!invocation) {
    co_await call->responder.send(error_response(invocation.error(), dialect->api));
    co_return;
  }
  auto started = co_await app->service->invoke(std::move(*invocation));
  if (!started) {
    co_await call->responder.send(error_response(face_error(started.error()), dialect->api));
    co_return;
  }
  AnswerHead head = make_head(*app, *request);
  net::Headers headers = answer_headers(head, *request, dialect->api);
  headers.add("Mayfly-Run", started->run);
  std::shared_ptr<StreamEncoder> encoder;
  if (request->stream) encoder = dialect->stream(head, *request);
  Follower follower(*app, *call, started->run, encoder, headers);
  auto ending = co_await follower.follow();
  if (!ending) co_return;
  if (!ending->waiting.empty()) headers.add("Mayfly-Waiting", ending->waiting);
  if (ending->error && !call->responder.started()) {
    net::Response response = error_response(*ending->error, dialect->api);
    for (const auto& [name, value] : headers) response.headers.add(name, value);
    co_await call->responder.send(std::move(response));
    co_return;
  }
  if (!encoder) {
    head.extension = std::move(ending->extension);
    ending->response.message = message_of(std::move(ending->text));
    Remembered remembered;
    co_await call->responder.send(json_answer(std::move(headers), dialect->encode(head, ending->response, remembered)));
    co_return;
  }
  std::string bytes;
  if (ending->error) {
    bytes = encoder->fail(*ending->error);
  } else {
    encoder->set_extension(std::move(ending->extension));
    std::string rest = follower.spoken().finish(ending->text);
    if (!rest.empty()) bytes = encoder->delta({.kind = llm::LlmDelta::Kind::Text, .text = std::move(rest)});
    bytes += encoder->end(ending->response);
  }
  if (co_await follower.send(std::move(bytes))) co_await call->responder.finish();
}

}  // namespace mayfly::faces
