#include "schedule/due_window.h"

#include <algorithm>

#include "base/log.h"
#include "schedule/schedule_row.h"

namespace mayfly::schedule {
namespace {

constexpr Millis kRetryLoad{500};

std::optional<TimePoint> head_of(const std::set<std::pair<TimePoint, std::string>>& due) {
  return due.empty() ? std::nullopt : std::optional(due.begin()->first);
}

}  // namespace

using engine::keys::Partition;

void DueWindow::start(Partition partitions) {
  for (Partition partition = 0; partition < partitions; ++partition) {
    windows_[partition].loaded_to = due_prefix(partition);
    load_more(partition);
  }
}

void DueWindow::update_head(Partition partition, std::optional<TimePoint> before) {
  const auto now = head_of(windows_[partition].due);
  if (before == now) return;
  if (before) heads_.erase({*before, partition});
  if (now) heads_.emplace(*now, partition);
}

void DueWindow::add(Partition partition, TimePoint fire_at, std::string full_name) {
  Window& window = windows_[partition];
  const std::string key = due_key(partition, fire_at, full_name);
  // Behind the window's end the next load finds it.
  if (!window.complete && !window.loading && key > window.loaded_to) return;
  const auto head = head_of(window.due);
  window.due.emplace(fire_at, std::move(full_name));
  if (window.complete && key > window.loaded_to) window.loaded_to = key;
  // A window that grows far beyond its size forgets its end again: memory stays bounded.
  if (window.due.size() > 4 * kWindow && !window.loading) {
    while (window.due.size() > 2 * kWindow) window.due.erase(std::prev(window.due.end()));
    window.loaded_to = due_key(partition, window.due.rbegin()->first, window.due.rbegin()->second);
    window.complete = false;
  }
  update_head(partition, head);
}

void DueWindow::load_more(Partition partition) {
  windows_[partition].loading = true;
  tasks_.spawn(load(partition));
}

Task<> DueWindow::load(Partition partition) {
  for (;;) {
    const std::string from = windows_[partition].loaded_to;
    auto rows = co_await store_.scan({from + '\0', KeyRange::prefix(due_prefix(partition)).end}, kWindow, Direction::Forward);
    if (stopped_) co_return;
    if (rows) {
      take_in(partition, *rows);
      loaded_();
      co_return;
    }
    log::warn("schedules cannot be read; trying again", {{"code", rows.error().code}, {"error", rows.error().message}});
    co_await sleep_for(clock_, kRetryLoad, stopping_.token());
    if (stopped_) co_return;
  }
}

void DueWindow::take_in(Partition partition, const std::vector<Record>& rows) {
  Window& window = windows_[partition];
  const auto head = head_of(window.due);
  for (const Record& row : rows) {
    if (auto due = parse_due_key(row.key)) window.due.emplace(due->fire_at, std::move(due->full_name));
  }
  window.complete = rows.size() < kWindow;
  if (window.complete) {
    if (!window.due.empty()) {
      window.loaded_to = std::max(window.loaded_to, due_key(partition, window.due.rbegin()->first, window.due.rbegin()->second));
    }
  } else {
    window.loaded_to = rows.back().key;
    // What was added meanwhile behind the part that was read comes again with the next load.
    while (!window.due.empty() && due_key(partition, window.due.rbegin()->first, window.due.rbegin()->second) > window.loaded_to) {
      window.due.erase(std::prev(window.due.end()));
    }
  }
  window.loading = false;
  update_head(partition, head);
  // All of it was taken by firings under way already.
  if (window.due.empty() && !window.complete) load_more(partition);
}

std::optional<DueWindow::Due> DueWindow::take(TimePoint now) {
  if (heads_.empty() || heads_.begin()->first > now) return std::nullopt;
  const Partition partition = heads_.begin()->second;
  Window& window = windows_[partition];
  const auto head = head_of(window.due);
  auto first = window.due.extract(window.due.begin());
  update_head(partition, head);
  if (window.due.empty() && !window.complete && !window.loading) load_more(partition);
  return Due{partition, std::move(first.value().second)};
}

std::optional<TimePoint> DueWindow::earliest() const { return heads_.empty() ? std::nullopt : std::optional(heads_.begin()->first); }

Task<> DueWindow::stop() {
  stopped_ = true;
  stopping_.cancel();
  co_await tasks_.join();
}

}  // namespace mayfly::schedule
