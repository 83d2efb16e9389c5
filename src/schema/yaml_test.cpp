#include "schema/yaml.h"

#include <gtest/gtest.h>

namespace mayfly {
namespace {

std::string json_of(std::string_view text) {
  const auto document = parse_yaml(text, "f.yaml");
  return document ? to_text(document->value) : document.error().message;
}

std::string place_of(const YamlDocument& document, std::string_view pointer) {
  const auto at = document.position_of(pointer);
  return std::to_string(at.line) + ":" + std::to_string(at.column);
}

TEST(Yaml, PlainScalarsFollowTheCoreSchema) {
  EXPECT_EQ(json_of("[no, yes, on, true, False, ~, null, 12, -3, 007, 0o14, 0x1F, 12:30, 2024-01-01, 1_000, 0b1, e3, 0x]"),
            R"(["no","yes","on",true,false,null,null,12,-3,7,12,31,"12:30","2024-01-01","1_000","0b1","e3","0x"])");
  const auto numbers = parse_yaml("[1e3, .5, 1., +1.5, -2.5E-1]", "f.yaml");
  ASSERT_TRUE(numbers);
  const std::vector<double> wanted{1000, 0.5, 1, 1.5, -0.25};
  for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_EQ(numbers->value.as_array()[i].as_double(), wanted[i]);
}

TEST(Yaml, QuotesAndBlocksAreTexts) {
  EXPECT_EQ(json_of("a: '12'\nb: \"true\\n\"\nc: |\n  one\n  two\nd: >-\n  one\n  two\ne: !!str 5\nf: !!int 5\n"),
            R"({"a":"12","b":"true\n","c":"one\ntwo\n","d":"one two","e":"5","f":5})");
}

TEST(Yaml, AScalarMayBeTheWholeDocument) {
  EXPECT_EQ(json_of("--- |\n  foo\n"), R"("foo\n")");
  EXPECT_EQ(json_of("'x'"), R"("x")");
}

TEST(Yaml, EmptyDocumentIsNull) {
  EXPECT_EQ(json_of(""), "null");
  EXPECT_EQ(json_of("# nothing\n"), "null");
}

TEST(Yaml, KnowsWhereEveryValueStands) {
  const auto document = parse_yaml("version: 1\nagents:\n  a/b:\n    tools: [sleep, {name: x}]\n  none:\n  last: 1\n", "f.yaml");
  ASSERT_TRUE(document);
  EXPECT_EQ(place_of(*document, ""), "1:1");
  EXPECT_EQ(place_of(*document, "/version"), "1:10");
  EXPECT_EQ(place_of(*document, "/agents/a~1b/tools/0"), "4:13");
  EXPECT_EQ(place_of(*document, "/agents/a~1b/tools/1/name"), "4:27");
  EXPECT_EQ(place_of(*document, "/agents/none"), "5:3");
  EXPECT_EQ(place_of(*document, "/agents/last/deeper/still"), "6:9");
  const auto key = document->key_position_of("/agents/a~1b/tools");
  EXPECT_EQ(key.line, 4);
  EXPECT_EQ(key.column, 5);
}

TEST(Yaml, AliasesRepeatTheirAnchor) {
  EXPECT_EQ(json_of("a: &x {k: [1, 2]}\nb: *x\n"), R"({"a":{"k":[1,2]},"b":{"k":[1,2]}})");
  EXPECT_EQ(json_of("&k key: 1\nother: *k\n"), R"({"key":1,"other":"key"})");
}

TEST(Yaml, RefusesWhatCannotBeMeant) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"a: 1\nb: 2\na: 3\n", "f.yaml:3:1: the key `a` is given twice"},
      {"a: 1\n---\nb: 2\n", "f.yaml:2:1: there is a second document"},
      {"a: !!python/object x\n", "f.yaml:1:4: the tag `tag:yaml.org,2002:python/object`"},
      {"a: !ours {b: 1}\n", "f.yaml:1:4: the tag `!ours` is not supported"},
      {"a: !!int x\n", "f.yaml:1:4: `x` is not what its tag"},
      {"{[1, 2]: 3}\n", "f.yaml:1:2: a key must be a text"},
      {"{: 3}\n", "f.yaml:1:2: a key is empty"},
      {"a: .nan\n", "f.yaml:1:4: .nan has no JSON form"},
      {"a: 99999999999999999999\n", "f.yaml:1:4: the integer"},
      {"a: 1e999\n", "f.yaml:1:4: the number"},
      {"a: &x [*x]\n", "f.yaml:1:8: an alias refers to a value that contains it"},
      {"a: [1, 2\n", "f.yaml:2:1: end of sequence flow not found"},
      {"a: 'x\n", "f.yaml:2:2: illegal EOF in scalar"},
      {"a: \"x\n\n", "f.yaml:3:2: illegal EOF in scalar"},
      {"a: \"x\\N\"\n", "f.yaml:1:4: an escape in this text"},
      {"{a: why?, b: 1}\n", "f.yaml:1:8: unknown token; put quotes around the text"},
      {"a: *nobody\n", "f.yaml:1:4: the referenced anchor is not defined"},
      {"a: \"\xff\"\n", "f.yaml:1:1: the document is not UTF-8"},
      {std::string("a: 1\nb: \x04\n"), "f.yaml:2:4: the control character 0x04"},
  };
  for (const auto& [text, wanted] : cases) {
    const auto document = parse_yaml(text, "f.yaml");
    ASSERT_FALSE(document) << text;
    EXPECT_EQ(document.error().code, "yaml.invalid");
    EXPECT_TRUE(document.error().message.starts_with(wanted)) << text << " gave " << document.error().message;
  }
}

TEST(Yaml, LimitsHoldBeforeTheyHurt) {
  EXPECT_NE(json_of(std::string(50'000, '[') + std::string(50'000, ']')).find("nested deeper than 64"), std::string::npos);
  std::string dashes;
  for (int i = 0; i < 20'000; ++i) dashes += "- ";
  EXPECT_NE(json_of(dashes).find("nested deeper than 64"), std::string::npos);
  EXPECT_NE(json_of(std::string(1024 * 1024 + 1, ' ')).find("larger than 1 MiB"), std::string::npos);

  std::string laughs = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (int i = 1; i < 9; ++i) {
    const auto name = std::to_string(i), before = std::to_string(i - 1);
    laughs += "a" + name + ": &a" + name + " [";
    for (int j = 0; j < 10; ++j) laughs += (j == 0 ? "*a" : ", *a") + before;
    laughs += "]\n";
  }
  EXPECT_NE(json_of(laughs).find("more than 100000 values"), std::string::npos);

  std::string copies = "a: &a " + std::string(500'000, 'x') + "\nb: [*a";
  for (int i = 0; i < 100; ++i) copies += ", *a";
  EXPECT_NE(json_of(copies + "]\n").find("larger than 16 MiB"), std::string::npos);

  std::string nested = "a0: &a0 [1]\n";
  for (int i = 1; i < 70; ++i) nested += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) + "]\n";
  EXPECT_NE(json_of(nested).find("nested deeper than 64"), std::string::npos);
}

TEST(Yaml, LongKeysDoNotMultiply) {
  std::string text = std::string(900, 'k') + ": [0";
  for (int i = 0; i < 90'000; ++i) text += ",0";
  const auto document = parse_yaml(text + "]\n", "f.yaml");
  ASSERT_TRUE(document) << document.error().message;
  const auto at = document->position_of("/" + std::string(900, 'k') + "/89999");
  EXPECT_EQ(at.line, 1);
}

}  // namespace
}  // namespace mayfly
