#include "net/egress_connection.h"

#include <fmt/format.h>

#include <boost/asio/write.hpp>

#include "net/chunk_decoder.h"
#include "net/http_server.h"

namespace mayfly::net {
namespace {

constexpr asio::as_tuple_t<asio::use_awaitable_t<Executor>> use_tuple{asio::use_awaitable_t<Executor>{}};
constexpr std::size_t kPumpBytes = 16 * 1024;
constexpr std::size_t kReadBytes = 4 * 1024;
constexpr std::size_t kAddressesMax = 8;
constexpr std::size_t kLingerBytesMax = 1024 * 1024;
constexpr Millis kLingerTime{2'000};

using Tcp = asio::ip::tcp;

int status_of(std::string_view code) {
  if (code == "egress.denied") return 403;
  if (code == "egress.malformed") return 400;
  if (code == "egress.timeout") return 408;
  if (code == "egress.header_too_large") return 431;
  return 502;
}

/// The client went away: there is nobody to tell.
constexpr std::string_view kGone = "egress.gone";

void close(EgressConnection::Socket& socket) {
  boost::system::error_code ignored;
  socket.close(ignored);
}

}  // namespace

std::string egress_refusal(int status, std::string_view code, std::string_view detail) {
  // Many clients show the reason phrase of a refused CONNECT and nothing else.
  const std::string_view reason = status == 403 ? "Forbidden by the egress allow-list" : reason_phrase(status);
  const Response response = problem(status, code, detail);
  return fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}", status, reason,
                     response.headers.get("content-type"), response.body.size(), response.body);
}

EgressConnection::EgressConnection(EgressHost& host, Socket client, Executor executor)
    : host_(host), executor_(executor), client_(std::move(client)), server_(executor) {
  boost::system::error_code ignored;
  client_.set_option(Tcp::no_delay(true), ignored);
  enter(Phase::Header, host.options.header_timeout);
}

Task<> EgressConnection::run() {
  auto request = co_await read_request();
  if (!request) {
    ++host_.counts.requests_failed;
    if (request.error().code != kGone) co_await refuse(request.error());
  } else if (co_await open(request->target)) {
    co_await serve(std::move(*request));
  }
  abort();
}

Task<Result<ProxyRequest>> EgressConnection::read_request() {
  std::size_t end = std::string::npos;
  while ((end = received_.find("\r\n\r\n")) == std::string::npos) {
    if (received_.size() >= host_.options.header_bytes_max) {
      co_return fail("egress.header_too_large", "The header of the request is too large; send fewer or shorter fields.");
    }
    const std::size_t before = received_.size();
    received_.resize(std::min(before + kReadBytes, host_.options.header_bytes_max));
    auto [error, count] = co_await client_.async_read_some(asio::buffer(received_.data() + before, received_.size() - before), use_tuple);
    received_.resize(before + count);
    if (is_expired_) co_return fail("egress.timeout", "The request did not arrive in time; send it again, faster.");
    if (error) co_return fail(std::string(kGone), "The client went away.");
  }
  auto request = parse_proxy_request(std::string_view(received_).substr(0, end + 4));
  received_.erase(0, end + 4);
  co_return request;
}

/// Decides, looks up, connects; false when the client has been told why not.
Task<bool> EgressConnection::open(EgressTarget target) {
  enter(Phase::Connecting, host_.options.connect_timeout);
  using Verdict = EgressProxyOptions::Verdict;
  const auto connected = co_await connect(target);
  const bool is_denied = !connected && connected.error().code == "egress.denied";
  ++(connected ? host_.counts.requests_allowed : is_denied ? host_.counts.requests_denied : host_.counts.requests_failed);
  if (host_.options.on_connection) host_.options.on_connection(target.host, target.port, is_denied ? Verdict::Denied : Verdict::Allowed);
  if (connected) co_return true;
  co_await refuse(connected.error());
  co_return false;
}

Task<Result<void>> EgressConnection::connect(EgressTarget target) {
  if (auto allowed = host_.rules.check_host(target); !allowed) co_return allowed;
  std::vector<IpAddress> addresses;
  if (target.literal) {
    addresses.push_back(*target.literal);
  } else {
    auto found = co_await host_.resolve(target.host, host_.options.connect_timeout, gone_.token());
    if (!found) co_return fail("egress.unreachable", found.error().message, Retry::Safe);
    addresses = std::move(*found);
  }
  if (auto allowed = host_.rules.check_addresses(target, addresses); !allowed) co_return allowed;
  if (addresses.size() > kAddressesMax) addresses.resize(kAddressesMax);
  std::string why = "it has no address";
  for (const IpAddress& address : addresses) {
    if (is_expired_ || gone_.cancelled()) break;
    close(server_);
    auto [error] = co_await server_.async_connect(Tcp::endpoint(address, target.port), use_tuple);
    if (!error && !is_expired_ && !gone_.cancelled()) {
      boost::system::error_code ignored;
      server_.set_option(Tcp::no_delay(true), ignored);
      co_return Result<void>();
    }
    why = error.message();
  }
  if (is_expired_) why = "it took too long";
  co_return fail("egress.unreachable",
                 fmt::format("Cannot connect to {}:{}: {}. Check that the host listens there.", target.host, target.port, why),
                 Retry::Safe);
}

Task<> EgressConnection::refuse(Error error) {
  if (gone_.cancelled()) co_return;
  is_expired_ = false;
  if (co_await write(&client_, egress_refusal(status_of(error.code), error.code, error.message), nullptr)) co_await linger();
}

/// Closing with unread input would reset the connection and may destroy the answer on its way.
Task<> EgressConnection::linger() {
  boost::system::error_code ignored;
  client_.shutdown(Socket::shutdown_send, ignored);
  enter(Phase::Lingering, kLingerTime);
  std::string unread(kReadBytes, '\0');
  for (std::size_t read = 0; read < kLingerBytesMax;) {
    auto [failed, count] = co_await client_.async_read_some(asio::buffer(unread), use_tuple);
    if (failed || is_expired_) break;
    read += count;
  }
}

Task<> EgressConnection::serve(ProxyRequest request) {
  touch();
  const bool is_tunnel = request.kind == ProxyRequest::Kind::Tunnel;
  const bool is_begun = is_tunnel ? co_await write(&client_, "HTTP/1.1 200 Connection established\r\n\r\n", nullptr)
                                  : co_await write(&server_, std::move(request.head), &host_.counts.bytes_up);
  if (!is_begun) co_return;
  TaskGroup both(executor_);
  if (is_tunnel) {
    both.spawn(pump_tunnel_up());
    both.spawn(pump(&server_, &client_, &host_.counts.bytes_down));
  } else {
    both.spawn(pump_body(request.content_length, request.is_chunked));
    both.spawn(pump_answer());
  }
  co_await both.join();
  if (!is_tunnel && !gone_.cancelled()) co_await linger();
}

Task<> EgressConnection::pump_tunnel_up() {
  std::string early = std::exchange(received_, {});
  if (!early.empty() && !co_await write(&server_, std::move(early), &host_.counts.bytes_up)) co_return abort();
  co_await pump(&client_, &server_, &host_.counts.bytes_up);
}

Task<> EgressConnection::pump_answer() {
  co_await pump(&server_, &client_, &host_.counts.bytes_down);
  // What is left of the request's body is of no use to anybody.
  boost::system::error_code ignored;
  client_.cancel(ignored);
  close(server_);
}

Task<> EgressConnection::pump(Socket* from, Socket* to, std::uint64_t* counter) {
  std::string buffer;
  for (;;) {
    // Waiting first: an idle tunnel needs no buffer.
    co_await from->async_wait(Socket::wait_read, use_tuple);
    buffer.resize(kPumpBytes);
    auto [error, count] = co_await from->async_read_some(asio::buffer(buffer), use_tuple);
    if (error == asio::error::eof) break;
    if (error) co_return abort();
    buffer.resize(count);
    if (!co_await write(to, std::exchange(buffer, {}), counter)) co_return abort();
  }
  boost::system::error_code ignored;
  to->shutdown(Socket::shutdown_send, ignored);
}

Task<> EgressConnection::pump_body(std::uint64_t content_length, bool is_chunked) {
  ChunkDecoder chunks(SIZE_MAX, host_.options.header_bytes_max);
  for (std::uint64_t left = content_length; is_chunked || left > 0;) {
    if (received_.empty()) {
      received_.resize(kPumpBytes);
      auto [error, count] = co_await client_.async_read_some(asio::buffer(received_), use_tuple);
      received_.resize(count);
      if (error == asio::error::operation_aborted) co_return;
      if (error) co_return abort();
    }
    std::size_t used = std::min<std::uint64_t>(left, received_.size());
    std::string decoded;
    const auto status = is_chunked ? chunks.feed(received_, decoded, used) : ChunkDecoder::Status::NeedMore;
    if (status != ChunkDecoder::Status::NeedMore && status != ChunkDecoder::Status::Done) co_return abort();
    std::string bytes = received_.substr(0, used);
    received_.erase(0, used);
    left -= is_chunked ? 0 : used;
    if (!co_await write(&server_, std::move(bytes), &host_.counts.bytes_up) || status == ChunkDecoder::Status::Done) co_return;
  }
}

Task<bool> EgressConnection::write(Socket* to, std::string bytes, std::uint64_t* counter) {
  for (std::string_view rest = bytes; !rest.empty();) {
    touch();
    auto [error, count] = co_await to->async_write_some(asio::buffer(rest), use_tuple);
    if (error) co_return false;
    if (counter != nullptr) *counter += count;
    rest.remove_prefix(count);
  }
  touch();
  co_return true;
}

void EgressConnection::enter(Phase phase, Millis timeout) {
  phase_ = phase;
  deadline_ = timeout > Millis{0} ? host_.clock.monotonic() + timeout : std::chrono::nanoseconds{0};
}

void EgressConnection::expire(std::chrono::nanoseconds now) {
  if (deadline_.count() == 0 || now < deadline_ || is_expired_) return;
  if (phase_ == Phase::Pumping) return abort();
  is_expired_ = true;
  boost::system::error_code ignored;
  client_.cancel(ignored);
  server_.cancel(ignored);
}

void EgressConnection::abort() {
  close(client_);
  close(server_);
  gone_.cancel();
}

}  // namespace mayfly::net
