#include "net/egress_proxy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <unistd.h>

#include "net/egress_rules.h"
#include "net/net_test_support.h"

namespace mayfly::net {
namespace {

using Addresses = std::vector<asio::ip::address>;
using Acceptor = asio::basic_socket_acceptor<asio::ip::tcp, Executor>;
using Verdict = EgressProxyOptions::Verdict;

/// What the name service says: each lookup of a name takes its next answer, the last one stays.
struct Names {
  std::map<std::string, std::vector<Addresses>> answers;
  std::vector<std::string> asked;
};

Task<Result<Addresses>> look_up(std::shared_ptr<Names> names, std::string host) {
  names->asked.push_back(host);
  const auto found = names->answers.find(host);
  if (found == names->answers.end()) co_return fail("net.dns", "The name " + host + " cannot be resolved.", Retry::Safe);
  Addresses out = found->second.front();
  if (found->second.size() > 1) found->second.erase(found->second.begin());
  co_return out;
}

int listening_socket() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  EXPECT_EQ(::listen(fd, 64), 0);
  return fd;
}

std::uint16_t port_of(int fd) {
  sockaddr_in name{};
  socklen_t size = sizeof name;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size);
  return ntohs(name.sin_port);
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }
asio::ip::address ip(const char* text) { return asio::ip::make_address(text); }

class EgressProxyTest : public testing::Test {
 protected:
  EgressProxyTest() : world_(io_.get_executor(), {asio::ip::address_v4::loopback(), 0}), upstream_(io_.get_executor()) {
    options_.header_bytes_max = 4096;
    options_.listener_fd = listening_socket();
    options_.on_connection = [this](std::string_view host, std::uint16_t port, Verdict verdict) {
      log_.push_back(fmt::format("{}:{} {}", host, port, verdict == Verdict::Allowed ? "allowed" : "denied"));
    };
    port_ = port_of(options_.listener_fd);
    options_.allow = {here()};
  }
  ~EgressProxyTest() override { stop(); }

  /// The address of the world's only server.
  std::string here() { return fmt::format("127.0.0.1:{}", world_port()); }
  std::uint16_t world_port() { return world_.local_endpoint().port(); }

  void start() {
    proxy_ = make_egress_proxy(
        io_.get_executor(), clock_, [names = names_](std::string host, Millis, CancelToken) { return look_up(names, std::move(host)); },
        options_);
    const auto listening = proxy_->listen();
    ASSERT_TRUE(listening) << listening.error().message;
  }
  void stop() {
    if (proxy_) run_task(io_, stop_proxy());
    proxy_.reset();
  }
  Task<> stop_proxy() { co_await proxy_->stop(); }
  /// All that the proxy answers to `bytes`.
  std::string ask(std::string bytes) {
    if (!proxy_) start();
    std::string out;
    run_task(io_, ask_into(&out, std::move(bytes)));
    return out;
  }
  Task<> ask_into(std::string* out, std::string bytes) {
    RawClient client(io_.get_executor());
    client.connect(port_);
    co_await client.write(std::move(bytes));
    *out = co_await client.read_all();
  }
  std::string connect_to(std::string_view authority) { return ask(fmt::format("CONNECT {} HTTP/1.1\r\nHost: x\r\n\r\n", authority)); }
  /// Accepts the connection of the proxy.
  Task<> accept() { upstream_.socket = co_await world_.async_accept(use_task); }
  bool world_was_contacted() {
    world_.non_blocking(true);
    boost::system::error_code error;
    TestSocket socket(io_.get_executor());
    world_.accept(socket, error);
    return !error;
  }
  void settle() {
    io_.restart();
    for (int i = 0; i < 2'000 && io_.run_one_for(std::chrono::milliseconds(5)) > 0; ++i) {
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
  EgressProxyOptions options_;
  std::shared_ptr<Names> names_ = std::make_shared<Names>();
  std::vector<std::string> log_;
  Acceptor world_;
  RawClient upstream_;
  std::uint16_t port_ = 0;
  std::unique_ptr<EgressProxy> proxy_;
};

TEST_F(EgressProxyTest, TunnelsToAnAllowedHostWithHalfClose) {
  start();
  RawClient client(io_.get_executor());
  client.connect(port_);
  run_task(io_, [](RawClient* c, RawClient* up, std::string there, auto accept) -> Task<> {
    co_await c->write(fmt::format("CONNECT {} HTTP/1.1\r\nHost: {}\r\n\r\nearly ", there, there));
    co_await accept();
    EXPECT_EQ(co_await c->read_until("\r\n\r\n"), "HTTP/1.1 200 Connection established\r\n\r\n");
    co_await c->write("late\n");
    c->socket.shutdown(TestSocket::shutdown_send);
    EXPECT_EQ(co_await up->read_all(), "early late\n");
    co_await up->write("answer after the end of the question");
    up->socket.close();
    EXPECT_EQ(co_await c->read_all(), "answer after the end of the question");
    EXPECT_FALSE(c->was_reset);
  }(&client, &upstream_, here(), [this] { return accept(); }));
  EXPECT_EQ(log_, std::vector<std::string>{here() + " allowed"});
  EXPECT_EQ(proxy_->counters().requests_allowed, 1u);
  EXPECT_EQ(proxy_->counters().bytes_up, 11u);
  EXPECT_EQ(proxy_->counters().bytes_down, 36u);
  settle();
  EXPECT_EQ(proxy_->counters().connections_open, 0u);
}

TEST_F(EgressProxyTest, RefusesOtherHostsAndSaysHowToAllowThem) {
  names_->answers["evil.example"] = {{ip("127.0.0.1")}};
  const std::string answer = connect_to("Evil.Example.:443");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 403 Forbidden by the egress allow-list\r\n")) << answer;
  EXPECT_TRUE(has(answer, "egress.denied")) << answer;
  EXPECT_TRUE(has(answer, "evil.example:443")) << answer;
  EXPECT_TRUE(has(answer, R"(egress: {allow: [\"evil.example\"]})")) << answer;
  EXPECT_TRUE(has(connect_to("evil.example:8443"), R"(allow: [\"evil.example:8443\"])"));
  EXPECT_TRUE(ask("GET http://evil.example/secret?token=1 HTTP/1.1\r\nHost: evil.example\r\n\r\n").starts_with("HTTP/1.1 403"));
  EXPECT_TRUE(names_->asked.empty()) << "a lookup could carry data out";
  EXPECT_FALSE(world_was_contacted());
  EXPECT_EQ(log_, (std::vector<std::string>{"evil.example:443 denied", "evil.example:8443 denied", "evil.example:80 denied"}));
  EXPECT_EQ(proxy_->counters().requests_denied, 3u);
}

TEST_F(EgressProxyTest, AllowsOnlyThePortsThatAPatternNames) {
  options_.allow = {"a.example", "b.example:8443", "*.c.example"};
  for (const char* name : {"a.example", "b.example", "x.y.c.example"}) names_->answers[name] = {{ip("10.0.0.1")}};
  const auto is_looked_up = [&](std::string_view authority) {
    names_->asked.clear();
    EXPECT_TRUE(connect_to(authority).starts_with("HTTP/1.1 403"));
    return !names_->asked.empty();
  };
  EXPECT_TRUE(is_looked_up("a.example:443"));
  EXPECT_TRUE(is_looked_up("a.example:80"));
  EXPECT_FALSE(is_looked_up("a.example:22"));
  EXPECT_TRUE(is_looked_up("b.example:8443"));
  EXPECT_FALSE(is_looked_up("b.example:443"));
  EXPECT_TRUE(is_looked_up("X.Y.C.example:443"));
  EXPECT_FALSE(is_looked_up("c.example:443"));
  EXPECT_FALSE(is_looked_up("evilc.example:443"));
  EXPECT_FALSE(is_looked_up("a.example.evil.test:443"));
}

TEST_F(EgressProxyTest, NeverReachesInsideThroughAName) {
  options_.allow = {"*", "*:8000"};
  names_->answers["rebound.example"] = {{ip("127.0.0.1")}};
  names_->answers["mixed.example"] = {{ip("93.184.216.34"), ip("10.1.2.3")}};
  names_->answers["meta.example"] = {{ip("169.254.169.254")}};
  names_->answers["mapped.example"] = {{ip("::ffff:127.0.0.1")}};
  names_->answers["localhost"] = {{ip("::1")}};
  for (const char* authority : {"rebound.example:80", "mixed.example:80", "meta.example:80", "mapped.example:443", "localhost:8000"}) {
    const std::string answer = connect_to(authority);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 403")) << authority << answer;
    EXPECT_TRUE(has(answer, "not a public address")) << answer;
  }
  EXPECT_TRUE(has(connect_to("mixed.example:80"), "10.1.2.3"));
}

TEST_F(EgressProxyTest, NeverReachesInsideThroughAnySpellingOfAnAddress) {
  options_.allow = {"*", fmt::format("*:{}", world_port())};
  for (const std::string host : {"127.0.0.1",
                                 "127.1",
                                 "0x7f.1",
                                 "2130706433",
                                 "0177.0.0.1",
                                 "017700000001",
                                 "0.0.0.0",
                                 "127.0.0.1.",
                                 "[::1]",
                                 "[::ffff:127.0.0.1]",
                                 "[::ffff:7f00:1]",
                                 "[0:0:0:0:0:0:0:1]",
                                 "[::]",
                                 "[64:ff9b::7f00:1]",
                                 "169.254.169.254",
                                 "[fd00:ec2::254]",
                                 "10.0.0.1",
                                 "192.168.1.1",
                                 "[fe80::1]",
                                 "100.64.0.1",
                                 "224.0.0.1"}) {
    for (const std::string& port : {std::string("80"), std::to_string(world_port())}) {
      const std::string answer = connect_to(host + ":" + port);
      EXPECT_TRUE(answer.starts_with("HTTP/1.1 403") || answer.starts_with("HTTP/1.1 400")) << host << answer;
      const std::string forwarded = ask(fmt::format("GET http://{}:{}/latest/meta-data HTTP/1.1\r\nHost: x\r\n\r\n", host, port));
      EXPECT_TRUE(forwarded.starts_with("HTTP/1.1 403") || forwarded.starts_with("HTTP/1.1 400")) << host << forwarded;
    }
  }
  EXPECT_FALSE(world_was_contacted());
  EXPECT_TRUE(names_->asked.empty());
  EXPECT_EQ(proxy_->counters().requests_allowed, 0u);
}

TEST_F(EgressProxyTest, UsesTheCheckedAddressAndLooksUpOnce) {
  const std::string name = fmt::format("app.example:{}", world_port());
  options_.allow = {name, here()};
  names_->answers["app.example"] = {{ip("127.0.0.1")}, {ip("127.0.0.2")}};
  start();
  run_task(io_, [](std::uint16_t port, RawClient* up, std::string there, auto accept, Executor executor) -> Task<> {
    RawClient client(executor);
    client.connect(port);
    co_await client.write(fmt::format("CONNECT {} HTTP/1.1\r\n\r\n", there));
    co_await accept();
    EXPECT_TRUE((co_await client.read_until("\r\n\r\n")).starts_with("HTTP/1.1 200"));
    up->socket.close();
    client.socket.close();
  }(port_, &upstream_, name, [this] { return accept(); }, io_.get_executor()));
  EXPECT_EQ(names_->asked.size(), 1u);
  EXPECT_TRUE(connect_to(name).starts_with("HTTP/1.1 403")) << "the second answer of the name leads elsewhere";
  EXPECT_EQ(names_->asked.size(), 2u);
}

TEST_F(EgressProxyTest, ForwardsOneRequestInOriginForm) {
  start();
  std::string answer, seen;
  run_task(io_,
           [](std::uint16_t port, RawClient* up, std::string there, auto accept, Executor executor, std::string* out,
              std::string* head) -> Task<> {
             RawClient client(executor);
             client.connect(port);
             co_await client.write(
                 fmt::format("POST http://{}/a/../b?x=1 HTTP/1.1\r\nHost: other.example\r\nProxy-Authorization: Basic eA==\r\n"
                             "Proxy-Connection: keep-alive\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nX-Kept: 2\r\n"
                             "Content-Length: 4\r\n\r\nbodyGET http://evil.example/ HTTP/1.1\r\n\r\n",
                             there));
             co_await accept();
             *head = co_await up->read_until("body");
             co_await up->write("HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
             up->socket.shutdown(TestSocket::shutdown_send);
             *out = co_await client.read_until("\r\n\r\n");
             client.socket.close();
             EXPECT_EQ(co_await up->read_all(), "") << "a second request on the connection must not go to the first one's host";
           }(port_, &upstream_, here(), [this] { return accept(); }, io_.get_executor(), &answer, &seen));
  EXPECT_EQ(seen, fmt::format("POST /a/../b?x=1 HTTP/1.1\r\nHost: {}\r\nX-Kept: 2\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody",
                              here()));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 302 Found")) << "redirects are the client's to follow: " << answer;
  EXPECT_EQ(log_.size(), 1u);
}

TEST_F(EgressProxyTest, ForwardsChunkedBodiesUnchanged) {
  start();
  std::string seen;
  const std::string body = "3;x=1\r\nabc\r\n0\r\nSum: 1\r\n\r\n";
  run_task(io_,
           [](std::uint16_t port, RawClient* up, std::string there, std::string sent, auto accept, Executor executor,
              std::string* out) -> Task<> {
             RawClient client(executor);
             client.connect(port);
             co_await client.write(fmt::format("PUT http://{} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{}and more", there, sent));
             co_await accept();
             *out = co_await up->read_until("Sum: 1\r\n\r\n");
             co_await up->write("HTTP/1.1 200 OK\r\n\r\nstreamed ");
             EXPECT_TRUE((co_await client.read_until("streamed ")).starts_with("HTTP/1.1 200 OK"));
             co_await up->write("answer");
             up->socket.close();
             EXPECT_EQ(co_await client.read_all(), "answer");
           }(port_, &upstream_, here(), body, [this] { return accept(); }, io_.get_executor(), &seen));
  EXPECT_TRUE(seen.starts_with("PUT / HTTP/1.1\r\n")) << seen;
  EXPECT_TRUE(seen.ends_with("\r\n\r\n" + body)) << seen;
}

TEST_F(EgressProxyTest, RefusesWhatItDoesNotUnderstand) {
  const std::string there = "http://" + here();
  for (const std::string& request : std::vector<std::string>{
           "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
           "GET https://" + here() + "/ HTTP/1.1\r\n\r\n",
           "GET ftp://" + here() + "/ HTTP/1.1\r\n\r\n",
           "GET " + there + "/#x HTTP/1.1\r\n\r\n",
           "GET http://user:secret@" + here() + "/ HTTP/1.1\r\n\r\n",
           "GET " + there + "/ HTTP/2.0\r\n\r\n",
           "GET " + there + "/\r\n\r\n",
           "CONNECT example.com HTTP/1.1\r\n\r\n",
           "CONNECT example.com:0 HTTP/1.1\r\n\r\n",
           "CONNECT example.com:99999 HTTP/1.1\r\n\r\n",
           "CONNECT a@" + here() + " HTTP/1.1\r\n\r\n",
           "CONNECT http://" + here() + " HTTP/1.1\r\n\r\n",
           "POST " + there + "/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
           "POST " + there + "/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
           "POST " + there + "/ HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
           "POST " + there + "/ HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
           "GET " + there + "/ HTTP/1.1\r\nX: a\r\n folded\r\n\r\n",
           "GET " + there + "/ HTTP/1.1\r\nX : a\r\n\r\n",
           "GET " + there + "/ HTTP/1.1\r\nX: a\nY: b\r\n\r\n",
       }) {
    const std::string answer = ask(request);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400")) << request << answer;
    EXPECT_TRUE(has(answer, "egress.malformed")) << answer;
    EXPECT_FALSE(has(answer, "secret")) << answer;
  }
  EXPECT_TRUE(ask("GET " + there + "/" + std::string(5'000, 'x')).starts_with("HTTP/1.1 431"));
  EXPECT_FALSE(world_was_contacted());
}

TEST_F(EgressProxyTest, ExplainsHostsThatCannotBeReached) {
  options_.allow = {"gone.example", here()};
  EXPECT_TRUE(connect_to("gone.example:443").starts_with("HTTP/1.1 502"));
  const std::string there = here();
  world_.close();
  const std::string answer = connect_to(there);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 502")) << answer;
  EXPECT_TRUE(has(answer, "egress.unreachable")) << answer;
  EXPECT_TRUE(has(answer, there)) << answer;
  EXPECT_EQ(proxy_->counters().requests_failed, 2u);
}

TEST_F(EgressProxyTest, EndsSlowHeadersAndIdleTunnels) {
  start();
  RawClient slow(io_.get_executor()), idle(io_.get_executor());
  slow.connect(port_);
  idle.connect(port_);
  run_task(io_, [](RawClient* s, RawClient* i, std::string there, auto accept) -> Task<> {
    co_await s->write("CONNECT ");
    co_await i->write(fmt::format("CONNECT {} HTTP/1.1\r\n\r\n", there));
    co_await accept();
    co_await i->read_until("\r\n\r\n");
  }(&slow, &idle, here(), [this] { return accept(); }));
  for (int i = 0; i < 12; ++i) {
    advance(Millis{1'000});
    boost::system::error_code ignored;
    slow.socket.write_some(asio::buffer("x", 1), ignored);
  }
  EXPECT_EQ(proxy_->counters().requests_failed, 1u) << "dripping bytes must not extend the time";
  std::string answer;
  run_task(io_, [](RawClient* s, std::string* out) -> Task<> { *out = co_await s->read_until("\r\n"); }(&slow, &answer));
  EXPECT_EQ(answer, "HTTP/1.1 408 Request Timeout\r\n");
  advance(Millis{4'000});
  EXPECT_EQ(proxy_->counters().connections_open, 1u);
  advance(options_.idle_timeout);
  EXPECT_EQ(proxy_->counters().connections_open, 0u);
  EXPECT_FALSE(clock_.has_timers());
}

TEST_F(EgressProxyTest, HoldsTheSenderBackWhileTheReceiverIsSlow) {
  static constexpr std::size_t kBytes = std::size_t{64} << 20;
  start();
  RawClient client(io_.get_executor());
  client.connect(port_);
  std::size_t sent = 0;
  TaskGroup group(io_.get_executor());
  group.spawn([](RawClient* c, std::string there, auto accept, std::size_t* s) -> Task<> {
    co_await c->write(fmt::format("CONNECT {} HTTP/1.1\r\n\r\n", there));
    co_await accept();
    while (*s < kBytes && co_await c->write(std::string(1 << 20, 'x'))) *s += 1 << 20;
    c->socket.shutdown(TestSocket::shutdown_send);
  }(&client, here(), [this] { return accept(); }, &sent));
  settle();
  EXPECT_LT(sent, kBytes / 2) << "nobody reads, yet the client may send";
  std::size_t received = 0;
  group.spawn([](RawClient* up, std::size_t* count) -> Task<> {
    while (co_await up->read_some()) *count += std::exchange(up->received, {}).size();
    *count += up->received.size();
  }(&upstream_, &received));
  io_.restart();
  while (group.size() > 0) ASSERT_GT(io_.run_one_for(std::chrono::seconds(10)), 0u);
  EXPECT_EQ(received, kBytes);
  EXPECT_EQ(proxy_->counters().bytes_up, kBytes);
}

TEST_F(EgressProxyTest, BoundsItsConnections) {
  options_.connections_max = 1;
  start();
  RawClient first(io_.get_executor());
  first.connect(port_);
  settle();
  const std::string answer = ask("");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503")) << answer;
  EXPECT_TRUE(has(answer, "egress.busy")) << answer;
  EXPECT_EQ(proxy_->counters().connections_refused, 1u);
  first.socket.close();
  settle();
  EXPECT_EQ(proxy_->counters().connections_open, 0u);
}

TEST_F(EgressProxyTest, StoppingEndsTunnelsAndClosesTheListener) {
  start();
  RawClient client(io_.get_executor());
  client.connect(port_);
  run_task(io_, [](RawClient* c, std::string there, auto accept) -> Task<> {
    co_await c->write(fmt::format("CONNECT {} HTTP/1.1\r\n\r\n", there));
    co_await accept();
    co_await c->read_until("\r\n\r\n");
  }(&client, here(), [this] { return accept(); }));
  stop();
  run_task(io_, [](RawClient* c, RawClient* up) -> Task<> {
    co_await c->read_all();
    co_await up->read_all();
  }(&client, &upstream_));
  EXPECT_EQ(::fcntl(options_.listener_fd, F_GETFD), -1);
}

TEST_F(EgressProxyTest, ReachesIpv6WhenListed) {
  boost::system::error_code error;
  Acceptor world6(io_.get_executor());
  world6.open(asio::ip::tcp::v6(), error);
  if (!error) world6.bind({asio::ip::address_v6::loopback(), 0}, error);
  if (!error) world6.listen(4, error);
  if (error) GTEST_SKIP() << "this machine has no IPv6 loopback";
  const std::uint16_t port = world6.local_endpoint().port();
  options_.allow = {fmt::format("[::1]:{}", port)};
  start();
  std::string head;
  run_task(io_, [](std::uint16_t proxy, std::uint16_t there, Acceptor* world, Executor executor, std::string* out) -> Task<> {
    RawClient client(executor), up(executor);
    client.connect(proxy);
    co_await client.write(fmt::format("GET http://[0:0::1]:{}/ HTTP/1.1\r\nHost: x\r\n\r\n", there));
    up.socket = co_await world->async_accept(use_task);
    *out = co_await up.read_until("\r\n\r\n");
    up.socket.close();
    client.socket.close();
  }(port_, port, &world6, io_.get_executor(), &head));
  EXPECT_TRUE(has(head, fmt::format("Host: [::1]:{}\r\n", port))) << head;
}

TEST(EgressRules, ReadsPatterns) {
  for (const char* good : {"api.example.com", "API.Example.com.", "*.example.com:443", "*", "*:8443", "127.0.0.1:8000", "93.184.216.34",
                           "[::1]:8000", "2606:4700::1111", "xn--bcher-kva.example", "host_1:1"}) {
    const auto rules = EgressRules::parse({good});
    EXPECT_TRUE(rules) << good << ": " << rules.error().message;
  }
  for (const char* bad :
       {"", "http://example.com", "example.com/path", "exa mple.com", "*.", "*example.com", "a.*.com", "example.com:", "example.com:0",
        "example.com:70000", "example.com:http", "10.0.0.0/8", "127.0.0.1", "::1", "169.254.169.254", "*.127.0.0.1", "user@example.com",
        "b\xc3\xbc"
        "cher.example"}) {
    const auto rules = EgressRules::parse({bad});
    ASSERT_FALSE(rules) << bad;
    EXPECT_EQ(rules.error().code, "egress.invalid_pattern");
  }
  EXPECT_TRUE(has(EgressRules::parse({"10.0.0.5"}).error().message, "10.0.0.5:8000"));
  EXPECT_FALSE(EgressRules::parse(std::vector<std::string>(1'001, "a.example")));
}

}  // namespace
}  // namespace mayfly::net
