#include "function/supervisor.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "function/instance_pools.h"

namespace mayfly::function {
namespace {

/// A process that has answered asks for its next event within a millisecond or so; waiting for it beats a cold start.
constexpr Millis kFinishingWait{25};
/// Each holds an interpreter and its modules; the one used longest ago goes.
constexpr std::size_t kZygotesMax = 8;

class ProcessSupervisor final : public Supervisor, private InstanceOwner {
 public:
  ProcessSupervisor(SupervisorDependencies dependencies, SupervisorOptions options)
      : dependencies_(std::move(dependencies)),
        options_(std::move(options)),
        clock_(*dependencies_.clock),
        resolve_(net::make_name_resolver(dependencies_.executor, clock_)),
        log_(FunctionLogOptions{.directory = options_.log_directory}),
        tasks_(dependencies_.executor) {}

  Task<Result<InvocationResult>> invoke(InvocationRequest request) override;
  void warm(std::shared_ptr<const FunctionRevision> function, std::string version) override;
  void changed(const std::string& function, std::int64_t revision) override;
  std::vector<InstanceInfo> instances() const override;
  SupervisorCounters counters() const override;
  Task<std::vector<std::string>> log(std::string function, std::size_t lines_max) override { co_return log_.last(function, lines_max); }
  Task<> stop(Millis grace) override;

 private:
  struct Start {
    std::shared_ptr<Instance> instance;    ///< idle, or null
    std::optional<InitFailure> failure;
  };
  struct Admission;

  Result<void> admit(const std::string& function);
  Task<Result<InvocationResult>> run(InvocationRequest request, PoolKey key);
  Task<std::shared_ptr<Instance>> wait_for_finishing(PoolKey key);
  Result<void> make_room();
  std::shared_ptr<Instance> launch(std::shared_ptr<const FunctionRevision> revision, std::string version, std::string tenant, std::string type);
  Task<Result<Start>> start_cold(InvocationRequest request);
  Task<> start_provisioned(std::shared_ptr<Instance> instance);
  InvocationResult failed_init(const InvocationRequest& request, const InitFailure& failure, std::chrono::nanoseconds since);
  Task<> live(std::shared_ptr<Instance> instance);
  void on_ready(Instance& instance) override;
  void use_zygote(const std::string& name);
  void arm_reaper();
  void reap();
  std::int64_t provisioned(const std::string& function, const std::string& version) const;

  SupervisorDependencies dependencies_;
  SupervisorOptions options_;
  Clock& clock_;
  net::ResolveName resolve_;
  FunctionLog log_;
  InstancePools pools_;
  SupervisorCounters counters_;
  std::map<std::string, std::int64_t> busy_by_function_;
  std::int64_t busy_ = 0;
  std::vector<std::string> zygotes_;  ///< used last: at the end
  std::unique_ptr<Clock::Timer> reaper_;
  std::unique_ptr<Clock::Timer> stop_timer_;
  bool stopping_ = false;
  TaskGroup tasks_;
};

std::unexpected<Error> stopping_error() {
  return fail("function.stopping", "Mayfly is stopping; send the request again when it is back.", Retry::Safe);
}

/// Counts one invocation as long as it lives.
struct ProcessSupervisor::Admission {
  Admission(ProcessSupervisor& the_supervisor, std::string the_function) : supervisor(the_supervisor), function(std::move(the_function)) {
    ++supervisor.busy_;
    ++supervisor.busy_by_function_[function];
  }
  ~Admission() {
    --supervisor.busy_;
    if (--supervisor.busy_by_function_[function] == 0) supervisor.busy_by_function_.erase(function);
  }
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;
  ProcessSupervisor& supervisor;
  std::string function;
};

Result<void> ProcessSupervisor::admit(const std::string& function) {
  if (stopping_) return stopping_error();
  std::string why;
  const auto settings = dependencies_.concurrency ? dependencies_.concurrency(function) : ConcurrencySettings{};
  const auto busy = busy_by_function_.find(function);
  if (settings.reserved && (busy == busy_by_function_.end() ? 0 : busy->second) >= *settings.reserved) {
    why = fmt::format("Rate Exceeded: {} has a reserved concurrency of {}; try again later or raise it.", function, *settings.reserved);
  } else if (busy_ >= options_.concurrency_max) {
    why = fmt::format("Rate Exceeded: {} invocations run already, which is the limit of this server; try again later.", busy_);
  }
  if (why.empty()) return {};
  ++counters_.throttles;
  return fail("function.throttled", std::move(why), Retry::Safe);
}

Task<Result<InvocationResult>> ProcessSupervisor::invoke(InvocationRequest request) {
  if (request.payload.size() > options_.payload_bytes_max) {
    co_return fail("function.payload_too_large",
                   fmt::format("{} byte payload is too large; at most {} bytes can be sent to a function. Store the data and send its name.",
                               request.payload.size(), options_.payload_bytes_max));
  }
  const FunctionRevision& revision = *request.function;
  if (auto admitted = admit(revision.config.name); !admitted) co_return fail(admitted.error());
  const Admission admission(*this, revision.config.name);
  ++counters_.invocations;
  if (request.request_id.empty()) request.request_id = make_uuid(*dependencies_.random);
  if (request.version.empty()) request.version = std::string(kLatest);
  if (request.invoked_arn.empty()) request.invoked_arn = function_arn(revision.config.name);
  PoolKey key{revision.config.name, revision.number, request.version, request.tenant_id};
  auto result = co_await run(std::move(request), std::move(key));
  if (result && !result->function_error.empty()) ++counters_.errors;
  if (stopping_ && result && result->error_type == "Runtime.ExitError") co_return stopping_error();
  co_return result;
}

Task<Result<InvocationResult>> ProcessSupervisor::run(InvocationRequest request, PoolKey key) {
  auto instance = pools_.take(key);
  if (!instance) instance = co_await wait_for_finishing(key);
  if (instance) co_return co_await instance->invoke(std::move(request), false);
  if (stopping_) co_return stopping_error();
  const auto since = clock_.monotonic();
  warm(request.function, request.version);
  auto start = co_await start_cold(request);
  if (!start) co_return fail(start.error());
  if (stopping_) {
    if (start->instance) start->instance->end(Millis{0});
    co_return stopping_error();
  }
  if (start->failure) co_return failed_init(request, *start->failure, since);
  if (request.cancel.cancelled()) {
    on_ready(*start->instance);
    co_return fail("function.cancelled", "Nobody waited for the answer any more, so the invocation was not begun.");
  }
  co_return co_await start->instance->invoke(std::move(request), true);
}

Task<std::shared_ptr<Instance>> ProcessSupervisor::wait_for_finishing(PoolKey key) {
  auto* pool = pools_.find(key);
  if (!pool || InstancePools::finishing(*pool) <= pool->waiters.size()) co_return nullptr;
  InstancePools::Waiter waiter;
  pool->waiters.push_back(&waiter);
  const auto timer = clock_.call_after(kFinishingWait, [&waiter] {
    if (auto resume = std::exchange(waiter.resume, std::nullopt)) (*resume)(false);
  });
  co_await suspend<bool>([&waiter](Resume<bool> resume) { waiter.resume = std::move(resume); });
  if ((pool = pools_.find(key))) std::erase(pool->waiters, &waiter);
  auto got = std::move(waiter.got);
  if (got && !got->can_take()) got = nullptr;
  co_return got;
}

/// Room for one more process on this node, if need be by ending one that rests.
Result<void> ProcessSupervisor::make_room() {
  if (pools_.size() < options_.instances_max || pools_.living() < options_.instances_max) return {};
  if (Instance* victim = pools_.oldest_idle()) {
    pools_.forget_idle(*victim);
    ++counters_.reaped;
    victim->end(Millis{0});
    return {};
  }
  ++counters_.throttles;
  return fail("function.throttled",
              fmt::format("Rate Exceeded: all {} processes of this node are busy; try again later or raise the limit.", options_.instances_max),
              Retry::Safe);
}

std::shared_ptr<Instance> ProcessSupervisor::launch(std::shared_ptr<const FunctionRevision> revision, std::string version, std::string tenant,
                                                    std::string type) {
  InstanceContext context{.dependencies = &dependencies_, .options = &options_, .log = &log_, .owner = this, .counters = &counters_,
                          .resolve = &resolve_,
                          .use_zygote = [this](const std::string& name) { use_zygote(name); }};
  InstancePlace place{.id = fmt::format("fn-{:016x}", dependencies_.random->next()),
                      .revision = std::move(revision),
                      .version = std::move(version),
                      .initialization = std::move(type),
                      .started = clock_.now()};
  auto instance = std::make_shared<Instance>(context, std::move(place), std::move(tenant));
  pools_.add(instance);
  ++counters_.cold_starts;
  tasks_.spawn(live(instance));
  return instance;
}

Task<> ProcessSupervisor::live(std::shared_ptr<Instance> instance) {
  co_await Instance::run(instance);
  pools_.remove(instance);
}

/// As Lambda does: a failed initialisation is tried once more, within the invocation and its timeout.
Task<Result<ProcessSupervisor::Start>> ProcessSupervisor::start_cold(InvocationRequest request) {
  Start start;
  for (const auto phase : {Instance::Phase::Init, Instance::Phase::Invoke}) {
    if (auto room = make_room(); !room) co_return fail(room.error());
    const auto instance = launch(request.function, request.version, request.tenant_id, "on-demand");
    const Millis limit = phase == Instance::Phase::Init ? options_.init_timeout : Millis(request.function->config.timeout);
    auto outcome = co_await instance->started(limit, phase);
    if (!outcome) co_return fail(outcome.error());
    if (!*outcome) {
      start.instance = instance;
      start.failure.reset();
      co_return start;
    }
    start.failure = std::move(*outcome);
    if (stopping_ || request.cancel.cancelled()) break;
  }
  co_return start;
}

InvocationResult ProcessSupervisor::failed_init(const InvocationRequest& request, const InitFailure& failure, std::chrono::nanoseconds since) {
  const auto& config = request.function->config;
  const auto duration = clock_.monotonic() - since;
  const auto billed = std::chrono::ceil<Millis>(duration);
  LogTail tail;
  const auto line = [&](const std::string& text) {
    log_.line(config.name, clock_.now(), "-", text);
    tail.add(text);
  };
  InvocationResult result{.payload = failure.error.payload, .function_error = "Unhandled", .error_type = failure.error.error_type};
  if (failure.timed_out) {
    const std::string text = fmt::format("{} {} Task timed out after {:.2f} seconds", to_rfc3339(clock_.now()), request.request_id,
                                         std::chrono::duration<double>(config.timeout).count());
    result.payload = to_text(JsonObject{{"errorType", result.error_type}, {"errorMessage", text}});
  } else if (result.error_type.starts_with("Runtime.") && failure.error.payload.find("\"Error: ") != std::string::npos) {
    if (auto document = parse_json(failure.error.payload); document && document->is_object()) {
      auto& object = document->get_object();
      object["errorMessage"] = fmt::format("RequestId: {} {}", request.request_id, get_string(object, "errorMessage"));
      result.payload = to_text(object);
    }
  }
  if (!failure.output_tail.empty()) tail.add(std::string_view(failure.output_tail).substr(0, failure.output_tail.size() - 1));
  line(fmt::format("START RequestId: {} Version: {}", request.request_id, request.version));
  line("END RequestId: " + request.request_id);
  line(fmt::format("REPORT RequestId: {}\tDuration: {:.2f} ms\tBilled Duration: {} ms\tMemory Size: {} MB\tStatus: {}\tError Type: {}",
                   request.request_id, std::chrono::duration<double, std::milli>(duration).count(), billed.count(), config.memory_mb,
                   failure.timed_out ? "timeout" : "error", result.error_type));
  log_.flush(config.name);
  result.request_id = request.request_id;
  if (request.want_log_tail) result.log_tail = tail.text();
  result.cold = true;
  result.duration = std::chrono::round<Millis>(duration);
  result.billed = billed;
  return result;
}

void ProcessSupervisor::on_ready(Instance& instance) {
  if (stopping_ || instance.retired()) return instance.end(options_.grace);
  pools_.make_idle(instance, clock_.monotonic());
  if (!reaper_) arm_reaper();
}

void ProcessSupervisor::use_zygote(const std::string& name) {
  std::erase(zygotes_, name);
  zygotes_.push_back(name);
  if (zygotes_.size() <= kZygotesMax) return;
  dependencies_.sandbox->remove_zygote(zygotes_.front());
  zygotes_.erase(zygotes_.begin());
}

// ---- Provisioned concurrency

std::int64_t ProcessSupervisor::provisioned(const std::string& function, const std::string& version) const {
  if (!dependencies_.concurrency) return 0;
  const auto settings = dependencies_.concurrency(function);
  const auto found = settings.provisioned.find(version);
  return found == settings.provisioned.end() ? 0 : found->second;
}

void ProcessSupervisor::warm(std::shared_ptr<const FunctionRevision> function, std::string version) {
  const std::int64_t wanted = provisioned(function->config.name, version);
  const PoolKey key{function->config.name, function->number, version, ""};
  if (wanted <= 0) {
    if (auto* pool = pools_.find(key)) pool->provisioned = 0;
    return;
  }
  auto* pool = pools_.find(key);
  if (pool) pool->provisioned = wanted;
  for (auto missing = wanted - (pool ? static_cast<std::int64_t>(pool->all.size()) : 0); missing > 0 && !stopping_; --missing) {
    if (!make_room()) return;
    tasks_.spawn(start_provisioned(launch(function, version, "", "provisioned-concurrency")));
    if ((pool = pools_.find(key))) pool->provisioned = wanted;
  }
}

Task<> ProcessSupervisor::start_provisioned(std::shared_ptr<Instance> instance) {
  const auto outcome = co_await instance->started(options_.init_timeout, Instance::Phase::Init);
  if (outcome && !*outcome) on_ready(*instance);
}

// ---- Ends

void ProcessSupervisor::arm_reaper() {
  const Instance* oldest = pools_.oldest_idle();
  if (!oldest) {
    reaper_ = nullptr;
    return;
  }
  const auto due = oldest->idle_since + options_.idle_timeout - clock_.monotonic();
  reaper_ = clock_.call_after(std::max(Millis{1}, std::chrono::ceil<Millis>(due)), [this] { reap(); });
}

void ProcessSupervisor::reap() {
  while (Instance* oldest = pools_.oldest_idle()) {
    if (oldest->idle_since + options_.idle_timeout > clock_.monotonic()) break;
    pools_.forget_idle(*oldest);
    ++counters_.reaped;
    oldest->end(options_.grace);
  }
  arm_reaper();
}

void ProcessSupervisor::changed(const std::string& function, std::int64_t revision) {
  std::vector<std::shared_ptr<Instance>> old;
  pools_.for_each([&](const PoolKey& key, Instance& instance) {
    // What a published version runs stays as it is; only $LATEST moved on.
    const bool moved_on = revision == 0 || (key.version == kLatest && key.revision != revision);
    if (key.function == function && moved_on) old.push_back(instance.shared_from_this());
  });
  for (const auto& instance : old) {
    pools_.forget_idle(*instance);
    instance->retire();
  }
}

std::vector<InstanceInfo> ProcessSupervisor::instances() const {
  std::vector<InstanceInfo> out;
  pools_.for_each([&](const PoolKey&, Instance& instance) { out.push_back(instance.info()); });
  return out;
}

SupervisorCounters ProcessSupervisor::counters() const {
  SupervisorCounters out = counters_;
  out.instances = pools_.size();
  out.busy = static_cast<std::size_t>(busy_);
  return out;
}

Task<> ProcessSupervisor::stop(Millis grace) {
  stopping_ = true;
  reaper_.reset();
  std::vector<std::shared_ptr<Instance>> all;
  pools_.for_each([&](const PoolKey&, Instance& instance) { all.push_back(instance.shared_from_this()); });
  for (const auto& instance : all) {
    pools_.forget_idle(*instance);
    const bool busy = instance->state() == Instance::State::Busy || instance->state() == Instance::State::Finishing;
    if (busy && grace > Millis{0}) {
      instance->retire();
    } else {
      instance->end(std::min(grace, options_.grace));
    }
  }
  if (grace > Millis{0}) {
    stop_timer_ = clock_.call_after(grace, [this] {
      pools_.for_each([](const PoolKey&, Instance& instance) { instance.end(Millis{0}); });
    });
  }
  all.clear();
  co_await tasks_.join();
  stop_timer_.reset();
}

}  // namespace

std::unique_ptr<Supervisor> make_supervisor(SupervisorDependencies dependencies, SupervisorOptions options) {
  return std::make_unique<ProcessSupervisor>(std::move(dependencies), std::move(options));
}

}  // namespace mayfly::function
