#include "testing/sim_clock.h"

#include <algorithm>

namespace mayfly {

class SimClock::Handle final : public Clock::Timer {
 public:
  Handle(std::weak_ptr<Timers> timers, std::pair<TimePoint, std::uint64_t> key) : timers_(std::move(timers)), key_(key) {}
  ~Handle() override {
    if (const auto timers = timers_.lock()) timers->erase(key_);
  }

 private:
  std::weak_ptr<Timers> timers_;
  std::pair<TimePoint, std::uint64_t> key_;
};

std::unique_ptr<Clock::Timer> SimClock::call_after(Millis delay, std::move_only_function<void()> callback) {
  const auto key = std::pair{now_ + std::max(delay, Millis{0}), next_++};
  timers_->emplace(key, std::move(callback));
  return std::make_unique<Handle>(timers_, key);
}

bool SimClock::advance() {
  if (timers_->empty()) return false;
  now_ = std::max(now_, timers_->begin()->first.first);
  while (!timers_->empty() && timers_->begin()->first.first <= now_) {
    auto due = timers_->extract(timers_->begin());
    due.mapped()();
  }
  return true;
}

std::unique_ptr<Clock::Timer> ProcessClock::call_after(Millis delay, std::move_only_function<void()> callback) {
  return world_.call_after(delay, [alive = alive_, buried = buried_, callback = std::move(callback)]() mutable {
    if (*alive) callback();
    else buried->push_back(std::move(callback));
  });
}

}  // namespace mayfly
