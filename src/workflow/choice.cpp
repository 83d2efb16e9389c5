#include <array>
#include <cmath>

#include "base/time.h"
#include "workflow/fields.h"

namespace mayfly::workflow {
namespace {

constexpr std::array<std::string_view, 5> kOrders{"Equals", "LessThan", "GreaterThan", "LessThanEquals", "GreaterThanEquals"};

std::optional<double> number_of(const Json& value) {
  if (value.is_int64()) return static_cast<double>(value.get_int64());
  if (value.is_uint64()) return static_cast<double>(value.get_uint64());
  if (value.is_double()) return value.get_double();
  return std::nullopt;
}
bool ordered(std::string_view order, int difference) {
  if (order == "Equals") return difference == 0;
  if (order == "LessThan") return difference < 0;
  if (order == "GreaterThan") return difference > 0;
  if (order == "LessThanEquals") return difference <= 0;
  return difference >= 0;
}
template <class T>
int difference(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}
std::optional<TimePoint> time_of(const Json& value) {
  if (!value.is_string() || value.get_string().find('T') == std::string_view::npos) return std::nullopt;
  const auto time = parse_rfc3339(value.get_string());
  return time ? std::optional(*time) : std::nullopt;
}

/// Values of another type than the test wants do not match.
bool test(std::string_view name, const Json& value, const Json& wanted) {
  if (name == "IsNull") return value.is_null() == (wanted == Json(true));
  if (name == "IsNumeric") return value.is_number() == (wanted == Json(true));
  if (name == "IsString") return value.is_string() == (wanted == Json(true));
  if (name == "IsBoolean") return value.is_bool() == (wanted == Json(true));
  if (name == "IsTimestamp") return time_of(value).has_value() == (wanted == Json(true));
  if (name == "BooleanEquals") return value.is_bool() && value == wanted;
  if (name == "StringMatches") return value.is_string() && wanted.is_string() && matches_wildcard(wanted.get_string(), value.get_string());
  if (name.starts_with("String")) {
    if (!value.is_string() || !wanted.is_string()) return false;
    return ordered(name.substr(6), difference(std::string_view(value.get_string()), std::string_view(wanted.get_string())));
  }
  if (name.starts_with("Numeric")) {
    const auto a = number_of(value), b = number_of(wanted);
    return a && b && ordered(name.substr(7), difference(*a, *b));
  }
  const auto a = time_of(value), b = time_of(wanted);
  return a && b && ordered(name.substr(9), difference(*a, *b));
}

StateResult<bool> holds(const JsonObject& rule, const FieldScope& scope) {
  for (const std::string_view join : {"And", "Or"}) {
    const JsonArray* parts = get_array(rule, join);
    if (!parts) continue;
    for (const Json& part : *parts) {
      auto one = holds(part.get_object(), scope);
      if (!one || *one != (join == "And")) return one;
    }
    return join == "And";
  }
  if (const JsonObject* inner = get_object(rule, "Not")) {
    auto one = holds(*inner, scope);
    if (one) *one = !*one;
    return one;
  }
  const std::string name = comparison_of(rule), path = get_string(rule, "Variable");
  const Json* wanted = get(rule, name);
  const auto parsed = JsonPath::parse(path);
  if (!parsed || !wanted) return state_error("States.Runtime", "the choice rule is invalid");
  const auto value = parsed->find(scope.paths());
  if (name == "IsPresent") return value.has_value() == (*wanted == Json(true));
  if (!value)
    return state_error("States.Runtime", "Invalid path '" + path + "': The choice state's condition path references an invalid value.");
  if (!name.ends_with("Path")) return test(name, *value, *wanted);
  const std::string other(wanted->get_string());
  auto found = evaluate_path(other, scope, "States.Runtime");
  if (!found)
    return state_error("States.Runtime", "Invalid path '" + other + "': The choice state's condition path references an invalid value.");
  return test(std::string_view(name).substr(0, name.size() - 4), *value, *found);
}

}  // namespace

bool matches_wildcard(std::string_view pattern, std::string_view text) {
  // A backslash makes the next character ordinary. The last star seen may take one character more.
  std::size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
      continue;
    }
    const std::size_t at = p < pattern.size() && pattern[p] == '\\' && p + 1 < pattern.size() ? p + 1 : p;
    if (at < pattern.size() && pattern[at] == text[t]) {
      p = at + 1;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool is_comparison(std::string_view name) {
  for (const std::string_view one :
       {"IsNull", "IsPresent", "IsNumeric", "IsString", "IsBoolean", "IsTimestamp", "StringMatches", "BooleanEquals", "BooleanEqualsPath"})
    if (name == one) return true;
  if (name.ends_with("Path")) name.remove_suffix(4);
  for (const std::string_view type : {"String", "Numeric", "Timestamp"})
    for (const std::string_view order : kOrders)
      if (name == std::string(type) + std::string(order)) return true;
  return false;
}

std::string comparison_of(const JsonObject& rule) {
  std::string out;
  for (const auto& member : rule) {
    if (!is_comparison(member.key())) continue;
    if (!out.empty()) return {};
    out = member.key();
  }
  return out;
}

StateResult<std::optional<std::size_t>> choose(const JsonArray& choices, const FieldScope& scope) {
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const JsonObject& rule = choices[i].get_object();
    if (!scope.jsonata) {
      auto one = holds(rule, scope);
      if (!one) return std::unexpected(one.error());
      if (*one) return i;
      continue;
    }
    const Json* condition = get(rule, "Condition");
    auto value = condition ? fill(*condition, scope) : Json(false);
    if (!value) return std::unexpected(value.error());
    if (!value->is_bool())
      return state_error("States.QueryEvaluationError", "the Condition of choice " + std::to_string(i) + " gave no boolean");
    if (value->get_bool()) return i;
  }
  return std::optional<std::size_t>();
}

}  // namespace mayfly::workflow
