#include "server/api_functions.h"

#include "agent/functions_test_support.h"
#include "base/hash.h"
#include "sandbox/sandbox.h"
#include "server/server_test_support.h"

namespace mayfly {
namespace {

class FakeSupervisor final : public function::Supervisor {
 public:
  std::vector<function::InstanceInfo> running;
  std::vector<std::string> lines;
  std::size_t asked_lines = 0;

  Task<Result<function::InvocationResult>> invoke(function::InvocationRequest) override { co_return function::InvocationResult{}; }
  void changed(const std::string&, std::int64_t) override {}
  std::vector<function::InstanceInfo> instances() const override { return running; }
  function::SupervisorCounters counters() const override { return {}; }
  Task<std::vector<std::string>> log(std::string, std::size_t lines_max) override {
    asked_lines = lines_max;
    co_return lines;
  }
  Task<> stop(Millis) override { co_return; }
};

class FakeSandbox final : public sandbox::Sandbox {
 public:
  std::vector<sandbox::LayerState> layers() const override {
    return {{sandbox::Layer::Seccomp, true, "an allow-list"}, {sandbox::Layer::Landlock, false, "the kernel is older than 5.13"}};
  }
  Task<Result<std::unique_ptr<sandbox::SandboxProcess>>> launch(sandbox::SandboxSpec) override { co_return fail("sandbox.exec", "fake"); }
  Task<Result<void>> add_zygote(sandbox::ZygoteSpec) override { co_return Result<void>{}; }
  void remove_zygote(const std::string&) override {}
  Task<> stop() override { co_return; }
};

class FunctionApiTest : public ServerTest {
 protected:
  void TearDown() override { stop(); }

  void start_with_functions() {
    start();
    AppContext& context = app_->context();
    registry_ = context.functions;
    ASSERT_NE(registry_, nullptr);
    context.function_service = &service_;
    context.supervisor = &supervisor_;
    context.sandbox = &sandbox_;
  }

  /// A package in base64.
  std::string packed(std::string_view source = "def handler(event, context):\n  return event\n") {
    const std::string folder = directory_.path + "/code";
    std::filesystem::create_directories(folder);
    std::ofstream(folder + "/app.py") << source;
    const auto package = function::pack_folder(folder);
    EXPECT_TRUE(package);
    return to_base64(package->zip);
  }
  HttpAnswer put(const std::string& name, JsonObject body) { return call("PUT", "/v1/functions/" + name, to_text(body)); }
  HttpAnswer put_state() {
    return put("state", {{"runtime", "python3"},
                         {"handler", "app.handler"},
                         {"memory", 512},
                         {"environment", JsonObject{{"TOKEN", "s3cret"}}},
                         {"zip", packed()}});
  }

  function::FunctionRegistry* registry_ = nullptr;
  function::FakeFunctionService service_;
  FakeSupervisor supervisor_;
  FakeSandbox sandbox_;
};

TEST_F(FunctionApiTest, DeploysShowsAndRemovesAFunction) {
  start_with_functions();
  const HttpAnswer made = put_state();
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.text("arn"), "arn:aws:lambda:us-east-1:000000000000:function:state");
  EXPECT_EQ(made.text("runtime"), "python3.13");
  EXPECT_EQ(put_state().status, 200);
  EXPECT_EQ(get_int(get("/v1/functions/state").json, "revision"), 1) << "the same again makes no revision";

  const HttpAnswer shown = get("/v1/functions/state");
  EXPECT_EQ(shown.status, 200);
  EXPECT_EQ(shown.body.find("s3cret"), std::string::npos) << shown.body;
  EXPECT_EQ(get_string(*get_object(*get_object(shown.json, "spec"), "environment"), "TOKEN"), "***");
  const HttpAnswer listed = get("/v1/functions");
  EXPECT_EQ(get_string(get_array(listed.json, "functions")->at(0).get_object(), "name"), "state");
  EXPECT_EQ(listed.body.find("s3cret"), std::string::npos);

  EXPECT_EQ(call("DELETE", "/v1/functions/state").status, 204);
  EXPECT_EQ(get("/v1/functions/state").code(), "function.not_found");
  EXPECT_EQ(call("DELETE", "/v1/functions/state").status, 404);
}

TEST_F(FunctionApiTest, CodeIsFoundByItsWholePath) {
  config_.data_dir = std::filesystem::relative(config_.data_dir).string();
  start_with_functions();
  ASSERT_EQ(put_state().status, 201);
  const std::string& code = registry_->resolve({"state", {}})->revision->code_directory;
  EXPECT_TRUE(code.starts_with('/')) << "a relative one cannot be mounted: " << code;
  EXPECT_TRUE(std::filesystem::exists(code + "/app.py"));
}

TEST_F(FunctionApiTest, AProjectBringsItsFunctions) {
  std::filesystem::create_directories(project_ + "/f");
  write("f/app.py", "def handler(event, context):\n  return event\n");
  write("mayfly.yaml", std::string(kTestProject) + "functions: {state: {code: f, memory: 128}}\n");
  start_with_functions();
  EXPECT_EQ(get_int(get("/v1/functions/state").json, "memory_mb"), 128);
}

TEST_F(FunctionApiTest, TheConfigurationChangesWithoutCode) {
  start_with_functions();
  ASSERT_EQ(put_state().status, 201);
  const HttpAnswer changed = put("state", {{"runtime", "python3"}, {"handler", "app.handler"}, {"memory", 1024}});
  ASSERT_EQ(changed.status, 200) << changed.body;
  EXPECT_EQ(get_int(changed.json, "memory_mb"), 1024);
  EXPECT_EQ(get_int(changed.json, "revision"), 2);
  EXPECT_EQ(put("other", {{"runtime", "python3"}, {"handler", "app.handler"}}).code(), "request.invalid");
}

TEST_F(FunctionApiTest, WhatTheSpecificationLeavesOutIsTakenAway) {
  start_with_functions();
  JsonObject full{{"runtime", "python3"},
                  {"handler", "app.handler"},
                  {"zip", packed()},
                  {"url", JsonObject{{"auth", "none"}}},
                  {"concurrency", JsonObject{{"reserved", 5}, {"provisioned", 2}}},
                  {"async", JsonObject{{"retries", 0}}}};
  const HttpAnswer made = put("web", full);
  ASSERT_EQ(made.status, 201) << made.body;
  const std::string url = made.text("url");
  EXPECT_TRUE(url.starts_with("/lambda-url/")) << made.body;
  const function::FunctionRecord* record = registry_->record("web");
  EXPECT_EQ(record->concurrency.reserved, 5);
  EXPECT_EQ(record->concurrency.provisioned.at("$LATEST"), 2);
  EXPECT_EQ(record->async.at("$LATEST").retries_max, 0);
  EXPECT_FALSE(record->urls.at("").needs_iam);
  EXPECT_EQ(put("web", full).text("url"), url) << "the address stays";
  full.erase("url");
  full.erase("concurrency");
  full.erase("async");
  ASSERT_EQ(put("web", full).status, 200);
  record = registry_->record("web");
  EXPECT_FALSE(record->concurrency.reserved);
  EXPECT_TRUE(record->concurrency.provisioned.empty());
  EXPECT_TRUE(record->async.empty());
  EXPECT_TRUE(record->urls.empty());
}

TEST_F(FunctionApiTest, InvokesAndTellsWhatBecameOfIt) {
  start_with_functions();
  service_.answers["state"] = function::InvocationResult{.payload = R"({"a":1})",
                                                         .function_error = {},
                                                         .error_type = {},
                                                         .request_id = "r-1",
                                                         .log_tail = "START",
                                                         .cold = true,
                                                         .duration = Millis{12},
                                                         .billed = Millis{13},
                                                         .init = Millis{9},
                                                         .memory_peak_bytes = 1000};
  const HttpAnswer answer = post("/v1/functions/state:live/invoke?log=1", R"({"q": "x"})", {{"Idempotency-Key", "order-1"}});
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.text("status"), "SUCCEEDED");
  EXPECT_EQ(to_text(*get_object(answer.json, "result")), R"({"a":1})");
  EXPECT_EQ(get_int(answer.json, "duration_ms"), 12);
  EXPECT_TRUE(get_bool(answer.json, "cold"));
  EXPECT_EQ(answer.text("log"), "START");
  ASSERT_EQ(service_.invokes.size(), 1U);
  EXPECT_EQ(service_.invokes[0].payload, R"({"q": "x"})") << "passed on as it is";
  EXPECT_EQ(service_.invokes[0].function.qualifier, "live");
  EXPECT_EQ(service_.invokes[0].execution_name, "order-1");
  EXPECT_TRUE(service_.invokes[0].want_log_tail);

  service_.answers["state"] =
      function::InvocationResult{.payload = R"({"errorMessage":"no","errorType":"E"})", .function_error = "Unhandled", .error_type = "E"};
  const HttpAnswer failed = post("/v1/functions/state/invoke?qualifier=7", "");
  EXPECT_EQ(failed.status, 200);
  EXPECT_EQ(failed.text("status"), "FAILED");
  EXPECT_EQ(get_string(*get_object(failed.json, "error"), "errorMessage"), "no");
  EXPECT_EQ(service_.invokes[1].function.qualifier, "7");
  EXPECT_EQ(service_.invokes[1].payload, "{}");

  const HttpAnswer later = post("/v1/functions/state/invoke?async=1", "[1]");
  EXPECT_EQ(later.status, 202) << later.body;
  EXPECT_EQ(later.text("status"), "ACCEPTED");
  EXPECT_EQ(service_.async_invokes.at(0).payload, "[1]");
}

TEST_F(FunctionApiTest, RefusesWithAReason) {
  start_with_functions();
  service_.answers["busy"] = fail("function.throttled", "Rate exceeded", Retry::Safe);
  const std::vector<std::tuple<std::string, std::string, std::string, int, std::string>> table{
      {"PUT", "/v1/functions/state", "[]", 400, "request.invalid"},
      {"PUT", "/v1/functions/state", R"({"zip": "!"})", 400, "request.invalid"},
      {"PUT", "/v1/functions/instances", "{}", 422, "function.invalid_name"},
      {"PUT", "/v1/functions/a%20b", "{}", 422, "function.invalid_name"},
      {"PUT", "/v1/functions/state", R"({"runtime": "python3", "handler": "a.b", "code": "/etc"})", 422, "function.invalid"},
      {"PUT", "/v1/functions/state", R"({"runtime": "python3", "handler": "a.b", "zip": "bm8gemlw"})", 422, "package.invalid"},
      {"POST", "/v1/functions/none/invoke", "{}", 404, "function.not_found"},
      {"POST", "/v1/functions/busy/invoke", "{}", 429, "function.throttled"},
      {"POST", "/v1/functions/busy/invoke", "{broken", 400, "json.invalid"},
      {"POST", "/v1/functions/busy/invoke?async=maybe", "{}", 400, "request.invalid"},
      {"POST", "/v1/functions/busy:1/invoke?qualifier=2", "{}", 400, "request.invalid"},
      {"GET", "/v1/functions/none/logs", "", 404, "function.not_found"}};
  for (const auto& [method, path, body, status, code] : table) {
    const HttpAnswer answer = call(method, path, body);
    EXPECT_EQ(answer.status, status) << method << " " << path << " " << answer.body;
    EXPECT_EQ(answer.code(), code) << method << " " << path << " " << answer.body;
  }
  const net::Headers reader{{"Authorization", "Bearer " + make_key({Scope::Read})}};
  EXPECT_EQ(call("PUT", "/v1/functions/state", "{}", reader).status, 403);
  EXPECT_EQ(call("POST", "/v1/functions/busy/invoke", "{}", reader).status, 403);
}

TEST_F(FunctionApiTest, ShowsLogsProcessesAndLayers) {
  start_with_functions();
  ASSERT_EQ(put_state().status, 201);
  supervisor_.lines = {"START", "caf\xc3"};
  const HttpAnswer log = get("/v1/functions/state/logs?lines=7");
  EXPECT_EQ(supervisor_.asked_lines, 7U);
  EXPECT_EQ(get_array(log.json, "lines")->size(), 2U) << log.body;
  EXPECT_EQ(get("/v1/functions/state/logs?lines=0").status, 400);
  supervisor_.running.push_back({.id = "i-1", .function = "state", .revision = 1, .state = "idle", .pid = 7});
  const HttpAnswer instances = get("/v1/functions/instances");
  EXPECT_EQ(get_string(get_array(instances.json, "instances")->at(0).get_object(), "state"), "idle") << instances.body;
  EXPECT_EQ(get_array(get("/v1/functions/state").json, "instances")->size(), 1U);
  const HttpAnswer layers = get("/v1/sandbox");
  EXPECT_TRUE(get_bool(layers.json, "available"));
  const JsonObject& missing = get_array(layers.json, "layers")->at(1).get_object();
  EXPECT_EQ(get_string(missing, "layer"), "landlock");
  EXPECT_FALSE(get_bool(missing, "active", true));
  EXPECT_NE(get_string(missing, "detail").find("kernel"), std::string::npos);
}

TEST_F(FunctionApiTest, AnAgentsFunctionMustBeThere) {
  start_with_functions();
  JsonObject spec = *get_object(get("/v1/agents/echo").json, "spec");
  agent::AgentSpec echo = *agent::spec_from_json(spec);
  echo.tools.push_back({.kind = agent::ToolSpec::Kind::Function,
                        .name = "remember",
                        .description = "Remembers",
                        .parameters = JsonObject{{"type", "object"}},
                        .config = JsonObject{{"function", "state"}}});
  const Json agents = JsonArray{agent::to_json(echo)};
  const HttpAnswer refused = post("/v1/deploy", to_text(JsonObject{{"agents", agents}}));
  EXPECT_EQ(refused.status, 422);
  EXPECT_NE(refused.text("detail").find("'state' is not deployed"), std::string::npos) << refused.body;

  JsonObject state{{"runtime", "python3"}, {"handler", "app.handler"}};
  const HttpAnswer checked =
      post("/v1/deploy?check=1", to_text(JsonObject{{"agents", agents}, {"functions", JsonObject{{"state", state}}}}));
  EXPECT_EQ(checked.status, 200) << checked.body;
  EXPECT_FALSE(registry_->record("state")) << "a check changes nothing";
  EXPECT_EQ(post("/v1/deploy", to_text(JsonObject{{"functions", JsonObject{{"state", state}}}})).code(), "request.invalid");
  state["zip"] = packed();
  const HttpAnswer both = post("/v1/deploy", to_text(JsonObject{{"agents", agents}, {"functions", JsonObject{{"state", state}}}}));
  ASSERT_EQ(both.status, 200) << both.body;
  EXPECT_EQ(get_int(get_array(both.json, "agents")->at(0).get_object(), "version"), 2);
  EXPECT_EQ(get_string(get_array(both.json, "functions")->at(0).get_object(), "name"), "state");
}

TEST_F(FunctionApiTest, AServerWithoutFunctionsSaysSo) {
  start();
  app_->context().functions = nullptr;
  EXPECT_EQ(get("/v1/functions").code(), "function.unavailable");
  EXPECT_EQ(put("state", {{"zip", packed()}}).status, 503);
}

}  // namespace
}  // namespace mayfly
