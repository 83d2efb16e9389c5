#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "queue/queue_core.h"
#include "queue/queue_requests.h"

namespace mayfly::queue {

/// What an actor needs of the service.
class ActorHost {
 public:
  virtual ~ActorHost() = default;
  virtual bool queue_exists(const std::string& name) const = 0;
  /// Brings messages into another queue. Error `queue.not_found`: it is gone.
  virtual Task<Result<void>> hand_over(std::string destination, std::string source_id, std::vector<Incoming> messages) = 0;
};

struct ActorDependencies {
  QueueDependencies queue;
  ActorHost* host = nullptr;
  std::size_t* cached_bytes = nullptr;  ///< of all queues
  Plant plant = Plant::None;
};

/// One queue while the server runs: requests gather while a commit is under way, then go into one batch together.
class QueueActor final : public RowReader, public std::enable_shared_from_this<QueueActor> {
 public:
  QueueActor(ActorDependencies dependencies, keys::QueueKeys keys, QueueInfo info);

  const QueueInfo& info() const { return *info_; }
  std::shared_ptr<const QueueInfo> shared_info() const { return info_; }
  const std::string& id() const { return keys_.id(); }
  void change(QueueInfo info);
  QueueDepth depth() const { return core_->depth(); }
  QueueCounters counters() const { return core_->counters; }
  std::map<std::string, TaskRow>& tasks() override { return tasks_; }

  /// Reads what is there.
  Task<Result<void>> open();
  /// Whoever waits is answered; nothing new is taken.
  void refuse(Error error);
  Task<> join() { co_await group_.join(); }
  void crash();

  /// Never waits: the request's `answer` is called once it is done.
  void submit(std::unique_ptr<Request> request);
  /// Ends a wait.
  void kick();
  Task<Result<std::vector<GivenOut>>> peek(std::size_t max);

  // RowReader
  Task<Result<std::optional<UniqueRow>>> find_unique(char kind, std::string hash, Millis window) override;
  Task<Result<std::optional<std::string>>> read_message(std::uint64_t number) override;
  bool queue_exists(const std::string& name) const override { return deps_.host->queue_exists(name); }

 private:
  struct Round {
    std::shared_ptr<const QueueInfo> info;
    std::vector<std::pair<std::unique_ptr<Request>, Request::Step>> requests;
    bool more = false;  ///< is due
    std::optional<Error> error;
  };
  Task<> pump(std::shared_ptr<QueueActor> self);
  Task<Result<void>> load();
  Task<Result<void>> load_kind(char kind);
  void restore_row(char kind, const Record& row);
  struct Loading {
    std::unique_ptr<QueueCore> core;
    std::map<std::string, TaskRow> tasks;
  };
  Task<bool> work();
  Task<> gather(Round* round);
  Task<bool> apply(Round* round, std::unique_ptr<Request> request);
  Task<Result<void>> commit(Batch batch);
  void finish(Round round);
  void wait(std::unique_ptr<Request> request);
  void load_failed(const Error& error);
  void arm();
  void start_effects();
  Task<bool> clear_garbage();
  Task<> move_out(std::shared_ptr<QueueActor> self);
  Task<bool> move_some();
  Task<> redrive(std::shared_ptr<QueueActor> self, std::string handle);
  void cache(std::uint64_t number, std::string row);
  void clear_cache();

  ActorDependencies deps_;
  keys::QueueKeys keys_;
  std::shared_ptr<const QueueInfo> info_;
  std::unique_ptr<QueueCore> core_;
  std::map<std::string, TaskRow> tasks_;
  Loading loading_;  ///< until it is whole, what is there answers those who only look
  std::set<std::string> redriving_;
  std::deque<std::unique_ptr<Request>> inbox_;
  std::deque<std::unique_ptr<ReceiveItems>> waiting_;
  bool any_over_ = false;
  std::unordered_map<std::uint64_t, std::string> cache_;
  std::size_t cache_bytes_ = 0;
  std::unique_ptr<Clock::Timer> alarm_;
  TimePoint alarm_at_{};
  TimePoint garbage_at_{};
  std::optional<Error> refused_;
  bool loaded_ = false;
  bool pumping_ = false;
  bool moving_ = false;
  bool crashed_ = false;
  CancelSource stopping_;
  TaskGroup group_;
};

/// Asks an actor and waits for the answer.
template <class R>
Task<typename R::Answer> ask(std::shared_ptr<QueueActor> actor, std::unique_ptr<R> request) {
  co_return co_await suspend<typename R::Answer>([&](Resume<typename R::Answer> resume) {
    request->resume_with(std::move(resume));
    actor->submit(std::move(request));
  });
}

}  // namespace mayfly::queue
