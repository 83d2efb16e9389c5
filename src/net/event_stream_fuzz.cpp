#include <cstdint>
#include <cstdlib>

#include "net/event_stream.h"

namespace {

struct Seen {
  std::vector<mayfly::net::EventStreamMessage> messages;
  std::string error;
};

Seen decode(std::string_view input, std::size_t step) {
  using namespace mayfly::net;
  Seen seen;
  EventStreamDecoder decoder({.header_bytes_max = 1024, .payload_bytes_max = 4096});
  for (std::size_t at = 0; at < input.size(); at += step) {
    decoder.feed(input.substr(at, step));
    for (;;) {
      auto message = decoder.next();
      if (!message) {
        seen.error = message.error().code;
        return seen;
      }
      if (!*message) break;
      if ((*message)->payload.size() > 4096) std::abort();
      seen.messages.push_back(std::move(**message));
    }
  }
  return seen;
}

}  // namespace

/// The pieces do not matter, and what is encoded is read back. The fuzzer cannot guess checksums, so it also writes messages.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly::net;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Seen whole = decode(text, size + 1), cut = decode(text, size % 13 + 1);
  if (whole.error != cut.error || whole.messages != cut.messages) std::abort();
  const auto middle = std::min(text.find('\n'), size);
  const EventStreamMessage message{.headers = {{std::string(text.substr(0, middle)), std::string(text.substr(middle))}},
                                   .payload = std::string(text)};
  const auto bytes = encode_event_stream(message);
  if (!bytes || message.payload.size() > 4096 || middle + size - middle > 900) return 0;
  const Seen again = decode(*bytes, size % 7 + 1);
  if (again.messages != std::vector{message}) std::abort();
  return 0;
}
