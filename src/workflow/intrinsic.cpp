#include "workflow/intrinsic.h"

#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <set>

#include "base/hash.h"
#include "base/id.h"
#include "schema/suggest.h"

namespace mayfly::workflow {
namespace {

constexpr int kDepthMax = 10;  // as AWS nests them
constexpr std::size_t kTextBytesMax = 10'000;
constexpr std::int64_t kRangeMax = 1'000;

using Values = std::vector<Json>;

struct Call {
  std::string name;
  struct Argument {
    std::optional<JsonPath> path;
    std::string path_text;
    Json constant;
    std::vector<Call> call;  ///< none or one
  };
  std::vector<Argument> arguments;
};

std::unexpected<StateError> failed(std::string cause) { return state_error("States.IntrinsicFailure", std::move(cause)); }

std::optional<std::int64_t> integer(const Json& value) {
  if (value.is_int64()) return value.get_int64();
  if (value.is_double() && std::abs(value.get_double()) < 9e15) return static_cast<std::int64_t>(std::llround(value.get_double()));
  return std::nullopt;
}
std::string text_of(const Json& value) { return value.is_string() ? std::string(value.get_string()) : to_text(value); }

StateResult<Json> format(const Values& in, Random&) {
  if (!in[0].is_string()) return failed("States.Format: the first argument must be a string");
  const std::string_view pattern = in[0].get_string();
  std::string out;
  std::size_t next = 1;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\' && i + 1 < pattern.size() && (pattern[i + 1] == '{' || pattern[i + 1] == '}' || pattern[i + 1] == '\\')) {
      out += pattern[++i];
    } else if (pattern[i] == '{' && i + 1 < pattern.size() && pattern[i + 1] == '}') {
      if (next >= in.size()) return failed("States.Format: there are more '{}' than arguments");
      if (in[next].is_object() || in[next].is_array())
        return failed("States.Format: an argument must be a string, a number, a boolean or null");
      out += text_of(in[next++]);
      ++i;
    } else {
      out += pattern[i];
    }
  }
  if (next != in.size()) return failed("States.Format: there are more arguments than '{}'");
  return Json(out);
}

StateResult<Json> string_to_json(const Values& in, Random&) {
  if (!in[0].is_string()) return failed("States.StringToJson: the argument must be a string");
  auto parsed = parse_json(in[0].get_string());
  if (!parsed) return failed("States.StringToJson: " + parsed.error().message);
  return std::move(*parsed);
}
StateResult<Json> json_to_string(const Values& in, Random&) { return Json(to_text(in[0])); }
StateResult<Json> array(const Values& in, Random&) { return Json(JsonArray(in.begin(), in.end())); }

StateResult<Json> partition(const Values& in, Random&) {
  const auto size = integer(in[1]);
  if (!in[0].is_array() || !size || *size < 1) return failed("States.ArrayPartition: needs an array and a positive integer");
  JsonArray out;
  for (const Json& item : in[0].get_array()) {
    if (out.empty() || static_cast<std::int64_t>(out.back().get_array().size()) >= *size) out.emplace_back(JsonArray{});
    out.back().get_array().push_back(item);
  }
  return Json(std::move(out));
}
StateResult<Json> contains(const Values& in, Random&) {
  if (!in[0].is_array()) return failed("States.ArrayContains: the first argument must be an array");
  return Json(std::ranges::any_of(in[0].get_array(), [&](const Json& item) { return item == in[1]; }));
}
StateResult<Json> range(const Values& in, Random&) {
  const auto from = integer(in[0]), to = integer(in[1]), step = integer(in[2]);
  if (!from || !to || !step || *step == 0) return failed("States.ArrayRange: needs three integers, the third not 0");
  JsonArray out;
  for (std::int64_t at = *from; *step > 0 ? at <= *to : at >= *to; at += *step) {
    if (static_cast<std::int64_t>(out.size()) >= kRangeMax) return failed("States.ArrayRange: an array has at most 1000 items");
    out.emplace_back(at);
  }
  return Json(std::move(out));
}
StateResult<Json> get_item(const Values& in, Random&) {
  const auto index = integer(in[1]);
  if (!in[0].is_array() || !index || *index < 0 || static_cast<std::size_t>(*index) >= in[0].get_array().size())
    return failed("States.ArrayGetItem: needs an array and an index inside of it");
  return in[0].get_array()[static_cast<std::size_t>(*index)];
}
StateResult<Json> length(const Values& in, Random&) {
  if (!in[0].is_array()) return failed("States.ArrayLength: the argument must be an array");
  return Json(static_cast<std::int64_t>(in[0].get_array().size()));
}
StateResult<Json> unique(const Values& in, Random&) {
  if (!in[0].is_array()) return failed("States.ArrayUnique: the argument must be an array");
  JsonArray out;
  std::set<std::string> seen;
  for (const Json& item : in[0].get_array())
    if (seen.insert(to_canonical_text(item)).second) out.push_back(item);
  return Json(std::move(out));
}
StateResult<Json> encode(const Values& in, Random&) {
  if (!in[0].is_string() || in[0].get_string().size() > kTextBytesMax)
    return failed("States.Base64Encode: needs a string of at most 10000 characters");
  return Json(to_base64(in[0].get_string()));
}
StateResult<Json> decode(const Values& in, Random&) {
  const auto bytes = in[0].is_string() && in[0].get_string().size() <= kTextBytesMax ? from_base64(in[0].get_string()) : std::nullopt;
  if (!bytes) return failed("States.Base64Decode: needs base64 of at most 10000 characters");
  return Json(to_utf8_lossy(*bytes));
}
StateResult<Json> hash(const Values& in, Random&) {
  const std::string data = text_of(in[0]);
  if (data.size() > kTextBytesMax || !in[1].is_string()) return failed("States.Hash: needs at most 10000 characters and an algorithm");
  const std::string name(in[1].get_string());
  static const std::set<std::string> kKnown{"MD5", "SHA-1", "SHA-256", "SHA-384", "SHA-512"};
  if (!kKnown.contains(name)) return failed("States.Hash: '" + name + "' is none of MD5, SHA-1, SHA-256, SHA-384, SHA-512");
  std::string digest(EVP_MAX_MD_SIZE, '\0');
  unsigned size = 0;
  const EVP_MD* algorithm = EVP_get_digestbyname(name == "SHA-1" ? "SHA1" : name == "MD5" ? "MD5" : ("SHA" + name.substr(4)).c_str());
  if (!algorithm || EVP_Digest(data.data(), data.size(), reinterpret_cast<unsigned char*>(digest.data()), &size, algorithm, nullptr) != 1)
    return failed("States.Hash: " + name + " is not available on this machine");
  digest.resize(size);
  return Json(to_hex(digest));
}
StateResult<Json> merge(const Values& in, Random&) {
  if (!in[0].is_object() || !in[1].is_object() || !in[2].is_bool() || in[2].get_bool())
    return failed("States.JsonMerge: needs two objects and false (deep merging is not supported)");
  JsonObject out = in[0].get_object();
  for (const auto& member : in[1].get_object()) out[member.key()] = member.value();
  return Json(std::move(out));
}
StateResult<Json> random_number(const Values& in, Random& random) {
  const auto from = integer(in[0]), to = integer(in[1]);
  if (!from || !to || *from >= *to || (in.size() > 2 && !integer(in[2])))
    return failed("States.MathRandom: needs integers, the first less than the second");
  const auto width = static_cast<std::uint64_t>(*to) - static_cast<std::uint64_t>(*from);
  SeededRandom seeded(in.size() > 2 ? static_cast<std::uint64_t>(*integer(in[2])) : random.next());
  return Json(static_cast<std::int64_t>(static_cast<std::uint64_t>(*from) + seeded.below(width)));
}
StateResult<Json> add(const Values& in, Random&) {
  const auto a = integer(in[0]), b = integer(in[1]);
  std::int64_t sum = 0;
  if (!a || !b || __builtin_add_overflow(*a, *b, &sum)) return failed("States.MathAdd: needs two integers");
  return Json(sum);
}
StateResult<Json> split(const Values& in, Random&) {
  if (!in[0].is_string() || !in[1].is_string()) return failed("States.StringSplit: needs two strings");
  const std::string_view text = in[0].get_string(), separators = in[1].get_string();
  JsonArray out;
  std::string part;
  // Each character of the second argument separates; empty parts are left out.
  for (const char c : text) {
    if (separators.find(c) == std::string_view::npos) {
      part += c;
    } else if (!part.empty()) {
      out.emplace_back(std::exchange(part, {}));
    }
  }
  if (!part.empty()) out.emplace_back(part);
  return Json(std::move(out));
}
StateResult<Json> uuid(const Values&, Random& random) {
  const std::string hex = to_hex16((random.next() & ~0xf000ULL) | 0x4000ULL) + to_hex16((random.next() & ~(3ULL << 62)) | (2ULL << 62));
  return Json(hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" + hex.substr(16, 4) + "-" + hex.substr(20));
}

struct Function {
  StateResult<Json> (*run)(const Values&, Random&);
  std::size_t least, most;
};
const std::map<std::string, Function, std::less<>>& functions() {
  static const std::map<std::string, Function, std::less<>> kAll{{"States.Format", {format, 1, 100}},
                                                                 {"States.StringToJson", {string_to_json, 1, 1}},
                                                                 {"States.JsonToString", {json_to_string, 1, 1}},
                                                                 {"States.Array", {array, 0, 100}},
                                                                 {"States.ArrayPartition", {partition, 2, 2}},
                                                                 {"States.ArrayContains", {contains, 2, 2}},
                                                                 {"States.ArrayRange", {range, 3, 3}},
                                                                 {"States.ArrayGetItem", {get_item, 2, 2}},
                                                                 {"States.ArrayLength", {length, 1, 1}},
                                                                 {"States.ArrayUnique", {unique, 1, 1}},
                                                                 {"States.Base64Encode", {encode, 1, 1}},
                                                                 {"States.Base64Decode", {decode, 1, 1}},
                                                                 {"States.Hash", {hash, 2, 2}},
                                                                 {"States.JsonMerge", {merge, 3, 3}},
                                                                 {"States.MathRandom", {random_number, 2, 3}},
                                                                 {"States.MathAdd", {add, 2, 2}},
                                                                 {"States.StringSplit", {split, 2, 2}},
                                                                 {"States.UUID", {uuid, 0, 0}}};
  return kAll;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}
  Result<Call> whole() {
    if (text_.size() > kTextBytesMax) return error("it is too long");
    auto out = call(1);
    if (!out) return out;
    blanks();
    if (at_ != text_.size()) return error("unexpected text after it");
    return out;
  }

 private:
  std::unexpected<Error> error(const std::string& what) const {
    return fail("intrinsic.invalid", "the intrinsic function '" + std::string(text_.substr(0, 200)) + "' is invalid at position " +
                                         std::to_string(at_ + 1) + ": " + what);
  }
  void blanks() {
    while (at_ < text_.size() && std::string_view(" \t\n\r").find(text_[at_]) != std::string_view::npos) ++at_;
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  Result<Call> call(int depth) {
    Call out;
    if (depth > kDepthMax) return error("at most 10 functions nest");
    const std::size_t from = at_;
    while (std::isalnum(static_cast<unsigned char>(peek())) || peek() == '.') out.name += text_[at_++];
    const auto known = functions().find(out.name);
    if (known == functions().end()) {
      std::vector<std::string> names;
      for (const auto& entry : functions()) names.push_back(entry.first);
      const std::string close = closest_name(out.name, names);
      at_ = from;
      return error("'" + out.name + "' is no intrinsic function" + (close.empty() ? "" : "; did you mean " + close + "?"));
    }
    blanks();
    if (peek() != '(') return error("expected '('");
    ++at_;
    blanks();
    while (peek() != ')') {
      auto next = argument(depth);
      if (!next) return std::unexpected(next.error());
      out.arguments.push_back(std::move(*next));
      blanks();
      if (peek() == ',') {
        ++at_;
        blanks();
        if (peek() == ')') return error("expected an argument");
      } else if (peek() != ')') {
        return error("expected ',' or ')'");
      }
    }
    ++at_;
    if (out.arguments.size() < known->second.least || out.arguments.size() > known->second.most)
      return error(out.name + " takes " + std::to_string(known->second.least) +
                   (known->second.most == known->second.least ? "" : " to " + std::to_string(known->second.most)) + " arguments");
    return out;
  }

  Result<Call::Argument> argument(int depth) {
    Call::Argument out;
    const std::size_t from = at_;
    if (text_.substr(at_).starts_with(kIntrinsicPrefix)) {
      auto inner = call(depth + 1);
      if (!inner) return std::unexpected(inner.error());
      out.call.push_back(std::move(*inner));
      return out;
    }
    if (peek() == '\'') {
      std::string text;
      for (++at_; peek() != '\''; ++at_) {
        if (at_ >= text_.size()) return error("the string does not end");
        // \' and \\ are the function's own; \{ and \} belong to States.Format.
        if (peek() == '\\' && at_ + 1 < text_.size() && text_[at_ + 1] == '\'') ++at_;
        text += text_[at_];
      }
      ++at_;
      out.constant = text;
      return out;
    }
    if (peek() == '$') {
      int brackets = 0;
      char quote = '\0';
      for (; at_ < text_.size(); ++at_) {
        const char c = text_[at_];
        if (quote != '\0') {
          if (c == quote) quote = '\0';
        } else if (brackets > 0 && (c == '\'' || c == '"')) {
          quote = c;
        } else if (c == '[') {
          ++brackets;
        } else if (c == ']') {
          --brackets;
        } else if (brackets == 0 && (c == ',' || c == ')' || c == ' ')) {
          break;
        }
      }
      out.path_text = text_.substr(from, at_ - from);
      auto path = JsonPath::parse(out.path_text);
      if (!path) return error(path.error().message);
      out.path = std::move(*path);
      return out;
    }
    while (at_ < text_.size() && std::string_view(",) \t\n\r").find(text_[at_]) == std::string_view::npos) ++at_;
    auto constant = parse_json(text_.substr(from, at_ - from));
    if (!constant || constant->is_object() || constant->is_array() || constant->is_string()) {
      at_ = from;
      return error("an argument is a path, a string in single quotes, a number, true, false, null or another intrinsic function");
    }
    out.constant = std::move(*constant);
    return out;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

StateResult<Json> evaluate(const Call& call, const PathScope& scope, Random& random) {
  Values values;
  for (const Call::Argument& argument : call.arguments) {
    if (!argument.call.empty()) {
      auto inner = evaluate(argument.call.front(), scope, random);
      if (!inner) return inner;
      values.push_back(std::move(*inner));
    } else if (argument.path) {
      auto found = argument.path->find(scope);
      if (!found)
        return state_error("States.ParameterPathFailure", "The JSONPath '" + argument.path_text + "' could not be found in the input");
      values.push_back(std::move(*found));
    } else {
      values.push_back(argument.constant);
    }
  }
  return functions().find(call.name)->second.run(values, random);
}

}  // namespace

Result<void> check_intrinsic(std::string_view text) {
  auto parsed = Parser(text).whole();
  if (!parsed) return std::unexpected(parsed.error());
  return {};
}

StateResult<Json> evaluate_intrinsic(std::string_view text, const PathScope& scope, Random& random) {
  auto parsed = Parser(text).whole();
  if (!parsed) return failed(parsed.error().message);
  return evaluate(*parsed, scope, random);
}

}  // namespace mayfly::workflow
