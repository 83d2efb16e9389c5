#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <deque>
#include <fstream>
#include <string>
#include <vector>

#include "base/hash.h"
#include "function/code_package.h"
#include "function/durable/durable_service.h"
#include "function/function_service.h"
#include "server/server_test_support.h"

/// For the tests of the Lambda API: functions that answer what the test says, and durable executions that only write down what was asked.
namespace mayfly::lambda {

class FakeFunctions final : public function::FunctionService {
 public:
  Task<Result<function::Invoked>> invoke(function::Invoke invoke) override {
    calls.push_back(invoke);
    if (error) co_return fail(*error);
    if (invoke.on_stream && !pieces.empty()) {
      if (!co_await invoke.on_stream_start(content_type)) co_return fail("function.cancelled", "nobody reads");
      for (const std::string& piece : pieces) (void)co_await invoke.on_stream(piece);
    }
    co_return answer;
  }
  Task<Result<function::Invoked>> invoke_async(function::Invoke invoke) override {
    events.push_back(std::move(invoke));
    if (error) co_return fail(*error);
    co_return answer;
  }
  Result<void> check(const function::Invoke& invoke) override {
    checks.push_back(invoke);
    if (error) return fail(*error);
    return {};
  }

  std::vector<function::Invoke> calls, events, checks;
  function::Invoked answer;
  std::optional<Error> error;
  std::vector<std::string> pieces;
  std::string content_type;
};

class FakeDurable final : public function::DurableService {
 public:
  Task<Result<Json>> checkpoint(std::string arn, Json request) override { return note("checkpoint " + arn + " " + to_text(request)); }
  Task<Result<Json>> state(std::string arn, std::string token, function::Page page) override {
    return note("state " + arn + " " + token + " " + page.marker + " " + std::to_string(page.items_max));
  }
  Task<Result<Json>> get(std::string arn, bool include_data) override { return note("get " + arn + (include_data ? " data" : "")); }
  Task<Result<Json>> history(std::string arn, bool include_data, bool reverse, function::Page page) override {
    return note("history " + arn + (include_data ? " data" : "") + (reverse ? " reverse" : "") + " " + std::to_string(page.items_max));
  }
  Task<Result<Json>> list(function::ExecutionFilter filter) override {
    std::string statuses;
    for (const std::string& status : filter.statuses) statuses += " " + status;
    return note("list " + filter.function.name + " " + filter.name + statuses + (filter.started_after ? " after" : ""));
  }
  Task<Result<Json>> stop(std::string arn, Json error) override { return note("stop " + arn + " " + to_text(error)); }
  Task<Result<void>> callback_succeed(std::string id, std::string result) override { return noted("succeed " + id + " " + result); }
  Task<Result<void>> callback_fail(std::string id, Json error) override { return noted("fail " + id + " " + to_text(error)); }
  Task<Result<void>> callback_heartbeat(std::string id) override { return noted("heartbeat " + id); }

  std::string last;
  std::optional<Error> error;

 private:
  Task<Result<Json>> note(std::string what) {
    last = std::move(what);
    if (error) co_return fail(*error);
    co_return Json(JsonObject{{"ok", true}});
  }
  Task<Result<void>> noted(std::string what) {
    last = std::move(what);
    if (error) co_return fail(*error);
    co_return Result<void>{};
  }
};

class LambdaTest : public ServerTest {
 protected:
  void start_functions() {
    start();
    app_->context().function_service = &functions_;
    app_->context().durable = &durable_;
  }

  std::string zip(const std::string& text) {
    const std::string folder = directory_.path + "/code";
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    std::ofstream(folder + "/app.py") << text;
    return function::pack_folder(folder)->zip;
  }
  HttpAnswer create(const std::string& name, JsonObject more = {}) {
    JsonObject body{{"FunctionName", name},
                    {"Runtime", "python3.12"},
                    {"Role", "arn:aws:iam::000000000000:role/any"},
                    {"Handler", "app.handler"},
                    {"Code", JsonObject{{"ZipFile", to_base64(zip("v1"))}}}};
    for (const auto& member : more) body[member.key()] = member.value();
    return post("/2015-03-31/functions", to_text(body));
  }
  HttpAnswer update_code(const std::string& name, const std::string& text, JsonObject more = {}) {
    more["ZipFile"] = to_base64(zip(text));
    return call("PUT", "/2015-03-31/functions/" + name + "/code", to_text(more));
  }
  HttpAnswer invoke(const std::string& name, const std::string& payload, net::Headers headers = {}) {
    return post("/2015-03-31/functions/" + name + "/invocations", payload, std::move(headers));
  }
  /// The exception's name; empty when it was none. It must be the same wherever AWS writes it.
  static std::string exception(const HttpAnswer& answer) {
    if (answer.status < 400) return "";
    EXPECT_FALSE(answer.text("Type").empty()) << answer.body;
    EXPECT_FALSE(answer.text("message").empty() && answer.text("Message").empty()) << answer.body;
    EXPECT_FALSE(answer.headers.get("x-amzn-requestid").empty());
    return answer.headers.get("x-amzn-errortype");
  }

  FakeFunctions functions_;
  FakeDurable durable_;
};

}  // namespace mayfly::lambda
