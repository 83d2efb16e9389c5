#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mayfly {

using Json = boost::json::value;
using JsonObject = boost::json::object;
using JsonArray = boost::json::array;

struct JsonLimits {
  std::size_t depth_max = 64;
  std::size_t bytes_max = 64 * 1024 * 1024;
};

/// Parses exactly one JSON text (RFC 8259). Errors: `json.invalid` with line and column, `json.too_deep`,
/// `json.too_large`. Duplicate keys: the last one wins. Invalid UTF-8 and lone surrogates are refused.
Result<Json> parse_json(std::string_view text, JsonLimits limits = {});

/// The compact text of a value.
std::string to_text(const Json& value);
std::string to_text(const JsonObject& value);
/// Indented by two spaces, for people.
std::string to_pretty_text(const Json& value);

/// Canonical text (keys sorted at every level): equal values have equal texts. For hashing and comparing.
std::string to_canonical_text(const Json& value);

/// Lenient readers for objects: a missing key or another type gives the default. They never throw.
std::string get_string(const JsonObject& object, std::string_view key, std::string_view otherwise = {});
std::int64_t get_int(const JsonObject& object, std::string_view key, std::int64_t otherwise = 0);
double get_double(const JsonObject& object, std::string_view key, double otherwise = 0);
bool get_bool(const JsonObject& object, std::string_view key, bool otherwise = false);
/// Null when the key is missing or holds another type. The pointer lives as long as `object` is unchanged.
const JsonObject* get_object(const JsonObject& object, std::string_view key);
const JsonArray* get_array(const JsonObject& object, std::string_view key);
const Json* get(const JsonObject& object, std::string_view key);

/// True when every byte sequence of `text` is well-formed UTF-8 (RFC 3629).
bool is_utf8(std::string_view text);
/// Replaces malformed sequences by U+FFFD, so that any bytes can be put into a JSON string.
std::string to_utf8_lossy(std::string_view bytes);

}  // namespace mayfly
