#include "cli/cli.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "agent/agent_spec.h"
#include "cli/commands.h"
#include "cli/project_json.h"
#include "cli/project_template.h"
#include "cli/run_view.h"
#include "testing/temporary_directory.h"

namespace mayfly::cli {
namespace {

struct Said {
  int code = 0;
  std::string out, err;
};

Said run(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "mayfly");
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = run_cli(static_cast<int>(arguments.size()), arguments.data());
  return {code, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
}

TEST(CommandLine, HelpsWithEveryCommandAndSaysTheExitCodes) {
  const Said all = run({"--help"});
  EXPECT_EQ(all.code, 0);
  for (const char* command :
       {"serve",   "demo", "init",   "validate", "deploy", "agents", "invoke",   "chat", "runs",   "show",    "logs",      "questions",
        "approve", "deny", "answer", "cancel",   "replay", "fork",   "rollback", "keys", "doctor", "version", "functions", "executions"}) {
    EXPECT_NE(all.out.find(command), std::string::npos) << command;
    const Said one = run({command, "--help"});
    EXPECT_EQ(one.code, 0) << command;
    EXPECT_NE(one.out.find("Exit codes"), std::string::npos) << command;
  }
}

TEST(CommandLine, HelpsWithFunctionsUnderBothNames) {
  for (const char* outer : {"functions", "fn"})
    for (const char* command : {"list", "show", "invoke", "logs", "delete"}) {
      const Said said = run({outer, command, "--help"});
      EXPECT_EQ(said.code, 0) << command;
      EXPECT_NE(said.out.find("Exit codes"), std::string::npos) << command << said.out;
    }
  for (const char* command : {"list", "show", "history", "stop"}) EXPECT_EQ(run({"executions", command, "--help"}).code, 0) << command;
  EXPECT_EQ(run({"fn"}).code, 2);
  EXPECT_EQ(run({"fn", "invoke"}).code, 2);
  EXPECT_EQ(run({"fn", "logs", "hello", "-n", "0"}).code, 2);
}

TEST(CommandLine, RefusesAnEventThatIsNotJson) {
  const Said said = run({"fn", "invoke", "hello", "Ann", "--url", "http://127.0.0.1:1"});
  EXPECT_EQ(said.code, 2);
  EXPECT_NE(said.err.find("quotes"), std::string::npos) << said.err;
  EXPECT_EQ(run({"fn", "invoke", "hello", "{}", "--url", "http://127.0.0.1:1"}).code, 3);
}

TEST(CommandLine, DeploysAFolderAsAFunctionOnlyByItsName) {
  const TemporaryDirectory folder;
  std::ofstream(folder.path + "/app.py") << "def handler(event, context):\n  return event\n";
  const char* path = folder.path.c_str();
  const Said unnamed = run({"deploy", path, "--url", "http://127.0.0.1:1"});
  EXPECT_EQ(unnamed.code, 1);
  EXPECT_NE(unnamed.err.find("--name NAME"), std::string::npos) << unnamed.err;
  EXPECT_EQ(run({"deploy", path, "--runtime", "python3", "--url", "http://127.0.0.1:1"}).code, 2) << "only with --name";
  EXPECT_EQ(run({"deploy", path, "--name", "f", "--egress", "open", "--allow", "x.example", "--url", "http://127.0.0.1:1"}).code, 2);
  const Said found = run({"deploy", path, "--name", "f", "--env", "A1=b", "--url", "http://127.0.0.1:1"});
  EXPECT_EQ(found.code, 3) << "everything is fine here, but no server answers";
  EXPECT_NE(found.err.find("packed f: app.handler (python3.13)"), std::string::npos) << found.err;
  const Said wrong = run({"deploy", path, "--name", "f", "--timeout", "1d", "--url", "http://127.0.0.1:1"});
  EXPECT_NE(wrong.err.find("from 1s to 15m"), std::string::npos) << wrong.err;
}

TEST(Validate, CountsAgentsAndFunctions) {
  const TemporaryDirectory folder;
  std::filesystem::create_directories(folder.path + "/f");
  std::ofstream(folder.path + "/f/app.py") << "def handler(event, context):\n  return event\n";
  std::ofstream(folder.path + "/mayfly.yaml") << "version: 1\nfunctions:\n  f: {code: f}\n";
  EXPECT_EQ(run({"validate", folder.path.c_str()}).out, "valid: 1 function (f)\n");
  std::ofstream(folder.path + "/mayfly.yaml", std::ios::app) << "agents:\n  a: {model: openai/x, instructions: x}\n";
  EXPECT_EQ(run({"validate", folder.path.c_str()}).out, "valid: 1 agent (a), 1 function (f)\n");
  std::ofstream(folder.path + "/mayfly.yaml", std::ios::app)
      << "queues:\n  q: {}\n  r: {}\ntriggers:\n  t: {event: {}, target: {queue: q}}\n";
  EXPECT_EQ(run({"validate", folder.path.c_str()}).out, "valid: 1 agent (a), 1 function (f), 2 queues (q, r), 1 trigger (t)\n");
}

TEST(CommandLine, TestsATriggerOnlyWithAnEvent) {
  EXPECT_EQ(run({"triggers", "test", "t"}).code, 2);
  const Said broken = run({"triggers", "test", "t", "--event", "{broken", "--url", "http://127.0.0.1:1"});
  EXPECT_EQ(broken.code, 2);
  EXPECT_NE(broken.err.find("--event takes JSON"), std::string::npos) << broken.err;
  EXPECT_EQ(run({"triggers", "test", "t", "--event", "{}", "--url", "http://127.0.0.1:1"}).code, 3);
}

TEST(CommandLine, SendsAnEventOnlyWithTypeSourceAndJson) {
  EXPECT_EQ(run({"events", "send", "--type", "a.b"}).code, 2);
  EXPECT_EQ(run({"events", "send", "--type", "a.b", "--source", "s", "--data", "x", "--url", "http://127.0.0.1:1"}).code, 2);
  EXPECT_EQ(run({"events", "send", "--type", "a.b", "--source", "s", "--data", "{}", "--url", "http://127.0.0.1:1"}).code, 3);
}

TEST(CommandLine, RefusesWrongUsageWithAHint) {
  for (const auto& arguments : std::vector<std::vector<const char*>>{
           {}, {"frobnicate"}, {"show"}, {"runs", "--limit", "x"}, {"approve"}, {"keys"}, {"runs", "--nonsense"}}) {
    const Said said = run(arguments);
    EXPECT_EQ(said.code, 2) << said.err;
    EXPECT_NE(said.err.find("--help"), std::string::npos) << said.err;
    EXPECT_EQ(said.out, "");
  }
}

TEST(CommandLine, SaysThatNoServerAnswersAndHowToStartOne) {
  const Said said = run({"runs", "--url", "http://127.0.0.1:1"});
  EXPECT_EQ(said.code, 3);
  EXPECT_NE(said.err.find("mayfly serve"), std::string::npos) << said.err;
}

TEST(CommandLine, RefusesAnAddressThatIsNone) {
  const Said said = run({"runs", "--url", "localhost:7400"});
  EXPECT_EQ(said.code, 2);
  EXPECT_NE(said.err.find("--url"), std::string::npos);
}

TEST(CommandLine, RefusesAnInvocationWithoutInput) {
  const Said said = run({"invoke", "clerk", "--url", "http://127.0.0.1:1"});
  EXPECT_EQ(said.code, 2);
  EXPECT_NE(said.err.find("no input"), std::string::npos) << said.err;
  EXPECT_EQ(run({"invoke", "clerk", "--data", "{broken", "--url", "http://127.0.0.1:1"}).code, 2);
  EXPECT_EQ(run({"invoke", "clerk", "@/does/not/exist", "--url", "http://127.0.0.1:1"}).code, 2);
}

TEST(Init, WritesAProjectThatIsValidAndOverwritesNothing) {
  const TemporaryDirectory folder;
  const std::string path = folder.path + "/shop";
  ASSERT_EQ(run({"init", path.c_str()}).code, 0);
  const Said valid = run({"validate", path.c_str()});
  EXPECT_EQ(valid.code, 0) << valid.err;
  EXPECT_NE(valid.out.find("clerk"), std::string::npos);
  const Said again = run({"init", path.c_str()});
  EXPECT_EQ(again.code, 1);
  EXPECT_NE(again.err.find("already there"), std::string::npos);
}

TEST(Validate, NamesThePlaceOfEveryProblem) {
  const TemporaryDirectory folder;
  std::ofstream(folder.path + "/mayfly.yaml")
      << "version: 1\nagents:\n  a:\n    model: 7\n    instructions: x\n    limits: {steps: many}\n";
  const Said said = run({"validate", folder.path.c_str()});
  EXPECT_EQ(said.code, 1);
  EXPECT_NE(said.err.find("mayfly.yaml:4:"), std::string::npos) << said.err;
  EXPECT_NE(said.err.find("mayfly.yaml:6:"), std::string::npos) << said.err;
}

TEST(Init, PrintsTheSchema) {
  const Said said = run({"init", "--schema"});
  EXPECT_EQ(said.code, 0);
  EXPECT_TRUE(parse_json(said.out));
}

TEST(Listen, UnderstandsAddressesAndRefusesOthers) {
  EXPECT_EQ(*parse_listen("0.0.0.0:80"), std::pair(std::string("0.0.0.0"), std::uint16_t{80}));
  EXPECT_EQ(*parse_listen("[::1]:8080"), std::pair(std::string("::1"), std::uint16_t{8080}));
  EXPECT_EQ(parse_listen(":0")->first, "127.0.0.1");
  EXPECT_EQ(parse_listen("7401")->second, 7401);
  for (const char* wrong : {"", "host", "host:", "host:99999", "::1:80", "[::1]", "host:80x", "host:-1"})
    EXPECT_FALSE(parse_listen(wrong)) << wrong;
}

TEST(Key, OfADataDirectoryGoesOnlyToThisMachine) {
  const TemporaryDirectory folder;
  std::ofstream(folder.path + "/admin.key") << "mf_secret\n";
  EXPECT_EQ(find_key("", "http://127.0.0.1:7400", folder.path), "mf_secret");
  EXPECT_EQ(find_key("", "http://localhost", folder.path), "mf_secret");
  EXPECT_EQ(find_key("", "http://[::1]:7400", folder.path), "mf_secret");
  EXPECT_EQ(find_key("given", "http://127.0.0.1:7400", folder.path), "given");
  for (const char* elsewhere :
       {"http://example.com", "http://127.0.0.1.example.com", "http://localhost@example.com/", "http://example.com/localhost"})
    EXPECT_EQ(find_key("", elsewhere, folder.path), "") << elsewhere;
}

TEST(Problems, BecomeSentencesAndExitCodes) {
  const Error error = error_of(404, R"({"code":"run.not_found","detail":"there is no such run"})", {});
  EXPECT_EQ(error.message, "there is no such run");
  EXPECT_EQ(exit_code_of(error), ExitCode::NotFound);
  EXPECT_EQ(exit_code_of(error_of(401, "", {})), ExitCode::NotAuthorised);
  EXPECT_NE(error_of(401, "", {}).message.find("--key"), std::string::npos);
  EXPECT_EQ(exit_code_of(error_of(403, R"({"code":"auth.scope"})", {})), ExitCode::NotAuthorised);
  EXPECT_EQ(exit_code_of(error_of(500, "<html>", {})), ExitCode::Failed);
}

const ViewOptions kPlain{.now = from_unix_ms(1'795'000'000'000)};

TEST(Problems, OfTheLambdaApiAreUnderstood) {
  const Error error = error_of(404, R"({"Type":"User","Message":"Function not found: arn:x"})", {});
  EXPECT_EQ(error.message, "Function not found: arn:x");
  EXPECT_EQ(exit_code_of(error), ExitCode::NotFound);
}

TEST(RunsTable, SaysWhyARunWaits) {
  const JsonArray runs{
      JsonObject{{"id", "run_1"},
                 {"agent", "clerk"},
                 {"session", "ann"},
                 {"status", "RUNNING"},
                 {"wait", JsonObject{{"kind", "callback"}, {"operation", 3}, {"name", "refund"}, {"until", nullptr}}},
                 {"created", to_rfc3339(kPlain.now - Millis{120'000})},
                 {"summary", JsonObject{{"steps", 2}, {"input_tokens", 1000}, {"output_tokens", 234}, {"cost_usd", 0.0021}}}},
      JsonObject{{"id", "run_2"}, {"agent", "clerk"}, {"session", nullptr}, {"status", "SUCCEEDED"}, {"wait", nullptr}}};
  const std::string text = runs_table(runs, kPlain);
  EXPECT_NE(text.find("run_1  clerk  ann"), std::string::npos) << text;
  EXPECT_NE(text.find("waits for a person (refund)"), std::string::npos) << text;
  EXPECT_NE(text.find("1.2k  $0.0021   2m"), std::string::npos) << text;
  EXPECT_NE(text.find("succeeded"), std::string::npos) << text;
}

TEST(Timeline, ShowsEachOperationInOneLine) {
  const auto at = [](int ms) { return to_rfc3339(kPlain.now + Millis{ms}); };
  const JsonObject run{{"created", at(0)}};
  const JsonArray operations{
      JsonObject{{"id", 0}, {"type", "EXECUTION"}, {"status", "SUCCEEDED"}},
      JsonObject{{"id", 2},
                 {"type", "STEP"},
                 {"kind", "tool"},
                 {"name", "refund"},
                 {"status", "FAILED"},
                 {"attempts", 3},
                 {"started", at(1500)},
                 {"ended", at(2500)},
                 {"error", JsonObject{{"code", "tool.timeout"}, {"message", "it took\ntoo long"}}}},
      JsonObject{
          {"id", 1},
          {"type", "STEP"},
          {"kind", "llm"},
          {"name", "model"},
          {"status", "SUCCEEDED"},
          {"attempts", 1},
          {"started", at(10)},
          {"ended", at(1400)},
          {"meta", JsonObject{{"usage", JsonObject{{"input", 10}, {"output", 5}}}, {"cost_usd", 0.5}}},
          {"result",
           *parse_json(R"({"message":{"role":"assistant","content":[{"kind":"tool_call","name":"refund","arguments":{"amount":7}}]}})")}}};
  const std::string text = timeline(run, operations, Detail::Brief, kPlain);
  const auto model = text.find("llm   model"), tool = text.find("tool  refund");
  ASSERT_NE(model, std::string::npos) << text;
  ASSERT_NE(tool, std::string::npos) << text;
  EXPECT_LT(model, tool);
  EXPECT_NE(text.find("→ refund({\"amount\":7})"), std::string::npos) << text;
  EXPECT_NE(text.find("it took too long"), std::string::npos) << text;
  EXPECT_EQ(std::ranges::count(text, '\n'), 3);
  EXPECT_NE(timeline(run, operations, Detail::Full, kPlain).find("\"tool.timeout\""), std::string::npos);
}

TEST(Questions, NameTheCommandThatAnswersThem) {
  const JsonObject approval{{"run", "run_1"}, {"operation", 3}, {"kind", "approval"}, {"text", "May clerk call refund?"}};
  EXPECT_EQ(choices_of(approval), (std::vector<std::string>{"approve", "deny"}));
  EXPECT_NE(question_text(approval, kPlain).find("mayfly approve run_1 --operation 3"), std::string::npos);
  EXPECT_EQ(choices_of({{"kind", "limit"}}), (std::vector<std::string>{"continue", "stop"}));
  EXPECT_EQ(choices_of({{"kind", "unknown"}}).size(), 3u);
  EXPECT_EQ(choices_of({{"kind", "ask"}, {"details", JsonObject{{"options", JsonArray{"red", "blue"}}}}}),
            (std::vector<std::string>{"red", "blue"}));
  const JsonObject open{{"run", "run_1"}, {"operation", 4}, {"kind", "ask"}, {"text", "Which?\x1b[2J"}};
  EXPECT_NE(question_text(open, kPlain).find("mayfly answer run_1 \"your answer\""), std::string::npos);
  EXPECT_EQ(question_text(open, kPlain).find('\x1b'), std::string::npos);
}

TEST(Deploy, SendsWhatTheProjectSays) {
  const TemporaryDirectory folder;
  for (const ProjectFile& file : project_files()) {
    std::filesystem::create_directories((std::filesystem::path(folder.path) / file.path).parent_path());
    std::ofstream(std::filesystem::path(folder.path) / file.path) << file.text;
  }
  const auto project = agent::load_project(folder.path);
  ASSERT_TRUE(project) << project.error().front().where << project.error().front().message;
  const Json body = deploy_body(*project);
  EXPECT_EQ(body.at("agents").at(0).at("name"), "clerk");
  EXPECT_EQ(body.at("providers").at(0).at("kind"), "scripted");
  EXPECT_TRUE(std::filesystem::path(std::string(body.at("providers").at(0).at("script").as_string())).is_absolute());
}

}  // namespace
}  // namespace mayfly::cli
