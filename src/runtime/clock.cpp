#include "runtime/clock.h"

#include <boost/asio/steady_timer.hpp>

namespace mayfly {
namespace {

using SteadyTimer = asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;

class SystemTimer final : public Clock::Timer {
 public:
  SystemTimer(Executor executor, Millis delay, std::move_only_function<void()> callback)
      : timer_(executor, delay), alive_(std::make_shared<bool>(true)) {
    timer_.async_wait([alive = std::weak_ptr(alive_), callback = std::move(callback)](boost::system::error_code error) mutable {
      if (!error && !alive.expired()) callback();
    });
  }

 private:
  SteadyTimer timer_;
  std::shared_ptr<bool> alive_;
};

}  // namespace

TimePoint SystemClock::now() const { return std::chrono::floor<Millis>(std::chrono::system_clock::now()); }

std::chrono::nanoseconds SystemClock::monotonic() const { return std::chrono::steady_clock::now().time_since_epoch(); }

std::unique_ptr<Clock::Timer> SystemClock::call_after(Millis delay, std::move_only_function<void()> callback) {
  return std::make_unique<SystemTimer>(executor_, delay, std::move(callback));
}

Task<bool> sleep_for(Clock& clock, Millis delay, CancelToken cancel) {
  if (cancel.cancelled()) co_return false;
  struct Wait {
    std::unique_ptr<Clock::Timer> timer;
    CancelToken::Registration registration;
    std::unique_ptr<Resume<bool>> resume;
  };
  // The callbacks own it, the coroutine does not: a wait that is never continued (its clock is gone) is freed with them.
  std::weak_ptr<Wait> weak;
  const auto finish = [](const std::shared_ptr<Wait>& w, bool elapsed) {
    if (const auto resume = std::exchange(w->resume, nullptr)) (*resume)(elapsed);
  };
  const bool elapsed = co_await suspend<bool>([&](Resume<bool> resume) {
    const auto wait = std::make_shared<Wait>();
    weak = wait;
    wait->resume = std::make_unique<Resume<bool>>(std::move(resume));
    wait->timer = clock.call_after(delay, [wait, finish] { finish(wait, true); });
    wait->registration = cancel.on_cancel([wait, finish] { finish(wait, false); });
  });
  if (const auto wait = weak.lock()) {
    wait->timer.reset();
    wait->registration.reset();
  }
  co_return elapsed;
}

}  // namespace mayfly
