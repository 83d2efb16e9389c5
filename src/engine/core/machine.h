#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/core/keys.h"
#include "engine/core/program.h"
#include "store/store.h"

namespace mayfly::engine {

/// What an executor says of one attempt of a STEP.
struct StepOutcome {
  Json result;
  Json stored;                        ///< what the journal holds instead of a large result: a reference; null: the result itself
  std::optional<Error> error;         ///< set: the attempt failed
  std::optional<Millis> retry_after;  ///< the other side's wish
  Json meta;                          ///< measurements, kept with the operation
  /// Changes of the session's memory that must happen exactly once: committed with the result.
  std::vector<Put> writes;
  std::vector<std::string> deletes;
};

enum class BusyPolicy { Queue, Reject, Steer };

/// A new input for a program.
struct Start {
  std::string run;  ///< its id
  std::string program;
  std::int64_t version = 0;
  Json input;
  Json stored_input;  ///< as StepOutcome::stored
  BusyPolicy when_busy = BusyPolicy::Queue;
  std::int64_t waiting_max = 100;
  std::optional<TimePoint> deadline;
  std::string idempotency_hash;  ///< of the scoped key, or empty
  std::string input_hash;
  TimePoint idempotency_expires{};
  std::optional<ParentLink> parent;
  std::string traceparent;
};

enum class StartedAs { Begun, Queued, Steered, Duplicate };

/// What can happen to a session or run. All are safe to apply again after a crash: what is already so stays so.
struct StepFinished {
  std::string run;
  std::int64_t operation = 0;
  std::int64_t attempt = 0;
  StepOutcome outcome;
  double jitter = 0;  ///< in [0,1): spreads retries
};
struct TimerFired {
  std::string run;
  std::string what;
  TimePoint due{};
};
/// A person or another program answers a CALLBACK, a CHAINED_INVOKE's child its parent, or somebody decides an unknown outcome.
struct Resolved {
  std::string run;
  std::int64_t operation = 0;
  enum class Action { Succeed, Fail, Retry } action = Action::Succeed;
  Json result;
  Json stored;  ///< as StepOutcome::stored
  std::optional<Error> error;
  Json meta = nullptr;  ///< kept with the operation; of a CHAINED_INVOKE {"run", "summary"} of the run that was invoked
};
struct Cancelled {
  std::string run;
  Error reason;
};
/// Somebody acts for the program of a running run.
struct Command {
  std::string run;
  Json body;
};
/// The session is free: the oldest waiting run, loaded as `ActorState::queued`, gets it. `input` is that of its EXECUTION operation.
struct Promoted {
  std::string run;
  Json input;
};
/// The owner restarted: nothing of the run is executing now.
struct Recovered {
  std::string run;
};
using Event = std::variant<Start, StepFinished, TimerFired, Resolved, Cancelled, Command, Promoted, Recovered>;

/// What one actor holds in memory: a session with the run that occupies it, or a single run.
struct ActorState {
  keys::Partition partition = 0;
  std::optional<Session> session;
  std::optional<Execution> run;
  std::optional<Execution> queued;  ///< another run of the session, loaded because an event names it
  bool run_was_active = false;      ///< the store holds its `a/` record
  /// The current run's ended operations by key; read from the store when the run's first Command comes, and kept up from then on.
  std::optional<EndedKeys> ended_keys = std::nullopt;

  bool busy() const { return run && run->open(); }
  /// Nobody holds the session and somebody waits for it: the owner applies Promoted next.
  bool wants_promotion() const { return session && !busy() && session->waiting > 0; }
};

/// A numbered, durable event of one run, for watchers.
struct RunEvent {
  enum class Kind { RunStarted, OperationStarted, OperationEnded, RunEnded };
  Kind kind = Kind::OperationStarted;
  std::int64_t number = 0;
  TimePoint time{};
  Json body;  ///< a PendingOperation, an Operation, or the run's end {status, result, error}
};

struct TimerChange {
  TimePoint due;
  std::string key;
  std::string owner;  ///< the row's value: the session that the timer concerns
};

/// What must follow once the batch is durable, and not before (the output gate).
struct Transition {
  Batch batch;                         ///< puts and deletes, without preconditions
  std::vector<std::string> absent;     ///< keys that must not exist yet
  std::vector<std::int64_t> dispatch;  ///< STEPs of the current run whose attempt is to be executed
  std::vector<std::int64_t> abort;     ///< attempts under way that nobody waits for any more
  std::vector<std::pair<std::string, RunEvent>> publish;
  std::vector<TimerChange> timers;  ///< added
  bool outbox = false;              ///< a message to another partition was written
};

/// The result of one event, for whoever caused it.
struct Answer {
  std::optional<Error> error;
  StartedAs started_as = StartedAs::Begun;
  std::string run;
  Json body = nullptr;  ///< of a Command
};

/// Applies events to an actor's state and collects what changes in the store. Pure: same state, events and time, same transition.
/// Several events may share one transition (and so one commit).
class Machine {
 public:
  using Watched = std::function<bool(const std::string& run)>;
  /// `watched`: whose events have readers; those of others are published without a body. Empty: everybody's.
  Machine(ActorState& state, TimePoint now, Watched watched = {}) : state_(state), now_(now), watched_(std::move(watched)) {}

  /// `program` is that of the run concerned (for Start: of the new run).
  Answer apply(const Event& event, const Program& program);
  /// How much the transition holds so far: callers stop adding events in time for the store's limits.
  std::size_t size() const { return out_.batch.puts.size() + out_.batch.deletes.size(); }
  bool run_changed() const { return run_changed_; }
  bool session_changed() const { return session_changed_; }
  /// Writes out the records. The Machine is finished afterwards.
  Transition finish();

 private:
  Answer on(const Start& event, const Program& program);
  Answer on(const StepFinished& event, const Program& program);
  Answer on(const TimerFired& event, const Program& program);
  Answer on(const Resolved& event, const Program& program);
  Answer on(const Cancelled& event, const Program& program);
  Answer on(const Command& event, const Program& program);
  Answer on(const Promoted& event, const Program& program);
  Answer on(const Recovered& event, const Program& program);

  Execution new_execution(const Start& event) const;
  void begin(const Json& input, const Program& program);
  void steer(const Start& event, const Program& program);
  void start_operation(const OperationRequest& request);
  /// Moves a pending operation to the journal; returns it, with the whole result.
  Operation end_operation(std::int64_t id, OperationStatus status, Json result, std::optional<Error> error, Json meta, const Program& program,
                          Json stored = nullptr);
  void attempt_failed(PendingOperation& op, const Error& error, std::optional<Millis> retry_after, double jitter, Json meta,
                      const Program& program);
  void follow(Decision decision, const Program& program);
  /// What the program does with operations that the decision names.
  void end_by_program(const OperationEnd& end, const Program& program);
  void set_timer(const OperationTimer& timer);
  void cancel_invoked(const PendingOperation& op);
  void complete(Completion completion, const Program& program);
  void stop_queued(ExecutionStatus status, const Error& error, const Program& program);
  void send(Execution& run, Json message);
  void leave_inbox(const Execution& run);
  void arm(PendingOperation& op, TimePoint due);
  void disarm(PendingOperation& op);
  void publish(const Execution& run, RunEvent::Kind kind, std::int64_t number, Json body);
  bool is_watched(const Execution& run) const { return !watched_ || watched_(run.id); }
  void end_record(Execution& run, const Completion& completion, const Program& program);
  std::optional<WaitReason> wait_reason() const;
  void put(std::string key, std::string value);
  void erase(std::string key);
  ProgramContext context() { return {*state_.run, state_.session ? &*state_.session : nullptr, now_}; }

  ActorState& state_;
  TimePoint now_;
  Watched watched_;
  Transition out_;
  bool run_changed_ = false;
  bool session_changed_ = false;
};

/// min(max, first · 2^(attempt−1)), of which the upper half is random; never less than `retry_after`.
Millis backoff(const OperationRetry& retry, std::int64_t attempt, double jitter, std::optional<Millis> retry_after);

}  // namespace mayfly::engine
