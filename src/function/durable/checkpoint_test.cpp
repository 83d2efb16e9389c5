#include "function/durable/checkpoint.h"

#include "function/durable/durable_test_support.h"

namespace mayfly::function {
namespace {

/// What refuses a checkpoint with these updates, after those of `before`.
std::string refusal(const std::string& updates, const std::string& before = "[]") {
  DurableRun run;
  EXPECT_EQ(run.refusal(before), "") << before;
  const std::string stored = to_text(to_json(run.run()));
  std::string out = run.refusal(updates);
  if (!out.empty()) {
    EXPECT_EQ(to_text(to_json(run.run())), stored) << "a refused checkpoint changed something: " << updates;
  }
  constexpr std::string_view kCode = "checkpoint.invalid: ";
  return out.starts_with(kCode) ? out.substr(kCode.size()) : out;
}

const std::string kStarted = R"([{"Id":"a","Type":"STEP","SubType":"Step","Name":"n","Action":"START"}])";

TEST(Checkpoint, ExecutionUpdatesComeOnceAndLast) {
  EXPECT_EQ(refusal(R"([{"Id":"x","Type":"EXECUTION","Action":"SUCCEED"},{"Id":"y","Type":"EXECUTION","Action":"FAIL"}])"),
            "Cannot checkpoint multiple EXECUTION updates.");
  EXPECT_EQ(refusal(R"([{"Id":"x","Type":"EXECUTION","Action":"SUCCEED"},{"Id":"a","Type":"STEP","Action":"START"}])"),
            "EXECUTION checkpoint must be the last update.");
  EXPECT_EQ(refusal(R"([{"Id":"x","Type":"EXECUTION","Action":"START"}])"), "Invalid action for the given operation type.");
  EXPECT_EQ(refusal(R"([{"Id":"x","Type":"EXECUTION","Action":"SUCCEED","Error":{}}])"), "Cannot provide an Error for SUCCEED action.");
  EXPECT_EQ(refusal(R"([{"Id":"x","Type":"EXECUTION","Action":"FAIL","Payload":""}])"), "Cannot provide a Payload for FAIL action.");
}

TEST(Checkpoint, AnIdComesTwiceOnlyToStartAndThenEnd) {
  EXPECT_EQ(refusal(R"([{"Id":"a","Type":"STEP","Action":"START"},{"Id":"a","Type":"STEP","Action":"START"}])"),
            "Cannot checkpoint multiple operations with the same ID.");
  EXPECT_EQ(refusal(R"([{"Id":"a","Type":"WAIT","Action":"START"},{"Id":"a","Type":"WAIT","Action":"CANCEL"}])"),
            "Cannot checkpoint multiple operations with the same ID.");
  EXPECT_EQ(refusal(R"([{"Id":"a","Type":"STEP","Action":"START"},{"Id":"a","Type":"CONTEXT","Action":"SUCCEED"}])"),
            "Inconsistent operation type.");
}

TEST(Checkpoint, ParentsAreContexts) {
  EXPECT_EQ(refusal(R"([{"Id":"a","ParentId":"no","Type":"STEP","Action":"START"}])"), "Invalid parent operation id.");
  EXPECT_EQ(refusal(R"([{"Id":"b","ParentId":"a","Type":"STEP","Action":"START"}])", kStarted), "Invalid parent operation id.");
  EXPECT_EQ(refusal(R"([{"Id":"c","Type":"CONTEXT","Action":"START"},{"Id":"b","ParentId":"c","Type":"STEP","Action":"START"}])"), "");
}

TEST(Checkpoint, AnOperationKeepsItsTypeNameAndParent) {
  EXPECT_EQ(refusal(R"([{"Id":"a","Type":"CONTEXT","Action":"SUCCEED"}])", kStarted), "Inconsistent operation type.");
  EXPECT_EQ(refusal(R"([{"Id":"a","Type":"WAIT","Action":"CANCEL"}])", kStarted), "Inconsistent operation type.");
  EXPECT_EQ(refusal(R"([{"Id":"a","Type":"STEP","SubType":"Map","Action":"SUCCEED"}])", kStarted), "Inconsistent operation subtype.");
  EXPECT_EQ(refusal(R"([{"Id":"a","Type":"STEP","Name":"m","Action":"SUCCEED"}])", kStarted), "Inconsistent operation name.");
  const std::string in_context =
      R"([{"Id":"c","Type":"CONTEXT","Action":"START"},{"Id":"d","Type":"CONTEXT","Action":"START"},{"Id":"a","ParentId":"c","Type":"STEP","Action":"START"}])";
  EXPECT_EQ(refusal(R"([{"Id":"a","ParentId":"d","Type":"STEP","Action":"SUCCEED"}])", in_context), "Inconsistent parent operation id.");
}

TEST(Checkpoint, StepsGoFromStateToState) {
  EXPECT_EQ(refusal(kStarted, kStarted), "Invalid current STEP state to start.");
  const std::string ended = R"([{"Id":"a","Type":"STEP","Action":"SUCCEED","Payload":"1"}])";
  EXPECT_EQ(refusal(kStarted, ended), "Invalid current STEP state to start.");
  EXPECT_EQ(refusal(ended, ended), "Invalid current STEP state to close.");
  const std::string retry = R"([{"Id":"a","Type":"STEP","Action":"RETRY","StepOptions":{"NextAttemptDelaySeconds":1}}])";
  EXPECT_EQ(refusal(retry, ended), "Invalid current STEP state to re-attempt.");
  EXPECT_EQ(refusal(retry, retry), "Invalid current STEP state to re-attempt.");
  EXPECT_EQ(refusal(R"([{"Id":"a","Type":"STEP","Action":"RETRY"}])", kStarted), "Invalid StepOptions for the given action.");
  EXPECT_EQ(refusal(R"([{"Id":"a","Type":"STEP","Action":"RETRY","Payload":"","Error":{},"StepOptions":{"NextAttemptDelaySeconds":1}}])",
                    kStarted),
            "Cannot provide both error and payload to RETRY a STEP.");
  EXPECT_EQ(refusal(R"([{"Id":"a","Type":"STEP","Action":"FAIL","Payload":"1"}])", kStarted), "Cannot provide a Payload for FAIL action.");
  EXPECT_EQ(refusal(R"([{"Id":"a","Type":"STEP","Action":"SUCCEED","Error":{}}])", kStarted),
            "Cannot provide an Error for SUCCEED action.");
  EXPECT_EQ(refusal(R"([{"Id":"a","Type":"STEP","Action":"CANCEL"}])", kStarted), "Invalid action for the given operation type.");
}

TEST(Checkpoint, OthersStartOnce) {
  const auto twice = [](const std::string& update) { return refusal("[" + update + "]", "[" + update + "]"); };
  EXPECT_EQ(twice(R"({"Id":"c","Type":"CONTEXT","Action":"START"})"), "Cannot start a CONTEXT that already exist.");
  EXPECT_EQ(twice(R"({"Id":"c","Type":"CONTEXT","Action":"FAIL"})"), "Invalid current CONTEXT state to close.");
  EXPECT_EQ(twice(R"({"Id":"w","Type":"WAIT","Action":"START","WaitOptions":{"WaitSeconds":1}})"),
            "Cannot start a WAIT that already exist.");
  EXPECT_EQ(twice(R"({"Id":"k","Type":"CALLBACK","Action":"START"})"), "Cannot start a CALLBACK that already exist.");
  EXPECT_EQ(refusal(R"([{"Id":"k","Type":"CALLBACK","Action":"SUCCEED"}])"), "Invalid action for the given operation type.");
  EXPECT_EQ(refusal(R"([{"Id":"i","Type":"CHAINED_INVOKE","Action":"START"}])"),
            "Update for CHAINED_INVOKE operation requires ChainedInvokeOptions.");
}

TEST(Checkpoint, ShapesAndSizesAreChecked) {
  EXPECT_TRUE(refusal(R"([7])").contains("update 1 must be an object"));
  EXPECT_TRUE(refusal(R"([{"Id":"no spaces","Type":"STEP","Action":"START"}])").contains("Id must have 1 to 64"));
  EXPECT_TRUE(refusal(R"([{"Id":"a","Type":"STEP","Action":"EXPLODE"}])").contains("Unknown action"));
  EXPECT_TRUE(refusal(R"([{"Id":"a","Type":"SLEEP","Action":"START"}])").contains("Unknown operation type."));
  EXPECT_TRUE(
      refusal(R"([{"Id":"a","Type":"STEP","Action":"START","Payload":{"$blob":"x","bytes":1}}])").contains("Payload must be a string"));
  EXPECT_TRUE(refusal(R"([{"Id":"w","Type":"WAIT","Action":"START","WaitOptions":{"WaitSeconds":0}}])").contains("WaitSeconds must be"));
  EXPECT_TRUE(
      refusal(R"([{"Id":"w","Type":"WAIT","Action":"START","WaitOptions":{"WaitSeconds":31622401}}])").contains("WaitSeconds must be"));
  EXPECT_TRUE(refusal(R"([{"Id":"a","Type":"STEP","Action":"FAIL","Error":{"ErrorMessage":")" + std::string(33'000, 'x') + R"("}}])")
                  .contains("Error object size must be less than 32768 bytes."));
  EXPECT_TRUE(refusal(R"([{"Id":"i","Type":"CHAINED_INVOKE","Action":"START","ChainedInvokeOptions":{"FunctionName":"g"},"Payload":")" +
                      std::string(1024 * 1024 + 1, 'x') + R"("}])")
                  .contains("CHAINED_INVOKE input payload size"));
}

}  // namespace
}  // namespace mayfly::function
