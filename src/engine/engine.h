#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "blob/blob_store.h"
#include "engine/core/machine.h"
#include "runtime/cancel.h"
#include "runtime/clock.h"
#include "runtime/random.h"
#include "store/store.h"

/// The durable engine: sessions as single-writer actors, runs as journals of operations. It knows neither agents nor models:
/// their logic comes in as a `Program`, their effects as a `StepExecutor`.
namespace mayfly::engine {

/// Text that streams while a STEP runs. Not durable: a watcher that comes late gets what was said so far, and the
/// operation's result in the end.
struct Delta {
  std::int64_t operation = 0;
  std::int64_t attempt = 0;
  std::string channel;     ///< "text", "reasoning", "output", …
  std::size_t offset = 0;  ///< of `text` in the channel's text of this attempt, in bytes
  std::string text;
};

/// One attempt of one STEP, for its executor. All values are copies and may be kept.
struct StepCall {
  std::string run;
  std::string program;
  std::int64_t version = 0;
  std::string session;
  bool keyed = false;
  keys::Partition partition = 0;
  PendingOperation operation;
  std::string idempotency_key;  ///< the same for every attempt
  std::string traceparent;
  CancelToken cancel;  ///< the run was cancelled or the server stops
  /// Tells watchers; drops what nobody watches beyond a bound. Empty text starts the channel anew (a retry).
  std::function<void(std::string_view channel, std::string_view text)> emit;
};

/// Port: performs STEPs. Implemented by `agent`.
class StepExecutor {
 public:
  virtual ~StepExecutor() = default;
  virtual Task<StepOutcome> execute(StepCall call) = 0;
  /// Nothing of the session (or run without one) is in memory any more: drop what was kept for it.
  virtual void hibernated(const std::string& session) { (void)session; }
};

struct StartRequest {
  std::string program;
  std::int64_t version = 0;
  std::string session_key;  ///< empty: the run has a conversation of its own
  Json input;
  BusyPolicy when_busy = BusyPolicy::Queue;
  std::int64_t waiting_max = 100;
  Millis wall_time_max{0};      ///< 0: none
  std::string idempotency_key;  ///< scoped to program and session; empty: none
  Millis idempotency_ttl{0};    ///< 0: EngineOptions::idempotency_ttl
  std::string input_identity;   ///< what a repeat must have in common with the first; empty: the whole input
  std::optional<ParentLink> parent;
  std::string traceparent;
};

/// Port: finds the logic of a program's version. Implemented by `agent`.
class ProgramHost {
 public:
  virtual ~ProgramHost() = default;
  /// Null when there is no such version.
  virtual std::shared_ptr<const Program> find(const std::string& name, std::int64_t version) = 0;
  /// The start that a CHAINED_INVOKE's `input` asks for. By default {"program", "version", "session", "input", "wall_time_ms"}; a host may take
  /// other forms, and pick versions at that moment. Must be pure, or at least answer alike until it is started. Called again after a crash.
  virtual Result<StartRequest> chained(const JsonObject& invoke);
};

struct Started {
  std::string run;
  StartedAs as = StartedAs::Begun;
};

struct RunDescription {
  Execution run;
  std::vector<Operation> operations;  ///< ended ones by id, the EXECUTION operation first; large values as references (see `unspill`)
};

struct ListFilter {
  std::string program;      ///< empty: all
  std::string session_key;  ///< empty: all; needs `program`
  std::optional<ExecutionStatus> status;
  bool waiting_only = false;
  std::size_t limit = 50;  ///< at most 1,000
  std::string before;      ///< a run's id: continue below it
};

struct EngineOptions {
  std::string node = "node";
  keys::Partition partitions = 16;  ///< of a new store; an existing one keeps its number
  Millis idempotency_ttl{24 * 3'600'000};
  std::size_t input_bytes_max = 6 * 1024 * 1024;
  std::size_t active_actors_max = 20'000;  ///< more starts are refused with `engine.overloaded`
  std::size_t recovery_parallel = 256;
};

struct EngineCounters {
  std::uint64_t runs_started = 0, runs_ended = 0, operations_ended = 0, commits = 0, commit_failures = 0, timers_fired = 0, recovered = 0;
  std::size_t actors = 0, steps_running = 0;
};

using StreamItem = std::variant<RunEvent, Delta>;

enum class Interest {
  Everything,
  End,  ///< only RunEnded: much cheaper for those who just wait
};

/// What happens to one run from now on. Bounded: a reader that lags too far gets the end of the stream and starts again
/// from its last number.
class Subscription {
 public:
  virtual ~Subscription() = default;
  /// The next item, or nothing when the run has ended, the reader lagged, `cancel` was cancelled or the engine stops.
  virtual Task<std::optional<StreamItem>> next(CancelToken cancel) = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;

  /// Takes the partitions' leases. From then on others may write beside it and new work is accepted, but nothing old is resumed and no timer
  /// fires: the time to open what the resumed runs will need.
  virtual Task<Result<void>> take_leases() { co_return Result<void>{}; }
  /// Takes the leases unless that is done, then resumes what a predecessor left. Recovery goes on after it returns.
  virtual Task<Result<void>> open() = 0;
  /// Refuses new work, gives running steps `grace` to end, then leaves the rest to the next start. Idempotent.
  virtual Task<> stop(Millis grace) = 0;
  /// Simulation only: forgets everything at once, as kill -9 would. The dependencies must be dead already.
  virtual void crash() = 0;

  /// Durable when it returns. Errors: `idempotency.mismatch`, `session.busy`, `session.inbox_full`, `input.too_large`,
  /// `engine.overloaded`, `engine.stopping`, `program.not_found`, and those of the store.
  virtual Task<Result<Started>> start(StartRequest request) = 0;
  /// Errors: `run.not_found`, `run.ended`.
  virtual Task<Result<void>> cancel(std::string run, std::string reason) = 0;
  /// Answers a CALLBACK or decides an unknown outcome. Errors: `run.not_found`, `operation.not_waiting`, `operation.no_retry`.
  virtual Task<Result<void>> resolve(Resolved answer) = 0;

  /// Gives `body` to the run's program and returns its answer, once durable. Errors: `run.not_found`, `run.ended`, and the program's.
  virtual Task<Result<Json>> command(std::string run, Json body) = 0;
  /// The run that was started with this idempotency key (of that session), as long as the key is kept.
  virtual Task<Result<std::optional<std::string>>> find_by_key(std::string program, std::string session_key, std::string idempotency_key) = 0;
  /// The run that a CHAINED_INVOKE of `run` has started, once it has.
  virtual Task<Result<std::optional<std::string>>> invoked(std::string run, std::int64_t operation) = 0;
  /// The value itself, or when it is large a reference to where it was put; `unspill` is the way back.
  virtual Task<Result<Json>> spill(Json value) = 0;

  /// Errors: `run.not_found`.
  virtual Task<Result<Execution>> get(std::string run) = 0;
  virtual Task<Result<RunDescription>> describe(std::string run) = 0;
  /// The ended operations with ids above `after`, inputs and results put back from the blob store.
  virtual Task<Result<std::vector<Operation>>> operations(std::string run, std::int64_t after) = 0;
  /// Some operations of a run, pending or ended, in the order of `ids`; those that do not exist are left out. Values as in `describe`.
  virtual Task<Result<std::vector<std::variant<PendingOperation, Operation>>>> operations_by_id(std::string run,
                                                                                               std::vector<std::int64_t> ids) = 0;
  /// Newest first. Looks at the newest 2,000 runs of each partition: older ones come with `before`.
  virtual Task<Result<std::vector<Execution>>> list(ListFilter filter) = 0;
  virtual Task<Result<std::vector<Session>>> sessions(std::string program, std::size_t limit) = 0;
  /// A session's runs, oldest first.
  virtual Task<Result<std::vector<std::string>>> session_runs(std::string session, std::size_t newest_max) = 0;
  /// A value with what was moved to the blob store put back.
  virtual Task<Result<Json>> unspill(Json value) = 0;

  virtual std::unique_ptr<Subscription> subscribe(const std::string& run, Interest interest = Interest::Everything) = 0;
  /// What running steps of the run have said so far, as one Delta per operation and channel.
  virtual std::vector<Delta> said_so_far(const std::string& run) = 0;

  virtual EngineCounters counters() const = 0;
  virtual bool recovering() const = 0;

  /// For modules that keep rows of their own beside the engine's: how many partitions the store has, and the precondition that every commit to
  /// one of them must carry, so that an owner who lost its lease can write nothing. Once `take_leases` has returned.
  virtual keys::Partition partitions() const = 0;
  virtual Precondition lease(keys::Partition partition) const = 0;
};

struct EngineDependencies {
  Executor executor;
  Store* store = nullptr;
  BlobStore* blobs = nullptr;
  Clock* clock = nullptr;
  Random* random = nullptr;
  ProgramHost* programs = nullptr;
  StepExecutor* steps = nullptr;
  /// Takes a message of `Decision::send` or `Program::farewell`; `id` is the same every time. Success means that it is safe there; an error with
  /// Retry::Never drops it, any other is tried again. Empty: messages are dropped.
  std::function<Task<Result<void>>(std::string id, Json message)> deliver;
  std::function<void(const std::string& run)> run_ended;  ///< after the end is durable; may be empty, must not throw or take long
};

std::unique_ptr<Engine> make_engine(EngineDependencies dependencies, EngineOptions options);

/// SQL for the embedded store: the views `runs`, `operations`, `sessions` over its `kv` table.
std::vector<std::string> view_sql();

}  // namespace mayfly::engine
