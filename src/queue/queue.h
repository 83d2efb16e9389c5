#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "blob/blob_store.h"
#include "engine/core/keys.h"
#include "runtime/cancel.h"
#include "runtime/clock.h"
#include "runtime/random.h"
#include "store/store.h"

/// Durable queues in the terms of Amazon SQS (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/), on the `Store`.
/// One queue lives in one partition; one actor per queue serialises what happens to it and commits many requests at once.
namespace mayfly::queue {

inline constexpr std::size_t kBatchMax = 10;  ///< entries of one request of the SQS API

enum class QueueKind { Standard, Fifo };

struct QueueSpec {
  std::string name;  ///< [A-Za-z0-9_-]{1,80}; that of a FIFO queue ends with ".fifo"
  QueueKind kind = QueueKind::Standard;
  bool content_deduplication = false;  ///< FIFO: SHA-256 of the body stands in for a missing deduplication id
  enum class DeduplicationScope { Queue, MessageGroup } deduplication_scope = DeduplicationScope::Queue;
  enum class ThroughputLimit { PerQueue, PerMessageGroupId } throughput_limit = ThroughputLimit::PerQueue;
  Millis visibility_timeout{30'000};        ///< 0 … 12 h
  Millis delay{0};                          ///< 0 … 15 min
  Millis retention{4LL * 24 * 3'600'000};   ///< 1 min … 14 d; then a message is gone, or for queues of `mayfly.yaml` that say so, dead
  Millis receive_wait{0};                   ///< long polling by default, 0 … 20 s
  std::size_t message_bytes_max = 1024 * 1024;  ///< 1 KiB … 1 MiB
  std::size_t messages_max = 1'000'000;     ///< more are refused with `queue.full`
  std::string dead_letter_queue;            ///< name; empty: none
  std::int64_t receives_max = 0;            ///< with a dead-letter queue: a message received so often moves there instead of being received again
  bool expired_die = false;             ///< what its retention ends goes to the dead-letter queue instead of being gone
  std::string redrive_allow_policy;         ///< JSON text as SQS has it; empty: all may name this queue
  bool paused = false;                      ///< nothing is received; sending works
  std::map<std::string, std::string> tags;
  std::map<std::string, std::string> other_attributes;  ///< kept for clients: Policy, KmsMasterKeyId, …
};
Json to_json(const QueueSpec& spec);
/// The form of `mayfly.yaml` and `PUT /v1/queues/NAME`: {fifo, content_deduplication, visibility_timeout, delay, retention, receive_wait,
/// message_bytes_max, messages_max, dead_letter: {queue, receives_max, expired}, paused, tags}; durations as texts ("30s").
/// Error: `queue.invalid`, whose message starts with the JSON Pointer of what is wrong and ": ".
Result<QueueSpec> queue_spec_from_json(std::string name, const Json& value);
/// Of that form, for editors and for checks with positions.
std::string_view queue_schema_text();
/// Error: `queue.invalid`.
Result<void> check(const QueueSpec& spec);

struct QueueInfo {
  QueueSpec spec;
  TimePoint created{};
  TimePoint modified{};
};

/// A message attribute as SQS has it: DataType "String", "Number", "Binary" with an optional ".label".
struct MessageAttribute {
  std::string data_type;
  std::string value;  ///< bytes for Binary
};
using MessageAttributes = std::map<std::string, MessageAttribute>;

struct SendRequest {
  std::string body;
  MessageAttributes attributes;
  std::string trace_header;  ///< AWSTraceHeader
  std::optional<Millis> delay;  ///< else the queue's
  std::string group;            ///< FIFO: required. Standard: whose share it is (fair queues): groups with fewer messages in flight go first
  std::string deduplication_id;
  int priority = 0;             ///< -100 … 100, higher first; standard queues only
  /// A producer's own key, for queues of both kinds: the same within 24 hours is absorbed, and answered with the first one's id.
  std::string idempotency_key;
};
struct Sent {
  std::string id;               ///< UUID
  std::string sequence_number;  ///< FIFO: 20 digits
  bool duplicate = false;
};

struct Received {
  std::string id;
  std::string receipt_handle;  ///< of this receive: names queue, message and receive; unforgeable is not required, opaque is
  std::string body;
  MessageAttributes attributes;
  std::string trace_header;
  std::string group;
  std::string deduplication_id;
  std::string sequence_number;
  int priority = 0;
  std::int64_t receive_count = 1;
  TimePoint sent{};
  TimePoint first_received{};
  std::string dead_letter_source;  ///< name of the queue that it died in
  std::string dead_letter_reason;
};

struct ReceiveRequest {
  std::string queue;
  std::size_t messages_max = 1;        ///< 1 … 10 from SQS; consumers of our own up to 1,000
  std::optional<Millis> visibility;    ///< else the queue's
  std::optional<Millis> wait;          ///< else the queue's; returns early with what there is
  std::string attempt_id;              ///< FIFO: ReceiveRequestAttemptId
  CancelToken cancel;
  /// For consumers inside the server: no visibility timeout; the message stays with them until `settle`, and after a crash `held` gives it back.
  bool hold = false;
};

struct Settlement {
  std::string receipt_handle;
  enum class Outcome {
    Done,      ///< deleted
    Failed,    ///< visible again after `delay`, or dead with `reason` when it was received often enough
    Released,  ///< visible again after `delay` as if it had not been received: the receive does not count
    Dead,      ///< to the dead-letter queue at once (deleted when there is none)
  } outcome = Outcome::Done;
  Millis delay{0};
  std::string reason;
};

struct QueueDepth {
  std::size_t visible = 0, in_flight = 0, delayed = 0;
  std::optional<TimePoint> oldest;  ///< sent time of the oldest message
  std::size_t groups = 0;
};
struct QueueCounters {
  std::uint64_t sent = 0, received = 0, deleted = 0, deduplicated = 0, dead = 0, expired = 0, refused = 0, redriven = 0;
};

struct VisibilityChange {
  std::string receipt_handle;
  Millis visibility{0};
};

/// StartMessageMoveTask.
struct RedriveTask {
  std::string handle;
  std::string source;       ///< the dead-letter queue
  std::string destination;  ///< empty: each message's own source
  std::int64_t per_second_max = 0;
  enum class Status { Running, Completed, Cancelling, Cancelled, Failed } status = Status::Running;
  std::size_t moved = 0, to_move = 0;
  std::string failure;
  TimePoint started{};
};

/// All times are the Clock's. What is answered is durable. Errors: `queue.not_found`, `queue.exists` (with other attributes), `queue.invalid`,
/// `queue.deleted_recently` (60 s), `queue.full` (Retry::Safe), `queue.too_large`, `queue.invalid_attribute`, `queue.missing_group`,
/// `queue.missing_deduplication_id`, `queue.receipt_invalid` (no such form), `queue.receipt_expired` (received again or gone meanwhile),
/// `queue.in_flight_limit` (120,000 standard, 20,000 FIFO), `queue.purge_in_progress` (60 s), `queue.stopping`, and those of the store.
class QueueService {
 public:
  virtual ~QueueService() = default;

  /// Reads what is there. Once the engine is open.
  virtual Task<Result<void>> open() = 0;
  virtual Task<> stop() = 0;
  /// Simulation only: forgets everything at once.
  virtual void crash() = 0;

  /// Equal to what exists: succeeds and changes nothing.
  virtual Task<Result<QueueInfo>> create(QueueSpec spec) = 0;
  /// Creates or changes. The kind cannot change.
  virtual Task<Result<QueueInfo>> put(QueueSpec spec) = 0;
  virtual Task<Result<void>> remove(std::string queue) = 0;
  virtual Result<QueueInfo> info(const std::string& queue) const = 0;
  virtual std::vector<QueueInfo> list(const std::string& prefix) const = 0;
  /// Queues whose dead-letter queue it is.
  virtual std::vector<std::string> sources_of(const std::string& dead_letter_queue) const = 0;

  /// One result per request, in order; FIFO: in this order too.
  virtual Task<std::vector<Result<Sent>>> send(std::string queue, std::vector<SendRequest> requests) = 0;
  virtual Task<Result<std::vector<Received>>> receive(ReceiveRequest request) = 0;
  virtual Task<std::vector<Result<void>>> remove_messages(std::string queue, std::vector<std::string> receipt_handles) = 0;
  virtual Task<std::vector<Result<void>>> change_visibility(std::string queue, std::vector<VisibilityChange> changes) = 0;
  virtual Task<std::vector<Result<void>>> settle(std::string queue, std::vector<Settlement> settlements) = 0;
  /// Messages that an earlier life of this server received with `hold` and did not settle.
  virtual Task<Result<std::vector<Received>>> held(std::string queue) = 0;
  /// What lies in it, without receiving: for people. At most 1,000, oldest first.
  virtual Task<Result<std::vector<Received>>> peek(std::string queue, std::size_t messages_max) = 0;

  virtual Task<Result<void>> purge(std::string queue) = 0;
  virtual Task<Result<RedriveTask>> start_redrive(std::string source, std::string destination, std::int64_t per_second_max) = 0;
  virtual Task<Result<RedriveTask>> cancel_redrive(std::string handle) = 0;
  virtual std::vector<RedriveTask> redrives(const std::string& source) const = 0;

  virtual Result<QueueDepth> depth(const std::string& queue) const = 0;
  virtual QueueCounters counters(const std::string& queue) const = 0;
};

struct QueueDependencies {
  Executor executor;
  Store* store = nullptr;
  BlobStore* blobs = nullptr;  ///< bodies above 64 KiB
  Clock* clock = nullptr;
  Random* random = nullptr;
  engine::keys::Partition partitions = 16;
  std::function<Precondition(engine::keys::Partition)> lease;  ///< Engine::lease: part of every commit to a partition
};

/// Rows: `meta/queue/NAME` and `PPPP/Q/…` (see queue_keys.h).
std::unique_ptr<QueueService> make_queue_service(QueueDependencies dependencies);

}  // namespace mayfly::queue
