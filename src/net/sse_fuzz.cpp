#include <cstdint>
#include <cstdlib>
#include <vector>

#include "net/sse.h"

/// The first byte chooses where the stream is cut; the events must not depend on it, and survive a round trip.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly::net;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto parse = [](std::string_view bytes, std::size_t step) {
    std::vector<SseEvent> out;
    SseParser parser([&](SseEvent event) { out.push_back(std::move(event)); }, 4096);
    while (!bytes.empty()) {
      const auto piece = bytes.substr(0, step);
      bytes.remove_prefix(piece.size());
      if (!parser.feed(piece)) {
        out.push_back({"failed", "", ""});
        break;
      }
    }
    return out;
  };
  const auto same = [](const std::vector<SseEvent>& a, const std::vector<SseEvent>& b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (a[i].event != b[i].event || a[i].data != b[i].data || a[i].id != b[i].id) return false;
    }
    return true;
  };
  const auto whole = parse(text, text.size());
  const bool failed = !whole.empty() && whole.back().event == "failed";
  if (!failed && !same(whole, parse(text, data[0] + 1u))) std::abort();
  if (failed) return 0;
  std::string wire;
  for (const auto& event : whole) wire += to_sse(event);
  if (wire.size() < 4096 && !same(whole, parse(wire, wire.size()))) std::abort();
  return 0;
}
