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
  enum class Status {
    NeedMore,
    HeadDone,  ///< the body is to be streamed: go on with `feed_body`
    Done,
    Refused
  };
  struct Progress {
    Status status = Status::NeedMore;
    std::size_t consumed = 0;
  };

  /// `rule` (may be null or empty) must outlive the parser.
  RequestParser(std::size_t header_bytes_max, std::size_t body_bytes_max, const BodyPolicyRule* rule = nullptr);
  ~RequestParser();

  /// Ready for the next request. Call it after Done; never after Refused.
  void reset();
  /// `bytes` begins with what the last call did not consume. Consumed bytes may be dropped. Not to be called after
  /// Done (until `reset`) or Refused.
  Progress feed(std::string_view bytes);

  /// After HeadDone only: appends what arrived of the body to `body`. NeedMore, Done or Refused; bytes as in `feed`.
  Progress feed_body(std::string_view bytes, std::string& body);

  /// Complete after Done; without its body once `header_done`.
  Request& request();
  const Refusal& refusal() const;
  bool header_done() const;
  /// Of a streamed body, after Done.
  const Headers& trailers() const;
  /// What the rule said; after the header.
  const BodyPolicy& body_policy() const;
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
