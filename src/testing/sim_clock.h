#pragma once

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "runtime/clock.h"

namespace mayfly {

/// Time that moves only when it is told to. One for the whole world; each process sees it through a `ProcessClock`.
class SimClock final : public Clock {
 public:
  TimePoint now() const override { return now_; }
  std::chrono::nanoseconds monotonic() const override { return now_.time_since_epoch(); }
  std::unique_ptr<Timer> call_after(Millis delay, std::move_only_function<void()> callback) override;

  bool has_timers() const { return !timers_->empty(); }
  /// Jumps to the next timer and runs all that are due then. False when there is none.
  bool advance();

 private:
  using Timers = std::map<std::pair<TimePoint, std::uint64_t>, std::move_only_function<void()>>;
  class Handle;

  TimePoint now_ = from_unix_ms(1'700'000'000'000);
  std::uint64_t next_ = 0;
  std::shared_ptr<Timers> timers_ = std::make_shared<Timers>();
};

/// A process's view: after its death no callback runs any more. Callbacks of the dead are kept (their coroutines are not
/// destroyed) until this object is.
class ProcessClock final : public Clock {
 public:
  explicit ProcessClock(SimClock& world) : world_(world) {}
  TimePoint now() const override { return world_.now(); }
  std::chrono::nanoseconds monotonic() const override { return world_.monotonic(); }
  std::unique_ptr<Timer> call_after(Millis delay, std::move_only_function<void()> callback) override;
  void die() { *alive_ = false; }
  bool alive() const { return *alive_; }

 private:
  SimClock& world_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::shared_ptr<std::vector<std::move_only_function<void()>>> buried_ =
      std::make_shared<std::vector<std::move_only_function<void()>>>();
};

}  // namespace mayfly
