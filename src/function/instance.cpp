#include "function/instance.h"

#include <fmt/format.h>

#include <csignal>

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"

namespace mayfly::function {
namespace {

constexpr std::size_t kOutputBytesMax = 1024 * 1024;  // of one invocation, and of all that comes before the first
constexpr Millis kOutputPause{20};                    // between reads of a process that writes more
constexpr Millis kMeasureEvery{250};

double to_ms(std::chrono::nanoseconds duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

Millis round_up(std::chrono::nanoseconds duration) { return std::chrono::ceil<Millis>(duration); }

std::string how_it_ended(const sandbox::ProcessEnd& end) {
  using How = sandbox::ProcessEnd::How;
  if (end.how == How::OutOfMemory) return "Runtime exited with error: signal: killed";
  if (end.how == How::Lost) return "Runtime exited without providing a reason";
  if (end.how == How::Exited && end.code == 0) return "Runtime exited without providing a reason";
  if (end.how == How::Exited) return fmt::format("Runtime exited with error: exit status {}", end.code);
  switch (end.code) {
    case SIGKILL: return "Runtime exited with error: signal: killed";
    case SIGSEGV: return "Runtime exited with error: signal: segmentation fault";
    case SIGABRT: return "Runtime exited with error: signal: aborted";
    case SIGTERM: return "Runtime exited with error: signal: terminated";
    case SIGSYS: return "Runtime exited with error: signal: bad system call (the sandbox forbids it)";
    default: return fmt::format("Runtime exited with error: signal: {}", end.code);
  }
}

}  // namespace

std::string make_uuid(Random& random) {
  const std::uint64_t a = (random.next() & 0xffff'ffff'ffff'0fffull) | 0x4000;
  const std::uint64_t b = (random.next() & 0x3fff'ffff'ffff'ffffull) | 0x8000'0000'0000'0000ull;
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", a >> 32, (a >> 16) & 0xffff, a & 0xffff, b >> 48, b & 0xffff'ffff'ffffull);
}

RuntimeAnswer error_answer(std::string type, std::string message) {
  std::string payload = to_text(JsonObject{{"errorType", type}, {"errorMessage", message}});
  return {.payload = std::move(payload), .content_type = "application/json", .error_type = std::move(type)};
}

/// Kept by its caller, by the instance, and by the timer, until all are done.
struct Instance::Invocation {
  InvocationRequest request;
  std::chrono::nanoseconds started{0}, answered{0};
  std::unique_ptr<Clock::Timer> timer;
  CancelToken::Registration cancel;
  std::optional<Resume<bool>> answer_waiter, finish_waiter;
  std::optional<RuntimeAnswer> answer, forced;
  LogTail tail;
  bool streams = false;         ///< the runtime's answer is being read
  bool was_streamed = false;    ///< pieces went to the caller
  bool cancelled = false;
  bool finished = false;
  std::string status;           ///< of the REPORT line
};

Instance::Instance(InstanceContext context, InstancePlace place, std::string tenant)
    : context_(context), place_(std::move(place)), tenant_(std::move(tenant)), clock_(*context.dependencies->clock) {}

Instance::~Instance() = default;

bool Instance::can_take() const { return state_ == State::Idle && !retired_; }

Task<> Instance::run(std::shared_ptr<Instance> self) {
  self->launched_ = self->clock_.monotonic();
  self->output_budget_ = kOutputBytesMax;
  if (auto launched = co_await self->launch(); !launched) {
    self->state_ = State::Gone;
    if (launched.error().code == "function.invalid_entrypoint") {
      InitFailure failure{.error = error_answer("Runtime.InvalidEntrypoint", launched.error().message), .timed_out = false, .output_tail = {}};
      self->settle_init(std::optional(std::move(failure)));
    } else {
      self->settle_init(fail(launched.error()));
    }
    co_await self->stop_serving();
    co_return;
  }
  TaskGroup tasks(self->context_.dependencies->executor);
  tasks.spawn(self->pump());
  self->process_end_ = co_await self->process_->wait();
  const bool expected = self->killed_by_us_ || self->state_ == State::Ending;
  self->state_ = State::Gone;
  self->ended_.cancel();
  self->kill_timer_.reset();
  co_await tasks.join();
  if (!expected) ++self->context_.counters->crashes;
  InitFailure failure{.error = self->crash_answer({}), .timed_out = false, .output_tail = self->init_tail_.text()};
  self->settle_init(std::optional(std::move(failure)));
  if (const auto current = self->current_; current && !current->answer) self->force(current, self->crash_answer(current->request.request_id));
  co_await self->stop_serving();
  self->finish();
  self->context_.log->flush(self->place_.revision->config.name);
}

Task<Result<void>> Instance::launch() {
  auto plan = plan_instance(place_, *context_.options);
  if (!plan) co_return fail(plan.error());
  auto& sandbox = *context_.dependencies->sandbox;
  if (plan->zygote) {
    context_.use_zygote(plan->zygote->name);
    if (auto ready = co_await sandbox.add_zygote(std::move(*plan->zygote)); !ready) {
      log::debug("no zygote; the interpreter is started anew", {{"function", place_.revision->config.name}, {"error", ready.error().message}});
      plan->spec.zygote.clear();
    }
  }
  if (state_ == State::Ending) co_return fail("function.stopping", "Mayfly is stopping; send the request again later.", Retry::Safe);
  auto process = co_await sandbox.launch(plan->spec);
  if (!process && process.error().code == "sandbox.no_zygote") {
    plan->spec.zygote.clear();
    process = co_await sandbox.launch(plan->spec);
  }
  if (!process) {
    const bool package = process.error().code == "sandbox.exec" && (plan->language == Language::Native || plan->language == Language::Http);
    if (package) co_return fail("function.invalid_entrypoint", process.error().message);
    co_return fail(process.error());
  }
  process_ = std::move(*process);
  if (auto serving = serve(*plan); !serving) {
    process_->kill();
    (void)co_await process_->wait();
    co_return fail(serving.error());
  }
  if (state_ == State::Ending) process_->kill();
  co_return Result<void>{};
}

Result<void> Instance::serve(const InstancePlan& plan) {
  const auto listeners = process_->take_listeners();
  MAYFLY_ASSERT(listeners.size() == plan.spec.listen.size(), "the sandbox gives the listeners it was asked for");
  const Executor executor = context_.dependencies->executor;
  if (plan.has_proxy) {
    net::EgressProxyOptions options{.listener_fd = listeners[1].fd, .allow = plan.allow};
    options.on_connection = [this](std::string_view host, std::uint16_t port, net::EgressProxyOptions::Verdict verdict) {
      if (verdict == net::EgressProxyOptions::Verdict::Allowed) return;
      log_platform(fmt::format("[mayfly] no connection to {}:{}: the function's egress does not allow it", host, port),
                   current_ ? &current_->tail : &init_tail_);
    };
    proxy_ = net::make_egress_proxy(executor, clock_, *context_.resolve, std::move(options));
  }
  const InstanceIdentity identity{.function = place_.revision->config.name, .revision = place_.revision->number, .instance = place_.id};
  net::Handler platform;
  if (const auto& serve = context_.dependencies->platform) {
    platform = [serve, identity](net::Request& request, net::Responder& responder) { return serve(identity, request, responder); };
  }
  const RuntimeApiOptions limits{.payload_bytes_max = context_.options->payload_bytes_max, .stream_bytes_max = context_.options->stream_bytes_max};
  RuntimeApiListener& listener = *this;
  api_ = std::make_unique<RuntimeApi>(executor, clock_, listeners[0].fd, limits, listener, std::move(platform));
  if (auto listening = api_->listen(); !listening) return listening;
  if (proxy_) {
    if (auto listening = proxy_->listen(); !listening) {
      proxy_.reset();
      return listening;
    }
  }
  return {};
}

Task<> Instance::stop_serving() {
  if (api_) co_await api_->stop();
  if (proxy_) co_await proxy_->stop();
}

Task<> Instance::pump() {
  const auto take = [this](std::string_view line) { log_output(line); };
  for (;;) {
    const std::string bytes = co_await process_->read_output();
    if (bytes.empty()) break;
    splitter_.feed(bytes, take);
    // Whoever writes without end is read slowly, which holds it back, and only it.
    if (output_budget_ == 0) co_await sleep_for(clock_, kOutputPause, ended_.token());
  }
  splitter_.finish(take);
}

void Instance::log_output(std::string_view line) {
  if (output_budget_ < line.size() + 1) {
    if (output_dropped_ == 0) {
      log_platform(fmt::format("[mayfly] more than {} bytes of output in one invocation: the rest is left out", kOutputBytesMax), nullptr);
    }
    output_budget_ = 0;
    output_dropped_ += line.size() + 1;
    return;
  }
  output_budget_ -= line.size() + 1;
  log_platform(line, current_ ? &current_->tail : invocations_ == 0 ? &init_tail_ : nullptr);
}

void Instance::log_platform(std::string_view line, LogTail* tail) {
  context_.log->line(place_.revision->config.name, clock_.now(), place_.id, line);
  if (tail) tail->add(line);
}

// ---- Start

Task<Result<std::optional<InitFailure>>> Instance::started(Millis limit, Phase phase) {
  const auto self = shared_from_this();
  phase_ = phase;
  if (!init_outcome_) {
    init_timer_ = clock_.call_after(limit, [this] { on_init_limit(); });
    co_await suspend<bool>([this](Resume<bool> resume) { init_waiter_ = std::move(resume); });
  }
  auto outcome = *init_outcome_;
  if (!outcome || *outcome) end(Millis{0});
  co_return outcome;
}

void Instance::on_init_limit() {
  const double seconds = to_ms(clock_.monotonic() - launched_) / 1000;
  InitFailure failure{.error = error_answer("Sandbox.Timedout", fmt::format("Task timed out after {:.2f} seconds", seconds)),
                      .timed_out = true,
                      .output_tail = init_tail_.text()};
  ++context_.counters->timeouts;
  killed_by_us_ = true;
  settle_init(std::optional(std::move(failure)));
}

void Instance::settle_init(Result<std::optional<InitFailure>> outcome) {
  if (init_outcome_) return;
  init_timer_.reset();
  init_ = round_up(clock_.monotonic() - launched_);
  if (outcome && *outcome) log_platform(init_report(outcome), nullptr);
  init_outcome_ = std::move(outcome);
  if (auto waiter = std::exchange(init_waiter_, std::nullopt)) (*waiter)(true);
}

std::string Instance::init_report(const Result<std::optional<InitFailure>>& outcome) const {
  const InitFailure& failure = **outcome;
  return fmt::format("INIT_REPORT Init Duration: {:.2f} ms\tPhase: {}\tStatus: {}\tError Type: {}", to_ms(clock_.monotonic() - launched_),
                     phase_ == Phase::Init ? "init" : "invoke", failure.timed_out ? "timeout" : "error", failure.error.error_type);
}

void Instance::on_init_error(RuntimeAnswer answer) {
  killed_by_us_ = true;
  InitFailure failure{.error = std::move(answer), .timed_out = false, .output_tail = init_tail_.text()};
  settle_init(std::optional(std::move(failure)));
}

// ---- Invocations

Task<Result<InvocationResult>> Instance::invoke(InvocationRequest request, bool cold) {
  const auto self = shared_from_this();
  MAYFLY_ASSERT(state_ == State::Idle && !current_, "an invocation goes to an idle process");
  const auto invocation = std::make_shared<Invocation>();
  invocation->request = std::move(request);
  begin(invocation);
  if (!invocation->answer) {
    co_await suspend<bool>([&](Resume<bool> resume) { invocation->answer_waiter = std::move(resume); });
  }
  if (invocation->request.want_log_tail && !invocation->finished) {
    co_await suspend<bool>([&](Resume<bool> resume) { invocation->finish_waiter = std::move(resume); });
  }
  invocation->cancel.reset();
  if (invocation->cancelled) co_return fail("function.cancelled", "Nobody waited for the answer any more, so the invocation was ended.");
  InvocationResult result = result_of(*invocation, cold);
  const auto& to = invocation->request;
  if (to.on_stream && !invocation->was_streamed && result.function_error.empty()) {
    const std::string content_type = invocation->answer->content_type;
    if (co_await to.on_stream_start(content_type)) co_await to.on_stream(std::exchange(result.payload, {}));
  }
  co_return result;
}

void Instance::begin(const std::shared_ptr<Invocation>& invocation) {
  state_ = State::Busy;
  current_ = invocation;
  ++invocations_;
  output_budget_ = kOutputBytesMax;
  output_dropped_ = 0;
  const InvocationRequest& request = invocation->request;
  log_platform(fmt::format("START RequestId: {} Version: {}", request.request_id, place_.version), &invocation->tail);
  invocation->started = clock_.monotonic();
  const std::weak_ptr<Instance> weak = weak_from_this();
  invocation->timer = clock_.call_after(place_.revision->config.timeout, [weak] {
    if (const auto self = weak.lock(); self && self->current_) self->on_timeout(self->current_);
  });
  invocation->cancel = request.cancel.on_cancel([weak] {
    const auto self = weak.lock();
    if (!self || !self->current_ || self->current_->answer) return;
    self->current_->cancelled = true;
    self->current_->status = "error";
    self->force(self->current_, error_answer("Sandbox.Cancelled", "nobody waits for the answer any more"));
  });
  if (!invocation->answer) api_->deliver(make_event(request));
}

std::shared_ptr<RuntimeEvent> Instance::make_event(const InvocationRequest& request) const {
  auto event = std::make_shared<RuntimeEvent>();
  event->request_id = request.request_id;
  event->payload = request.payload.empty() ? "null" : request.payload;
  auto& headers = event->headers;
  headers.add("Content-Type", "application/json");
  headers.add("Lambda-Runtime-Aws-Request-Id", request.request_id);
  headers.add("Lambda-Runtime-Deadline-Ms", std::to_string(to_unix_ms(clock_.now() + place_.revision->config.timeout)));
  headers.add("Lambda-Runtime-Invoked-Function-Arn", request.invoked_arn);
  if (!request.trace_header.empty()) headers.add("Lambda-Runtime-Trace-Id", request.trace_header);
  if (!request.tenant_id.empty()) headers.add("Lambda-Runtime-Aws-Tenant-Id", request.tenant_id);
  if (!request.client_context.empty()) {
    // Callers send base64; runtimes expect the JSON in it, on one line.
    if (const auto decoded = from_base64(request.client_context)) {
      if (const auto document = parse_json(*decoded)) headers.add("Lambda-Runtime-Client-Context", to_text(*document));
    }
  }
  return event;
}

void Instance::on_timeout(const std::shared_ptr<Invocation>& invocation) {
  const double seconds = to_ms(place_.revision->config.timeout) / 1000;
  const std::string text =
      fmt::format("{} {} Task timed out after {:.2f} seconds", to_rfc3339(clock_.now()), invocation->request.request_id, seconds);
  log_platform(text, &invocation->tail);
  ++context_.counters->timeouts;
  invocation->status = "timeout";
  force(invocation, error_answer("Sandbox.Timedout", text));
}

void Instance::force(const std::shared_ptr<Invocation>& invocation, RuntimeAnswer answer) {
  killed_by_us_ = true;
  if (!invocation->answer) {
    // A streamed answer is still in the caller's hands: its end, which the kill brings about, settles it.
    if (invocation->streams) {
      if (!invocation->forced) invocation->forced = std::move(answer);
      if (invocation->was_streamed && invocation->request.abort_stream) invocation->request.abort_stream();
    } else {
      settle(invocation, std::move(answer));
    }
  }
  if (process_ && state_ != State::Gone) {
    state_ = State::Ending;
    process_->kill();
  }
}

void Instance::settle(const std::shared_ptr<Invocation>& invocation, RuntimeAnswer answer) {
  if (invocation->answer) return;
  invocation->answered = clock_.monotonic();
  invocation->answer = std::move(answer);
  if (state_ == State::Busy) state_ = State::Finishing;
  if (auto waiter = std::exchange(invocation->answer_waiter, std::nullopt)) (*waiter)(true);
}

InvocationResult Instance::result_of(Invocation& invocation, bool cold) {
  RuntimeAnswer& answer = *invocation.answer;
  if (memory_peak_ == 0) measure();
  const auto duration = invocation.answered - invocation.started;
  InvocationResult result;
  result.payload = std::move(answer.payload);
  result.error_type = answer.error_type;
  result.function_error = answer.error_type.empty() ? "" : "Unhandled";
  result.request_id = invocation.request.request_id;
  result.cold = cold;
  result.duration = std::chrono::round<Millis>(duration);
  result.init = cold ? init_ : Millis{0};
  result.billed = round_up(duration) + result.init;
  result.memory_peak_bytes = memory_peak_;
  if (invocation.request.want_log_tail) result.log_tail = invocation.tail.text();
  return result;
}

void Instance::measure() {
  if (!process_ || state_ == State::Gone) return;
  measured_ = clock_.monotonic();
  memory_peak_ = std::max(memory_peak_, process_->usage().memory_bytes_peak);
}

/// The process asks for more, or is gone: what it wrote before belongs to the invocation that ends here.
void Instance::finish() {
  const auto invocation = std::exchange(current_, nullptr);
  if (!invocation) return;
  invocation->timer.reset();
  if (clock_.monotonic() - measured_ >= kMeasureEvery) measure();
  const auto& id = invocation->request.request_id;
  const auto duration = invocation->answered - invocation->started;
  const bool cold = invocations_ == 1;
  const std::string init = cold ? fmt::format("\tInit Duration: {:.2f} ms", to_ms(init_)) : "";
  const std::string status = invocation->status.empty() ? "" : "\tStatus: " + invocation->status;
  if (output_dropped_ > 0) log_platform(fmt::format("[mayfly] {} bytes of output were left out", output_dropped_), nullptr);
  log_platform("END RequestId: " + id, &invocation->tail);
  log_platform(fmt::format("REPORT RequestId: {}\tDuration: {:.2f} ms\tBilled Duration: {} ms\tMemory Size: {} MB\tMax Memory Used: {} MB{}{}", id,
                           to_ms(duration), (round_up(duration) + (cold ? init_ : Millis{0})).count(), place_.revision->config.memory_mb,
                           (memory_peak_ + (1 << 20) - 1) >> 20, init, status),
               &invocation->tail);
  context_.log->flush(place_.revision->config.name);
  invocation->finished = true;
  if (auto waiter = std::exchange(invocation->finish_waiter, std::nullopt)) (*waiter)(true);
}

RuntimeAnswer Instance::crash_answer(const std::string& request_id) const {
  const bool memory = process_end_->how == sandbox::ProcessEnd::How::OutOfMemory;
  const std::string how = how_it_ended(*process_end_);
  return error_answer(memory ? "Runtime.OutOfMemory" : "Runtime.ExitError",
                      request_id.empty() ? "Error: " + how : fmt::format("RequestId: {} Error: {}", request_id, how));
}

// ---- What the runtime does

void Instance::on_next() {
  if (state_ == State::Starting) {
    state_ = State::Idle;
    settle_init(std::optional<InitFailure>());
    return;
  }
  finish();
  if (state_ != State::Finishing && state_ != State::Idle) return;
  state_ = State::Idle;
  if (retired_) return end(context_.options->grace);
  context_.owner->on_ready(*this);
}

void Instance::on_answer(RuntimeAnswer answer) {
  const auto invocation = current_;
  if (!invocation) return;
  invocation->streams = false;
  if (invocation->forced) answer = std::move(*invocation->forced);
  if (!answer.error_type.empty() && invocation->status.empty()) invocation->status = "error";
  settle(invocation, std::move(answer));
}

bool Instance::on_stream_begin() {
  if (!current_ || current_->answer) return false;
  current_->streams = true;
  return static_cast<bool>(current_->request.on_stream);
}

Task<bool> Instance::on_stream_start(std::string content_type) {
  const auto invocation = current_;
  if (!invocation || invocation->forced) co_return false;
  invocation->was_streamed = true;
  co_return co_await invocation->request.on_stream_start(std::move(content_type));
}

Task<bool> Instance::on_stream(std::string bytes) {
  const auto invocation = current_;
  if (!invocation || invocation->forced) co_return false;
  co_return co_await invocation->request.on_stream(std::move(bytes));
}

void Instance::on_violation(std::string_view what) {
  log_platform(fmt::format("[mayfly] the runtime broke the Runtime API's protocol: {}", what), current_ ? &current_->tail : nullptr);
}

// ---- End

void Instance::retire() {
  retired_ = true;
  if (state_ == State::Idle) end(context_.options->grace);
}

void Instance::end(Millis grace) {
  retired_ = true;
  if (state_ == State::Gone) return;
  killed_by_us_ = true;
  const bool first = state_ != State::Ending;
  state_ = State::Ending;
  if (!process_) return;
  if (grace <= Millis{0}) return process_->kill();
  if (!first) return;
  process_->terminate();
  kill_timer_ = clock_.call_after(grace, [this] {
    if (state_ != State::Gone) process_->kill();
  });
}

InstanceInfo Instance::info() const {
  InstanceInfo out{.id = place_.id, .function = place_.revision->config.name, .revision = place_.revision->number, .started = place_.started};
  switch (state_) {
    case State::Starting: out.state = "starting"; break;
    case State::Idle: out.state = "idle"; break;
    case State::Busy:
    case State::Finishing: out.state = "busy"; break;
    case State::Ending:
    case State::Gone: out.state = "ending"; break;
  }
  if (process_ && state_ != State::Gone) {
    out.pid = process_->pid();
    out.memory_bytes = process_->usage().memory_bytes;
  }
  out.invocations = invocations_;
  return out;
}

}  // namespace mayfly::function
