#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "runtime/random.h"

/// The layout of the store. Every key starts with its partition, four hexadecimal digits, so that one batch can hold
/// everything that one step changes:
///
///     PPPP/epoch                     the owner's fencing epoch; every commit requires its version
///     PPPP/a/RUN                     the run has work to do now: what a restart looks for; holds its session
///     PPPP/b/RUN/OPERATION           outbox: a message to another run
///     PPPP/b/RUN/mNUMBER             outbox: a message to another part of the program
///     PPPP/h/SESSION/NUMBER          the runs of a session, in order
///     PPPP/i/HASH                    an idempotency key and the run that it started
///     PPPP/k/SESSION/KEY             a session's memory
///     PPPP/o/RUN/OPERATION           an operation that has ended
///     PPPP/q/SESSION/NUMBER          inbox: a run that waits for its session
///     PPPP/s/SESSION                 a session
///     PPPP/t/DUE/RUN/OPERATION       a timer; DUE in hexadecimal milliseconds, so that timers sort by time
///     PPPP/x/RUN                     a run
///     meta/…                         what belongs to no session: agents, keys, settings
///
/// Numbers are hexadecimal of fixed width. SESSION is percent-encoded so that it holds no '/'.
namespace mayfly::engine::keys {

using Partition = std::uint16_t;
inline constexpr Partition kPartitionsMax = 1024;

std::string partition_prefix(Partition partition);  ///< "0007/"
std::string epoch(Partition partition);
std::string active(Partition partition, std::string_view run);
std::string active_prefix(Partition partition);
std::string outbox(Partition partition, std::string_view run, std::int64_t operation);
std::string outbox_message(Partition partition, std::string_view run, std::int64_t number);
std::string outbox_prefix(Partition partition);
std::string history(Partition partition, std::string_view session, std::int64_t number);
std::string history_prefix(Partition partition, std::string_view session);
std::string idempotency(Partition partition, std::string_view hash);
std::string memory(Partition partition, std::string_view session, std::string_view key);
std::string memory_prefix(Partition partition, std::string_view session);
std::string operation(Partition partition, std::string_view run, std::int64_t operation);
std::string operation_prefix(Partition partition, std::string_view run);
std::string inbox(Partition partition, std::string_view session, std::int64_t number);
std::string inbox_prefix(Partition partition, std::string_view session);
std::string session(Partition partition, std::string_view session);
std::string session_prefix(Partition partition);
std::string timer(Partition partition, TimePoint due, std::string_view run, std::string_view what);
std::string timer_prefix(Partition partition);
std::string run(Partition partition, std::string_view run);
std::string run_prefix(Partition partition);

/// What a timer's key says.
struct TimerKey {
  TimePoint due;
  std::string run;   ///< or, for an idempotency key's expiry, its hash
  std::string what;  ///< an operation's number, "deadline" or "idempotency"
};
std::optional<TimerKey> parse_timer(std::string_view key);

/// Where a session lives. Stable for ever: data would be lost from sight otherwise.
Partition partition_of_session(std::string_view session, Partition partitions);

/// A run's id: "run_" and a ULID whose first two random characters hold the partition, so that a run is found without an index.
std::string make_run_id(TimePoint now, Random& random, Partition partition);
/// Nothing when `run` is not a run's id.
std::optional<Partition> partition_of_run(std::string_view run);

}  // namespace mayfly::engine::keys
