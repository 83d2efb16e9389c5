#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "queue/queue.h"

/// The values of a queue's rows.
namespace mayfly::queue {

/// What is known of every message without reading its content: the start of its row.
struct MessageHead {
  TimePoint sent{};
  Millis delay{0};
  int priority = 0;
  std::string group;
};

/// A row is {"h": HEAD, "id": UUID, "m": CONTENT or "blob": HASH, "dead"?: …}; `tail` is all of it from "id" on.
std::string message_row(const MessageHead& head, std::string_view tail);
/// Reads the head only; fast.
std::optional<MessageHead> head_of(std::string_view row);

/// The content of a message, of which a large one lies in the blob store.
std::string content_text(const SendRequest& request);
std::string inline_tail(std::string_view id, std::string_view content);
std::string blob_tail(std::string_view id, std::string_view hash);

/// A message read back. `blob` is set when the content is still to be read.
struct MessageContent {
  std::string id;
  std::string body;
  MessageAttributes attributes;
  std::string trace_header;
  std::string deduplication_id;
  std::string blob;
  std::string dead_letter_source;
  std::string dead_letter_reason;
};
Result<MessageContent> content_of(std::string_view row);
/// Fills in what the blob holds. Error: `store.damaged`.
Result<void> add_content(MessageContent* content, std::string_view text);
/// The tail of a message that is moved: it remembers where and why it died, or forgets it (both empty).
Result<std::string> moved_tail(std::string_view row, std::string_view source, std::string_view reason);

/// What became of a message since it was sent: there is such a row once it was received.
struct MessageState {
  TimePoint due{};             ///< visible from then on
  std::int64_t receives = 0;   ///< that count
  TimePoint first_received{};
  TimePoint received{};        ///< last
  std::uint32_t issue = 0;     ///< number of the last receive: that of the only valid receipt handle
  bool flying = false;         ///< with a consumer until `due`
  bool held = false;           ///< with a consumer inside the server
  std::string attempt;         ///< hash of the ReceiveRequestAttemptId
  std::uint32_t attempt_size = 0;  ///< messages of that receive
  std::string failure;         ///< the last one's reason
};
std::string state_row(const MessageState& state);
Result<MessageState> state_from_row(std::string_view row);

struct ControlRow {
  std::uint64_t number_ceiling = 0;  ///< numbers below may have been given out
  std::uint64_t purged = 0;          ///< messages up to here are gone
  TimePoint purged_at{};
};
std::string control_row(const ControlRow& control);
Result<ControlRow> control_from_row(std::string_view row);

/// A message on its way to another queue.
struct Move {
  std::uint64_t message = 0;
  std::string destination;
  bool dead = false;  ///< else redriven
  std::string reason;
};
std::string move_row(const Move& move);
Result<Move> move_from_row(std::string_view row);

/// A deduplication id or idempotency key that was used.
struct UniqueRow {
  std::string id;
  std::uint64_t number = 0;
  TimePoint expires{};
};
std::string unique_row(const UniqueRow& unique);
Result<UniqueRow> unique_from_row(std::string_view row);

struct TaskRow {
  RedriveTask task;
  std::uint64_t up_to = 0;  ///< messages that came later stay
};
std::string task_row(const TaskRow& row);
Result<TaskRow> task_from_row(std::string_view row);
std::string_view to_string(RedriveTask::Status status);

/// A receipt handle: opaque to clients.
struct Receipt {
  std::string queue_id;
  std::uint64_t number = 0;
  std::uint32_t issue = 0;
};
std::string to_handle(const Receipt& receipt);
/// Error: `queue.receipt_invalid`.
Result<Receipt> receipt_from_handle(std::string_view handle);

std::string sequence_text(std::uint64_t number);  ///< 20 digits

}  // namespace mayfly::queue
