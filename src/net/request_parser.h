#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "net/http_server.h"

namespace mayfly::net {

/// Why a request is refused; becomes a problem details answer, after which the connection closes.
struct Refusal {
  int status = 400;
  std::string code;
  std::string detail;
};

/// One HTTP/1.x request after another out of bytes, without sockets (RFC 9112). Strict where leniency would let two
/// programs disagree about where a request ends: no obs-fold, no bare LF, no Content-Length beside Transfer-Encoding,
/// no transfer coding but `chunked`, exactly one Host.
class RequestParser {
 public:
  enum class Status { NeedMore, Done, Refused };
  struct Progress {
    Status status = Status::NeedMore;
    std::size_t consumed = 0;
  };

  RequestParser(std::size_t header_bytes_max, std::size_t body_bytes_max);
  ~RequestParser();

  /// Ready for the next request. Call it after Done; never after Refused.
  void reset();
  /// `bytes` begins with what the last call did not consume. Consumed bytes may be dropped. Not to be called after
  /// Done (until `reset`) or Refused.
  Progress feed(std::string_view bytes);

  /// Complete after Done; without its body once `header_done`.
  Request& request();
  const Refusal& refusal() const;
  bool header_done() const;
  bool keep_alive() const;
  bool is_http10() const;
  /// The client waits for "100 Continue" before it sends the body.
  bool expects_continue() const;

 private:
  void feed_header(std::string_view bytes, Progress& progress);

  struct Core;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mayfly::net
