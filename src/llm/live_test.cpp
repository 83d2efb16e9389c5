#include <gtest/gtest.h>

#include "llm/gateway.h"
#include "net/http_server.h"

namespace mayfly::llm {
namespace {

struct Wire {
  std::string_view path;
  std::string answer;
};

const std::vector<Wire> kWires{
    {"/v1/messages",
     "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m-1\",\"usage\":{\"input_tokens\":7}}}\n\n"
     "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Grüße \"}}\n\n"
     "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"你好\"}}\n\n"
     "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":3}}\n\n"
     "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"},
    {"/v1/chat/completions",
     "data: {\"id\":\"c\",\"model\":\"m-1\",\"choices\":[{\"delta\":{\"content\":\"Grüße \"}}]}\n\n"
     "data: {\"choices\":[{\"delta\":{\"content\":\"你好\"},\"finish_reason\":\"stop\"}]}\n\n"
     "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\ndata: [DONE]\n\n"},
    {"/v1/responses",
     "data: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"model\":\"m-1\"}}\n\n"
     "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"Grüße \"}\n\n"
     "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"你好\"}\n\n"
     "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"usage\":{\"input_tokens\":7,\"output_tokens\":3}}}\n\n"}};

struct Server {
  int requests = 0;
  int refuse = 0;        ///< that many answers are 429
  bool hang = false;     ///< after the first byte, until the client goes away
  bool cut = false;      ///< the stream ends before its end
};

Task<> wait_for(CancelToken token) {
  if (token.cancelled()) co_return;
  std::optional<CancelToken::Registration> registration;
  co_await suspend<bool>([&](Resume<bool> resume) {
    registration.emplace(token.on_cancel([resume = std::move(resume)]() mutable { resume(true); }));
  });
}

Task<> serve(Server* server, net::Request* request, net::Responder* responder) {
  ++server->requests;
  const auto wire = std::ranges::find(kWires, std::string_view(request->path), &Wire::path);
  if (wire == kWires.end() || request->headers.get("accept") != "text/event-stream") {
    co_await responder->send({404, {}, R"({"error":{"message":"no such path"}})"});
    co_return;
  }
  if (server->refuse > 0) {
    --server->refuse;
    co_await responder->send({429, {{"retry-after-ms", "1"}}, R"({"error":{"type":"rate_limit_error","message":"slow down"}})"});
    co_return;
  }
  co_await responder->start(200, {{"content-type", "text/event-stream"}});
  const std::string_view answer = server->cut ? std::string_view(wire->answer).substr(0, 150) : std::string_view(wire->answer);
  if (server->hang) {
    co_await responder->write(":\n\n");
    co_await wait_for(request->disconnected);
  } else {
    for (std::size_t at = 0; at < answer.size(); at += 5) co_await responder->write(std::string(answer.substr(at, 5)));
  }
  co_await responder->finish();
}

template <class T>
Task<> keep(Task<T> task, std::optional<T>* out) {
  out->emplace(co_await std::move(task));
}

using Answer = std::expected<GatewayAnswer, LlmError>;

class Live : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    server = net::make_http_server(io.get_executor(), clock, {}, [this](net::Request& request, net::Responder& responder) {
      return serve(&behaviour, &request, &responder);
    });
    ASSERT_TRUE(server->listen());
    const std::string url = "http://127.0.0.1:" + std::to_string(server->port()) + "/v1";
    auto made = make_gateway({io.get_executor(), &clock, &random, http.get(), PriceTable::built_in()},
                             {{.name = "p", .kind = GetParam(), .base_url = url, .api_key = "k"}});
    ASSERT_TRUE(made) << made.error().message;
    gateway = std::move(*made);
  }
  void TearDown() override {
    gateway.reset();
    http.reset();
    tasks.spawn(server->stop(Millis{0}));
    run_until([&] { return tasks.size() == 0; });
  }
  template <class Done>
  void run_until(Done done) {
    io.restart();
    while (!done() && io.run_one() > 0) {
    }
  }
  GatewayCall call() {
    GatewayCall out;
    out.models = {"p/m"};
    out.call.request.messages = {Message::user("hi")};
    out.call.on_delta = [this](const LlmDelta& delta) {
      streamed += delta.text;
      ++deltas;
    };
    return out;
  }
  Answer ask(GatewayCall call) {
    std::optional<Answer> out;
    tasks.spawn(keep(gateway->complete(std::move(call)), &out));
    run_until([&] { return out.has_value(); });
    return std::move(*out);
  }

  asio::io_context io;
  SystemClock clock{io.get_executor()};
  SeededRandom random{1};
  std::unique_ptr<net::HttpClient> http = net::make_http_client(io.get_executor(), clock);
  TaskGroup tasks{io.get_executor()};
  Server behaviour;
  std::unique_ptr<net::HttpServer> server;
  std::unique_ptr<LlmGateway> gateway;
  std::string streamed;
  int deltas = 0;
};

TEST_P(Live, StreamsAnAnswer) {
  const Answer answer = ask(call());
  ASSERT_TRUE(answer) << answer.error().error.message;
  EXPECT_EQ(text_of(answer->response.message), "Grüße 你好");
  EXPECT_EQ(streamed, "Grüße 你好");
  EXPECT_EQ(deltas, 2);
  EXPECT_EQ(answer->response.usage, (Usage{.input = 7, .output = 3}));
  EXPECT_EQ(answer->response.model, "m-1");
  EXPECT_GT(answer->response.time_to_first_token_us, 0);
}

TEST_P(Live, RetriesWhatWasRefused) {
  behaviour.refuse = 2;
  GatewayCall request = call();
  request.call.retry_budget = Millis{10'000};
  const Answer answer = ask(std::move(request));
  ASSERT_TRUE(answer) << answer.error().error.message;
  EXPECT_EQ(behaviour.requests, 3);
}

TEST_P(Live, ACutStreamIsABadResponse) {
  behaviour.cut = true;
  const Answer answer = ask(call());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().error.code, "llm.bad_response");
  EXPECT_EQ(answer.error().error.retry, Retry::OutcomeUnknown);
}

TEST_P(Live, CancellingClosesTheConnection) {
  behaviour.hang = true;
  CancelSource cancel;
  GatewayCall request = call();
  request.call.cancel = cancel.token();
  std::optional<Answer> out;
  tasks.spawn(keep(gateway->complete(std::move(request)), &out));
  run_until([&] { return behaviour.requests == 1; });
  cancel.cancel();
  run_until([&] { return out.has_value(); });
  ASSERT_FALSE(*out);
  EXPECT_EQ(out->error().error.code, "llm.cancelled");
}

TEST_P(Live, NobodyListens) {
  tasks.spawn(server->stop(Millis{0}));
  run_until([&] { return tasks.size() == 0; });
  const Answer answer = ask(call());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().error.code, "llm.unreachable");
  EXPECT_EQ(answer.error().error.retry, Retry::Safe);
}

INSTANTIATE_TEST_SUITE_P(Apis, Live, ::testing::Values("anthropic", "openai", "openai-responses"),
                         [](const auto& instance) { return instance.param == "openai-responses" ? std::string("responses") : instance.param; });

}  // namespace
}  // namespace mayfly::llm
