#include "schema/json_schema.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <tuple>
#include <valijson/adapters/boost_json_adapter.hpp>
#include <valijson/constraint_builder.hpp>
#include <valijson/constraints/concrete_constraints.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include "base/time.h"
#include "schema/internal/schema_normaliser.h"
#include "schema/suggest.h"
#include "schema/yaml.h"

namespace mayfly {

struct JsonSchema::Impl {
  Json source;
  NormalSchema normal;
  valijson::Schema compiled;
};

namespace {

using valijson::adapters::Adapter;
using valijson::adapters::BoostJsonAdapter;
using Context = std::vector<std::string>;

constexpr int kValueDepthMax = 128;
constexpr std::size_t kProblemsMax = 50;
constexpr std::size_t kUniqueItemsMax = 2'000;  // uniqueness is checked pair by pair
constexpr std::size_t kPatternKeyBytesMax = 256;

std::string_view type_name(const Adapter& value) {
  if (value.isString()) return "a string";
  if (value.isInteger()) return "an integer";
  if (value.isNumber()) return "a number";
  if (value.isBool()) return "a boolean";
  if (value.isObject()) return "an object";
  if (value.isArray()) return "an array";
  return "null";
}

std::string_view with_article(std::string_view type) {
  if (type == "integer") return "an integer";
  if (type == "object") return "an object";
  if (type == "array") return "an array";
  if (type == "string") return "a string";
  if (type == "number") return "a number";
  if (type == "boolean") return "a boolean (true or false)";
  return "null";
}

bool has_type(const Adapter& value, std::string_view type) {
  if (type == "string") return value.isString();
  if (type == "integer") return value.isInteger();
  if (type == "number") return value.isNumber();
  if (type == "boolean") return value.isBool();
  if (type == "object") return value.isObject();
  if (type == "array") return value.isArray();
  return value.isNull();
}

/// The checks of one place in the schema, run inside the library's walk.
class CheckConstraint final : public valijson::constraints::PolyConstraint {
 public:
  explicit CheckConstraint(const SchemaCheck* check) : check_(check) {}

  bool validate(const Adapter& target, const Context& context, valijson::ValidationResults* results) const override {
    bool valid = true;
    const auto refuse = [&](const Context& where, std::string message) {
      valid = false;
      if (results != nullptr) results->pushError(where, std::move(message));
    };
    if (check_->never) refuse(context, "is not allowed here");
    check_type(target, context, refuse);
    if (valid) check_value(target, context, refuse);
    if (check_->closed && target.isObject()) check_keys(target, context, refuse);
    return valid;
  }

 private:
  void check_type(const Adapter& target, const Context& context, const auto& refuse) const {
    if (check_->types.empty()) return;
    if (std::ranges::any_of(check_->types, [&](const auto& type) { return has_type(target, type); })) return;
    std::string wanted;
    for (const auto& type : check_->types) wanted.append(wanted.empty() ? "" : " or ").append(with_article(type));
    refuse(context, fmt::format("must be {}, not {}", wanted, type_name(target)));
  }

  void check_value(const Adapter& target, const Context& context, const auto& refuse) const {
    if (check_->allowed) {
      const auto equals = [&](const Json& value) { return BoostJsonAdapter(value).equalTo(target, true); };
      if (std::ranges::none_of(*check_->allowed, equals)) refuse(context, not_allowed());
    }
    if (target.isString()) check_text(target.asString(), context, refuse);
    if (check_->multiple_of && target.isNumber()) {
      const double quotient = target.asDouble() / *check_->multiple_of;
      if (!(std::abs(quotient - std::round(quotient)) <= 1e-9 * std::max(1.0, std::abs(quotient)))) {
        refuse(context, fmt::format("must be a multiple of {}", *check_->multiple_of));
      }
    }
  }

  std::string not_allowed() const {
    std::string list;
    for (const Json& value : *check_->allowed) {
      if (list.size() > 300) {
        list += ", …";
        break;
      }
      list.append(list.empty() ? "" : ", ").append(to_text(value));
    }
    return fmt::format("must be {}{}", check_->allowed->size() == 1 ? "" : "one of ", list);
  }

  void check_text(const std::string& text, const Context& context, const auto& refuse) const {
    if (check_->pattern) {
      try {
        if (!boost::regex_search(text, *check_->pattern)) refuse(context, fmt::format("must match the pattern `{}`", check_->pattern_text));
      } catch (const std::exception&) {
        refuse(context, fmt::format("is too complicated to compare with the pattern `{}`; shorten it", check_->pattern_text));
      }
    }
    if (check_->date_time && !parse_rfc3339(text)) refuse(context, "must be a date-time of RFC 3339, like 2026-01-31T12:00:00Z");
  }

  void check_keys(const Adapter& target, const Context& context, const auto& refuse) const {
    target.applyToObject([&](const std::string& key, const Adapter&) {
      if (std::ranges::binary_search(check_->known_keys, key)) return true;
      const auto matches = [&](const boost::regex& pattern) { return boost::regex_search(key, pattern); };
      try {
        if (std::ranges::any_of(check_->known_patterns, matches)) return true;
      } catch (const std::exception&) {
        // Too complicated to compare: as good as no match.
      }
      Context where = context;
      where.push_back("[" + key + "]");
      refuse(where, unknown_key(key));
      return true;
    });
  }

  std::string unknown_key(const std::string& key) const {
    const std::string meant = closest_name(key, check_->known_keys);
    if (!meant.empty()) return fmt::format("is not a known key; did you mean `{}`?", meant);
    if (check_->known_keys.empty()) return "is not a known key; remove it";
    if (check_->known_keys.size() <= 12) return fmt::format("is not a known key; known are {}", fmt::join(check_->known_keys, ", "));
    return "is not a known key; remove it";
  }

  Constraint* cloneInto(void* memory) const override { return new (memory) CheckConstraint(*this); }
  std::size_t sizeOf() const override { return sizeof(CheckConstraint); }

  const SchemaCheck* check_;
};

class CheckBuilder final : public valijson::ConstraintBuilder {
 public:
  explicit CheckBuilder(const std::deque<SchemaCheck>& checks) : checks_(checks) {}
  valijson::constraints::Constraint* make(const Adapter& index) const override {
    return new CheckConstraint(&checks_.at(static_cast<std::size_t>(index.asInteger())));
  }

 private:
  const std::deque<SchemaCheck>& checks_;
};

std::string to_pointer(const Context& context) {
  std::string pointer;
  for (std::size_t i = 1; i < context.size(); ++i) {
    pointer += '/';
    pointer += escape_pointer_token(std::string_view(context[i]).substr(1, context[i].size() - 2));
  }
  return pointer;
}

/// "12.000000" → "12".
std::string plain_numbers(std::string text) {
  const auto dot = text.rfind('.');
  if (dot == std::string::npos || dot + 1 == text.size() || text.find_first_not_of("0123456789", dot + 1) != std::string::npos) return text;
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

bool replace_prefix(std::string& text, std::string_view prefix, std::string_view by) {
  if (!text.starts_with(prefix)) return false;
  text.replace(0, prefix.size(), by);
  return true;
}

/// The library's sentence in our words; empty for one that only repeats what an error further inside says better.
std::string in_our_words(std::string text) {
  if (replace_prefix(text, "Missing required property '", "")) return fmt::format("the key `{}` is missing", text.substr(0, text.size() - 2));
  if (replace_prefix(text, "Expected number ", "must be ")) return plain_numbers(std::move(text));
  for (const std::string_view kind : {"String should be ", "Array should contain ", "Object should have "}) {
    const std::string by = kind.starts_with("String") ? "must be " : kind.starts_with("Array") ? "must contain " : "must have ";
    if (!replace_prefix(text, kind, by)) continue;
    if (text.ends_with('.')) text.pop_back();
    return text;
  }
  if (text.starts_with("Failed to validate against any")) return "fits none of the allowed forms";
  if (text.starts_with("Failed to validate against exactly one")) return "fits more than one of the forms of which exactly one is allowed";
  if (text.starts_with("Failed to any values")) return "has no item of the demanded form";
  if (text.starts_with("Target should not validate")) return "has a form that is not allowed here";
  if (text.starts_with("Array contains more items") || text.starts_with("Cannot validate item")) return "has too many items";
  if (text.starts_with("Elements at indexes #")) return "has the same item twice";
  if (text.starts_with("Failed to validate")) return {};
  return text;
}

struct Scan {
  const NormalSchema& schema;
  std::string problem;

  bool walk(const Json& value, int depth) {
    if (depth > kValueDepthMax) return refuse(fmt::format("is nested deeper than {} levels", kValueDepthMax));
    if (const auto* array = value.if_array()) {
      if (schema.has_unique_items && array->size() > kUniqueItemsMax) return refuse("has a list too long to be checked for equal items");
      return std::ranges::all_of(*array, [&](const Json& item) { return walk(item, depth + 1); });
    }
    if (const auto* object = value.if_object()) {
      return std::ranges::all_of(*object, [&](const auto& member) {
        if (schema.has_pattern_properties && member.key().size() > kPatternKeyBytesMax) return refuse("has a key longer than 256 bytes");
        return walk(member.value(), depth + 1);
      });
    }
    return true;
  }
  bool refuse(std::string message) {
    problem = std::move(message);
    return false;
  }
};

std::vector<std::string> to_sentences(const valijson::ValidationResults& results) {
  std::vector<std::string> sentences;
  for (const auto& error : results) {
    std::string words = in_our_words(error.description);
    if (words.empty()) continue;
    const std::string pointer = to_pointer(error.context);
    std::string sentence = fmt::format("{}: {}", pointer.empty() ? "/" : pointer, words);
    if (std::ranges::find(sentences, sentence) == sentences.end()) sentences.push_back(std::move(sentence));
    if (sentences.size() >= kProblemsMax) break;
  }
  if (sentences.empty()) sentences.emplace_back("/: has keys that do not fit the schema");
  return sentences;
}

}  // namespace

Result<JsonSchema> JsonSchema::compile(const Json& schema) {
  auto normal = normalise_schema(schema);
  if (!normal) return fail(normal.error());
  auto impl = std::make_shared<Impl>();
  impl->source = schema;
  impl->normal = *std::move(normal);
  try {
    valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
    auto builder = std::make_unique<CheckBuilder>(impl->normal.checks);
    parser.addConstraintBuilder(std::string(kCheckKey), builder.get());
    std::ignore = builder.release();  // the parser deletes its builders
    parser.populateSchema(BoostJsonAdapter(impl->normal.schema), impl->compiled);
  } catch (const std::exception& e) {
    return fail("schema.invalid", fmt::format("the JSON Schema is invalid: {}", e.what()));
  }
  JsonSchema result;
  result.impl_ = std::move(impl);
  return result;
}

std::vector<std::string> JsonSchema::validate(const Json& value) const {
  Scan scan{.schema = impl_->normal, .problem = {}};
  if (!scan.walk(value, 0)) return {"/: " + scan.problem};
  std::optional<Json> copy;
  if (!has_normal_numbers(value)) copy = normal_numbers(value);
  try {
    valijson::Validator validator(valijson::Validator::kStrongTypes);
    valijson::ValidationResults results;
    if (validator.validate(impl_->compiled, BoostJsonAdapter(copy ? *copy : value), &results)) return {};
    return to_sentences(results);
  } catch (const std::exception& e) {
    return {fmt::format("/: cannot be checked: {}", e.what())};
  }
}

const Json& JsonSchema::source() const { return impl_->source; }

}  // namespace mayfly
