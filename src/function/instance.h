#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "function/function_log.h"
#include "function/instance_plan.h"
#include "function/runtime_api.h"
#include "function/supervisor.h"
#include "net/egress_proxy.h"

namespace mayfly::function {

class Instance;

/// Who keeps instances. Called on the loop; may destroy nothing.
class InstanceOwner {
 public:
  virtual ~InstanceOwner() = default;
  /// Can take an invocation (again). Not called for the first time: that is `Instance::started`'s answer.
  virtual void on_ready(Instance& instance) = 0;
};

struct InstanceContext {
  const SupervisorDependencies* dependencies = nullptr;
  const SupervisorOptions* options = nullptr;
  FunctionLog* log = nullptr;
  InstanceOwner* owner = nullptr;
  SupervisorCounters* counters = nullptr;
  const net::ResolveName* resolve = nullptr;  ///< for the egress proxies
  std::function<void(const std::string& name)> use_zygote;
};

/// Why a process did not get as far as its first event; the function's fault.
struct InitFailure {
  RuntimeAnswer error;
  bool timed_out = false;
  std::string output_tail;
};

/// One process of a function, from launch to end. `run` must be spawned; it keeps the instance alive.
class Instance final : public std::enable_shared_from_this<Instance>, private RuntimeApiListener {
 public:
  enum class State { Starting, Idle, Busy, Finishing, Ending, Gone };
  enum class Phase { Init, Invoke };  ///< where AWS counts an initialisation: before the first invocation, or retried within it

  Instance(InstanceContext context, InstancePlace place, std::string tenant);
  ~Instance() override;

  /// The whole life; returns when nothing of the process is left.
  static Task<> run(std::shared_ptr<Instance> self);

  /// Until it is Idle. Nothing: it is. The Result's errors are ours; the process ends on any failure. Once.
  Task<Result<std::optional<InitFailure>>> started(Millis limit, Phase phase);

  /// Only when Idle (or, with a capacity above one, when `can_take`). Errors: `function.cancelled`, `function.stopping`.
  Task<Result<InvocationResult>> invoke(InvocationRequest request, bool cold);

  /// SIGTERM, and SIGKILL after `grace`; at once with none. Idempotent; an invocation under way fails.
  void end(Millis grace);
  /// Like `end`, when it is next idle.
  void retire();

  State state() const { return state_; }
  bool can_take() const;
  bool retired() const { return retired_; }
  const InstancePlace& place() const { return place_; }
  const std::string& tenant() const { return tenant_; }
  InstanceInfo info() const;
  std::chrono::nanoseconds idle_since{0};

 private:
  struct Invocation;
  struct Wait;

  Task<Result<void>> launch();
  Result<void> serve(const InstancePlan& plan);
  Task<> stop_serving();
  Task<> pump();
  void log_output(std::string_view line);
  void log_platform(std::string_view line, LogTail* tail);
  void settle_init(Result<std::optional<InitFailure>> outcome);
  void on_init_limit();
  std::string init_report(const Result<std::optional<InitFailure>>& outcome) const;

  std::shared_ptr<RuntimeEvent> make_event(const InvocationRequest& request) const;
  void begin(const std::shared_ptr<Invocation>& invocation);
  void on_timeout(const std::shared_ptr<Invocation>& invocation);
  void settle(const std::shared_ptr<Invocation>& invocation, RuntimeAnswer answer);
  void force(const std::shared_ptr<Invocation>& invocation, RuntimeAnswer answer);
  void finish();
  InvocationResult result_of(Invocation& invocation, bool cold);
  void measure();
  RuntimeAnswer crash_answer(const std::string& request_id) const;

  void on_next() override;
  void on_init_error(RuntimeAnswer answer) override;
  void on_answer(RuntimeAnswer answer) override;
  bool on_stream_begin() override;
  Task<bool> on_stream_start(std::string content_type) override;
  Task<bool> on_stream(std::string bytes) override;
  void on_violation(std::string_view what) override;

  InstanceContext context_;
  InstancePlace place_;
  std::string tenant_;
  Clock& clock_;
  State state_ = State::Starting;
  bool retired_ = false;
  bool killed_by_us_ = false;
  std::unique_ptr<sandbox::SandboxProcess> process_;
  std::unique_ptr<RuntimeApi> api_;
  std::unique_ptr<net::EgressProxy> proxy_;
  std::unique_ptr<Clock::Timer> kill_timer_;
  CancelSource ended_;
  std::optional<sandbox::ProcessEnd> process_end_;

  std::chrono::nanoseconds launched_{0};
  Millis init_{0};
  Phase phase_ = Phase::Init;
  std::unique_ptr<Clock::Timer> init_timer_;
  std::optional<Resume<bool>> init_waiter_;
  std::optional<Result<std::optional<InitFailure>>> init_outcome_;

  std::shared_ptr<Invocation> current_;
  LineSplitter splitter_;
  LogTail init_tail_;
  std::size_t output_budget_ = 0;
  std::uint64_t output_dropped_ = 0;
  std::uint64_t memory_peak_ = 0;
  std::chrono::nanoseconds measured_{0};
  std::uint64_t invocations_ = 0;
};

/// A random UUID (RFC 9562 version 4).
std::string make_uuid(Random& random);
/// {"errorType":…,"errorMessage":…} as a failed answer.
RuntimeAnswer error_answer(std::string type, std::string message);

}  // namespace mayfly::function
