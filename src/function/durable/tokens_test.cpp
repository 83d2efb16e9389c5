#include "function/durable/tokens.h"

#include <gtest/gtest.h>

#include "base/hash.h"
#include "function/function_starts.h"

namespace mayfly::function {
namespace {

TEST(Tokens, CheckpointTokensComeBack) {
  const auto token = parse_checkpoint_token(encode(CheckpointToken{7, 2, 31, 4}));
  ASSERT_TRUE(token);
  EXPECT_EQ(token->operation, 7);
  EXPECT_EQ(token->attempt, 2);
  EXPECT_EQ(token->sequence, 31);
  EXPECT_EQ(token->change, 4);
  for (const std::string& text : std::initializer_list<std::string>{"", "x", "!!!!", "e30=", "W10=", "bnVsbA=="})
    EXPECT_FALSE(parse_checkpoint_token(text)) << text;
}

TEST(Tokens, CallbackIdsComeBackAndFitIntoPaths) {
  const CallbackId id{"run_01H", "a-1", "c2VjcmV0"};
  const std::string text = encode(id);
  EXPECT_EQ(text.find_first_of("/+"), std::string::npos);
  const auto back = parse_callback_id(text);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->run, id.run);
  EXPECT_EQ(back->operation, id.operation);
  EXPECT_EQ(back->secret, id.secret);
  EXPECT_FALSE(parse_callback_id(to_base64(R"({"run":"r"})")));
}

TEST(Tokens, ExecutionArnsAreReadAndWritten) {
  const std::string text = "arn:aws:lambda:us-east-1:000000000000:function:f_1:$LATEST/durable-execution/order-7/01HX";
  EXPECT_EQ(to_string(ExecutionArn{"f_1", "$LATEST", "order-7", "run_01HX"}), text);
  const auto arn = parse_execution_arn(text);
  ASSERT_TRUE(arn);
  EXPECT_EQ(arn->function, "f_1");
  EXPECT_EQ(arn->version, "$LATEST");
  EXPECT_EQ(arn->name, "order-7");
  EXPECT_EQ(arn->run, "01HX");
  for (const std::string& wrong :
       {std::string("arn:aws:lambda:us-east-1:000000000000:function:f"), text.substr(4), text + "/more", std::string(2000, 'x'),
        std::string(), std::string("arn:aws:lambda:us-east-1:000000000000:function:f:prod/durable-execution/n/1")})
    EXPECT_FALSE(parse_execution_arn(wrong)) << wrong;
}

TEST(Tokens, TraceHeadersBecomeTraceContextAndBack) {
  const std::string header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
  EXPECT_EQ(traceparent_of(header), "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01");
  EXPECT_EQ(trace_header_of(traceparent_of(header)), header);
  EXPECT_EQ(traceparent_of("Root=nonsense"), "");
  EXPECT_EQ(trace_header_of("nonsense"), "");
}

}  // namespace
}  // namespace mayfly::function
