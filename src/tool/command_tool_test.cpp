#include "tool/command_tool.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

namespace mayfly {
namespace {

template <class T>
Task<> keep(Task<T> task, std::optional<T>* out) {
  *out = co_await std::move(task);
}

class CommandToolTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/mayfly-tool-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  CommandToolOptions shell(const std::string& script) const {
    return {.name = "probe", .effect = Effect::AtMostOnce, .argv = {"sh", "-c", script}, .directory = directory_};
  }
  CommandToolOptions python(const std::string& script) const {
    CommandToolOptions options = shell("");
    options.argv = {"/usr/bin/python3", "-c", script};
    return options;
  }
  Result<ToolOutput> call(CommandToolOptions options, ToolCall call = {.arguments = JsonObject{}}) {
    auto tool = make_command_tool(std::move(options), clock_, [this](std::string_view name) -> std::optional<std::string> {
      const auto found = variables_.find(name);
      return found == variables_.end() ? std::nullopt : std::optional(found->second);
    });
    if (!tool) return fail(tool.error());
    std::optional<Result<ToolOutput>> out;
    TaskGroup group(io_.get_executor());
    group.spawn(keep((*tool)->call(std::move(call)), &out));
    io_.run();
    io_.restart();
    return *out;
  }
  std::string text(CommandToolOptions options, ToolCall c = {.arguments = JsonObject{}}) {
    const auto out = call(std::move(options), std::move(c));
    return out ? (out->is_error ? "is_error: " : "") + out->text : out.error().code + ": " + out.error().message;
  }
  Result<ProcessResult> run(ProcessRequest request) {
    std::optional<Result<ProcessResult>> out;
    TaskGroup group(io_.get_executor());
    group.spawn(keep(run_process(clock_, std::move(request)), &out));
    io_.run();
    io_.restart();
    return *out;
  }
  std::string read(const std::string& file) const {
    std::ifstream in(directory_ + "/" + file);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  asio::io_context io_;
  SystemClock clock_{io_.get_executor()};
  std::map<std::string, std::string, std::less<>> variables_;
  std::string directory_;
};

/// Gone, or dead and waiting for whoever adopted it.
bool is_gone(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(in, line)) return true;
  const char state = line[line.rfind(')') + 2];
  return state == 'Z' || state == 'X';
}

/// Blocks until the process is gone; the test's own time limit is the only clock.
void wait_until_gone(pid_t pid) {
  while (!is_gone(pid)) ::sched_yield();
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

bool has_no_children() { return ::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }

TEST_F(CommandToolTest, TakesJsonAndGivesBackWhatItPrints) {
  const std::string out = text(python("import json,sys; a=json.load(sys.stdin); print(json.dumps({'sum': a['x'] + a['y']}))"),
                               {.arguments = JsonObject{{"x", 2}, {"y", 40}}});
  EXPECT_EQ(out, R"({"sum": 42})");
  EXPECT_EQ(text(shell("cat /dev/stdin"), {.arguments = JsonObject{{"a", "ä\n"}}}), R"({"a":"ä\n"})");
  EXPECT_EQ(text(shell("exit 0")), "(no output)");
  EXPECT_EQ(text(shell("pwd")), directory_);
}

TEST_F(CommandToolTest, NeedsNoShellAndPassesArgumentsWordByWord) {
  CommandToolOptions options = shell("");
  options.argv = {"printf", "%s|", "a b", "$HOME", "; exit 3"};
  EXPECT_EQ(text(options), "a b|$HOME|; exit 3|");
}

TEST_F(CommandToolTest, TheExitStatusDecides) {
  EXPECT_EQ(text(shell("echo half; echo broken pipe in >&2; exit 3")),
            "is_error: The command failed with exit status 3\nstderr:\nbroken pipe in\nstdout:\nhalf");
  const auto temporary = call(shell("echo busy >&2; exit 75"));
  ASSERT_FALSE(temporary);
  EXPECT_EQ(temporary.error().code, "tool.temporary");
  EXPECT_EQ(temporary.error().retry, Retry::Safe);
  EXPECT_NE(temporary.error().message.find("busy"), std::string::npos);
}

TEST_F(CommandToolTest, ASignalLeavesTheOutcomeUnknownUnlessItOnlyReads) {
  CommandToolOptions options = shell("kill -SEGV $$");
  const auto harmful = call(options);
  ASSERT_FALSE(harmful);
  EXPECT_EQ(harmful.error().code, "tool.failed");
  EXPECT_EQ(harmful.error().retry, Retry::OutcomeUnknown);
  EXPECT_NE(harmful.error().message.find("SIGSEGV"), std::string::npos) << harmful.error().message;
  options.effect = Effect::ReadOnly;
  EXPECT_EQ(call(options).error().retry, Retry::Safe);
}

TEST_F(CommandToolTest, KeepsTheEndOfALongStandardError) {
  const std::string out = text(python("import sys; sys.stderr.write('x' * 300000 + 'THE END'); sys.exit(2)"));
  EXPECT_NE(out.find("THE END"), std::string::npos);
  EXPECT_NE(out.find("stderr (its end)"), std::string::npos);
  EXPECT_LT(out.size(), 4300u);
}

TEST_F(CommandToolTest, StopsAtItsTimeout) {
  CommandToolOptions options = shell("echo waiting >&2; sleep 1000000");
  options.timeout = Millis{50};
  const auto out = call(options);
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, "tool.timeout");
  EXPECT_EQ(out.error().retry, Retry::OutcomeUnknown);
  EXPECT_TRUE(has_no_children());
}

TEST_F(CommandToolTest, TheSmallerTimeoutCounts) {
  EXPECT_TRUE(text(shell("sleep 1000000"), {.arguments = JsonObject{}, .timeout = Millis{10}}).starts_with("tool.timeout"));
}

TEST_F(CommandToolTest, KillsTheWholeGroupWhenItIgnoresSigterm) {
  CancelSource source;
  ProcessRequest request{.argv = {"sh", "-c", "trap '' TERM; echo $$ > pid; sleep 1000000 & echo $! > child; echo ready >&2; wait; wait"},
                         .directory = directory_,
                         .path = "/usr/bin:/bin",
                         .timeout = std::chrono::hours{1},
                         .grace = Millis{20},
                         .cancel = source.token(),
                         .on_stderr = [&](std::string_view) { source.cancel(); }};
  const auto result = run(std::move(request));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->end, ProcessResult::End::Cancelled);
  EXPECT_EQ(result->signal, SIGKILL);
  EXPECT_TRUE(is_gone(std::stoi(read("pid"))));
  wait_until_gone(std::stoi(read("child")));
  EXPECT_TRUE(has_no_children());
}

TEST_F(CommandToolTest, AskedToStopAProgramMayEndInOrder) {
  CancelSource source;
  ProcessRequest request{.argv = {"sh", "-c", "trap 'echo tidy > end; exit 0' TERM; echo ready >&2; while :; do sleep 0.01; done"},
                         .directory = directory_,
                         .path = "/usr/bin:/bin",
                         .timeout = std::chrono::hours{1},
                         .grace = std::chrono::hours{1},
                         .cancel = source.token(),
                         .on_stderr = [&](std::string_view) { source.cancel(); }};
  const auto result = run(std::move(request));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->end, ProcessResult::End::Cancelled);
  EXPECT_EQ(read("end"), "tidy\n");
}

TEST_F(CommandToolTest, StopsEndlessOutputAndSurvivesEndlessLogs) {
  CommandToolOptions options = shell("exec yes");
  options.stdout_bytes_max = 100'000;
  const auto out = call(options);
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, "tool.output_too_large");
  EXPECT_EQ(out.error().retry, Retry::OutcomeUnknown);
  options = shell("yes >&2");
  options.timeout = Millis{100};
  EXPECT_TRUE(text(options).starts_with("tool.timeout"));
}

TEST_F(CommandToolTest, CutsALongResultForTheModel) {
  CommandToolOptions options = python("print('y' * 5000)");
  options.model_bytes_max = 1000;
  const std::string out = text(options);
  EXPECT_EQ(out.find("\n[Mayfly: cut here; the first 1000 of 5000 bytes"), 1000u) << out;
  EXPECT_EQ(text(python("import sys; sys.stdout.buffer.write(b'a\\xff')")),
            "a\xEF\xBF\xBD\n[Mayfly: bytes that are not UTF-8 were replaced by U+FFFD]");
}

TEST_F(CommandToolTest, NoDescendantOutlivesTheProgram) {
  // The grandchild holds standard output open: waiting for its end would hang.
  EXPECT_EQ(text(shell("sleep 1000000 & echo $! > pid; echo done")), "done");
  wait_until_gone(std::stoi(read("pid")));
}

TEST_F(CommandToolTest, AnEscapedDescendantDoesNotHoldTheCall) {
  const std::string out =
      text(python("import os,subprocess; p=subprocess.Popen(['sleep','1000000'], start_new_session=True); print(p.pid)"));
  const pid_t pid = std::stoi(out);
  EXPECT_FALSE(is_gone(pid));
  ::kill(pid, SIGKILL);
}

TEST_F(CommandToolTest, InheritsNoDescriptorsAndNoSignalSettings) {
  std::vector<int> leaks;
  for (int i = 0; i < 40; ++i) leaks.push_back(::open("/dev/null", O_RDONLY));
  const auto before = ::signal(SIGPIPE, SIG_IGN);
  const std::string out =
      text(python("import os\nfor fd in range(200):\n  try: os.fstat(fd); print(fd)\n  except OSError: pass\n"
                  "print(sorted(l for l in open('/proc/self/status') if l.startswith(('SigBlk','NoNewPrivs'))))"));
  EXPECT_EQ(out, R"py(0
1
2
['NoNewPrivs:\t1\n', 'SigBlk:\t0000000000000000\n'])py");
  // Python itself ignores SIGPIPE, so a shell is asked: bit 13 of SigIgn.
  EXPECT_EQ(text(shell("grep SigIgn /proc/self/status")), "SigIgn:\t0000000000000000");
  ::signal(SIGPIPE, before);
  for (const int fd : leaks) ::close(fd);
}

TEST_F(CommandToolTest, SeesExactlyThePromisedEnvironment) {
  ::setenv("MAYFLY_TEST_SECRET", "do-not-show", 1);
  variables_ = {{"PATH", "/usr/bin:/bin"}, {"DATABASE_URL", "postgres://u:pw@h/d"}, {"OTHER", "not named"}};
  CommandToolOptions options = python(
      "import os; print(' '.join(sorted(os.environ))); print(os.environ['MAYFLY_RUN_ID'], os.environ['MAYFLY_SESSION_ID'],"
      "os.environ['MAYFLY_IDEMPOTENCY_KEY'], os.environ['MAYFLY_ATTEMPT'], os.environ['TRACEPARENT'], os.environ['PATH'])\n"
      "assert os.environ['HOME'] == os.getcwd() and os.environ['DATABASE_URL'].endswith('/d')");
  options.env = {"DATABASE_URL"};
  const std::string out = text(
      options,
      {.arguments = JsonObject{}, .run_id = "r1", .session_id = "s1", .idempotency_key = "k1", .attempt = 3, .traceparent = "00-a-b-01"});
  EXPECT_EQ(out.substr(0, out.find('\n')).find("SECRET"), std::string::npos);
  std::string names = out.substr(0, out.find('\n'));
  // CPython's locale coercion (PEP 538) adds this one itself.
  if (const auto at = names.find("LC_CTYPE "); at != std::string::npos) names.erase(at, 9);
  EXPECT_EQ(names, "DATABASE_URL HOME LANG MAYFLY_ATTEMPT MAYFLY_IDEMPOTENCY_KEY MAYFLY_RUN_ID MAYFLY_SESSION_ID PATH TMPDIR TRACEPARENT");
  EXPECT_EQ(out.substr(out.find('\n') + 1), "r1 s1 k1 3 00-a-b-01 /usr/bin:/bin");
  ::unsetenv("MAYFLY_TEST_SECRET");
}

TEST_F(CommandToolTest, NoSecretComesBack) {
  variables_ = {{"TOKEN", "sk-live-123456"}};
  CommandToolOptions options = shell("echo $TOKEN; echo log $TOKEN >&2; exit 0");
  options.env = {"TOKEN"};
  std::string progress;
  const ToolCall with_progress{.arguments = JsonObject{}, .on_output = [&](std::string_view bytes) { progress += bytes; }};
  EXPECT_EQ(text(options, with_progress), "[secret]");
  EXPECT_EQ(progress, "log [secret]\n");
  options.argv[2] = "echo log $TOKEN >&2; exit 4";
  EXPECT_EQ(text(options), "is_error: The command failed with exit status 4\nstderr:\nlog [secret]");
  options.argv[2] = "echo log $TOKEN >&2; kill -KILL $$";
  const std::string killed = text(options);
  EXPECT_EQ(killed.find("sk-live"), std::string::npos) << killed;
  EXPECT_NE(killed.find("[secret]"), std::string::npos) << killed;
}

TEST_F(CommandToolTest, AMissingVariableIsNamed) {
  CommandToolOptions options = shell("true");
  options.env = {"API_KEY"};
  const auto out = call(options);
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, "tool.missing_variable");
  EXPECT_NE(out.error().message.find("API_KEY"), std::string::npos);
}

TEST_F(CommandToolTest, TheKernelEnforcesTheLimits) {
  CommandToolOptions options = shell("ulimit -t; ulimit -v; ulimit -f; ulimit -n; ulimit -c");
  options.limits = {.cpu_seconds = 7, .address_space_bytes = 1 << 30, .file_bytes = 1 << 20, .open_files = 64};
  EXPECT_EQ(text(options), "7\n1048576\n2048\n64\n0");
  options.argv[2] = "exec head -c 2000000 /dev/zero > big";
  const std::string big = text(options);
  EXPECT_NE(big.find("SIGXFSZ"), std::string::npos) << big;
  options.argv[2] = "while :; do :; done";
  options.limits.cpu_seconds = 1;
  const std::string burnt = text(options);
  EXPECT_NE(burnt.find("SIGXCPU"), std::string::npos) << burnt;
}

TEST_F(CommandToolTest, CancellationStopsTheProgram) {
  CancelSource source;
  const ToolCall first{.arguments = JsonObject{}, .cancel = source.token(), .on_output = [&](std::string_view) { source.cancel(); }};
  const auto out = call(shell("echo started >&2; sleep 1000000"), first);
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, "tool.cancelled");
  EXPECT_EQ(out.error().retry, Retry::OutcomeUnknown);
  const auto late = call(shell("touch ran"), {.arguments = JsonObject{}, .cancel = source.token()});
  EXPECT_EQ(late.error().code, "tool.cancelled");
  EXPECT_EQ(late.error().retry, Retry::Safe);
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/ran"));
}

TEST_F(CommandToolTest, AProgramThatCannotStartSaysWhy) {
  std::ofstream(directory_ + "/plain") << "#!/bin/sh\n";
  std::ofstream(directory_ + "/lost") << "#!/no/such/interpreter\n";
  std::ofstream(directory_ + "/blank") << "echo no interpreter line\n";
  for (const char* file : {"/lost", "/blank"}) std::filesystem::permissions(directory_ + file, std::filesystem::perms::owner_all);
  const std::pair<const char*, std::pair<const char*, const char*>> cases[] = {
      {"no-such-program-xyz", {"tool.program_not_found", "install it"}},
      {"./missing", {"tool.program_not_found", "create the file"}},
      {"./plain", {"tool.not_executable", "chmod +x"}},
      {"./", {"tool.not_executable", "not an executable file"}},
      {"./lost", {"tool.spawn_failed", "interpreter"}},
      {"./blank", {"tool.spawn_failed", "#! line"}},
  };
  for (const auto& [program, expected] : cases) {
    CommandToolOptions options = shell("");
    options.argv = {program};
    const auto out = call(options);
    ASSERT_FALSE(out) << program;
    EXPECT_EQ(out.error().code, expected.first) << program;
    EXPECT_EQ(out.error().retry, Retry::Never) << program;
    EXPECT_NE(out.error().message.find(expected.second), std::string::npos) << out.error().message;
  }
  CommandToolOptions options = shell("true");
  options.directory = directory_ + "/gone";
  EXPECT_EQ(call(options).error().code, "tool.bad_directory");
  options = shell("true");
  options.argv.push_back(std::string("a\0b", 3));
  EXPECT_EQ(call(options).error().code, "tool.invalid_command");
  EXPECT_TRUE(has_no_children());
}

TEST_F(CommandToolTest, BadDeclarationsAreRefused) {
  const auto code = [&](CommandToolOptions options) { return call(std::move(options)).error().code; };
  CommandToolOptions options = shell("true");
  options.argv.clear();
  EXPECT_EQ(code(options), "tool.invalid");
  for (const char* name : {"A=B", "", "1X", "HOME", "MAYFLY_RUN_ID"}) {
    options = shell("true");
    options.env = {name};
    EXPECT_EQ(code(options), "tool.invalid") << name;
  }
  options = shell("true");
  options.directory = "relative";
  EXPECT_EQ(code(options), "tool.invalid");
}

TEST_F(CommandToolTest, TwoHundredRunsLeaveNothingBehind) {
  EXPECT_EQ(text(shell("echo warm")), "warm");
  const std::size_t before = open_descriptors();
  CommandToolOptions options = shell("echo out; echo err >&2");
  auto tool = make_command_tool(options, clock_, [](std::string_view) { return std::nullopt; });
  std::vector<std::optional<Result<ToolOutput>>> outs(200);
  for (std::size_t batch = 0; batch < outs.size(); batch += 20) {
    TaskGroup group(io_.get_executor());
    for (std::size_t i = batch; i < batch + 20; ++i) group.spawn(keep((*tool)->call({.arguments = JsonObject{}}), &outs[i]));
    io_.run();
    io_.restart();
  }
  for (const auto& out : outs) {
    ASSERT_TRUE(out && *out);
    EXPECT_EQ((*out)->text, "out");
  }
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_TRUE(has_no_children());
}

TEST_F(CommandToolTest, DestroyingTheLoopKillsTheProgram) {
  {
    asio::io_context io;
    SystemClock clock(io.get_executor());
    bool started = false;
    ProcessRequest request{.argv = {"sh", "-c", "echo $$ > pid; echo up >&2; sleep 1000000"},
                           .directory = directory_,
                           .path = "/usr/bin:/bin",
                           .timeout = std::chrono::hours{1},
                           .on_stderr = [&](std::string_view) { started = true; }};
    asio::co_spawn(io, run_process(clock, std::move(request)), [](std::exception_ptr, Result<ProcessResult>) {});
    while (!started) io.run_one();
  }
  EXPECT_TRUE(is_gone(std::stoi(read("pid"))));
  EXPECT_TRUE(has_no_children());
}

}  // namespace
}  // namespace mayfly
