#include "runtime/task.h"

#include "base/assert.h"

namespace mayfly {

Task<> yield_now() { co_await asio::post(co_await asio::this_coro::executor, use_task); }

TaskGroup::~TaskGroup() { MAYFLY_ASSERT(running_ == 0 || abandoned_, "a TaskGroup is joined before it is destroyed"); }

void TaskGroup::spawn(Task<> task) {
  ++running_;
  asio::co_spawn(executor_, std::move(task), [this](std::exception_ptr error) { finished(error); });
}

void TaskGroup::finished(std::exception_ptr error) {
  if (error) {
    std::string why = "unknown exception";
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& e) {
      why = e.what();
    } catch (...) {
    }
    assertion_failed("no exception leaves a task", __FILE__, __LINE__, why);
  }
  if (--running_ == 0 && joined_) std::exchange(joined_, nullptr)();
}

Task<> TaskGroup::join() {
  while (running_ > 0) {
    MAYFLY_ASSERT(!joined_, "one joiner at a time");
    co_await suspend<bool>([this](Resume<bool> resume) { joined_ = [resume = std::move(resume)]() mutable { resume(true); }; });
  }
}

}  // namespace mayfly
