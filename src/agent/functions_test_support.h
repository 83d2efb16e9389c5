#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "function/function_service.h"

/// For tests of what calls functions.
namespace mayfly::function {

/// Answers with what was scripted for a function's name, else `function.not_found`; remembers what it was asked.
class FakeFunctionService final : public FunctionService {
 public:
  std::map<std::string, Result<InvocationResult>> answers;
  std::vector<Invoke> invokes;
  std::vector<Invoke> async_invokes;
  bool hangs = false;   ///< until the caller cancels
  bool durable = true;  ///< else invocations with an execution's name are refused

  void answer(const std::string& name, std::string payload) { answers[name] = InvocationResult{.payload = std::move(payload)}; }

  Task<Result<Invoked>> invoke(Invoke invoke) override {
    invokes.push_back(invoke);
    if (hangs) {
      CancelToken::Registration registration;
      co_await suspend<int>([&](Resume<int> resume) {
        registration = invoke.cancel.on_cancel([resume = std::make_shared<Resume<int>>(std::move(resume))] { (*resume)(0); });
      });
      co_return fail("function.cancelled", "nobody waits any more");
    }
    co_return result_of(invoke.function);
  }
  Task<Result<Invoked>> invoke_async(Invoke invoke) override {
    async_invokes.push_back(invoke);
    co_return result_of(invoke.function);
  }
  Result<void> check(const Invoke& invoke) override {
    if (!durable && !invoke.execution_name.empty())
      return fail("execution.not_durable", "only durable functions have executions with names");
    if (auto result = result_of(invoke.function); !result) return fail(result.error());
    return {};
  }

 private:
  Result<Invoked> result_of(const FunctionRef& function) const {
    const auto found = answers.find(function.name);
    if (found == answers.end()) return fail("function.not_found", "Function not found: " + function_arn(function.name));
    if (!found->second) return fail(found->second.error());
    return Invoked{.result = *found->second, .executed_version = "$LATEST", .durable_execution_arn = {}};
  }
};

}  // namespace mayfly::function
