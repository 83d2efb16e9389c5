#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mayfly::net {

/// One event of a text/event-stream (WHATWG HTML §9.2).
struct SseEvent {
  std::string event;  ///< empty means "message"
  std::string data;   ///< lines joined by '\n'
  std::string id;     ///< of this event; empty when it had none
};

/// Incremental parser: bytes in, events out, in any chunking. CR, LF and CRLF end a line; a BOM and comments are skipped.
class SseParser {
 public:
  explicit SseParser(std::function<void(SseEvent)> on_event, std::size_t event_bytes_max = 8 * 1024 * 1024);
  /// Error: `sse.too_large`; the parser is unusable afterwards.
  Result<void> feed(std::string_view bytes);

 private:
  void line(std::string_view text);
  void dispatch();

  std::function<void(SseEvent)> on_event_;
  std::size_t event_bytes_max_;
  std::string line_;
  SseEvent event_;
  bool has_data_ = false;
  bool after_cr_ = false;
  bool at_start_ = true;
  bool failed_ = false;
};

/// The wire text of one event; `data` may hold newlines.
std::string to_sse(const SseEvent& event);

}  // namespace mayfly::net
