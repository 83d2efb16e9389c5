#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>
#include <vector>

namespace mayfly::queue {

enum class Place : std::uint8_t {
  Absent,   ///< not in the queue (any more), or on its way to another one
  Ready,    ///< visible
  Delayed,  ///< not visible yet
  Flying,   ///< with a consumer
};

/// Who is next. Told of every change of a message's place.
class Lineup {
 public:
  virtual ~Lineup() = default;
  virtual void change(std::uint64_t number, std::uint32_t group, int priority, Place from, Place to) = 0;
  /// Messages to give out now, at most `max`: one after another, because giving one out changes who comes next; several only of one FIFO group.
  virtual std::vector<std::uint64_t> next(std::size_t max) const = 0;
};

/// Higher priority first; then the group with the fewest messages in flight; then the oldest message.
class StandardLineup final : public Lineup {
 public:
  void change(std::uint64_t number, std::uint32_t group, int priority, Place from, Place to) override;
  std::vector<std::uint64_t> next(std::size_t max) const override;

 private:
  struct Level {
    std::unordered_map<std::uint32_t, std::set<std::uint64_t>> ready;
    std::set<std::tuple<std::size_t, std::uint64_t, std::uint32_t>> order;  ///< in flight, oldest, group
  };
  std::size_t flying(std::uint32_t group) const;
  void count_flying(std::uint32_t group, int by);

  std::map<int, Level, std::greater<>> levels_;
  std::unordered_map<std::uint32_t, std::size_t> flying_;
};

/// Groups in the order of their oldest message; none of a group while one of it is in flight or its oldest is not visible.
class FifoLineup final : public Lineup {
 public:
  /// For tests of the tests: a group is not blocked.
  explicit FifoLineup(bool unblocked = false) : unblocked_(unblocked) {}
  void change(std::uint64_t number, std::uint32_t group, int priority, Place from, Place to) override;
  std::vector<std::uint64_t> next(std::size_t max) const override;

 private:
  struct Group {
    std::map<std::uint64_t, Place> members;
    std::size_t flying = 0;
    std::uint64_t offered = 0;  ///< its entry in `available_`; 0: none
  };
  bool unblocked_;
  std::unordered_map<std::uint32_t, Group> groups_;
  std::map<std::uint64_t, std::uint32_t> available_;  ///< by the number of the first message
};

}  // namespace mayfly::queue
