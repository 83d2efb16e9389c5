#include "server/sqs/sqs_query.h"

#include <gtest/gtest.h>

#include "server/sqs/sqs_attributes.h"
#include "server/sqs/sqs_error.h"
#include "server/sqs/sqs_xml.h"

namespace mayfly::sqs {
namespace {

Json parsed(std::string_view text) {
  const auto value = parse_json(text);
  EXPECT_TRUE(value) << text;
  return value.value_or(Json());
}

TEST(SqsQuery, MakesOfFlattenedParametersWhatTheJsonProtocolHas) {
  const auto query = parse_query(
      "Action=SendMessageBatch&Version=2012-11-05",
      "QueueUrl=http%3A%2F%2Fh%2F1%2Fq&SendMessageBatchRequestEntry.2.Id=b&SendMessageBatchRequestEntry.2.MessageBody=x+y%26z"
      "&SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.MessageBody=1&SendMessageBatchRequestEntry.1.DelaySeconds=5"
      "&SendMessageBatchRequestEntry.1.MessageAttribute.1.Name=k&SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringValue=v"
      "&SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType=String");
  ASSERT_TRUE(query) << query.error().message;
  EXPECT_EQ(query->action, "SendMessageBatch");
  EXPECT_EQ(query->version, "2012-11-05");
  EXPECT_EQ(to_canonical_text(query->input), to_canonical_text(parsed(R"({"QueueUrl": "http://h/1/q", "Entries": [
      {"Id": "a", "MessageBody": "1", "DelaySeconds": 5, "MessageAttributes": {"k": {"StringValue": "v", "DataType": "String"}}},
      {"Id": "b", "MessageBody": "x y&z"}]})")));
}

TEST(SqsQuery, ListsAndMapsAreInTheOrderOfTheirNumbersAndMayHaveNone) {
  const auto query =
      parse_query({},
                  "AttributeName.10=c&AttributeName.2=b&AttributeName.1=a&Attribute.Name=DelaySeconds&Attribute.Value=3&Tag.1.Key=t"
                  "&Tag.1.Value=v&TagKey=only");
  ASSERT_TRUE(query) << query.error().message;
  EXPECT_EQ(to_canonical_text(query->input), to_canonical_text(parsed(R"({"AttributeNames": ["a", "b", "c"],
      "Attributes": {"DelaySeconds": "3"}, "Tags": {"t": "v"}, "TagKeys": ["only"]})")));
}

TEST(SqsQuery, WhatCannotBeReadIsRefusedInTheWordsOfSqs) {
  const std::pair<std::string, std::string> cases[] = {
      {"MessageBody=%ZZ", "MalformedInput"},       {"MessageBody=%FF", "MalformedInput"},
      {"a.b.c.d.e.f.g=1", "MalformedInput"},       {"DelaySeconds=soon", "InvalidParameterValue"},
      {"Attribute.1.Value=3", "MissingParameter"}, {"Tag.1.Key=a&Tag.2.Key=a", "InvalidParameterValue"}};
  for (const auto& [form, code] : cases) {
    const auto query = parse_query({}, form);
    ASSERT_FALSE(query) << form;
    EXPECT_EQ(to_aws(query.error()).query_code, code) << form;
  }
  std::string many;
  for (int i = 0; i <= 1'000; ++i) many += "p" + std::to_string(i) + "=1&";
  EXPECT_FALSE(parse_query({}, many));
}

TEST(SqsXml, FlattensAsTheQueryProtocolDoes) {
  const Json answer = parsed(R"({"Messages": [{"Body": "a<b>&\r\n", "Attributes": {"SentTimestamp": "1"},
      "MessageAttributes": {"k": {"DataType": "String", "StringValue": "v"}}}]})");
  EXPECT_EQ(
      to_query_xml("ReceiveMessage", HasResult::Yes, answer.get_object(), "id-1"),
      "<?xml version=\"1.0\"?><ReceiveMessageResponse xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\"><ReceiveMessageResult>"
      "<Message><Body>a&lt;b&gt;&amp;&#xD;\n</Body><Attribute><Name>SentTimestamp</Name><Value>1</Value></Attribute>"
      "<MessageAttribute><Name>k</Name><Value><DataType>String</DataType><StringValue>v</StringValue></Value></MessageAttribute></Message>"
      "</ReceiveMessageResult><ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata></ReceiveMessageResponse>");
  EXPECT_EQ(to_query_xml("DeleteQueue", HasResult::No, {}, "i"),
            "<?xml version=\"1.0\"?><DeleteQueueResponse xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\"><ResponseMetadata>"
            "<RequestId>i</RequestId></ResponseMetadata></DeleteQueueResponse>");
}

TEST(SqsErrors, HaveTheCodesOfBothProtocols) {
  const net::Response json = json_error({"queue.not_found", "x", Retry::Never}, "r");
  EXPECT_EQ(json.status, 400);
  EXPECT_EQ(json.headers.get("x-amzn-query-error"), "AWS.SimpleQueueService.NonExistentQueue;Sender");
  EXPECT_EQ(get_string(parsed(json.body).get_object(), "__type"), "com.amazonaws.sqs#QueueDoesNotExist");
  const net::Response query = query_error({"queue.not_found", "x", Retry::Never}, "r");
  EXPECT_TRUE(query.body.contains("<Type>Sender</Type><Code>AWS.SimpleQueueService.NonExistentQueue</Code>")) << query.body;
  EXPECT_EQ(to_aws({"store.full", "x", Retry::Never}).status, 500);
  EXPECT_EQ(to_aws({"store.busy", "x", Retry::Safe}).status, 503);
}

class SqsAttributesOfQueues : public testing::Test {
 protected:
  Result<void> apply(std::map<std::string, std::string> attributes) {
    return apply_attributes(spec_, attributes, [](const std::string& name) -> Result<queue::QueueInfo> {
      queue::QueueInfo out;
      out.spec.name = name;
      if (name == "dead") return out;
      return fail("queue.not_found", "");
    });
  }
  std::string refused(std::map<std::string, std::string> attributes) {
    const auto done = apply(std::move(attributes));
    return done ? "accepted" : to_aws(done.error()).query_code;
  }
  queue::QueueSpec spec_{.name = "q"};
};

TEST_F(SqsAttributesOfQueues, AreKeptAndShown) {
  ASSERT_TRUE(apply({{"VisibilityTimeout", "7"},
                     {"RedrivePolicy", R"({"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:000000000000:dead", "maxReceiveCount": "4"})"},
                     {"Policy", R"({"Version": "2012-10-17"})"}}));
  EXPECT_EQ(spec_.visibility_timeout, Millis{7'000});
  EXPECT_EQ(spec_.dead_letter_queue, "dead");
  EXPECT_EQ(spec_.receives_max, 4);
  const auto shown = to_attributes(spec_, [](std::string_view name) { return "arn:" + std::string(name); });
  EXPECT_EQ(shown.at("RedrivePolicy"), R"({"deadLetterTargetArn":"arn:dead","maxReceiveCount":4})");
  EXPECT_EQ(shown.at("Policy"), R"({"Version": "2012-10-17"})");
  EXPECT_FALSE(shown.contains("FifoQueue"));
  ASSERT_TRUE(apply({{"RedrivePolicy", ""}, {"Policy", ""}}));
  EXPECT_EQ(spec_.dead_letter_queue, "");
  EXPECT_FALSE(spec_.other_attributes.contains("Policy"));
}

TEST_F(SqsAttributesOfQueues, WhatSqsRefusesIsRefused) {
  EXPECT_EQ(refused({{"VisibilityTimeout", "43201"}}), "InvalidAttributeValue");
  EXPECT_EQ(refused({{"VisibilityTimeout", "soon"}}), "InvalidAttributeValue");
  EXPECT_EQ(refused({{"MaximumMessageSize", "1023"}}), "InvalidAttributeValue");
  EXPECT_EQ(refused({{"Nonsense", "1"}}), "InvalidAttributeName");
  EXPECT_EQ(refused({{"ApproximateNumberOfMessages", "1"}}), "InvalidAttributeName");
  EXPECT_EQ(refused({{"ContentBasedDeduplication", "true"}}), "InvalidAttributeName");
  EXPECT_EQ(refused({{"FifoQueue", "true"}}), "InvalidAttributeName");
  EXPECT_EQ(refused({{"RedrivePolicy", "{"}}), "InvalidParameterValue");
  EXPECT_EQ(refused({{"RedrivePolicy", R"({"deadLetterTargetArn": "arn:aws:sqs:r:000000000000:gone", "maxReceiveCount": 1})"}}),
            "InvalidParameterValue");
  EXPECT_EQ(refused({{"RedriveAllowPolicy", R"({"redrivePermission": "byQueue"})"}}), "InvalidParameterValue");
  EXPECT_EQ(refused({{"Policy", "[]"}}), "InvalidAttributeValue");
  spec_.kind = queue::QueueKind::Fifo;
  EXPECT_EQ(refused({{"FifoThroughputLimit", "perMessageGroupId"}}), "InvalidParameterValue");
  EXPECT_EQ(refused({{"FifoThroughputLimit", "perMessageGroupId"}, {"DeduplicationScope", "messageGroup"}}), "accepted");
}

}  // namespace
}  // namespace mayfly::sqs
