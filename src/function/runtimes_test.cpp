#include "function/runtimes.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <list>

#include "base/hash.h"
#include "base/json.h"
#include "function/supervisor.h"
#include "testing/temporary_directory.h"

/// The real runtimes in real sandboxes.
namespace mayfly::function {
namespace {

struct Piece {
  std::string content_type, text;
  int count = 0;
};

class RuntimesTest : public testing::Test {
 protected:
  void SetUp() override {
    run(open(this));
    if (!sandbox_) GTEST_SKIP() << "no sandbox here: " << why_;
    SupervisorDependencies dependencies{.executor = io_.get_executor(), .clock = &clock_, .random = &random_, .sandbox = sandbox_.get()};
    dependencies.platform = platform;
    SupervisorOptions options{.runtimes_directory = MAYFLY_BINARY_DIR "/runtimes", .log_directory = directory_.path + "/logs"};
    supervisor_ = make_supervisor(std::move(dependencies), options);
  }
  void TearDown() override {
    if (supervisor_) run(supervisor_->stop(Millis{0}));
    if (sandbox_) run(sandbox_->stop());
  }
  static Task<> platform(InstanceIdentity who, net::Request& request, net::Responder& responder) {
    co_await responder.send({.status = 200, .headers = {}, .body = who.function + " asks " + request.path});
  }
  static Task<> open(RuntimesTest* test) {
    auto made = co_await sandbox::make_jailer_sandbox(test->io_.get_executor(), test->clock_, {.jailer = MAYFLY_BINARY_DIR "/apps/mayfly-jailer"});
    if (made) test->sandbox_ = std::move(*made);
    else test->why_ = made.error().message;
  }
  void run(Task<> task) {
    TaskGroup group(io_.get_executor());
    group.spawn(std::move(task));
    while (group.size() > 0) {
      io_.restart();
      ASSERT_GT(io_.run_one_for(std::chrono::seconds(60)), 0u) << "nothing happens any more";
    }
  }
  static Task<> keep(RuntimesTest* test, InvocationRequest request) { test->result_.emplace(co_await test->supervisor_->invoke(std::move(request))); }

  void write(const std::string& name, const std::string& text, const std::string& folder = "code") {
    const auto path = std::filesystem::path(directory_.path) / folder / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    std::filesystem::permissions(path, std::filesystem::perms(0755));
  }
  InvocationRequest request(std::string runtime, std::string handler, std::string payload, const std::string& folder = "code") {
    auto function = std::make_shared<FunctionRevision>();
    function->number = ++revision_;
    function->config.name = "fn";
    function->config.runtime = std::move(runtime);
    function->config.handler = std::move(handler);
    function->config.memory_mb = 512;
    function->config.timeout = std::chrono::seconds(30);
    function->code_directory = directory_.path + "/" + folder;
    if (reuse_) function = std::exchange(reuse_, nullptr);
    last_ = function;
    return {.function = function, .version = "$LATEST", .payload = std::move(payload), .want_log_tail = true};
  }
  InvocationResult invoke(InvocationRequest request) {
    run(keep(this, std::move(request)));
    if (!*result_) {
      ADD_FAILURE() << result_->error().message;
      return {};
    }
    return **result_;
  }
  InvocationResult again(std::string payload) {
    reuse_ = std::const_pointer_cast<FunctionRevision>(last_);
    return invoke(request("", "", std::move(payload)));
  }
  static Task<bool> start(Piece* piece, std::string type) {
    piece->content_type = std::move(type);
    co_return true;
  }
  static Task<bool> take(Piece* piece, std::string bytes) {
    piece->text += bytes;
    ++piece->count;
    co_return true;
  }
  static void stream_into(InvocationRequest& request, Piece& piece) {
    request.on_stream_start = [&piece](std::string type) { return start(&piece, std::move(type)); };
    request.on_stream = [&piece](std::string bytes) { return take(&piece, std::move(bytes)); };
  }
  static std::string field(const InvocationResult& result, std::string_view name) {
    const auto document = parse_json(result.payload);
    return document && document->is_object() ? get_string(document->get_object(), name) : "(no document: " + result.payload + ")";
  }

  asio::io_context io_;
  SystemClock clock_{io_.get_executor()};
  SeededRandom random_{7};
  TemporaryDirectory directory_;
  std::unique_ptr<sandbox::Sandbox> sandbox_;
  std::string why_;
  std::unique_ptr<Supervisor> supervisor_;
  std::optional<Result<InvocationResult>> result_;
  std::shared_ptr<const FunctionRevision> last_;
  std::shared_ptr<FunctionRevision> reuse_;
  std::int64_t revision_ = 0;
};

constexpr const char* kPython = R"(
import json, logging, os, sys, urllib.request
from decimal import Decimal
logger = logging.getLogger()
logger.setLevel("INFO")
calls = 0
def handler(event, context):
    global calls
    calls += 1
    print("printed")
    logger.info("logged")
    return {"event": event, "id": context.aws_request_id, "calls": calls, "remaining": 0 < context.get_remaining_time_in_millis() <= 30000,
            "custom": context.client_context.custom if context.client_context else None, "tenant": context.tenant_id, "cwd": os.getcwd(),
            "name": context.function_name, "arn": context.invoked_function_arn}
def fails(event, context):
    raise ValueError("no such order")
def leaves(event, context):
    sys.exit(3)
def unmarshal(event, context):
    return {"x": object()}
def number(event, context):
    return {"price": Decimal("1.10"), "text": "Grüße \ud800", "float": 0.1}
def platform(event, context):
    with urllib.request.urlopen(os.environ["MAYFLY_URL"] + "/v1/models") as answer:
        return answer.read().decode()
def big(event, context):
    return "x" * (7 << 20)
def network(event, context):
    import socket
    socket.create_connection(("93.184.216.34", 80), 2)
)";

TEST_F(RuntimesTest, PythonRunsAHandler) {
  write("app.py", kPython);
  auto wanted = request("python3.12", "app.handler", R"({"k":"Grüße"})");
  wanted.client_context = to_base64(R"({"custom":{"a":"1"}})");
  wanted.tenant_id = "blue";
  wanted.invoked_arn = function_arn("fn", "prod");
  const auto result = invoke(std::move(wanted));
  EXPECT_EQ(result.function_error, "") << result.payload << result.log_tail;
  const auto document = parse_json(result.payload);
  ASSERT_TRUE(document);
  EXPECT_EQ(to_text(document->at("event")), R"({"k":"Grüße"})");
  EXPECT_EQ(field(result, "id"), result.request_id);
  EXPECT_TRUE(document->at("remaining").as_bool());
  EXPECT_EQ(to_text(document->at("custom")), R"({"a":"1"})");
  EXPECT_EQ(field(result, "tenant"), "blue");
  EXPECT_EQ(field(result, "cwd"), "/var/task");
  EXPECT_EQ(field(result, "name"), "fn");
  EXPECT_EQ(field(result, "arn"), function_arn("fn", "prod"));
  EXPECT_NE(result.log_tail.find("\nprinted\n[INFO]\t"), std::string::npos) << result.log_tail;
  EXPECT_NE(result.log_tail.find("\t" + result.request_id + "\tlogged\n"), std::string::npos) << result.log_tail;
}

TEST_F(RuntimesTest, PythonStaysWarm) {
  write("app.py", kPython);
  invoke(request("python3.12", "app.handler", "1"));
  const auto second = again("2");
  EXPECT_FALSE(second.cold);
  EXPECT_NE(second.payload.find("\"calls\": 2"), std::string::npos) << second.payload;
}

TEST_F(RuntimesTest, PythonTellsLambdasErrors) {
  write("app.py", kPython);
  write("broken.py", "def handler(:\n");
  write("needs.py", "import not_there\n");
  const std::vector<std::pair<std::string, std::string>> cases{{"nothere.handler", "Runtime.ImportModuleError"},
                                                               {"needs.handler", "Runtime.ImportModuleError"},
                                                               {"broken.handler", "Runtime.UserCodeSyntaxError"},
                                                               {"app.nothing", "Runtime.HandlerNotFound"},
                                                               {"app", "Runtime.MalformedHandlerName"},
                                                               {"app.unmarshal", "Runtime.MarshalError"},
                                                               {"app.fails", "ValueError"},
                                                               {"app.leaves", "Runtime.ExitError"},
                                                               {"app.network", "OSError"},
                                                               {"app.big", "Function.ResponseSizeTooLarge"}};
  for (const auto& [handler, type] : cases) {
    const auto result = invoke(request("python3.12", handler, "1"));
    EXPECT_EQ(result.function_error, "Unhandled") << handler;
    EXPECT_EQ(result.error_type, type) << handler << result.payload.substr(0, 300);
    EXPECT_EQ(field(result, "errorType"), type) << handler;
  }
  const auto failed = invoke(request("python3.12", "app.fails", "1"));
  EXPECT_EQ(field(failed, "errorMessage"), "no such order");
  EXPECT_NE(failed.payload.find("/var/task/app.py"), std::string::npos);
  EXPECT_EQ(failed.payload.find("/var/runtime"), std::string::npos) << "the trace begins in the user's code";
  EXPECT_NE(failed.log_tail.find("[ERROR] ValueError: no such order\rTraceback (most recent call last):"), std::string::npos) << failed.log_tail;
}

TEST_F(RuntimesTest, PythonMarshalsAsLambdaDoes) {
  write("app.py", kPython);
  const auto result = invoke(request("python3.12", "app.number", "1"));
  EXPECT_EQ(result.payload, R"({"price": 1.10, "text": "Grüße \ud800", "float": 0.1})") << result.log_tail;
  const auto asked = invoke(request("python3.12", "app.platform", "1"));
  EXPECT_EQ(asked.payload, R"("fn asks /v1/models")");
}

constexpr const char* kNode = R"(
let calls = 0;
exports.handler = async (event, context) => {
  console.log('printed\ntwice');
  return { event, id: context.awsRequestId, calls: ++calls, remaining: context.getRemainingTimeInMillis() > 0, tenant: context.tenantId,
           custom: context.clientContext?.custom, cwd: process.cwd(), name: context.functionName };
};
exports.callback = (event, context, callback) => { setTimeout(() => callback(null, { via: 'callback' }), 5); };
exports.waits = (event, context, callback) => { let late = 'no'; setTimeout(() => { late = 'yes'; box.late = late; }, 30); const box = { late }; callback(null, box); };
exports.hurries = (event, context, callback) => { context.callbackWaitsForEmptyEventLoop = false; setTimeout(() => {}, 60000); callback(null, 'now'); };
exports.succeed = (event, context) => { context.succeed('old'); };
exports.nothing = () => {};
exports.fails = async () => { throw new TypeError('no such order'); };
exports.rejects = async () => { Promise.reject(new Error('lost')); await new Promise((r) => setTimeout(r, 2000)); };
exports.uncaught = async () => { setTimeout(() => { throw new RangeError('thrown late'); }, 1); await new Promise((r) => setTimeout(r, 2000)); };
exports.cycle = async () => { const a = {}; a.a = a; return a; };
exports.leaves = async () => { process.exit(3); };
exports.deep = { er: async () => 'deep' };
exports.stream = awslambda.streamifyResponse(async (event, stream) => {
  stream = awslambda.HttpResponseStream.from(stream, { statusCode: 201, headers: { 'X-A': 'b' } });
  stream.write('one '); await new Promise((r) => setTimeout(r, 20)); stream.write('two'); stream.end();
});
exports.breaks = awslambda.streamifyResponse(async (event, stream) => { stream.write('half'); await new Promise((r) => setTimeout(r, 20)); throw new Error('too late'); });
exports.text = 'not a function';
)";

TEST_F(RuntimesTest, NodeRunsAHandler) {
  write("app.js", kNode);
  auto wanted = request("nodejs22.x", "app.handler", R"({"k":"Grüße"})");
  wanted.client_context = to_base64(R"({"custom":{"a":"1"}})");
  wanted.tenant_id = "blue";
  const auto result = invoke(std::move(wanted));
  EXPECT_EQ(result.function_error, "") << result.payload << result.log_tail;
  const auto document = parse_json(result.payload);
  ASSERT_TRUE(document);
  EXPECT_EQ(to_text(document->at("event")), R"({"k":"Grüße"})");
  EXPECT_EQ(field(result, "id"), result.request_id);
  EXPECT_TRUE(document->at("remaining").as_bool());
  EXPECT_EQ(field(result, "tenant"), "blue");
  EXPECT_EQ(field(result, "cwd"), "/var/task");
  EXPECT_NE(result.log_tail.find("\t" + result.request_id + "\tINFO\tprinted\rtwice\n"), std::string::npos) << result.log_tail;
}

TEST_F(RuntimesTest, NodeFindsHandlersInEveryForm) {
  write("app.js", kNode);
  write("esm.mjs", "export const handler = async () => 'esm';\n");
  write("common.cjs", "exports.handler = async () => 'cjs';\n");
  write("lib/inner.js", "module.exports.handler = async () => 'inner';\n");
  write("index.js", "export const handler = async () => 'module';\n", "module");
  write("package.json", R"({"type":"module"})", "module");
  const std::vector<std::tuple<std::string, std::string, std::string>> cases{{"app.callback", R"({"via":"callback"})", "code"},
                                                                              {"app.waits", R"({"late":"yes"})", "code"},
                                                                              {"app.hurries", R"("now")", "code"},
                                                                              {"app.succeed", R"("old")", "code"},
                                                                              {"app.nothing", "null", "code"},
                                                                              {"app.deep.er", R"("deep")", "code"},
                                                                              {"esm.handler", R"("esm")", "code"},
                                                                              {"common.handler", R"("cjs")", "code"},
                                                                              {"lib/inner.handler", R"("inner")", "code"},
                                                                              {"index.handler", R"("module")", "module"}};
  for (const auto& [handler, answer, folder] : cases) {
    const auto result = invoke(request("nodejs22.x", handler, "1", folder));
    EXPECT_EQ(result.payload, answer) << handler << "\n" << result.log_tail;
  }
}

TEST_F(RuntimesTest, NodeTellsLambdasErrors) {
  write("app.js", kNode);
  write("broken.js", "exports.handler = (;\n");
  write("needs.js", "require('not-there');\n");
  const std::vector<std::pair<std::string, std::string>> cases{{"nothere.handler", "Runtime.ImportModuleError"},
                                                               {"needs.handler", "Runtime.ImportModuleError"},
                                                               {"broken.handler", "Runtime.UserCodeSyntaxError"},
                                                               {"app.missing", "Runtime.HandlerNotFound"},
                                                               {"app.text", "Runtime.HandlerNotFound"},
                                                               {"app", "Runtime.MalformedHandlerName"},
                                                               {"app.cycle", "Runtime.MarshalError"},
                                                               {"app.fails", "TypeError"},
                                                               {"app.rejects", "Runtime.UnhandledPromiseRejection"},
                                                               {"app.uncaught", "RangeError"},
                                                               {"app.leaves", "Runtime.ExitError"}};
  for (const auto& [handler, type] : cases) {
    const auto result = invoke(request("nodejs22.x", handler, "1"));
    EXPECT_EQ(result.function_error, "Unhandled") << handler;
    EXPECT_EQ(result.error_type, type) << handler << result.payload.substr(0, 300) << result.log_tail;
  }
  const auto failed = invoke(request("nodejs22.x", "app.fails", "1"));
  EXPECT_EQ(field(failed, "errorMessage"), "no such order");
  EXPECT_NE(failed.payload.find("\"trace\":[\"TypeError: no such order\""), std::string::npos) << failed.payload;
}

TEST_F(RuntimesTest, NodeStreams) {
  write("app.js", kNode);
  Piece piece;
  auto wanted = request("nodejs22.x", "app.stream", "1");
  stream_into(wanted, piece);
  EXPECT_EQ(invoke(std::move(wanted)).function_error, "");
  EXPECT_EQ(piece.content_type, "application/vnd.awslambda.http-integration-response");
  EXPECT_EQ(piece.text, R"({"statusCode":201,"headers":{"X-A":"b"}})" + std::string(8, '\0') + "one two");
  Piece half;
  wanted = request("nodejs22.x", "app.breaks", "1");
  stream_into(wanted, half);
  const auto broken = invoke(std::move(wanted));
  EXPECT_EQ(half.text, "half");
  EXPECT_EQ(field(broken, "errorMessage"), "too late");
}

TEST_F(RuntimesTest, AWebServerOfTheUserAnswersEvents) {
  write("server.py", R"(
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, status, kind, body):
        self.send_response(status); self.send_header("Content-Type", kind); self.send_header("Set-Cookie", "a=b"); self.send_header("Content-Length", str(len(body)))
        self.end_headers(); self.wfile.write(body)
    def do_GET(self):
        self.answer(200 if self.path == "/ping" else 404, "text/plain", self.path.encode())
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body == b'"stream"':
            self.send_response(200); self.send_header("Content-Type", "text/event-stream"); self.end_headers()
            self.wfile.write(b"data: 1\n\n"); self.wfile.write(b"data: 2\n\n"); self.close_connection = True
        else:
            self.answer(200, "application/json", b'{"path":"%s","body":%s}' % (self.path.encode(), body))
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
)");
  const auto result = invoke(request("http", "python3 server.py", R"({"n":1})"));
  EXPECT_EQ(result.payload, R"({"path":"/invocations","body":{"n":1}})") << result.log_tail;
  Piece piece;
  reuse_ = std::const_pointer_cast<FunctionRevision>(last_);
  auto wanted = request("", "", R"("stream")");
  stream_into(wanted, piece);
  invoke(std::move(wanted));
  EXPECT_EQ(piece.content_type, "text/event-stream");
  EXPECT_EQ(piece.text, "data: 1\n\ndata: 2\n\n");
  const auto url = again(
      R"({"version":"2.0","rawPath":"/a/b","rawQueryString":"q=1","headers":{"x":"y"},"requestContext":{"http":{"method":"GET","path":"/a/b"}},"isBase64Encoded":false})");
  EXPECT_TRUE(url.payload.starts_with(R"({"statusCode": 404)")) << url.payload;
  EXPECT_TRUE(url.payload.ends_with("/a/b?q=1")) << url.payload;
  EXPECT_NE(url.payload.find(R"("cookies": ["a=b"])"), std::string::npos);
  const auto gone = invoke(request("http", "false", "1"));
  EXPECT_EQ(gone.error_type, "Runtime.ExitError");
}

TEST_F(RuntimesTest, AnExecutableOfTheUserRuns) {
  write("bootstrap", R"(#!/usr/bin/python3
import os, urllib.request
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(api + "next") as event:
        body, name = event.read(), event.headers["Lambda-Runtime-Aws-Request-Id"]
    urllib.request.urlopen(api + name + "/response", b'{"echo":' + body + b"}").read()
)");
  EXPECT_EQ(invoke(request("provided.al2023", "x", "1")).payload, R"({"echo":1})");
}

/// AWS's own client in our runtime's place: MAYFLY_PYTHON_RIC names a folder with `pip install --target FOLDER awslambdaric`.
TEST_F(RuntimesTest, AwsOwnPythonClientRuns) {
  const char* installed = std::getenv("MAYFLY_PYTHON_RIC");
  if (!installed) GTEST_SKIP() << "MAYFLY_PYTHON_RIC is not set";
  std::filesystem::copy(installed, directory_.path + "/code", std::filesystem::copy_options::recursive);
  write("bootstrap", "#!/bin/sh\nexec /usr/bin/python3 -m awslambdaric \"$_HANDLER\"\n");
  write("app.py", "def handler(e, c):\n  print('hi')\n  return {'e': e, 'id': c.aws_request_id}\ndef fails(e, c):\n  raise ValueError('x' * 300000)\n");
  const auto result = invoke(request("provided.al2023", "app.handler", R"({"n":1})"));
  EXPECT_EQ(field(result, "id"), result.request_id) << result.log_tail;
  EXPECT_EQ(again("2").function_error, "");
  EXPECT_EQ(invoke(request("provided.al2023", "app.fails", "1")).error_type, "ValueError") << "its X-Ray header is large";
  EXPECT_EQ(invoke(request("provided.al2023", "none.handler", "1")).error_type, "Runtime.ImportModuleError");
}

TEST(Runtimes, RefusesLanguagesItDoesNotHave) {
  EXPECT_EQ(language_of("java21").error().code, "function.unknown_runtime");
  EXPECT_EQ(*language_of("nodejs24.x"), Language::Node);
}

}  // namespace
}  // namespace mayfly::function
