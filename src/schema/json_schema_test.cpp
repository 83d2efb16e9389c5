#include "schema/json_schema.h"

#include <gtest/gtest.h>

#include "schema/suggest.h"

namespace mayfly {
namespace {

Json json(std::string_view text) {
  auto value = parse_json(text);
  EXPECT_TRUE(value) << text;
  return value ? *value : Json();
}

std::string problems(std::string_view schema, std::string_view value) {
  const auto compiled = JsonSchema::compile(json(schema));
  if (!compiled) return compiled.error().code + ": " + compiled.error().message;
  std::string all;
  for (const auto& problem : compiled->validate(json(value))) all += (all.empty() ? "" : " | ") + problem;
  return all;
}

constexpr std::string_view kOrder = R"({"type": "object", "required": ["id", "lines"], "additionalProperties": false, "properties": {
  "id": {"type": "string", "minLength": 2, "maxLength": 4, "pattern": "^[A-Z]"},
  "state": {"enum": ["open", "paid"]},
  "lines": {"type": "array", "minItems": 1, "maxItems": 2, "uniqueItems": true, "items": {"$ref": "#/$defs/line"}}},
  "$defs": {"line": {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "number", "exclusiveMinimum": 0, "maximum": 50.5},
    "parts": {"type": "array", "items": {"$ref": "#/$defs/line"}}}}}})";

TEST(JsonSchema, AcceptsWhatFits) { EXPECT_EQ(problems(kOrder, R"({"id": "AB", "state": "paid", "lines": [{"amount": 1}, {"amount": 50.5}]})"), ""); }

TEST(JsonSchema, SaysWhatIsWrongAndWhere) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {R"([])", "/: must be an object, not an array"},
      {R"({"id": "AB"})", "/: the key `lines` is missing"},
      {R"({"id": 5, "lines": [{"amount": 1}]})", "/id: must be a string, not an integer"},
      {R"({"id": "A", "lines": [{"amount": 1}]})", "/id: must be no fewer than 2 characters in length"},
      {R"({"id": "aBC", "lines": [{"amount": 1}]})", "/id: must match the pattern `^[A-Z]`"},
      {R"({"id": "AB", "state": "lost", "lines": [{"amount": 1}]})", R"(/state: must be one of "open", "paid")"},
      {R"({"id": "AB", "lines": []})", "/lines: must contain no fewer than 1 elements"},
      {R"({"id": "AB", "lines": [{"amount": 1}, {"amount": 1.0}]})", "/lines: has the same item twice"},
      {R"({"id": "AB", "lines": [{"amount": 0}]})", "/lines/0/amount: must be greater than 0"},
      {R"({"id": "AB", "lines": [{"amount": 51}]})", "/lines/0/amount: must be less than or equal to 50.5"},
      {R"({"id": "AB", "lines": [{"amount": 18446744073709551615}]})", "/lines/0/amount: must be less than or equal to 50.5"},
      {R"({"id": "AB", "lines": [{"amount": 1, "parts": [{"amount": 1, "parts": [{}]}]}]})", "/lines/0/parts/0/parts/0: the key `amount` is missing"},
      {R"({"id": "AB", "lines": [{"amount": 1}], "stat": 1, "zzzzzzzz/x": 2})",
       "/stat: is not a known key; did you mean `state`? | /zzzzzzzz~1x: is not a known key; known are id, lines, state"},
  };
  for (const auto& [value, wanted] : cases) EXPECT_EQ(problems(kOrder, value), wanted) << value;
}

TEST(JsonSchema, CombinationsMeanWhatTheStandardSays) {
  EXPECT_EQ(problems(R"({"type": "integer"})", "5.0"), "");
  EXPECT_EQ(problems(R"({"type": "integer"})", "5.5"), "/: must be an integer, not a number");
  EXPECT_EQ(problems(R"({"const": 1})", "1.0"), "");
  EXPECT_EQ(problems(R"({"const": {"a": 1}})", R"({"a": 2})"), R"(/: must be {"a":1})");
  EXPECT_EQ(problems(R"({"multipleOf": 0.1})", "0.3"), "");
  EXPECT_EQ(problems(R"({"multipleOf": 1})", "2.5"), "/: must be a multiple of 1");
  EXPECT_EQ(problems(R"({"not": {"type": "string"}})", "\"x\""), "/: has a form that is not allowed here");
  EXPECT_EQ(problems(R"({"anyOf": [{"type": "string"}, {"type": "null"}]})", "null"), "");
  EXPECT_EQ(problems(R"({"anyOf": [{"type": "string"}, {"type": "null"}]})", "1"),
            "/: must be a string, not an integer | /: must be null, not an integer | /: fits none of the allowed forms");
  EXPECT_EQ(problems(R"({"oneOf": [{"minimum": 1}, {"maximum": 5}]})", "3"), "/: fits more than one of the forms of which exactly one is allowed");
  EXPECT_EQ(problems(R"({"if": {"type": "string"}, "then": {"const": "a"}, "else": {"minimum": 3}})", "2"), "/: must be greater than or equal to 3");
  EXPECT_EQ(problems(R"({"properties": {"a": false}})", R"({"a": 1})"), "/a: is not allowed here");
  EXPECT_EQ(problems("false", "1"), "/: is not allowed here");
  EXPECT_EQ(problems("true", "1"), "");
  EXPECT_EQ(problems(R"({"prefixItems": [{"type": "string"}], "items": {"type": "integer"}})", R"(["a", 1, "b"])"), "/2: must be an integer, not a string");
  EXPECT_EQ(problems(R"({"dependentRequired": {"a": ["b"]}})", R"({"a": 1})"), "/: the key `b` is missing");
  EXPECT_EQ(problems(R"({"dependentRequired": {"a": ["b"]}})", R"([])"), "");
  EXPECT_EQ(problems(R"({"propertyNames": {"maxLength": 2}})", R"({"abc": 1})"), "/: has keys that do not fit the schema");
  EXPECT_EQ(problems(R"({"patternProperties": {"^x-": {"type": "string"}}, "additionalProperties": false})", R"({"x-a": "b", "y": 1})"),
            "/y: is not a known key; remove it");
  EXPECT_EQ(problems(R"({"additionalProperties": {"type": "string"}})", R"({"a": 1})"), "/a: must be a string, not an integer");
  EXPECT_EQ(problems(R"({"format": "date-time"})", R"("2026-02-31T00:00:00Z")"), "/: must be a date-time of RFC 3339, like 2026-01-31T12:00:00Z");
  EXPECT_EQ(problems(R"({"$ref": "#/$defs/a", "maxLength": 1, "$defs": {"a": {"type": "string"}}})", R"("ab")"),
            "/: must be no more than 1 characters in length");
}

TEST(JsonSchema, RefusesSchemasThatCannotWork) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {R"({"type": "strin"})", "`/type`: `strin` is not a type"},
      {R"({"properties": {"a/b": {"minimum": "1"}}})", "`/properties/a~1b/minimum`: must be a number"},
      {R"({"pattern": "("})", "`/pattern`: is not a valid regular expression"},
      {R"({"patternProperties": {"[": {}}})", "is not a valid regular expression"},
      {R"({"multipleOf": 0})", "must be a number greater than 0"},
      {R"({"minLength": -1})", "must be an integer of at least 0"},
      {R"({"required": "a"})", "must be a list of texts"},
      {R"({"enum": []})", "at least one value"},
      {R"({"$ref": "https://example.com/s.json"})", "nothing is fetched"},
      {R"({"$ref": "#/$defs/none"})", "does not exist in this schema"},
      {R"({"$ref": "#"})", "leads back to itself"},
      {R"({"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}})", "leads back to itself"},
      {R"({"unevaluatedProperties": false})", "not supported"},
      {R"([])", "must be a schema"},
      {R"("x")", "must be a schema"},
  };
  for (const auto& [schema, wanted] : cases) {
    const auto compiled = JsonSchema::compile(json(schema));
    ASSERT_FALSE(compiled) << schema;
    EXPECT_EQ(compiled.error().code, "schema.invalid");
    EXPECT_NE(compiled.error().message.find(wanted), std::string::npos) << compiled.error().message;
  }
}

TEST(JsonSchema, HostileValuesAreAnsweredNotSuffered) {
  const auto schema = JsonSchema::compile(json(R"({"properties": {"a": {"pattern": "^(a+)+$"}, "b": {"pattern": "^(x|y)*z$", "format": "date-time"}}})"));
  ASSERT_TRUE(schema);
  const auto found = schema->validate(JsonObject{{"a", std::string(5'000, 'a') + "!"}, {"b", std::string(1'000'000, 'x')}});
  EXPECT_FALSE(found.empty());
  Json deep = 1;
  for (int i = 0; i < 1'000; ++i) deep = JsonArray{std::move(deep)};
  EXPECT_EQ(schema->validate(deep).front(), "/: is nested deeper than 128 levels");
}

TEST(JsonSchema, CopiesShareAndOutliveTheOriginal) {
  std::optional<JsonSchema> copy;
  {
    const auto first = JsonSchema::compile(json(R"({"type": "string"})"));
    copy = *first;
  }
  EXPECT_EQ(to_text(copy->source()), R"({"type":"string"})");
  EXPECT_FALSE(copy->validate(1).empty());
}

TEST(ClosestName, FindsSlipsAndNothingElse) {
  const std::vector<std::string> names{"description", "model", "instructions", "max_output_tokens"};
  EXPECT_EQ(closest_name("modle", names), "model");
  EXPECT_EQ(closest_name("instruction", names), "instructions");
  EXPECT_EQ(closest_name("max-output-tokens", names), "max_output_tokens");
  EXPECT_EQ(closest_name("colour", names), "");
}

}  // namespace
}  // namespace mayfly
