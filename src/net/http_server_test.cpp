#include <fmt/format.h>

#include "net/net_test_support.h"

namespace mayfly::net {
namespace {

/// What the handlers of these tests saw and did.
struct Seen {
  std::vector<Request> requests;
  bool was_disconnected = false;
  bool is_waiting = false;
  int writes = 0;
  bool write_failed = false;
};

Task<> wait_for_cancel(CancelToken token) {
  co_await suspend<bool>([token](Resume<bool> resume) {
    auto shared = std::make_shared<Resume<bool>>(std::move(resume));
    auto keep = std::make_shared<CancelToken::Registration>();
    *keep = token.on_cancel([shared, keep] { (*shared)(true); });
  });
}

Task<> respond(std::shared_ptr<Seen> seen, Clock* clock, Request& request, Responder& responder) {
  seen->requests.push_back(request);
  if (request.path == "/echo") {
    co_await responder.send({200, {{"Content-Type", "text/plain"}}, request.body});
  } else if (request.path == "/throw") {
    throw std::runtime_error("the handler broke");
  } else if (request.path == "/silent") {
  } else if (request.path == "/inject") {
    co_await responder.send({200, {{"X-Bad", "a\r\nSet-Cookie: stolen=1"}, {"Bad Name", "x"}, {"Content-Length", "999"}}, "ok"});
  } else if (request.path == "/empty") {
    co_await responder.send({204, {}, "ignored"});
  } else if (request.path == "/stream") {
    co_await responder.start(200, {{"Content-Type", "text/event-stream"}});
    co_await responder.write("hello ");
    co_await responder.write("");
    co_await responder.write("world");
    co_await responder.finish();
  } else if (request.path == "/half") {
    co_await responder.start(200, {});
    co_await responder.write("half");
  } else if (request.path == "/wait") {
    seen->is_waiting = true;
    co_await wait_for_cancel(request.disconnected);
    seen->was_disconnected = true;
    co_await responder.send({200, {}, "late"});
  } else if (request.path == "/slow") {
    seen->is_waiting = true;
    co_await sleep_for(*clock, Millis{1'500});
    co_await responder.send({200, {}, "slow answer"});
  } else if (request.path == "/flood") {
    co_await responder.start(200, {});
    while (co_await responder.write(std::string(256 * 1024, 'x'))) {
      ++seen->writes;
      co_await yield_now();
    }
    seen->write_failed = true;
  } else {
    co_await responder.send({200, {}, fmt::format("{} {} q={}", request.method, request.path, request.query)});
  }
}

class HttpServerTest : public testing::Test {
 protected:
  HttpServerTest() { options_.header_bytes_max = 4096, options_.body_bytes_max = 10'000; }
  ~HttpServerTest() override {
    if (server_) run_task(io_, stop_server(Millis{0}));
  }

  void serve() {
    server_ = make_http_server(io_.get_executor(), clock_, options_,
                               [seen = seen_, clock = &clock_](Request& q, Responder& r) { return respond(seen, clock, q, r); });
    ASSERT_TRUE(server_->listen());
  }
  Task<> stop_server(Millis grace) { co_await server_->stop(grace); }

  /// Everything the server sends for `bytes` until it closes.
  std::string exchange(std::string bytes, bool shuts_down = false) {
    if (!server_) serve();
    std::string out;
    run_task(io_, exchange_into(&out, std::move(bytes), shuts_down));
    return out;
  }
  Task<> exchange_into(std::string* out, std::string bytes, bool shuts_down) {
    RawClient client(io_.get_executor());
    client.connect(server_->port());
    co_await client.write(std::move(bytes));
    if (shuts_down) client.socket.shutdown(TestSocket::shutdown_send);
    *out = co_await client.read_all();
  }
  /// Lets the loop settle while time stands still.
  void settle() {
    io_.restart();
    while (io_.run_one_for(std::chrono::milliseconds(5)) > 0) {
    }
  }
  void advance(Millis by) {
    for (Millis done{0}; done < by; done += Millis{500}) {
      clock_.advance(Millis{500});
      settle();
    }
  }

  asio::io_context io_;
  ManualClock clock_{io_.get_executor()};
  ServerOptions options_;
  std::shared_ptr<Seen> seen_ = std::make_shared<Seen>();
  std::unique_ptr<HttpServer> server_;
};

constexpr const char* kHost = "Host: localhost\r\n";

std::string get(std::string_view path, std::string_view more = "") { return fmt::format("GET {} HTTP/1.1\r\n{}{}\r\n", path, kHost, more); }
std::string get_and_close(std::string_view path) { return get(path, "Connection: close\r\n"); }

int status_of(std::string_view answer) { return answer.size() < 12 ? 0 : std::stoi(std::string(answer.substr(9, 3))); }
std::string body_of(const std::string& answer) {
  const auto end = answer.find("\r\n\r\n");
  return end == std::string::npos ? "" : answer.substr(end + 4);
}
bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST_F(HttpServerTest, AnswersWithDateLengthAndTheParsedTarget) {
  const std::string answer = exchange(get_and_close("/a%20b?x=1&y=%41+b"));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_TRUE(has(answer, "\r\nDate: ")) << answer;
  EXPECT_TRUE(has(answer, " GMT\r\n")) << answer;
  EXPECT_TRUE(has(answer, "\r\nConnection: close\r\n")) << answer;
  EXPECT_EQ(body_of(answer), "GET /a%20b q=x=1&y=%41+b");
  ASSERT_EQ(seen_->requests.size(), 1u);
  EXPECT_EQ(seen_->requests[0].target, "/a%20b?x=1&y=%41+b");
  EXPECT_EQ(seen_->requests[0].query_parameter("y"), "A b");
  EXPECT_EQ(seen_->requests[0].query_parameter("z"), std::nullopt);
  EXPECT_TRUE(seen_->requests[0].remote_is_loopback);
  EXPECT_TRUE(seen_->requests[0].remote_address.starts_with("127.0.0.1:"));
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  const std::string answer =
      exchange(get("/1") + "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + get("/2") + get_and_close("/3"));
  const auto first = answer.find("GET /1"), second = answer.find("hello"), third = answer.find("GET /2"), fourth = answer.find("GET /3");
  EXPECT_LT(first, second);
  EXPECT_LT(second, third);
  EXPECT_LT(third, fourth);
  ASSERT_NE(fourth, std::string::npos);
  EXPECT_EQ(server_->counters().requests, 4u);
  EXPECT_EQ(server_->counters().connections_accepted, 1u);
}

TEST_F(HttpServerTest, ReadsChunkedBodiesAndKeepsTrailersApart) {
  const std::string answer = exchange(
      "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
      "5;ext=\"q\"\r\nhello\r\n001\r\n!\r\n0\r\nX-Trailer: 1\r\n\r\n");
  EXPECT_EQ(body_of(answer), "hello!");
  ASSERT_EQ(seen_->requests.size(), 1u);
  EXPECT_EQ(seen_->requests[0].headers.find("x-trailer"), std::nullopt);
}

Task<> send_byte_by_byte(RawClient* client, std::string bytes, std::string* out) {
  for (const char c : bytes) {
    co_await client->write(std::string(1, c));
    co_await yield_now();
    co_await yield_now();
  }
  *out = co_await client->read_all();
}

TEST_F(HttpServerTest, UnderstandsARequestThatArrivesByteByByte) {
  serve();
  RawClient client(io_.get_executor());
  client.connect(server_->port());
  client.socket.set_option(asio::ip::tcp::no_delay(true));
  std::string out;
  run_task(io_, send_byte_by_byte(&client,
                                  "\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "a\r\n0123456789\r\n3\r\nabc\r\n0\r\n\r\n",
                                  &out));
  EXPECT_EQ(body_of(out), "0123456789abc");
}

TEST_F(HttpServerTest, UnderstandsAnEmptyChunkedBodyInPieces) {
  serve();
  RawClient client(io_.get_executor());
  client.connect(server_->port());
  client.socket.set_option(asio::ip::tcp::no_delay(true));
  std::string out;
  run_task(io_, send_byte_by_byte(
                    &client, "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &out));
  EXPECT_EQ(status_of(out), 200);
}

struct Malformed {
  std::string name, bytes;
  int status;
  std::string code;
};

TEST_F(HttpServerTest, RefusesWhatItMustNotGuess) {
  const std::string post = "POST /echo HTTP/1.1\r\nHost: a\r\n";
  const std::vector<Malformed> table = {
      {"no request line", "hello\r\n\r\n", 400, "http.malformed"},
      {"TLS handshake", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), 400, "http.malformed"},
      {"bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400, "http.malformed"},
      {"no host", "GET / HTTP/1.1\r\n\r\n", 400, "http.malformed"},
      {"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "http.malformed"},
      {"host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "http.malformed"},
      {"space before colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "http.malformed"},
      {"folded header", "GET / HTTP/1.1\r\nHost: a\r\nX: one\r\n two\r\n\r\n", 400, "http.malformed"},
      {"folded from the start", "GET / HTTP/1.1\r\nHost: a\r\nX:\r\n two\r\n\r\n", 400, "http.malformed"},
      {"NUL in a value", std::string("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 36), 400, "http.malformed"},
      {"CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400, "http.malformed"},
      {"bad field name", "GET / HTTP/1.1\r\nHost: a\r\nX(: b\r\n\r\n", 400, "http.malformed"},
      {"target without slash", "GET index HTTP/1.1\r\nHost: a\r\n\r\n", 400, "http.malformed"},
      {"fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "http.malformed"},
      {"asterisk for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "http.malformed"},
      {"both lengths", post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "http.malformed"},
      {"both lengths, other order", post + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400, "http.malformed"},
      {"two different lengths", post + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400, "http.malformed"},
      {"signed length", post + "Content-Length: +3\r\n\r\nabc", 400, "http.malformed"},
      {"huge length", post + "Content-Length: 99999999999999999999\r\n\r\n", 400, "http.malformed"},
      {"chunked twice", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "http.malformed"},
      {"coding in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "http.malformed"},
      {"bad chunk size", post + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400, "http.malformed"},
      {"negative chunk size", post + "Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400, "http.malformed"},
      {"chunk overrun", post + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400, "http.malformed"},
      {"bare LF after a chunk size", post + "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", 400, "http.malformed"},
      {"space after a chunk size", post + "Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n", 400, "http.malformed"},
      {"huge chunk size", post + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n", 400, "http.malformed"},
      {"unknown coding", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, "http.transfer_coding"},
      {"chunked not last", post + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 501, "http.transfer_coding"},
      {"hidden chunked", post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501, "http.transfer_coding"},
      {"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501, "http.not_a_proxy"},
      {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "http.version"},
      {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505, "http.version"},
      {"unknown expectation", get("/", "Expect: tea\r\n"), 417, "http.expectation_failed"},
      {"declared body too large", post + "Content-Length: 10001\r\n\r\n", 413, "http.body_too_large"},
      {"chunked body too large", post + "Transfer-Encoding: chunked\r\n\r\n2711\r\n" + std::string(10'001, 'x'), 413,
       "http.body_too_large"},
      {"target too long", get("/" + std::string(5000, 'x')), 414, "http.target_too_long"},
      {"header too large", get("/", "X: " + std::string(5000, 'x') + "\r\n"), 431, "http.header_too_large"},
      {"header too large in sum", get("/", "A: " + std::string(2000, 'x') + "\r\nB: " + std::string(2200, 'x') + "\r\n"), 431,
       "http.header_too_large"},
      {"endless trailer", post + "Transfer-Encoding: chunked\r\n\r\n0\r\nX: " + std::string(6000, 'x'), 400, "http.malformed"},
      {"truncated", "GET / HTTP/1.1\r\nHos", 400, "http.truncated"},
  };
  for (const auto& row : table) {
    SCOPED_TRACE(row.name);
    const std::string answer = exchange(row.bytes, row.code == "http.truncated");
    EXPECT_EQ(status_of(answer), row.status) << row.name << "\n" << answer;
    EXPECT_TRUE(has(answer, "application/problem+json")) << row.name;
    EXPECT_TRUE(has(answer, "\"code\":\"" + row.code + "\"")) << row.name << "\n" << answer;
    EXPECT_TRUE(has(answer, "Connection: close")) << row.name;
  }
  EXPECT_TRUE(seen_->requests.empty());
  EXPECT_EQ(status_of(exchange(get_and_close("/"))), 200) << "the server lives on";
}

TEST_F(HttpServerTest, AcceptsEveryFormOfTarget) {
  exchange("GET http://other:80/p?q HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  exchange("GET http://other?q HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  exchange("OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  ASSERT_EQ(seen_->requests.size(), 3u);
  EXPECT_EQ(seen_->requests[0].path, "/p");
  EXPECT_EQ(seen_->requests[0].headers.get("host"), "other:80");
  EXPECT_EQ(seen_->requests[1].target, "/?q");
  EXPECT_EQ(seen_->requests[2].path, "*");
}

TEST_F(HttpServerTest, SpeaksHttp10) {
  const std::string plain = exchange("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(status_of(plain), 200);
  EXPECT_EQ(body_of(plain), "GET / q=");
  const std::string stream = exchange("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(body_of(stream), "hello world");
  EXPECT_FALSE(has(stream, "chunked"));
  const std::string kept = exchange("GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(has(kept, "Connection: keep-alive\r\n")) << kept;
  EXPECT_TRUE(has(kept, "GET /2"));
}

TEST_F(HttpServerTest, StreamsInChunks) {
  EXPECT_EQ(body_of(exchange(get_and_close("/stream"))), "6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n");
}

TEST_F(HttpServerTest, OmitsTheBodyOfHeadAnd204) {
  const std::string head = exchange("HEAD /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(has(head, "Content-Length: 10\r\n")) << head;
  EXPECT_EQ(body_of(head), "");
  const std::string empty = exchange(get("/empty") + get_and_close("/next"));
  EXPECT_FALSE(has(empty, "ignored"));
  EXPECT_FALSE(has(empty.substr(0, empty.find("\r\n\r\n")), "Content-Length"));
  EXPECT_TRUE(has(empty, "GET /next"));
}

TEST_F(HttpServerTest, AnswersForHandlersThatFail) {
  for (const auto* path : {"/throw", "/silent"}) {
    const std::string answer = exchange(get(path) + get_and_close("/next"));
    EXPECT_EQ(status_of(answer), 500) << path;
    EXPECT_TRUE(has(answer, "\"code\":\"http.internal\""));
    EXPECT_FALSE(has(answer, "the handler broke"));
    EXPECT_TRUE(has(answer, "GET /next"));
  }
  const std::string cut = exchange(get("/half") + get("/next"));
  EXPECT_TRUE(cut.ends_with("4\r\nhalf\r\n")) << "an unfinished stream must look unfinished: " << cut;
}

TEST_F(HttpServerTest, LeavesOutHeadersThatWouldSplitTheResponse) {
  const std::string answer = exchange(get_and_close("/inject"));
  EXPECT_FALSE(has(answer, "stolen"));
  EXPECT_FALSE(has(answer, "Bad Name"));
  EXPECT_TRUE(has(answer, "Content-Length: 2\r\n"));
}

Task<> post_expecting(RawClient* client, std::string* interim, std::string* answer) {
  co_await client->write("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\nConnection: close\r\n\r\n");
  *interim = co_await client->read_until("\r\n\r\n");
  co_await client->write("body");
  *answer = co_await client->read_all();
}

TEST_F(HttpServerTest, SaysContinueBeforeTheBody) {
  serve();
  RawClient client(io_.get_executor());
  client.connect(server_->port());
  std::string interim, answer;
  run_task(io_, post_expecting(&client, &interim, &answer));
  EXPECT_EQ(interim, "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(body_of(answer), "body");
  const std::string refused = exchange("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 99999\r\n\r\n");
  EXPECT_EQ(status_of(refused), 413) << "no invitation for a body that is refused";
}

TEST_F(HttpServerTest, AnswersAClientThatShutDownItsSendingSide) {
  EXPECT_EQ(body_of(exchange(get("/half-close"), true)), "GET /half-close q=");
}

Task<> send_only(RawClient* client, std::string bytes) { co_await client->write(std::move(bytes)); }
Task<> read_into(RawClient* client, std::string* out) { *out = co_await client->read_all(); }

TEST_F(HttpServerTest, SlowClientsAreTimedOut) {
  serve();
  for (const auto& [bytes, status] : std::vector<std::pair<std::string, int>>{
           {"GET / HTTP/1.1\r\nHost:", 408}, {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", 408}, {"", 0}}) {
    RawClient client(io_.get_executor());
    client.connect(server_->port());
    run_task(io_, send_only(&client, bytes));
    settle();
    EXPECT_EQ(server_->counters().connections_open, 1u);
    advance(Millis{77'000});
    std::string out;
    run_task(io_, read_into(&client, &out));
    EXPECT_EQ(status_of(out), status) << out;
    client.socket.close();
    settle();
    EXPECT_EQ(server_->counters().connections_open, 0u);
  }
}

TEST_F(HttpServerTest, DrippingHeaderBytesDoesNotExtendTheTimeout) {
  serve();
  RawClient client(io_.get_executor());
  client.connect(server_->port());
  run_task(io_, send_only(&client, "GET / HTTP/1.1\r\nX: "));
  for (int i = 0; i < 18; ++i) {
    run_task(io_, send_only(&client, "x"));
    advance(Millis{1'000});
  }
  std::string out;
  run_task(io_, read_into(&client, &out));
  EXPECT_EQ(status_of(out), 408);
}

TEST_F(HttpServerTest, NoticesAResetWhileTheHandlerWaits) {
  serve();
  RawClient client(io_.get_executor());
  client.connect(server_->port());
  run_task(io_, send_only(&client, get("/wait")));
  settle();
  ASSERT_TRUE(seen_->is_waiting);
  client.reset_connection();
  advance(Millis{1'500});
  EXPECT_TRUE(seen_->was_disconnected);
  EXPECT_EQ(server_->counters().connections_open, 0u);
}

TEST_F(HttpServerTest, NoticesAnEndOfStreamWithinSecondsYetStillAnswers) {
  serve();
  RawClient client(io_.get_executor());
  client.connect(server_->port());
  run_task(io_, send_only(&client, get("/wait")));
  client.socket.shutdown(TestSocket::shutdown_send);
  advance(Millis{2'000});
  ASSERT_TRUE(seen_->is_waiting);
  EXPECT_FALSE(seen_->was_disconnected);
  advance(Millis{3'000});
  EXPECT_TRUE(seen_->was_disconnected);
  std::string out;
  run_task(io_, read_into(&client, &out));
  EXPECT_EQ(body_of(out), "late");
}

TEST_F(HttpServerTest, WritingWaitsForASlowReaderAndGivesUpAfterAMinute) {
  serve();
  RawClient client(io_.get_executor());
  client.connect(server_->port());
  run_task(io_, send_only(&client, get("/flood")));
  settle();
  const int writes = seen_->writes;
  settle();
  EXPECT_EQ(seen_->writes, writes) << "the writer must wait";
  EXPECT_LT(writes, 100) << "the kernel's buffers, not ours, hold what is under way";
  advance(Millis{50'000});
  EXPECT_FALSE(seen_->write_failed);
  advance(Millis{12'000});
  EXPECT_TRUE(seen_->write_failed);
  EXPECT_EQ(server_->counters().connections_open, 0u);
}

TEST_F(HttpServerTest, AWriterLearnsThatTheClientLeft) {
  serve();
  RawClient client(io_.get_executor());
  client.connect(server_->port());
  run_task(io_, send_only(&client, get("/flood")));
  settle();
  client.socket.close();
  settle();
  EXPECT_TRUE(seen_->write_failed);
}

TEST_F(HttpServerTest, RefusesConnectionsBeyondItsLimit) {
  options_.connections_max = 1;
  serve();
  RawClient first(io_.get_executor());
  first.connect(server_->port());
  settle();
  EXPECT_EQ(status_of(exchange("")), 503);
  EXPECT_EQ(server_->counters().connections_refused, 1u);
  EXPECT_EQ(server_->counters().connections_open, 1u);
}

TEST_F(HttpServerTest, StopLetsRunningRequestsFinish) {
  serve();
  RawClient busy(io_.get_executor()), idle(io_.get_executor());
  busy.connect(server_->port());
  idle.connect(server_->port());
  run_task(io_, send_only(&busy, get("/slow")));
  settle();
  ASSERT_TRUE(seen_->is_waiting);
  TaskGroup group(io_.get_executor());
  group.spawn(stop_server(Millis{10'000}));
  settle();
  EXPECT_EQ(server_->counters().connections_open, 1u) << "the idle connection ends at once";
  EXPECT_EQ(group.size(), 1u);
  advance(Millis{2'000});
  EXPECT_EQ(group.size(), 0u);
  std::string out;
  run_task(io_, read_into(&busy, &out));
  EXPECT_EQ(body_of(out), "slow answer");
  EXPECT_TRUE(has(out, "Connection: close")) << "the client must not reuse the connection";
  RawClient late(io_.get_executor());
  EXPECT_THROW(late.connect(server_->port()), std::exception);
}

TEST_F(HttpServerTest, StopCancelsWhatOutlivesTheGrace) {
  serve();
  RawClient client(io_.get_executor());
  client.connect(server_->port());
  run_task(io_, send_only(&client, get("/wait")));
  settle();
  TaskGroup group(io_.get_executor());
  group.spawn(stop_server(Millis{1'000}));
  settle();
  EXPECT_FALSE(seen_->was_disconnected);
  advance(Millis{1'500});
  EXPECT_TRUE(seen_->was_disconnected);
  EXPECT_EQ(group.size(), 0u);
  EXPECT_EQ(server_->counters().connections_open, 0u);
}

TEST_F(HttpServerTest, SaysWhyItCannotListen) {
  serve();
  ServerOptions same;
  same.port = server_->port();
  const auto taken = make_http_server(io_.get_executor(), clock_, same, {})->listen();
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, "net.address_in_use");
  const auto wrong = make_http_server(io_.get_executor(), clock_, {.address = "nowhere"}, {})->listen();
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, "net.bind");
}

TEST(PercentCoding, RoundTripsAndRefusesMalformedText) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  EXPECT_EQ(percent_decode(percent_encode(all), false), all);
  EXPECT_EQ(percent_encode("a b/ü~"), "a%20b%2F%C3%BC~");
  EXPECT_EQ(percent_decode("a+b%2b", true), "a b+");
  EXPECT_EQ(percent_decode("a+b", false), "a+b");
  for (const auto* bad : {"%", "%4", "%zz", "a%2"}) EXPECT_EQ(percent_decode(bad, false), std::nullopt) << bad;
}

}  // namespace
}  // namespace mayfly::net
