#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "queue/queue_actor.h"

namespace mayfly::queue {

/// One at a time, in order.
class Turnstile {
 public:
  Task<> enter();
  void leave();

 private:
  bool taken_ = false;
  std::deque<Resume<bool>> waiting_;
};

class QueueServiceImpl final : public QueueService, public ActorHost {
 public:
  QueueServiceImpl(QueueDependencies dependencies, Plant plant);

  Task<Result<void>> open() override;
  Task<> stop() override;
  void crash() override;
  Task<Result<QueueInfo>> create(QueueSpec spec) override;
  Task<Result<QueueInfo>> put(QueueSpec spec) override;
  Task<Result<void>> remove(std::string queue) override;
  Result<QueueInfo> info(const std::string& queue) const override;
  std::vector<QueueInfo> list(const std::string& prefix) const override;
  std::vector<std::string> sources_of(const std::string& dead_letter_queue) const override;
  Task<std::vector<Result<Sent>>> send(std::string queue, std::vector<SendRequest> requests) override;
  Task<Result<std::vector<Received>>> receive(ReceiveRequest request) override;
  Task<std::vector<Result<void>>> remove_messages(std::string queue, std::vector<std::string> receipt_handles) override;
  Task<std::vector<Result<void>>> change_visibility(std::string queue, std::vector<VisibilityChange> changes) override;
  Task<std::vector<Result<void>>> settle(std::string queue, std::vector<Settlement> settlements) override;
  Task<Result<std::vector<Received>>> held(std::string queue) override;
  Task<Result<std::vector<Received>>> peek(std::string queue, std::size_t messages_max) override;
  Task<Result<void>> purge(std::string queue) override;
  Task<Result<RedriveTask>> start_redrive(std::string source, std::string destination, std::int64_t per_second_max) override;
  Task<Result<RedriveTask>> cancel_redrive(std::string handle) override;
  std::vector<RedriveTask> redrives(const std::string& source) const override;
  Result<QueueDepth> depth(const std::string& queue) const override;
  QueueCounters counters(const std::string& queue) const override;

  // ActorHost
  bool queue_exists(const std::string& name) const override { return actors_.contains(name); }
  Task<Result<void>> hand_over(std::string destination, std::string source_id, std::vector<Incoming> messages) override;

 private:
  using ActorPtr = std::shared_ptr<QueueActor>;
  /// What lies under `meta/queue/NAME`.
  struct MetaRow {
    std::optional<QueueInfo> info;  ///< nothing: removed
    std::string id;
    TimePoint removed{};
    std::vector<std::string> garbage;  ///< ids whose rows are still to be cleared away
    Version version = 0;
  };
  static std::string meta_text(const MetaRow& row);
  static Result<MetaRow> meta_from_row(const Record& record);
  Result<ActorPtr> find(const std::string& queue) const;
  ActorPtr make_actor(const MetaRow& row);
  Task<Result<QueueInfo>> write_spec(QueueSpec spec, bool may_change);
  Task<Result<void>> write_meta(std::string name, MetaRow row);
  Task<Result<void>> remove_now(std::string queue);
  Result<void> check_dead_letters(const QueueSpec& spec) const;
  Task<> clear_away(std::string name);
  Task<Result<PreparedSend>> prepare(std::shared_ptr<const QueueInfo> info, SendRequest request);
  Task<std::vector<Received>> read(ActorPtr actor, std::vector<GivenOut> messages, bool settle_unreadable);
  Result<ReceiptItem> item_of(const QueueActor& actor, const std::string& handle) const;
  std::string make_uuid();

  QueueDependencies deps_;
  Plant plant_;
  std::map<std::string, ActorPtr> actors_;
  std::map<std::string, MetaRow> meta_;
  std::vector<ActorPtr> removed_;
  std::size_t cached_bytes_ = 0;
  Turnstile turnstile_;
  CancelSource stopping_;
  bool open_ = false;
  TaskGroup group_;
};

/// With a bug, for tests of the tests.
std::unique_ptr<QueueService> make_planted_queue_service(QueueDependencies dependencies, Plant plant);

}  // namespace mayfly::queue
