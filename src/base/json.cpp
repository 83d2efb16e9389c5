#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parser.hpp>
#include <boost/json/serialize.hpp>
#include <utility>
#include <vector>

namespace mayfly {
namespace {

struct Position {
  std::size_t line = 1;
  std::size_t column = 1;
};

Position position_of(std::string_view text, std::size_t offset) {
  Position at;
  for (std::size_t i = 0; i < std::min(offset, text.size()); ++i) {
    if (text[i] == '\n') {
      ++at.line;
      at.column = 1;
    } else {
      ++at.column;
    }
  }
  return at;
}

bool has_double(const Json& value) {
  if (value.is_double()) return true;
  if (const auto* object = value.if_object()) {
    for (const auto& member : *object)
      if (has_double(member.value())) return true;
  } else if (const auto* array = value.if_array()) {
    for (const auto& element : *array)
      if (has_double(element)) return true;
  }
  return false;
}

/// Boost writes 18.5 as 1.85E1: right, but nothing to show to people and models.
std::string number_text(double number) {
  std::string text = fmt::format("{}", number);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

void write_plain(const Json& value, std::string& out) {
  if (value.is_double()) {
    out += number_text(value.get_double());
  } else if (const auto* object = value.if_object()) {
    out += '{';
    for (bool first = true; const auto& [key, member] : *object) {
      if (!std::exchange(first, false)) out += ',';
      out += boost::json::serialize(key);
      out += ':';
      write_plain(member, out);
    }
    out += '}';
  } else if (const auto* array = value.if_array()) {
    out += '[';
    for (bool first = true; const auto& element : *array) {
      if (!std::exchange(first, false)) out += ',';
      write_plain(element, out);
    }
    out += ']';
  } else {
    out += boost::json::serialize(value);
  }
}

void write_pretty(const Json& value, std::string& out, std::size_t indent) {
  const std::string pad(indent + 2, ' ');
  if (const auto* object = value.if_object(); object && !object->empty()) {
    out += "{\n";
    bool first = true;
    for (const auto& [key, member] : *object) {
      if (!first) out += ",\n";
      first = false;
      out += pad + boost::json::serialize(key) + ": ";
      write_pretty(member, out, indent + 2);
    }
    out += "\n" + std::string(indent, ' ') + "}";
  } else if (const auto* array = value.if_array(); array && !array->empty()) {
    out += "[\n";
    bool first = true;
    for (const auto& element : *array) {
      if (!first) out += ",\n";
      first = false;
      out += pad;
      write_pretty(element, out, indent + 2);
    }
    out += "\n" + std::string(indent, ' ') + "]";
  } else {
    write_plain(value, out);
  }
}

void write_canonical(const Json& value, std::string& out) {
  if (const auto* object = value.if_object()) {
    std::vector<std::string_view> keys;
    keys.reserve(object->size());
    for (const auto& member : *object) keys.push_back(member.key());
    std::ranges::sort(keys);
    out += '{';
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (i) out += ',';
      out += boost::json::serialize(boost::json::string_view(keys[i]));
      out += ':';
      write_canonical(*object->if_contains(keys[i]), out);
    }
    out += '}';
  } else if (const auto* array = value.if_array()) {
    out += '[';
    for (std::size_t i = 0; i < array->size(); ++i) {
      if (i) out += ',';
      write_canonical((*array)[i], out);
    }
    out += ']';
  } else {
    write_plain(value, out);
  }
}

/// The length of the well-formed sequence at `text[at]`, or 0.
std::size_t utf8_sequence(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xC0) == 0x80; };
  const unsigned char first = byte(at);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(at + 1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (!continues(at + 1) || !continues(at + 2)) return 0;
    if (first == 0xE0 && byte(at + 1) < 0xA0) return 0;
    if (first == 0xED && byte(at + 1) > 0x9F) return 0;
    return 3;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (!continues(at + 1) || !continues(at + 2) || !continues(at + 3)) return 0;
    if (first == 0xF0 && byte(at + 1) < 0x90) return 0;
    if (first == 0xF4 && byte(at + 1) > 0x8F) return 0;
    return 4;
  }
  return 0;
}

}  // namespace

Result<Json> parse_json(std::string_view text, JsonLimits limits) {
  if (text.size() > limits.bytes_max)
    return fail("json.too_large", fmt::format("the JSON text has {} bytes; at most {} are accepted", text.size(), limits.bytes_max));
  try {
    boost::json::parse_options options;
    options.max_depth = limits.depth_max;
    boost::json::parser parser({}, options);
    boost::system::error_code error;
    const std::size_t used = parser.write_some(text.data(), text.size(), error);
    if (error == boost::json::error::too_deep)
      return fail("json.too_deep", fmt::format("the JSON text nests deeper than {} levels", limits.depth_max));
    if (error == boost::json::error::incomplete)
      return fail("json.invalid", text.empty() ? "not valid JSON: the text is empty" : "not valid JSON: the text ends too early");
    if (error || used < text.size()) {
      const Position at = position_of(text, used);
      return fail("json.invalid", fmt::format("not valid JSON at line {}, column {}: {}", at.line, at.column,
                                              error ? error.message() : "unexpected text after the value"));
    }
    return parser.release();
  } catch (const std::exception& e) {
    return fail("json.invalid", fmt::format("not valid JSON: {}", e.what()));
  }
}

std::string to_text(const Json& value) {
  if (!has_double(value)) return boost::json::serialize(value);
  std::string out;
  write_plain(value, out);
  return out;
}

std::string to_text(const JsonObject& value) {
  for (const auto& member : value)
    if (has_double(member.value())) return to_text(Json(value));
  return boost::json::serialize(value);
}

std::string to_pretty_text(const Json& value) {
  std::string out;
  write_pretty(value, out, 0);
  return out;
}

std::string to_canonical_text(const Json& value) {
  std::string out;
  write_canonical(value, out);
  return out;
}

const Json* get(const JsonObject& object, std::string_view key) { return object.if_contains(key); }

std::string get_string(const JsonObject& object, std::string_view key, std::string_view otherwise) {
  const Json* value = object.if_contains(key);
  if (value && value->is_string()) return std::string(value->get_string());
  return std::string(otherwise);
}

std::int64_t get_int(const JsonObject& object, std::string_view key, std::int64_t otherwise) {
  const Json* value = object.if_contains(key);
  if (!value) return otherwise;
  if (value->is_int64()) return value->get_int64();
  if (value->is_uint64()) return static_cast<std::int64_t>(std::min<std::uint64_t>(value->get_uint64(), INT64_MAX));
  if (value->is_double()) {
    const double number = value->get_double();
    if (number >= -9.2e18 && number <= 9.2e18) return static_cast<std::int64_t>(number);
  }
  return otherwise;
}

double get_double(const JsonObject& object, std::string_view key, double otherwise) {
  const Json* value = object.if_contains(key);
  if (!value) return otherwise;
  if (value->is_double()) return value->get_double();
  if (value->is_int64()) return static_cast<double>(value->get_int64());
  if (value->is_uint64()) return static_cast<double>(value->get_uint64());
  return otherwise;
}

bool get_bool(const JsonObject& object, std::string_view key, bool otherwise) {
  const Json* value = object.if_contains(key);
  return value && value->is_bool() ? value->get_bool() : otherwise;
}

const JsonObject* get_object(const JsonObject& object, std::string_view key) {
  const Json* value = object.if_contains(key);
  return value ? value->if_object() : nullptr;
}

const JsonArray* get_array(const JsonObject& object, std::string_view key) {
  const Json* value = object.if_contains(key);
  return value ? value->if_array() : nullptr;
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = utf8_sequence(text, i);
    if (length == 0) return false;
    i += length;
  }
  return true;
}

std::string to_utf8_lossy(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (std::size_t i = 0; i < bytes.size();) {
    if (const std::size_t length = utf8_sequence(bytes, i)) {
      out.append(bytes.substr(i, length));
      i += length;
    } else {
      out += "\xEF\xBF\xBD";
      ++i;
    }
  }
  return out;
}

}  // namespace mayfly
