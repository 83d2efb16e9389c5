#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "agent/agent_spec.h"
#include "schema/json_schema.h"
#include "testing/temporary_directory.h"

namespace mayfly::agent {
namespace {

namespace fs = std::filesystem;

class FunctionsTest : public testing::Test {
 protected:
  void SetUp() override {
    write("state/app.py", "import json\n\ndef _helper():\n  pass\n\ndef remember(event, context):\n  return event\n");
    write("web/index.mjs", "export const other = 1;\nexport const handler = async (event) => event;\n");
    write("native/bootstrap", "#!/bin/sh\n");
    fs::permissions(folder_ / "native/bootstrap", fs::perms::owner_all);
    write("empty/README.md", "nothing\n");
  }
  void write(const std::string& name, std::string_view text) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }
  std::string problems(std::string_view text) {
    write("mayfly.yaml", text);
    const auto project = load_project(folder_.string());
    std::string all;
    if (project) return "no problem";
    for (const auto& problem : project.error()) all += problem.where + ": " + problem.message + "\n";
    return all;
  }
  Project load(std::string_view text) {
    EXPECT_EQ(problems(text), "no problem");
    return load_project(folder_.string()).value();
  }

  TemporaryDirectory directory_;
  fs::path folder_ = fs::canonical(directory_.path);
};

constexpr std::string_view kFull = R"(version: 1
functions:
  state:
    code: ./state
    description: Keeps what was said
    runtime: python3.12
    handler: app.remember
    memory: 512
    timeout: 2m
    tmp: 1024
    environment: {TABLE: agent-state, TOKEN: "${MAYFLY_TEST_TOKEN}"}
    egress: {allow: ["127.0.0.1:8000", "*.amazonaws.com"]}
    preload: [boto3]
    durable: {execution_timeout: 7d, retention: 30d}
    concurrency: {reserved: 5, provisioned: 1}
    url: {auth: none, stream: true}
    async: {retries: 1, max_age: 1h, on_failure: "arn:aws:lambda:us-east-1:000000000000:function:web"}
    tool:
      description: Remembers something.
      parameters: {type: object, properties: {text: {type: string}}, required: [text]}
  web: {code: web}
  native: {code: native, egress: open}
agents:
  desk:
    model: openai/x
    instructions: x
    tools:
      - {name: remember, function: state}
      - {name: look, function: "web:live", description: Looks., effect: read_only, timeout: 20s}
      - {name: elsewhere, function: deployed-before, description: Does it., parameters: {type: object}}
)";

TEST_F(FunctionsTest, ReadsEverySetting) {
  ::setenv("MAYFLY_TEST_TOKEN", "s3cret", 1);
  const Project project = load(kFull);
  ::unsetenv("MAYFLY_TEST_TOKEN");
  ASSERT_EQ(project.functions.size(), 3U);
  const FunctionSpec& state = project.functions[0];
  EXPECT_EQ(state.config.name, "state");
  EXPECT_EQ(state.config.runtime, "python3.12");
  EXPECT_EQ(state.config.handler, "app.remember");
  EXPECT_EQ(state.config.memory_mb, 512);
  EXPECT_EQ(state.config.timeout, std::chrono::seconds{120});
  EXPECT_EQ(state.config.tmp_mb, 1024);
  EXPECT_EQ(state.config.environment.at("TOKEN"), "s3cret");
  EXPECT_EQ(state.config.egress.mode, function::Egress::Mode::Allow);
  EXPECT_EQ(state.config.egress.allow, (std::vector<std::string>{"127.0.0.1:8000", "*.amazonaws.com"}));
  EXPECT_EQ(state.config.preload, std::vector<std::string>{"boto3"});
  ASSERT_TRUE(state.config.durable);
  EXPECT_EQ(state.config.durable->execution_timeout, std::chrono::hours{7 * 24});
  EXPECT_EQ(state.config.durable->retention_days, 30);
  EXPECT_EQ(state.reserved, 5);
  EXPECT_EQ(state.provisioned, 1);
  ASSERT_TRUE(state.url);
  EXPECT_FALSE(state.url->needs_iam);
  EXPECT_TRUE(state.url->streams);
  EXPECT_EQ(state.async->retries_max, 1);
  EXPECT_EQ(state.async->age_max, std::chrono::hours{1});
  EXPECT_EQ(state.code_folder, (folder_ / "state").string());
}

TEST_F(FunctionsTest, GuessesFromTheFiles) {
  ::setenv("MAYFLY_TEST_TOKEN", "", 1);
  const Project project = load(R"(version: 1
functions: {state: {code: state}, web: {code: ./web/}, native: {code: native, egress: open}, cut: {code: state, runtime: python3, handler: app.remember}}
)");
  EXPECT_EQ(project.functions[0].config.runtime, "python3.13");
  EXPECT_EQ(project.functions[0].config.handler, "app.remember");
  EXPECT_EQ(project.functions[1].config.runtime, "nodejs22.x");
  EXPECT_EQ(project.functions[1].config.handler, "index.handler");
  EXPECT_EQ(project.functions[1].code_folder, (folder_ / "web").string());
  EXPECT_EQ(project.functions[2].config.runtime, "provided.al2023");
  EXPECT_EQ(project.functions[2].config.egress.mode, function::Egress::Mode::Open);
  EXPECT_EQ(project.functions[3].config.runtime, "python3.13");
}

TEST_F(FunctionsTest, TheUsualNameOfAHandlerWins) {
  write("usual/lambda_function.py", "def first(a, b): pass\ndef lambda_handler(event, context): pass\n");
  write("commonjs/index.js", "exports.first = 1;\nexports.handler = async () => 1;\n");
  EXPECT_EQ(guess_code(folder_ / "usual", "", "")->handler, "lambda_function.lambda_handler");
  EXPECT_EQ(guess_code(folder_ / "commonjs", "", "")->handler, "index.handler");
  EXPECT_EQ(guess_code(folder_ / "state", "", "app.remember")->runtime, "python3.13");
  EXPECT_EQ(guess_code(folder_ / "web", "nodejs20.x", "")->runtime, "nodejs20.x");
  write("deep/src/pkg/mod.py", "def go(e, c): pass\n");
  EXPECT_TRUE(guess_code(folder_ / "deep", "python3.12", "src/pkg/mod.go"));
  EXPECT_TRUE(guess_code(folder_ / "deep", "python3.12", "src.pkg.mod.go"));
}

TEST_F(FunctionsTest, ToolsTakeWhatTheFunctionSays) {
  ::setenv("MAYFLY_TEST_TOKEN", "x", 1);
  const Project project = load(kFull);
  const AgentSpec& desk = project.agents.at(0);
  const ToolSpec* remember = desk.find_tool("remember");
  ASSERT_NE(remember, nullptr);
  EXPECT_EQ(remember->kind, ToolSpec::Kind::Function);
  EXPECT_EQ(remember->description, "Remembers something.");
  EXPECT_EQ(remember->effect, Effect::AtLeastOnce);
  EXPECT_EQ(remember->timeout, Millis{900'000});
  EXPECT_FALSE(JsonSchema::compile(remember->parameters)->validate(JsonObject{}).empty());
  EXPECT_EQ(to_text(remember->config), R"({"function":"state"})");
  const ToolSpec* look = desk.find_tool("look");
  EXPECT_EQ(look->effect, Effect::ReadOnly);
  EXPECT_EQ(look->timeout, Millis{20'000});
  const auto again = spec_from_json(to_json(desk));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->find_tool("look")->kind, ToolSpec::Kind::Function);
}

std::string function(std::string_view lines) { return "version: 1\nfunctions:\n  state:\n    code: state\n" + std::string(lines); }

TEST_F(FunctionsTest, SaysWhatIsWrongAndWhere) {
  struct Broken {
    std::string text, where, word;
  };
  const std::vector<Broken> cases{
      {"version: 1\nfunctions:\n  a b: {code: state}\n", "3:3", "not a valid name"},
      {"version: 1\nfunctions:\n  a: {}\n", "3:6", "has no key `code`"},
      {"version: 1\nfunctions:\n  a: {code: none}\n", "3:13", "no folder"},
      {"version: 1\nfunctions:\n  a: {code: ../..}\n", "3:13", "outside the project folder"},
      {"version: 1\nfunctions:\n  a: {code: empty}\n", "3:13", "no code that is recognised"},
      {function("    handler: app.forgotten.py\n"), "5:14", "holds no"},
      {function("    handler: nothing.handler\n"), "5:14", "FILE.FUNCTION"},
      {function("    runtime: provided\n"), "4:11", "bootstrap"},
      {function("    runtime: java21\n"), "5:14", "must match the pattern"},
      {function("    memory: 64\n"), "5:13", "128"},
      {function("    timeout: 30\n"), "5:14", "must be a duration with its unit"},
      {function("    timeout: 16m\n"), "5:14", "must be from 1s to 15m"},
      {function("    timeout: 1500ms\n"), "5:14", "whole seconds"},
      {function("    egress: some\n"), "5:13", "\"none\", \"open\""},
      {function("    egress: {allow: []}\n"), "5:21", "no fewer than 1"},
      {function("    egress: {allow: [\"a..b:99999\"]}\n"), "5:21", "is not usable"},
      {function("    environment: {\"A-B\": x}\n"), "5:26", "not a valid name of a variable"},
      {function("    environment: {TOKEN: \"${MAYFLY_TEST_UNSET}\"}\n"), "5:26", "needs the environment variable `MAYFLY_TEST_UNSET`"},
      {function("    durable: {execution_timeout: 400d}\n"), "5:34", "366d"},
      {function("    durable: {retention: 36h}\n"), "5:26", "whole days"},
      {function("    concurrency: {reserved: 1, provisioned: 2}\n"), "5:45", "must not be more than `reserved`"},
      {function("    concurrency: {per_process: 2}\n"), "5:32", "only for `runtime: http`"},
      {function("    async: {max_age: 7h}\n"), "5:22", "must be from"},
      {function("    tool: {parameters: {type: object}}\n"), "5:11", "has no key `description`"},
      {function("    tool: {description: d, parameters: {type: array}}\n"), "5:40", "add `type: object`"},
      {function("    environment: {AWS_REGION: mars}\n"), "4:5", "reserved keys"},
      {function("    layers: [x]\n"), "5:5", "is not a known key"},
      {function("agents:\n  a: {model: openai/x, instructions: x, tools: [{name: t, function: state}]}\n"), "6:49",
       "give the function one under `tool`"},
      {function("agents:\n  a: {model: openai/x, instructions: x, tools: [{name: t, function: \"a b\", description: d}]}\n"), "6:69",
       "must match the pattern"},
  };
  for (const Broken& each : cases) {
    const std::string found = problems(each.text);
    EXPECT_EQ(std::ranges::count(found, '\n'), 1) << each.text << found;
    EXPECT_TRUE(found.starts_with("mayfly.yaml:" + each.where + ":")) << each.text << found;
    EXPECT_NE(found.find(each.word), std::string::npos) << each.text << found;
  }
}

TEST_F(FunctionsTest, ABrokenFunctionDoesNotBreakItsTools) {
  const std::string found = problems(
      "version: 1\nfunctions: {a: {code: 5}}\nagents:\n  b: {model: openai/x, instructions: x, tools: [{name: t, function: a}]}\n");
  EXPECT_EQ(std::ranges::count(found, '\n'), 1) << found;
}

TEST_F(FunctionsTest, TheApisFormRoundTripsAndHidesSecrets) {
  ::setenv("MAYFLY_TEST_TOKEN", "s3cret", 1);
  const Project project = load(kFull);
  ::unsetenv("MAYFLY_TEST_TOKEN");
  for (const FunctionSpec& spec : project.functions) {
    const JsonObject sent = to_json(spec, Secrets::Shown);
    const auto again = function_from_json(spec.config.name, sent);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(to_text(to_json(*again, Secrets::Shown)), to_text(sent));
    EXPECT_EQ(to_text(to_json(spec, Secrets::Hidden)).find("s3cret"), std::string::npos);
  }
  EXPECT_EQ(to_json(project.functions[0], Secrets::Hidden).at("environment").at("TOKEN"), "***");
}

TEST_F(FunctionsTest, ARequestReadsNothingOfThisMachine) {
  ::setenv("MAYFLY_TEST_TOKEN", "s3cret", 1);
  const auto spec = function_from_json(
      "f", JsonObject{{"runtime", "python3"}, {"handler", "a.b"}, {"environment", JsonObject{{"XY", "${MAYFLY_TEST_TOKEN}"}}}});
  ::unsetenv("MAYFLY_TEST_TOKEN");
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_EQ(spec->config.environment.at("XY"), "${MAYFLY_TEST_TOKEN}");
  EXPECT_EQ(function_from_json("f", JsonObject{{"code", "/etc"}}).error().code, "function.invalid");
  EXPECT_EQ(function_from_json("a b", JsonObject{}).error().code, "function.invalid_name");
  EXPECT_FALSE(function_from_json("f", Json("text")));
  const auto wrong = function_from_json("f", JsonObject{{"timeout", 5}, {"memory", 1}});
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("f.timeout must be a duration"), std::string::npos) << wrong.error().message;
  EXPECT_NE(wrong.error().message.find("f.memory"), std::string::npos) << wrong.error().message;
}

TEST_F(FunctionsTest, AFolderAloneIsAFunction) {
  const auto spec = function_of_folder((folder_ / "state").string(), "keep", {{"memory", 1024}});
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_EQ(spec->config.handler, "app.remember");
  EXPECT_EQ(spec->config.memory_mb, 1024);
  EXPECT_EQ(spec->code_folder, (folder_ / "state").string());
  EXPECT_EQ(function_of_folder((folder_ / "empty").string(), "keep", {}).error().code, "function.no_code");
  EXPECT_EQ(function_of_folder((folder_ / "none").string(), "keep", {}).error().code, "function.no_code");
}

}  // namespace
}  // namespace mayfly::agent
