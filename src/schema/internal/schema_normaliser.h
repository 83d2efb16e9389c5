#pragma once

#include <boost/regex.hpp>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace mayfly {

/// What one place of a schema demands beyond what is left to the validator library: the library would crash on hostile values here
/// (std::regex, division), or name the problem too vaguely to act on.
struct SchemaCheck {
  bool never = false;                       ///< the schema `false`
  std::vector<std::string> types;           ///< empty: any
  std::optional<JsonArray> allowed;         ///< `enum` or `const`
  std::optional<boost::regex> pattern;
  std::string pattern_text;
  std::optional<double> multiple_of;
  bool date_time = false;                   ///< `format: date-time`
  bool closed = false;                      ///< `additionalProperties: false`
  std::vector<std::string> known_keys;      ///< of a closed object
  std::vector<boost::regex> known_patterns;
  bool empty() const;
};

/// A schema rewritten to the draft 7 subset that is given to the library. `kCheckKey` in a schema object is an index into `checks`.
struct NormalSchema {
  Json schema;
  std::deque<SchemaCheck> checks;
  bool has_pattern_properties = false;
  bool has_unique_items = false;
};

inline constexpr std::string_view kCheckKey = "mayflyCheck";

/// Error: `schema.invalid`, naming the JSON Pointer of the bad keyword.
Result<NormalSchema> normalise_schema(const Json& schema);

/// Integral doubles and large integers take one form each, so that 1 equals 1.0 and no number escapes a bound.
Json normal_numbers(const Json& value);
bool has_normal_numbers(const Json& value);

}  // namespace mayfly
