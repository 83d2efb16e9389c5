#include "agent/agent_program.h"

#include <gtest/gtest.h>

#include "agent/conversation.h"
#include "agent/loop_test_support.h"
#include "agent/replay.h"

namespace mayfly::agent {
namespace {

using Started = std::vector<std::string>;

TEST(AgentLoop, AnswersAfterToolCallsInTheOrderOfTheCalls) {
  Loop loop(spec());
  EXPECT_EQ(loop.last_started, Started{"llm:model"});
  loop.say(1, "Let me look.", {{"c1", "look", R"({"n":1})"}, {"c2", "look", R"({"n":2})"}});
  EXPECT_EQ(loop.last_started, (Started{"tool:look", "tool:look"}));
  loop.succeed(3, loop.result_text("two"));
  EXPECT_TRUE(loop.last_started.empty()) << "the model is asked only when all calls have ended";
  loop.succeed(2, loop.result_text("one"));
  EXPECT_EQ(loop.last_started, Started{"llm:model"});
  const auto messages = loop.conversation();
  ASSERT_EQ(messages.size(), 3u);
  ASSERT_EQ(messages[2].content.size(), 2u);
  EXPECT_EQ(messages[2].content[0].text, "one");
  EXPECT_EQ(messages[2].content[1].text, "two");
  loop.say(4, "Done.");
  ASSERT_TRUE(loop.completion);
  EXPECT_EQ(loop.completion->status, ExecutionStatus::Succeeded);
  EXPECT_EQ(loop.completion->result, Json(JsonObject{{"text", "Done."}}));
}

TEST(AgentLoop, RefusesBadCallsAndTellsTheModelWhy) {
  Loop loop(spec());
  loop.say(1, "", {{"c1", "nosuch", "{}"}, {"c2", "look", R"({"n":"x"})"}, {"c3", "look", "{broken"}});
  EXPECT_EQ(loop.last_started, (Started{"refused:nosuch", "refused:look", "refused:look"}));
  const auto why = [&](std::size_t i) { return get_string(loop.run.pending[i].input.as_object(), "text"); };
  EXPECT_NE(why(0).find("look, pay"), std::string::npos) << why(0);
  EXPECT_NE(why(1).find("/n"), std::string::npos) << why(1);
  EXPECT_NE(why(2).find("JSON"), std::string::npos) << why(2);
}

TEST(AgentLoop, RepairsArgumentsThatAreNearlyJson) {
  for (const char* text : {R"({"n":1,})", R"({"n":1)", "```json\n{\"n\": 1}\n```", R"({"n":[1,2)"})
    EXPECT_TRUE(repair_json_object(text)) << text;
  for (const char* text : {"", "n=1", "{\"n\": ", "{]", "[1]"}) EXPECT_FALSE(repair_json_object(text)) << text;
  Loop loop(spec());
  loop.say(1, "", {{"c1", "look", R"({"n":1,})"}});
  EXPECT_EQ(loop.last_started, Started{"tool:look"});
  loop.succeed(2, loop.result_text("one"));
  EXPECT_EQ(loop.conversation()[1].content[0].arguments, Json(JsonObject{{"n", 1}})) << "providers get the repaired object back";
}

TEST(AgentLoop, ACallThatWasCutOffIsNeverCompletedAndMade) {
  Loop loop(spec());
  loop.say(1, "", {{"c1", "look", R"({"n":1})"}, {"c2", "pay", R"({"n":10)"}}, "length");
  EXPECT_EQ(loop.last_started, (Started{"tool:look", "refused:pay"})) << "the model may have been about to write 1000";
  const std::string why = get_string(loop.run.pending[1].input.as_object(), "text");
  EXPECT_EQ(why.find("Your call was cut off at the output limit"), 0u) << why;
}

TEST(AgentLoop, ACallThatWasCutOffBeforeItsArgumentsIsNotMadeWithoutThem) {
  AgentSpec agent = spec();
  agent.tools[0].parameters = *parse_json(R"({"type":"object"})");
  Loop loop(agent);
  loop.say(1, "", {{"c1", "look", "{}"}, {"c2", "look", "{}"}}, "length");
  EXPECT_EQ(loop.last_started, (Started{"tool:look", "refused:look"}));
}

TEST(AgentLoop, CallIdsMayRepeatInLaterAnswers) {
  Loop loop(spec());
  for (const std::int64_t step : {1, 3}) {
    loop.say(step, "", {{"call_0", "look", fmt::format("{{\"n\":{},}}", step)}});
    loop.succeed(step + 1, loop.result_text(fmt::format("result {}", step)));
  }
  const auto messages = loop.conversation();
  ASSERT_EQ(messages.size(), 5u);
  EXPECT_EQ(messages[1].content[0].arguments, Json(JsonObject{{"n", 1}}));
  EXPECT_EQ(messages[2].content[0].text, "result 1");
  EXPECT_EQ(messages[3].content[0].arguments, Json(JsonObject{{"n", 3}}));
  EXPECT_EQ(messages[4].content[0].text, "result 3");
}

TEST(AgentLoop, AsksAPersonWhenTheArgumentsMatchTheApprovalSchema) {
  AgentSpec agent = spec();
  agent.tools[1].approval_when = *parse_json(R"({"properties":{"n":{"exclusiveMinimum":50}}})");
  Loop loop(agent);
  loop.say(1, "", {{"c1", "pay", R"({"n":50})"}, {"c2", "pay", R"({"n":51})"}});
  EXPECT_EQ(loop.last_started, (Started{"tool:pay", "approval:pay"}));
  loop.succeed(2, loop.result_text("paid"));
  loop.succeed(3, JsonObject{{"approved", true}, {"by", "ann"}});
  EXPECT_EQ(loop.last_started, Started{"tool:pay"});
  loop.succeed(4, loop.result_text("paid more"));
  EXPECT_EQ(loop.conversation().back().content[1].text, "paid more");
}

TEST(AgentLoop, ADeniedCallIsNotMadeAndTheModelLearnsTheComment) {
  AgentSpec agent = spec();
  agent.tools[1].approval_when = Json(true);
  Loop loop(agent);
  loop.say(1, "", {{"c1", "pay", R"({"n":1})"}});
  loop.succeed(2, JsonObject{{"approved", false}, {"comment", "too much"}, {"by", "ann"}});
  EXPECT_EQ(loop.last_started, Started{"llm:model"});
  const auto result = loop.conversation().back().content.front();
  EXPECT_TRUE(result.is_error);
  EXPECT_NE(result.text.find("too much"), std::string::npos);
}

TEST(AgentLoop, StartsNoMoreCallsAtOnceThanAllowed) {
  AgentSpec agent = spec();
  agent.limits.parallel_tool_calls = 2;
  Loop loop(agent);
  loop.say(1, "", {{"c1", "look", R"({"n":1})"}, {"c2", "look", R"({"n":2})"}, {"c3", "look", R"({"n":3})"}});
  EXPECT_EQ(loop.last_started.size(), 2u);
  loop.succeed(2, loop.result_text("one"));
  EXPECT_EQ(loop.last_started.size(), 1u);
}

TEST(AgentLoop, ReservesTheWorstCaseAndSettlesTheRealCost) {
  AgentSpec agent = spec();
  agent.limits.usd = 100'000'000;
  Loop loop(agent);
  EXPECT_GE(loop.state().reserved, 1000 * 10'000) << "1,000 output tokens at 10 USD a million";
  loop.say(1, "", {{"c1", "look", R"({"n":1})"}});
  EXPECT_EQ(loop.state().spent, 100 * 1'000 + 50 * 10'000);
  EXPECT_EQ(loop.state().reserved, 0);
}

TEST(AgentLoop, AsksBeforeTheBudgetWouldBeExceededAndGoesOnWhenGranted) {
  AgentSpec agent = spec();
  agent.limits.usd = 11'000'000;
  Loop loop(agent);
  loop.say(1, "", {{"c1", "look", R"({"n":1})"}}, "", {.input = 100, .output = 900});
  loop.succeed(2, loop.result_text("one"));
  EXPECT_EQ(loop.last_started, Started{"limit:limit"});
  loop.succeed(3, JsonObject{{"continue", true}, {"add", JsonObject{{"usd", 0.02}}}});
  EXPECT_EQ(loop.last_started, Started{"llm:model"});
}

TEST(AgentLoop, StopsAtTheBudgetWhenNobodyExtendsIt) {
  AgentSpec agent = spec();
  agent.limits.steps = 1;
  Loop loop(agent);
  loop.say(1, "", {{"c1", "look", R"({"n":1})"}});
  loop.succeed(2, loop.result_text("one"));
  EXPECT_EQ(loop.last_started, Started{"limit:limit"});
  loop.succeed(3, JsonObject{{"continue", false}});
  ASSERT_TRUE(loop.completion);
  EXPECT_EQ(loop.completion->error->code, "limit.exceeded");
}

TEST(AgentLoop, ACallThatMayHaveBeenBilledStaysSpent) {
  AgentSpec agent = spec();
  agent.limits.usd = 30'000'000;
  Loop loop(agent);
  const auto reserved = loop.state().reserved;
  EXPECT_TRUE(loop.cut_off(1));
  EXPECT_EQ(loop.state().spent, reserved);
  EXPECT_FALSE(loop.cut_off(1)) << "a third reservation would not fit";
  loop.fail_with(1, Error{"llm.bad_response", "cut", Retry::OutcomeUnknown});
  EXPECT_EQ(loop.last_started, Started{"limit:limit"});
}

TEST(AgentLoop, ValidatesStructuredOutputAndTriesAgain) {
  AgentSpec agent = spec();
  agent.output_schema = *parse_json(R"({"type":"object","required":["ok"],"properties":{"ok":{"type":"boolean"}}})");
  agent.output_retries = 1;
  Loop loop(agent);
  loop.say(1, "sure!");
  EXPECT_EQ(loop.last_started, Started{"feedback:feedback"});
  loop.succeed(2, loop.result_text(""));
  loop.say(3, "```json\n{\"ok\": true}\n```");
  ASSERT_TRUE(loop.completion);
  EXPECT_EQ(loop.completion->result.at("output"), Json(JsonObject{{"ok", true}}));
}

TEST(AgentLoop, FailsWhenTheOutputNeverMatches) {
  AgentSpec agent = spec();
  agent.output_schema = *parse_json(R"({"type":"object","required":["ok"]})");
  agent.output_retries = 0;
  Loop loop(agent);
  loop.say(1, "{}");
  ASSERT_TRUE(loop.completion);
  EXPECT_EQ(loop.completion->error->code, "output.invalid");
}

TEST(AgentLoop, ContinuesAnAnswerThatWasCutAtItsLength) {
  Loop loop(spec());
  loop.say(1, "Once upon ", {}, "length");
  EXPECT_EQ(loop.last_started, Started{"feedback:feedback"});
  loop.succeed(2, loop.result_text(""));
  loop.say(3, "a time.");
  ASSERT_TRUE(loop.completion);
  EXPECT_EQ(loop.completion->result, Json(JsonObject{{"text", "Once upon a time."}}));
}

TEST(AgentLoop, AnAnswerThatStaysCutOffSaysSo) {
  Loop loop(spec());
  for (const std::int64_t id : {1, 3, 5}) {
    loop.say(id, "la ", {}, "length");
    loop.succeed(id + 1, loop.result_text(""));
  }
  loop.say(7, "la", {}, "length");
  ASSERT_TRUE(loop.completion);
  EXPECT_EQ(loop.completion->status, ExecutionStatus::Succeeded);
  EXPECT_EQ(loop.completion->result, Json(JsonObject{{"text", "la la la la"}, {"truncated", true}}));
}

TEST(AgentLoop, StructuredOutputThatStaysCutOffIsNotCompleted) {
  AgentSpec agent = spec();
  agent.output_schema = *parse_json(R"({"type":"object","required":["total"]})");
  agent.output_retries = 0;
  Loop loop(agent);
  loop.say(1, R"({"total":)", {}, "length");
  for (const std::int64_t id : {2, 4}) {
    loop.succeed(id, loop.result_text(""));
    loop.say(id + 1, "1", {}, "length");
  }
  loop.succeed(6, loop.result_text(""));
  loop.say(7, "1", {}, "length");
  ASSERT_TRUE(loop.completion);
  EXPECT_EQ(loop.completion->status, ExecutionStatus::Failed);
  EXPECT_EQ(loop.completion->error->code, "output.invalid");
  EXPECT_NE(loop.completion->error->message.find("max_output_tokens"), std::string::npos);
}

TEST(AgentLoop, ARefusalEndsTheRunWithTheModelsWords) {
  Loop loop(spec());
  loop.say(1, "I will not.", {}, "refusal");
  ASSERT_TRUE(loop.completion);
  EXPECT_EQ(loop.completion->error->code, "model.refused");
  EXPECT_NE(loop.completion->error->message.find("I will not."), std::string::npos);
}

TEST(AgentLoop, AMessageThatJoinsIsSeenBeforeTheAnswerCounts) {
  Loop loop(spec());
  Operation message;
  message.id = loop.run.next_operation++;
  message.type = OperationType::Context;
  message.kind = "message";
  message.input = *normalise_input("also this");
  message.ended_event = ++loop.run.events;
  loop.journal.push_back(message);
  loop.take(loop.program->message({loop.run, nullptr, loop.now}, message));
  loop.say(1, "First answer.");
  EXPECT_FALSE(loop.completion);
  EXPECT_EQ(loop.last_started, Started{"llm:model"});
  std::ranges::sort(loop.journal, {}, &Operation::id);
  EXPECT_EQ(llm::text_of(loop.conversation().back()), "also this");
}

TEST(AgentLoop, CompactsBeforeTheContextOverflows) {
  AgentSpec agent = spec();
  agent.context.tokens_max = 5'000;
  Loop loop(agent);
  loop.say(1, "", {{"c1", "look", R"({"n":1})"}}, "", {.input = 4'500, .output = 50});
  loop.succeed(2, loop.result_text("one"));
  EXPECT_EQ(loop.last_started, Started{"compact:compact"});
  loop.succeed(3, JsonObject{{"summary", "short"}, {"kept", JsonArray{}}, {"kept_bytes", 0}}, JsonObject{{"nano_usd", 5}});
  EXPECT_EQ(loop.last_started, Started{"llm:model"});
  const auto messages = ConversationReader::with_run({}, loop.journal);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_NE(llm::text_of(messages[0]).find("short"), std::string::npos);
}

TEST(AgentLoop, ASessionOfShortRunsIsCompactedToo) {
  AgentSpec agent = spec();
  agent.context.tokens_max = 5'000;
  EXPECT_EQ(Loop(agent, 4'500).last_started, Started{"compact:compact"});
  EXPECT_EQ(Loop(agent, 400).last_started, Started{"llm:model"});
}

TEST(AgentLoop, AModelThatFindsTheSessionTooLongMakesItCompactOnce) {
  const Error too_long{"llm.context_too_long", "too long", Retry::Never};
  Loop loop(spec(), 400);
  loop.fail_with(1, too_long);
  EXPECT_EQ(loop.last_started, Started{"compact:compact"});
  loop.succeed(2, JsonObject{{"summary", "short"}, {"kept", JsonArray{}}, {"kept_bytes", 0}});
  EXPECT_EQ(loop.last_started, Started{"llm:model"});
  loop.fail_with(3, too_long);
  ASSERT_TRUE(loop.completion);
  EXPECT_EQ(loop.completion->error->code, "llm.context_too_long");
}

TEST(AgentLoop, WithoutReportedUsageTheEstimateCounts) {
  AgentSpec agent = spec();
  agent.context.tokens_max = 5'000;
  Loop loop(agent, 4'000);
  EXPECT_EQ(loop.last_started, Started{"compact:compact"});
  loop.succeed(1, JsonObject{{"summary", std::string(9'000, 's')}, {"kept", JsonArray{}}, {"kept_bytes", 0}});
  const auto reserved = loop.state().reserved, spent = loop.state().spent;
  EXPECT_GT(spent, 0) << "nobody knows what the summary cost: its reservation";
  loop.say(2, std::string(600, 'x'), {{"c1", "look", R"({"n":1})"}}, "", {});
  EXPECT_EQ(loop.state().spent, spent + reserved);
  EXPECT_GT(loop.state().context_tokens, 3'000 + 200);
  EXPECT_LT(loop.state().context_tokens, 4'000);
}

TEST(AgentLoop, ListsShowWhatACallUnderWayMayCost) {
  Loop loop(spec());
  const auto reserved = [&] { return get_int(loop.run.summary.as_object(), "reserved_nano_usd"); };
  EXPECT_EQ(reserved(), loop.state().reserved);
  EXPECT_GT(reserved(), 0);
  loop.say(1, "Done.");
  EXPECT_EQ(reserved(), 0);
}

TEST(AgentLoop, AnUnusableModelErrorEndsTheRunWithIt) {
  Loop loop(spec());
  loop.fail_with(1, Error{"llm.authentication", "the key is wrong", Retry::Never});
  ASSERT_TRUE(loop.completion);
  EXPECT_EQ(loop.completion->error->code, "llm.authentication");
}

TEST(AgentLoop, StateSurvivesItsJsonForm) {
  Loop loop(spec());
  loop.say(1, "", {{"c1", "look", R"({"n":1})"}, {"c2", "nosuch", "{}"}});
  EXPECT_EQ(to_canonical_text(loop.state().to_json()), to_canonical_text(loop.run.state));
}

TEST(Input, AcceptsTextsPartsAndDataAndRefusesTheRest) {
  EXPECT_EQ(llm::text_of(message_of_input(*normalise_input("hi"))), "hi");
  EXPECT_EQ(llm::text_of(message_of_input(*normalise_input(*parse_json(R"({"message":"hi"})")))), "hi");
  EXPECT_NE(llm::text_of(message_of_input(*normalise_input(*parse_json(R"({"order":7})")))).find("order"), std::string::npos);
  EXPECT_NE(llm::text_of(message_of_input(*normalise_input(*parse_json(R"({"message":"hi","data":{"k":1}})")))).find("\"k\":1"),
            std::string::npos);
  for (const char* text :
       {"null", R"({"message":5})", R"({"message":[]})", R"({"message":"a","datum":1})", R"({"message":[{"type":"audio"}]})"})
    EXPECT_EQ(normalise_input(*parse_json(text)).error().code, "input.invalid") << text;
}

engine::RunDescription recorded(Loop& loop) {
  engine::RunDescription out;
  out.run = loop.run;
  out.operations = loop.journal;
  if (loop.completion) {
    out.run.status = loop.completion->status;
    out.run.result = loop.completion->result;
  }
  return out;
}

TEST(Replay, TheSameAgentShowsNoDifferenceAndAnotherPromptDoes) {
  Loop loop(spec());
  loop.say(1, "", {{"c1", "look", R"({"n":1})"}});
  loop.succeed(2, loop.result_text("one"));
  loop.say(3, "Done.");
  const auto same = replay_run(recorded(loop), {}, loop.spec, loop.spec, prices());
  EXPECT_EQ(same.model_calls, 2);
  EXPECT_FALSE(same.first_difference) << same.first_difference->what;
  AgentSpec other = loop.spec;
  other.instructions = "Be long.";
  const auto changed = replay_run(recorded(loop), {}, loop.spec, other, prices());
  ASSERT_TRUE(changed.first_difference);
  EXPECT_EQ(changed.first_difference->operation, 1);
  EXPECT_NE(changed.first_difference->what.find("system"), std::string::npos) << changed.first_difference->what;
}

TEST(Replay, ARunInASessionShowsNoDifference) {
  AgentSpec agent = spec();
  agent.context.tokens_max = 5'000;
  Loop loop(agent, 4'500);
  loop.succeed(1, JsonObject{{"summary", "short"}, {"kept", JsonArray{}}, {"kept_bytes", 0}},
               JsonObject{{"usage", JsonObject{{"input", 4'500}}}});
  loop.say(2, "Done.");
  const auto same = replay_run(recorded(loop), {}, loop.spec, loop.spec, prices());
  EXPECT_EQ(same.model_calls, 1);
  EXPECT_FALSE(same.first_difference) << same.first_difference->what;
}

TEST(Replay, ALimitReachedByAttemptsThatWereCutOffShowsNoDifference) {
  AgentSpec agent = spec();
  agent.limits.usd = 30'000'000;
  Loop loop(agent);
  EXPECT_TRUE(loop.cut_off(1));
  EXPECT_FALSE(loop.cut_off(1));
  loop.fail_with(1, Error{"llm.bad_response", "cut", Retry::OutcomeUnknown});
  EXPECT_EQ(loop.last_started, Started{"limit:limit"});
  loop.succeed(2, JsonObject{{"continue", true}, {"add", nullptr}});
  loop.say(3, "Done.");
  const auto same = replay_run(recorded(loop), {}, loop.spec, loop.spec, prices());
  EXPECT_EQ(same.model_calls, 1);
  EXPECT_FALSE(same.first_difference) << same.first_difference->what;
}

TEST(Replay, AToolThatNoLongerExistsIsTheFirstDifference) {
  Loop loop(spec());
  loop.say(1, "", {{"c1", "look", R"({"n":1})"}});
  loop.succeed(2, loop.result_text("one"));
  loop.say(3, "Done.");
  AgentSpec other = loop.spec;
  other.tools.erase(other.tools.begin());
  const auto report = replay_run(recorded(loop), {}, loop.spec, other, prices());
  ASSERT_TRUE(report.first_difference);
}

}  // namespace
}  // namespace mayfly::agent
