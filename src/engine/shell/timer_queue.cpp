#include "engine/shell/timer_queue.h"

#include <algorithm>

#include "base/log.h"

namespace mayfly::engine {
namespace {

constexpr Millis kAlarmMax{60'000};  // wall clocks jump: look again at least this often
constexpr Millis kRetryLoad{500};

}  // namespace

void TimerQueue::start(const std::vector<keys::Partition>& partitions) {
  for (const keys::Partition partition : partitions) {
    Window& window = windows_[partition];
    window.loaded_to = keys::timer_prefix(partition);
    window.loading = true;
    tasks_.spawn(load(partition));
  }
}

void TimerQueue::add(keys::Partition partition, const TimerChange& timer) {
  Window& window = windows_[partition];
  // Behind the window's end the next load finds it.
  if (!window.complete && !window.loading && timer.key > window.loaded_to) return;
  window.timers.emplace(timer.due, timer.key);
  window.owners.insert_or_assign(timer.key, timer.owner);
  if (window.complete && timer.key > window.loaded_to) window.loaded_to = timer.key;
  // A window that grows far beyond its size forgets its end again: memory stays bounded.
  if (window.timers.size() > 4 * kWindow && !window.loading) {
    while (window.timers.size() > 2 * kWindow) {
      const auto last = std::prev(window.timers.end());
      window.owners.erase(last->second);
      window.timers.erase(last);
    }
    window.loaded_to = window.timers.rbegin()->second;
    window.complete = false;
  }
  arm();
}

Task<> TimerQueue::load(keys::Partition partition) {
  for (;;) {
    const std::string from = windows_[partition].loaded_to;
    auto rows = co_await store_.scan({from + '\0', KeyRange::prefix(keys::timer_prefix(partition)).end}, kWindow, Direction::Forward);
    if (stopped_) co_return;
    Window& window = windows_[partition];
    if (!rows) {
      log::warn("timers cannot be read; trying again", {{"code", rows.error().code}, {"error", rows.error().message}});
      co_await sleep_for(clock_, kRetryLoad);
      if (stopped_) co_return;
      continue;
    }
    const std::string scanned_to = rows->size() < kWindow ? std::string() : rows->back().key;
    for (Record& row : *rows) {
      const auto parsed = keys::parse_timer(row.key);
      if (!parsed) continue;
      window.timers.emplace(parsed->due, row.key);
      window.owners.insert_or_assign(std::move(row.key), std::move(row.value));
    }
    window.complete = scanned_to.empty();
    if (window.complete) {
      if (!window.timers.empty()) window.loaded_to = std::max(window.loaded_to, window.timers.rbegin()->second);
    } else {
      window.loaded_to = scanned_to;
      // What was added meanwhile behind the scanned part comes again with the next load.
      while (!window.timers.empty() && window.timers.rbegin()->second > scanned_to) {
        window.owners.erase(window.timers.rbegin()->second);
        window.timers.erase(std::prev(window.timers.end()));
      }
    }
    window.loading = false;
    arm();
    co_return;
  }
}

void TimerQueue::arm() {
  if (stopped_) return;
  std::optional<TimePoint> earliest;
  for (const auto& [partition, window] : windows_)
    if (!window.timers.empty() && (!earliest || window.timers.begin()->first < *earliest)) earliest = window.timers.begin()->first;
  if (!earliest) return;
  const TimePoint now = clock_.now();
  const TimePoint at = std::min(*earliest, now + kAlarmMax);
  if (alarm_ && alarm_at_ <= at) return;
  alarm_at_ = at;
  alarm_ = clock_.call_after(std::max(at - now, Millis{0}), [this] { tick(); });
}

void TimerQueue::tick() {
  alarm_.reset();
  if (stopped_) return;
  const TimePoint now = clock_.now();
  for (auto& [partition, window] : windows_) {
    while (!window.timers.empty() && window.timers.begin()->first <= now) {
      const auto first = window.timers.begin();
      auto owner = window.owners.extract(first->second);
      Due due{partition, first->second, owner ? std::move(owner.mapped()) : std::string()};
      window.timers.erase(first);
      ++fired_count_;
      fire_(std::move(due));
    }
    if (window.timers.empty() && !window.complete && !window.loading) {
      window.loading = true;
      tasks_.spawn(load(partition));
    }
  }
  arm();
}

Task<> TimerQueue::stop() {
  stopped_ = true;
  alarm_.reset();
  co_await tasks_.join();
}

}  // namespace mayfly::engine
