#include "function/function_types.h"

#include <gtest/gtest.h>

namespace mayfly::function {
namespace {

void expect_ref(std::string_view text, std::string_view name, std::string_view qualifier) {
  const auto ref = parse_function_ref(text);
  ASSERT_TRUE(ref) << text;
  EXPECT_EQ(ref->name, name) << text;
  EXPECT_EQ(ref->qualifier, qualifier) << text;
}

TEST(FunctionRef, AcceptsEveryFormThatClientsWrite) {
  expect_ref("resize", "resize", "");
  expect_ref("my-func-1:prod", "my-func-1", "prod");
  expect_ref("resize:$LATEST", "resize", "$LATEST");
  expect_ref("resize:7", "resize", "7");
  expect_ref("123456789012:function:resize", "resize", "");
  expect_ref("123456789012:function:resize:7", "resize", "7");
  expect_ref("123456789012:prod", "123456789012", "prod");
  expect_ref("function:resize", "resize", "");
  expect_ref("function", "function", "");
  expect_ref("arn:aws:lambda:eu-west-3:123456789012:function:resize", "resize", "");
  expect_ref("arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:resize:prod", "resize", "prod");
}

TEST(FunctionRef, ReadsBackTheArnsItWrites) {
  EXPECT_EQ(function_arn("resize"), "arn:aws:lambda:us-east-1:000000000000:function:resize");
  expect_ref(function_arn("resize", "3"), "resize", "3");
}

TEST(FunctionRef, RefusesWhatNamesNoFunction) {
  for (const std::string_view text :
       {"", ":", "a b", "a:", ":b", "a:b:c", "a:$OTHER", "../x", "arn:aws:lambda", "arn:aws:s3:us-east-1:123456789012:function:x",
        "arn:aws:lambda:us-east-1:123:function:x", "arn:aws:lambda:us-east-1:123456789012:layer:x",
        "arn:aws:lambda:us-east-1:123456789012:function:", "a\n"}) {
    const auto ref = parse_function_ref(text);
    ASSERT_FALSE(ref) << text;
    EXPECT_EQ(ref.error().code, "function.invalid_name");
  }
  EXPECT_TRUE(parse_function_ref(std::string(64, 'a')));
  EXPECT_FALSE(parse_function_ref(std::string(65, 'a')));
}

TEST(ProgramName, TellsFunctionsFromAgents) {
  EXPECT_EQ(program_name("resize"), "function:resize");
  EXPECT_EQ(function_of_program("function:resize"), "resize");
  EXPECT_EQ(function_of_program("resize"), std::nullopt);
}

}  // namespace
}  // namespace mayfly::function
