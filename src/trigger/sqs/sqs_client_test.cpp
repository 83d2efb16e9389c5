#include "trigger/sqs/sqs_client.h"

#include <gtest/gtest.h>

#include <optional>

#include "net/http_server.h"
#include "net/sigv4.h"
#include "trigger/sqs/sqs_wire.h"

namespace mayfly::trigger {
namespace {

constexpr std::string_view kSecret = "very-secret-key";

template <class T>
Task<> keep(Task<T> task, std::optional<T>* out) {
  out->emplace(co_await std::move(task));
}

/// A queue service of its own: verifies signatures, notes what it was asked and answers what the test put in.
class SqsClientTest : public testing::Test {
 protected:
  SqsClientTest() : clock_(io_.get_executor()), http_(net::make_http_client(io_.get_executor(), clock_)) {
    server_ = net::make_http_server(io_.get_executor(), clock_, {},
                                    [this](net::Request& request, net::Responder& responder) { return serve(this, &request, &responder); });
    EXPECT_TRUE(server_->listen());
  }
  ~SqsClientTest() override {
    http_.reset();
    TaskGroup group(io_.get_executor());
    group.spawn(server_->stop(Millis{0}));
    drive(group);
  }

  static Task<> serve(SqsClientTest* self, net::Request* request, net::Responder* responder) {
    const auto signed_part = net::to_sigv4(*request);
    const auto claim = net::parse_sigv4(signed_part);
    self->verified_ = claim && claim->region == self->region_ &&
                      net::verify_sigv4(signed_part, *claim, kSecret, self->clock_.now(), {.service = "sqs", .region = self->region_});
    self->targets_.push_back(request->headers.get("x-amz-target"));
    self->bodies_.push_back(parse_json(request->body).value_or(Json()).as_object());
    net::Response answer = self->answers_.empty() ? net::Response{200, {}, "{}"} : self->answers_.front();
    if (!self->answers_.empty()) self->answers_.erase(self->answers_.begin());
    co_await responder->send(std::move(answer));
  }

  void drive(TaskGroup& group) {
    io_.restart();
    while (group.size() > 0 && io_.run_one_for(std::chrono::seconds(30)) > 0) {
    }
    ASSERT_EQ(group.size(), 0U);
  }
  template <class T>
  T run(Task<T> task) {
    std::optional<T> out;
    TaskGroup group(io_.get_executor());
    group.spawn(keep(std::move(task), &out));
    drive(group);
    return std::move(*out);
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()) + "/000000000000/jobs"; }
  SqsClientOptions options() const {
    return {.queue_url = url(),
            .region = region_,
            .credentials = {"AKIDEXAMPLE", std::string(kSecret), ""},
            .egress = net::EgressPolicy::trusted()};
  }
  SqsClient client() { return {*http_, clock_, options()}; }
  void answer(int status, std::string body, net::Headers headers = {}) {
    answers_.push_back({status, std::move(headers), std::move(body)});
  }

  asio::io_context io_;
  SystemClock clock_;
  std::unique_ptr<net::HttpClient> http_;
  std::unique_ptr<net::HttpServer> server_;
  std::string region_ = "eu-west-1";
  bool verified_ = false;
  std::vector<std::string> targets_;
  std::vector<JsonObject> bodies_;
  std::vector<net::Response> answers_;
};

TEST_F(SqsClientTest, ReceivesSignedAndGivesWhatTheQueueHolds) {
  const queue::MessageAttributes attributes{{"k", {"String", "v"}}};
  answer(200, to_text(JsonObject{{"Messages", JsonArray{JsonObject{{"MessageId", "m-1"},
                                                                   {"ReceiptHandle", "r-1"},
                                                                   {"Body", "hello"},
                                                                   {"MD5OfBody", md5_hex("hello")},
                                                                   {"Attributes", JsonObject{{"ApproximateReceiveCount", "2"}}},
                                                                   {"MessageAttributes", attributes_to_json(attributes)},
                                                                   {"MD5OfMessageAttributes", md5_of_attributes(attributes)}}}}}));
  auto sqs = client();
  const auto got = run(sqs.receive({.messages_max = 4, .wait = Millis{1'500}, .visibility = Millis{60'000}}));
  ASSERT_TRUE(got) << got.error().message;
  ASSERT_EQ(got->size(), 1U);
  EXPECT_EQ(got->at(0).id, "m-1");
  EXPECT_EQ(got->at(0).receipt_handle, "r-1");
  EXPECT_EQ(got->at(0).body, "hello");
  EXPECT_EQ(got->at(0).attributes.at("ApproximateReceiveCount"), "2");
  EXPECT_EQ(got->at(0).message_attributes.at("k").value, "v");
  EXPECT_TRUE(verified_);
  EXPECT_EQ(targets_, std::vector<std::string>{"AmazonSQS.ReceiveMessage"});
  EXPECT_EQ(get_string(bodies_[0], "QueueUrl"), url());
  EXPECT_EQ(get_int(bodies_[0], "MaxNumberOfMessages"), 4);
  EXPECT_EQ(get_int(bodies_[0], "WaitTimeSeconds"), 2);
  EXPECT_EQ(get_int(bodies_[0], "VisibilityTimeout"), 60);
}

TEST_F(SqsClientTest, DeletesTenARequestAndTellsTheFirstFailure) {
  answer(200, R"({"Successful": [], "Failed": [{"Id": "3", "SenderFault": true, "Code": "ReceiptHandleIsInvalid", "Message": "bad"}]})");
  answer(200, R"({"Successful": [], "Failed": []})");
  std::vector<std::string> handles;
  for (int i = 0; i < 13; ++i) handles.push_back("r-" + std::to_string(i));
  auto sqs = client();
  const auto done = run(sqs.remove(handles));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, "sqs.receipt_invalid");
  EXPECT_EQ(done.error().retry, Retry::Never);
  ASSERT_EQ(bodies_.size(), 2U) << "the second batch goes although the first had a failure";
  EXPECT_EQ(get_array(bodies_[0], "Entries")->size(), 10U);
  EXPECT_EQ(get_array(bodies_[1], "Entries")->size(), 3U);
  EXPECT_EQ(get_string(get_array(bodies_[1], "Entries")->at(2).get_object(), "ReceiptHandle"), "r-12");
}

TEST_F(SqsClientTest, ChangesVisibility) {
  auto sqs = client();
  ASSERT_TRUE(run(sqs.set_visibility("r", Millis{0})));
  EXPECT_EQ(targets_.back(), "AmazonSQS.ChangeMessageVisibility");
  EXPECT_EQ(get_int(bodies_.back(), "VisibilityTimeout", -1), 0);
}

TEST_F(SqsClientTest, ErrorsSayWhetherTryingAgainHelps) {
  const std::tuple<int, std::string, std::string, std::string, Retry> cases[] = {
      {400, "AWS.SimpleQueueService.NonExistentQueue;Sender", R"({"__type": "com.amazonaws.sqs#QueueDoesNotExist"})", "sqs.queue_not_found",
       Retry::Never},
      {400, "", R"({"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "gone"})", "sqs.queue_not_found", Retry::Never},
      {403, "AccessDenied;Sender", "{}", "sqs.access_denied", Retry::Never},
      {403, "", "not JSON", "sqs.access_denied", Retry::Never},
      {400, "RequestThrottled;Sender", "{}", "sqs.throttled", Retry::Safe},
      {429, "", "", "sqs.throttled", Retry::Safe},
      {503, "", "<html>", "sqs.unavailable", Retry::Safe},
      {400, "InvalidParameterValue;Sender", "{}", "sqs.refused", Retry::Never},
      {200, "", "<xml/>", "sqs.invalid_answer", Retry::Safe},
      {200, "", R"({"Messages": 3})", "sqs.invalid_answer", Retry::Safe},
  };
  auto sqs = client();
  for (const auto& [status, header, body, code, retry] : cases) {
    answer(status, body, header.empty() ? net::Headers{} : net::Headers{{"x-amzn-query-error", header}});
    const auto got = run(sqs.receive({.wait = Millis{0}}));
    ASSERT_FALSE(got) << code;
    EXPECT_EQ(got.error().code, code) << got.error().message;
    EXPECT_EQ(got.error().retry, retry) << code;
    EXPECT_FALSE(got.error().message.contains(kSecret));
  }
}

TEST_F(SqsClientTest, ABodyThatIsNotItsDigestIsNotGivenOut) {
  answer(200, R"({"Messages": [{"MessageId": "m", "ReceiptHandle": "r", "Body": "b", "MD5OfBody": "00"}]})");
  auto sqs = client();
  const auto got = run(sqs.receive({.wait = Millis{0}}));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, "sqs.invalid_answer");
}

TEST_F(SqsClientTest, PrivateNetworksAreRefusedUnlessTheSourceAllowsThem) {
  SqsClientOptions closed = options();
  closed.egress = {};
  SqsClient sqs(*http_, clock_, closed);
  const auto got = run(sqs.receive({.wait = Millis{0}}));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, "net.egress_denied");
  EXPECT_TRUE(targets_.empty());
}

TEST_F(SqsClientTest, WithoutKeysOrAUrlItSaysWhatIsMissing) {
  SqsClientOptions bad = options();
  bad.credentials = {};
  SqsClient without_keys(*http_, clock_, bad);
  const auto unsigned_call = run(without_keys.receive({.wait = Millis{0}}));
  ASSERT_FALSE(unsigned_call);
  EXPECT_EQ(unsigned_call.error().code, "sqs.invalid_source");
  bad = options();
  bad.queue_url = "jobs";
  SqsClient without_url(*http_, clock_, bad);
  const auto nowhere = run(without_url.receive({.wait = Millis{0}}));
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().code, "sqs.invalid_source");
}

TEST(SqsRegion, IsThatOfTheHost) {
  EXPECT_EQ(sqs_region_of("https://sqs.eu-west-1.amazonaws.com/1/q"), "eu-west-1");
  EXPECT_EQ(sqs_region_of("https://sqs.cn-north-1.amazonaws.com.cn/1/q"), "cn-north-1");
  EXPECT_EQ(sqs_region_of("https://ap-south-1.queue.amazonaws.com/1/q"), "ap-south-1");
  EXPECT_EQ(sqs_region_of("http://localhost:9324/q"), "");
}

TEST(SqsDigest, IsWhatClientsCompute) {
  EXPECT_EQ(md5_hex("hi"), "49f68a5c8493ec2c0bf489821c21fc3b");
  EXPECT_EQ(md5_of_attributes({{"k", {"String", "v"}}}), "0a77b0642718c3d9dd47090567d11e0d");
  EXPECT_EQ(md5_of_attributes({{"b", {"Binary.png", std::string("\0\xff", 2)}}, {"a", {"Number.int", "12"}}}),
            "fd497d62545e250705a3396284febe56");
  EXPECT_EQ(md5_of_attributes({}), "");
}

TEST(SqsAttributes, AreReadAsTheyWereWritten) {
  const queue::MessageAttributes all{{"a", {"String", "ü"}}, {"b.c", {"Binary", std::string("\0\1", 2)}}, {"n", {"Number.int", "-1.5e3"}}};
  const auto back = attributes_from_json(attributes_to_json(all));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->size(), 3U);
  for (const auto& [name, attribute] : all) {
    EXPECT_EQ(back->at(name).data_type, attribute.data_type);
    EXPECT_EQ(back->at(name).value, attribute.value);
  }
}

TEST(SqsAttributes, WhatSqsRefusesIsRefused) {
  for (const char* text :
       {R"({"AWS.x": {"DataType": "String", "StringValue": "v"}})", R"({"amazon.x": {"DataType": "String", "StringValue": "v"}})",
        R"({".x": {"DataType": "String", "StringValue": "v"}})", R"({"a..b": {"DataType": "String", "StringValue": "v"}})",
        R"({"a b": {"DataType": "String", "StringValue": "v"}})", R"({"": {"DataType": "String", "StringValue": "v"}})",
        R"({"k": {"DataType": "String", "StringValue": ""}})", R"({"k": {"DataType": "", "StringValue": "v"}})",
        R"({"k": {"DataType": "Text", "StringValue": "v"}})", R"({"k": {"DataType": "Binary", "StringValue": "v"}})",
        R"({"k": {"DataType": "Binary", "BinaryValue": "?"}})", R"({"k": {"DataType": "Number", "StringValue": "1x"}})",
        R"({"k": {"DataType": "Number", "StringValue": "."}})", R"({"k": 3})"}) {
    const auto read = attributes_from_json(parse_json(text)->as_object());
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, "queue.invalid_attribute");
  }
  JsonObject many;
  for (int i = 0; i < 11; ++i) many["k" + std::to_string(i)] = JsonObject{{"DataType", "String"}, {"StringValue", "v"}};
  EXPECT_FALSE(attributes_from_json(many));
}

TEST(SqsText, HoldsOnlyCharactersOfXml) {
  EXPECT_TRUE(is_sqs_text("a\t\r\n\xF0\x9F\xA6\x8B\xEF\xBF\xBD"));
  EXPECT_FALSE(is_sqs_text(std::string_view("\0", 1)));
  EXPECT_FALSE(is_sqs_text("\x0b"));
  EXPECT_FALSE(is_sqs_text("\xEF\xBF\xBF"));
  EXPECT_FALSE(is_sqs_text("\xff"));
}

}  // namespace
}  // namespace mayfly::trigger
