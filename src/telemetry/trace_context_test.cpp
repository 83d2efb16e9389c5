#include "telemetry/trace_context.h"

#include <gtest/gtest.h>

#include <set>

namespace mayfly::telemetry {
namespace {

const std::string kTrace = "4bf92f3577b34da6a3ce929d0e0e4736", kSpan = "00f067aa0ba902b7";

TEST(TraceParent, ReadsAndWrites) {
  const auto context = parse_traceparent("00-" + kTrace + "-" + kSpan + "-01");
  ASSERT_TRUE(context);
  EXPECT_EQ(context->trace_id, kTrace);
  EXPECT_EQ(context->span_id, kSpan);
  EXPECT_TRUE(context->sampled());
  EXPECT_EQ(to_traceparent(*context), "00-" + kTrace + "-" + kSpan + "-01");
  EXPECT_FALSE(parse_traceparent("00-" + kTrace + "-" + kSpan + "-02")->sampled());
  EXPECT_TRUE(parse_traceparent(" 00-" + kTrace + "-" + kSpan + "-01\t"));
}

TEST(TraceParent, RefusesWhatTheSpecificationForbids) {
  const std::string rest = "-" + kSpan + "-01", zero_trace(32, '0'), zero_span(16, '0');
  for (const std::string& text :
       std::initializer_list<std::string>{"", "00", "00-" + kTrace + rest + "-extra", "00-" + kTrace + rest + "0", "ff-" + kTrace + rest,
                                          "0-" + kTrace + rest, "00-" + zero_trace + rest, "00-" + kTrace + "-" + zero_span + "-01",
                                          "00-4BF92F3577B34DA6A3CE929D0E0E4736" + rest, "00-" + kTrace.substr(1) + "g" + rest,
                                          "00_" + kTrace + rest, "00-" + kTrace + "-" + kSpan + "-0x", "01-" + kTrace + rest + ".x"})
    EXPECT_FALSE(parse_traceparent(text)) << text;
  EXPECT_EQ(parse_traceparent("nonsense").error().code, "trace.invalid");
}

TEST(TraceParent, ReadsTheKnownPartOfLaterVersions) {
  EXPECT_TRUE(parse_traceparent("cc-" + kTrace + "-" + kSpan + "-01"));
  const auto context = parse_traceparent("01-" + kTrace + "-" + kSpan + "-01-what-the-future-will-be-like");
  ASSERT_TRUE(context);
  EXPECT_EQ(to_traceparent(*context), "00-" + kTrace + "-" + kSpan + "-01");
}

TEST(TraceState, ReadsAndWrites) {
  const auto state = parse_tracestate("rojo=00f067aa0ba902b7 , ,congo=t61rcWkgMzE,fw529a3039@dt=FfF a,a_-*/9=!");
  ASSERT_TRUE(state);
  ASSERT_EQ(state->size(), 4u);
  EXPECT_EQ((*state)[0], (std::pair<std::string, std::string>{"rojo", "00f067aa0ba902b7"}));
  EXPECT_EQ((*state)[2].second, "FfF a");
  EXPECT_EQ(to_tracestate(*state), "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE,fw529a3039@dt=FfF a,a_-*/9=!");
  EXPECT_TRUE(parse_tracestate("")->empty());
}

TEST(TraceState, RefusesWhatTheSpecificationForbids) {
  const std::string long_key(257, 'k'), long_value(257, 'v');
  for (const std::string& text : std::initializer_list<std::string>{
           "foo", "foo=", "=1", "Foo=1", "1foo=1", "foo =1", "foo@=1", "@foo=1", "foo@bar@baz=1", "foo@1a=1", "foo@abcdefghijklmno=1",
           "foo=1,foo=2", "foo=a=b", "foo=\x7f", "foo=caf\xc3\xa9", long_key + "=1", "foo=" + long_value, std::string(242, 't') + "@s=1"})
    EXPECT_FALSE(parse_tracestate(text)) << text;
}

TEST(TraceState, HasAtMost32Entries) {
  std::string text;
  for (int i = 0; i < 32; ++i) text += (i ? "," : "") + std::string("k") + std::to_string(i) + "=1";
  EXPECT_EQ(parse_tracestate(text)->size(), 32u);
  EXPECT_FALSE(parse_tracestate(text + ",more=1"));
}

TEST(TraceContext, NewTracesAreValidAndDifferent) {
  SeededRandom random(7);
  std::set<std::string> traces;
  for (int i = 0; i < 1'000; ++i) {
    const TraceContext made = new_trace(random);
    traces.insert(made.trace_id);
    const auto read = parse_traceparent(to_traceparent(made));
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, made);
    EXPECT_TRUE(read->sampled());
  }
  EXPECT_EQ(traces.size(), 1'000u);
}

TEST(TraceContext, KnowsTheTracesThatBeganHere) {
  SeededRandom random(7);
  const TraceContext made = new_trace(random);
  EXPECT_TRUE(is_made_here(*parse_traceparent(to_traceparent(made))));
  const TraceContext child = child_of(made, random);
  EXPECT_EQ(child.trace_id, made.trace_id);
  EXPECT_NE(child.span_id, made.span_id);
  EXPECT_FALSE(is_made_here(child));
  EXPECT_FALSE(is_made_here({kTrace, kSpan, 1}));
}

}  // namespace
}  // namespace mayfly::telemetry
