#include "expression/expression.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

namespace mayfly {
namespace {

const EvaluationContext kContext{.now = from_unix_ms(1'700'000'000'000), .seed = 7};

std::string run(Expressions& expressions, std::string_view text, const Json& input = nullptr, const Variables& variables = {},
                EvaluationContext context = kContext) {
  const auto result = expressions.evaluate(text, input, variables, context);
  if (!result) return result.error().code;
  return *result ? to_canonical_text(**result) : "undefined";
}

bool alike(const Json& a, const Json& b) {
  if (a.is_number() && b.is_number()) {
    const double x = a.to_number<double>();
    const double y = b.to_number<double>();
    return x == y || std::abs(x - y) <= 1e-12 * std::max(std::abs(x), std::abs(y));
  }
  if (a.is_array() && b.is_array()) {
    if (a.get_array().size() != b.get_array().size()) return false;
    for (std::size_t i = 0; i < a.get_array().size(); ++i) {
      if (!alike(a.get_array()[i], b.get_array()[i])) return false;
    }
    return true;
  }
  if (a.is_object() && b.is_object()) {
    if (a.get_object().size() != b.get_object().size()) return false;
    for (const auto& [key, value] : a.get_object()) {
      const Json* other = get(b.get_object(), key);
      if (other == nullptr || !alike(value, *other)) return false;
    }
    return true;
  }
  return a == b;
}

TEST(Expressions, AgreeWithTheReferenceInNode) {
  std::ifstream file(MAYFLY_SOURCE_DIR "/src/expression/testdata/jsonata_cases.json");
  std::ostringstream text;
  text << file.rdbuf();
  const auto table = parse_json(text.str());
  ASSERT_TRUE(table.has_value()) << table.error().message;
  const auto& cases = table->at("cases").get_array();
  ASSERT_GE(cases.size(), 200U);
  Expressions expressions;
  for (const auto& entry : cases) {
    const auto& one = entry.get_object();
    const std::string expression = get_string(one, "expression");
    const auto result = expressions.evaluate(expression, table->at("inputs").at(get_string(one, "input")), {}, kContext);
    for (const auto& [key, code] : {std::pair{"invalid", "expression.invalid"}, std::pair{"failed", "expression.failed"}}) {
      const std::string expected = get_string(one, key);
      if (expected.empty()) continue;
      ASSERT_FALSE(result.has_value()) << expression;
      EXPECT_EQ(result.error().code, code) << expression;
      EXPECT_TRUE(result.error().message.contains(expected)) << expression << ": " << result.error().message;
    }
    if (one.contains("failed") || one.contains("invalid")) continue;
    ASSERT_TRUE(result.has_value()) << expression << ": " << result.error().message;
    const Json* expected = get(one, "result");
    ASSERT_EQ(result->has_value(), expected != nullptr) << expression;
    if (expected != nullptr) EXPECT_TRUE(alike(**result, *expected)) << expression << ": " << to_text(**result) << " instead of " << to_text(*expected);
  }
}

TEST(Expressions, VariablesAndTheFunctionsOfStepFunctions) {
  Expressions e;
  const Variables variables{{"states", *parse_json(R"({"input":{"n":[1,2,3,4,5]}})")}, {"name", "x"}};
  EXPECT_EQ(run(e, "$partition($states.input.n, 2)", nullptr, variables), "[[1,2],[3,4],[5]]");
  EXPECT_EQ(run(e, "$range(0, 10, 5)"), "[0,5,10]");
  EXPECT_EQ(run(e, "$range(3, 1, -1)"), "[3,2,1]");
  EXPECT_EQ(run(e, "$range(1, 2, 0)"), "expression.failed");
  EXPECT_EQ(run(e, "$partition([1], 0)"), "expression.failed");
  EXPECT_EQ(run(e, "$hash('abc', 'MD5')"), "\"900150983cd24fb0d6963f7d28e17f72\"");
  EXPECT_EQ(run(e, "$hash('abc', 'SHA-1')"), "\"a9993e364706816aba3e25717850c26c9cd0d89d\"");
  EXPECT_EQ(run(e, "$hash('abc', 'SHA-256')"), "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"");
  EXPECT_EQ(run(e, "$hash('abc', 'CRC')"), "expression.failed");
  EXPECT_EQ(run(e, "$parse('{\"a\":[1,2]}').a[1]"), "2");
  EXPECT_EQ(run(e, "$parse('{')"), "expression.failed");
  EXPECT_EQ(run(e, "$random(42) = $random(42) and $random(42) != $random(43)"), "true");
  EXPECT_EQ(run(e, "$contains($uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)"), "true");
  EXPECT_EQ(run(e, "$name & $missing", nullptr, variables), "\"x\"");
}

TEST(Expressions, TimeAndChanceComeFromTheContextAlone) {
  Expressions a;
  Expressions b;
  const std::string text = "[$now(), $millis(), $random(), $uuid(), $shuffle([1..20])]";
  const std::string first = run(a, text);
  EXPECT_TRUE(first.contains("2023-11-14T22:13:20.000Z")) << first;
  EXPECT_TRUE(first.contains("1700000000000"));
  EXPECT_EQ(run(a, text), first);
  EXPECT_EQ(run(b, "1"), "1");
  EXPECT_EQ(run(b, text), first);
  EXPECT_NE(run(a, text, nullptr, {}, {.now = kContext.now, .seed = 8}), first);
  EXPECT_NE(run(a, "$random()", nullptr, {}, {.now = kContext.now, .seed = std::uint64_t{7} << 32}), run(a, "$random()"));
}

TEST(Expressions, WholeNumbersAreIntegers) {
  Expressions e;
  const auto result = e.evaluate("[n, n + 1, 3.0, 2.5, 1e300, -7]", *parse_json(R"({"n":9007199254740991})"), {}, kContext);
  ASSERT_TRUE(result.has_value() && *result);
  const auto& values = (*result)->get_array();
  EXPECT_EQ(values[0], Json(std::int64_t{9007199254740991}));
  EXPECT_TRUE(values[2].is_int64());
  EXPECT_TRUE(values[3].is_double());
  EXPECT_TRUE(values[4].is_double());
  EXPECT_EQ(values[5].get_int64(), -7);
}

TEST(Expressions, RunawayOnesEndAndTheNextOneWorks) {
  Expressions e({.memory_bytes_max = 16 * 1024 * 1024, .result_bytes_max = 1000, .work_max = 2'000'000});
  const std::string deep(5'000, '(');
  for (const std::string& text : {std::string("($f := function($n){$f($n+1)}; $f(1))"), std::string("($f := function($n){1+$f($n+1)}; $f(1))"),
                                  std::string("[1..9999999]"), std::string("$pad('x', 100000000)"), std::string("$string([1..1000])"),
                                  std::string("$match('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!', /(a+)+$/)"), std::string("[1..1000]"),
                                  std::string("$eval('($f := function(){$f()}; $f())')"), std::string("($x := 'a'; $r := function($s){$r($s & $s)}; $r($x))"),
                                  std::string(40'000, 'a'), deep}) {
    EXPECT_EQ(run(e, text), "expression.limit") << text.substr(0, 60);
    EXPECT_EQ(run(e, "1 + a", *parse_json(R"({"a":1})")), "2") << "after " << text.substr(0, 60);
  }
}

TEST(Expressions, TheWorkThatIsAllowedDependsOnTheExpressionAlone) {
  // Counted in the engine's steps, never in time; to within the 10,000 steps after which the engine asks.
  Expressions a({.work_max = 300'000});
  Expressions b({.work_max = 300'000});
  const auto fits = [](Expressions& e, int n) { return run(e, "$sum([1..$n].($ * 2)) > 0", nullptr, {{"n", n}}) == "true"; };
  const auto limit_of = [&](Expressions& e) {
    int low = 1;
    int high = 100'000;
    while (high - low > 1) (fits(e, (low + high) / 2) ? low : high) = (low + high) / 2;
    return low;
  };
  const int limit = limit_of(a);
  EXPECT_GT(limit, 10);
  EXPECT_LT(limit, 90'000);
  for (int i = 0; i < 20; ++i) run(b, "$map([1..50], $string)");
  EXPECT_NEAR(limit_of(b), limit, limit / 20);
  EXPECT_EQ(limit_of(a), limit);
}

TEST(Expressions, LeaveNothingBehind) {
  Expressions e;
  const Json input = *parse_json(R"({"a":{"b":1}})");
  EXPECT_EQ(run(e, "($leak := 1; $leak)", input), "1");
  EXPECT_EQ(run(e, "$leak", input), "undefined");
  const std::string sum = "$sum([1,2])";
  EXPECT_EQ(run(e, sum), "3");
  // Builtins, prototypes and parsed expressions are objects that a transform may reach: whatever it does ends with it.
  for (const char* text : {"$ ~> |$sum|{'implementation': 1}|", "($sum := function($x){'mine'}; $sum([1]))", "$ ~> |a|{'__proto__': {'polluted': 1}}|",
                           "$merge([{'__proto__': {'polluted': 1}}])", "{'constructor': {'prototype': {'polluted': 1}}}",
                           "($f := function($x){$x}; $ ~> |$f.environment.global|{'polluted': 1}|)", "$.constructor", "a.__proto__",
                           "($f := function($x){1}; $ ~> |$f.body|{'value': 2}|; $f(1))", "$each($, function($v, $k, $o){$o ~> |$|{'b': 2}|})"}) {
    run(e, text, input);
    EXPECT_EQ(run(e, sum), "3") << text;
    EXPECT_EQ(run(e, "polluted", input), "undefined") << text;
    EXPECT_EQ(run(e, "{}.polluted", input), "undefined") << text;
    EXPECT_EQ(run(e, "a.b", input), "1") << text;
  }
  EXPECT_EQ(run(e, "($f := function($x){1}; $f(1))"), "1");
}

TEST(Expressions, GiveNoWayToScripts) {
  Expressions e;
  const Json input = *parse_json(R"({"a":"x","c":[1]})");
  for (const char* text : {"a.constructor", "$.constructor.constructor", "c.constructor", "$.toString", "$lookup($, 'constructor')", "$lookup($, '__proto__')",
                           "$uppercase.constructor", "$uppercase.implementation", "(function($x){$x}).apply", "$keys($uppercase)[$ = 'zzz']"}) {
    const std::string result = run(e, text, input);
    EXPECT_TRUE(result == "undefined" || result == "expression.failed") << text << " gives " << result;
  }
  for (const char* text : {"$constructor('return 1')()", "$Function('return 1')", "$eval('globalThis')"}) {
    const std::string result = run(e, text, input);
    EXPECT_TRUE(result == "undefined" || result == "expression.failed") << text << " gives " << result;
  }
}

TEST(Expressions, RefusalsSayWhereAndWhy) {
  Expressions e;
  const auto refused = e.check("data.price >");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, "expression.invalid");
  EXPECT_TRUE(refused.error().message.contains("S0207")) << refused.error().message;
  EXPECT_TRUE(refused.error().message.contains("character")) << refused.error().message;
  EXPECT_FALSE(e.check("\xff\xfe").has_value());
  EXPECT_TRUE(e.check("data.price > 1").has_value());
  const auto failed = e.evaluate("a + 1", *parse_json(R"({"a":"x"})"), {}, kContext);
  ASSERT_FALSE(failed.has_value());
  EXPECT_TRUE(failed.error().message.contains("T2001")) << failed.error().message;
  EXPECT_EQ(failed.error().retry, Retry::Never);
}

TEST(Expressions, ThousandsOfDifferentOnesStayWithinMemory) {
  Expressions e;
  for (int i = 0; i < 2'500; ++i) ASSERT_EQ(run(e, "a + " + std::to_string(i), *parse_json(R"({"a":1})")), std::to_string(i + 1));
}

TEST(Expressions, TruthIsThatOfJsonata) {
  for (const char* text : {"1", "-0.5", "\"0\"", "[0,1]", "{\"a\":null}", "true", "[[1]]"}) EXPECT_TRUE(is_truthy(*parse_json(text))) << text;
  for (const char* text : {"0", "\"\"", "[]", "[0,null]", "{}", "false", "null", "[{}]"}) EXPECT_FALSE(is_truthy(*parse_json(text))) << text;
  EXPECT_FALSE(is_truthy(std::nullopt));
}

}  // namespace
}  // namespace mayfly
