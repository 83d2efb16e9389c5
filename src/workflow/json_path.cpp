#include "workflow/json_path.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace mayfly::workflow {

/// A filter: comparisons of paths and constants, joined by && and ||.
struct JsonPath::Condition {
  enum class Kind { And, Or, Not, Compare, Exists } kind = Kind::Exists;
  std::vector<Condition> parts;
  std::string op;
  std::optional<JsonPath> left_path, right_path;
  Json left, right;
};

namespace {

constexpr int kFilterDepthMax = 16;

bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80; }
bool is_name_char(char c) { return is_name_start(c) || (c >= '0' && c <= '9') || c == '-'; }

std::optional<double> number_of(const Json& value) {
  if (value.is_int64()) return static_cast<double>(value.get_int64());
  if (value.is_uint64()) return static_cast<double>(value.get_uint64());
  if (value.is_double()) return value.get_double();
  return std::nullopt;
}

bool compare(const Json& a, const std::string& op, const Json& b) {
  int order = 0;
  const auto x = number_of(a), y = number_of(b);
  if (x && y) {
    order = *x < *y ? -1 : *x > *y ? 1 : 0;
  } else if (a.is_string() && b.is_string()) {
    order = a.get_string().compare(std::string_view(b.get_string()));
  } else {
    const bool equal = a == b;
    if (op == "==") return equal;
    return op == "!=" && !equal;
  }
  if (op == "==") return order == 0;
  if (op == "!=") return order != 0;
  if (op == "<") return order < 0;
  if (op == "<=") return order <= 0;
  if (op == ">") return order > 0;
  return order >= 0;
}

void select(const Json& value, const JsonPath::Segment& segment, const PathScope& scope, std::vector<const Json*>& out);

}  // namespace

class PathParser {
 public:
  explicit PathParser(std::string_view text) : text_(text) {}

  Result<JsonPath> whole() {
    if (text_.size() > kPathBytesMax) return fail("path.invalid", "a path has at most " + std::to_string(kPathBytesMax) + " bytes");
    if (text_.empty() || text_[0] != '$') return error("a path starts with '$'");
    auto out = path(0);
    if (out && at_ != text_.size()) return error("unexpected '" + std::string(1, text_[at_]) + "'");
    return out;
  }

 private:
  std::unexpected<Error> error(const std::string& what) const {
    return fail("path.invalid",
                "the path '" + std::string(text_.substr(0, 200)) + "' is invalid at position " + std::to_string(at_ + 1) + ": " + what);
  }
  bool eat(std::string_view what) {
    if (!text_.substr(at_).starts_with(what)) return false;
    at_ += what.size();
    return true;
  }
  void blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  std::string name() {
    const std::size_t from = at_;
    while (is_name_char(peek())) ++at_;
    return std::string(text_.substr(from, at_ - from));
  }

  Result<JsonPath> path(int depth) {
    JsonPath out;
    if (eat("@")) {
      out.root_ = JsonPath::Root::Item;
    } else if (eat("$$")) {
      out.root_ = JsonPath::Root::Context;
    } else {
      ++at_;
      if (is_name_start(peek())) {
        out.root_ = JsonPath::Root::Variable;
        while (is_name_char(peek()) && peek() != '-') out.variable_ += text_[at_++];
      }
    }
    while (peek() == '.' || peek() == '[') {
      auto next = segment(depth);
      if (!next) return std::unexpected(next.error());
      out.segments_.push_back(std::move(*next));
      if (out.segments_.size() > 100) return error("too many steps");
    }
    return out;
  }

  Result<JsonPath::Segment> segment(int depth) {
    JsonPath::Segment out;
    if (eat("..")) {
      out.descend = true;
      if (peek() != '[') return dotted(std::move(out));
    } else if (eat(".")) {
      if (peek() != '[') return dotted(std::move(out));
    }
    ++at_;  // '['
    blanks();
    auto filled = bracketed(std::move(out), depth);
    if (!filled) return filled;
    blanks();
    if (!eat("]")) return error("expected ']'");
    return filled;
  }

  Result<JsonPath::Segment> dotted(JsonPath::Segment out) {
    if (eat("*")) {
      out.kind = JsonPath::Segment::Kind::Wildcard;
      return out;
    }
    const std::string key = name();
    if (key.empty()) return error("expected a name");
    if (peek() == '(') return error("functions are not supported; use an intrinsic function such as States.ArrayLength");
    out.names.push_back(key);
    return out;
  }

  Result<std::string> quoted() {
    const char quote = text_[at_++];
    std::string out;
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      out += text_[at_++];
    }
    if (at_ >= text_.size()) return error("the string does not end");
    ++at_;
    return out;
  }

  std::optional<std::int64_t> integer() {
    std::int64_t value = 0;
    const char* from = text_.data() + at_;
    const auto parsed = std::from_chars(from, text_.data() + text_.size(), value);
    if (parsed.ec != std::errc()) return std::nullopt;
    at_ += static_cast<std::size_t>(parsed.ptr - from);
    return value;
  }

  Result<JsonPath::Segment> bracketed(JsonPath::Segment out, int depth) {
    using Kind = JsonPath::Segment::Kind;
    if (eat("*")) {
      out.kind = Kind::Wildcard;
      return out;
    }
    if (peek() == '?') {
      ++at_;
      blanks();
      auto condition = either(depth + 1);
      if (!condition) return std::unexpected(condition.error());
      out.kind = Kind::Filter;
      out.filter = std::make_shared<const JsonPath::Condition>(std::move(*condition));
      return out;
    }
    if (peek() == '\'' || peek() == '"') {
      do {
        blanks();
        if (peek() != '\'' && peek() != '"') return error("expected a quoted name");
        auto key = quoted();
        if (!key) return std::unexpected(key.error());
        out.names.push_back(std::move(*key));
        blanks();
      } while (eat(","));
      out.kind = out.names.size() == 1 ? Kind::Name : Kind::Names;
      return out;
    }
    out.from = integer();
    blanks();
    if (eat(":")) {
      out.kind = Kind::Slice;
      blanks();
      out.to = integer();
      blanks();
      if (eat(":")) {
        blanks();
        out.step = integer().value_or(1);
        if (out.step < 1) return error("a slice's step is at least 1");
      }
      return out;
    }
    if (!out.from) return error("expected an index, a name in quotes, '*', a slice or a filter");
    out.indexes.push_back(*out.from);
    while (eat(",")) {
      blanks();
      const auto next = integer();
      if (!next) return error("expected an index");
      out.indexes.push_back(*next);
      blanks();
    }
    out.kind = out.indexes.size() == 1 ? Kind::Index : Kind::Indexes;
    return out;
  }

  Result<JsonPath::Condition> either(int depth) {
    if (depth > kFilterDepthMax) return error("the filter is nested too deeply");
    JsonPath::Condition out{
        .kind = JsonPath::Condition::Kind::Or, .parts = {}, .op = {}, .left_path = {}, .right_path = {}, .left = {}, .right = {}};
    do {
      JsonPath::Condition both{
          .kind = JsonPath::Condition::Kind::And, .parts = {}, .op = {}, .left_path = {}, .right_path = {}, .left = {}, .right = {}};
      do {
        blanks();
        auto next = single(depth);
        if (!next) return next;
        both.parts.push_back(std::move(*next));
        blanks();
      } while (eat("&&"));
      out.parts.push_back(std::move(both));
    } while (eat("||"));
    return out;
  }

  Result<JsonPath::Condition> single(int depth) {
    JsonPath::Condition out;
    if (eat("!")) {
      blanks();
      auto inner = single(depth + 1);
      if (!inner) return inner;
      out.kind = JsonPath::Condition::Kind::Not;
      out.parts.push_back(std::move(*inner));
      return out;
    }
    if (depth > kFilterDepthMax) return error("the filter is nested too deeply");
    if (eat("(")) {
      auto inner = either(depth + 1);
      if (!inner) return inner;
      blanks();
      if (!eat(")")) return error("expected ')'");
      return inner;
    }
    if (auto ok = operand(out.left_path, out.left, depth); !ok) return std::unexpected(ok.error());
    blanks();
    for (const std::string_view op : {"==", "!=", "<=", ">=", "<", ">"}) {
      if (!eat(op)) continue;
      out.kind = JsonPath::Condition::Kind::Compare;
      out.op = op;
      blanks();
      if (auto ok = operand(out.right_path, out.right, depth); !ok) return std::unexpected(ok.error());
      return out;
    }
    if (!out.left_path) return error("expected a comparison");
    return out;
  }

  Result<void> operand(std::optional<JsonPath>& into, Json& constant, int depth) {
    const char c = peek();
    if (c == '@' || c == '$') {
      auto parsed = path(depth + 1);
      if (!parsed) return std::unexpected(parsed.error());
      into = std::move(*parsed);
      return {};
    }
    if (c == '\'' || c == '"') {
      auto text = quoted();
      if (!text) return std::unexpected(text.error());
      constant = *text;
      return {};
    }
    if (eat("true")) return constant = true, Result<void>{};
    if (eat("false")) return constant = false, Result<void>{};
    if (eat("null")) return constant = nullptr, Result<void>{};
    double number = 0;
    const char* from = text_.data() + at_;
    const auto parsed = std::from_chars(from, text_.data() + text_.size(), number);
    if (parsed.ec != std::errc() || !std::isfinite(number)) return error("expected a path, a string, a number, true, false or null");
    at_ += static_cast<std::size_t>(parsed.ptr - from);
    constant = number;
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

namespace {

bool holds(const JsonPath::Condition& condition, const Json& item, const PathScope& scope) {
  using Kind = JsonPath::Condition::Kind;
  const auto value = [&](const std::optional<JsonPath>& path, const Json& constant) -> std::optional<Json> {
    if (!path) return constant;
    if (path->root() != JsonPath::Root::Item) return path->find(scope);
    PathScope inner = scope;
    inner.input = &item;
    return path->find(inner);
  };
  switch (condition.kind) {
    case Kind::And: return std::ranges::all_of(condition.parts, [&](const auto& part) { return holds(part, item, scope); });
    case Kind::Or: return std::ranges::any_of(condition.parts, [&](const auto& part) { return holds(part, item, scope); });
    case Kind::Not: return !holds(condition.parts[0], item, scope);
    case Kind::Exists: return value(condition.left_path, condition.left).has_value();
    case Kind::Compare: break;
  }
  const auto left = value(condition.left_path, condition.left), right = value(condition.right_path, condition.right);
  return left && right && compare(*left, condition.op, *right);
}

void children(const Json& value, std::vector<const Json*>& out) {
  if (const JsonArray* array = value.if_array()) {
    for (const Json& item : *array) out.push_back(&item);
  } else if (const JsonObject* object = value.if_object()) {
    for (const auto& member : *object) out.push_back(&member.value());
  }
}

const Json* item_at(const Json& value, std::int64_t index) {
  const JsonArray* array = value.if_array();
  if (!array) return nullptr;
  const auto size = static_cast<std::int64_t>(array->size());
  if (index < 0) index += size;
  return index >= 0 && index < size ? &(*array)[static_cast<std::size_t>(index)] : nullptr;
}

void slice(const Json& value, const JsonPath::Segment& segment, std::vector<const Json*>& out) {
  const JsonArray* array = value.if_array();
  if (!array) return;
  const auto size = static_cast<std::int64_t>(array->size());
  const auto bound = [&](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + size : at, 0, size); };
  const std::int64_t to = bound(segment.to.value_or(size));
  for (std::int64_t at = bound(segment.from.value_or(0)); at < to;) {
    out.push_back(&(*array)[static_cast<std::size_t>(at)]);
    if (segment.step >= to - at) break;
    at += segment.step;
  }
}

void select(const Json& value, const JsonPath::Segment& segment, const PathScope& scope, std::vector<const Json*>& out) {
  if (out.size() > kPathMatchesMax) return;
  using Kind = JsonPath::Segment::Kind;
  switch (segment.kind) {
    case Kind::Name:
    case Kind::Names:
      if (const JsonObject* object = value.if_object())
        for (const std::string& name : segment.names)
          if (const Json* found = object->if_contains(name)) out.push_back(found);
      break;
    case Kind::Index:
    case Kind::Indexes:
      for (const std::int64_t index : segment.indexes)
        if (const Json* found = item_at(value, index)) out.push_back(found);
      break;
    case Kind::Slice: slice(value, segment, out); break;
    case Kind::Wildcard: children(value, out); break;
    case Kind::Filter: {
      std::vector<const Json*> candidates;
      // Of an object the filter asks the object itself, as the common implementations do.
      if (value.is_object())
        candidates.push_back(&value);
      else
        children(value, candidates);
      for (const Json* candidate : candidates)
        if (holds(*segment.filter, *candidate, scope)) out.push_back(candidate);
      break;
    }
  }
  if (!segment.descend) return;
  std::vector<const Json*> below;
  children(value, below);
  for (const Json* child : below) select(*child, segment, scope, out);
}

}  // namespace

Result<JsonPath> JsonPath::parse(std::string_view text) { return PathParser(text).whole(); }

bool JsonPath::is_definite() const {
  return std::ranges::all_of(segments_, [](const Segment& segment) {
    return !segment.descend && (segment.kind == Segment::Kind::Name || segment.kind == Segment::Kind::Index);
  });
}

bool JsonPath::is_reference() const { return root_ == Root::Input && is_definite(); }

std::optional<Json> JsonPath::find(const PathScope& scope) const {
  const Json* from = scope.input;
  if (root_ == Root::Context) from = scope.context;
  if (root_ == Root::Variable) {
    if (!scope.variables) return std::nullopt;
    const auto at = scope.variables->find(variable_);
    from = at == scope.variables->end() ? nullptr : &at->second;
  }
  if (!from) return std::nullopt;
  std::vector<const Json*> found{from};
  for (const Segment& segment : segments_) {
    std::vector<const Json*> next;
    for (const Json* value : found) select(*value, segment, scope, next);
    if (next.size() > kPathMatchesMax) next.resize(kPathMatchesMax);
    found = std::move(next);
  }
  if (is_definite()) return found.empty() ? std::nullopt : std::optional<Json>(*found.front());
  JsonArray all;
  for (const Json* value : found) all.push_back(*value);
  return all;
}

bool JsonPath::assign(Json& root, Json value) const {
  Json* at = &root;
  for (const Segment& segment : segments_) {
    if (segment.kind == Segment::Kind::Index) {
      const Json* found = item_at(*at, segment.indexes.front());
      if (!found) return false;
      at = const_cast<Json*>(found);
      continue;
    }
    if (at->is_null() && at != &root) *at = JsonObject{};
    if (!at->is_object()) return false;
    at = &at->get_object()[segment.names.front()];
  }
  *at = std::move(value);
  return true;
}

}  // namespace mayfly::workflow
