#include "llm/schema_fit.h"

#include <algorithm>
#include <span>

namespace mayfly::llm {
namespace {

constexpr int kDepthMax = 10;
constexpr std::string_view kCommon[] = {"type",        "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf",
                                        "description", "title",      "$defs",    "$ref",                 "$schema"};
constexpr std::string_view kOpenAi[] = {"pattern",          "format",     "minimum",  "maximum", "exclusiveMinimum",
                                        "exclusiveMaximum", "multipleOf", "minItems", "maxItems"};
constexpr std::string_view kAnthropic[] = {"default", "format", "definitions", "allOf"};

struct Rules {
  std::span<const std::string_view> further_keywords;
  bool all_required;
};

bool is_object_schema(const JsonObject& schema) {
  if (schema.contains("properties")) return true;
  const Json* type = get(schema, "type");
  if (!type) return false;
  if (const auto* list = type->if_array()) return std::ranges::any_of(*list, [](const Json& item) { return item == "object"; });
  return *type == "object";
}

bool fits(const Json& value, const Rules& rules, int depth);

bool all_fit(const Json* schemas, const Rules& rules, int depth) {
  if (!schemas) return true;
  if (const auto* list = schemas->if_array())
    return std::ranges::all_of(*list, [&](const Json& item) { return fits(item, rules, depth); });
  if (const auto* map = schemas->if_object())
    return std::ranges::all_of(*map, [&](const auto& item) { return fits(item.value(), rules, depth); });
  return false;
}

bool is_closed(const JsonObject& schema, const Rules& rules) {
  const Json* additional = get(schema, "additionalProperties");
  if (!additional || *additional != false) return false;
  if (!rules.all_required) return true;
  const JsonObject* properties = get_object(schema, "properties");
  const JsonArray* required = get_array(schema, "required");
  return (properties ? properties->size() : 0) == (required ? required->size() : 0);
}

bool fits(const Json& value, const Rules& rules, int depth) {
  const JsonObject* schema = value.if_object();
  if (!schema || depth > kDepthMax) return false;
  for (const auto& [key, member] : *schema) {
    const std::string_view name = key;
    if (std::ranges::find(kCommon, name) == std::ranges::end(kCommon) &&
        std::ranges::find(rules.further_keywords, name) == rules.further_keywords.end()) {
      return false;
    }
  }
  if (is_object_schema(*schema) && !is_closed(*schema, rules)) return false;
  for (const std::string_view key : {"properties", "$defs", "definitions", "anyOf", "allOf"})
    if (!all_fit(get(*schema, key), rules, depth + 1)) return false;
  const Json* items = get(*schema, "items");
  return !items || fits(*items, rules, depth + 1);
}

}  // namespace

bool fits_openai_strict(const Json& schema) {
  const JsonObject* root = schema.if_object();
  return root && is_object_schema(*root) && !root->contains("anyOf") && fits(schema, {kOpenAi, true}, 0);
}

bool fits_anthropic(const Json& schema) { return fits(schema, {kAnthropic, false}, 0); }

std::string schema_name(const Json& schema) {
  const JsonObject* root = schema.if_object();
  std::string out = root ? get_string(*root, "title") : std::string();
  if (out.empty()) return "answer";
  out.resize(std::min<std::size_t>(out.size(), 64));
  for (char& c : out) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    if (!plain) c = '_';
  }
  return out;
}

}  // namespace mayfly::llm
