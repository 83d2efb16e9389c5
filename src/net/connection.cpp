#include "net/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "net/response_head.h"

namespace mayfly::net {
namespace {

constexpr Millis kWriteStallMax{60'000};
constexpr Millis kLingerTime{2'000};
constexpr Millis kEndOfStreamGrace{3'000};
constexpr std::size_t kLingerBytesMax = 1024 * 1024;
constexpr std::size_t kBufferBytes = 2 * 1024;
constexpr std::size_t kBodyBufferBytes = 64 * 1024;

const Refusal kTooSlow{408, "http.timeout", "The request did not arrive in time; send it again, faster."};
const Refusal kTruncated{400, "http.truncated", "The connection ended in the middle of the request; send the whole request."};

bool has_no_body(int status) { return status < 200 || status == 204 || status == 304; }

std::optional<std::size_t> given_length(const Headers& headers) {
  const std::string_view text = headers.find("content-length").value_or("");
  std::size_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return length;
}

}  // namespace

std::string_view ConnectionHost::date() {
  const TimePoint now = clock.now();
  const std::int64_t second = to_unix_ms(now) / 1000;
  if (second != date_second_) {
    date_ = to_imf_date(now);
    date_second_ = second;
  }
  return date_;
}

void refuse_connection(Socket& socket) {
  constexpr std::string_view kBusy = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  boost::system::error_code ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(kBusy), ignored);
  socket.shutdown(Socket::shutdown_send, ignored);
}

/// Lives as long as one handler call.
class Connection::HttpResponder final : public Responder {
 public:
  HttpResponder(Connection& connection, bool is_head) : connection_(connection), is_head_(is_head) {}

  Task<bool> send(Response response) override {
    if (is_started_) co_return false;
    is_started_ = is_finished_ = true;
    co_return co_await connection_.write_response(response.status, response.headers, response.body, is_head_);
  }

  Task<bool> start(int status, Headers headers) override {
    if (is_started_) co_return false;
    is_started_ = true;
    if (connection_.host_.stopping || connection_.body_is_open_) connection_.keep_alive_ = false;
    has_body_ = !is_head_ && !has_no_body(status);
    const bool is_http10 = connection_.parser_.is_http10();
    if (has_body_) left_ = given_length(headers);
    is_chunked_ = has_body_ && !is_http10 && !left_;
    // HTTP/1.0 knows no chunks: the end of the connection ends the body.
    if (has_body_ && is_http10) connection_.keep_alive_ = false;
    if (equal_ignoring_case(headers.get("connection"), "close")) connection_.keep_alive_ = false;
    connection_.head_.clear();
    append_head(
        connection_.head_, status, headers,
        {.date = connection_.host_.date(), .content_length = left_, .is_chunked = is_chunked_, .is_http10 = is_http10, .keep_alive = connection_.keep_alive_});
    co_return co_await connection_.write_all({asio::buffer(connection_.head_), {}, {}});
  }

  Task<bool> write(std::string bytes) override {
    if (!is_started_ || is_finished_ || connection_.is_lost_) co_return false;
    if (!has_body_ || bytes.empty()) co_return true;
    if (left_ && bytes.size() > *left_) co_return false;
    if (left_) *left_ -= bytes.size();
    if (!is_chunked_) co_return co_await connection_.write_all({asio::buffer(bytes), {}, {}});
    const std::string size = fmt::format("{:x}\r\n", bytes.size());
    co_return co_await connection_.write_all({asio::buffer(size), asio::buffer(bytes), asio::buffer("\r\n", 2)});
  }

  Task<bool> finish() override {
    if (!is_started_ || is_finished_) co_return false;
    // A body that is shorter than announced ends the connection, so that the client sees that bytes are missing.
    if (left_.value_or(0) > 0) co_return false;
    is_finished_ = true;
    if (!is_chunked_) co_return !connection_.is_lost_;
    co_return co_await connection_.write_all({asio::buffer("0\r\n\r\n", 5), {}, {}});
  }

  bool started() const override { return is_started_; }
  bool finished() const { return is_finished_; }

 private:
  Connection& connection_;
  bool is_head_;
  bool is_started_ = false;
  bool is_finished_ = false;
  bool has_body_ = false;
  bool is_chunked_ = false;
  std::optional<std::size_t> left_;  ///< of the body, when its length was announced
};

/// Lives as long as one handler call.
class Connection::StreamedBody final : public BodyReader {
 public:
  explicit StreamedBody(Connection& connection) : connection_(connection) {}
  Task<Result<std::optional<std::string>>> next() override { return connection_.next_piece(); }
  const Headers& trailers() const override { return connection_.parser_.trailers(); }

 private:
  Connection& connection_;
};

Connection::Connection(ConnectionHost& host, Socket socket)
    : host_(host),
      socket_(std::move(socket)),
      parser_(host.options.header_bytes_max, host.options.body_bytes_max, &host.options.body_policy) {
  boost::system::error_code error;
  socket_.set_option(Tcp::no_delay(true), error);
  const auto peer = socket_.remote_endpoint(error);
  const bool is_unix = peer.data()->sa_family == AF_UNIX;
  const bool is_v6 = !is_unix && peer.address().is_v6();
  remote_address_ = is_unix ? "unix" : fmt::format(fmt::runtime(is_v6 ? "[{}]:{}" : "{}:{}"), peer.address().to_string(), peer.port());
  remote_is_loopback_ =
      !error && !host.is_adopted &&
      (peer.address().is_loopback() || (is_v6 && peer.address().to_v6().is_v4_mapped() &&
                                        asio::ip::make_address_v4(asio::ip::v4_mapped, peer.address().to_v6()).is_loopback()));
  enter(Phase::Idle, host.options.idle_timeout);
}

Task<> Connection::run() {
  for (;;) {
    const Read read = co_await read_request();
    if (read == Read::Closed) break;
    if (read == Read::Refused) {
      co_await refuse(is_expired_ ? kTooSlow : parser_.refusal());
      break;
    }
    if (!co_await answer()) break;
  }
  boost::system::error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  socket_.close(ignored);
  lose();
}

Task<Connection::Read> Connection::read_request() {
  enter(Phase::Idle, host_.options.idle_timeout);
  for (;;) {
    if (begin_ < end_) {
      if (phase_ == Phase::Idle) enter(Phase::Header, host_.options.header_timeout);
      const auto progress = parser_.feed(pending());
      begin_ += progress.consumed;
      if (progress.status == RequestParser::Status::Done) co_return Read::Ready;
      if (progress.status == RequestParser::Status::HeadDone) {
        std::string none;
        body_is_open_ = parser_.feed_body({}, none).status != RequestParser::Status::Done;
        owes_continue_ = body_is_open_ && parser_.expects_continue() && begin_ == end_;
        co_return Read::Ready;
      }
      if (progress.status == RequestParser::Status::Refused) co_return Read::Refused;
      if (phase_ == Phase::Header && parser_.header_done()) {
        enter(Phase::Body, host_.options.body_timeout);
        if (parser_.expects_continue() && begin_ == end_ &&
            !co_await write_all({asio::buffer("HTTP/1.1 100 Continue\r\n\r\n", 25), {}, {}})) {
          co_return Read::Closed;
        }
      }
    } else if (phase_ == Phase::Idle && host_.stopping) {
      co_return Read::Closed;
    }
    auto [error, count] = co_await socket_.async_read_some(free_space(), use_tuple);
    if (is_lost_ || (is_expired_ && phase_ == Phase::Idle)) co_return Read::Closed;
    if (is_expired_) co_return Read::Refused;
    if (error == asio::error::operation_aborted && phase_ == Phase::Idle && host_.stopping) co_return Read::Closed;
    if (error == asio::error::eof && phase_ != Phase::Idle) {
      co_await refuse(kTruncated);
      co_return Read::Closed;
    }
    if (error) co_return Read::Closed;
    end_ += count;
  }
}

Error Connection::refuse_body(Refusal why) {
  body_refusal_ = std::move(why);
  return {body_refusal_->code, body_refusal_->detail, Retry::Never};
}

Task<Result<std::optional<std::string>>> Connection::next_piece() {
  if (body_refusal_) co_return fail(body_refusal_->code, body_refusal_->detail);
  while (body_is_open_) {
    std::string piece;
    const auto progress = parser_.feed_body(pending(), piece);
    begin_ += progress.consumed;
    if (progress.status == RequestParser::Status::Refused) co_return fail(refuse_body(parser_.refusal()));
    body_is_open_ = progress.status != RequestParser::Status::Done;
    if (!piece.empty()) co_return std::optional(std::move(piece));
    if (!body_is_open_) break;
    if (std::exchange(owes_continue_, false)) co_await write_all({asio::buffer("HTTP/1.1 100 Continue\r\n\r\n", 25), {}, {}});
    enter(Phase::Body, parser_.body_policy().read_timeout.value_or(host_.options.body_timeout));
    auto [error, count] = co_await socket_.async_read_some(free_space(), use_tuple);
    enter(Phase::Answering, Millis{0});
    if (std::exchange(is_expired_, false)) co_return fail(refuse_body(kTooSlow));
    if (error && error != asio::error::eof) lose();
    if (error || is_lost_) co_return fail(refuse_body(kTruncated));
    end_ += count;
  }
  co_return std::nullopt;
}

asio::mutable_buffer Connection::free_space() {
  if (begin_ == end_) begin_ = end_ = 0;
  const std::size_t wanted = phase_ == Phase::Body ? kBodyBufferBytes : kBufferBytes;
  if (begin_ == end_ && phase_ == Phase::Idle && buffer_.size() > 4 * kBufferBytes) buffer_ = {};
  if (buffer_.size() < wanted) buffer_.resize(wanted);
  if (end_ == buffer_.size()) {
    // The parser refuses what exceeds its limits, so the buffer is bounded.
    if (begin_ > 0) {
      buffer_.erase(0, begin_);
      end_ -= std::exchange(begin_, 0);
      buffer_.resize(std::max(buffer_.capacity(), wanted));
    } else {
      buffer_.resize(buffer_.size() * 2);
    }
  }
  return asio::buffer(buffer_.data() + end_, buffer_.size() - end_);
}

Task<bool> Connection::answer() {
  ++host_.counts.requests;
  enter(Phase::Answering, Millis{0});
  end_of_stream_since_.reset();
  Request request = std::move(parser_.request());
  request.remote_address = remote_address_;
  request.remote_is_loopback = remote_is_loopback_;
  request.disconnected = gone_.token();
  keep_alive_ = parser_.keep_alive();
  const bool is_head = request.method == "HEAD";
  const bool is_streamed = parser_.body_policy().mode == BodyPolicy::Mode::Stream;
  StreamedBody reader(*this);
  if (is_streamed) request.body_reader = &reader;
  HttpResponder responder(*this, is_head);
  std::optional<std::string> failure;
  try {
    co_await host_.handler(request, responder);
  } catch (const std::exception& error) {
    failure = error.what();
  } catch (...) {
    failure = "unknown exception";
  }
  if (failure) log::error("a request handler failed", {{"method", request.method}, {"path", request.path}, {"error", *failure}});
  if (!responder.started() && body_refusal_ && !is_lost_) {
    co_await refuse(*body_refusal_);
    co_return false;
  }
  if (!responder.started()) {
    if (!failure && !is_lost_) log::error("a request handler did not answer", {{"method", request.method}, {"path", request.path}});
    if (!is_lost_) co_await responder.send(problem(500, "http.internal", "The server failed to answer this request; its log says why."));
  }
  if (body_is_open_ && responder.finished() && !is_lost_) co_await linger();
  if (is_lost_ || body_is_open_ || !keep_alive_ || !responder.finished()) co_return false;
  parser_.reset();
  co_return true;
}

Task<> Connection::refuse(Refusal refusal) {
  keep_alive_ = false;
  is_expired_ = false;
  const Response response = problem(refusal.status, refusal.code, refusal.detail);
  if (co_await write_response(response.status, response.headers, response.body, false)) co_await linger();
}

/// Closing a socket with unread input resets the connection and may destroy the answer on its way.
Task<> Connection::linger() {
  boost::system::error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  enter(Phase::Lingering, kLingerTime);
  for (std::size_t read = 0; read < kLingerBytesMax;) {
    begin_ = end_ = 0;
    auto [error, count] = co_await socket_.async_read_some(free_space(), use_tuple);
    if (error || is_expired_) break;
    read += count;
  }
}

Task<bool> Connection::write_response(int status, const Headers& headers, std::string_view body, bool is_head) {
  if (host_.stopping || body_is_open_ || equal_ignoring_case(headers.find("connection").value_or(""), "close")) keep_alive_ = false;
  HeadOptions options{.date = host_.date(), .is_http10 = parser_.is_http10(), .keep_alive = keep_alive_};
  if (!has_no_body(status)) options.content_length = body.size();
  if (is_head && body.empty()) {
    // A HEAD handler may know the length without making the body.
    const auto given = headers.find("content-length");
    std::size_t length = 0;
    if (given && std::from_chars(given->data(), given->data() + given->size(), length).ec == std::errc{}) options.content_length = length;
  }
  head_.clear();
  append_head(head_, status, headers, options);
  const bool sends_body = !is_head && !has_no_body(status);
  co_return co_await write_all({asio::buffer(head_), sends_body ? asio::buffer(body) : asio::const_buffer{}, {}});
}

Task<bool> Connection::write_all(std::array<asio::const_buffer, 3> parts) {
  const auto outer_deadline = deadline_;
  std::size_t left = asio::buffer_size(parts);
  while (left > 0 && !is_lost_) {
    deadline_ = host_.clock.monotonic() + kWriteStallMax;
    auto [error, count] = co_await socket_.async_write_some(parts, use_tuple);
    if (error || is_expired_) lose();
    left -= count;
    for (auto& part : parts) {
      const std::size_t step = std::min(part.size(), count);
      part += step;
      count -= step;
    }
  }
  deadline_ = outer_deadline;
  co_return !is_lost_;
}

void Connection::enter(Phase phase, Millis timeout) {
  phase_ = phase;
  deadline_ = timeout > Millis{0} ? host_.clock.monotonic() + timeout : std::chrono::nanoseconds{0};
}

bool Connection::expire(std::chrono::nanoseconds now) {
  if (deadline_.count() == 0 || now < deadline_ || is_expired_) return false;
  is_expired_ = true;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
  return true;
}

void Connection::on_peer_event(short events, std::chrono::nanoseconds now) {
  if ((events & (POLLERR | POLLHUP | POLLNVAL)) != 0) return abort();
  if (!end_of_stream_since_) end_of_stream_since_ = now;
  if (now - *end_of_stream_since_ >= kEndOfStreamGrace) gone_.cancel();
}

void Connection::on_stop() {
  boost::system::error_code ignored;
  if (phase_ == Phase::Idle) socket_.cancel(ignored);
}

void Connection::lose() {
  is_lost_ = true;
  gone_.cancel();
}

void Connection::abort() {
  boost::system::error_code ignored;
  socket_.close(ignored);
  lose();
}

}  // namespace mayfly::net
