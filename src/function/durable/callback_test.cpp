#include "function/durable/durable_test_support.h"

namespace mayfly::function {
namespace {

class Callback : public testing::Test {
 protected:
  void start(const std::string& options) {
    run.checkpoint(R"([{"Id":"k","Type":"CALLBACK","SubType":"Callback","Action":"START","$callback":"secret","CallbackOptions":)" +
                   options + "}]");
    run.suspends();
  }
  engine::Answer answer(const std::string& action, JsonObject more = {}, const std::string& id = "secret") {
    JsonObject body{{"do", "callback"}, {"operation", "k"}, {"id", id}, {"action", action}, {"request", std::to_string(++requests_)}};
    for (auto& member : more) body[member.key()] = member.value();
    last_ = body;
    const bool was_running = run.running();
    engine::Answer out = run.apply(engine::Command{"run_1", body});
    if (!was_running && run.running()) run.begins();
    return out;
  }
  DurableRun run;
  Json last_;
  int requests_ = 0;
};

TEST_F(Callback, ItsAnswerInvokesTheHandler) {
  start("{}");
  EXPECT_EQ(run.view("k").note.callback_id, "secret");
  EXPECT_FALSE(answer("succeed", {{"result", "\"yes\""}}).error);
  EXPECT_TRUE(run.running());
  EXPECT_EQ(run.view("k").note.status, "SUCCEEDED");
  EXPECT_EQ(payload_of(run.view("k")), "\"yes\"");
  EXPECT_EQ(run.history(), (Strings{"1 ExecutionStarted", "2 CallbackStarted k", "3 InvocationCompleted", "4 CallbackSucceeded k"}));
}

TEST_F(Callback, ItCanFailWithNothingButAnEmptyError) {
  start("{}");
  answer("fail", {{"error", JsonObject()}});
  EXPECT_EQ(run.view("k").note.status, "FAILED");
  EXPECT_EQ(run.event(4).at("CallbackFailedDetails").at("Error").at("Payload"), Json(JsonObject()));
}

TEST_F(Callback, OnlyWhoKnowsItsIdAnswersIt) {
  start("{}");
  EXPECT_EQ(answer("succeed", {}, "guess").error->code, "callback.not_found");
  EXPECT_FALSE(run.running());
}

TEST_F(Callback, ASecondAnswerIsRefusedAndChangesNothing) {
  start("{}");
  answer("succeed", {{"result", "1"}});
  EXPECT_EQ(answer("fail").error->code, "callback.ended");
  EXPECT_EQ(payload_of(run.view("k")), "1");
}

TEST_F(Callback, TheRepeatOfOneRequestIsRecognised) {
  start("{}");
  answer("succeed", {{"result", "1"}});
  EXPECT_FALSE(run.apply(engine::Command{"run_1", last_}).error);
  EXPECT_EQ(run.history().size(), 4u);
}

TEST_F(Callback, ItTimesOut) {
  start(R"({"TimeoutSeconds":5,"HeartbeatTimeoutSeconds":0})");
  run.pass(5);
  EXPECT_TRUE(run.running());
  EXPECT_EQ(run.view("k").note.status, "TIMED_OUT");
  const Json event = run.event(4);
  EXPECT_EQ(event.at("EventType"), "CallbackTimedOut");
  EXPECT_EQ(event.at("CallbackTimedOutDetails").at("Error").at("Payload").at("ErrorType"), "Callback.Timeout");
  EXPECT_EQ(answer("succeed").error->code, "callback.ended");
  const Json started = run.event(2).at("CallbackStartedDetails");
  EXPECT_EQ(started.at("Timeout"), 5);
  EXPECT_FALSE(started.as_object().contains("HeartbeatTimeout"));
}

TEST_F(Callback, HeartbeatsKeepItAliveUntilItsTimeout) {
  start(R"({"TimeoutSeconds":25,"HeartbeatTimeoutSeconds":10})");
  for (int i = 0; i < 2; ++i) {
    run.pass(9);
    EXPECT_FALSE(answer("heartbeat").error);
  }
  EXPECT_EQ(run.history().size(), 3u);
  run.pass(7);  // 25 s after its start, 7 s after the last heartbeat
  EXPECT_EQ(run.event(4).at("CallbackTimedOutDetails").at("Error").at("Payload").at("ErrorType"), "Callback.Timeout");
}

TEST_F(Callback, WithoutHeartbeatsItTimesOutSooner) {
  start(R"({"TimeoutSeconds":25,"HeartbeatTimeoutSeconds":10})");
  run.pass(10);
  const Json error = run.event(4).at("CallbackTimedOutDetails").at("Error").at("Payload");
  EXPECT_EQ(error.at("ErrorType"), "Callback.Heartbeat");
  EXPECT_EQ(error.at("ErrorMessage"), "Callback timed out on heartbeat");
}

TEST_F(Callback, AnAnswerDuringTheInvocationIsToldInTheNextCheckpoint) {
  run.checkpoint(R"([{"Id":"k","Type":"CALLBACK","Action":"START","$callback":"secret"}])");
  answer("succeed", {{"result", "1"}});
  EXPECT_EQ(run.history().size(), 2u);
  EXPECT_EQ(run.told(run.checkpoint("[]")), (Strings{"k SUCCEEDED"}));
  EXPECT_EQ(run.history().back(), "3 CallbackSucceeded k");
}

}  // namespace
}  // namespace mayfly::function
