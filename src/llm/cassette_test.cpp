#include "llm/cassette.h"

#include <gtest/gtest.h>

#include "llm/llm_error.h"
#include "llm/llm_test_support.h"
#include "llm/scripted_provider.h"

namespace mayfly::llm {
namespace {

using testing::call_with;
using testing::Loop;

constexpr std::string_view kScript = R"(version: 1
conversations:
  - {match: "flaky", turns: [{error: {status: 529, times: 1}, text: "recovered"}]}
default: {text: "you said {{user}}"}
)";

struct World {
  std::expected<GatewayAnswer, LlmError> ask(std::string text, std::function<void(const LlmDelta&)> on_delta = {}) {
    GatewayCall call{call_with({Message::user(std::move(text))}), {"s/m"}};
    call.call.retry_budget = Millis{60'000};
    call.call.on_delta = std::move(on_delta);
    return loop.run(gateway->complete(std::move(call)));
  }
  Loop loop;
  SeededRandom random{1};
  std::unique_ptr<LlmGateway> gateway;
};

void fill(World& world, std::string_view script, std::shared_ptr<LlmTap> tap) {
  std::map<std::string, std::unique_ptr<LlmProvider>> providers;
  providers.emplace("s", std::move(*make_scripted_provider(world.loop.clock, "s", script, "s.yaml")));
  world.gateway = make_gateway({world.loop.io.get_executor(), &world.loop.clock, &world.random, nullptr, {}}, std::move(providers));
  world.gateway->set_tap(std::move(tap));
}

std::vector<CassetteEntry> recorded() {
  World world;
  const auto tap = std::make_shared<RecordingTap>();
  fill(world, kScript, tap);
  EXPECT_TRUE(world.ask("one"));
  EXPECT_TRUE(world.ask("flaky"));
  EXPECT_TRUE(world.ask("two"));
  return tap->entries();
}

TEST(Cassette, ReplaysAnswersAndErrorsInAnyOrderWithoutTheProvider) {
  const auto entries = recorded();
  ASSERT_EQ(entries.size(), 4u);
  const auto again = parse_cassette(to_cassette_text(entries));
  ASSERT_TRUE(again) << again.error().message;
  World world;
  const auto tap = std::make_shared<ReplayTap>(*again);
  fill(world, "version: 1\ndefault: {text: \"from the provider\"}\n", tap);
  EXPECT_EQ(text_of(world.ask("two")->response.message), "you said two");
  std::string streamed;
  EXPECT_EQ(text_of(world.ask("flaky", [&](const LlmDelta& delta) { streamed += delta.text; })->response.message), "recovered");
  EXPECT_EQ(streamed, "recovered");
  EXPECT_EQ(world.gateway->counters().at("s/m").retries, 1u);
  EXPECT_EQ(tap->unused(), 1u);
  EXPECT_EQ(text_of(world.ask("one")->response.message), "you said one");
  EXPECT_EQ(tap->unused(), 0u);
}

TEST(Cassette, AMismatchNamesTheFirstDifference) {
  World world;
  fill(world, kScript, std::make_shared<ReplayTap>(recorded()));
  auto answer = world.ask("uno");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().error.code, "llm.cassette_mismatch");
  EXPECT_NE(answer.error().error.message.find(R"(/messages/0/content/0/text: recorded "one", now "uno")"), std::string::npos)
      << answer.error().error.message;
  EXPECT_TRUE(world.ask("one"));
  answer = world.ask("one");
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().error.message.find(R"(recorded "flaky", now "one")"), std::string::npos) << answer.error().error.message;
}

TEST(Cassette, FilesRoundTripAndBadOnesAreRefused) {
  const std::string path = ::testing::TempDir() + "/mayfly_cassette_test.jsonl";
  std::remove(path.c_str());
  {
    World world;
    const auto tap = std::make_shared<RecordingTap>(path);
    fill(world, kScript, tap);
    ASSERT_TRUE(world.ask("one"));
    EXPECT_TRUE(tap->error());
  }
  const auto loaded = load_cassette(path);
  std::remove(path.c_str());
  ASSERT_TRUE(loaded) << loaded.error().message;
  ASSERT_EQ(loaded->size(), 1u);
  EXPECT_EQ((*loaded)[0].model, "s/m");

  EXPECT_EQ(load_cassette("/nowhere/x").error().code, "cassette.invalid");
  for (const char* text : {"{", "[]\n", "{\"model\":\"m\",\"request\":{}}", "\n\n{\"request\":{},\"response\":{}}"})
    EXPECT_EQ(parse_cassette(text).error().code, "cassette.invalid") << text;
  EXPECT_NE(parse_cassette("\n\n{").error().message.find("line 3"), std::string::npos);
  RecordingTap unwritable("/nowhere/x");
  unwritable.after("m", {}, LlmResponse{});
  EXPECT_EQ(unwritable.error().error().code, "cassette.write");
}

TEST(Cassette, FirstDifference) {
  const auto difference = [](std::string_view recorded, std::string_view actual) {
    return first_difference(*parse_json(recorded), *parse_json(actual));
  };
  EXPECT_EQ(difference(R"({"a":[1,{"b":2}],"c":3})", R"({"c":3,"a":[1,{"b":2}]})"), "");
  EXPECT_EQ(difference("1", "2"), "/: recorded 1, now 2");
  EXPECT_EQ(difference(R"({"a":{"x/y":[1,2]}})", R"({"a":{"x/y":[1,3]}})"), "/a/x~1y/1: recorded 2, now 3");
  EXPECT_EQ(difference(R"({"a":1})", "{}"), "/a: recorded 1, now missing");
  EXPECT_EQ(difference("{}", R"({"a":1})"), "/a: not recorded, now 1");
  EXPECT_EQ(difference("[1]", "[1,2]"), "/1: not recorded, now 2");
  EXPECT_EQ(difference("[1,2]", "[1]"), "/1: recorded 2, now missing");
  EXPECT_EQ(difference("[]", "{}"), "/: recorded [], now {}");
}

TEST(Cassette, ErrorsRoundTrip) {
  const LlmError error = make_error("llm.rate_limited", "slow", Retry::Safe, 429, Millis{1'500});
  const LlmError back = llm_error_from_json(to_json(error));
  EXPECT_EQ(back.error, error.error);
  EXPECT_EQ(back.retry_after, error.retry_after);
  EXPECT_EQ(back.status, 429);
}

}  // namespace
}  // namespace mayfly::llm
