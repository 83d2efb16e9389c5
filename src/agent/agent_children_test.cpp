#include <gtest/gtest.h>

#include "agent/conversation.h"
#include "agent/delegation_tools.h"
#include "agent/loop_test_support.h"
#include "agent/replay.h"

namespace mayfly::agent {
namespace {

using Started = std::vector<std::string>;

/// An editor with a researcher, a writer and a desk to hand over to.
AgentSpec editor() {
  AgentSpec out = spec();
  out.name = "editor";
  out.agents = {{.agent = "researcher", .description = "Finds facts"}, {.agent = "writer"}, {.agent = "desk", .mode = Delegation::Mode::Handoff}};
  for (ToolSpec& tool : delegation_tools(out)) out.tools.push_back(std::move(tool));
  return out;
}

std::string task(const std::string& agent, const std::string& text = "find") { return fmt::format(R"({{"agent":"{}","task":"{}"}})", agent, text); }

std::string tasks(int count, const std::string& more = "") {
  std::string list;
  for (int i = 0; i < count; ++i) list += (i ? "," : "") + task("researcher", "part " + std::to_string(i));
  return fmt::format(R"({{"tasks":[{}]{}}})", list, more);
}

Json below(const std::vector<std::string>& agents, Json budget = JsonObject{}) {
  Json input = *normalise_input("work");
  Lineage lineage{.agents = agents, .budget = amounts_from_json(budget), .depth_max = 8};
  input.as_object()["lineage"] = lineage.to_json();
  return input;
}

TEST(Delegation, TheChildsAnswerIsTheToolResult) {
  Loop loop(editor());
  loop.say(1, "", {{"c1", "delegate", R"({"agent":"researcher","task":"find it","data":{"k":1}})"}});
  ASSERT_EQ(loop.last_started, Started{"delegate:researcher"});
  const JsonObject& input = loop.input_of(2);
  EXPECT_EQ(loop.run.pending[0].type, OperationType::ChainedInvoke);
  EXPECT_EQ(get_string(input, "agent"), "researcher");
  EXPECT_FALSE(input.contains("session")) << "a conversation of its own";
  EXPECT_NE(to_text(*get(input, "input")).find("find it"), std::string::npos);
  EXPECT_NE(to_text(*get(input, "input")).find("{\"k\":1}"), std::string::npos);
  EXPECT_NE(to_text(*get(input, "lineage")).find("\"editor\""), std::string::npos);
  loop.child(2, "It is here.");
  EXPECT_EQ(loop.last_started, Started{"llm:model"});
  EXPECT_EQ(loop.last_text(), "It is here.");
}

TEST(Delegation, AFailureIsToldOrEndsTheRun) {
  for (const bool fails : {false, true}) {
    AgentSpec agent = editor();
    agent.agents[0].on_failure = fails ? Delegation::OnFailure::Fail : Delegation::OnFailure::Tell;
    Loop loop(agent);
    loop.say(1, "", {{"c1", "delegate", task("researcher")}});
    loop.child_failed(2, "the archive is closed");
    EXPECT_EQ(loop.completion.has_value(), fails);
    if (fails) {
      EXPECT_EQ(loop.completion->error->code, "delegation.failed");
      EXPECT_NE(loop.completion->error->message.find("archive"), std::string::npos);
    } else {
      EXPECT_NE(loop.last_text().find("archive is closed"), std::string::npos);
      EXPECT_TRUE(loop.conversation().back().content.back().is_error);
    }
  }
}

TEST(Delegation, CyclesAndDepthAreRefusedInWordsForTheModel) {
  Loop cycle(editor(), below({"writer", "boss"}));
  cycle.say(1, "", {{"c1", "delegate", task("writer")}, {"c2", "delegate", task("researcher")}});
  ASSERT_EQ(cycle.last_started, (Started{"refused:delegate", "delegate:researcher"}));
  EXPECT_NE(get_string(cycle.input_of(2), "text").find("above you"), std::string::npos);

  std::vector<std::string> deep;
  for (int i = 0; i < 8; ++i) deep.push_back("a" + std::to_string(i));
  Loop runaway(editor(), below(deep));
  runaway.say(1, "", {{"c1", "delegate", task("researcher")}});
  ASSERT_EQ(runaway.last_started, Started{"refused:delegate"});
  EXPECT_NE(get_string(runaway.input_of(2), "text").find("8 deep"), std::string::npos);

  deep.pop_back();
  Loop allowed(editor(), below(deep));
  allowed.say(1, "", {{"c1", "delegate", task("researcher")}});
  EXPECT_EQ(allowed.last_started, Started{"delegate:researcher"}) << "the eighth level is still allowed";
}

TEST(Delegation, ARunHasABoundedNumberOfChildren) {
  AgentSpec agent = editor();
  agent.fan_out.children = 1;
  Loop loop(agent);
  loop.say(1, "", {{"c1", "delegate", task("researcher")}, {"c2", "delegate", task("writer")}});
  EXPECT_EQ(loop.last_started, (Started{"delegate:researcher", "refused:delegate"}));
}

TEST(Delegation, TheShareIsReservedAndSettledWithWhatAllBelowUsed) {
  AgentSpec agent = editor();
  agent.limits.usd = 1'000'000'000;
  agent.agents[0].budget = {.steps = 10, .usd = 300'000'000};
  Loop loop(agent);
  loop.say(1, "", {{"c1", "delegate", task("researcher")}});
  EXPECT_EQ(loop.state().children_reserved, (Amounts{.steps = 10, .usd = 300'000'000}));
  const Lineage lineage = Lineage::from_json(*get(loop.input_of(2), "lineage"));
  EXPECT_EQ(lineage.budget, (Amounts{.steps = 10, .usd = 300'000'000}));
  loop.child(2, "done", 120'000'000, 4);
  EXPECT_EQ(loop.state().children_reserved, Amounts{});
  EXPECT_EQ(loop.state().children_used.usd, 120'000'000);
  EXPECT_EQ(loop.state().charged_steps, 4);
  const JsonObject& total = loop.run.summary.as_object().at("total").as_object();
  EXPECT_EQ(get_int(total, "nano_usd"), 120'000'000 + loop.state().spent + loop.state().reserved);
  EXPECT_EQ(get_int(loop.run.summary.as_object(), "nano_usd"), loop.state().spent) << "its own apart from the total";
}

TEST(Delegation, AShareThatIsNotLeftIsRefused) {
  AgentSpec agent = editor();
  agent.limits.usd = 500'000'000;
  agent.agents[0].budget.usd = 300'000'000;
  Loop loop(agent);
  loop.say(1, "", {{"c1", "delegate", task("researcher")}, {"c2", "delegate", task("researcher")}});
  ASSERT_EQ(loop.last_started, (Started{"delegate:researcher", "refused:delegate"}));
  EXPECT_NE(get_string(loop.input_of(3), "text").find("budget"), std::string::npos);
}

TEST(Delegation, WithoutABudgetTasksShareWhatIsLeftEqually) {
  AgentSpec agent = editor();
  agent.limits.usd = 1'000'000'000;
  Loop loop(agent);
  loop.say(1, "", {{"c1", "fan_out", tasks(3)}});
  std::vector<std::int64_t> shares;
  for (const ChildRun& child : loop.state().child_runs) shares.push_back(child.reserved.usd);
  ASSERT_EQ(shares.size(), 3u);
  const std::int64_t room = 1'000'000'000 - loop.state().spent;
  for (const std::int64_t share : shares) EXPECT_NEAR(static_cast<double>(share), static_cast<double>(room) / 4, 2.0);
}

TEST(Delegation, ModelCallsKeepClearOfWhatChildrenHold) {
  AgentSpec agent = editor();
  agent.limits.usd = 40'000'000;
  agent.agents[0].budget.usd = 25'000'000;
  agent.limits.on_breach = Limits::OnBreach::Stop;
  Loop loop(agent);
  loop.say(1, "", {{"c1", "delegate", task("researcher")}});
  loop.child(2, "done", 25'000'000);
  ASSERT_EQ(loop.last_started, Started{"llm:model"});
  loop.say(3, "", {{"c1", "look", R"({"n":1})"}}, "", {.input = 100, .output = 900});
  loop.succeed(4, loop.result_text("one"));
  ASSERT_TRUE(loop.completion) << "25 of 40 are the child's, 9 are its own: another call does not fit";
  EXPECT_EQ(loop.completion->error->code, "limit.exceeded");
}

TEST(Delegation, AShareFromAboveBindsAndNobodyIsAsked) {
  AgentSpec agent = editor();
  agent.limits.usd = 1'000'000'000;
  Loop loop(agent, below({"boss"}, JsonObject{{"steps", 1}}));
  loop.say(1, "", {{"c1", "look", R"({"n":1})"}});
  loop.succeed(2, loop.result_text("one"));
  ASSERT_TRUE(loop.completion);
  EXPECT_EQ(loop.completion->error->code, "limit.exceeded");
  EXPECT_NE(loop.completion->error->message.find("boss"), std::string::npos);
}

TEST(Delegation, AChildHasNoMoreTimeThanItsParentHasLeft) {
  AgentSpec agent = editor();
  agent.agents[0].deadline = Millis{600'000};
  Loop loop(agent);
  loop.run.deadline = loop.now + Millis{90'000};
  loop.say(1, "", {{"c1", "delegate", task("researcher")}, {"c2", "delegate", task("writer")}});
  EXPECT_EQ(get_int(loop.input_of(2), "wall_time_ms"), 90'000);
  EXPECT_EQ(get_int(loop.input_of(3), "wall_time_ms"), 90'000);
}

TEST(Delegation, ASharedSessionIsTheParentsConversation) {
  AgentSpec agent = editor();
  agent.agents[0].session = Delegation::Session::Shared;
  Loop loop(agent, *normalise_input("hello"), JsonObject{});
  loop.say(1, "", {{"c1", "delegate", task("researcher")}, {"c2", "delegate", task("writer")}});
  EXPECT_EQ(get_string(loop.input_of(2), "session"), "editor/s1");
  EXPECT_FALSE(loop.input_of(3).contains("session"));
}

TEST(FanOut, GathersAllWithPartialFailureVisible) {
  AgentSpec agent = editor();
  agent.fan_out.parallel = 2;
  Loop loop(agent);
  loop.say(1, "", {{"c1", "fan_out", tasks(3)}});
  EXPECT_EQ(loop.last_started, (Started{"fan_out:fan_out", "fan_out_task:researcher", "fan_out_task:researcher"}));
  loop.child_failed(4, "no luck");
  EXPECT_EQ(loop.last_started, Started{"fan_out_task:researcher"}) << "the third one starts when there is room";
  loop.child(3, "first answer");
  EXPECT_TRUE(loop.last_started.empty());
  loop.child(5, "third answer");
  EXPECT_EQ(loop.last_started, Started{"llm:model"});
  const std::string text = loop.last_text();
  for (const char* part : {"2 of 3 tasks succeeded", "first answer", "researcher: failed. ", "no luck", "third answer"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
  EXPECT_LT(text.find("first answer"), text.find("no luck")) << "in the order of the tasks";
  EXPECT_TRUE(loop.conversation().back().content.back().is_error);
}

TEST(FanOut, TheFirstSuccessCancelsTheOthersAndTheirShareStaysSpent) {
  AgentSpec agent = editor();
  agent.agents[0].budget.usd = 10'000'000;
  Loop loop(agent);
  loop.say(1, "", {{"c1", "fan_out", tasks(3, R"(,"gather":"first")")}});
  loop.child_failed(3, "no luck", 2'000'000);
  EXPECT_TRUE(loop.cancelled.empty()) << "a failure is no answer";
  loop.child(5, "mine", 3'000'000);
  EXPECT_EQ(loop.cancelled, std::vector<std::int64_t>{4});
  EXPECT_EQ(loop.state().children_used.usd, 2'000'000 + 3'000'000 + 10'000'000);
  EXPECT_EQ(loop.state().children_reserved, Amounts{});
  EXPECT_EQ(loop.last_started, Started{"llm:model"});
  EXPECT_NE(loop.last_text().find("cancelled"), std::string::npos);
  EXPECT_FALSE(loop.conversation().back().content.back().is_error);
}

TEST(FanOut, AQuorumEndsWhenItIsMetOrCannotBe) {
  Loop met(editor());
  met.say(1, "", {{"c1", "fan_out", tasks(3, R"(,"gather":"quorum","count":2)")}});
  met.child(3, "a");
  EXPECT_TRUE(met.cancelled.empty());
  met.child(4, "b");
  EXPECT_EQ(met.cancelled, std::vector<std::int64_t>{5});
  Loop missed(editor());
  missed.say(1, "", {{"c1", "fan_out", tasks(3, R"(,"gather":"quorum","count":2)")}});
  missed.child_failed(3, "x");
  missed.child_failed(5, "y");
  EXPECT_EQ(missed.cancelled, std::vector<std::int64_t>{4});
  EXPECT_NE(missed.last_text().find("not as many as were needed"), std::string::npos);
}

TEST(FanOut, ATaskThatMustSucceedEndsTheRunAndTheOthers) {
  AgentSpec agent = editor();
  agent.agents[0].on_failure = Delegation::OnFailure::Fail;
  Loop loop(agent);
  loop.say(1, "", {{"c1", "fan_out", tasks(2)}});
  loop.child_failed(3, "x");
  EXPECT_EQ(loop.cancelled, std::vector<std::int64_t>{4});
  ASSERT_TRUE(loop.completion);
  EXPECT_EQ(loop.completion->error->code, "delegation.failed");
}

TEST(FanOut, TasksThatAreAllRefusedGoBackAtOnce) {
  Loop loop(editor(), below({"researcher"}));
  loop.say(1, "", {{"c1", "fan_out", tasks(2)}});
  EXPECT_EQ(loop.last_started, (Started{"fan_out:fan_out", "llm:model"}));
  EXPECT_NE(loop.last_text().find("refused"), std::string::npos);
}

/// What the desk's side of a conversation that moved looks like.
Json moved() { return JsonObject{{"holder", JsonObject{{"agent", "desk"}}}}; }

TEST(Handoff, MovesTheConversationAndItsAnswerIsTheRuns) {
  Loop loop(editor(), *normalise_input("hello"), JsonObject{});
  loop.say(1, "", {{"c1", "hand_off", R"({"agent":"desk","message":"She wants a refund.","reason":"money"})"}, {"c2", "look", R"({"n":1})"}});
  EXPECT_EQ(loop.last_started, Started{"tool:look"}) << "what moves the conversation comes last";
  loop.succeed(2, loop.result_text("one"));
  ASSERT_EQ(loop.last_started, Started{"transcript:transcript"});
  loop.succeed(3, loop.result_text("user: hello"));
  ASSERT_EQ(loop.last_started, Started{"hand_off:desk"});
  const JsonObject& input = loop.input_of(4);
  EXPECT_EQ(get_string(input, "session"), "editor/s1");
  const std::string child_input = to_text(*get(input, "input"));
  for (const char* part : {"user: hello", "She wants a refund.", "money"}) EXPECT_NE(child_input.find(part), std::string::npos) << child_input;
  EXPECT_TRUE(Lineage::from_json(*get(input, "lineage")).handed_over);
  loop.child(4, "Your refund is on its way.");
  ASSERT_TRUE(loop.completion);
  EXPECT_EQ(get_string(loop.completion->result.as_object(), "text"), "Your refund is on its way.");
  EXPECT_EQ(loop.session.state.at("holder").at("agent"), Json("desk"));
  EXPECT_EQ(loop.last_text(), "Your refund is on its way.") << "the conversation holds the answer";
}

TEST(Handoff, LaterMessagesGoToTheHolderUntilItHandsBack) {
  Loop loop(editor(), *normalise_input("and now?"), moved());
  ASSERT_EQ(loop.last_started, Started{"forward:desk"}) << "no model of this agent is asked";
  EXPECT_EQ(get_string(loop.input_of(1), "session"), "editor/s1");
  loop.child(1, "It is about articles again.", 0, 1, {{"handed_back", true}});
  EXPECT_FALSE(loop.completion);
  EXPECT_EQ(loop.last_started, Started{"llm:model"});
  EXPECT_EQ(loop.state().holder, "");
  EXPECT_NE(loop.last_text().find("It is about articles again."), std::string::npos);
}

TEST(Handoff, MessagesThatJoinFollowInTheirOrder) {
  Loop loop(editor(), *normalise_input("one"), moved());
  Operation message;
  message.id = loop.run.next_operation++;
  message.type = OperationType::Context;
  message.kind = "message";
  message.input = *normalise_input("two");
  loop.journal.push_back(message);
  loop.take(loop.program->message(loop.context(), message));
  ASSERT_EQ(loop.last_started, Started{"forward:desk"});
  loop.child(1, "answer one");
  EXPECT_FALSE(loop.completion) << "the second message still waits for its answer";
  loop.child(3, "answer two");
  ASSERT_TRUE(loop.completion);
  EXPECT_EQ(get_string(loop.completion->result.as_object(), "text"), "answer two");
  std::string all;
  for (const auto& each : loop.conversation()) all += llm::text_of(each) + "|";
  EXPECT_EQ(all, "one|answer one|two|answer two|");
}

TEST(Handoff, AHolderThatFailsGivesTheConversationBack) {
  Loop loop(editor(), *normalise_input("and now?"), moved());
  loop.child_failed(1, "out of order");
  EXPECT_EQ(loop.last_started, Started{"llm:model"});
  EXPECT_EQ(loop.state().holder, "");
}

TEST(Handoff, TheHolderHandsBackWithAMessage) {
  AgentSpec desk = spec();
  desk.name = "desk";
  Json input = below({"editor"});
  input.at("lineage").as_object()["handed_over"] = true;
  Loop loop(desk, input);
  EXPECT_TRUE(get_bool(loop.input_of(1), "hand_back")) << "the model gets the tool";
  loop.say(1, "", {{"c1", "hand_back", R"({"message":"Refund done."})"}});
  ASSERT_TRUE(loop.completion);
  EXPECT_EQ(loop.completion->result, Json(JsonObject{{"text", "Refund done."}, {"handed_back", true}}));
  Loop other(desk);
  other.say(1, "", {{"c1", "hand_back", R"({"message":"x"})"}});
  EXPECT_EQ(other.last_started, Started{"refused:hand_back"}) << "nobody gave it this conversation";
}

TEST(WaitForEvent, SaysWhatItWaitsForAndGivesTheEventOrTheTimeout) {
  AgentSpec agent = spec();
  ToolSpec wait = tool("wait_paid", ToolSpec::Kind::WaitForEvent);
  wait.parameters = *parse_json(R"({"type":"object","required":["key"]})");
  wait.config = JsonObject{{"type", "order.paid"}, {"timeout_ms", 60'000}};
  agent.tools.push_back(wait);
  for (const bool comes : {true, false}) {
    Loop loop(agent);
    loop.say(1, "", {{"c1", "wait_paid", R"({"key":"A-1"})"}});
    ASSERT_EQ(loop.last_started, Started{"event:wait_paid"});
    ASSERT_EQ(loop.sent.size(), 1u);
    EXPECT_EQ(loop.sent[0], Json(JsonObject{{"kind", "wait"}, {"run", "run_1"}, {"operation", 2}, {"type", "order.paid"}, {"key", "A-1"},
                                            {"until", to_unix_ms(loop.now) + 60'000}}));
    Operation op = loop.pop(2);
    op.status = comes ? OperationStatus::Succeeded : OperationStatus::TimedOut;
    if (comes) op.result = JsonObject{{"type", "order.paid"}, {"data", JsonObject{{"amount", 7}}}};
    loop.end(op);
    EXPECT_NE(loop.last_text().find(comes ? "\"amount\":7" : "Timed out"), std::string::npos);
    EXPECT_EQ(loop.conversation().back().content.back().is_error, !comes);
  }
}

AgentSpec teller() {
  AgentSpec out = editor();
  out.destinations.on_success = {{trigger::Target::Kind::Agent, "writer", ""}};
  out.destinations.on_failure = {{trigger::Target::Kind::Queue, "failures", ""}};
  out.destinations.on_event = {{{"tool.ended", "child.started", "question.asked"}, {trigger::Target::Kind::Queue, "audit", ""}}};
  return out;
}

TEST(Destinations, TheEndOfARunIsToldByItsKind) {
  Loop loop(teller(), *normalise_input(*parse_json(R"({"message":"again","data":{"hops":3}})")));
  loop.run.status = ExecutionStatus::Succeeded;
  loop.run.result = JsonObject{{"text", "the text"}};
  auto told = loop.program->farewell(loop.run);
  ASSERT_EQ(told.size(), 1u);
  const JsonObject& event = told[0].at("event").as_object();
  EXPECT_EQ(get_string(event, "type"), "mayfly.run.succeeded");
  EXPECT_EQ(get_string(event, "source"), "/agents/editor");
  EXPECT_EQ(get_string(event, "id"), "run_1-ended");
  EXPECT_EQ(event.at("data").at("hops"), Json(4)) << "who sends work back can count";
  EXPECT_EQ(told[0].at("input").at("message"), Json("the text"));
  loop.run.status = ExecutionStatus::Stopped;
  loop.run.result = nullptr;
  loop.run.error = Error{"run.cancelled", "enough", Retry::Never};
  told = loop.program->farewell(loop.run);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].at("target"), *parse_json(R"({"queue":"failures"})"));
  EXPECT_EQ(told[0].at("event").at("data").at("error").at("message"), Json("enough"));
  engine::Execution never_begun;
  never_begun.id = "run_2";
  never_begun.program = "editor";
  never_begun.status = ExecutionStatus::TimedOut;
  EXPECT_EQ(loop.program->farewell(never_begun).size(), 1u);
}

TEST(Destinations, ACircleEnds) {
  Loop loop(teller(), *normalise_input(*parse_json(R"({"message":"again","data":{"hops":16}})")));
  loop.run.status = ExecutionStatus::Succeeded;
  EXPECT_TRUE(loop.program->farewell(loop.run).empty());
}

TEST(Destinations, EventsOfARunAreToldInTheirCommit) {
  Loop loop(teller());
  loop.say(1, "", {{"c1", "look", R"({"n":1})"}, {"c2", "delegate", task("researcher")}});
  ASSERT_EQ(loop.sent.size(), 1u) << "tool.started is not asked for, child.started is";
  EXPECT_EQ(loop.sent[0].at("event").at("type"), Json("mayfly.child.started"));
  EXPECT_EQ(loop.sent[0].at("event").at("id"), Json("run_1-3.started"));
  loop.succeed(2, loop.result_text("one"));
  ASSERT_EQ(loop.sent.size(), 2u);
  EXPECT_EQ(loop.sent[1].at("event").at("type"), Json("mayfly.tool.ended"));
  EXPECT_EQ(loop.sent[1].at("event").at("data").at("operation").at("name"), Json("look"));
}

TEST(Delegation, StateSurvivesItsJsonForm) {
  AgentSpec agent = editor();
  agent.limits.usd = 1'000'000'000;
  agent.fan_out.parallel = 1;
  Loop loop(agent, below({"boss"}, JsonObject{{"nano_usd", 900'000'000}}));
  loop.say(1, "", {{"c1", "fan_out", tasks(3)}});
  loop.child(3, "a", 5);
  EXPECT_EQ(to_canonical_text(loop.state().to_json()), to_canonical_text(loop.run.state));
  EXPECT_EQ(loop.state().calls[0].tasks.size(), 3u);
}

TEST(Delegation, AReplayShowsNoDifference) {
  AgentSpec agent = editor();
  agent.limits.usd = 1'000'000'000;
  Loop loop(agent);
  loop.say(1, "", {{"c1", "fan_out", tasks(2)}, {"c2", "delegate", task("writer")}});
  loop.child_failed(3, "no");
  loop.child(5, "written", 7);
  loop.child(4, "found", 8);
  loop.say(6, "Done.");
  engine::RunDescription recorded;
  recorded.run = loop.run;
  recorded.operations = loop.journal;
  recorded.run.status = loop.completion->status;
  recorded.run.result = loop.completion->result;
  const auto report = replay_run(recorded, {}, loop.spec, loop.spec, prices());
  EXPECT_EQ(report.model_calls, 2);
  EXPECT_FALSE(report.first_difference) << report.first_difference->what;
}

TEST(Delegation, TheDeployedFormKeepsEverything) {
  AgentSpec agent = teller();
  agent.agents[0] = {"researcher", Delegation::Mode::Delegate, "x", {1, 2, 3, 4}, Millis{5}, Delegation::Session::Shared, Delegation::OnFailure::Fail};
  agent.fan_out = {3, 7};
  agent.limits.depth = 2;
  const auto read = spec_from_json(to_json(agent));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(to_canonical_text(to_json(*read)), to_canonical_text(to_json(agent)));
  EXPECT_EQ(read->agents[0].budget, (Amounts{1, 2, 3, 4}));
}

}  // namespace
}  // namespace mayfly::agent
