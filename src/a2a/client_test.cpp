#include "a2a/client.h"

#include <gtest/gtest.h>

#include <deque>
#include <optional>

#include "net/http_server.h"

namespace mayfly::a2a {
namespace {

template <class T>
Task<> keep(Task<T> task, std::optional<T>* out) {
  out->emplace(co_await std::move(task));
}

/// A remote agent: serves a card and answers with what the test put in, one after another.
class A2aClientTest : public testing::Test {
 protected:
  A2aClientTest() : clock_(io_.get_executor()), http_(net::make_http_client(io_.get_executor(), clock_)) {
    server_ = net::make_http_server(io_.get_executor(), clock_, {},
                                    [this](net::Request& request, net::Responder& responder) { return serve(this, &request, &responder); });
    EXPECT_TRUE(server_->listen());
    binding("JSONRPC", "1.0");
  }
  ~A2aClientTest() override {
    http_.reset();
    TaskGroup group(io_.get_executor());
    group.spawn(server_->stop(Millis{0}));
    drive(group);
  }

  static Task<> serve(A2aClientTest* self, net::Request* request, net::Responder* responder) {
    self->seen_.push_back(request->method + " " + request->path);
    self->authorizations_.push_back(request->headers.get("authorization"));
    if (request->path.ends_with("agent-card.json")) {
      co_await responder->send({200, {}, to_text(self->card_)});
      co_return;
    }
    self->bodies_.push_back(parse_json(request->body).value_or(Json()));
    net::Response answer = self->answers_.empty() ? net::Response{500, {}, ""} : self->answers_.front();
    if (self->answers_.size() > 1) self->answers_.pop_front();  // the last one stays
    co_await responder->send(std::move(answer));
  }
  void drive(TaskGroup& group) {
    io_.restart();
    while (group.size() > 0 && io_.run_one_for(std::chrono::seconds(30)) > 0) {
    }
    ASSERT_EQ(group.size(), 0U);
  }
  Result<RemoteAnswer> send(RemoteMessage message = {"m-1", "hello", nullptr, "", ""}, Millis wait = Millis{20'000}) {
    RemoteAgent agent{.url = base(), .headers = {{"Authorization", "Bearer s3cret"}}, .egress = net::EgressPolicy::trusted(), .binding = ""};
    std::optional<Result<RemoteAnswer>> out;
    TaskGroup group(io_.get_executor());
    group.spawn(keep(client_.send(std::move(agent), std::move(message), wait, cancel_.token()), &out));
    drive(group);
    return std::move(*out);
  }

  std::string base() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }
  void binding(const std::string& name, const std::string& version, std::string url = "") {
    if (url.empty()) url = base() + "/agent";
    card_["supportedInterfaces"] = JsonArray{JsonObject{{"url", url}, {"protocolBinding", name}, {"protocolVersion", version}}};
  }
  static JsonObject task(std::string_view state, std::string_view text = "") {
    JsonObject out{{"id", "t-1"}, {"contextId", "c-1"}, {"status", JsonObject{{"state", state}}}};
    if (!text.empty()) out["artifacts"] = JsonArray{JsonObject{{"parts", JsonArray{JsonObject{{"text", text}}}}}};
    return out;
  }
  void answer_rpc(JsonObject result) {
    answers_.push_back({200, {}, to_text(JsonObject{{"jsonrpc", "2.0"}, {"id", 1}, {"result", std::move(result)}})});
  }

  asio::io_context io_;
  SystemClock clock_;
  std::unique_ptr<net::HttpClient> http_;
  std::unique_ptr<net::HttpServer> server_;
  Client client_{*http_, clock_};
  CancelSource cancel_;
  JsonObject card_;
  std::deque<net::Response> answers_;
  std::vector<std::string> seen_, authorizations_;
  std::vector<Json> bodies_;
};

TEST_F(A2aClientTest, SendsThenAsksUntilTheTaskHasEnded) {
  answer_rpc({{"task", task("TASK_STATE_SUBMITTED")}});
  answer_rpc(task("TASK_STATE_WORKING"));
  answer_rpc(task("TASK_STATE_COMPLETED", "42"));
  const auto answer = send();
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->state, RemoteAnswer::State::Done);
  EXPECT_EQ(answer->text, "42");
  EXPECT_EQ(answer->context, "c-1");
  EXPECT_EQ(answer->task, "t-1");
  const JsonObject& first = bodies_.at(0).as_object();
  EXPECT_EQ(get_string(first, "method"), "SendMessage");
  EXPECT_EQ(bodies_[0].at("params").at("message").at("messageId"), Json("m-1"));
  EXPECT_EQ(bodies_[0].at("params").at("message").at("parts").at(0).at("text"), Json("hello"));
  EXPECT_EQ(get_string(bodies_.at(1).as_object(), "method"), "GetTask");
  for (const std::string& authorization : authorizations_) EXPECT_EQ(authorization, "Bearer s3cret");
}

TEST_F(A2aClientTest, SpeaksTheHttpBindingWhereTheCardSaysSo) {
  binding("HTTP+JSON", "1.0");
  answers_.push_back({200, {}, to_text(JsonObject{{"task", task("TASK_STATE_WORKING")}})});
  answers_.push_back({200, {}, to_text(task("TASK_STATE_COMPLETED", "done"))});
  const auto answer = send();
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->text, "done");
  EXPECT_EQ(seen_, (std::vector<std::string>{"GET /.well-known/agent-card.json", "POST /agent/message:send", "GET /agent/tasks/t-1"}));
}

TEST_F(A2aClientTest, ReadsTheCardOnceForSeveralMessages) {
  answer_rpc({{"message", JsonObject{{"parts", JsonArray{JsonObject{{"text", "hi"}}, JsonObject{{"data", JsonObject{{"n", 1}}}}}}}}});
  EXPECT_EQ(send()->text, "hi");
  const auto second = send();
  EXPECT_EQ(second->data, Json(JsonObject{{"n", 1}}));
  EXPECT_EQ(std::ranges::count(seen_, "GET /.well-known/agent-card.json"), 1);
}

TEST_F(A2aClientTest, SaysWhatTheOtherSideWantsAndAnswersIt) {
  JsonObject asking = task("TASK_STATE_INPUT_REQUIRED");
  asking["status"].get_object()["message"] = JsonObject{{"parts", JsonArray{JsonObject{{"text", "Which size?"}}}}};
  answer_rpc({{"task", asking}});
  const auto question = send();
  ASSERT_TRUE(question);
  EXPECT_EQ(question->state, RemoteAnswer::State::InputRequired);
  EXPECT_EQ(question->text, "Which size?");
  answers_.clear();
  answer_rpc({{"task", task("TASK_STATE_COMPLETED", "ok")}});
  EXPECT_EQ(send({"m-2", "XL", nullptr, "c-1", "t-1"})->text, "ok");
  EXPECT_EQ(bodies_.back().at("params").at("message").at("taskId"), Json("t-1"));
}

TEST_F(A2aClientTest, CredentialsNeverGoToAnotherOrigin) {
  binding("JSONRPC", "1.0", "http://127.0.0.1:1/elsewhere");
  EXPECT_EQ(send().error().code, "a2a.other_origin");
  EXPECT_EQ(seen_.size(), 1u) << "only the card was read";
}

TEST_F(A2aClientTest, AnAgentOfAnOlderProtocolIsAClearError) {
  binding("JSONRPC", "0.3");
  const auto answer = send();
  EXPECT_EQ(answer.error().code, "a2a.card");
  EXPECT_TRUE(answer.error().message.contains("1.x")) << answer.error().message;
}

TEST_F(A2aClientTest, ErrorsOfTheOtherSideKeepTheirWords) {
  answers_.push_back({200, {}, R"({"jsonrpc":"2.0","id":1,"error":{"code":-32004,"message":"no such skill"}})"});
  EXPECT_TRUE(send().error().message.contains("no such skill"));
  answers_.clear();
  answers_.push_back({503, {}, "busy"});
  const auto busy = send();
  EXPECT_EQ(busy.error().retry, Retry::Safe);
  answers_.clear();
  answers_.push_back({401, {}, ""});
  EXPECT_TRUE(send().error().message.contains("credentials")) << "names the remedy";
}

TEST_F(A2aClientTest, NonsenseIsRefused) {
  for (const char* body : {"", "[]", "{}", R"({"jsonrpc":"2.0","id":1,"result":{}})", R"({"jsonrpc":"2.0","id":1,"result":{"task":{}}})"}) {
    answers_.clear();
    answers_.push_back({200, {}, body});
    const auto answer = send();
    ASSERT_FALSE(answer) << body;
    EXPECT_EQ(answer.error().code, "a2a.invalid_answer") << body;
  }
}

TEST_F(A2aClientTest, ATaskThatDoesNotEndInTimeHasAnUnknownOutcome) {
  answer_rpc({{"task", task("TASK_STATE_WORKING")}});
  answer_rpc(task("TASK_STATE_WORKING"));
  const auto answer = send({"m", "hello", nullptr, "", ""}, Millis{1});
  EXPECT_EQ(answer.error().code, "a2a.timeout");
  EXPECT_EQ(answer.error().retry, Retry::OutcomeUnknown);
}

}  // namespace
}  // namespace mayfly::a2a
