#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "queue/queue_core.h"
#include "runtime/clock.h"
#include "runtime/task.h"

namespace mayfly::queue {

/// What reads a queue's rows for a request, beside its core.
class RowReader {
 public:
  virtual ~RowReader() = default;
  /// A deduplication id's or idempotency key's row that may still count.
  virtual Task<Result<std::optional<UniqueRow>>> find_unique(char kind, std::string hash, Millis window) = 0;
  /// A message's row; nothing when it is gone.
  virtual Task<Result<std::optional<std::string>>> read_message(std::uint64_t number) = 0;
  virtual bool queue_exists(const std::string& name) const = 0;
  virtual std::map<std::string, TaskRow>& tasks() = 0;
};

/// Something asked of a queue's actor. Applied to the core in one or more rounds, answered when all of it is durable.
class Request {
 public:
  enum class Step { Done, More, Wait };
  virtual ~Request() = default;
  /// Reads what `apply` needs. An error fails the request.
  virtual bool prepares() const { return false; }
  virtual Task<Result<void>> prepare(RowReader&, QueueCore&) { co_return Result<void>(); }
  /// More: what is left had no room in this round. Wait: nothing to give out yet.
  virtual Step apply(QueueCore& core, RowReader& reader, TimePoint now) = 0;
  /// Reads the contents of what was just given out; before the round's commit.
  virtual Task<Result<void>> fetch(RowReader&, QueueCore&) { co_return Result<void>(); }
  virtual bool fetches() const { return false; }
  /// What was applied is durable.
  virtual void committed() = 0;
  /// What is not durable yet fails with the error.
  virtual void failed(const Error& error) = 0;
  virtual void answer() = 0;
};

/// The same for each of several items, in order.
template <class Item, class Out>
class ItemsRequest : public Request {
 public:
  using Answer = std::vector<Result<Out>>;
  explicit ItemsRequest(std::vector<Result<Item>> items) : items_(std::move(items)) { results_.reserve(items_.size()); }
  void resume_with(Resume<Answer> resume) { resume_.emplace(std::move(resume)); }

  Step apply(QueueCore& core, RowReader&, TimePoint) override {
    while (results_.size() < applicable()) {
      Result<Item>& item = items_[results_.size()];
      if (!item)
        results_.push_back(std::unexpected(item.error()));
      else if (core.has_room(kRowsPerItem, bytes_of(*item)))
        results_.push_back(apply_one(core, *item));
      else
        return Step::More;
    }
    return results_.size() == items_.size() ? Step::Done : Step::More;
  }
  void committed() override { durable_ = results_.size(); }
  void failed(const Error& error) override {
    results_.resize(durable_, std::unexpected(error));
    results_.resize(items_.size(), std::unexpected(error));
  }
  void answer() override {
    if (resume_) (*resume_)(std::move(results_));
    resume_.reset();
  }

 protected:
  static constexpr std::size_t kRowsPerItem = 4;
  virtual Result<Out> apply_one(QueueCore& core, const Item& item) = 0;
  virtual std::size_t bytes_of(const Item&) const { return 4096; }
  virtual std::size_t applicable() const { return items_.size(); }

  std::vector<Result<Item>> items_;
  Answer results_;
  std::size_t durable_ = 0;
  std::optional<Resume<Answer>> resume_;
};

class SendItems final : public ItemsRequest<PreparedSend, Sent> {
 public:
  using ItemsRequest::ItemsRequest;
  bool prepares() const override { return true; }
  Task<Result<void>> prepare(RowReader& reader, QueueCore& core) override;

 protected:
  Result<Sent> apply_one(QueueCore& core, const PreparedSend& item) override;
  std::size_t bytes_of(const PreparedSend& item) const override { return item.tail.size() + 1024; }
  std::size_t applicable() const override { return prepared_; }

 private:
  struct Known {
    std::optional<UniqueRow> deduplicated, absorbed;
  };
  std::size_t prepared_ = 0;
  std::map<std::string, Known> known_;
};

struct ReceiptItem {
  Receipt receipt;
  Settlement settlement;
  Millis visibility{0};
};
class RemoveItems final : public ItemsRequest<ReceiptItem, void> {
 public:
  using ItemsRequest::ItemsRequest;

 protected:
  Result<void> apply_one(QueueCore& core, const ReceiptItem& item) override { return core.remove(item.receipt); }
};
class ChangeItems final : public ItemsRequest<ReceiptItem, void> {
 public:
  using ItemsRequest::ItemsRequest;

 protected:
  Result<void> apply_one(QueueCore& core, const ReceiptItem& item) override {
    return core.change_visibility(item.receipt, item.visibility);
  }
};
class SettleItems final : public ItemsRequest<ReceiptItem, void> {
 public:
  using ItemsRequest::ItemsRequest;

 protected:
  Result<void> apply_one(QueueCore& core, const ReceiptItem& item) override { return core.settle(item.receipt, item.settlement); }
};

struct IncomingItem {
  std::string source_id;
  Incoming message;
};
class TakeOverItems final : public ItemsRequest<IncomingItem, void> {
 public:
  using ItemsRequest::ItemsRequest;

 protected:
  Result<void> apply_one(QueueCore& core, const IncomingItem& item) override {
    core.take_over(item.source_id, item.message);
    return {};
  }
  std::size_t bytes_of(const IncomingItem& item) const override { return item.message.tail.size() + 1024; }
};
struct MovedItem {
  std::uint64_t move = 0;
  bool arrived = true;
};
class MovedItems final : public ItemsRequest<MovedItem, void> {
 public:
  using ItemsRequest::ItemsRequest;

 protected:
  Result<void> apply_one(QueueCore& core, const MovedItem& item) override {
    core.moved(item.move, item.arrived);
    return {};
  }
};

/// A message that was given out, with its row.
struct GivenOut {
  Taken taken;
  std::string row;
  MessageHead head;
  MessageState state;
};

/// What ends with one result.
template <class Out>
class SingleRequest : public Request {
 public:
  using Answer = Result<Out>;
  void resume_with(Resume<Answer> resume) { resume_.emplace(std::move(resume)); }
  void committed() override {}
  void failed(const Error& error) override { result_ = std::unexpected(error); }
  void answer() override {
    if (resume_) (*resume_)(std::move(result_));
    resume_.reset();
  }

 protected:
  Answer result_ = fail("queue.stopping", "the server is stopping: try again in a moment", Retry::Safe);
  std::optional<Resume<Answer>> resume_;
};

class ReceiveItems : public SingleRequest<std::vector<GivenOut>> {
 public:
  explicit ReceiveItems(ReceiveOrder order) : order_(std::move(order)) {}
  Step apply(QueueCore& core, RowReader& reader, TimePoint now) override;
  Task<Result<void>> fetch(RowReader& reader, QueueCore& core) override;
  bool fetches() const override { return !fresh_.empty(); }
  void committed() override;
  void failed(const Error& error) override;
  void answer() override;

  bool over = false;  ///< waited long enough, or nobody waits any more
  Millis wait{0};
  bool waiting = false;
  std::unique_ptr<Clock::Timer> timer;
  CancelToken cancel;
  CancelToken::Registration registration;

 protected:
  virtual Result<std::vector<Taken>> take(QueueCore& core);

  ReceiveOrder order_;
  std::vector<Taken> fresh_;
  std::vector<GivenOut> read_;
  std::vector<GivenOut> out_;
  std::optional<Error> error_;
  std::size_t bytes_ = 0;
};

/// What an earlier life held.
class HeldItems final : public ReceiveItems {
 public:
  HeldItems() : ReceiveItems(ReceiveOrder{.messages_max = 1'000}) { over = true; }

 protected:
  Result<std::vector<Taken>> take(QueueCore& core) override { return core.held(order_.messages_max - out_.size()); }
};

class PurgeRequest final : public SingleRequest<bool> {
 public:
  Step apply(QueueCore& core, RowReader&, TimePoint) override;
};

/// The moves that are durable, and whose destination is that of the first.
class ListMoves final : public SingleRequest<std::vector<std::pair<std::uint64_t, Move>>> {
 public:
  explicit ListMoves(std::size_t max) : max_(max) {}
  Step apply(QueueCore& core, RowReader&, TimePoint) override;

 private:
  std::size_t max_;
};

/// Starts or cancels a redrive, or moves its next messages.
class StartRedrive final : public SingleRequest<TaskRow> {
 public:
  explicit StartRedrive(RedriveTask task) : task_(std::move(task)) {}
  Step apply(QueueCore& core, RowReader& reader, TimePoint now) override;

 private:
  RedriveTask task_;
};
class CancelRedrive final : public SingleRequest<TaskRow> {
 public:
  explicit CancelRedrive(std::string handle) : handle_(std::move(handle)) {}
  Step apply(QueueCore& core, RowReader& reader, TimePoint now) override;

 private:
  std::string handle_;
};
class RedriveStep final : public SingleRequest<TaskRow> {
 public:
  RedriveStep(std::string handle, std::size_t max) : handle_(std::move(handle)), max_(max) {}
  bool prepares() const override { return true; }
  Task<Result<void>> prepare(RowReader& reader, QueueCore& core) override;
  Step apply(QueueCore& core, RowReader& reader, TimePoint now) override;

 private:
  std::string handle_;
  std::size_t max_;
  std::vector<std::pair<std::uint64_t, std::string>> next_;  ///< message and destination
  std::string failure_;
};

}  // namespace mayfly::queue
