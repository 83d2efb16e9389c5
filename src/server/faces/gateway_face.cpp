#include "base/hash.h"
#include "base/id.h"
#include "server/faces/face_app.h"

namespace mayfly::faces {
namespace {

constexpr Millis kRetryBudget{20'000};
constexpr Millis kFirstTokenTimeout{300'000};
constexpr Millis kBetweenTokensTimeout{120'000};
constexpr Millis kTotalTimeout{1'800'000};
constexpr Millis kHeartbeat{15'000};
constexpr Millis kMeterDelay{5'000};
constexpr std::size_t kUnsentBytesMax = 64 * 1024 * 1024;

using ModelResult = std::expected<llm::GatewayAnswer, llm::LlmError>;

Task<> flush_later(std::shared_ptr<FaceState> state, AppContext* app) {
  co_await sleep_for(*app->clock, kMeterDelay, app->stopping);
  // What fails stays in memory and is tried again with the next call.
  (void)co_await state->meter.flush();
}

void meter(const std::shared_ptr<FaceState>& state, AppContext& app, const Principal& who, const std::string& model,
           const ModelResult& result) {
  UsageMeter::Amount amount{1, result ? 0 : 1, {}, 0};
  if (result) {
    amount.usage = result->response.usage;
    amount.cost = result->cost;
  }
  const bool first = state->meter.add(who.key_id, result ? result->model : model, amount);
  if (first && app.tasks) app.tasks->spawn(flush_later(state, &app));
}

/// One streamed call: the task that receives from the provider and the one that writes to the client meet here.
struct Exchange {
  std::shared_ptr<StreamEncoder> encoder;
  CancelSource cancel;
  std::string unsent;
  std::optional<ModelResult> result;
  std::optional<FaceError> error;
  std::optional<Resume<bool>> waiting;

  void wake() {
    if (!waiting) return;
    Resume<bool> resume = std::move(*waiting);
    waiting.reset();
    resume(true);
  }
  /// Decided by the sender: a provider must not be cancelled from inside its own report.
  bool must_stop() const { return !cancel.cancelled() && (encoder->broken() || unsent.size() > kUnsentBytesMax); }
  bool has_news() const { return !unsent.empty() || result || must_stop(); }
};

void on_delta(Exchange& exchange, const llm::LlmDelta& delta) {
  exchange.unsent += exchange.encoder->delta(delta);
  if (exchange.has_news()) exchange.wake();
}

Task<> receive(std::shared_ptr<Exchange> exchange, llm::LlmGateway* gateway, llm::GatewayCall call) {
  ModelResult result = co_await gateway->complete(std::move(call));
  if (exchange->encoder->broken()) {
    exchange->error = FaceError{.status = 502,
                                .code = "llm.bad_response",
                                .message = "the model's answer broke off and cannot be continued; ask again",
                                .again = true};
  } else if (!result) {
    exchange->error = face_error(result.error());
  } else {
    exchange->unsent += exchange->encoder->end(result->response);
  }
  exchange->result = std::move(result);
  exchange->wake();
}

/// Until there is something to send or to say; at most one heartbeat long.
Task<> wait_for_news(std::shared_ptr<Exchange> exchange, Clock* clock) {
  if (exchange->has_news()) co_return;
  const auto timer = clock->call_after(kHeartbeat, [weak = std::weak_ptr(exchange)] {
    if (const auto shared = weak.lock()) shared->wake();
  });
  co_await suspend<bool>([exchange](Resume<bool> resume) { exchange->waiting.emplace(std::move(resume)); });
}

/// Sends pieces as they come. Nothing is sent before the first one, so that an early failure still has a status of its own.
Task<> transmit(std::shared_ptr<Exchange> exchange, AppContext* app, net::Responder* responder, net::Headers headers, Api api) {
  bool reachable = true;
  for (bool done = false; !done;) {
    co_await wait_for_news(exchange, app->clock);
    done = exchange->result.has_value();
    if (exchange->must_stop()) exchange->cancel.cancel();
    if (exchange->error && !responder->started()) {
      net::Response response = error_response(*exchange->error, api);
      for (const auto& [name, value] : headers) response.headers.add(name, value);
      co_await responder->send(std::move(response));
      co_return;
    }
    if (exchange->error) exchange->unsent += exchange->encoder->fail(*exchange->error);
    std::string bytes = std::exchange(exchange->unsent, {});
    if (bytes.empty() && !done) bytes = exchange->encoder->heartbeat();
    if (reachable && !responder->started()) reachable = co_await responder->start(200, stream_headers(headers));
    if (reachable && !bytes.empty()) reachable = co_await responder->write(std::move(bytes));
    if (!reachable) exchange->cancel.cancel();
  }
  if (reachable) co_await responder->finish();
}

llm::GatewayCall make_call(const Call& call, FaceRequest& request, const std::string& model) {
  llm::GatewayCall out;
  out.models = {model};
  out.call.cancel = call.request.disconnected;
  out.call.first_token_timeout = kFirstTokenTimeout;
  out.call.between_tokens_timeout = kBetweenTokensTimeout;
  out.call.total_timeout = kTotalTimeout;
  out.call.retry_budget = kRetryBudget;
  out.call.idempotency_key = idempotency_key(call.request);
  out.call.scripted_key = to_hex16(stable_hash64(call.request.body));
  out.call.request = std::move(request.request);
  return out;
}

struct Streaming {
  std::shared_ptr<FaceState> state;
  AppContext* app = nullptr;
  Call* call = nullptr;
  const Dialect* dialect = nullptr;
  net::Headers headers;
  std::string model;
};

Task<> stream_answer(Streaming with, llm::GatewayCall model_call, std::shared_ptr<StreamEncoder> encoder) {
  const auto exchange = std::make_shared<Exchange>();
  exchange->encoder = std::move(encoder);
  const auto gone = with.call->request.disconnected.on_cancel([exchange] { exchange->cancel.cancel(); });
  model_call.call.cancel = exchange->cancel.token();
  model_call.call.on_delta = [exchange](const llm::LlmDelta& delta) { on_delta(*exchange, delta); };
  TaskGroup receiving(with.app->executor);
  receiving.spawn(receive(exchange, with.app->gateway, std::move(model_call)));
  co_await transmit(exchange, with.app, &with.call->responder, std::move(with.headers), with.dialect->api);
  co_await receiving.join();
  with.state->recall.keep(with.call->principal.key_id, exchange->encoder->remembered());
  meter(with.state, *with.app, with.call->principal, with.model, *exchange->result);
}

}  // namespace

Task<> serve_model(std::shared_ptr<FaceState> state, AppContext* app, Call* call, const Dialect* dialect) {
  const std::string& owner = call->principal.key_id;
  const Recall recall = [state, owner](std::string_view id) { return state->recall.find(owner, id); };
  auto request = dialect->decode(call->request.body, recall);
  if (!request) {
    co_await call->responder.send(error_response(request.error(), dialect->api));
    co_return;
  }
  const auto model = resolve_model(app->gateway->provider_names(), request->request.model);
  if (!model) {
    co_await call->responder.send(error_response(face_error(model.error()), dialect->api));
    co_return;
  }
  AnswerHead head = make_head(*app, *request);
  net::Headers headers = answer_headers(head, *request, dialect->api);
  headers.add("Mayfly-Model", *model);
  llm::GatewayCall model_call = make_call(*call, *request, *model);
  if (request->stream) {
    std::shared_ptr<StreamEncoder> encoder = dialect->stream(std::move(head), *request);
    co_await stream_answer({state, app, call, dialect, std::move(headers), *model}, std::move(model_call), std::move(encoder));
    co_return;
  }
  const ModelResult result = co_await app->gateway->complete(std::move(model_call));
  meter(state, *app, call->principal, *model, result);
  if (!result) {
    net::Response response = error_response(face_error(result.error()), dialect->api);
    for (const auto& [name, value] : headers) response.headers.add(name, value);
    co_await call->responder.send(std::move(response));
    co_return;
  }
  Remembered remembered;
  const JsonObject body = dialect->encode(head, result->response, remembered);
  state->recall.keep(owner, remembered);
  co_await call->responder.send(json_answer(std::move(headers), body));
}

}  // namespace mayfly::faces
