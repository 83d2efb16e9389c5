#include "function/supervisor.h"

#include "base/hash.h"
#include "function/supervisor_test_support.h"

/// What functions and runtimes may do wrong, and what their callers are told.
namespace mayfly::function {
namespace {

using namespace std::chrono_literals;

std::string id_of(const RuntimeReply& event) { return event.headers.at("lambda-runtime-aws-request-id"); }

Task<> hang_in_handler(FakeProcess process) {
  RawRuntime runtime(process);
  co_await runtime.next();
  co_await hang(process);
}

Task<> crash_in_handler(FakeProcess process, sandbox::ProcessEnd end) {
  {
    RawRuntime runtime(process);
    co_await runtime.next();
  }
  process->print("last words");
  process->end = end;
}

Task<> exit_at_once(FakeProcess process, int code) {
  process->end = {sandbox::ProcessEnd::How::Exited, code};
  co_return;
}

Task<> report_init_error(FakeProcess process) {
  RawRuntime runtime(process);
  process->print("Traceback\n");
  co_await runtime.request("POST", "init/error", R"({"errorMessage":"No module named 'x'","errorType":"Runtime.ImportModuleError","stackTrace":[]})",
                           "Lambda-Runtime-Function-Error-Type: Runtime.ImportModuleError\r\n");
  process->end = {sandbox::ProcessEnd::How::Exited, 1};
}

Task<> report_handler_error(FakeProcess process) {
  RawRuntime runtime(process);
  const auto event = co_await runtime.next();
  co_await runtime.request("POST", "invocation/" + id_of(event) + "/error",
                           R"({"errorMessage":"no such order","errorType":"OrderError","stackTrace":["a","b"]})",
                           "Lambda-Runtime-Function-Error-Type: OrderError\r\n");
  co_await echo_forever(process);
}

Task<> answer_and_exit(FakeProcess process) {
  RawRuntime runtime(process);
  const auto event = co_await runtime.next();
  co_await runtime.respond(id_of(event), "\"bye\"");
}

Task<> lie(FakeProcess process, std::vector<RuntimeReply>* replies) {
  RawRuntime runtime(process);
  replies->push_back(co_await runtime.respond("8f507cfc", "1"));
  const auto event = co_await runtime.next();
  replies->push_back(co_await runtime.next());
  replies->push_back(co_await runtime.respond("another-id", "1"));
  replies->push_back(co_await runtime.request("POST", "init/error", "{}"));
  replies->push_back(co_await runtime.request("GET", "restore/next", ""));
  replies->push_back(co_await runtime.request("DELETE", "invocation/next", ""));
  replies->push_back(co_await runtime.respond(id_of(event), "\"true\""));
  replies->push_back(co_await runtime.respond(id_of(event), "\"again\""));
  RawRuntime garbage(process);
  co_await garbage.send("\x16\x03\x01 this is no HTTP\r\n\r\n");
  replies->push_back(co_await garbage.read());
  co_await echo_forever(process);
}

Task<> answer_in_chunks(FakeProcess process, std::vector<std::string> chunks, std::string trailer, RuntimeReply* reply) {
  RawRuntime runtime(process);
  const auto event = co_await runtime.next();
  co_await runtime.send("POST /2018-06-01/runtime/invocation/" + id_of(event) +
                        "/response HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n");
  for (const auto& chunk : chunks) {
    char size[32];
    std::snprintf(size, sizeof size, "%zx\r\n", chunk.size());
    if (!co_await runtime.send(size + chunk + "\r\n")) break;
  }
  co_await runtime.send("0\r\n" + trailer + "\r\n");
  *reply = co_await runtime.read();
  co_await runtime.next();
}

Task<> answer_with(FakeProcess process, std::size_t bytes, RuntimeReply* reply) {
  RawRuntime runtime(process);
  const auto event = co_await runtime.next();
  *reply = co_await runtime.respond(id_of(event), std::string(bytes, 'x'));
  co_await echo_forever(process);
}

Task<> forge(FakeProcess process) {
  RawRuntime runtime(process);
  co_await runtime.request("POST", "init/error", R"({"errorType":"x\n1999-01-01T00:00:00.000Z fn-0 REPORT"})");
}

Task<> break_off(FakeProcess process) {
  {
    RawRuntime runtime(process);
    const auto event = co_await runtime.next();
    co_await runtime.send("POST /2018-06-01/runtime/invocation/" + id_of(event) +
                          "/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
  }
  co_await hang(process);
}

Task<> write_without_end(FakeProcess process) {
  RawRuntime runtime(process);
  const auto event = co_await runtime.next();
  for (int i = 0; i < 4'000; ++i) process->print(std::string(1023, 'y') + "\n");
  co_await runtime.respond(id_of(event), "1");
  co_await runtime.next();
}

TEST(SupervisorFailure, EndsAnInvocationAtItsTimeout) {
  World world;
  world.sandbox.program = hang_in_handler;
  auto request = world.request(world.function("slow"), "1");
  request.want_log_tail = true;
  const auto result = world.run_through_time(world.supervisor->invoke(std::move(request)));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->function_error, "Unhandled");
  EXPECT_EQ(result->error_type, "Sandbox.Timedout");
  EXPECT_EQ(result->duration, 3s);
  EXPECT_NE(result->payload.find(result->request_id + " Task timed out after 3.00 seconds\""), std::string::npos) << result->payload;
  EXPECT_NE(result->log_tail.find("Task timed out after 3.00 seconds\n"), std::string::npos);
  EXPECT_NE(result->log_tail.find("\tStatus: timeout\n"), std::string::npos) << result->log_tail;
  EXPECT_TRUE(world.sandbox.launched.front()->killed.cancelled());
  EXPECT_EQ(world.supervisor->counters().timeouts, 1u);
  world.sandbox.program = echo_forever;
  EXPECT_TRUE(world.invoke(world.function("slow"), "1")->cold);
}

TEST(SupervisorFailure, TellsHowAProcessEnded) {
  using How = sandbox::ProcessEnd::How;
  const std::vector<std::tuple<sandbox::ProcessEnd, std::string, std::string>> ends{
      {{How::Exited, 3}, "Runtime.ExitError", "Error: Runtime exited with error: exit status 3\""},
      {{How::Exited, 0}, "Runtime.ExitError", "Error: Runtime exited without providing a reason\""},
      {{How::Signalled, SIGSEGV}, "Runtime.ExitError", "Error: Runtime exited with error: signal: segmentation fault\""},
      {{How::OutOfMemory, SIGKILL}, "Runtime.OutOfMemory", "Error: Runtime exited with error: signal: killed\""}};
  for (const auto& [end, type, text] : ends) {
    World world;
    world.sandbox.program = [end](FakeProcess process) { return crash_in_handler(process, end); };
    auto request = world.request(world.function("bad"), "1");
    request.want_log_tail = true;
    const auto result = world.run(world.supervisor->invoke(std::move(request)));
    ASSERT_TRUE(result);
    EXPECT_EQ(result->error_type, type);
    EXPECT_NE(result->payload.find("RequestId: " + result->request_id + " " + text), std::string::npos) << result->payload;
    EXPECT_NE(result->log_tail.find("\nlast words\n"), std::string::npos) << "output before the end belongs to the invocation";
    EXPECT_EQ(world.supervisor->counters().crashes, 1u);
    world.run_until([&] { return world.supervisor->counters().instances == 0; });
  }
}

TEST(SupervisorFailure, PassesOnTheHandlersErrorAndGoesOn) {
  World world;
  world.sandbox.program = report_handler_error;
  const auto result = world.invoke(world.function("orders"), "1");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->function_error, "Unhandled");
  EXPECT_EQ(result->error_type, "OrderError");
  EXPECT_EQ(result->payload, R"({"errorMessage":"no such order","errorType":"OrderError","stackTrace":["a","b"]})");
  const auto next = world.invoke(world.function("orders"), "1");
  EXPECT_FALSE(next->cold);
  EXPECT_EQ(next->function_error, "");
}

TEST(SupervisorFailure, TriesAFailedStartOnceMoreAndThenTellsWhy) {
  World world;
  world.sandbox.program = report_init_error;
  auto request = world.request(world.function("broken"), "1");
  request.want_log_tail = true;
  const auto result = world.run(world.supervisor->invoke(std::move(request)));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->error_type, "Runtime.ImportModuleError");
  EXPECT_NE(result->payload.find("No module named 'x'"), std::string::npos);
  EXPECT_NE(result->log_tail.find("Traceback\n"), std::string::npos);
  EXPECT_EQ(world.sandbox.launched.size(), 2u);
  const auto lines = world.run(world.supervisor->log("broken", 100));
  const auto reports = std::ranges::count_if(lines, [](const auto& line) { return line.find("INIT_REPORT ") != std::string::npos; });
  EXPECT_EQ(reports, 2);
  world.sandbox.programs = {report_init_error, echo_forever};
  const auto second = world.invoke(world.function("broken"), "2");
  EXPECT_EQ(second->function_error, "") << "the second start succeeds";
}

TEST(SupervisorFailure, TellsOfAProgramThatEndsBeforeItAsks) {
  World world;
  world.sandbox.program = [](FakeProcess process) { return exit_at_once(process, 127); };
  const auto result = world.invoke(world.function("gone"), "1");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->error_type, "Runtime.ExitError");
  EXPECT_NE(result->payload.find("RequestId: " + result->request_id + " Error: Runtime exited with error: exit status 127"), std::string::npos)
      << result->payload;
}

TEST(SupervisorFailure, WaitsForAStartTenSecondsThenAsLongAsTheFunctionMayRun) {
  World world;
  world.sandbox.program = hang;
  const auto began = world.clock.now();
  const auto result = world.run_through_time(world.supervisor->invoke(world.request(world.function("stuck"), "1")));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->error_type, "Sandbox.Timedout");
  EXPECT_EQ(world.clock.now() - began, 13s);
  EXPECT_EQ(world.sandbox.launched.size(), 2u);
  world.run_until([&] { return world.supervisor->counters().instances == 0; });
}

TEST(SupervisorFailure, StartsAnewAfterAProcessThatAnsweredAndLeft) {
  World world;
  world.sandbox.program = answer_and_exit;
  for (int i = 0; i < 2; ++i) {
    const auto result = world.invoke(world.function("once"), "1");
    ASSERT_TRUE(result);
    EXPECT_EQ(result->payload, "\"bye\"");
    EXPECT_TRUE(result->cold);
    world.run_until([&] { return world.supervisor->counters().instances == 0; });
  }
}

TEST(SupervisorFailure, RefusesARuntimeThatLies) {
  std::vector<RuntimeReply> replies;
  World world;
  world.sandbox.program = [&replies](FakeProcess process) { return lie(process, &replies); };
  const auto result = world.invoke(world.function("liar"), "1");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->payload, "\"true\"");
  ASSERT_TRUE(world.invoke(world.function("liar"), "1")) << "the process still works";
  ASSERT_EQ(replies.size(), 9u);
  EXPECT_EQ(replies[0].status, 403) << "response before next";
  EXPECT_NE(replies[0].body.find("InvalidStateTransition"), std::string::npos);
  EXPECT_EQ(replies[1].status, 403) << "next while an event waits for its answer";
  EXPECT_EQ(replies[2].status, 400);
  EXPECT_NE(replies[2].body.find("InvalidRequestID"), std::string::npos);
  EXPECT_EQ(replies[3].status, 403) << "init error after the start";
  EXPECT_EQ(replies[4].status, 403) << "restore after the start";
  EXPECT_EQ(replies[5].status, 404);
  EXPECT_EQ(replies[6].status, 202);
  EXPECT_EQ(replies[6].body, R"({"status":"OK"})");
  EXPECT_EQ(replies[7].status, 403) << "a second answer";
  EXPECT_EQ(replies[8].status, 400) << "garbage";
  const auto lines = world.run(world.supervisor->log("liar", 100));
  EXPECT_TRUE(std::ranges::any_of(lines, [](const auto& line) { return line.find("broke the Runtime API's protocol") != std::string::npos; }));
}

TEST(SupervisorFailure, RefusesAnAnswerThatIsTooLarge) {
  RuntimeReply reply;
  World world({.payload_bytes_max = 1000});
  world.sandbox.program = [&reply](FakeProcess process) { return answer_with(process, 5000, &reply); };
  const auto result = world.invoke(world.function("big"), "1");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->function_error, "Unhandled");
  EXPECT_EQ(result->error_type, "Function.ResponseSizeTooLarge");
  EXPECT_NE(result->payload.find("Response payload size exceeded maximum allowed payload size (1100 bytes)."), std::string::npos);
  world.run_until([&] { return reply.status != 0; });
  EXPECT_EQ(reply.status, 413);
  EXPECT_NE(reply.body.find("RequestEntityTooLarge"), std::string::npos);
}

Task<> post_much_before_it_may(FakeProcess process, std::vector<int>* statuses) {
  for (const std::string path : {"2018-06-01/runtime/invocation/none/response", "v1/models"}) {
    RawRuntime runtime(process);
    co_await runtime.send("POST /" + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n");
    for (int i = 0; i < 400 && path == "v1/models"; ++i) {
      if (!co_await runtime.send(std::string(50'000, 'z'))) break;
    }
    statuses->push_back((co_await runtime.read()).status);
  }
  co_await echo_forever(process);
}

TEST(SupervisorFailure, ReadsNoLargeBodyOfWhoMayNotSendOne) {
  std::vector<int> statuses;
  World world({.payload_bytes_max = 1'000'000});
  world.sandbox.program = [&statuses](FakeProcess process) { return post_much_before_it_may(process, &statuses); };
  ASSERT_TRUE(world.invoke(world.function("greedy"), "1"));
  ASSERT_EQ(statuses.size(), 2u);
  EXPECT_EQ(statuses[0], 403) << "refused without its body";
  EXPECT_EQ(statuses[1], 413);
}

TEST(SupervisorFailure, LetsNoErrorTypeForgeALogLine) {
  World world;
  world.sandbox.program = [](FakeProcess process) { return forge(process); };
  EXPECT_EQ(world.invoke(world.function("forger"), "1")->error_type, "Runtime.Unknown");
  for (const auto& line : world.run(world.supervisor->log("forger", 100))) EXPECT_EQ(line.find("1999-"), std::string::npos) << line;
}

TEST(SupervisorFailure, TakesAnAnswerOfExactlyTheLimit) {
  RuntimeReply reply;
  World world({.payload_bytes_max = 1000});
  world.sandbox.program = [&reply](FakeProcess process) { return answer_with(process, 1000, &reply); };
  const auto result = world.invoke(world.function("big"), "1");
  EXPECT_EQ(result->function_error, "");
  EXPECT_EQ(result->payload.size(), 1000u);
}

struct Sink {
  std::string content_type, text;
  int pieces = 0, accepts = 1'000;
  static Task<bool> start(Sink* sink, std::string type) {
    sink->content_type = std::move(type);
    co_return true;
  }
  static Task<bool> take(Sink* sink, std::string bytes) {
    sink->text += bytes;
    co_return ++sink->pieces < sink->accepts;
  }
  void attach(InvocationRequest& request) {
    request.on_stream_start = [this](std::string type) { return start(this, std::move(type)); };
    request.on_stream = [this](std::string bytes) { return take(this, std::move(bytes)); };
  }
};

TEST(SupervisorStream, PassesPiecesOnAsTheyCome) {
  RuntimeReply reply;
  World world;
  world.sandbox.program = [&reply](FakeProcess process) { return answer_in_chunks(process, {"one ", "two ", "three"}, "", &reply); };
  Sink sink;
  auto request = world.request(world.function("stream"), "1");
  sink.attach(request);
  const auto result = world.run(world.supervisor->invoke(std::move(request)));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->function_error, "");
  EXPECT_EQ(sink.content_type, "text/plain");
  EXPECT_EQ(sink.text, "one two three");
  EXPECT_EQ(result->payload, "");
  world.run_until([&] { return reply.status != 0; });
  EXPECT_EQ(reply.status, 202);
}

TEST(SupervisorStream, CollectsWhenNobodyWantsPieces) {
  RuntimeReply reply;
  World world;
  world.sandbox.program = [&reply](FakeProcess process) { return answer_in_chunks(process, {"one ", "two"}, "", &reply); };
  EXPECT_EQ(world.invoke(world.function("stream"), "1")->payload, "one two");
}

TEST(SupervisorStream, GivesABufferedAnswerAsOnePiece) {
  World world;
  world.sandbox.program = echo_forever;
  Sink sink;
  auto request = world.request(world.function("plain"), "7");
  sink.attach(request);
  ASSERT_TRUE(world.run(world.supervisor->invoke(std::move(request))));
  EXPECT_EQ(sink.text, R"({"echo":7})");
}

TEST(SupervisorStream, TellsOfAnErrorInTheMiddleByTheTrailers) {
  RuntimeReply reply;
  World world;
  const std::string trailer = "Lambda-Runtime-Function-Error-Type: Late\r\nLambda-Runtime-Function-Error-Body: " +
                              to_base64(R"({"errorMessage":"too late","errorType":"Late"})") + "\r\n";
  world.sandbox.program = [&](FakeProcess process) { return answer_in_chunks(process, {"half"}, trailer, &reply); };
  Sink sink;
  auto request = world.request(world.function("stream"), "1");
  sink.attach(request);
  const auto result = world.run(world.supervisor->invoke(std::move(request)));
  ASSERT_TRUE(result);
  EXPECT_EQ(sink.text, "half");
  EXPECT_EQ(result->error_type, "Late");
  EXPECT_EQ(result->payload, R"({"errorMessage":"too late","errorType":"Late"})");
}

TEST(SupervisorStream, EndsWhenTheReaderLeaves) {
  RuntimeReply reply;
  World world;
  world.sandbox.program = [&reply](FakeProcess process) { return answer_in_chunks(process, {"one", "two", "three"}, "", &reply); };
  Sink sink;
  sink.accepts = 1;
  auto request = world.request(world.function("stream"), "1");
  sink.attach(request);
  const auto result = world.run(world.supervisor->invoke(std::move(request)));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->error_type, "Runtime.ResponseAborted");
  EXPECT_EQ(sink.pieces, 1);
}

TEST(SupervisorStream, TellsOfAStreamThatStopsInTheMiddle) {
  World world;
  world.sandbox.program = break_off;
  const auto result = world.invoke(world.function("cut"), "1");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->error_type, "Runtime.TruncatedResponse");
}

TEST(SupervisorFailure, EndsTheProcessWhenNobodyWaitsAnyMore) {
  World world;
  world.sandbox.program = hang_in_handler;
  CancelSource cancel;
  auto request = world.request(world.function("slow"), "1");
  request.cancel = cancel.token();
  world.tasks.spawn(World::keep(&world.begun.emplace_back(), world.supervisor->invoke(std::move(request))));
  world.run_until([&] { return !world.supervisor->instances().empty() && world.supervisor->instances()[0].state == "busy"; });
  cancel.cancel();
  world.run_until([&] { return world.begun.front().has_value() && world.supervisor->counters().instances == 0; });
  EXPECT_EQ((*world.begun.front()).error().code, "function.cancelled");
}

TEST(SupervisorFailure, KeepsOnlySoMuchOfEndlessOutput) {
  World world;
  world.sandbox.program = write_without_end;
  ASSERT_TRUE(world.run_through_time(world.supervisor->invoke(world.request(world.function("loud"), "1"))));
  world.advance_until([&] { return world.supervisor->instances().empty() || world.sandbox.launched[0]->output.empty(); });
  const auto lines = world.run(world.supervisor->log("loud", 100'000));
  std::size_t bytes = 0;
  for (const auto& line : lines) bytes += line.size();
  EXPECT_LT(bytes, 2u << 20);
  EXPECT_TRUE(std::ranges::any_of(lines, [](const auto& line) { return line.find("the rest is left out") != std::string::npos; }));
}

}  // namespace
}  // namespace mayfly::function
