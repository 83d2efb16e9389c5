#include "server/server_test_support.h"

namespace mayfly {
namespace {

TEST_F(ServerTest, AnswersHealthWithoutAKeyAndSaysWhatThereIs) {
  start();
  const net::Headers none{{"x-api-key", ""}};
  EXPECT_EQ(call("GET", "/healthz", {}, none).status, 200);
  EXPECT_EQ(call("GET", "/readyz", {}, none).text("status"), "ready");
  EXPECT_EQ(call("GET", "/openapi.json", {}, none).text("openapi"), "3.1.0");
  EXPECT_TRUE(call("GET", "/mayfly.schema.json", {}, none).json.contains("properties"));
}

TEST_F(ServerTest, InvokesAndWaitsForTheResult) {
  start();
  const HttpAnswer answer = post("/v1/agents/echo/runs", R"({"input": "hello"})", {{"Prefer", "wait=20"}});
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.text("status"), "SUCCEEDED");
  EXPECT_EQ(answer.said(), "You said: hello");
  EXPECT_EQ(answer.headers.get("mayfly-run"), answer.text("run"));
  EXPECT_EQ(get_int(*get_object(answer.json, "summary"), "steps"), 1);
  const HttpAnswer again = get("/v1/runs/" + answer.text("run"));
  EXPECT_EQ(again.said(), "You said: hello");
  EXPECT_EQ(again.text("agent"), "echo");
  EXPECT_TRUE(again.json.at("session").is_null());
  EXPECT_TRUE(parse_rfc3339(again.text("ended")));
}

TEST_F(ServerTest, AnswersAtOnceWithoutAWaitAndLaterByGet) {
  start();
  const HttpAnswer started = post("/v1/agents/talker/runs", R"({"input": "talk"})");
  ASSERT_EQ(started.status, 202) << started.body;
  EXPECT_EQ(started.text("started_as"), "begun");
  EXPECT_EQ(started.text("status"), "RUNNING");
  const HttpAnswer ended = get("/v1/runs/" + started.text("run") + "?wait=20s");
  EXPECT_EQ(ended.text("status"), "SUCCEEDED");
}

TEST_F(ServerTest, WaitingEndsWhenTimeIsUp) {
  start();
  const std::string run = start_waiting_run("ann");
  const HttpAnswer answer = get("/v1/runs/" + run + "?wait=10ms");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.text("status"), "RUNNING");
  const auto* wait = get_object(answer.json, "wait");
  ASSERT_NE(wait, nullptr);
  EXPECT_EQ(get_string(*wait, "kind"), "callback");
}

TEST_F(ServerTest, RepeatsWithOneIdempotencyKeyStartOneRun) {
  start();
  const net::Headers key{{"Idempotency-Key", "\"order-1\""}};
  const HttpAnswer first = post("/v1/agents/echo/runs?wait=20", R"({"input": "one"})", key);
  const HttpAnswer second = post("/v1/agents/echo/runs?wait=20", R"({"input": "one"})", {{"Idempotency-Key", "order-1"}});
  EXPECT_EQ(second.text("run"), first.text("run"));
  EXPECT_EQ(second.text("started_as"), "duplicate");
  EXPECT_EQ(second.said(), "You said: one");
  const HttpAnswer other = post("/v1/agents/echo/runs", R"({"input": "two"})", key);
  EXPECT_EQ(other.status, 422);
  EXPECT_EQ(other.code(), "idempotency.mismatch");
}

TEST_F(ServerTest, QuestionsAreListedAndAnswered) {
  start();
  const std::string run = start_waiting_run("ann");
  const HttpAnswer questions = get("/v1/questions");
  ASSERT_EQ(get_array(questions.json, "questions")->size(), 1u) << questions.body;
  const JsonObject& question = get_array(questions.json, "questions")->at(0).get_object();
  EXPECT_EQ(get_string(question, "run"), run);
  EXPECT_EQ(get_string(question, "kind"), "ask");
  EXPECT_EQ(get_string(question, "text"), "Shall I?");
  EXPECT_EQ(post("/v1/runs/" + run + "/answer", "{}").code(), "request.invalid");
  EXPECT_EQ(post("/v1/runs/" + run + "/answer", R"({"operation": 77, "decision": "yes"})").code(), "question.not_found");
  const HttpAnswer answered = post("/v1/runs/" + run + "/answer?wait=20", R"({"decision": "go ahead"})");
  EXPECT_EQ(answered.status, 200) << answered.body;
  EXPECT_NE(answered.said().find("go ahead"), std::string::npos) << answered.body;
  EXPECT_EQ(get_array(get("/v1/questions?run=" + run).json, "questions")->size(), 0u);
}

TEST_F(ServerTest, CancelEndsARun) {
  start();
  const std::string run = start_waiting_run("ann");
  const HttpAnswer cancelled = post("/v1/runs/" + run + "/cancel", R"({"reason": "changed my mind"})");
  EXPECT_EQ(cancelled.status, 200) << cancelled.body;
  EXPECT_EQ(cancelled.text("status"), "STOPPED");
  EXPECT_EQ(get_string(*get_object(cancelled.json, "error"), "message"), "changed my mind");
  const HttpAnswer again = post("/v1/runs/" + run + "/cancel", "");
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(again.code(), "run.ended");
}

TEST_F(ServerTest, ListsRunsOperationsTranscriptAndSessions) {
  start();
  const std::string waiting = start_waiting_run("ann/1");
  const std::string done = post("/v1/agents/echo/runs?wait=20", R"({"input": "hello"})").text("run");
  EXPECT_EQ(get_array(get("/v1/runs").json, "runs")->size(), 2u);
  EXPECT_EQ(get_string(get_array(get("/v1/runs?agent=echo").json, "runs")->at(0).get_object(), "id"), done);
  EXPECT_EQ(get_string(get_array(get("/v1/runs?waiting=true").json, "runs")->at(0).get_object(), "id"), waiting);
  EXPECT_EQ(get_array(get("/v1/runs?status=FAILED").json, "runs")->size(), 0u);
  const HttpAnswer page = get("/v1/runs?limit=1");
  EXPECT_EQ(get_array(get("/v1/runs?limit=1&before=" + page.text("next")).json, "runs")->size(), 1u);
  EXPECT_EQ(get("/v1/runs?status=BROKEN").code(), "request.invalid");
  EXPECT_EQ(get("/v1/runs?limit=0").code(), "request.invalid");

  const HttpAnswer operations = get("/v1/runs/" + waiting + "/operations");
  const JsonArray& list = *get_array(operations.json, "operations");
  ASSERT_GE(list.size(), 3u) << operations.body;
  EXPECT_EQ(get_string(list[0].get_object(), "type"), "EXECUTION");
  EXPECT_EQ(get_string(list.back().get_object(), "type"), "CALLBACK");
  EXPECT_EQ(get_string(list.back().get_object(), "status"), "STARTED");
  EXPECT_TRUE(parse_rfc3339(get_string(list[1].get_object(), "started"))) << operations.body;

  const HttpAnswer transcript = get("/v1/runs/" + done + "/transcript");
  EXPECT_NE(transcript.body.find("You said: hello"), std::string::npos) << transcript.body;
  EXPECT_NE(get("/v1/runs/" + done + "/cassette").body.find("\"request\""), std::string::npos);
  EXPECT_EQ(get_string(get_array(get("/v1/sessions?agent=desk").json, "sessions")->at(0).get_object(), "key"), "ann/1");
  const HttpAnswer session = get("/v1/sessions/desk/ann%2F1");
  EXPECT_EQ(get_string(get_array(session.json, "runs")->at(0).get_object(), "id"), waiting) << session.body;
  EXPECT_EQ(get("/v1/sessions/desk/nobody").code(), "session.not_found");
}

TEST_F(ServerTest, DeploysNewVersionsAndRollsBack) {
  start();
  const HttpAnswer first = get("/v1/agents/echo");
  JsonObject spec = *get_object(first.json, "spec");
  spec["description"] = "Changed";
  const HttpAnswer deployed = post("/v1/deploy", to_text(JsonObject{{"agents", JsonArray{spec}}}));
  ASSERT_EQ(deployed.status, 200) << deployed.body;
  EXPECT_EQ(get_int(get_array(deployed.json, "agents")->at(0).get_object(), "version"), 2);
  EXPECT_EQ(get("/v1/agents/echo").text("description"), "Changed");
  EXPECT_EQ(get_array(get("/v1/agents/echo/versions").json, "versions")->size(), 2u);
  EXPECT_EQ(get_int(post("/v1/agents/echo/rollback", "").json, "version"), 1);
  EXPECT_EQ(get("/v1/agents/echo").text("description"), "Repeats what it hears");
  EXPECT_EQ(post("/v1/agents/echo/rollback", R"({"version": 9})").status, 404);

  spec["models"] = JsonArray{"nobody/model"};
  const HttpAnswer unknown = post("/v1/deploy", to_text(JsonObject{{"agents", JsonArray{spec}}}));
  EXPECT_EQ(unknown.status, 422);
  EXPECT_EQ(unknown.code(), "agent.invalid");
  EXPECT_EQ(call("DELETE", "/v1/agents/echo").status, 204);
  const HttpAnswer gone = post("/v1/agents/echo/runs", R"({"input": "x"})");
  EXPECT_EQ(gone.status, 404);
  EXPECT_EQ(gone.code(), "agent.not_found");
}

TEST_F(ServerTest, DeployedProvidersWorkAtOnceAndAfterARestart) {
  config_.project.clear();
  start();
  const std::string body =
      R"({"directory": ")" + project_ + R"(", "providers": [{"name": "fresh", "kind": "scripted", "script": "quick.yaml"}]})";
  ASSERT_EQ(post("/v1/deploy", body).status, 200);
  EXPECT_TRUE(app_->context().gateway->check_model("fresh/x"));
  stop();
  start();
  EXPECT_TRUE(app_->context().gateway->check_model("fresh/x"));
  const HttpAnswer key = post("/v1/deploy", R"({"providers": [{"name": "bad", "kind": "openai", "api_key": "sk-secret"}]})");
  EXPECT_EQ(key.status, 422);
  EXPECT_EQ(key.body.find("sk-secret"), std::string::npos) << "an error must not repeat a key";
  EXPECT_EQ(post("/v1/deploy", R"({"providers": [{"name": "bad", "kind": "scripted", "script": "/nowhere.yaml"}]})").code(),
            "provider.invalid");
}

TEST_F(ServerTest, ForksAndReplays) {
  start();
  const std::string run = post("/v1/agents/echo/runs?wait=20", R"({"input": "hello"})").text("run");
  const HttpAnswer replay = post("/v1/runs/" + run + "/replay", "{}");
  ASSERT_EQ(replay.status, 200) << replay.body;
  EXPECT_TRUE(get_bool(replay.json, "identical")) << replay.body;
  EXPECT_EQ(get_int(replay.json, "model_calls"), 1);
  const HttpAnswer fork = post("/v1/runs/" + run + "/fork?wait=20", R"({"instructions": "Be brief."})");
  ASSERT_EQ(fork.status, 200) << fork.body;
  EXPECT_NE(fork.text("run"), run);
  EXPECT_EQ(fork.said(), "You said: hello");
}

TEST_F(ServerTest, BadRequestsGetAClearProblem) {
  config_.body_bytes_max = 10'000;
  start();
  const std::string runs = "/v1/agents/echo/runs";
  const std::vector<std::tuple<std::string, std::string, int, std::string>> table = {
      {runs, "{", 400, "json.invalid"},
      {runs, "[]", 400, "request.invalid"},
      {runs, "{}", 400, "request.invalid"},
      {runs, R"({"input": "x", "sesion": "typo"})", 400, "request.invalid"},
      {runs, R"({"input": "x", "version": "1"})", 400, "request.invalid"},
      {runs, R"({"input": "x", "session": "s"})", 422, "session.not_keyed"},
      {runs + "?wait=soon", R"({"input": "x"})", 400, "request.invalid"},
      {runs, R"({"input": "x", "version": 99})", 404, "agent.no_such_version"},
      {"/v1/agents/desk/runs", R"({"input": "x"})", 422, "session.required"},
      {"/v1/agents/nobody/runs", R"({"input": "x"})", 404, "agent.not_found"},
      {"/v1/runs/run_x/cancel", "", 404, "run.not_found"},
      {"/v1/deploy", "{}", 400, "request.invalid"},
      {"/v1/deploy", R"({"agents": [{}]})", 422, "agent.invalid"},
      {"/v1/nothing", "", 404, "route.not_found"},
      {runs, std::string(20'000, 'x'), 413, ""},
      {runs, std::string(5'000, '['), 400, "json.too_deep"}};
  for (const auto& [path, body, status, code] : table) {
    const HttpAnswer answer = post(path, body);
    EXPECT_EQ(answer.status, status) << path << " " << body.substr(0, 60) << "\n" << answer.body;
    if (!code.empty()) EXPECT_EQ(answer.code(), code) << path << " " << body.substr(0, 60);
    EXPECT_EQ(answer.headers.get("content-type"), "application/problem+json");
    EXPECT_FALSE(answer.text("detail").empty());
  }
  const HttpAnswer wrong = call("PUT", "/v1/runs");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.headers.get("allow"), "GET");
}

TEST_F(ServerTest, AWaitingRunSurvivesAStopAndGoesOnAfterTheNextStart) {
  start();
  const std::string run = start_waiting_run("ann");
  stop();
  start();
  EXPECT_FALSE(app_->made_admin_key());
  EXPECT_EQ(get("/v1/runs/" + run).text("status"), "RUNNING");
  const HttpAnswer answered = post("/v1/runs/" + run + "/answer?wait=20", R"({"decision": "yes"})");
  EXPECT_EQ(answered.text("status"), "SUCCEEDED") << answered.body;
}

TEST_F(ServerTest, ASecondServerOnTheSameDataIsRefused) {
  start();
  App second(io_.get_executor(), config_);
  const auto refused = run(second.start());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "store.locked");
}

TEST_F(ServerTest, APortInUseIsSaidAndTheDataCanBeOpenedAgain) {
  start();
  ServerConfig other = config_;
  other.data_dir = directory_.path + "/other";
  other.port = app_->port();
  {
    App second(io_.get_executor(), other);
    const auto refused = run(second.start());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, "net.address_in_use");
  }
  other.port = 0;
  App third(io_.get_executor(), other);
  EXPECT_TRUE(run(third.start()));
  EXPECT_FALSE(third.made_admin_key());
  run(third.stop());
}

TEST_F(ServerTest, AProjectWithMistakesIsNotStarted) {
  write("mayfly.yaml", "version: 1\nagents:\n  echo: {model: 5}\n");
  App app(io_.get_executor(), config_);
  const auto refused = run(app.start());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "project.invalid");
  EXPECT_NE(refused.error().message.find("mayfly.yaml:3"), std::string::npos) << refused.error().message;
}

TEST_F(ServerTest, TracesAreContinuedAndMetricsCount) {
  start();
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  EXPECT_EQ(call("GET", "/healthz", {}, {{"traceparent", trace}}).headers.get("traceparent"), trace);
  EXPECT_EQ(call("GET", "/healthz", {}, {{"traceparent", "00-zz"}}).headers.get("traceparent").size(), 55u);
  (void)post("/v1/agents/echo/runs?wait=20", R"({"input": "hello"})");
  const std::string metrics = get("/metrics").body;
  EXPECT_NE(metrics.find("mayfly_runs_ended_total 1\n"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("mayfly_http_requests_total{method=\"GET\",route=\"/healthz\",status=\"200\"} 2\n"), std::string::npos) << metrics;
}

Task<> take_spans(std::string* taken, net::Request& request, net::Responder& responder) {
  *taken += request.path + " " + request.body;
  co_await responder.send({200, {{"Content-Type", "application/json"}}, "{}"});
}

TEST_F(ServerTest, RunsAreExportedAsTraces) {
  std::string taken;
  SystemClock clock(io_.get_executor());
  const auto receiver = net::make_http_server(io_.get_executor(), clock, {}, [&taken](net::Request& request, net::Responder& responder) {
    return take_spans(&taken, request, responder);
  });
  ASSERT_TRUE(receiver->listen());
  config_.environment = [port = receiver->port()](std::string_view name) -> std::optional<std::string> {
    if (name == "OTEL_EXPORTER_OTLP_ENDPOINT") return "http://127.0.0.1:" + std::to_string(port);
    return std::nullopt;
  };
  start();
  const std::string trace = "0af7651916cd43dd8448eb211c80319c";
  (void)post("/v1/agents/echo/runs?wait=20", R"({"input": "hello"})", {{"traceparent", "00-" + trace + "-b7ad6b7169203331-01"}});
  stop();
  EXPECT_NE(taken.find("/v1/traces"), std::string::npos);
  EXPECT_NE(taken.find("invoke_agent echo"), std::string::npos) << taken;
  EXPECT_NE(taken.find(trace), std::string::npos) << "the caller's trace goes on";
  run(receiver->stop(Millis{0}));
}

}  // namespace
}  // namespace mayfly
