#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstddef>
#include <exception>
#include <functional>
#include <utility>

namespace mayfly {

namespace asio = boost::asio;

/// A loop is one io_context run by one thread. Everything above `store` and `net` lives on a loop and needs no lock.
using Executor = asio::io_context::executor_type;

/// A coroutine of a loop. Starts when awaited or spawned. Parameters are taken by value.
template <class T = void>
using Task = asio::awaitable<T, Executor>;

inline constexpr asio::use_awaitable_t<Executor> use_task{};

/// Continues one suspended Task with a value. Move-only, called at most once, from any thread: the Task goes on in
/// its own loop, never inside the call. Dropping it unused destroys the Task.
template <class T>
class Resume {
 public:
  Resume(Executor executor, std::move_only_function<void(T)> handler) : executor_(executor), handler_(std::move(handler)) {}
  void operator()(T value) {
    asio::post(executor_, [handler = std::move(handler_), value = std::move(value)]() mutable { handler(std::move(value)); });
  }
  explicit operator bool() const { return static_cast<bool>(handler_); }

 private:
  Executor executor_;
  std::move_only_function<void(T)> handler_;
};

/// Suspends the calling Task, hands its `Resume<T>` to `start`, and returns what the Resume is called with.
template <class T>
Task<T> suspend(std::move_only_function<void(Resume<T>)> start) {
  const Executor executor = co_await asio::this_coro::executor;
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<Executor>, void(T)>(
      [executor, start = std::move(start)](auto handler) mutable {
        start(Resume<T>(executor, [handler = std::move(handler)](T value) mutable { std::move(handler)(std::move(value)); }));
      },
      use_task);
}

/// Lets other ready handlers of the loop run first.
Task<> yield_now();

/// Owns the tasks spawned into it. A task that ends by an exception is a bug of ours and aborts.
/// Must be empty when destroyed: `co_await join()` first (stop the tasks by their CancelToken).
class TaskGroup {
 public:
  explicit TaskGroup(Executor executor) : executor_(executor) {}
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  void spawn(Task<> task);
  /// Returns when no task is left, also of those spawned meanwhile. One joiner at a time.
  Task<> join();
  std::size_t size() const { return running_; }
  /// Simulation of a crash only: its tasks will never be resumed and need not be joined.
  void abandon() { abandoned_ = true; }

 private:
  void finished(std::exception_ptr error);

  Executor executor_;
  std::size_t running_ = 0;
  bool abandoned_ = false;
  std::move_only_function<void()> joined_;
};

}  // namespace mayfly
