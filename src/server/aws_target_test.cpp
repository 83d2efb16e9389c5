#include "net/sigv4.h"
#include "server/server_test_support.h"
#include "trigger/sqs/sqs_wire.h"

namespace mayfly {
namespace {

class AwsTargetTest : public ServerTest {
 protected:
  net::ClientRequest signed_request(const std::string& path, std::string body, net::Headers headers, const std::string& key) {
    net::ClientRequest out = request("POST", path, std::move(body), std::move(headers));
    out.headers.remove("Authorization");
    const net::SigV4SignOptions options{.access_key_id = KeyRing::access_key_id(key.substr(3, 8)),
                                        .secret_access_key = key,
                                        .region = "eu-west-1",
                                        .service = "sqs",
                                        .now = clock_->now()};
    EXPECT_TRUE(net::sign_sigv4(out, options));
    return out;
  }
  HttpAnswer answer_of(Result<net::ClientResponse> answered) {
    HttpAnswer out;
    EXPECT_TRUE(answered) << answered.error().message;
    if (!answered) return out;
    out.status = answered->status;
    out.headers = answered->headers;
    out.body = answered->body;
    if (auto value = parse_json(out.body); value && value->is_object()) out.json = std::move(value->get_object());
    return out;
  }
  HttpAnswer sqs(const std::string& operation, JsonObject input, std::string key = {}) {
    if (key.empty()) key = admin_key_;
    net::Headers headers{{"Content-Type", "application/x-amz-json-1.0"}, {"X-Amz-Target", "AmazonSQS." + operation}};
    return answer_of(run(client_->send(signed_request("/", to_text(input), std::move(headers), key))));
  }
  HttpAnswer query(const std::string& path, std::string form) {
    net::Headers headers{{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}};
    return answer_of(run(client_->send(signed_request(path, std::move(form), std::move(headers), admin_key_))));
  }
  std::string url_of(const std::string& queue) { return app_->url() + "/000000000000/" + queue; }
  void create(const std::string& queue) {
    const HttpAnswer made = sqs("CreateQueue", {{"QueueName", queue}});
    ASSERT_EQ(made.status, 200) << made.body;
    ASSERT_EQ(made.text("QueueUrl"), url_of(queue));
  }
};

TEST_F(AwsTargetTest, AMessageGoesRoundInBothProtocols) {
  start();
  create("jobs");
  const HttpAnswer sent = sqs("SendMessage", {{"QueueUrl", url_of("jobs")}, {"MessageBody", "a<b"}});
  ASSERT_EQ(sent.status, 200) << sent.body;
  EXPECT_EQ(sent.text("MD5OfMessageBody"), trigger::md5_hex("a<b"));
  const HttpAnswer got = query("/000000000000/jobs", "Action=ReceiveMessage&Version=2012-11-05&AttributeName.1=All");
  ASSERT_EQ(got.status, 200) << got.body;
  EXPECT_EQ(got.headers.get("content-type"), "text/xml");
  EXPECT_TRUE(got.body.contains("<Body>a&lt;b</Body>")) << got.body;
  EXPECT_TRUE(got.body.contains("<Name>ApproximateReceiveCount</Name><Value>1</Value>")) << got.body;
  const HttpAnswer depth = sqs("GetQueueAttributes", {{"QueueUrl", url_of("jobs")}, {"AttributeNames", JsonArray{Json("All")}}});
  const JsonObject* attributes = get_object(depth.json, "Attributes");
  ASSERT_TRUE(attributes) << depth.body;
  EXPECT_EQ(get_string(*attributes, "ApproximateNumberOfMessagesNotVisible"), "1");
  EXPECT_EQ(get_string(*attributes, "QueueArn"), "arn:aws:sqs:eu-west-1:000000000000:jobs");
}

TEST_F(AwsTargetTest, WithoutARightNothingIsDone) {
  start();
  create("jobs");
  const std::string reader = make_key({Scope::Read});
  const HttpAnswer refused = sqs("SendMessage", {{"QueueUrl", url_of("jobs")}, {"MessageBody", "x"}}, reader);
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(refused.headers.get("x-amzn-query-error"), "AccessDenied;Sender");
  EXPECT_TRUE(refused.text("message").contains("invoke")) << refused.body;
  EXPECT_EQ(sqs("ListQueues", {}, reader).status, 200);
  net::ClientRequest plain = request("POST", "/", "{}", {{"X-Amz-Target", "AmazonSQS.ListQueues"}});
  plain.headers.remove("Authorization");
  const HttpAnswer missing = answer_of(run(client_->send(std::move(plain))));
  EXPECT_EQ(missing.status, 403);
  EXPECT_EQ(missing.headers.get("x-amzn-query-error"), "MissingAuthenticationToken;Sender");
  const HttpAnswer forged = sqs("ListQueues", {}, reader.substr(0, reader.size() - 2) + "zz");
  EXPECT_EQ(forged.headers.get("x-amzn-query-error"), "SignatureDoesNotMatch;Sender");
}

TEST_F(AwsTargetTest, UnknownThingsGetTheProtocolsOwnErrors) {
  start();
  EXPECT_EQ(sqs("Nonsense", {}).headers.get("x-amzn-query-error"), "InvalidAction;Sender");
  EXPECT_EQ(sqs("PurgeQueue", {}).headers.get("x-amzn-query-error"), "MissingParameter;Sender");
  EXPECT_EQ(sqs("PurgeQueue", {{"QueueUrl", "jobs"}}).text("__type"), "com.amazonaws.sqs#QueueDoesNotExist");
  const HttpAnswer missing = query("/", "Action=GetQueueUrl&QueueName=jobs");
  EXPECT_EQ(missing.status, 400);
  EXPECT_TRUE(missing.body.contains("<Code>AWS.SimpleQueueService.NonExistentQueue</Code>")) << missing.body;
  const HttpAnswer nowhere = get("/");
  EXPECT_EQ(nowhere.status, 404);
  EXPECT_EQ(nowhere.code(), "route.not_found");
}

TEST_F(AwsTargetTest, CreatingAQueueTwiceComparesWhatIsGiven) {
  start();
  create("jobs");
  const auto create_with = [&](std::string_view seconds) {
    return sqs("CreateQueue", {{"QueueName", "jobs"}, {"Attributes", JsonObject{{"VisibilityTimeout", seconds}}}});
  };
  EXPECT_EQ(create_with("30").status, 200);
  EXPECT_EQ(create_with("31").headers.get("x-amzn-query-error"), "QueueAlreadyExists;Sender");
}

TEST_F(AwsTargetTest, EachEntryOfABatchSucceedsOrFailsByItself) {
  start();
  create("jobs");
  const auto entry = [](std::string_view id, std::string_view body) { return JsonObject{{"Id", id}, {"MessageBody", body}}; };
  const auto send = [&](JsonArray entries) {
    return sqs("SendMessageBatch", {{"QueueUrl", url_of("jobs")}, {"Entries", std::move(entries)}});
  };
  const HttpAnswer mixed = send({entry("good", "1"), entry("bad", std::string_view("\x01", 1))});
  ASSERT_EQ(mixed.status, 200) << mixed.body;
  EXPECT_EQ(get_string(get_array(mixed.json, "Successful")->at(0).get_object(), "Id"), "good");
  EXPECT_EQ(get_string(get_array(mixed.json, "Failed")->at(0).get_object(), "Code"), "InvalidMessageContents");
  EXPECT_EQ(send({}).text("__type"), "com.amazonaws.sqs#EmptyBatchRequest");
  EXPECT_EQ(send({entry("a", "1"), entry("a", "2")}).text("__type"), "com.amazonaws.sqs#BatchEntryIdsNotDistinct");
  EXPECT_EQ(send({entry("a b", "1")}).text("__type"), "com.amazonaws.sqs#InvalidBatchEntryId");
  const std::string half(600 * 1024, 'x');
  EXPECT_EQ(send({entry("a", half), entry("b", half)}).text("__type"), "com.amazonaws.sqs#BatchRequestTooLong");
}

TEST_F(AwsTargetTest, TheApiShowsTheSameQueues) {
  start();
  ASSERT_EQ(call("PUT", "/v1/queues/jobs", R"({"visibility_timeout": "1m"})").status, 201);
  EXPECT_EQ(call("PUT", "/v1/queues/jobs", R"({"visibility_timeout": "2m"})").status, 200);
  const HttpAnswer wrong = call("PUT", "/v1/queues/jobs", R"({"visibility_timeout": 3})");
  EXPECT_EQ(wrong.status, 422);
  EXPECT_TRUE(wrong.text("detail").contains("/visibility_timeout")) << wrong.body;
  EXPECT_EQ(post("/v1/queues/jobs/messages", R"({"body": {"n": 1}, "attributes": {"k": "v"}})").status, 201);
  const HttpAnswer batch = post("/v1/queues/jobs/messages", R"({"messages": [{"body": "2"}, {"body": ""}]})");
  ASSERT_EQ(batch.status, 201) << batch.body;
  EXPECT_EQ(post("/v1/queues/jobs/messages", R"({"bodies": "2"})").status, 400);
  EXPECT_EQ(get("/v1/queues/nowhere").code(), "queue.not_found");
  const HttpAnswer peeked = get("/v1/queues/jobs/messages");
  ASSERT_GE(get_array(peeked.json, "messages")->size(), 2U) << peeked.body;
  const HttpAnswer received = post("/v1/queues/jobs/receive", R"({"max": 1})");
  const JsonArray* messages = get_array(received.json, "messages");
  ASSERT_TRUE(messages && messages->size() == 1) << received.body;
  EXPECT_EQ(get_string(messages->at(0).get_object(), "body"), R"({"n":1})");
  const std::string handle = get_string(messages->at(0).get_object(), "receipt_handle");
  const HttpAnswer deleted =
      post("/v1/queues/jobs/messages/delete", to_text(JsonObject{{"receipt_handles", JsonArray{Json(handle), Json("x")}}}));
  EXPECT_EQ(get_int(deleted.json, "deleted"), 1) << deleted.body;
  EXPECT_EQ(get_array(deleted.json, "failed")->size(), 1U);
  EXPECT_TRUE(get_bool(post("/v1/queues/jobs/pause", "").json, "paused"));
  EXPECT_TRUE(get_array(post("/v1/queues/jobs/receive", "{}").json, "messages")->empty());
  EXPECT_FALSE(get_bool(post("/v1/queues/jobs/resume", "").json, "paused", true));
  const HttpAnswer metrics = get("/metrics");
  EXPECT_TRUE(metrics.body.contains("mayfly_queue_deleted_total{queue=\"jobs\"} 1\n")) << metrics.body;
  EXPECT_EQ(call("DELETE", "/v1/queues/jobs").status, 204);
  EXPECT_EQ(get("/v1/queues/jobs").status, 404);
}

}  // namespace
}  // namespace mayfly
