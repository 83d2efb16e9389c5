#include "server/states/states_api.h"

#include "server/server_test_support.h"
#include "server/states/states_arn.h"

namespace mayfly::states {
namespace {

constexpr std::string_view kRole = "arn:aws:iam::000000000000:role/any";
constexpr std::string_view kPass = R"({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}})";
constexpr std::string_view kWait = R"({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": true}}})";

TEST(StatesArn, NamesWhatItNames) {
  const auto version = parse_arn("arn:aws:states:eu-west-1:123456789012:stateMachine:review:3");
  ASSERT_TRUE(version);
  EXPECT_EQ(version->name, "review");
  EXPECT_EQ(version->qualifier, "3");
  EXPECT_EQ(parse_arn(express_arn("review", "e", "run_1"))->run, "run_1");
  for (const char* bad :
       {"", "arn", "arn:aws:states:us-east-1:000000000000:stateMachine:", "arn:aws:s3:us-east-1:000000000000:stateMachine:a",
        "arn:aws:states:us-east-1:1:stateMachine:a", "arn:aws:states:us-east-1:000000000000:execution:a"})
    EXPECT_EQ(parse_arn(bad).error().code, "aws.InvalidArn") << bad;
  EXPECT_FALSE(parse_arn(activity_arn("a"), Arn::Kind::Execution));
}

class StatesTest : public ServerTest {
 protected:
  void SetUp() override { start(); }

  HttpAnswer ask(const std::string& operation, JsonObject input, Scopes scopes = {Scope::Admin}) {
    Principal principal;
    principal.key_id = "id";
    principal.name = "tester";
    principal.scopes = scopes;
    const net::Response response = run(handle(&app_->context(), principal, operation, std::move(input)));
    HttpAnswer out;
    out.status = response.status;
    out.body = response.body;
    if (auto value = parse_json(out.body); value && value->is_object()) out.json = std::move(value->get_object());
    return out;
  }
  std::string create(const std::string& name, std::string_view definition, const std::string& type = "STANDARD") {
    const HttpAnswer made = ask("CreateStateMachine", {{"name", name}, {"definition", definition}, {"roleArn", kRole}, {"type", type}});
    EXPECT_EQ(made.status, 200) << made.body;
    return made.text("stateMachineArn");
  }
};

TEST_F(StatesTest, ErrorsHaveAwsNamesAndSayWhatToDo) {
  const auto expect = [&](const std::string& operation, JsonObject input, std::string_view type) {
    const HttpAnswer answer = ask(operation, std::move(input));
    EXPECT_EQ(answer.status, 400) << answer.body;
    EXPECT_EQ(answer.text("__type"), type) << answer.body;
    EXPECT_FALSE(answer.text("message").empty());
  };
  expect("CreateStateMachine", {}, "ValidationException");
  expect("CreateStateMachine", {{"name", 7}}, "SerializationException");
  expect("CreateStateMachine", {{"name", "a"}, {"definition", kPass}, {"roleArn", "x"}}, "InvalidArn");
  expect("CreateStateMachine", {{"name", "a"}, {"definition", "[]"}, {"roleArn", kRole}}, "InvalidDefinition");
  expect("CreateStateMachine", {{"name", "a"}, {"definition", kPass}, {"roleArn", kRole}, {"type", "FAST"}},
         "StateMachineTypeNotSupported");
  expect("DescribeStateMachine", {{"stateMachineArn", state_machine_arn("none")}}, "StateMachineDoesNotExist");
  expect("StartExecution", {{"stateMachineArn", state_machine_arn("none")}}, "StateMachineDoesNotExist");
  expect("DescribeExecution", {{"executionArn", execution_arn("none", "e")}}, "ExecutionDoesNotExist");
  expect("ListStateMachines", {{"maxResults", 1001}}, "ValidationException");
  expect("ListStateMachines", {{"nextToken", "!"}}, "InvalidToken");
  expect("SendTaskSuccess", {{"taskToken", "x"}, {"output", "1"}}, "InvalidToken");
  expect("SendTaskSuccess", {{"taskToken", "x"}, {"output", "{"}}, "InvalidOutput");
  expect("DescribeActivity", {{"activityArn", activity_arn("none")}}, "ActivityDoesNotExist");
  expect("TestState", {}, "ValidationException");
  expect("Nonsense", {}, "UnknownOperationException");
}

TEST_F(StatesTest, EveryOperationNeedsAScope) {
  for (const OperationInfo& operation : operations()) {
    const HttpAnswer answer = ask(std::string(operation.name), {}, {Scope::Gateway});
    EXPECT_EQ(answer.text("__type"), "AccessDeniedException") << operation.name;
  }
}

TEST_F(StatesTest, StartsOnceUnderAName) {
  const std::string arn = create("wait", kWait);
  const JsonObject start{{"stateMachineArn", arn}, {"name", "one"}, {"input", R"({"a": 1})"}};
  const HttpAnswer first = ask("StartExecution", start);
  EXPECT_EQ(first.text("executionArn"), execution_arn("wait", "one"));
  EXPECT_EQ(ask("StartExecution", start).body, first.body);
  JsonObject other = start;
  other["input"] = R"({"a": 2})";
  EXPECT_EQ(ask("StartExecution", other).text("__type"), "ExecutionAlreadyExists");
  EXPECT_EQ(ask("UpdateStateMachine", {{"stateMachineArn", arn}, {"definition", kPass}}).status, 200);
  EXPECT_EQ(ask("StartExecution", start).body, first.body) << "the machine changed, the execution did not";
  EXPECT_EQ(ask("StopExecution", {{"executionArn", first.text("executionArn")}, {"error", "E"}, {"cause", "C"}}).status, 200);
  const HttpAnswer stopped = ask("DescribeExecution", {{"executionArn", first.text("executionArn")}});
  EXPECT_EQ(stopped.text("status"), "ABORTED");
  EXPECT_EQ(stopped.text("error"), "E");
  EXPECT_EQ(stopped.text("cause"), "C");
  EXPECT_EQ(ask("StartExecution", start).text("__type"), "ExecutionAlreadyExists");
}

TEST_F(StatesTest, ListsPageByPage) {
  for (int i = 0; i < 5; ++i) create("m" + std::to_string(i), kPass);
  std::size_t seen = 0;
  JsonObject input{{"maxResults", 2}};
  for (int pages = 1;; ++pages) {
    const HttpAnswer page = ask("ListStateMachines", input);
    ASSERT_EQ(page.status, 200) << page.body;
    seen += get_array(page.json, "stateMachines")->size();
    if (page.text("nextToken").empty()) {
      EXPECT_EQ(pages, 3);
      break;
    }
    input["nextToken"] = page.text("nextToken");
  }
  EXPECT_EQ(seen, 5u);
}

TEST_F(StatesTest, ExpressAnswersAtOnceAndItsNamesRepeat) {
  const std::string arn = create("quick", kPass, "EXPRESS");
  const JsonObject start{{"stateMachineArn", arn}, {"name", "same"}, {"input", R"({"a":1})"}};
  const HttpAnswer first = ask("StartSyncExecution", start), second = ask("StartSyncExecution", start);
  EXPECT_EQ(first.text("status"), "SUCCEEDED") << first.body;
  EXPECT_EQ(first.text("output"), R"({"a":1})");
  EXPECT_NE(first.text("executionArn"), second.text("executionArn"));
  EXPECT_EQ(ask("DescribeExecution", {{"executionArn", second.text("executionArn")}}).text("status"), "SUCCEEDED");
  EXPECT_EQ(ask("StartSyncExecution", {{"stateMachineArn", create("slow", kPass)}}).text("__type"), "StateMachineTypeNotSupported");
}

TEST_F(StatesTest, AnActivityWaitsForItsWorker) {
  ASSERT_EQ(ask("CreateActivity", {{"name", "work"}}).status, 200);
  const std::string arn = create(
      "worker", R"({"StartAt": "W", "States": {"W": {"Type": "Task", "Resource": ")" + activity_arn("work") + R"(", "End": true}}})");
  const std::string execution = ask("StartExecution", {{"stateMachineArn", arn}, {"input", "[7]"}}).text("executionArn");
  const HttpAnswer task = ask("GetActivityTask", {{"activityArn", activity_arn("work")}, {"workerName", "me"}});
  EXPECT_EQ(task.text("input"), "[7]") << task.body;
  EXPECT_EQ(ask("SendTaskSuccess", {{"taskToken", task.text("taskToken")}, {"output", R"("done")"}}).body, "{}");
  const HttpAnswer again = ask("SendTaskSuccess", {{"taskToken", task.text("taskToken")}, {"output", "1"}});
  EXPECT_EQ(again.text("__type"), "TaskTimedOut");
  const HttpAnswer ended = ask("DescribeExecution", {{"executionArn", execution}});
  EXPECT_EQ(ended.text("status"), "SUCCEEDED") << ended.body;
  EXPECT_EQ(ended.text("output"), R"("done")");
}

}  // namespace
}  // namespace mayfly::states
