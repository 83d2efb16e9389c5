#include "net/sse.h"

#include <utility>

namespace mayfly::net {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

void append_lines(std::string& out, std::string_view name, std::string_view text) {
  for (;;) {
    const auto end = text.find_first_of("\r\n");
    out.append(name).append(": ").append(text.substr(0, end)).append("\n");
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + (text.substr(end).starts_with("\r\n") ? 2 : 1));
  }
}

std::string without(std::string_view bytes, std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (bytes.find(c) == std::string_view::npos) out += c;
  }
  return out;
}

}  // namespace

SseParser::SseParser(std::function<void(SseEvent)> on_event, std::size_t event_bytes_max)
    : on_event_(std::move(on_event)), event_bytes_max_(event_bytes_max) {}

Result<void> SseParser::feed(std::string_view bytes) {
  const auto too_large = [this]() -> Result<void> {
    failed_ = true;
    line_ = {};
    event_ = {};
    return fail("sse.too_large",
                "An event of the stream is larger than " + std::to_string(event_bytes_max_) + " bytes; raise the limit or ask for less.");
  };
  if (failed_) return too_large();
  while (!bytes.empty()) {
    if (std::exchange(after_cr_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    const auto end = bytes.find_first_of("\r\n");
    const std::string_view part = bytes.substr(0, end);
    if (line_.size() + part.size() + event_.data.size() + event_.event.size() + event_.id.size() > event_bytes_max_) return too_large();
    if (end == std::string_view::npos) {
      line_.append(part);
      return {};
    }
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    if (line_.empty()) {
      line(part);
    } else {
      line_.append(part);
      line(line_);
      line_.clear();
    }
  }
  return {};
}

void SseParser::line(std::string_view text) {
  if (std::exchange(at_start_, false) && text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  if (text.empty()) return dispatch();
  const auto colon = text.find(':');
  if (colon == 0) return;
  const std::string_view name = text.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (name == "data") {
    if (std::exchange(has_data_, true)) event_.data += '\n';
    event_.data += value;
  } else if (name == "event") {
    event_.event = value;
  } else if (name == "id" && value.find('\0') == std::string_view::npos) {
    event_.id = value;
  }
}

void SseParser::dispatch() {
  SseEvent event = std::exchange(event_, {});
  if (std::exchange(has_data_, false)) on_event_(std::move(event));
}

std::string to_sse(const SseEvent& event) {
  std::string out;
  out.reserve(event.data.size() + event.event.size() + event.id.size() + 32);
  if (!event.event.empty()) out.append("event: ").append(without("\r\n", event.event)).append("\n");
  if (!event.id.empty()) out.append("id: ").append(without(std::string_view("\r\n\0", 3), event.id)).append("\n");
  append_lines(out, "data", event.data);
  out += '\n';
  return out;
}

}  // namespace mayfly::net
