#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <charconv>
#include <map>
#include <regex>
#include <set>

#include "schema/internal/schema_normaliser.h"
#include "schema/suggest.h"
#include "schema/yaml.h"

namespace mayfly {
namespace {

constexpr int kDepthMax = 128;        // references followed
constexpr int kNodesMax = 20'000;     // schema objects, references followed once
constexpr std::size_t kPatternBytesMax = 4096;

struct Refusal {
  std::string pointer;
  std::string message;
};

const std::vector<std::string> kTypes{"null", "boolean", "object", "array", "number", "string", "integer"};

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) { return std::ranges::find(words, text) != words.end(); }

class Normaliser {
 public:
  explicit Normaliser(const Json& source) : source_(source) {}

  NormalSchema run() {
    NormalSchema out;
    out_ = &out;
    Json root = schema(source_, "", 0, kRoot);
    // A reference to a place that is itself only a reference would never end.
    for (const auto& [id, unused] : in_place_) refuse_cycle(id);
    if (!definitions_.empty()) root.as_object()["definitions"] = std::move(definitions_);
    out.schema = std::move(root);
    return out;
  }

 private:
  static constexpr int kRoot = -1;
  static constexpr int kElsewhere = -2;  // below a property or item: a cycle through here ends with the value

  Json check(SchemaCheck check) {
    out_->checks.push_back(std::move(check));
    return JsonObject{{kCheckKey, static_cast<std::int64_t>(out_->checks.size() - 1)}};
  }

  /// `within`: the definition whose value this schema applies to in place.
  Json schema(const Json& source, const std::string& at, int depth, int within) {
    if (depth > kDepthMax) throw Refusal{at, fmt::format("schemas are nested deeper than {} levels; flatten them", kDepthMax)};
    if (++nodes_ > kNodesMax) throw Refusal{at, fmt::format("there are more than {} schemas; simplify", kNodesMax)};
    if (source.is_bool()) {
      if (source.get_bool()) return JsonObject{};
      SchemaCheck never;
      never.never = true;
      return check(std::move(never));
    }
    const JsonObject* object = source.if_object();
    if (object == nullptr) throw Refusal{at, "must be a schema (an object, true or false)"};
    JsonObject out;
    SchemaCheck checks;
    for (const auto& member : *object) keyword(*object, member.key(), member.value(), at, depth, within, out, checks);
    close(*object, at, depth, out, checks);
    if (!checks.empty()) out.insert_or_assign(kCheckKey, check(std::move(checks)).as_object().at(kCheckKey));
    return out;
  }

  void keyword(const JsonObject& object, std::string_view key, const Json& value, const std::string& parent, int depth, int within,
               JsonObject& out, SchemaCheck& checks) {
    const std::string at = parent + "/" + escape_pointer_token(key);
    if (is_one_of(key, {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})) {
      if (!value.is_number()) throw Refusal{at, "must be a number"};
      out.insert_or_assign(key, normal_numbers(value));
    } else if (is_one_of(key, {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"})) {
      const Json count = normal_numbers(value);
      if (!count.is_int64() || count.get_int64() < 0) throw Refusal{at, "must be an integer of at least 0"};
      out.insert_or_assign(key, count);
    } else if (key == "uniqueItems") {
      if (!value.is_bool()) throw Refusal{at, "must be true or false"};
      out_->has_unique_items |= value.get_bool();
      out.insert_or_assign(key, value);
    } else if (key == "required") {
      out.insert_or_assign(key, texts(value, at));
    } else if (is_one_of(key, {"type", "enum", "const", "pattern", "multipleOf", "format"})) {
      own_check(key, value, at, checks);
    } else if (is_one_of(key, {"not", "if", "then", "else"})) {
      out.insert_or_assign(key, schema(value, at, depth + 1, within));
    } else if (is_one_of(key, {"allOf", "anyOf", "oneOf"})) {
      append(out, key, list(value, at, depth, within));
    } else if (is_one_of(key, {"contains", "propertyNames"})) {
      out.insert_or_assign(key, schema(value, at, depth + 1, kElsewhere));
    } else if (key == "items" && value.is_array()) {
      out.insert_or_assign(key, list(value, at, depth, kElsewhere));
    } else if (key == "items") {
      // Draft 2020-12: beside prefixItems, `items` is for the rest.
      out.insert_or_assign(object.contains("prefixItems") ? "additionalItems" : "items", schema(value, at, depth + 1, kElsewhere));
    } else if (key == "prefixItems") {
      out.insert_or_assign("items", list(value, at, depth, kElsewhere));
    } else if (key == "additionalItems") {
      if (const Json* items = get(object, "items"); items != nullptr && items->is_array()) {
        out.insert_or_assign(key, schema(value, at, depth + 1, kElsewhere));
      }
    } else if (is_one_of(key, {"properties", "patternProperties"})) {
      properties(key, value, at, depth, out);
    } else if (key == "additionalProperties") {
      if (value != Json(false)) out.insert_or_assign(key, schema(value, at, depth + 1, kElsewhere));
    } else if (is_one_of(key, {"dependencies", "dependentRequired", "dependentSchemas"})) {
      dependencies(value, at, depth, within, out);
    } else if (key == "$ref") {
      append(out, "allOf", JsonArray{reference(value, at, depth, within)});
    } else if (is_one_of(key, {"$dynamicRef", "$recursiveRef", "minContains", "maxContains", "unevaluatedItems", "unevaluatedProperties"})) {
      if (value != Json(true)) throw Refusal{at, "this keyword is not supported; express it with the keywords of draft 7"};
    }
  }

  static void append(JsonObject& out, std::string_view key, JsonArray more) {
    if (key != "allOf" || !out.contains(key)) {
      out.insert_or_assign(key, std::move(more));
      return;
    }
    for (Json& item : more) out.at(key).as_array().push_back(std::move(item));
  }

  static JsonArray texts(const Json& value, const std::string& at) {
    const JsonArray* array = value.if_array();
    if (array == nullptr || !std::ranges::all_of(*array, [](const Json& item) { return item.is_string(); })) {
      throw Refusal{at, "must be a list of texts"};
    }
    return *array;
  }

  static boost::regex regex(std::string_view text, const std::string& at) {
    if (text.size() > kPatternBytesMax) throw Refusal{at, "the pattern is longer than 4096 bytes; shorten it"};
    try {
      return boost::regex(text.begin(), text.end(), boost::regex::perl);
    } catch (const std::exception& e) {
      throw Refusal{at, fmt::format("is not a valid regular expression: {}", e.what())};
    }
  }

  static void own_check(std::string_view key, const Json& value, const std::string& at, SchemaCheck& checks) {
    if (key == "type") {
      const JsonArray types = value.is_string() ? JsonArray{value} : texts(value, at);
      if (types.empty()) throw Refusal{at, "must name at least one type"};
      for (const Json& type : types) {
        const std::string name(type.get_string());
        if (std::ranges::find(kTypes, name) == kTypes.end()) {
          throw Refusal{at, fmt::format("`{}` is not a type; use one of {}", name, fmt::join(kTypes, ", "))};
        }
        checks.types.push_back(name);
      }
    } else if (key == "enum" || key == "const") {
      const JsonArray* values = value.if_array();
      if (key == "enum" && (values == nullptr || values->empty())) throw Refusal{at, "must be a list of at least one value"};
      // Both at once: `const` decides, as it can only narrow.
      if (key == "const") checks.allowed = JsonArray{normal_numbers(value)};
      else if (!checks.allowed) checks.allowed = normal_numbers(value).as_array();
    } else if (key == "pattern") {
      const auto* text = value.if_string();
      if (text == nullptr) throw Refusal{at, "must be a text"};
      checks.pattern = regex(*text, at);
      checks.pattern_text = std::string(*text);
    } else if (key == "multipleOf") {
      const double step = value.is_number() ? value.to_number<double>() : 0;
      if (!(step > 0)) throw Refusal{at, "must be a number greater than 0"};
      checks.multiple_of = step;
    } else if (key == "format") {
      checks.date_time = value == Json("date-time");
    }
  }

  JsonArray list(const Json& value, const std::string& at, int depth, int within) {
    const JsonArray* array = value.if_array();
    if (array == nullptr || array->empty()) throw Refusal{at, "must be a list of at least one schema"};
    JsonArray out;
    for (std::size_t i = 0; i < array->size(); ++i) out.push_back(schema((*array)[i], fmt::format("{}/{}", at, i), depth + 1, within));
    return out;
  }

  void properties(std::string_view key, const Json& value, const std::string& at, int depth, JsonObject& out) {
    const JsonObject* members = value.if_object();
    if (members == nullptr) throw Refusal{at, "must be an object of schemas"};
    JsonObject result;
    for (const auto& member : *members) {
      const std::string_view name = member.key();
      const std::string place = at + "/" + escape_pointer_token(name);
      if (name.contains('\0')) throw Refusal{place, "the name contains a NUL character; remove it"};
      if (key == "patternProperties") check_library_pattern(name, place);
      result.insert_or_assign(name, schema(member.value(), place, depth + 1, kElsewhere));
    }
    out.insert_or_assign(key, std::move(result));
  }

  void check_library_pattern(std::string_view pattern, const std::string& at) {
    out_->has_pattern_properties = true;
    regex(pattern, at);
    try {
      const std::regex library(pattern.begin(), pattern.end());
    } catch (const std::exception& e) {
      throw Refusal{at, fmt::format("is not a valid regular expression: {}", e.what())};
    }
  }

  void dependencies(const Json& value, const std::string& at, int depth, int within, JsonObject& out) {
    const JsonObject* members = value.if_object();
    if (members == nullptr) throw Refusal{at, "must be an object"};
    for (const auto& member : *members) {
      const std::string place = at + "/" + escape_pointer_token(member.key());
      const std::string name(member.key());
      // As if/then: the same meaning, and several kinds of dependencies of one key can stand beside each other.
      Json then = member.value().is_array() ? Json(JsonObject{{"required", texts(member.value(), place)}})
                                            : schema(member.value(), place, depth + 1, within);
      Json rule = JsonObject{{"if", JsonObject{{"required", JsonArray{Json(name)}}, {kCheckKey, object_type_check()}}}, {"then", std::move(then)}};
      append(out, "allOf", JsonArray{std::move(rule)});
    }
  }

  Json object_type_check() {
    SchemaCheck only_objects;
    only_objects.types = {"object"};
    return check(std::move(only_objects)).as_object().at(kCheckKey);
  }

  Json reference(const Json& value, const std::string& at, int depth, int within) {
    const auto* text = value.if_string();
    if (text == nullptr) throw Refusal{at, "must be a text"};
    const std::string target(*text);
    if (!target.starts_with('#')) throw Refusal{at, "only references inside the schema (starting with `#/`) are allowed; nothing is fetched"};
    const std::string pointer = unescape_percent(target.substr(1), at);
    auto [found, is_new] = ids_.try_emplace(pointer, static_cast<int>(ids_.size()));
    const int id = found->second;
    if (within != kElsewhere) in_place_[within].insert(id);
    if (is_new) {
      Json definition = schema(resolve(pointer, at), pointer, depth + 1, id);
      definitions_.insert_or_assign(fmt::format("r{}", id), std::move(definition));
    }
    return JsonObject{{"$ref", fmt::format("#/definitions/r{}", id)}};
  }

  static std::string unescape_percent(std::string_view text, const std::string& at) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '%') {
        out += text[i];
        continue;
      }
      unsigned value = 0;
      const char* const digits = text.data() + i + 1;
      if (i + 2 >= text.size() || std::from_chars(digits, digits + 2, value, 16).ptr != digits + 2) {
        throw Refusal{at, "has a broken percent escape"};
      }
      out += static_cast<char>(value);
      i += 2;
    }
    return out;
  }

  const Json& resolve(const std::string& pointer, const std::string& at) const {
    boost::system::error_code code;
    const Json* found = pointer.empty() ? &source_ : source_.find_pointer(pointer, code);
    if (found == nullptr) throw Refusal{at, fmt::format("refers to `#{}`, which does not exist in this schema", pointer)};
    return *found;
  }

  /// `additionalProperties: false` with the names that are allowed.
  static void close(const JsonObject& object, const std::string& at, int, JsonObject&, SchemaCheck& checks) {
    const Json* additional = get(object, "additionalProperties");
    if (additional == nullptr || *additional != Json(false)) return;
    checks.closed = true;
    if (const JsonObject* known = get_object(object, "properties")) {
      for (const auto& member : *known) checks.known_keys.emplace_back(member.key());
    }
    std::ranges::sort(checks.known_keys);
    if (const JsonObject* patterns = get_object(object, "patternProperties")) {
      for (const auto& member : *patterns) checks.known_patterns.push_back(regex(member.key(), at));
    }
  }

  void refuse_cycle(int start) const {
    std::vector<int> todo{start};
    std::set<int> seen;
    while (!todo.empty()) {
      const int id = todo.back();
      todo.pop_back();
      const auto next = in_place_.find(id);
      if (next == in_place_.end()) continue;
      for (const int to : next->second) {
        if (to == start || (start == kRoot && is_root(to))) throw Refusal{"", "a $ref leads back to itself without going into a property or item; break the loop"};
        if (seen.insert(to).second) todo.push_back(to);
      }
    }
  }

  bool is_root(int id) const {
    const auto found = ids_.find("");
    return found != ids_.end() && found->second == id;
  }

  const Json& source_;
  NormalSchema* out_ = nullptr;
  JsonObject definitions_;
  std::map<std::string, int> ids_;             // pointer of a $ref's target → definition
  std::map<int, std::set<int>> in_place_;      // definition → definitions that apply to the same value
  int nodes_ = 0;
};

bool is_integral(double value) { return std::abs(value) < 9.0e15 && std::trunc(value) == value; }

}  // namespace

bool SchemaCheck::empty() const { return !never && types.empty() && !allowed && !pattern && !multiple_of && !date_time && !closed; }

Result<NormalSchema> normalise_schema(const Json& schema) {
  try {
    return Normaliser(schema).run();
  } catch (const Refusal& refusal) {
    return fail("schema.invalid", fmt::format("the JSON Schema is invalid at `{}`: {}", refusal.pointer.empty() ? "/" : refusal.pointer, refusal.message));
  }
}

bool has_normal_numbers(const Json& value) {
  if (value.is_uint64()) return false;
  if (value.is_double()) return !is_integral(value.get_double());
  if (const auto* array = value.if_array()) return std::ranges::all_of(*array, has_normal_numbers);
  if (const auto* object = value.if_object()) {
    return std::ranges::all_of(*object, [](const auto& member) { return has_normal_numbers(member.value()); });
  }
  return true;
}

Json normal_numbers(const Json& value) {
  if (value.is_uint64()) {
    const std::uint64_t number = value.get_uint64();
    return number <= INT64_MAX ? Json(static_cast<std::int64_t>(number)) : Json(static_cast<double>(number));
  }
  if (value.is_double() && is_integral(value.get_double())) return Json(static_cast<std::int64_t>(value.get_double()));
  if (const auto* array = value.if_array()) {
    JsonArray out;
    out.reserve(array->size());
    for (const Json& item : *array) out.push_back(normal_numbers(item));
    return out;
  }
  if (const auto* object = value.if_object()) {
    JsonObject out;
    for (const auto& member : *object) out.insert_or_assign(member.key(), normal_numbers(member.value()));
    return out;
  }
  return value;
}

}  // namespace mayfly
