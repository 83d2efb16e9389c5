#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/parser.hpp>
#include <charconv>
#include <cmath>
#include <iterator>
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

void write_string(std::string_view text, std::string& out) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out += '"';
  std::size_t plain = 0;  // where the part begins that needs no escape
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
    out.append(text, plain, i - plain);
    plain = i + 1;
    out += '\\';
    switch (byte) {
      case '"':
      case '\\': out += text[i]; break;
      case '\b': out += 'b'; break;
      case '\f': out += 'f'; break;
      case '\n': out += 'n'; break;
      case '\r': out += 'r'; break;
      case '\t': out += 't'; break;
      default: out.append("u00").append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
    }
  }
  out.append(text, plain);
  out += '"';
}

/// The shortest text that reads back as the same number; never 1.85E1, which is nothing to show to people and models.
void write_number(double number, std::string& out) {
  if (!std::isfinite(number)) {
    out += std::isnan(number) ? "null" : number > 0 ? "1e99999" : "-1e99999";
    return;
  }
  const std::size_t begin = out.size();
  fmt::format_to(std::back_inserter(out), "{}", number);
  if (out.find_first_of(".e", begin) == std::string::npos) out += ".0";
}

template <class Integer>
void write_integer(Integer number, std::string& out) {
  std::array<char, 24> digits;
  out.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr);
}

void write_scalar(const Json& value, std::string& out) {
  switch (value.kind()) {
    case boost::json::kind::null: out += "null"; break;
    case boost::json::kind::bool_: out += value.get_bool() ? "true" : "false"; break;
    case boost::json::kind::int64: write_integer(value.get_int64(), out); break;
    case boost::json::kind::uint64: write_integer(value.get_uint64(), out); break;
    case boost::json::kind::double_: write_number(value.get_double(), out); break;
    default: write_string(value.get_string(), out);
  }
}

void write_plain(const Json& value, std::string& out);

void write_plain(const JsonObject& object, std::string& out) {
  out += '{';
  for (bool first = true; const auto& [key, member] : object) {
    if (!std::exchange(first, false)) out += ',';
    write_string(key, out);
    out += ':';
    write_plain(member, out);
  }
  out += '}';
}

void write_plain(const Json& value, std::string& out) {
  if (const auto* object = value.if_object()) {
    write_plain(*object, out);
  } else if (const auto* array = value.if_array()) {
    out += '[';
    for (bool first = true; const auto& element : *array) {
      if (!std::exchange(first, false)) out += ',';
      write_plain(element, out);
    }
    out += ']';
  } else {
    write_scalar(value, out);
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
      out += pad;
      write_string(key, out);
      out += ": ";
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
      write_string(keys[i], out);
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
    std::array<unsigned char, 4096> scratch;  // enough for most texts; more is taken from the heap
    boost::json::parser parser({}, options, scratch.data(), scratch.size());
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
  std::string out;
  write_plain(value, out);
  return out;
}

std::string to_text(const JsonObject& value) {
  std::string out;
  write_plain(value, out);
  return out;
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
