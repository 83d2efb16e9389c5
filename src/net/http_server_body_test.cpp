#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/local/stream_protocol.hpp>

#include "net/net_test_support.h"

/// Bodies that are read while they arrive, and listeners that somebody else made.
namespace mayfly::net {
namespace {

struct Seen {
  std::vector<std::string> pieces;
  std::size_t bytes = 0;
  std::optional<Error> error;
  std::optional<Error> error_again;
  Headers trailers;
  std::string body;
  std::string remote_address;
  bool remote_is_loopback = true;
  bool had_reader = false;
  bool was_called = false;
  CancelSource gate;  ///< handlers of /gated read only after it is cancelled
};

Task<> pass(CancelToken gate) {
  while (!gate.cancelled()) co_await yield_now();
}

Task<> read_all(std::shared_ptr<Seen> seen, BodyReader* reader) {
  for (;;) {
    auto piece = co_await reader->next();
    if (!piece) {
      seen->error = piece.error();
      const auto again = co_await reader->next();
      if (!again) seen->error_again = again.error();
      co_return;
    }
    if (!*piece) break;
    seen->bytes += (*piece)->size();
    if (seen->pieces.size() < 10) seen->pieces.push_back(**piece);
  }
  seen->trailers = reader->trailers();
}

Task<> respond(std::shared_ptr<Seen> seen, Request& request, Responder& responder) {
  seen->was_called = true;
  seen->had_reader = request.body_reader != nullptr;
  seen->remote_address = request.remote_address;
  seen->remote_is_loopback = request.remote_is_loopback;
  seen->body += request.body;
  if (request.path == "/unread") {
    co_await responder.send({200, {}, "no thanks"});
    co_return;
  }
  if (request.path == "/gated") co_await pass(seen->gate.token());
  if (request.body_reader != nullptr) {
    co_await read_all(seen, request.body_reader);
    if (seen->error) co_return;
  } else {
    seen->trailers = request.trailers;
  }
  co_await responder.send({202, {}, fmt::format("{} bytes", seen->bytes + request.body.size())});
}

BodyPolicy policy_of(const Request& head) {
  if (head.path == "/large") return {.bytes_max = 50'000};
  if (head.path == "/small") return {.mode = BodyPolicy::Mode::Stream, .bytes_max = 8};
  if (head.path == "/patient") return {.mode = BodyPolicy::Mode::Stream, .read_timeout = Millis{0}};
  if (head.path == "/gated") return {.mode = BodyPolicy::Mode::Stream, .bytes_max = std::size_t{200} << 20};
  if (head.path == "/stream" || head.path == "/unread") return {.mode = BodyPolicy::Mode::Stream};
  return {};
}

int listening_tcp() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  EXPECT_EQ(::listen(fd, 16), 0);
  return fd;
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }

class HttpServerBodyTest : public testing::Test {
 protected:
  HttpServerBodyTest() {
    options_.header_bytes_max = 4096;
    options_.body_bytes_max = 10'000;
    options_.body_policy = policy_of;
  }
  ~HttpServerBodyTest() override { stop(); }

  Result<void> serve() {
    server_ =
        make_http_server(io_.get_executor(), clock_, options_, [seen = seen_](Request& q, Responder& r) { return respond(seen, q, r); });
    return server_->listen();
  }
  void stop() {
    if (server_) run_task(io_, stop_server());
    server_.reset();
  }
  Task<> stop_server() { co_await server_->stop(Millis{0}); }
  std::string exchange(std::vector<std::string> parts, bool shuts_down = false) {
    if (!server_) EXPECT_TRUE(serve());
    std::string out;
    run_task(io_, exchange_into(&out, std::move(parts), shuts_down));
    return out;
  }
  Task<> exchange_into(std::string* out, std::vector<std::string> parts, bool shuts_down) {
    RawClient client(io_.get_executor());
    client.connect(server_->port());
    for (auto& part : parts) {
      co_await client.write(std::move(part));
      for (int i = 0; i < 20; ++i) co_await yield_now();
    }
    if (shuts_down) client.socket.shutdown(TestSocket::shutdown_send);
    *out = co_await client.read_all();
  }
  void settle() {
    io_.restart();
    for (int i = 0; i < 2'000 && io_.run_one_for(std::chrono::milliseconds(5)) > 0; ++i) {
    }
  }

  asio::io_context io_;
  ManualClock clock_{io_.get_executor()};
  ServerOptions options_;
  std::shared_ptr<Seen> seen_ = std::make_shared<Seen>();
  std::unique_ptr<HttpServer> server_;
};

std::string post(std::string_view path, std::string_view more) { return fmt::format("POST {} HTTP/1.1\r\nHost: x\r\n{}\r\n", path, more); }
const std::string kChunked = "Transfer-Encoding: chunked\r\n";
const std::string kClose = "Connection: close\r\n";
bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST_F(HttpServerBodyTest, HandsOverChunksAsTheyArriveAndThenTheTrailers) {
  const std::string answer = exchange({post("/stream", kChunked + kClose), "5\r\nhello\r\n", "6\r\n world\r\n",
                                       "0\r\nLambda-Runtime-Function-Error-Type:  Runtime.Oops \r\n"
                                       "lambda-runtime-function-error-body: e30=\r\n\r\n"});
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 202")) << answer;
  EXPECT_TRUE(answer.ends_with("11 bytes")) << answer;
  EXPECT_EQ(seen_->pieces, (std::vector<std::string>{"hello", " world"}));
  EXPECT_EQ(seen_->body, "");
  EXPECT_EQ(seen_->trailers.get("Lambda-Runtime-Function-Error-Type"), "Runtime.Oops");
  EXPECT_EQ(seen_->trailers.get("Lambda-Runtime-Function-Error-Body"), "e30=");
}

TEST_F(HttpServerBodyTest, CallsTheHandlerBeforeTheBodyIsWhole) {
  ASSERT_TRUE(serve());
  RawClient client(io_.get_executor());
  client.connect(server_->port());
  run_task(io_, [](RawClient* c) -> Task<> { co_await c->write(post("/stream", "Content-Length: 10\r\n") + "half-"); }(&client));
  settle();
  EXPECT_TRUE(seen_->was_called);
  EXPECT_EQ(seen_->pieces, std::vector<std::string>{"half-"});
}

TEST_F(HttpServerBodyTest, KeepsTheConnectionForTheNextRequestOnceABodyIsRead) {
  const std::string answer =
      exchange({post("/stream", kChunked) + "3\r\nabc\r\n0\r\n\r\n" + post("/stream", "Content-Length: 0\r\n") + post("/whole", kClose)});
  EXPECT_TRUE(has(answer, "3 bytes")) << answer;
  EXPECT_EQ(answer.find("HTTP/1.1 202", 10) != std::string::npos, true);
  EXPECT_TRUE(has(answer.substr(answer.rfind("HTTP/1.1")), "Connection: close")) << answer;
  EXPECT_FALSE(seen_->had_reader) << "the last request is not streamed";
}

TEST_F(HttpServerBodyTest, HoldsTheClientBackWhileNobodyReads) {
  static constexpr std::size_t kBytes = std::size_t{64} << 20;
  ASSERT_TRUE(serve());
  RawClient client(io_.get_executor());
  client.connect(server_->port());
  std::size_t sent = 0;
  std::string answer;
  TaskGroup group(io_.get_executor());
  group.spawn([](RawClient* c, std::size_t* s, std::string* out) -> Task<> {
    co_await c->write(post("/gated", fmt::format("Content-Length: {}\r\nConnection: close\r\n", kBytes)));
    while (*s < kBytes && co_await c->write(std::string(1 << 20, 'x'))) *s += 1 << 20;
    *out = co_await c->read_all();
  }(&client, &sent, &answer));
  settle();
  EXPECT_TRUE(seen_->was_called);
  EXPECT_LT(sent, kBytes / 2) << "the client was not held back";
  seen_->gate.cancel();
  io_.restart();
  while (group.size() > 0) ASSERT_GT(io_.run_one_for(std::chrono::seconds(10)), 0u);
  EXPECT_EQ(seen_->bytes, kBytes);
  EXPECT_TRUE(answer.ends_with(fmt::format("{} bytes", kBytes))) << answer;
}

TEST_F(HttpServerBodyTest, LimitsAreThoseOfTheRoute) {
  const auto with_length = [](std::string_view path, std::size_t size) {
    return post(path, fmt::format("Content-Length: {}\r\nConnection: close\r\n", size)) + std::string(size, 'x');
  };
  EXPECT_TRUE(exchange({with_length("/whole", 10'001)}).starts_with("HTTP/1.1 413"));
  EXPECT_TRUE(exchange({with_length("/large", 50'000)}).starts_with("HTTP/1.1 202"));
  EXPECT_TRUE(exchange({with_length("/large", 50'001)}).starts_with("HTTP/1.1 413"));
  seen_->was_called = false;
  EXPECT_TRUE(exchange({with_length("/small", 9)}).starts_with("HTTP/1.1 413"));
  EXPECT_FALSE(seen_->was_called) << "an announced length over the limit needs no handler";
  const std::string answer = exchange({post("/small", kChunked) + "4\r\nfour\r\n", "5\r\nfive!\r\n0\r\n\r\n"});
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 413")) << answer;
  EXPECT_TRUE(has(answer, "http.body_too_large")) << answer;
  ASSERT_TRUE(seen_->error);
  EXPECT_EQ(seen_->error->code, "http.body_too_large");
  EXPECT_EQ(seen_->error_again, seen_->error);
}

TEST_F(HttpServerBodyTest, TellsTheHandlerWhatWentWrong) {
  EXPECT_TRUE(exchange({post("/stream", kChunked), "5\r\nhel"}, true).starts_with("HTTP/1.1 400"));
  EXPECT_EQ(seen_->error.value_or(Error{}).code, "http.truncated");
  EXPECT_TRUE(exchange({post("/stream", kChunked), "5\r\nhelloXX"}).starts_with("HTTP/1.1 400"));
  EXPECT_EQ(seen_->error.value_or(Error{}).code, "http.malformed");
  EXPECT_TRUE(exchange({post("/stream", kChunked), "0\r\nNo Name: 1\r\n\r\n"}).starts_with("HTTP/1.1 400"));
  EXPECT_TRUE(exchange({post("/stream", kChunked), "0\r\nno-colon\r\n\r\n"}).starts_with("HTTP/1.1 400"));
}

TEST_F(HttpServerBodyTest, WaitsNoLongerThanThePolicySays) {
  ASSERT_TRUE(serve());
  for (const std::string path : {"/patient", "/stream"}) {
    RawClient client(io_.get_executor());
    client.connect(server_->port());
    run_task(io_, [](RawClient* c, std::string head) -> Task<> { co_await c->write(head); }(&client, post(path, kChunked) + "1\r\na\r\n"));
    settle();
    for (int i = 0; i < 70; ++i) {
      clock_.advance(Millis{1'000});
      settle();
    }
    if (path == "/patient") {
      EXPECT_FALSE(seen_->error) << seen_->error->message;
    } else {
      std::string answer;
      run_task(io_, [](RawClient* c, std::string* out) -> Task<> { *out = co_await c->read_until("\r\n"); }(&client, &answer));
      EXPECT_EQ(answer, "HTTP/1.1 408 Request Timeout\r\n");
      EXPECT_EQ(seen_->error.value_or(Error{}).code, "http.timeout");
    }
    client.socket.close();
    settle();
    seen_->error.reset();
  }
}

TEST_F(HttpServerBodyTest, AnAnswerBeforeTheEndOfTheBodyClosesTheConnection) {
  const std::string answer = exchange({post("/unread", "Content-Length: 9000\r\n") + std::string(4000, 'x'), std::string(5000, 'x')}, true);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
  EXPECT_TRUE(has(answer, "Connection: close\r\n")) << answer;
  EXPECT_TRUE(answer.ends_with("no thanks")) << answer;
}

TEST_F(HttpServerBodyTest, SaysContinueOnlyWhenTheHandlerWantsTheBody) {
  ASSERT_TRUE(serve());
  RawClient client(io_.get_executor());
  client.connect(server_->port());
  run_task(io_, [](RawClient* c, Seen* seen) -> Task<> {
    co_await c->write(post("/gated", "Expect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n"));
    while (!seen->was_called) co_await yield_now();
    seen->gate.cancel();
    EXPECT_EQ(co_await c->read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    co_await c->write("ok");
    EXPECT_TRUE((co_await c->read_all()).ends_with("2 bytes"));
  }(&client, seen_.get()));
  const std::string unwanted = exchange({post("/unread", "Expect: 100-continue\r\nContent-Length: 2\r\n")}, true);
  EXPECT_TRUE(unwanted.starts_with("HTTP/1.1 200")) << unwanted;
}

TEST_F(HttpServerBodyTest, WholeBodiesShowTheirTrailersToo) {
  exchange({post("/whole", kChunked + kClose) + "2\r\nok\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n"});
  EXPECT_FALSE(seen_->had_reader);
  EXPECT_EQ(seen_->body, "ok");
  EXPECT_EQ(seen_->trailers.size(), 2u);
  EXPECT_EQ(seen_->trailers.get("x-sum"), "1");
}

TEST_F(HttpServerBodyTest, ServesAnAdoptedTcpListener) {
  options_.listener_fd = listening_tcp();
  options_.address = "not an address";
  const std::string answer = exchange({post("/whole", kClose)});
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 202")) << answer;
  EXPECT_NE(server_->port(), 0);
  EXPECT_TRUE(seen_->remote_address.starts_with("127.0.0.1:"));
  EXPECT_FALSE(seen_->remote_is_loopback) << "it may be the loopback of another network namespace";
  stop();
  EXPECT_FALSE(is_open(options_.listener_fd)) << "the server owns its listener";
}

TEST_F(HttpServerBodyTest, ServesAnAdoptedUnixListener) {
  using Unix = asio::local::stream_protocol;
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const std::string abstract = fmt::format("{}mayfly-net-test-{}", '\0', ::getpid());
  abstract.copy(name.sun_path, sizeof name.sun_path);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + abstract.size());
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&name), size), 0);
  ASSERT_EQ(::listen(fd, 4), 0);
  options_.listener_fd = fd;
  ASSERT_TRUE(serve());
  EXPECT_EQ(server_->port(), 0);
  std::string answer;
  run_task(io_, [](asio::io_context* io, std::string path, std::string* out) -> Task<> {
    asio::basic_stream_socket<Unix, Executor> client(io->get_executor());
    client.connect(Unix::endpoint(path));
    const std::string text = post("/stream", kChunked + kClose) + "2\r\nhi\r\n0\r\n\r\n";
    co_await asio::async_write(client, asio::buffer(text), use_test_tuple);
    std::string chunk(4096, '\0');
    for (;;) {
      const auto [error, count] = co_await client.async_read_some(asio::buffer(chunk), use_test_tuple);
      out->append(chunk, 0, count);
      if (error) break;
    }
  }(&io_, abstract, &answer));
  EXPECT_TRUE(answer.ends_with("2 bytes")) << answer;
  EXPECT_EQ(seen_->remote_address, "unix");
  EXPECT_FALSE(seen_->remote_is_loopback);
}

TEST_F(HttpServerBodyTest, RefusesADescriptorThatDoesNotListenAndClosesIt) {
  const int unbound = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  options_.listener_fd = unbound;
  const auto listening = serve();
  ASSERT_FALSE(listening);
  EXPECT_EQ(listening.error().code, "net.bind");
  server_.reset();
  EXPECT_FALSE(is_open(unbound));

  const int unused = options_.listener_fd = listening_tcp();
  server_ = make_http_server(io_.get_executor(), clock_, options_, [](Request&, Responder&) -> Task<> { co_return; });
  server_.reset();
  EXPECT_FALSE(is_open(unused)) << "also without listen";
}

TEST_F(HttpServerBodyTest, AServerWithoutConnectionsHasNoTimer) {
  options_.listener_fd = listening_tcp();
  exchange({post("/whole", kClose)});
  clock_.advance(Millis{1'000});
  EXPECT_FALSE(clock_.has_timers());
}

}  // namespace
}  // namespace mayfly::net
