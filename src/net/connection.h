#pragma once

#include <poll.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <optional>
#include <string>

#include "net/request_parser.h"

namespace mayfly::net {

using Tcp = asio::ip::tcp;
using Socket = asio::basic_stream_socket<Tcp, Executor>;
inline constexpr asio::as_tuple_t<asio::use_awaitable_t<Executor>> use_tuple{asio::use_awaitable_t<Executor>{}};

/// What the connections of one server share.
struct ConnectionHost {
  ConnectionHost(Clock& the_clock, ServerOptions the_options, Handler the_handler)
      : clock(the_clock), options(std::move(the_options)), handler(std::move(the_handler)) {}

  /// The Date field's value, formatted once a second.
  std::string_view date();

  Clock& clock;
  ServerOptions options;
  Handler handler;
  ServerCounters counts;
  bool stopping = false;
  bool is_adopted = false;  ///< somebody else made the listener

 private:
  std::string date_;
  std::int64_t date_second_ = -1;
};

/// Answers 503 without waiting.
void refuse_connection(Socket& socket);

/// One accepted socket: reads requests, calls the handler, writes answers, one after another. `run` is its only
/// coroutine; the server's sweep enforces its deadline and tells it about its peer.
class Connection {
 public:
  Connection(ConnectionHost& host, Socket socket);

  /// Returns when the connection is over.
  Task<> run();

  /// Ends what waits past its deadline; true if it did.
  bool expire(std::chrono::nanoseconds now);
  /// True while a handler runs that has its whole body: nobody reads from the socket then.
  bool is_answering() const { return phase_ == Phase::Answering && !body_is_open_; }
  int descriptor() { return socket_.native_handle(); }
  void on_peer_event(short events, std::chrono::nanoseconds now);
  /// The server stops: an idle connection ends now, a busy one after its answer.
  void on_stop();
  /// Cancels the handler and closes the socket.
  void abort();

 private:
  class HttpResponder;
  class StreamedBody;
  enum class Phase { Idle, Header, Body, Answering, Lingering };
  enum class Read { Ready, Refused, Closed };

  Task<Read> read_request();
  Task<bool> answer();
  /// Of a streamed body.
  Task<Result<std::optional<std::string>>> next_piece();
  Error refuse_body(Refusal why);
  Task<> refuse(Refusal refusal);
  Task<> linger();
  /// Writes everything in order, or loses the connection. `parts` must stay alive meanwhile.
  Task<bool> write_all(std::array<asio::const_buffer, 3> parts);
  Task<bool> write_response(int status, const Headers& headers, std::string_view body, bool is_head);

  void enter(Phase phase, Millis timeout);
  void lose();
  std::string_view pending() const { return {buffer_.data() + begin_, end_ - begin_}; }
  asio::mutable_buffer free_space();

  ConnectionHost& host_;
  Socket socket_;
  RequestParser parser_;
  std::string buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::string head_;
  std::string remote_address_;
  bool remote_is_loopback_ = false;
  Phase phase_ = Phase::Idle;
  std::chrono::nanoseconds deadline_{0};  ///< 0: none
  std::optional<std::chrono::nanoseconds> end_of_stream_since_;
  bool is_expired_ = false;
  bool is_lost_ = false;
  bool keep_alive_ = true;
  bool body_is_open_ = false;  ///< a streamed body has not been read to its end
  bool owes_continue_ = false;
  std::optional<Refusal> body_refusal_;
  CancelSource gone_;
};

}  // namespace mayfly::net
