#include "workspace/events/events_service.h"

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "workspace/bytes/link_token.h"
#include "workspace/rows.h"

namespace mayfly::workspace {
namespace {

constexpr Millis kWaitMax{25'000};
constexpr std::size_t kPageMax = 1'000;
constexpr std::size_t kPageDefault = 100;
constexpr std::size_t kScanStep = 500;
constexpr std::size_t kScannedMax = 5'000;
constexpr std::size_t kWaitersMax = 1'000;
constexpr std::size_t kWaitersAllMax = 20'000;
constexpr Millis kCareFirst{30'000};

}  // namespace

std::unique_ptr<Events> make_events(EventsDependencies dependencies) { return std::make_unique<EventsService>(std::move(dependencies)); }

std::uint64_t number_of_key(std::string_view key) {
  const std::string_view digits = key.substr(key.rfind('/') + 1);
  std::uint64_t out = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), out, 16);
  return out;
}

EventsService::EventsService(EventsDependencies deps)
    : deps_(std::move(deps)), spaces_(*deps_.spaces), clock_(*spaces_.dependencies().clock), tasks_(spaces_.dependencies().executor) {}
EventsService::~EventsService() { *alive_ = false; }

Task<Result<void>> EventsService::open() {
  if (deps_.triggers) co_await drop_orphans();
  is_open_ = true;
  spaces_.on_event([this, alive = std::weak_ptr<bool>(alive_)](const FileEvent& event) {
    if (const auto lives = alive.lock(); lives && *lives) on_event(event);
  });
  if (deps_.triggers) {
    deps_.triggers->on_change([this, alive = std::weak_ptr<bool>(alive_)] {
      if (const auto lives = alive.lock(); lives && *lives) look_for_disabled();
    });
  }
  // What the last life did not send, and disabled endpoints of which it did not tell.
  for (const std::string& id : spaces_.ids()) marked_.insert(id);
  kick();
  look_for_disabled();
  arm_care(kCareFirst);
  co_return Result<void>{};
}

Task<> EventsService::stop() {
  is_open_ = false;
  stopping_.cancel();
  care_timer_.reset();
  disabled_timer_.reset();
  retries_.clear();
  for (auto& [id, waiters] : waiters_)
    for (CancelSource* waiter : Waiters(waiters)) waiter->cancel();
  co_await tasks_.join();
}

void EventsService::crash() {
  is_open_ = false;
  *alive_ = false;
  tasks_.abandon();
}

void EventsService::on_event(const FileEvent& event) {
  std::uint64_t& newest = newest_[event.workspace];
  newest = std::max(newest, event.number);
  if (event.type == "workspace.deleted" && !spaces_.by_id(event.workspace)) newest_.erase(event.workspace);
  if (const auto found = waiters_.find(event.workspace); found != waiters_.end())
    for (CancelSource* waiter : Waiters(found->second)) waiter->cancel();
  mark(event.workspace);
}

Task<bool> EventsService::wait_for_event(std::string workspace, Millis wait, CancelToken cancel) {
  Waiters& waiters = waiters_[workspace];
  if (waiters.size() >= kWaitersMax || waiting_ >= kWaitersAllMax) co_return false;
  CancelSource woken;
  waiters.insert(&woken);
  ++waiting_;
  const auto cancelled = cancel.on_cancel([&woken] { woken.cancel(); });
  const auto stopping = stopping_.token().on_cancel([&woken] { woken.cancel(); });
  const bool passed = co_await sleep_for(clock_, wait, woken.token());
  --waiting_;
  if (const auto found = waiters_.find(workspace); found != waiters_.end()) {
    found->second.erase(&woken);
    if (found->second.empty()) waiters_.erase(found);
  }
  co_return !passed && !cancel.cancelled() && is_open_;
}

Task<Outcome<EventPage>> EventsService::list(Actor actor, std::string workspace, EventFilter filter, std::uint64_t cursor,
                                             std::size_t limit, Millis wait, CancelToken cancel) {
  if (auto valid = check_filter(filter); !valid) co_return std::unexpected(valid.error());
  limit = limit == 0 ? kPageDefault : std::min(limit, kPageMax);
  const auto until = clock_.monotonic() + std::clamp(wait, Millis{0}, kWaitMax);
  while (true) {
    // Again after each wait: who has lost the role meanwhile sees nothing more.
    auto found = spaces_.find(actor, workspace, Role::Viewer);
    if (!found) co_return std::unexpected(found.error());
    auto page = co_await read_page(found->id, filter, cursor, limit);
    if (!page || !page->events.empty() || page->more) co_return page;
    cursor = page->cursor;
    const auto newest = newest_.find(found->id);
    if (newest != newest_.end() && newest->second > cursor && cursor > 0) continue;
    const auto left = std::chrono::duration_cast<Millis>(until - clock_.monotonic());
    if (left.count() <= 0 || cancel.cancelled() || !is_open_) co_return page;
    if (!co_await wait_for_event(found->id, left, cancel)) co_return page;
  }
}

Task<Outcome<EventPage>> EventsService::read_page(std::string workspace, EventFilter filter, std::uint64_t cursor, std::size_t limit) {
  const keys::Partition partition = spaces_.partition_of(workspace);
  const auto rows = spaces_.read();
  KeyRange range = KeyRange::prefix(keys::prefix(partition, workspace, 'e'));
  EventPage out;
  out.cursor = cursor;
  if (cursor > 0) {
    auto oldest = co_await rows->scan(range, 1);
    if (!oldest) co_return std::unexpected(Refusal(oldest.error()));
    if (!oldest->empty())
      if (const std::uint64_t first = number_of_key(oldest->front().first); first > cursor + 1)
        co_return refuse(
            "ws.cursor_expired",
            "the events after this cursor are not kept any more; list what there is and go on from the cursor " + std::to_string(first - 1),
            {{"oldest", first}, {"cursor", first - 1}});
    range.begin = keys::row(partition, workspace, 'e', keys::number(cursor + 1));
  }
  for (std::size_t scanned = 0; scanned < kScannedMax;) {
    auto found = co_await rows->scan(range, kScanStep);
    if (!found) co_return std::unexpected(Refusal(found.error()));
    for (auto& [key, value] : *found) {
      if (out.events.size() >= limit) {
        out.more = true;
        co_return out;
      }
      range.begin = key + '\0';
      out.cursor = number_of_key(key);
      auto event = row_as<FileEvent>(key, value);
      if (!event) co_return std::unexpected(Refusal(event.error()));
      if (wants(filter, *event)) out.events.push_back(*std::move(event));
    }
    scanned += found->size();
    if (found->size() < kScanStep) co_return out;
  }
  out.more = true;
  co_return out;
}

Task<Outcome<std::uint64_t>> EventsService::newest(Actor actor, std::string workspace) {
  auto found = spaces_.find(actor, workspace, Role::Viewer);
  if (!found) co_return std::unexpected(found.error());
  const auto rows = spaces_.read();
  auto last = co_await rows->scan(KeyRange::prefix(keys::prefix(spaces_.partition_of(found->id), found->id, 'e')), 1, Direction::Backward);
  if (!last) co_return std::unexpected(Refusal(last.error()));
  co_return last->empty() ? 0 : number_of_key(last->front().first);
}

}  // namespace mayfly::workspace
