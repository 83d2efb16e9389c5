#include <gtest/gtest.h>

#include <fstream>

#include "agent/agent_spec.h"
#include "testing/temporary_directory.h"

namespace mayfly::agent {
namespace {

std::expected<Project, std::vector<SpecProblem>> load(std::string_view agents) {
  TemporaryDirectory folder;
  std::ofstream(folder.path + "/model.yaml") << "version: 1\n";
  std::ofstream(folder.path + "/mayfly.yaml") << "version: 1\nproviders:\n  play: {kind: scripted, script: model.yaml}\nagents:\n" << agents;
  return load_project(folder.path);
}

std::string problems(std::string_view agents) {
  const auto project = load(agents);
  std::string all;
  if (!project)
    for (const SpecProblem& problem : project.error()) all += problem.where + ": " + problem.message + "\n";
  return all;
}

constexpr std::string_view kFull = R"(  editor:
    model: play/m
    instructions: Lead.
    limits: {depth: 2}
    agents:
      researcher: {description: Finds, budget: {usd: 0.1, steps: 10, input_tokens: 5, output_tokens: 6}, deadline: 10m, session: shared, on_failure: fail}
      publisher: {mode: handoff}
    fan_out: {parallel: 2, children: 5}
    tools:
      - name: wait_paid
        wait_for_event: {type: order.paid, timeout: 2d}
      - name: wait_mine
        wait_for_event: {type: order.paid, key: mine}
    destinations:
      on_success: [{agent: researcher}, {queue: done}]
      on_failure: [{queue: failed}]
      on_event: [{events: [tool.ended], target: {queue: audit}}]
  researcher: {model: play/m, instructions: Find.}
  publisher: {model: play/m, instructions: Publish.}
)";

TEST(ProjectAgents, ReadsEverySetting) {
  ASSERT_EQ(problems(kFull), "");
  const auto project = load(kFull);
  const auto editor = std::ranges::find(project->agents, "editor", &AgentSpec::name);
  ASSERT_NE(editor, project->agents.end());
  EXPECT_EQ(editor->limits.depth, 2);
  EXPECT_EQ(editor->fan_out.parallel, 2);
  EXPECT_EQ(editor->fan_out.children, 5);
  const Delegation* researcher = editor->find_delegation("researcher");
  ASSERT_TRUE(researcher);
  EXPECT_EQ(researcher->budget, (Amounts{10, 5, 6, 100'000'000}));
  EXPECT_EQ(researcher->deadline, Millis{600'000});
  EXPECT_EQ(researcher->session, Delegation::Session::Shared);
  EXPECT_EQ(researcher->on_failure, Delegation::OnFailure::Fail);
  EXPECT_EQ(editor->find_delegation("publisher")->mode, Delegation::Mode::Handoff);
  for (const char* name : {"delegate", "fan_out", "hand_off", "wait_paid", "wait_mine"}) EXPECT_TRUE(editor->find_tool(name)) << name;
  EXPECT_NE(to_text(editor->find_tool("wait_paid")->parameters).find("\"key\""), std::string::npos) << "the model gives the key";
  EXPECT_EQ(to_text(editor->find_tool("wait_mine")->parameters).find("\"key\""), std::string::npos);
  ASSERT_EQ(editor->destinations.on_success.size(), 2u);
  EXPECT_EQ(editor->destinations.on_event.at(0).target.name, "audit");
  const auto again = spec_from_json(to_json(*editor));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(to_canonical_text(to_json(*again)), to_canonical_text(to_json(*editor)));
}

TEST(ProjectAgents, SaysWhatIsWrongAndWhere) {
  const auto with = [](const std::string& more) {
    return problems("  editor:\n    model: play/m\n    instructions: Lead.\n" + more + "  writer: {model: play/m, instructions: Write.}\n");
  };
  EXPECT_NE(with("    agents: {writr: {}}\n").find("did you mean `writer`?"), std::string::npos);
  EXPECT_NE(with("    agents: {editor: {}}\n").find("the agent itself"), std::string::npos);
  EXPECT_NE(with("    agents: {writer: {mode: boss}}\n").find("mayfly.yaml:8:"), std::string::npos);
  EXPECT_NE(with("    agents: {writer: {deadline: 5}}\n").find("duration"), std::string::npos);
  EXPECT_NE(with("    fan_out: {parallel: 2}\n").find("without `agents`"), std::string::npos);
  EXPECT_NE(with("    agents: {writer: {}}\n    tools: [{name: delegate, sleep: {}}]\n").find("choose another name"), std::string::npos);
  EXPECT_NE(with("    destinations: {on_success: [{agent: a, queue: b}]}\n"), "");
  EXPECT_NE(with("    destinations: {on_event: [{events: [run.exploded], target: {queue: a}}]}\n"), "");
}

}  // namespace
}  // namespace mayfly::agent
