#include "function/supervisor.h"

#include "base/hash.h"
#include "function/function_test_support.h"
#include "function/supervisor_test_support.h"

namespace mayfly::function {
namespace {

using namespace std::chrono_literals;

TEST(Supervisor, StartsColdThenStaysWarm) {
  World world;
  world.sandbox.program = echo_forever;
  const auto first = world.invoke(world.function("hello"), R"({"n":1})");
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->payload, R"({"echo":{"n":1}})");
  EXPECT_TRUE(first->cold);
  EXPECT_EQ(first->function_error, "");
  const auto second = world.invoke(world.function("hello"), R"({"n":2})");
  ASSERT_TRUE(second);
  EXPECT_EQ(second->payload, R"({"echo":{"n":2}})");
  EXPECT_FALSE(second->cold);
  EXPECT_NE(first->request_id, second->request_id);
  EXPECT_EQ(world.sandbox.launched.size(), 1u);
  EXPECT_EQ(world.supervisor->counters().cold_starts, 1u);
  EXPECT_EQ(world.supervisor->counters().invocations, 2u);
}

TEST(Supervisor, HandsTheEventOverAsLambdaDoes) {
  RuntimeReply event;
  World world;
  world.sandbox.program = [&event](FakeProcess process) { return take_one(process, &event); };
  auto request = world.request(world.function("hello"), R"({"n":1})");
  request.request_id = "8f507cfc-1a2b-4c3d-8e4f-000000000001";
  request.invoked_arn = function_arn("hello", "prod");
  request.client_context = to_base64("{ \"custom\": {\"a\": 1} }");
  request.trace_header = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1";
  request.tenant_id = "blue";
  ASSERT_TRUE(world.run(world.supervisor->invoke(std::move(request))));
  EXPECT_EQ(event.status, 200);
  EXPECT_EQ(event.body, R"({"n":1})");
  EXPECT_EQ(event.headers["content-type"], "application/json");
  EXPECT_EQ(event.headers["lambda-runtime-aws-request-id"], "8f507cfc-1a2b-4c3d-8e4f-000000000001");
  EXPECT_EQ(event.headers["lambda-runtime-invoked-function-arn"], function_arn("hello", "prod"));
  EXPECT_EQ(event.headers["lambda-runtime-client-context"], R"({"custom":{"a":1}})");
  EXPECT_EQ(event.headers["lambda-runtime-trace-id"], "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1");
  EXPECT_EQ(event.headers["lambda-runtime-aws-tenant-id"], "blue");
  EXPECT_EQ(event.headers["lambda-runtime-deadline-ms"], std::to_string(to_unix_ms(world.clock.now() + 3s)));
}

TEST(Supervisor, GivesTheEnvironmentThatLambdaDocuments) {
  World world;
  world.sandbox.program = echo_forever;
  auto function = world.function("hello");
  function->config.environment = {{"STAGE", "test"}, {"OPENAI_API_KEY", "mine"}, {"AWS_LAMBDA_FUNCTION_NAME", "forged"}};
  ASSERT_TRUE(world.invoke(function, "1"));
  const auto& process = *world.sandbox.launched.front();
  EXPECT_EQ(process.variable("AWS_LAMBDA_FUNCTION_NAME"), "hello");
  EXPECT_EQ(process.variable("AWS_LAMBDA_FUNCTION_VERSION"), "$LATEST");
  EXPECT_EQ(process.variable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), "128");
  EXPECT_EQ(process.variable("AWS_LAMBDA_LOG_GROUP_NAME"), "/aws/lambda/hello");
  EXPECT_EQ(process.variable("AWS_LAMBDA_RUNTIME_API"), "127.0.0.2:9001");
  EXPECT_EQ(process.variable("AWS_ENDPOINT_URL_LAMBDA"), "http://127.0.0.2:9001");
  EXPECT_EQ(process.variable("OPENAI_BASE_URL"), "http://127.0.0.2:9001/v1");
  EXPECT_EQ(process.variable("LAMBDA_TASK_ROOT"), "/var/task");
  EXPECT_EQ(process.variable("_HANDLER"), "app.handler");
  EXPECT_EQ(process.variable("AWS_REGION"), "us-east-1");
  EXPECT_EQ(process.variable("STAGE"), "test");
  EXPECT_EQ(process.variable("OPENAI_API_KEY"), "mine") << "the user's own key wins";
  EXPECT_TRUE(process.variable("ANTHROPIC_API_KEY").starts_with("mfi_"));
  EXPECT_TRUE(process.variable("AWS_ACCESS_KEY_ID").starts_with("ASIA"));
  EXPECT_EQ(process.variable("HTTPS_PROXY"), "(not set)");
  EXPECT_EQ(process.spec.argv, std::vector<std::string>{"/var/task/bootstrap"});
  EXPECT_EQ(process.spec.mounts.front().target, "/var/task");
  EXPECT_FALSE(process.spec.mounts.front().writable);
  EXPECT_FALSE(process.spec.host_network);
}

Task<> ask_the_proxy(FakeProcess process, RuntimeReply* reply) {
  RawRuntime runtime(process);
  const auto event = co_await runtime.next();
  RawRuntime proxy(process, process->proxy_port);
  co_await proxy.send("CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254:80\r\n\r\n");
  *reply = co_await proxy.read();
  co_await runtime.respond(event.headers.at("lambda-runtime-aws-request-id"), "1");
  co_await runtime.next();
}

TEST(Supervisor, LetsAFunctionOutThroughTheProxyOnly) {
  for (const auto mode : {Egress::Mode::Allow, Egress::Mode::Open}) {
    RuntimeReply reply;
    World world;
    world.sandbox.program = [&reply](FakeProcess process) { return ask_the_proxy(process, &reply); };
    auto function = world.function("out");
    function->config.egress = {.mode = mode, .allow = {"api.example.com"}};
    ASSERT_TRUE(world.invoke(function, "1"));
    const auto& process = *world.sandbox.launched.front();
    EXPECT_FALSE(process.spec.host_network) << "whoever shares the host's network could speak for other functions";
    EXPECT_EQ(process.variable("HTTPS_PROXY"), "http://127.0.0.3:3128");
    EXPECT_TRUE(process.variable("NO_PROXY").starts_with("127.0.0.2"));
    EXPECT_EQ(reply.status, 403);
    EXPECT_NE(reply.body.find("egress.denied"), std::string::npos);
    const auto lines = world.run(world.supervisor->log("out", 100));
    const std::string note = mode == Egress::Mode::Allow ? "no connection to 169.254.169.254:80" : "START";
    EXPECT_TRUE(std::ranges::any_of(lines, [&](const auto& line) { return line.find(note) != std::string::npos; }));
  }
}

TEST(Supervisor, LogsWhatAnInvocationWroteBetweenStartAndReport) {
  World world;
  world.sandbox.program = [](FakeProcess process) { return print_and_echo(process, "working\nstill "); };
  auto request = world.request(world.function("hello"), "1");
  request.want_log_tail = true;
  const auto result = world.run(world.supervisor->invoke(std::move(request)));
  ASSERT_TRUE(result);
  const std::string& tail = result->log_tail;
  EXPECT_TRUE(tail.starts_with("START RequestId: " + result->request_id + " Version: $LATEST\nworking\n")) << tail;
  EXPECT_NE(tail.find("\nEND RequestId: " + result->request_id + "\nREPORT RequestId: " + result->request_id + "\tDuration: "), std::string::npos);
  EXPECT_NE(tail.find("\tMemory Size: 128 MB\tMax Memory Used: 20 MB\tInit Duration: "), std::string::npos);
  const auto lines = world.run(world.supervisor->log("hello", 3));
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_NE(lines[0].find(" working"), std::string::npos);
  EXPECT_NE(lines[2].find(" REPORT "), std::string::npos);
}

TEST(Supervisor, AnswersOneAfterAnotherFromOneProcessThatIsSlowToAskAgain) {
  World world;
  world.sandbox.program = echo_with_pause;
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(world.invoke(world.function("hello"), "1"));
  EXPECT_EQ(world.sandbox.launched.size(), 1u);
}

TEST(Supervisor, RunsInvocationsAtATimeInProcessesOfTheirOwn) {
  Gate gate(3);
  World world;
  world.sandbox.program = [&gate](FakeProcess process) { return echo_through(process, &gate); };
  const auto results = world.invoke_all(world.function("hello"), 3);
  for (const auto& result : results) EXPECT_TRUE(result) << "all three run at once, or the gate never opens";
  EXPECT_EQ(world.sandbox.launched.size(), 3u);
}

TEST(Supervisor, KeepsTenantsAndVersionsApart) {
  World world;
  world.sandbox.program = echo_forever;
  for (const std::string tenant : {"blue", "green", "blue", ""}) {
    auto request = world.request(world.function("hello"), "1");
    request.tenant_id = tenant;
    ASSERT_TRUE(world.run(world.supervisor->invoke(std::move(request))));
  }
  EXPECT_EQ(world.sandbox.launched.size(), 3u) << "the second blue one is warm";
  auto request = world.request(world.function("hello"), "1");
  request.version = "7";
  ASSERT_TRUE(world.run(world.supervisor->invoke(std::move(request))));
  ASSERT_EQ(world.sandbox.launched.size(), 4u);
  EXPECT_EQ(world.sandbox.launched.back()->variable("AWS_LAMBDA_FUNCTION_VERSION"), "7");
}

TEST(Supervisor, EndsProcessesThatRest) {
  World world;
  world.sandbox.program = echo_forever;
  ASSERT_TRUE(world.invoke(world.function("a"), "1"));
  ASSERT_TRUE(world.invoke(world.function("b"), "1"));
  EXPECT_EQ(world.supervisor->instances().size(), 2u);
  world.advance_until([&] { return world.supervisor->counters().instances == 0; });
  EXPECT_EQ(world.supervisor->counters().reaped, 2u);
  EXPECT_TRUE(world.sandbox.launched[0]->terminated);
  EXPECT_EQ(world.sandbox.alive(), 0u);
  const auto again = world.invoke(world.function("a"), "1");
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->cold);
}

TEST(Supervisor, ReplacesProcessesOfAnOlderRevision) {
  World world;
  world.sandbox.program = echo_forever;
  ASSERT_TRUE(world.invoke(world.function("hello", 1), "1"));
  auto pinned = world.request(world.function("hello", 1), "1");
  pinned.version = "1";
  ASSERT_TRUE(world.run(world.supervisor->invoke(std::move(pinned))));
  world.supervisor->changed("hello", 2);
  world.run_until([&] { return world.supervisor->counters().instances == 1; });
  EXPECT_TRUE(world.sandbox.launched[0]->terminated);
  EXPECT_FALSE(world.sandbox.launched[1]->terminated) << "version 1 goes on";
  world.supervisor->changed("hello", 0);
  world.run_until([&] { return world.supervisor->counters().instances == 0; });
}

TEST(Supervisor, KeepsProvisionedConcurrencyWarm) {
  World world;
  world.settings["hello"].provisioned["3"] = 2;
  world.sandbox.program = echo_forever;
  world.supervisor->warm(world.function("hello"), "3");
  world.run_until([&] {
    const auto all = world.supervisor->instances();
    return all.size() == 2 && all[0].state == "idle" && all[1].state == "idle";
  });
  auto request = world.request(world.function("hello"), "1");
  request.version = "3";
  const auto result = world.run(world.supervisor->invoke(std::move(request)));
  ASSERT_TRUE(result);
  EXPECT_FALSE(result->cold);
  EXPECT_EQ(world.sandbox.launched[0]->variable("AWS_LAMBDA_INITIALIZATION_TYPE"), "provisioned-concurrency");
}

TEST(Supervisor, ThrottlesAtItsLimits) {
  Gate never(99);
  World world({.instances_max = 2, .concurrency_max = 2});
  world.settings["none"].reserved = 0;
  world.settings["one"].reserved = 1;
  world.sandbox.program = [&never](FakeProcess process) { return echo_through(process, &never); };
  const auto none = world.invoke(world.function("none"), "1");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, "function.throttled");
  EXPECT_EQ(none.error().retry, Retry::Safe);
  world.begin(world.function("one"));
  EXPECT_EQ(world.invoke(world.function("one"), "1").error().code, "function.throttled") << "reserved";
  world.begin(world.function("two"));
  EXPECT_EQ(world.invoke(world.function("three"), "1").error().code, "function.throttled") << "of the account";
  EXPECT_EQ(world.supervisor->counters().throttles, 3u);
}

TEST(Supervisor, MakesRoomOnAFullNodeByEndingTheOneThatRestsLongest) {
  World world({.instances_max = 2});
  world.sandbox.program = echo_forever;
  ASSERT_TRUE(world.invoke(world.function("a"), "1"));
  ASSERT_TRUE(world.invoke(world.function("b"), "1"));
  ASSERT_TRUE(world.invoke(world.function("a"), "1"));
  ASSERT_TRUE(world.invoke(world.function("c"), "1"));
  EXPECT_TRUE(world.sandbox.launched[1]->killed.cancelled()) << "b rested longest";
  EXPECT_FALSE(world.sandbox.launched[0]->killed.cancelled());
}

TEST(Supervisor, ThrottlesOnANodeFullOfBusyProcesses) {
  Gate never(99);
  World world({.instances_max = 1});
  world.sandbox.program = [&never](FakeProcess process) { return echo_through(process, &never); };
  world.begin(world.function("a"));
  EXPECT_EQ(world.invoke(world.function("b"), "1").error().code, "function.throttled");
}

TEST(Supervisor, RefusesAnEventThatIsTooLarge) {
  World world({.payload_bytes_max = 100});
  EXPECT_EQ(world.invoke(world.function("a"), std::string(101, ' ')).error().code, "function.payload_too_large");
  EXPECT_TRUE(world.sandbox.launched.empty());
}

TEST(Supervisor, PassesOnWhatTheSandboxRefuses) {
  World world;
  world.sandbox.refuses = Error{"sandbox.layer_missing", "no seccomp here", Retry::Never};
  EXPECT_EQ(world.invoke(world.function("a"), "1").error().code, "sandbox.layer_missing");
  EXPECT_EQ(world.supervisor->counters().instances, 0u);
}

TEST(Supervisor, SaysThatAPackageHasNoBootstrap) {
  World world;
  auto function = world.function("a");
  function->code_directory = world.directory.path + "/empty";
  const auto result = world.invoke(function, "1");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->function_error, "Unhandled");
  EXPECT_EQ(result->error_type, "Runtime.InvalidEntrypoint");
  EXPECT_TRUE(world.sandbox.launched.empty());
}

TEST(Supervisor, EndsABusyProcessWhenItStops) {
  Gate never(99);
  auto world = std::make_unique<World>();
  world->sandbox.program = [&never](FakeProcess process) { return echo_through(process, &never); };
  world->begin(world->function("a"));
  world->stop();
  ASSERT_EQ(world->begun.size(), 1u);
  ASSERT_TRUE(world->begun.front());
  EXPECT_EQ(world->begun.front()->error().code, "function.stopping");
  EXPECT_EQ(world->sandbox.alive(), 0u);
  EXPECT_EQ(world->invoke(world->function("a"), "1").error().code, "function.stopping");
}

TEST(Supervisor, ServesEverythingElseOnTheSocketAsThePlatform) {
  RuntimeReply reply;
  World world;
  world.sandbox.program = [&reply](FakeProcess process) { return ask_platform(process, &reply); };
  ASSERT_TRUE(world.invoke(world.function("hello"), "1"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "platform of hello: /v1/models");
}

}  // namespace
}  // namespace mayfly::function
