#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/time.h"
#include "runtime/cancel.h"
#include "runtime/task.h"

namespace mayfly {

/// The only source of time above `base`. Used on the loop that it was made for.
class Clock {
 public:
  /// Cancels its callback when destroyed.
  class Timer {
   public:
    virtual ~Timer() = default;
  };

  virtual ~Clock() = default;
  /// Wall-clock time; may jump.
  virtual TimePoint now() const = 0;
  /// Never goes back; its zero means nothing. For durations and timeouts.
  virtual std::chrono::nanoseconds monotonic() const = 0;
  /// Calls `callback` on the loop once `delay` has passed; never inside this call.
  [[nodiscard]] virtual std::unique_ptr<Timer> call_after(Millis delay, std::move_only_function<void()> callback) = 0;
};

/// True after the delay; false, at once, when cancelled.
Task<bool> sleep_for(Clock& clock, Millis delay, CancelToken cancel = {});

/// The operating system's clocks.
class SystemClock final : public Clock {
 public:
  explicit SystemClock(Executor executor) : executor_(executor) {}
  TimePoint now() const override;
  std::chrono::nanoseconds monotonic() const override;
  std::unique_ptr<Timer> call_after(Millis delay, std::move_only_function<void()> callback) override;

 private:
  Executor executor_;
};

}  // namespace mayfly
