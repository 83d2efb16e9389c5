#include "engine/shell/hub.h"

#include <algorithm>

namespace mayfly::engine {

struct Hub::Feed {
  Interest interest = Interest::Everything;
  std::deque<StreamItem> items;
  bool ended = false;
  std::unique_ptr<Resume<bool>> waiting;

  void wake() {
    if (const auto resume = std::exchange(waiting, nullptr)) (*resume)(true);
  }
};

class Hub::Reader final : public Subscription {
 public:
  Reader(Hub& hub, std::weak_ptr<bool> hub_alive, std::string run, std::shared_ptr<Feed> feed)
      : hub_(hub), hub_alive_(std::move(hub_alive)), run_(std::move(run)), feed_(std::move(feed)) {}
  ~Reader() override {
    if (!hub_alive_.expired()) hub_.remove(run_, feed_.get());
  }

  Task<std::optional<StreamItem>> next(CancelToken cancel) override {
    const std::shared_ptr<Feed> feed = feed_;
    while (feed->items.empty() && !feed->ended && !cancel.cancelled()) {
      const auto registration = cancel.on_cancel([feed] { feed->wake(); });
      co_await suspend<bool>([feed](Resume<bool> resume) { feed->waiting = std::make_unique<Resume<bool>>(std::move(resume)); });
    }
    if (feed->items.empty() || cancel.cancelled()) co_return std::nullopt;
    StreamItem item = std::move(feed->items.front());
    feed->items.pop_front();
    co_return item;
  }

 private:
  Hub& hub_;
  std::weak_ptr<bool> hub_alive_;
  std::string run_;
  std::shared_ptr<Feed> feed_;
};

std::unique_ptr<Subscription> Hub::subscribe(const std::string& run, Interest interest) {
  auto feed = std::make_shared<Feed>();
  feed->interest = interest;
  feeds_[run].push_back(feed);
  return std::make_unique<Reader>(*this, alive_, run, std::move(feed));
}

bool Hub::watched(const std::string& run) const {
  const auto found = feeds_.find(run);
  return found != feeds_.end() &&
         std::ranges::any_of(found->second, [](const auto& feed) { return feed->interest == Interest::Everything; });
}

void Hub::publish(const std::string& run, const StreamItem& item) {
  const auto found = feeds_.find(run);
  if (found == feeds_.end()) return;
  const auto* event = std::get_if<RunEvent>(&item);
  const bool is_end = event && event->kind == RunEvent::Kind::RunEnded;
  for (const auto& feed : found->second) {
    if (feed->ended || (feed->interest == Interest::End && !is_end)) continue;
    if (feed->items.size() >= kItemsMax) {
      feed->items.clear();
      feed->ended = true;
    } else {
      feed->items.push_back(item);
      feed->ended = is_end;
    }
    feed->wake();
  }
}

void Hub::remove(const std::string& run, Feed* feed) {
  const auto found = feeds_.find(run);
  if (found == feeds_.end()) return;
  std::erase_if(found->second, [feed](const auto& candidate) { return candidate.get() == feed; });
  if (found->second.empty()) feeds_.erase(found);
}

void Hub::end(const std::string& run) {
  const auto found = feeds_.find(run);
  if (found == feeds_.end()) return;
  for (const auto& feed : found->second) {
    feed->ended = true;
    feed->wake();
  }
}

void Hub::close() {
  for (auto& [run, feeds] : feeds_) {
    for (const auto& feed : feeds) {
      feed->ended = true;
      feed->wake();
    }
  }
}

}  // namespace mayfly::engine
