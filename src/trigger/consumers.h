#pragma once

#include <deque>
#include <map>
#include <memory>

#include "net/http_client.h"
#include "queue/queue.h"
#include "trigger/event.h"
#include "trigger/trigger_spec.h"

namespace mayfly::trigger {

struct BatchOutcome {
  std::vector<queue::Settlement> settlements;
  bool overloaded = false;  ///< the target takes nothing now: slow down
};

/// Slots that are given to whoever holds the fewest of them.
class FairSlots {
 public:
  explicit FairSlots(std::size_t slots) : free_(slots) {}
  /// False: cancelled.
  Task<bool> acquire(std::string who, CancelToken cancel);
  void release(const std::string& who);
  std::size_t used(const std::string& who) const;

 private:
  struct Waiter {
    std::string who;
    Resume<bool> resume;
  };
  void grant();

  std::size_t free_;
  std::map<std::string, std::size_t> used_;
  std::map<std::uint64_t, Waiter> waiting_;
  std::uint64_t next_ = 0;
};

struct ConsumerDependencies {
  Executor executor;
  Clock* clock = nullptr;
  net::HttpClient* http = nullptr;
  queue::QueueService* queues = nullptr;
  std::function<std::optional<std::string>(std::string_view)> environment;
  std::size_t parallel = 256;
  std::function<Task<BatchOutcome>(std::string trigger, std::vector<queue::Received>)> consume;
  /// True once the event is durable.
  std::function<Task<bool>(std::string trigger, Event event)> accept;
};

/// One reader per trigger with a queue, of Mayfly's own or of SQS.
class Consumers {
 public:
  explicit Consumers(ConsumerDependencies deps);
  /// Starts, restarts or ends the trigger's reader.
  void update(const TriggerSpec& spec);
  void remove(const std::string& trigger);
  Task<> stop();
  void crash();

 private:
  struct Reader {
    TriggerSpec spec;
    CancelSource cancel;
    std::size_t under_way = 0;
    std::optional<Resume<bool>> room;
    Millis pause{0};  ///< grows while the target is overloaded
  };
  Task<> read(std::shared_ptr<Reader> reader, std::shared_ptr<Reader> predecessor);
  Task<> handle(std::shared_ptr<Reader> reader, std::vector<queue::Received> messages);
  Task<bool> wait_for_room(std::shared_ptr<Reader> reader);
  Task<> take_held(std::shared_ptr<Reader> reader);
  Task<> give_back(std::shared_ptr<Reader> reader, std::vector<queue::Received> messages);
  Task<> settle(std::shared_ptr<Reader> reader, std::vector<queue::Settlement> settlements);
  Task<> poll_sqs(std::shared_ptr<Reader> reader);

  ConsumerDependencies deps_;
  FairSlots slots_;
  CancelSource stopping_;
  TaskGroup tasks_;
  std::map<std::string, std::shared_ptr<Reader>> readers_;
};

}  // namespace mayfly::trigger
