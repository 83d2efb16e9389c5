#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "agent/agent_spec.h"
#include "schema/json_schema.h"

#ifndef MAYFLY_SOURCE_DIR
#define MAYFLY_SOURCE_DIR "."
#endif

namespace mayfly::agent {
namespace {

namespace fs = std::filesystem;

class ProjectTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "mayfly-project-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = fs::canonical(pattern);
    write("model.yaml", "version: 1\n");
    write("prompt.md", "You answer tickets.\n");
    write("answer.json", R"({"type": "object"})");
    write("tools/orders.py", "print(1)\n");
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, std::string_view text) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }

  std::expected<Project, std::vector<SpecProblem>> load(std::string_view text) {
    write("mayfly.yaml", text);
    return load_project(folder_.string());
  }

  std::string problems(std::string_view text) {
    const auto project = load(text);
    std::string all;
    if (project) return "no problem";
    for (const auto& problem : project.error()) all += problem.where + ": " + problem.message + "\n";
    return all;
  }

  fs::path folder_;
};

constexpr std::string_view kFull = R"(version: 1
providers:
  play:  {kind: scripted, script: model.yaml}
  local: {kind: openai, base_url: "http://127.0.0.1:8080/v1/", api_key_env: LOCAL_KEY, concurrency: 4, requests_per_minute: 60}
agents:
  support:
    description: Answers tickets
    model: [play/support, local/qwen/small, anthropic/claude-sonnet-4-5]
    instructions_file: prompt.md
    max_output_tokens: 1024
    temperature: 0.2
    reasoning: low
    timeouts: {first_token: 30s, between_tokens: 45s}
    retry: {attempts: 3, first_delay: 2s, max_delay: 1m}
    session: {keyed: true, when_busy: steer, queue_max: 7}
    limits: {steps: 30, wall_time: 2d, input_tokens: 200000, output_tokens: 20000, usd: 0.123456789, parallel_tool_calls: 4, on_breach: stop}
    context: {max_tokens: 90000, keep_messages: 6}
    output: {schema_file: answer.json, retries: 1}
    tools:
      - name: refund
        description: Pays money back
        parameters: {type: object, properties: {amount: {type: number}}, required: [amount], additionalProperties: false}
        effect: at_least_once
        timeout: 10s
        retry: {attempts: 2}
        on_unknown: fail
        approval: {when: {properties: {amount: {exclusiveMinimum: 50}}}, timeout: 2d, default: deny}
        command: {run: [python3, tools/orders.py], env: [ORDERS_DB], output_bytes_max: 4096}
      - name: get_rate
        description: Looks a rate up
        parameters: {type: object, properties: {currency: {type: string}, date: {type: string}}}
        http: {method: GET, url: "https://api.example.com/rates/{currency}", headers: {authorization: "Bearer ${RATES_KEY}"}, query: {date: "{date}"}, allow_hosts: [api.example.com]}
      - name: ask_lead
        ask: {kind: choose, question: "Which colour?", options: [red, green], timeout: 1h, default: red}
      - sleep
      - wait_until
      - ask_person
      - name: notes
        memory: {scope: shared}
  plain:
    model: play/plain
    instructions: Say hello.
    session: keyed
)";

TEST_F(ProjectTest, ReadsEverySetting) {
  ASSERT_EQ(problems(kFull), "no problem");
  const Project project = *load(kFull);
  EXPECT_EQ(project.directory, folder_.string());
  ASSERT_EQ(project.providers.size(), 3U);
  EXPECT_EQ(project.providers[0].script_path, (folder_ / "model.yaml").string());
  EXPECT_EQ(project.providers[1].base_url, "http://127.0.0.1:8080/v1");
  EXPECT_EQ(project.providers[1].concurrency_max, 4);
  EXPECT_EQ(project.providers[1].requests_per_minute, 60);
  EXPECT_EQ(project.providers[2].kind, "anthropic");
  EXPECT_EQ(project.provider_key_env, (std::vector<std::string>{"", "LOCAL_KEY", "ANTHROPIC_API_KEY"}));

  ASSERT_EQ(project.agents.size(), 2U);
  const AgentSpec& support = project.agents[0];
  EXPECT_EQ(support.models, (std::vector<std::string>{"play/support", "local/qwen/small", "anthropic/claude-sonnet-4-5"}));
  EXPECT_EQ(support.instructions, "You answer tickets.\n");
  EXPECT_EQ(support.output_tokens_max, 1024);
  EXPECT_EQ(support.temperature, 0.2);
  EXPECT_EQ(support.reasoning, llm::ReasoningEffort::Low);
  EXPECT_EQ(support.first_token_timeout, Millis{30'000});
  EXPECT_EQ(support.between_tokens_timeout, Millis{45'000});
  EXPECT_EQ(support.model_retry.attempts_max, 3);
  EXPECT_EQ(support.model_retry.delay_first, Millis{2'000});
  EXPECT_TRUE(support.session.keyed);
  EXPECT_EQ(support.session.when_busy, WhenBusy::Steer);
  EXPECT_EQ(support.session.queue_max, 7);
  EXPECT_EQ(support.limits.usd, 123'456'789);
  EXPECT_EQ(support.limits.wall_time, Millis{2 * 86'400'000});
  EXPECT_EQ(support.limits.on_breach, Limits::OnBreach::Stop);
  EXPECT_EQ(support.context.tokens_max, 90'000);
  EXPECT_EQ(to_text(*support.output_schema), R"({"type":"object"})");
  EXPECT_EQ(support.output_retries, 1);
  EXPECT_TRUE(project.agents[1].session.keyed);
}

TEST_F(ProjectTest, ToolsAreNormalised) {
  const Project project = load(kFull).value();
  const AgentSpec& support = project.agents.at(0);
  ASSERT_EQ(support.tools.size(), 7U);

  const ToolSpec* refund = support.find_tool("refund");
  ASSERT_NE(refund, nullptr);
  EXPECT_EQ(refund->kind, ToolSpec::Kind::Command);
  EXPECT_EQ(refund->effect, Effect::AtLeastOnce);
  EXPECT_EQ(refund->on_unknown, OnUnknown::Fail);
  EXPECT_EQ(refund->retry.attempts_max, 2);
  EXPECT_EQ(to_text(refund->config), R"({"run":["python3","tools/orders.py"],"env":["ORDERS_DB"],"output_bytes_max":4096})");
  EXPECT_EQ(refund->approval_timeout, Millis{2 * 86'400'000});
  EXPECT_EQ(refund->approval_default, "deny");
  const auto when = JsonSchema::compile(*refund->approval_when);
  ASSERT_TRUE(when);
  EXPECT_TRUE(when->validate(JsonObject{{"amount", 51}}).empty());
  EXPECT_FALSE(when->validate(JsonObject{{"amount", 50}}).empty());

  const ToolSpec* rate = support.find_tool("get_rate");
  EXPECT_EQ(rate->effect, Effect::ReadOnly);
  EXPECT_EQ(get_string(rate->config.as_object(), "body"), "none");
  EXPECT_EQ(get_int(rate->config.as_object(), "response_bytes_max"), 262'144);
  EXPECT_EQ(to_text(support.find_tool("ask_lead")->config),
            R"({"kind":"choose","question":"Which colour?","timeout_ms":3600000,"options":["red","green"],"default":"red"})");
  EXPECT_EQ(to_text(support.find_tool("notes")->config), R"({"scope":"shared"})");
  for (const ToolSpec& tool : support.tools) {
    EXPECT_TRUE(JsonSchema::compile(tool.parameters)) << tool.name;
    EXPECT_FALSE(tool.description.empty() && tool.kind != ToolSpec::Kind::Http) << tool.name;
  }
}

TEST_F(ProjectTest, BuiltInToolsTakeSensibleArgumentsOnly) {
  const Project project = load(kFull).value();
  const auto fits = [&](std::string_view tool, std::string_view arguments) {
    return JsonSchema::compile(project.agents.at(0).find_tool(tool)->parameters)->validate(*parse_json(arguments)).empty();
  };
  EXPECT_TRUE(fits("sleep", R"({"seconds": 1.5})"));
  EXPECT_FALSE(fits("sleep", R"({"seconds": -1})"));
  EXPECT_FALSE(fits("sleep", R"({"seconds": 1e9})"));
  EXPECT_TRUE(fits("wait_until", R"({"time": "2026-01-31T09:00:00+01:00"})"));
  EXPECT_FALSE(fits("wait_until", R"({"time": "tomorrow"})"));
  EXPECT_TRUE(fits("ask_person", R"({"question": "Why?"})"));
  EXPECT_FALSE(fits("ask_person", "{}"));
  EXPECT_TRUE(fits("ask_lead", "{}"));
  EXPECT_TRUE(fits("notes", R"({"action": "list"})"));
  EXPECT_TRUE(fits("notes", R"({"action": "set", "key": "a", "value": "b"})"));
  EXPECT_FALSE(fits("notes", R"({"action": "set", "key": "a"})"));
  EXPECT_FALSE(fits("notes", R"({"action": "get"})"));
}

TEST_F(ProjectTest, DeployedFormRoundTrips) {
  for (const AgentSpec& agent : load(kFull).value().agents) {
    const Json deployed = to_json(agent);
    const auto again = spec_from_json(*parse_json(to_text(deployed)));
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(to_text(to_json(*again)), to_text(deployed));
    EXPECT_EQ(again->tools.size(), agent.tools.size());
    EXPECT_EQ(again->limits.usd, agent.limits.usd);
  }
}

TEST_F(ProjectTest, BrokenDeployedFormIsRefused) {
  Json deployed = to_json(load(kFull).value().agents.at(0));
  EXPECT_FALSE(spec_from_json(Json(5)));
  deployed.as_object()["limits"].as_object()["steps"] = "many";
  const auto refused = spec_from_json(deployed);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "agent.invalid_spec");
  EXPECT_NE(refused.error().message.find("`limits.steps`"), std::string::npos) << refused.error().message;
}

TEST_F(ProjectTest, EnvironmentChoosesTheModel) {
  constexpr std::string_view kText = "version: 1\nagents:\n  a: {model: \"${MAYFLY_TEST_MODEL:-openai/gpt-5-mini}\", instructions: x}\n";
  ::unsetenv("MAYFLY_TEST_MODEL");
  EXPECT_EQ(load(kText).value().agents.at(0).models.at(0), "openai/gpt-5-mini");
  ::setenv("MAYFLY_TEST_MODEL", "anthropic/claude-haiku-4-5", 1);
  EXPECT_EQ(load(kText).value().agents.at(0).models.at(0), "anthropic/claude-haiku-4-5");
  ::unsetenv("MAYFLY_TEST_MODEL");
  EXPECT_EQ(problems("version: 1\nagents:\n  a: {model: \"${MAYFLY_TEST_MODEL}\", instructions: x}\n").substr(0, 22),
            "mayfly.yaml:3:14: agen");
}

struct Broken {
  std::string text;
  std::string where;  // of the only problem
  std::string word;
};

std::string agent(std::string_view lines) {
  return "version: 1\nagents:\n  a:\n    model: openai/gpt-5-mini\n    instructions: x\n" + std::string(lines);
}
std::string tool(std::string_view lines) { return agent("    tools:\n      - name: t\n        description: d\n" + std::string(lines)); }

TEST_F(ProjectTest, SaysWhatIsWrongAndWhere) {
  write("bad.json", "{");
  write("bad-schema.json", R"({"type": "thing"})");
  const std::vector<Broken> cases{
      {"version: 1\n", "1:1", "has no key `agents`"},
      {"[1]\n", "1:1", "must be an object"},
      {"version: 2\nagents: {a: {model: openai/x, instructions: x}}\n", "1:10", "version must be 1"},
      {"a: [\n", "2:1", "end of sequence flow not found"},
      {"version: 1\nagents:\n  a: {model: openai/x, instructions: x}\n  a: {}\n", "4:3", "given twice"},
      {"version: 1\nagents:\n  Big Name: {model: openai/x, instructions: x}\n", "3:3", "not a valid name"},
      {"version: 1\nagents:\n  a:\n    instructions: x\n", "4:5", "has no key `model`"},
      {"version: 1\nagents:\n  a:\n    model: openai/x\n", "4:5", "has no key `instructions`"},
      {agent("    instructions_file: prompt.md\n"), "6:5", "keep one of them"},
      {agent("    descripton: d\n"), "6:5", "did you mean `description`?"},
      {agent("    limits: {usd: a lot}\n"), "6:19", "agents.a.limits.usd must be a number, not a string"},
      {agent("    limits: {usd: 0.1234567891}\n"), "6:19", "nine decimals"},
      {agent("    limits: {parallel_tool_calls: 33}\n"), "6:35", "32"},
      {agent("    limits: {steps: 0}\n"), "6:21", "greater than or equal to 1"},
      {agent("    limits: {wall_time: 2 days}\n"), "6:25", "`2 days` is not a duration"},
      {agent("    limits: {wall_time: 60}\n"), "6:25", "must be a duration with its unit"},
      {agent("    limits: {wall_time: 99999d}\n"), "6:25", "to 3650d"},
      {agent("    retry: {first_delay: 2m, max_delay: 1s}\n"), "6:41", "must not be shorter than first_delay"},
      {agent("    session: forever\n"), "6:14", "must be one of \"stateless\", \"keyed\""},
      {agent("    session: {when_busy: wait}\n"), "6:26", "\"queue\", \"reject\", \"steer\""},
      {agent("    reasoning: max\n"), "6:16", "must be one of"},
      {agent("    output: {retries: 1}\n"), "6:13", "exactly one of schema and schema_file"},
      {agent("    output: {schema: {type: objekt}}\n"), "6:29", "`objekt` is not a type"},
      {agent("    output: {schema_file: bad.json}\n"), "6:27", "not JSON"},
      {agent("    output: {schema_file: bad-schema.json}\n"), "6:27", "`thing` is not a type"},
      {agent("    output: {schema_file: none.json}\n"), "6:27", "does not exist"},
      {agent("    tools: [slep]\n"), "6:13", "must be one of \"sleep\""},
      {agent("    tools: [sleep, memory, sleep]\n"), "6:28", "name of an earlier tool"},
      {agent("    tools:\n      - name: t\n"), "7:9", "needs exactly one of http, command, ask"},
      {agent("    tools:\n      - name: t\n        sleep: {}\n        memory: {}\n"), "9:17", "it has sleep and memory"},
      {agent("    tools:\n      - name: t\n        effect: read_only\n        sleep: {}\n"), "8:9",
       "has no meaning for the built-in kind sleep"},
      {agent("    tools:\n      - name: \"a b\"\n        sleep: {}\n"), "7:15", "must match the pattern"},
      {agent("    tools:\n      - name: t\n        command: {run: [ls]}\n"), "7:9", "needs a description"},
      {tool("        command: {run: []}\n"), "9:24", "no fewer than 1"},
      {tool("        command: {run: [python3, tools/none.py]}\n"), "9:34", "does not exist"},
      {tool("        command: {run: [../run.sh]}\n"), "9:25", "outside the project folder"},
      {tool("        command: {run: [ls], env: [\"A B\"]}\n"), "9:36", "must match the pattern"},
      {tool("        parameters: {type: array}\n        command: {run: [ls]}\n"), "9:21", "add `type: object`"},
      {tool("        parameters: {type: object, properties: {a: {type: txt}}}\n        command: {run: [ls]}\n"), "9:59",
       "`txt` is not a type"},
      {tool("        approval: {when: {properties: {a: {minimum: many}}}}\n        command: {run: [ls]}\n"), "9:53", "must be a number"},
      {tool("        approval: {timeout: 1d}\n        command: {run: [ls]}\n"), "9:19", "has no key `when`"},
      {tool("        approval: {when: true, default: deny}\n        command: {run: [ls]}\n"), "9:41", "there is no `timeout`"},
      {tool("        http: {url: \"https://x.example/{id}\"}\n"), "9:21", "uses {id}, which is not among the tool's parameters"},
      {tool("        http: {url: \"https://x.example/\", query: {q: \"{id}\"}}\n"), "9:54", "uses {id}"},
      {tool("        http: {url: \"ftp://x.example/\"}\n"), "9:21", "is not usable"},
      {tool("        http: {url: \"https://x.example/\", body: json}\n"), "9:49", "a GET has no body"},
      {tool("        http: {url: \"https://x.example/\", metod: POST}\n"), "9:43", "did you mean `method`?"},
      {tool("        ask: {kind: text, options: [a, b]}\n"), "9:27", "is only for `kind: choose`"},
      {tool("        ask: {kind: choose, options: [a, b], timeout: 1h, default: c}\n"), "9:68", "must be one of the options"},
      {tool("        ask: {kind: approve, timeout: 1h, default: yes}\n"), "9:52", "must be approve or deny"},
      {"version: 1\nagents: {a: {model: gpt-5, instructions: x}}\n", "2:21", "must be PROVIDER/MODEL"},
      {"version: 1\nagents: {a: {model: opnai/gpt-5, instructions: x}}\n", "2:21", "did you mean `openai`?"},
      {"version: 1\nagents: {a: {model: [openai/x, openai/x], instructions: x}}\n", "2:32", "a second time"},
      {"version: 1\nagents: {a: {model: openai/x, instructions_file: ../../etc/passwd}}\n", "2:50", "outside the project folder"},
      {"version: 1\nagents: {a: {model: openai/x, instructions_file: /etc/passwd}}\n", "2:50", "outside the project folder"},
      {"version: 1\nproviders:\n  p: {base_url: \"http://x/v1\"}\nagents: {a: {model: p/x, instructions: x}}\n", "3:6",
       "has no key `kind`"},
      {"version: 1\nproviders:\n  p: {kind: scripted}\nagents: {a: {model: p/x, instructions: x}}\n", "3:6", "has no key `script`"},
      {"version: 1\nproviders:\n  p: {kind: scripted, script: no.yaml}\nagents: {a: {model: p/x, instructions: x}}\n", "3:31",
       "does not exist"},
      {"version: 1\nproviders:\n  p: {kind: openai, base_url: localhost}\nagents: {a: {model: p/x, instructions: x}}\n", "3:31",
       "absolute http or https URL"},
      {"version: 1\nproviders:\n  p: {kind: opnai}\nagents: {a: {model: p/x, instructions: x}}\n", "3:13", "must be one of"},
  };
  for (const Broken& broken : cases) {
    const auto project = load(broken.text);
    ASSERT_FALSE(project) << broken.text;
    EXPECT_EQ(project.error().size(), 1U) << broken.text << problems(broken.text);
    EXPECT_EQ(project.error().front().where, "mayfly.yaml:" + broken.where) << broken.text << problems(broken.text);
    EXPECT_NE(project.error().front().message.find(broken.word), std::string::npos) << broken.text << problems(broken.text);
  }
}

TEST_F(ProjectTest, ReportsAllProblemsInTheOrderOfTheFile) {
  EXPECT_EQ(problems(R"(version: 1
agents:
  a:
    modle: openai/x
    instructions: x
    limits: {wall_time: soon, usd: free}
    tools:
      - name: t
        description: d
        http: {url: "https://x.example/{id}"}
      - sleep: {}
      - memory
      - memory
  b: {model: nowhere/x, instructions_file: none.md}
)"),
            R"(mayfly.yaml:4:5: agents.a has no key `model`, which it needs
mayfly.yaml:4:5: agents.a.modle is not a known key; did you mean `model`?
mayfly.yaml:6:25: agents.a.limits.wall_time `soon` is not a duration; write it like 500ms, 30s, 15m, 2h, 7d or 1h30m
mayfly.yaml:6:36: agents.a.limits.usd must be a number, not a string
mayfly.yaml:10:21: agents.a.tools.0.http.url uses {id}, which is not among the tool's parameters; add it to `parameters.properties`
mayfly.yaml:11:9: agents.a.tools.1 has no key `name`, which it needs
mayfly.yaml:13:9: agents.a.tools.3 `memory` is the name of an earlier tool; choose another
mayfly.yaml:14:14: agents.b.model names the provider `nowhere`, which is not under `providers`; known are anthropic, openai
mayfly.yaml:14:44: agents.b.instructions_file names `none.md`, which does not exist; paths are relative to mayfly.yaml
)");
}

TEST_F(ProjectTest, ALinkMayNotLeadOutOfTheFolder) {
  fs::create_symlink("/etc/passwd", folder_ / "link.md");
  EXPECT_NE(problems("version: 1\nagents: {a: {model: openai/x, instructions_file: link.md}}\n").find("outside the project folder"),
            std::string::npos);
}

TEST_F(ProjectTest, MissingFileSaysWhatToDo) {
  const auto project = load_project((folder_ / "nothing").string());
  ASSERT_FALSE(project);
  EXPECT_NE(project.error().front().message.find("mayfly init"), std::string::npos);
}

std::string read_source(const std::string& name) {
  std::ifstream in(fs::path(MAYFLY_SOURCE_DIR) / name);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST(ProjectSchema, IsPublishedAsItIs) { EXPECT_EQ(read_source("docs/mayfly.schema.json"), project_schema_text()); }

void expect_described(const Json& schema, const std::string& at) {
  const JsonObject* object = schema.if_object();
  if (object == nullptr) return;
  if (const JsonObject* properties = get_object(*object, "properties"); properties != nullptr && !at.ends_with("/if")) {
    EXPECT_EQ(object->contains("additionalProperties"), true) << at;
    for (const auto& member : *properties) {
      const JsonObject& inner = member.value().as_object();
      EXPECT_TRUE(inner.contains("description") || inner.contains("const")) << at << "/" << std::string(member.key());
    }
  }
  for (const auto& member : *object) {
    expect_described(member.value(), at + "/" + std::string(member.key()));
  }
}

TEST(ProjectSchema, DescribesEveryKeyAndClosesEveryObject) { expect_described(*parse_json(project_schema_text()), ""); }

TEST(Examples, Load) {
  for (const std::string name : {"hello", "support", "functions/python", "functions/nodejs", "functions/durable-python",
                                 "functions/durable-nodejs", "functions/agent"}) {
    const auto project = load_project((fs::path(MAYFLY_SOURCE_DIR) / "examples" / name).string());
    std::string all;
    if (!project)
      for (const auto& problem : project.error()) all += problem.where + ": " + problem.message + "\n";
    EXPECT_TRUE(project) << all;
  }
}

}  // namespace
}  // namespace mayfly::agent
