#include <cstdint>
#include <cstdlib>
#include <utility>

#include "net/request_parser.h"

namespace {

struct Seen {
  std::string text;
  int refused = 0;
};

enum class Mode { Whole, Streamed };

/// With Mode::Streamed each body is read by `feed_body`.
Seen parse(std::string_view input, std::size_t step, Mode mode) {
  using namespace mayfly::net;
  Seen seen;
  const BodyPolicyRule rule = [](const Request&) { return BodyPolicy{.mode = BodyPolicy::Mode::Stream}; };
  RequestParser parser(512, 1024, mode == Mode::Streamed ? &rule : nullptr);
  std::string body;
  bool in_body = false;
  std::string buffer;
  while (!input.empty()) {
    const auto piece = input.substr(0, step);
    input.remove_prefix(piece.size());
    buffer += piece;
    for (;;) {
      const auto progress = in_body ? parser.feed_body(buffer, body) : parser.feed(buffer);
      if (progress.consumed > buffer.size()) std::abort();
      buffer.erase(0, progress.consumed);
      if (progress.status == RequestParser::Status::Refused) {
        const Refusal& why = parser.refusal();
        if (why.status < 400 || why.code.empty() || why.detail.empty()) std::abort();
        seen.refused = why.status;
        return seen;
      }
      if (progress.status == RequestParser::Status::NeedMore) {
        if (buffer.size() > 512) std::abort();
        break;
      }
      in_body = progress.status == RequestParser::Status::HeadDone;
      if (in_body) continue;
      Request& request = parser.request();
      if (mode == Mode::Streamed) {
        if (!request.body.empty()) std::abort();
        request.body = std::exchange(body, {});
        request.trailers = parser.trailers();
      }
      if (request.body.size() > 1024 || request.path.empty()) std::abort();
      for (const auto& [name, value] : request.headers) {
        if (name.empty() || (name + value).find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) std::abort();
      }
      seen.text += request.method + " " + request.path + "?" + request.query + "\n" + request.body + "\n";
      for (const auto& [name, value] : request.trailers) {
        if (name.empty() || (name + value).find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) std::abort();
        seen.text += name + ":" + value + "\n";
      }
      (void)request.query_parameter("a");
      (void)parser.keep_alive();
      parser.reset();
      if (buffer.empty()) break;
    }
  }
  return seen;
}

}  // namespace

/// Where requests end must not depend on how the bytes arrive: else a proxy and we could disagree.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t step = data[0] % 64 + 1u;
  const Seen whole = parse(text, 400, Mode::Whole), cut = parse(text, step, Mode::Whole), streamed = parse(text, step, Mode::Streamed);
  if (whole.refused == 0 && cut.refused == 0 && whole.text != cut.text) std::abort();
  if (cut.refused != streamed.refused || cut.text != streamed.text) std::abort();
  return 0;
}
