#include <algorithm>

#include "workflow/workflow_world_test_support.h"

namespace mayfly::workflow {
namespace {

struct Case {
  const char* name;
  std::string states;  ///< the States object, from "A"
  std::string input;
  std::string output;  ///< canonical JSON, or "Error: cause" by its start
};
std::string machine_of(const std::string& states) { return R"({"StartAt":"A","States":)" + states + "}"; }
std::string pass(const std::string& fields) { return R"({"A":{"Type":"Pass",)" + fields + R"("End":true}})"; }
std::string intrinsic(const std::string& call) { return pass(R"("Parameters":{"v.$":")" + call + R"("},)"); }
std::string choice(const std::string& rule) {
  return R"({"A":{"Type":"Choice","Choices":[{)" + rule + R"(,"Next":"Y"}],"Default":"N"},"Y":{"Type":"Pass","Result":"yes","End":true},"N":{"Type":"Pass","Result":"no","End":true}})";
}

Reply echo(const std::string& target, const Json& input) {
  if (target.find("broken") != std::string::npos) return {nullptr, "Broken", "it broke"};
  if (target.find("never") != std::string::npos) return {nullptr, "", "", true};
  return {JsonObject{{"got", input}}, "", ""};
}
std::string task(const std::string& name, const std::string& fields) {
  return R"({"A":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:000000000000:function:)" + name + R"(",)" + fields + R"("End":true})" +
         (fields.find("Catch") == std::string::npos ? "}" : R"(,"R":{"Type":"Pass","End":true}})");
}

class States : public ::testing::TestWithParam<Case> {};

TEST_P(States, GiveTheOutput) {
  World world(machine_of(GetParam().states));
  world.answer = echo;
  world.run(GetParam().input);
  EXPECT_FALSE(world.run_().open());
  EXPECT_TRUE(world.output().starts_with(GetParam().output)) << world.output() << "\nwanted " << GetParam().output;
  if (GetParam().output.starts_with('{') || GetParam().output.starts_with('"')) {
    EXPECT_EQ(world.output(), GetParam().output);
  }
}

const Case kCases[] = {
    {"PassThrough", pass(""), R"({"a":1})", R"({"a":1})"},
    // https://docs.aws.amazon.com/step-functions/latest/dg/state-pass.html
    {"PassResult", pass(R"("Result":{"x-datum":0.381018,"y-datum":622.2269926397355},"ResultPath":"$.coords",)"), R"({"georefOf":"Home"})",
     R"({"coords":{"x-datum":0.381018,"y-datum":622.2269926397355},"georefOf":"Home"})"},
    {"PassParameters", pass(R"("Parameters":{"flagged":true,"parts":{"first.$":"$.vals[0]","last3.$":"$.vals[-3:]"}},)"), R"({"vals":[0,10,20,30,40,50]})",
     R"({"flagged":true,"parts":{"first":0,"last3":[30,40,50]}})"},
    {"PassInputPath", pass(R"("InputPath":"$.a",)"), R"({"a":{"b":2}})", R"({"b":2})"},
    {"PassInputPathNull", pass(R"("InputPath":null,)"), R"({"a":1})", "{}"},
    {"PassOutputPathNull", pass(R"("OutputPath":null,)"), R"({"a":1})", "{}"},
    {"PassResultPathNull", pass(R"("Result":1,"ResultPath":null,)"), R"({"a":1})", R"({"a":1})"},
    {"PassBadPath", pass(R"("InputPath":"$.nope",)"), "{}", "States.Runtime: "},
    {"PassContext", pass(R"("Parameters":{"n.$":"$$.Execution.Name","s.$":"$$.State.Name"},)"), "{}", R"({"n":"one","s":"A"})"},
    {"Wildcard", pass(R"("InputPath":"$..price",)"), R"({"a":[{"price":1},{"price":2}]})", "[1,2]"},
    {"Filter", pass(R"("InputPath":"$.a[?(@.p > 1 && @.n == 'x')].n",)"), R"({"a":[{"p":1,"n":"y"},{"p":2,"n":"x"}]})", R"(["x"])"},
    // https://docs.aws.amazon.com/step-functions/latest/dg/intrinsic-functions.html
    {"Format", intrinsic("States.Format('Hello, my name is {}.', $.name)"), R"({"name":"Arnav"})", R"({"v":"Hello, my name is Arnav."})"},
    {"Partition", intrinsic("States.ArrayPartition($.a,4)"), R"({"a":[1,2,3,4,5,6,7,8,9]})", R"({"v":[[1,2,3,4],[5,6,7,8],[9]]})"},
    {"Contains", intrinsic("States.ArrayContains($.a,5)"), R"({"a":[1,2,5]})", R"({"v":true})"},
    {"Range", intrinsic("States.ArrayRange(1,9,2)"), "{}", R"({"v":[1,3,5,7,9]})"},
    {"GetItem", intrinsic("States.ArrayGetItem($.a,$.i)"), R"({"a":[1,2,3,4,5,6],"i":5})", R"({"v":6})"},
    {"Length", intrinsic("States.ArrayLength($.a)"), R"({"a":[1,2,3]})", R"({"v":3})"},
    {"Unique", intrinsic("States.ArrayUnique($.a)"), R"({"a":[1,2,3,3,3,4,3]})", R"({"v":[1,2,3,4]})"},
    {"Encode", intrinsic("States.Base64Encode($.i)"), R"({"i":"Data to encode"})", R"({"v":"RGF0YSB0byBlbmNvZGU="})"},
    {"Decode", intrinsic("States.Base64Decode($.i)"), R"({"i":"RGVjb2RlZCBkYXRh"})", R"({"v":"Decoded data"})"},
    {"Hash", intrinsic("States.Hash($.d,$.a)"), R"({"d":"input data","a":"SHA-1"})", R"({"v":"aaff4a450a104cd177d28d18d74485e8cae074b7"})"},
    {"Merge", intrinsic("States.JsonMerge($.a,$.b,false)"), R"({"a":{"a":{"a1":1,"a2":2},"b":2},"b":{"a":{"a3":1,"a4":2},"c":3}})",
     R"({"v":{"a":{"a3":1,"a4":2},"b":2,"c":3}})"},
    {"MathAdd", intrinsic("States.MathAdd($.v,$.s)"), R"({"v":111,"s":-1})", R"({"v":110})"},
    {"Split", intrinsic("States.StringSplit($.i,$.s)"), R"({"i":"1,2,3,4,5","s":","})", R"({"v":["1","2","3","4","5"]})"},
    {"SplitMany", intrinsic("States.StringSplit($.i,$.s)"), R"({"i":"This.is+a,test=string","s":".+,="})", R"({"v":["This","is","a","test","string"]})"},
    {"Nested", intrinsic("States.Format('{}', States.ArrayGetItem(States.StringSplit($.f,'/'),2))"), R"({"f":"s3/demo/data.csv"})", R"({"v":"data.csv"})"},
    {"ToJson", intrinsic("States.StringToJson($.t)"), R"({"t":"{\"a\":1}"})", R"({"v":{"a":1}})"},
    {"IntrinsicFails", intrinsic("States.ArrayGetItem($.a,9)"), R"({"a":[]})", "States.IntrinsicFailure: "},
    {"ChoiceString", choice(R"("Variable":"$.a","StringEquals":"x")"), R"({"a":"x"})", R"("yes")"},
    {"ChoiceStringType", choice(R"("Variable":"$.a","StringEquals":"1")"), R"({"a":1})", R"("no")"},
    {"ChoiceLess", choice(R"("Variable":"$.a","NumericLessThan":5)"), R"({"a":4.5})", R"("yes")"},
    {"ChoicePath", choice(R"("Variable":"$.a","NumericGreaterThanEqualsPath":"$.b")"), R"({"a":4,"b":4})", R"("yes")"},
    {"ChoiceMatches", choice(R"("Variable":"$.a","StringMatches":"log-*.txt")"), R"({"a":"log-2.txt"})", R"("yes")"},
    {"ChoicePresent", choice(R"("Variable":"$.a","IsPresent":true)"), "{}", R"("no")"},
    {"ChoiceNull", choice(R"("Variable":"$.a","IsNull":true)"), R"({"a":null})", R"("yes")"},
    {"ChoiceTime", choice(R"("Variable":"$.a","TimestampLessThan":"2026-01-02T00:00:00Z")"), R"({"a":"2026-01-01T23:00:00Z"})", R"("yes")"},
    {"ChoiceBool", choice(R"("Variable":"$.a","BooleanEquals":false)"), R"({"a":false})", R"("yes")"},
    {"ChoiceAnd", choice(R"("And":[{"Variable":"$.a","IsNumeric":true},{"Not":{"Variable":"$.a","NumericEquals":0}}])"), R"({"a":1})", R"("yes")"},
    {"ChoiceOr", choice(R"("Or":[{"Variable":"$.a","NumericEquals":2},{"Variable":"$.a","NumericEquals":3}])"), R"({"a":1})", R"("no")"},
    {"ChoiceMissing", choice(R"("Variable":"$.nope","StringEquals":"x")"), "{}", "States.Runtime: Invalid path '$.nope'"},
    {"NoChoice", R"({"A":{"Type":"Choice","Choices":[{"Variable":"$.a","NumericEquals":2,"Next":"B"}]},"B":{"Type":"Succeed"}})", R"({"a":1})", "States.NoChoiceMatched: "},
    {"Fail", R"({"A":{"Type":"Fail","Error":"E","Cause":"C"}})", "{}", "E: C"},
    {"FailPath", R"_({"A":{"Type":"Fail","ErrorPath":"$.e","CausePath":"States.Format('c {}', $.c)"}})_", R"({"e":"E","c":1})", "E: c 1"},
    {"Succeed", R"({"A":{"Type":"Succeed","OutputPath":"$.a"}})", R"({"a":[1]})", "[1]"},
    {"Wait", R"({"A":{"Type":"Wait","SecondsPath":"$.s","End":true}})", R"({"s":10})", R"({"s":10})"},
    {"WaitBad", R"({"A":{"Type":"Wait","SecondsPath":"$.s","End":true}})", R"({"s":"x"})", "States.Runtime: "},
    {"Task", task("f", ""), R"({"a":1})", R"({"got":{"a":1}})"},
    {"TaskSelector", task("f", R"("ResultSelector":{"a.$":"$.got.a"},"ResultPath":"$.r",)"), R"({"a":1})", R"({"a":1,"r":{"a":1}})"},
    {"TaskFails", task("broken", ""), "{}", R"(Broken: {"errorMessage":"it broke","errorType":"Broken"})"},
    {"TaskCaught", task("broken", R"("Catch":[{"ErrorEquals":["Broken"],"ResultPath":"$.e","Next":"R"}],)"), R"({"a":1})",
     R"({"a":1,"e":{"Cause":"{\"errorMessage\":\"it broke\",\"errorType\":\"Broken\"}","Error":"Broken"}})"},
    {"TaskCaughtAsTaskFailed", task("broken", R"("Catch":[{"ErrorEquals":["States.TaskFailed"],"ResultPath":null,"Next":"R"}],)"), R"({"a":1})", R"({"a":1})"},
    {"TaskTimeout", task("never", R"("TimeoutSeconds":5,"Catch":[{"ErrorEquals":["States.Timeout"],"ResultPath":"$.e","Next":"R"}],)"), "{}",
     R"({"e":{"Cause":"","Error":"States.Timeout"}})"},
    {"TimeoutIsNotTaskFailed", task("never", R"("TimeoutSeconds":5,"Catch":[{"ErrorEquals":["States.TaskFailed"],"Next":"R"}],)"), "{}", "States.Timeout: "},
    {"Invoke", R"({"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"arn:aws:lambda:us-east-1:1:function:f","Payload.$":"$"},"OutputPath":"$.Payload","End":true}})",
     R"({"a":1})", R"({"got":{"a":1}})"},
    {"Agent", R"({"A":{"Type":"Task","Resource":"arn:mayfly:agent:writer","End":true}})", R"({"a":1})", R"({"got":{"a":1}})"},
    {"Variables", R"({"A":{"Type":"Pass","Assign":{"x.$":"$.a","y":2},"Next":"B"},"B":{"Type":"Pass","Parameters":{"x.$":"$x","y.$":"$y"},"End":true}})", R"({"a":{"b":1}})", R"({"x":{"b":1},"y":2})"},
    // https://docs.aws.amazon.com/step-functions/latest/dg/state-parallel.html
    {"Parallel", R"({"A":{"Type":"Parallel","End":true,"Branches":[{"StartAt":"Add","States":{"Add":{"Type":"Pass","Result":5,"End":true}}},{"StartAt":"Sub","States":{"Sub":{"Type":"Pass","Result":1,"End":true}}}]}})",
     "[3,2]", "[5,1]"},
    {"ParallelFails", R"({"A":{"Type":"Parallel","End":true,"Branches":[{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":9,"End":true}}},{"StartAt":"F","States":{"F":{"Type":"Fail","Error":"E","Cause":"C"}}}]}})",
     "{}", "E: C"},
    {"Map", R"({"A":{"Type":"Map","ItemsPath":"$.a","ItemSelector":{"i.$":"$$.Map.Item.Index","v.$":"$$.Map.Item.Value","c.$":"$.c"},"MaxConcurrency":1,"ItemProcessor":{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}},"End":true}})",
     R"({"a":["x","y"],"c":7})", R"([{"c":7,"i":0,"v":"x"},{"c":7,"i":1,"v":"y"}])"},
    {"MapEmpty", R"({"A":{"Type":"Map","Iterator":{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}},"End":true}})", "[]", "[]"},
    {"MapNoArray", R"({"A":{"Type":"Map","Iterator":{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}},"End":true}})", "{}", "States.Runtime: "},
    {"MapFails", R"({"A":{"Type":"Map","Iterator":{"StartAt":"P","States":{"P":{"Type":"Fail","Error":"E","Cause":"C"}}},"End":true}})", "[1,2]", "E: C"},
    {"MapTolerates", R"({"A":{"Type":"Map","ToleratedFailureCount":1,"Iterator":{"StartAt":"P","States":{"P":{"Type":"Choice","Choices":[{"Variable":"$","NumericEquals":1,"Next":"F"}],"Default":"O"},"O":{"Type":"Succeed"},"F":{"Type":"Fail","Error":"E","Cause":"C"}}},"End":true}})",
     "[1,2]", R"([{"Cause":"C","Error":"E"},2])"},
    // https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
    {"Jsonata", R"({"A":{"Type":"Pass","QueryLanguage":"JSONata","Output":{"t":"{% $states.input.title %}","s":"Hello"},"End":true}})", R"({"title":"Doctor"})", R"({"s":"Hello","t":"Doctor"})"},
    {"JsonataChoice", R"({"A":{"Type":"Choice","QueryLanguage":"JSONata","Choices":[{"Condition":"{% $states.input.n > 3 %}","Output":"big","Next":"B"}],"Default":"B"},"B":{"Type":"Succeed"}})", R"({"n":4})", R"("big")"},
    {"JsonataTask", R"({"A":{"Type":"Task","QueryLanguage":"JSONata","Resource":"arn:aws:lambda:us-east-1:1:function:f","Arguments":{"n":"{% $states.input.n + 1 %}"},"Assign":{"x":"{% $states.result.got.n %}"},"Next":"B"},"B":{"Type":"Pass","QueryLanguage":"JSONata","Output":"{% $x * 2 %}","End":true}})", R"({"n":4})", "10"},
    {"JsonataUndefined", R"({"A":{"Type":"Pass","QueryLanguage":"JSONata","Output":"{% $states.input.nope %}","End":true}})", "{}", "States.QueryEvaluationError: "},
    {"JsonataMap", R"({"A":{"Type":"Map","QueryLanguage":"JSONata","Items":"{% $states.input.a %}","ItemProcessor":{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}},"Output":"{% $sum($states.result) %}","End":true}})", R"({"a":[1,2,3]})", "6"},
};
INSTANTIATE_TEST_SUITE_P(All, States, ::testing::ValuesIn(kCases), [](const auto& info) { return std::string(info.param.name); });

TEST(WorkflowHistory, TellsWhatHappened) {
  World world(machine_of(task("f", "")));
  world.answer = echo;
  world.run();
  EXPECT_EQ(world.history(), (std::vector<std::string>{"ExecutionStarted", "TaskStateEntered", "LambdaFunctionScheduled", "LambdaFunctionStarted",
                                                       "LambdaFunctionSucceeded", "TaskStateExited", "ExecutionSucceeded"}));
}

TEST(WorkflowRetry, TriesAgainWithGrowingDelays) {
  World world(machine_of(task("broken", R"("Retry":[{"ErrorEquals":["Broken"],"IntervalSeconds":3,"MaxAttempts":2,"BackoffRate":1.5}],)")));
  world.answer = echo;
  const TimePoint from = world.now;
  world.run();
  EXPECT_TRUE(world.output().starts_with("Broken")) << world.output();
  EXPECT_EQ(world.performed.size(), 3u);
  EXPECT_EQ(world.now - from, Millis{7'500});
}

TEST(WorkflowToken, IsAnsweredOnce) {
  World world(machine_of(R"({"A":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken","HeartbeatSeconds":60,"Parameters":{"QueueUrl":"http://x/1/jobs","MessageBody":{"t.$":"$$.Task.Token"}},"End":true}})"));
  world.run();
  EXPECT_FALSE(world.run_().open()) << "the heartbeat's end";
  EXPECT_TRUE(world.output().starts_with("States.HeartbeatTimeout"));
  World other(machine_of(R"({"A":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken","Parameters":{"QueueUrl":"http://x/1/jobs","MessageBody":{"t.$":"$$.Task.Token"}},"End":true}})"));
  other.run();
  ASSERT_EQ(other.sent.size(), 1u);
  const Json& message = other.sent[0];
  EXPECT_EQ(message.at("target"), Json({{"queue", "jobs"}}));
  const Json body = World::parse(std::string(message.at("input").as_string()));
  const auto task = parse_task_token(body.at("t").as_string());
  ASSERT_TRUE(task);
  EXPECT_FALSE(other.apply(task_succeeded(*task, JsonObject{{"done", true}})).error);
  EXPECT_EQ(other.output(), R"({"done":true})");
  EXPECT_TRUE(other.apply(task_succeeded(*task, 2)).error);
}

TEST(WorkflowCancel, StopsWhatTheOtherBranchesStarted) {
  World world(machine_of(R"({"A":{"Type":"Parallel","End":true,"Branches":[
    {"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:mayfly:agent:never","TimeoutSeconds":900,"End":true}}},
    {"StartAt":"F","States":{"F":{"Type":"Fail","Error":"E","Cause":"C"}}}],"Catch":[{"ErrorEquals":["E"],"ResultPath":null,"Next":"W"}]},
    "W":{"Type":"Wait","Seconds":5,"End":true}})"));
  world.answer = echo;
  world.begin();
  ASSERT_EQ(world.run_().pending.size(), 1u);
  EXPECT_EQ(world.run_().pending[0].kind, "wait");
  while (world.step()) {
  }
  EXPECT_EQ(world.output(), "{}");
  const auto history = world.history();
  EXPECT_NE(std::ranges::find(history, "TaskStateAborted"), history.end());
  EXPECT_NE(std::ranges::find(history, "ParallelStateFailed"), history.end());
}

TEST(WorkflowActivity, IsOfferedWithItsTokenAndKeptAliveByHeartbeats) {
  World world(machine_of(R"({"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:000000000000:activity:paint","HeartbeatSeconds":10,"End":true}})"));
  world.begin(R"({"n":1})");
  ASSERT_EQ(world.sent.size(), 1u);
  EXPECT_EQ(world.sent[0].at("kind"), Json("activity"));
  EXPECT_EQ(world.sent[0].at("input"), Json(JsonObject{{"n", 1}}));
  const auto task = parse_task_token(world.sent[0].at("token").as_string());
  ASSERT_TRUE(task);
  world.now += Millis{8'000};
  EXPECT_FALSE(world.apply(engine::Command{world.run_id(), heartbeat_command(*task)}).error);
  ASSERT_EQ(world.run_().pending.size(), 1u);
  EXPECT_EQ(*world.run_().pending[0].due, world.now + Millis{10'000});
  EXPECT_FALSE(world.apply(task_failed(*task, "Dry", "no paint")).error);
  EXPECT_EQ(world.output(), "Dry: no paint");
  EXPECT_FALSE(parse_task_token("nonsense"));
}

TEST(WorkflowMap, RunsNoMoreThanMaxConcurrencyAtATimeAndKeepsTheOrder) {
  World world(machine_of(R"({"A":{"Type":"Map","MaxConcurrency":2,"End":true,"ItemProcessor":{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:mayfly:agent:x","End":true}}}}})"));
  std::size_t most = 0;
  world.answer = [&](const std::string&, const Json& input) {
    most = std::max(most, world.run_().pending.size());
    return Reply{input, "", ""};
  };
  world.run("[5,6,7,8,9]");
  EXPECT_EQ(world.output(), "[5,6,7,8,9]");
  EXPECT_EQ(most, 2u);
}

TEST(WorkflowLoop, EndsAtTheMaximumOfEvents) {
  World world(machine_of(R"({"A":{"Type":"Pass","Next":"B"},"B":{"Type":"Choice","Choices":[{"Variable":"$.x","IsPresent":true,"Next":"E"}],"Default":"A"},"E":{"Type":"Succeed"}})"));
  world.run();
  EXPECT_TRUE(world.output().starts_with("States.Runtime: The execution reached the maximum number of history events (25000)")) << world.output();
}

/// A random machine whose state names start with `prefix`.
std::string random_machine(Random& random, const std::string& prefix, int depth) {
  const auto count = 1 + random.below(3);
  std::string states;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string name = prefix + std::to_string(i), end = i + 1 < count ? R"("Next":")" + prefix + std::to_string(i + 1) + "\"" : R"("End":true)";
    std::string body;
    switch (random.below(depth > 0 ? 5 : 3)) {
      case 0: body = R"("Type":"Pass","Assign":{"v.$":"$$.State.Name"},)"; break;
      case 1: body = R"("Type":"Task","Resource":"arn:mayfly:agent:x","TimeoutSeconds":60,)"; break;
      case 2: body = R"("Type":"Wait","Seconds":)" + std::to_string(random.below(4)) + ","; break;
      case 3:
        body = R"("Type":"Parallel","Branches":[)" + random_machine(random, name + "a", depth - 1) + "," + random_machine(random, name + "b", depth - 1) + "],";
        break;
      default:
        body = R"("Type":"Map","ItemsPath":"$$.Execution.Input","MaxConcurrency":2,"ItemProcessor":)" + random_machine(random, name + "m", depth - 1) + ",";
        break;
    }
    states += (i > 0 ? "," : "") + ("\"" + name + "\":{" + body + end + "}");
  }
  return R"({"StartAt":")" + prefix + R"(0","States":{)" + states + "}}";
}

TEST(WorkflowSimulation, TheOrderOfAnswersChangesNothing) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SeededRandom random(seed);
    const std::string definition = random_machine(random, "s", 2);
    std::vector<std::string> outputs;
    for (const bool shuffled : {false, true}) {
      World world(definition);
      world.answer = echo;
      if (shuffled) world.order = &random;
      world.run("[1,2,3]");
      EXPECT_EQ(world.run_().status, engine::ExecutionStatus::Succeeded) << "seed " << seed << "\n" << definition;
      EXPECT_EQ(std::set<std::string>(world.performed.begin(), world.performed.end()).size(), world.performed.size()) << "seed " << seed;
      const auto history = world.history();
      EXPECT_EQ(std::ranges::count(history, "ExecutionSucceeded"), 1);
      outputs.push_back(world.output());
    }
    EXPECT_EQ(outputs[0], outputs[1]) << "seed " << seed << "\n" << definition;
  }
}

TEST(WorkflowStop, TellsTheReason) {
  World world(machine_of(R"({"A":{"Type":"Wait","Seconds":9,"End":true}})"));
  world.begin();
  EXPECT_FALSE(world.apply(engine::Cancelled{world.run_id(), {"run.cancelled", R"({"error":"E","cause":"C"})", Retry::Never}}).error);
  const auto events = history_of(world.run_(), world.operations);
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back().at("type"), Json("ExecutionAborted"));
  EXPECT_EQ(events.back().at("executionAbortedEventDetails"), Json(JsonObject{{"error", "E"}, {"cause", "C"}}));
}

TEST(WorkflowValidate, NamesEveryProblem) {
  Expressions expressions;
  const Json bad = World::parse(R"({"StartAt":"Begn","States":{"Begin":{"Type":"Task","Resource":"arn:aws:states:::s3:put","Next":"Revew"},
    "Review":{"Type":"Pass","InputPath":"$.a[","Ned":1},"M":{"Type":"Map","End":true,"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED"},"StartAt":"P","States":{"P":{"Type":"Succeed"}}}}}})");
  std::set<std::string> where;
  std::string all;
  for (const Diagnostic& one : validate(bad, expressions)) {
    where.insert(one.location);
    all += one.location + " " + one.code + " " + one.message + "\n";
  }
  for (const char* at : {"/StartAt", "/States/Begin/Resource", "/States/Begin/Next", "/States/Review", "/States/Review/InputPath", "/States/Review/Ned", "/States/M/ItemProcessor/ProcessorConfig/Mode"})
    EXPECT_TRUE(where.contains(at)) << at << "\n" << all;
  EXPECT_NE(all.find("did you mean 'Begin'?"), std::string::npos) << all;
  EXPECT_NE(all.find("did you mean 'Review'?"), std::string::npos) << all;
}

}  // namespace
}  // namespace mayfly::workflow
