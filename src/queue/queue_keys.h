#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "engine/core/keys.h"

/// The rows of queues. A queue has an ID, "NAME.XXXXXXXX": its name and a number of its own, so that a queue that is made again under
/// an old name shares nothing with the first. All its rows lie in one partition:
///
///     PPPP/Q/ID/c                   what the queue itself must remember: up to where numbers were given out, what was purged
///     PPPP/Q/ID/m/NUMBER            a message as it was sent; never changed
///     PPPP/Q/ID/o/NUMBER            outbox: a message on its way to another queue; names the message's number
///     PPPP/Q/ID/t/HANDLE            a redrive task
///     PPPP/Q/ID/u/WINDOW/HASH       a deduplication id or idempotency key and the message that it belongs to
///     PPPP/Q/ID/v/NUMBER            what became of a message since: its receives, until when it is invisible
///     PPPP/Q/ID/x/ID                the last outbox number that was taken over from another queue
///     meta/queue/NAME               the queue's attributes; or what is left to be cleared away
///
/// NUMBER is hexadecimal of fixed width and grows with every message of a queue.
namespace mayfly::queue::keys {

using engine::keys::Partition;

inline constexpr std::string_view kMetaPrefix = "meta/queue/";

/// Builds the keys of one queue.
class QueueKeys {
 public:
  QueueKeys(Partition partition, std::string id);

  Partition partition() const { return partition_; }
  const std::string& id() const { return id_; }
  const std::string& prefix() const { return prefix_; }
  std::string control() const { return prefix_ + "c"; }
  std::string message(std::uint64_t number) const;
  std::string outbox(std::uint64_t number) const;
  std::string task(std::string_view handle) const;
  std::string state(std::uint64_t number) const;
  std::string taken_over(std::string_view source_id) const;
  /// `kind` is 'd' for deduplication ids or 'i' for idempotency keys; `window` numbers the stretch of time in which the key was used first.
  std::string unique(char kind, std::int64_t window, std::string_view hash) const;
  /// "PPPP/Q/ID/KIND/", for the one-letter kinds above.
  std::string kind_prefix(char kind) const;
  std::string unique_prefix(char kind) const;

 private:
  Partition partition_;
  std::string id_;
  std::string prefix_;
};

/// Where a queue lives.
Partition partition_of_queue(std::string_view name, Partition partitions);
std::string meta(std::string_view name);
/// The number at the end of a key; nothing when there is none.
std::optional<std::uint64_t> number_of(std::string_view key);
std::optional<std::uint64_t> parse_hex(std::string_view text);

}  // namespace mayfly::queue::keys
