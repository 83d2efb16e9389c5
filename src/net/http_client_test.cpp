#include "net/http_client.h"

#include <fmt/format.h>

#include "net/net_test_support.h"

namespace mayfly::net {
namespace {

struct Upstream {
  std::vector<Request> requests;
  std::string other_origin;
  bool is_waiting = false;
  bool was_disconnected = false;
};

Task<> wait_until_gone(std::shared_ptr<Upstream> upstream, CancelToken token) {
  upstream->is_waiting = true;
  co_await suspend<bool>([token](Resume<bool> resume) {
    auto shared = std::make_shared<Resume<bool>>(std::move(resume));
    auto keep = std::make_shared<CancelToken::Registration>();
    *keep = token.on_cancel([shared, keep] { (*shared)(true); });
  });
  upstream->was_disconnected = true;
}

Task<> respond(std::shared_ptr<Upstream> upstream, Request& request, Responder& responder) {
  upstream->requests.push_back(request);
  const auto redirect = [](int status, std::string location) { return Response{status, {{"Location", std::move(location)}}, "moved"}; };
  if (request.path == "/hang") {
    co_await wait_until_gone(upstream, request.disconnected);
  } else if (request.path == "/stall") {
    co_await responder.start(200, {});
    co_await responder.write("first");
    co_await wait_until_gone(upstream, request.disconnected);
  } else if (request.path == "/stream") {
    co_await responder.start(request.query == "fail" ? 500 : 200, {{"Content-Type", "text/event-stream"}});
    for (const auto* part : {"one ", "two ", "three"}) {
      co_await responder.write(part);
      co_await yield_now();
    }
    co_await responder.finish();
  } else if (request.path == "/many") {
    co_await responder.send({200, {}, std::string(400'000, 'x')});
  } else if (request.path == "/big") {
    co_await responder.send({200, {}, std::string(100'000, 'x')});
  } else if (request.path == "/cut") {
    co_await responder.start(200, {});
    co_await responder.write("half");
  } else if (request.path == "/r") {
    co_await responder.send(redirect(std::stoi(request.query), "/final?a=1"));
  } else if (request.path == "/loop") {
    co_await responder.send(redirect(302, "/loop"));
  } else if (request.path == "/away") {
    co_await responder.send(redirect(307, upstream->other_origin + "/final"));
  } else if (request.path == "/to") {
    co_await responder.send(redirect(302, *percent_decode(request.query, false)));
  } else {
    co_await responder.send({200, {{"X-Answer", "42"}, {"X-Answer", "43"}}, fmt::format("{} {}", request.method, request.body)});
  }
}

class HttpClientTest : public testing::Test {
 protected:
  HttpClientTest() {
    server_ = serve();
    other_ = serve();
    upstream_->other_origin = fmt::format("http://127.0.0.1:{}", other_->port());
    client_ = make_http_client(io_.get_executor(), clock_);
  }
  ~HttpClientTest() override {
    client_.reset();
    run_task(io_, stop(server_.get()));
    run_task(io_, stop(other_.get()));
  }

  std::unique_ptr<HttpServer> serve() {
    auto server = make_http_server(io_.get_executor(), clock_, {},
                                   [upstream = upstream_](Request& q, Responder& r) { return respond(upstream, q, r); });
    EXPECT_TRUE(server->listen());
    return server;
  }
  static Task<> stop(HttpServer* server) { co_await server->stop(Millis{0}); }

  ClientRequest request(std::string path) {
    ClientRequest out;
    out.url = fmt::format("http://127.0.0.1:{}{}", server_->port(), path);
    out.egress = EgressPolicy::trusted();
    return out;
  }
  Task<> send_into(ClientRequest request, std::optional<Result<ClientResponse>>* out) { *out = co_await client_->send(std::move(request)); }

  Result<ClientResponse> send(ClientRequest request) {
    std::optional<Result<ClientResponse>> out;
    run_task(io_, send_into(std::move(request), &out));
    return out ? std::move(*out) : fail("test.hang", "no answer");
  }
  /// Starts the call and moves the clock by `by` in small steps once the server has the request.
  Result<ClientResponse> send_and_advance(ClientRequest request, Millis by) {
    std::optional<Result<ClientResponse>> out;
    TaskGroup group(io_.get_executor());
    group.spawn(send_into(std::move(request), &out));
    settle();
    for (Millis done{0}; done < by && !out; done += Millis{250}) {
      clock_.advance(Millis{250});
      settle();
    }
    if (group.size() > 0) io_.stop();
    return out ? std::move(*out) : fail("test.hang", "no answer");
  }
  void settle() {
    io_.restart();
    while (io_.run_one_for(std::chrono::milliseconds(5)) > 0) {
    }
  }

  asio::io_context io_;
  ManualClock clock_{io_.get_executor()};
  std::shared_ptr<Upstream> upstream_ = std::make_shared<Upstream>();
  std::unique_ptr<HttpServer> server_, other_;
  std::unique_ptr<HttpClient> client_;
};

void expect_error(const Result<ClientResponse>& result, std::string_view code, Retry retry) {
  ASSERT_FALSE(result) << "status " << result->status;
  EXPECT_EQ(result.error().code, code) << result.error().message;
  EXPECT_EQ(result.error().retry, retry) << result.error().message;
  EXPECT_GT(result.error().message.size(), 15u);
}

TEST_F(HttpClientTest, SendsARequestAndReturnsTheResponse) {
  auto post = request("/x?y=1#frag");
  post.method = "POST";
  post.body = "payload";
  post.headers = {{"X-Mine", "1"}, {"X-Empty", ""}, {"Content-Length", "999"}};
  const auto result = send(post);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(result->body, "POST payload");
  EXPECT_EQ(result->headers.find("x-answer"), "42");
  EXPECT_TRUE(result->final_url.ends_with("/x?y=1"));
  ASSERT_EQ(upstream_->requests.size(), 1u);
  const Headers& got = upstream_->requests[0].headers;
  EXPECT_EQ(got.find("x-mine"), "1");
  EXPECT_EQ(got.find("x-empty"), "");
  EXPECT_EQ(got.find("content-type"), std::nullopt) << "no form type that nobody asked for";
  EXPECT_EQ(got.find("expect"), std::nullopt);
  EXPECT_EQ(got.find("content-length"), "7");
}

TEST_F(HttpClientTest, SupportsEveryMethod) {
  for (const auto* method : {"GET", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"}) {
    auto any = request("/m");
    any.method = method;
    const auto result = send(any);
    ASSERT_TRUE(result) << method;
    EXPECT_EQ(result->body, std::string(method) + " ");
  }
  auto head = request("/m");
  head.method = "HEAD";
  const auto result = send(head);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->headers.find("content-length"), "5");
  EXPECT_EQ(result->body, "");
}

TEST_F(HttpClientTest, StreamsTheBodyOfA2xxOnly) {
  auto stream = request("/stream");
  std::vector<std::string> parts;
  stream.on_body = [&](std::string_view bytes) { parts.emplace_back(bytes); };
  const auto result = send(stream);
  ASSERT_TRUE(result);
  std::string all;
  for (const auto& part : parts) all += part;
  EXPECT_EQ(all, "one two three");
  EXPECT_EQ(result->body, "");
  auto failing = request("/stream?fail");
  failing.on_body = stream.on_body;
  parts.clear();
  const auto refused = send(failing);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 500);
  EXPECT_EQ(refused->body, "one two three");
  EXPECT_TRUE(parts.empty());
}

TEST_F(HttpClientTest, AClosedGateHoldsTheBodyBackAndNoTimeoutCounts) {
  auto slow = request("/many");
  slow.idle_timeout = Millis{1'000};
  slow.gate = std::make_shared<BodyGate>();
  std::size_t received = 0, while_closed = 0;
  slow.on_body = [&](std::string_view bytes) {
    received += bytes.size();
    if (slow.gate->is_closed()) while_closed += bytes.size();
    slow.gate->close();
  };
  std::optional<Result<ClientResponse>> out;
  TaskGroup group(io_.get_executor());
  group.spawn(send_into(slow, &out));
  settle();
  EXPECT_GT(received, 0u);
  const std::size_t before = received;
  clock_.advance(Millis{60'000});
  settle();
  EXPECT_EQ(received, before) << "nothing passes a closed gate";
  for (int i = 0; i < 10'000 && !out; ++i) {
    slow.gate->open();
    settle();
  }
  ASSERT_TRUE(out);
  ASSERT_TRUE(*out) << out->error().message;
  EXPECT_EQ(received, 400'000u);
  EXPECT_EQ(while_closed, 0u);
}

TEST_F(HttpClientTest, ReusesConnectionsAmongEqualPoliciesOnly) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(send(request("/")));
  EXPECT_EQ(server_->counters().connections_accepted, 1u);
  auto other = request("/");
  other.egress = {.allow_loopback = true};
  ASSERT_TRUE(send(other));
  EXPECT_EQ(server_->counters().connections_accepted, 2u);
}

TEST_F(HttpClientTest, TimesOutInEachPhase) {
  auto first = request("/hang");
  first.first_byte_timeout = Millis{3'000};
  expect_error(send_and_advance(first, Millis{4'000}), "net.timeout", Retry::OutcomeUnknown);
  auto idle = request("/stall");
  idle.idle_timeout = Millis{3'000};
  expect_error(send_and_advance(idle, Millis{4'000}), "net.timeout", Retry::OutcomeUnknown);
  auto total = request("/stall");
  total.total_timeout = Millis{3'000};
  total.idle_timeout = Millis{60'000};
  expect_error(send_and_advance(total, Millis{4'000}), "net.timeout", Retry::OutcomeUnknown);
}

TEST_F(HttpClientTest, AnUnansweredHandshakeIsSafeToRetry) {
  asio::basic_socket_acceptor<asio::ip::tcp, Executor> silent(io_.get_executor(), {asio::ip::address_v4::loopback(), 0});
  auto tls = request("/");
  tls.url = fmt::format("https://127.0.0.1:{}/?key=secret", silent.local_endpoint().port());
  tls.connect_timeout = Millis{2'000};
  const auto result = send_and_advance(tls, Millis{3'000});
  expect_error(result, "net.timeout", Retry::Safe);
  EXPECT_EQ(result.error().message.find("secret"), std::string::npos);
}

TEST_F(HttpClientTest, CancelClosesTheConnectionAtOnce) {
  CancelSource source;
  auto hanging = request("/stall");
  hanging.cancel = source.token();
  std::optional<Result<ClientResponse>> out;
  TaskGroup group(io_.get_executor());
  group.spawn(send_into(hanging, &out));
  settle();
  ASSERT_TRUE(upstream_->is_waiting);
  EXPECT_FALSE(out);
  source.cancel();
  settle();
  ASSERT_TRUE(out);
  expect_error(*out, "net.cancelled", Retry::OutcomeUnknown);
  for (int i = 0; i < 6; ++i) {
    clock_.advance(Millis{1'000});
    settle();
  }
  EXPECT_TRUE(upstream_->was_disconnected) << "the server notices";
  expect_error(send(hanging), "net.cancelled", Retry::OutcomeUnknown);
}

TEST_F(HttpClientTest, CancelFromInsideTheBodyCallback) {
  CancelSource source;
  auto stream = request("/stream");
  stream.cancel = source.token();
  int calls = 0;
  stream.on_body = [&](std::string_view) {
    ++calls;
    source.cancel();
  };
  expect_error(send(stream), "net.cancelled", Retry::OutcomeUnknown);
  EXPECT_EQ(calls, 1);
}

TEST_F(HttpClientTest, RefusesBodiesBeyondTheLimit) {
  auto big = request("/big");
  big.body_bytes_max = 99'999;
  expect_error(send(big), "net.too_large", Retry::OutcomeUnknown);
  big.body_bytes_max = 100'000;
  EXPECT_TRUE(send(big));
}

TEST_F(HttpClientTest, TellsConnectingFromBreaking) {
  auto closed = request("/");
  {
    asio::basic_socket_acceptor<asio::ip::tcp, Executor> gone(io_.get_executor(), {asio::ip::address_v4::loopback(), 0});
    closed.url = fmt::format("http://127.0.0.1:{}/", gone.local_endpoint().port());
  }
  expect_error(send(closed), "net.connect", Retry::Safe);
  expect_error(send(request("/cut")), "net.reset", Retry::OutcomeUnknown);
  auto plain = request("/");
  plain.url.replace(0, 4, "https");
  expect_error(send(plain), "net.tls", Retry::Never);
}

Task<> serve_twice(asio::basic_socket_acceptor<asio::ip::tcp, Executor>* acceptor, int* received) {
  RawClient peer(acceptor->get_executor());
  co_await acceptor->async_accept(peer.socket, use_test_tuple);
  co_await peer.read_until("\r\n\r\n");
  ++*received;
  co_await peer.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  co_await peer.read_until("\r\n\r\n");
  ++*received;
  peer.socket.close();
  RawClient again(acceptor->get_executor());
  auto [error] = co_await acceptor->async_accept(again.socket, use_test_tuple);
  if (!error && !(co_await again.read_until("\r\n\r\n")).empty()) ++*received;
}

TEST_F(HttpClientTest, APostIsNeverSentTwice) {
  asio::basic_socket_acceptor<asio::ip::tcp, Executor> acceptor(io_.get_executor(), {asio::ip::address_v4::loopback(), 0});
  int received = 0;
  TaskGroup group(io_.get_executor());
  group.spawn(serve_twice(&acceptor, &received));
  auto post = request("/");
  post.url = fmt::format("http://127.0.0.1:{}/", acceptor.local_endpoint().port());
  post.method = "POST";
  post.body = "x";
  ASSERT_TRUE(send(post));
  expect_error(send(post), "net.reset", Retry::OutcomeUnknown);
  EXPECT_EQ(received, 2);
  acceptor.close();
  settle();
}

TEST_F(HttpClientTest, FollowsRedirectsOnlyWhenAsked) {
  const auto as_it_is = send(request("/r?302"));
  ASSERT_TRUE(as_it_is);
  EXPECT_EQ(as_it_is->status, 302);
  for (const auto& [status, method] : std::vector<std::pair<int, std::string>>{
           {301, "GET "}, {302, "GET "}, {303, "GET "}, {307, "POST body"}, {308, "POST body"}}) {
    auto post = request(fmt::format("/r?{}", status));
    post.method = "POST";
    post.body = "body";
    post.headers.add("Authorization", "Bearer t");
    post.redirects_max = 1;
    const auto result = send(post);
    ASSERT_TRUE(result) << status;
    EXPECT_EQ(result->body, method) << status;
    EXPECT_TRUE(result->final_url.ends_with("/final?a=1"));
    EXPECT_EQ(upstream_->requests.back().headers.find("authorization"), "Bearer t") << "same origin";
  }
  auto loop = request("/loop");
  loop.redirects_max = 3;
  upstream_->requests.clear();
  const auto result = send(loop);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 302);
  EXPECT_EQ(upstream_->requests.size(), 4u);
}

TEST_F(HttpClientTest, CredentialsStayWithTheirOrigin) {
  auto away = request("/away");
  away.headers = {{"Authorization", "Bearer t"}, {"Cookie", "a=b"}, {"X-Api-Key", "k"}, {"X-Other", "stays"}};
  away.redirects_max = 1;
  ASSERT_TRUE(send(away));
  const Headers& got = upstream_->requests.back().headers;
  EXPECT_EQ(other_->counters().requests, 1u);
  for (const auto* name : {"authorization", "cookie", "x-api-key"}) EXPECT_EQ(got.find(name), std::nullopt) << name;
  EXPECT_EQ(got.find("x-other"), "stays");
}

TEST_F(HttpClientTest, DeniesWhatThePolicyDoesNotAllow) {
  for (const auto* host :
       {"127.0.0.1", "localhost", "LOCALHOST.", "0x7f.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "0.0.0.0"}) {
    ClientRequest plain;
    plain.url = fmt::format("http://{}:{}/", host, server_->port());
    expect_error(send(plain), "net.egress_denied", Retry::Never);
  }
  auto elsewhere = request("/");
  elsewhere.egress.only_hosts = {"api.example.com"};
  expect_error(send(elsewhere), "net.egress_denied", Retry::Never);
  EXPECT_EQ(server_->counters().connections_accepted, 0u);
  auto named = request("/");
  named.egress = {.allow_hosts = {fmt::format("127.0.0.1:{}", server_->port())}};
  EXPECT_TRUE(send(named));
}

TEST_F(HttpClientTest, ResolvesNamesOnceAndPinsThem) {
  auto local = request("/");
  local.url = fmt::format("http://localhost:{}/", server_->port());
  const auto result = send(local);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(upstream_->requests.back().headers.get("host"), fmt::format("localhost:{}", server_->port()));
  auto missing = request("/");
  missing.url = "http://does-not-exist.invalid/";
  expect_error(send(missing), "net.dns", Retry::Safe);
}

TEST_F(HttpClientTest, ChecksEveryRedirect) {
  for (const std::string& to :
       {upstream_->other_origin + "/x", std::string("http://169.254.169.254/latest"), std::string("http://localhost/")}) {
    auto hop = request("/to?" + percent_encode(to));
    hop.egress = {.allow_hosts = {fmt::format("127.0.0.1:{}", server_->port())}};
    hop.redirects_max = 5;
    expect_error(send(hop), "net.egress_denied", Retry::Never);
  }
  auto file = request("/to?" + percent_encode("file:///etc/passwd"));
  file.redirects_max = 5;
  expect_error(send(file), "net.invalid_url", Retry::Never);
  EXPECT_EQ(other_->counters().connections_accepted, 0u);
}

TEST_F(HttpClientTest, RefusesWhatWouldSplitTheRequest) {
  auto header = request("/");
  header.headers.add("X-A", "1\r\nX-B: 2");
  expect_error(send(header), "net.invalid_header", Retry::Never);
  auto method = request("/");
  method.method = "GET / HTTP/1.1\r\nX: y";
  expect_error(send(method), "net.invalid_url", Retry::Never);
  auto url = request("/");
  url.url += "a b";
  expect_error(send(url), "net.invalid_url", Retry::Never);
  EXPECT_EQ(server_->counters().requests, 0u);
}

}  // namespace
}  // namespace mayfly::net
