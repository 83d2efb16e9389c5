#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/engine.h"
#include "engine/shell/hub.h"
#include "engine/shell/timer_queue.h"

namespace mayfly::engine {

/// An event on its way to an actor, and who waits for its answer.
struct Envelope {
  Event event;
  std::unique_ptr<Resume<Answer>> reply;  ///< null: nobody waits
  bool from_recovery = false;             ///< a Recovered that only makes sure that the actor is loaded
  bool again = false;                     ///< applied before, in a commit whose outcome is not known to have been success
};

/// A step's attempt under way.
struct RunningStep {
  std::int64_t attempt = 0;
  CancelSource cancel;
  std::map<std::string, std::string> said;  ///< by channel
};

/// A session (or a run without one) while anything happens to it. One Task at a time works on it.
struct Actor {
  std::string id;
  ActorState state;
  Version run_version = 0;  ///< 0: not in the store
  Version session_version = 0;
  bool loaded = false;
  bool loaded_before = false;
  bool pumping = false;
  bool one_by_one = false;  ///< a batch was refused: find out which event it was
  std::deque<Envelope> inbox;
  /// By run and operation: an aborted step of the run before may still be ending.
  std::map<std::pair<std::string, std::int64_t>, RunningStep> steps;
};

class EngineImpl final : public Engine {
 public:
  EngineImpl(EngineDependencies dependencies, EngineOptions options);

  Task<Result<void>> take_leases() override;
  Task<Result<void>> open() override;
  Task<> stop(Millis grace) override;
  void crash() override;
  Task<Result<Started>> start(StartRequest request) override;
  Task<Result<void>> cancel(std::string run, std::string reason) override;
  Task<Result<void>> resolve(Resolved answer) override;
  Task<Result<Json>> command(std::string run, Json body) override;
  Task<Result<std::optional<std::string>>> find_by_key(std::string program, std::string session_key, std::string idempotency_key) override;
  Task<Result<std::optional<std::string>>> invoked(std::string run, std::int64_t operation) override;
  Task<Result<Json>> spill(Json value) override;
  Task<Result<Execution>> get(std::string run) override;
  Task<Result<RunDescription>> describe(std::string run) override;
  Task<Result<std::vector<Operation>>> operations(std::string run, std::int64_t after) override;
  Task<Result<std::vector<std::variant<PendingOperation, Operation>>>> operations_by_id(std::string run,
                                                                                       std::vector<std::int64_t> ids) override;
  Task<Result<std::vector<Execution>>> list(ListFilter filter) override;
  Task<Result<std::vector<Session>>> sessions(std::string program, std::size_t limit) override;
  Task<Result<std::vector<std::string>>> session_runs(std::string session, std::size_t newest_max) override;
  Task<Result<Json>> unspill(Json value) override;
  std::unique_ptr<Subscription> subscribe(const std::string& run, Interest interest) override { return hub_.subscribe(run, interest); }
  std::vector<Delta> said_so_far(const std::string& run) override;
  EngineCounters counters() const override;
  bool recovering() const override { return recovering_ > 0; }
  keys::Partition partitions() const override { return options_.partitions; }
  Precondition lease(keys::Partition partition) const override;

 private:
  // engine_impl.cpp
  Task<Result<void>> take_lease(keys::Partition partition);
  Task<> recover(keys::Partition partition);
  Task<Answer> ask(keys::Partition partition, std::string actor, Event event);
  void send(keys::Partition partition, const std::string& actor, Envelope envelope);
  void timer_due(TimerQueue::Due due);
  Task<> expire_idempotency_key(keys::Partition partition, std::string hash, std::string timer_key);
  Task<Result<std::vector<Operation>>> read_operations(keys::Partition partition, std::string run, std::int64_t after);
  Task<Result<std::optional<Execution>>> read_run(keys::Partition partition, std::string run);
  keys::Partition partition_of_actor(const std::string& actor) const;

  // actor.cpp: the life of an actor
  Task<> pump(Actor* actor);
  Task<bool> load(Actor* actor);
  Task<> work(Actor* actor);
  /// Reads what applying the event needs. False: it was answered or dropped, and is not to be applied.
  Task<bool> prepare(Actor* actor, Envelope* envelope, std::vector<std::string>* claimed);
  Task<bool> prepare_start(Actor* actor, Envelope* envelope, Start* start, std::vector<std::string>* claimed);
  Task<bool> read_ended_keys(Actor* actor, Envelope* envelope);
  /// True when an earlier application of the start, whose commit gave no answer, is in the journal; it was answered then.
  Task<bool> was_applied(Actor* actor, Envelope* envelope, const Start* start);
  Task<bool> promote(Actor* actor, Machine* machine);
  Task<Result<CommitOutcome>> commit(Actor* actor, const Machine& machine, Transition* transition);
  void committed(Actor* actor, Transition transition, Version version, bool run_changed, bool session_changed);
  Task<> commit_failed(Actor* actor, std::vector<Envelope> taken, Error error);
  void reply(Envelope& envelope, Answer answer);
  const Program& program_for(const Actor& actor, const Event& event, std::shared_ptr<const Program>& keep);

  // steps.cpp: effects
  void dispatch(Actor* actor, std::int64_t operation);
  Task<> run_step(std::string actor, StepCall call);
  Task<> deliver_outbox(keys::Partition partition);
  struct OutboxPage {
    std::size_t left = 0;
    bool failed = false;
    std::unique_ptr<Resume<bool>> done;
  };
  /// False: some are still there.
  Task<bool> deliver_page(keys::Partition partition, std::vector<Record> rows);
  Task<> deliver_messages(keys::Partition partition, std::vector<Record> rows, std::shared_ptr<OutboxPage> page);
  Task<bool> deliver_row(keys::Partition partition, const Record& row, bool is_message);
  Task<Result<void>> deliver(const JsonObject& message);
  Task<Result<void>> deliver_invoke(const JsonObject& message, const JsonObject& invoke);
  Task<Result<void>> deliver_result(const JsonObject& message);
  void kick_outbox(keys::Partition partition);

  EngineDependencies deps_;
  EngineOptions options_;
  Hub hub_;
  TaskGroup tasks_;
  TimerQueue timers_;
  std::unordered_map<std::string, std::unique_ptr<Actor>> actors_;
  std::map<keys::Partition, Version> epochs_;
  struct OutboxState {
    bool delivering = false;
    bool again = false;
  };
  std::map<keys::Partition, OutboxState> outboxes_;
  CancelSource stopping_source_;
  bool stopping_ = false;
  bool abandoned_ = false;  ///< outcomes of steps no longer count: the next start repeats them
  bool fenced_ = false;
  int recovering_ = 0;
  std::size_t unloaded_ = 0;  ///< actors whose state is still to be read
  std::size_t steps_running_ = 0;
  EngineCounters counters_;
  std::optional<std::chrono::nanoseconds> store_warned_;
};

}  // namespace mayfly::engine
