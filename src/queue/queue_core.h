#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "queue/lineup.h"
#include "queue/queue.h"
#include "queue/queue_keys.h"
#include "queue/queue_rows.h"

namespace mayfly::queue {

/// A bug put in on purpose, to prove that the tests see it.
enum class Plant {
  None,
  ForgetDeduplication,  ///< is not written down
  OneReceiveMore,       ///< a message dies one receive too late
  UnblockedGroups,      ///< a FIFO group goes on while one of it is in flight
  LooseMove,            ///< a dead message leaves its queue before its move is written down
};

/// A message that was checked and is ready to be written.
struct PreparedSend {
  std::string id;
  std::string tail;  ///< see queue_rows.h
  std::optional<Millis> delay;
  int priority = 0;
  std::string group;
  std::string deduplication_hash;
  std::string idempotency_hash;
};

/// A message that another queue hands over.
struct Incoming {
  std::uint64_t move = 0;  ///< number in the other's outbox
  MessageHead head;
  std::string tail;
};

struct Taken {
  std::uint64_t number = 0;
  std::uint32_t issue = 0;
};

struct ReceiveOrder {
  std::size_t messages_max = 1;
  std::optional<Millis> visibility;
  std::string attempt_hash;
  bool hold = false;
};

inline constexpr Millis kDeduplicationWindow{5 * 60'000};
inline constexpr Millis kIdempotencyWindow{24LL * 3'600'000};
inline constexpr std::size_t kInFlightMaxStandard = 120'000;
inline constexpr std::size_t kInFlightMaxFifo = 20'000;

/// One queue without I/O: what happens to its messages, and which rows that changes. What a round of calls changed is one batch; when that
/// does not become durable, the queue must be read again from the store.
///
/// In memory is a small entry for every message (about 100 bytes), and its history for one that was received; never its content.
class QueueCore {
 public:
  QueueCore(keys::QueueKeys keys, Plant plant);

  // Reading what is there: control, moves, states, messages, marks, then `restored`.
  void restore(const ControlRow& control);
  void restore_move(std::uint64_t number, Move move);
  void restore_state(std::uint64_t number, MessageState state);
  void restore_message(std::uint64_t number, MessageHead head);
  void restore_taken_over(std::string source_id, std::uint64_t number) { taken_over_[std::move(source_id)] = number; }
  /// `owned`: messages that consumers of this life hold, by number.
  void restored(TimePoint now, const QueueSpec& spec, std::map<std::uint64_t, std::uint32_t> owned);
  /// Held by consumers of this life; without those of a last round that failed: nobody was given them.
  std::map<std::uint64_t, std::uint32_t> owned() const;

  /// A round starts. `dead_letters`: the dead-letter queue exists.
  void begin(TimePoint now, const QueueSpec* spec, bool dead_letters);
  /// Before the next round: its retention may be another.
  void spec_changed() { sweep_at_ = TimePoint{}, sweep_from_ = 0; }
  /// Room for so many more rows (and about so many bytes) in this round's batch.
  bool has_room(std::size_t rows, std::size_t bytes = 0) const;
  /// What the round changed; the lease is still to be added.
  Batch take_batch();
  std::map<std::string, std::optional<std::string>>& changes() { return changes_; }

  Result<Sent> send(const PreparedSend& message, const std::optional<UniqueRow>& deduplicated, const std::optional<UniqueRow>& absorbed);
  /// Error: `queue.in_flight_limit`. Empty: nothing is visible.
  Result<std::vector<Taken>> receive(const ReceiveOrder& order);
  Result<void> remove(const Receipt& receipt);
  Result<void> change_visibility(const Receipt& receipt, Millis visibility);
  Result<void> settle(const Receipt& receipt, const Settlement& settlement);
  std::vector<Taken> held(std::size_t max);
  Result<void> purge();

  /// Idempotent: what was taken over already is left out.
  void take_over(const std::string& source_id, const Incoming& incoming);
  /// A move has arrived, or its destination is gone and the message stays here.
  void moved(std::uint64_t number, bool arrived);
  /// Visible messages up to `up_to`, oldest first.
  std::vector<std::uint64_t> redrivable(std::size_t max, std::uint64_t up_to) const;
  void redrive(std::uint64_t number, const std::string& destination);

  /// Does what is due. True: more is due than had room.
  bool tick(std::size_t max);
  /// When `tick` has something to do.
  std::optional<TimePoint> next_due() const;

  struct Entry {
    TimePoint sent{};
    TimePoint due{};  ///< in `due_` with this time, unless 0
    std::uint32_t group = 0;
    std::int8_t priority = 0;
    Place place = Place::Absent;
    bool orphan = false;  ///< held by a consumer of an earlier life
  };
  const Entry* find(std::uint64_t number) const;
  const MessageState* state_of(std::uint64_t number) const;
  const std::string& group_name(std::uint32_t group) const { return groups_[group].name; }
  const std::map<std::uint64_t, Entry>& entries() const { return entries_; }
  const std::map<std::uint64_t, Move>& moves() const { return moves_; }
  const keys::QueueKeys& keys() const { return keys_; }
  std::uint64_t purged() const { return control_.purged; }
  std::uint64_t last_number() const { return next_number_ - 1; }
  std::size_t ready() const { return ready_; }
  QueueDepth depth() const;
  bool has_visible() const { return lineup_ && !lineup_->next(1).empty(); }
  QueueCounters counters;

 private:
  struct Group {
    std::string name;
    std::size_t messages = 0;
  };
  void put(std::string key, std::string value);
  void erase(std::string key);
  std::uint64_t take_number();
  std::uint32_t enter_group(const std::string& name);
  void leave_group(std::uint32_t group);
  void set_place(std::uint64_t number, Entry& entry, Place to);
  void set_due(std::uint64_t number, Entry& entry, TimePoint due);
  Entry& add(std::uint64_t number, const MessageHead& head);
  void forget(std::uint64_t number);                   ///< from memory
  void drop(std::uint64_t number);                     ///< deleted
  void die(std::uint64_t number, std::string reason);  ///< to the dead-letter queue
  void move_away(std::uint64_t number, Move move);
  bool worn_out(std::uint64_t number) const;
  std::string worn_out_reason(std::uint64_t number) const;
  void show_again(std::uint64_t number, Entry& entry, Millis delay);
  void expire(std::uint64_t number);
  bool expired(const Entry& entry) const { return entry.sent + spec_->retention <= now_; }
  bool sweep(std::size_t max);
  void write_state(std::uint64_t number);
  Taken give_out(std::uint64_t number, const ReceiveOrder& order);
  std::optional<std::vector<Taken>> replay(const ReceiveOrder& order);
  std::optional<UniqueRow> known(const std::string& hash, const std::optional<UniqueRow>& stored) const;
  void remember(char kind, const std::string& hash, Millis window, const std::string& id, std::uint64_t number);
  /// The message, when the receipt is of its last receive and a consumer has it. Else the error.
  Result<Entry*> in_hand(const Receipt& receipt);

  keys::QueueKeys keys_;
  Plant plant_;
  std::unique_ptr<Lineup> lineup_;
  std::map<std::uint64_t, Entry> entries_;
  std::unordered_map<std::uint64_t, MessageState> states_;
  std::set<std::pair<TimePoint, std::uint64_t>> due_;
  std::vector<Group> groups_;
  std::vector<std::uint32_t> free_groups_;
  std::unordered_map<std::string, std::uint32_t> group_ids_;
  std::map<std::uint64_t, Move> moves_;
  std::map<std::string, std::uint64_t> taken_over_;
  struct Attempt {
    TimePoint at{};
    std::size_t size = 0;
    std::vector<Taken> taken;
  };
  std::unordered_map<std::string, Attempt> attempts_;
  std::deque<std::pair<TimePoint, std::string>> attempt_times_;
  std::map<std::uint64_t, std::uint32_t> owned_;
  std::vector<std::uint64_t> round_owned_;
  std::unordered_map<std::string, UniqueRow> round_keys_;
  ControlRow control_;
  std::uint64_t next_number_ = 1;
  std::size_t ready_ = 0, delayed_ = 0, flying_ = 0;

  TimePoint sweep_at_ = TimePoint::max();
  std::uint64_t sweep_from_ = 0;
  TimePoint sweep_next_ = TimePoint::max();

  TimePoint now_{};
  const QueueSpec* spec_ = nullptr;
  bool dead_letters_ = false;
  std::map<std::string, std::optional<std::string>> changes_;
  std::size_t change_bytes_ = 0;
};

}  // namespace mayfly::queue
