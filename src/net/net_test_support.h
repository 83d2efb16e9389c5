#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <list>
#include <memory>
#include <string>

#include "net/http_server.h"

/// For the tests of this module: a clock moved by hand, raw sockets, and a loop that runs one Task to its end.
namespace mayfly::net {

/// Time stands still until `advance`. Callbacks run on the loop.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Executor executor) : executor_(executor) {}
  TimePoint now() const override { return from_unix_ms(1'795'000'000'000) + now_; }
  std::chrono::nanoseconds monotonic() const override { return now_ + std::chrono::hours(1); }
  std::unique_ptr<Clock::Timer> call_after(Millis delay, std::move_only_function<void()> callback) override {
    return std::make_unique<Handle>(*this, now_ + delay, std::move(callback));
  }
  void advance(Millis by) {
    const Millis target = now_ + by;
    for (;;) {
      const auto due = timers_.begin();
      if (due == timers_.end() || due->first > target) break;
      now_ = due->first;
      auto entry = due->second;
      timers_.erase(due);
      if (const auto callback = std::exchange(*entry, nullptr)) const_cast<std::move_only_function<void()>&>(callback)();
    }
    now_ = target;
  }
  bool has_timers() const { return !timers_.empty(); }

 private:
  using Entry = std::shared_ptr<std::move_only_function<void()>>;
  class Handle final : public Timer {
   public:
    Handle(ManualClock& clock, Millis at, std::move_only_function<void()> callback)
        : clock_(clock), entry_(std::make_shared<std::move_only_function<void()>>(std::move(callback))) {
      clock.timers_.emplace(at, entry_);
    }
    ~Handle() override {
      *entry_ = nullptr;
      std::erase_if(clock_.timers_, [&](const auto& timer) { return timer.second == entry_; });
    }

   private:
    ManualClock& clock_;
    Entry entry_;
  };

  Executor executor_;
  Millis now_{0};
  std::multimap<Millis, Entry> timers_;
};

using TestSocket = asio::basic_stream_socket<asio::ip::tcp, Executor>;
inline constexpr asio::as_tuple_t<asio::use_awaitable_t<Executor>> use_test_tuple{asio::use_awaitable_t<Executor>{}};

/// A client that sends exactly the given bytes.
class RawClient {
 public:
  explicit RawClient(Executor executor) : socket(executor) {}

  void connect(std::uint16_t port) { socket.connect({asio::ip::address_v4::loopback(), port}); }
  Task<bool> write(std::string bytes) {
    auto [error, count] = co_await asio::async_write(socket, asio::buffer(bytes), use_test_tuple);
    co_return !error;
  }
  /// More bytes into `received`; false at the end of the stream or after a reset.
  Task<bool> read_some() {
    std::string chunk(64 * 1024, '\0');
    auto [error, count] = co_await socket.async_read_some(asio::buffer(chunk), use_test_tuple);
    was_reset = error && error != asio::error::eof;
    received.append(chunk, 0, count);
    co_return !error;
  }
  Task<std::string> read_until(std::string mark) {
    while (received.find(mark) == std::string::npos && co_await read_some()) {
    }
    const auto at = received.find(mark);
    const auto size = at == std::string::npos ? received.size() : at + mark.size();
    std::string out = received.substr(0, size);
    received.erase(0, size);
    co_return out;
  }
  Task<std::string> read_all() {
    while (co_await read_some()) {
    }
    co_return std::exchange(received, {});
  }
  void reset_connection() {
    socket.set_option(asio::socket_base::linger(true, 0));
    socket.close();
  }

  TestSocket socket;
  std::string received;
  bool was_reset = false;
};

/// Runs the loop until `task` has returned.
inline void run_task(asio::io_context& io, Task<> task) {
  TaskGroup group(io.get_executor());
  group.spawn(std::move(task));
  io.restart();
  while (group.size() > 0) {
    ASSERT_GT(io.run_one_for(std::chrono::seconds(10)), 0u) << "the loop has nothing left to do, or hangs";
  }
}

}  // namespace mayfly::net
