#include <algorithm>

#include "llm/script.h"

namespace mayfly::llm {

std::string to_lower_ascii(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

bool ScriptText::placeholder(std::string_view name, Segment& out) {
  if (name == "user") {
    out.kind = Kind::User;
  } else if (name == "tool_result") {
    out.kind = Kind::ToolResult;
  } else if (name == "turn") {
    out.kind = Kind::Turn;
  } else if (name.size() == 1 && name[0] >= '0' && name[0] <= '9') {
    out.kind = Kind::Capture;
    out.capture = static_cast<std::size_t>(name[0] - '0');
  } else {
    return false;
  }
  return true;
}

ScriptText::ScriptText(std::string_view source) {
  std::string literal;
  const auto flush = [&] {
    if (!literal.empty()) segments_.push_back({Kind::Literal, std::exchange(literal, {})});
  };
  while (!source.empty()) {
    const auto open = source.find("{{");
    const auto close = open == std::string_view::npos ? open : source.find("}}", open);
    if (close == std::string_view::npos) break;
    Segment segment{Kind::Literal, {}};
    if (placeholder(source.substr(open + 2, close - open - 2), segment)) {
      literal += source.substr(0, open);
      flush();
      segments_.push_back(std::move(segment));
      source.remove_prefix(close + 2);
    } else {
      literal += source.substr(0, open + 2);
      source.remove_prefix(open + 2);
    }
  }
  literal += source;
  flush();
}

std::string ScriptText::render(const ScriptValues& values) const {
  std::string out;
  for (const Segment& segment : segments_) {
    switch (segment.kind) {
      case Kind::Literal: out += segment.text; break;
      case Kind::User: out += values.user; break;
      case Kind::ToolResult: out += values.tool_result; break;
      case Kind::Turn: out += std::to_string(values.turn); break;
      case Kind::Capture:
        if (segment.capture < values.captures.size()) out += values.captures[segment.capture];
        break;
    }
  }
  return out;
}

Json render(const Json& value, const ScriptValues& values) {
  if (const auto* text = value.if_string()) return Json(boost::json::string_view(ScriptText(*text).render(values)));
  if (const auto* array = value.if_array()) {
    JsonArray out;
    for (const Json& item : *array) out.push_back(render(item, values));
    return out;
  }
  if (const auto* object = value.if_object()) {
    JsonObject out;
    for (const auto& [key, item] : *object) out[key] = render(item, values);
    return out;
  }
  return value;
}

}  // namespace mayfly::llm
