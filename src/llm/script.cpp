#include "llm/script.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "schema/yaml.h"

namespace mayfly::llm {
namespace {

constexpr double kTokensPerSecondMax = 1'000'000;
constexpr std::int64_t kFailuresMax = 1'000'000;

struct ScriptError {
  Error error;
};

/// Walks the document; leaves by a ScriptError, which parse_script catches.
class Reader {
 public:
  Reader(const YamlDocument& document, std::string_view file) : document_(document), file_(file) {}

  Script script() {
    const JsonObject& root = object(document_.value, "", "a script");
    only(root, "", {"version", "tokens_per_second", "conversations", "default"});
    if (get_int(root, "version") != 1) refuse("/version", "a script starts with `version: 1`");
    Script out;
    if (const Json* speed = get(root, "tokens_per_second")) {
      out.tokens_per_second = speed->is_number() ? get_double(root, "tokens_per_second") : -1;
      if (!(out.tokens_per_second >= 0 && out.tokens_per_second <= kTokensPerSecondMax))
        refuse("/tokens_per_second", fmt::format("`tokens_per_second` must be a number from 0 to {}", kTokensPerSecondMax));
    }
    if (const Json* list = get(root, "conversations")) {
      const JsonArray& items = array(*list, "/conversations", "`conversations`");
      for (std::size_t i = 0; i < items.size(); ++i)
        out.conversations.push_back(conversation(items[i], fmt::format("/conversations/{}", i)));
    }
    if (const Json* fallback = get(root, "default")) {
      out.fallback = answer(*fallback, "/default", {});
    } else {
      out.fallback.text = ScriptText("I have no script for that.");
    }
    return out;
  }

 private:
  [[noreturn]] void refuse(const std::string& pointer, const std::string& message) const {
    const SourcePosition at = document_.position_of(pointer);
    throw ScriptError{Error{"llm.invalid_script", fmt::format("{}:{}:{}: {}", file_, at.line, at.column, message), Retry::Never}};
  }

  const JsonObject& object(const Json& value, const std::string& pointer, std::string_view what) const {
    if (!value.is_object()) refuse(pointer, fmt::format("{} must be a mapping", what));
    return value.get_object();
  }

  const JsonArray& array(const Json& value, const std::string& pointer, std::string_view what) const {
    if (!value.is_array()) refuse(pointer, fmt::format("{} must be a list", what));
    return value.get_array();
  }

  std::string text(const Json& value, const std::string& pointer, std::string_view what) const {
    if (!value.is_string()) refuse(pointer, fmt::format("{} must be a text; put it in quotes", what));
    return std::string(value.get_string());
  }

  void only(const JsonObject& value, const std::string& pointer, const std::vector<std::string_view>& known) const {
    for (const auto& [key, member] : value) {
      if (std::ranges::find(known, std::string_view(key)) != known.end()) continue;
      refuse(pointer + "/" + std::string(key), fmt::format("unknown key `{}`; known are {}", std::string_view(key), fmt::join(known, ", ")));
    }
  }

  /// A text, or a list of texts, in lower case.
  std::vector<std::string> needles(const Json& value, const std::string& pointer, std::string_view what) const {
    if (value.is_string()) return {to_lower_ascii(value.get_string())};
    std::vector<std::string> out;
    const JsonArray& items = array(value, pointer, what);
    for (std::size_t i = 0; i < items.size(); ++i)
      out.push_back(to_lower_ascii(text(items[i], fmt::format("{}/{}", pointer, i), "each of " + std::string(what))));
    if (out.empty()) refuse(pointer, fmt::format("{} must not be empty", what));
    return out;
  }

  ScriptConversation conversation(const Json& value, const std::string& pointer) const {
    const JsonObject& source = object(value, pointer, "a conversation");
    only(source, pointer, {"name", "match", "turns"});
    ScriptConversation out;
    const Json* match = get(source, "match");
    if (!match) refuse(pointer, "a conversation needs `match`: a text, a list of texts or {regex: \"…\"}");
    if (match->is_object()) {
      only(match->get_object(), pointer + "/match", {"regex"});
      const Json* pattern = get(match->get_object(), "regex");
      if (!pattern) refuse(pointer + "/match", "`match` needs `regex`");
      out.pattern = regex(text(*pattern, pointer + "/match/regex", "`regex`"), pointer + "/match/regex");
    } else {
      out.needles = needles(*match, pointer + "/match", "`match`");
    }
    const Json* turns = get(source, "turns");
    if (!turns) refuse(pointer, "a conversation needs `turns`, a list of answers");
    const JsonArray& items = array(*turns, pointer + "/turns", "`turns`");
    if (items.empty()) refuse(pointer + "/turns", "`turns` needs at least one answer");
    for (std::size_t i = 0; i < items.size(); ++i) out.turns.push_back(turn(items[i], fmt::format("{}/turns/{}", pointer, i)));
    return out;
  }

  std::regex regex(const std::string& pattern, const std::string& pointer) const {
    try {
      return std::regex(pattern, std::regex::ECMAScript | std::regex::icase | std::regex::optimize);
    } catch (const std::regex_error& error) {
      refuse(pointer, fmt::format("`{}` is not a regular expression (ECMAScript): {}", pattern, error.what()));
    }
  }

  ScriptTurn turn(const Json& value, const std::string& pointer) const {
    const JsonObject& source = object(value, pointer, "a turn");
    ScriptTurn out;
    const Json* cases = get(source, "cases");
    if (!cases) {
      out.cases.push_back(answer(value, pointer, {}));
      return out;
    }
    only(source, pointer, {"cases"});
    const JsonArray& items = array(*cases, pointer + "/cases", "`cases`");
    for (std::size_t i = 0; i < items.size(); ++i)
      out.cases.push_back(answer(items[i], fmt::format("{}/cases/{}", pointer, i), {"contains"}));
    return out;
  }

  ScriptAnswer answer(const Json& value, const std::string& pointer, const std::vector<std::string_view>& further_keys) const {
    const JsonObject& source = object(value, pointer, "an answer");
    std::vector<std::string_view> known{"text", "reasoning", "tool_calls", "stop_reason", "error"};
    known.insert(known.end(), further_keys.begin(), further_keys.end());
    only(source, pointer, known);
    ScriptAnswer out;
    if (const Json* contains = get(source, "contains")) out.contains = needles(*contains, pointer + "/contains", "`contains`");
    if (const Json* said = get(source, "text")) out.text = ScriptText(text(*said, pointer + "/text", "`text`"));
    if (const Json* thought = get(source, "reasoning")) out.reasoning = ScriptText(text(*thought, pointer + "/reasoning", "`reasoning`"));
    if (const Json* calls = get(source, "tool_calls")) {
      const JsonArray& items = array(*calls, pointer + "/tool_calls", "`tool_calls`");
      for (std::size_t i = 0; i < items.size(); ++i) out.calls.push_back(call(items[i], fmt::format("{}/tool_calls/{}", pointer, i)));
    }
    if (const Json* failure = get(source, "error")) out.failure = error(*failure, pointer + "/error");
    out.stop_reason = out.calls.empty() ? StopReason::End : StopReason::ToolCalls;
    if (const Json* reason = get(source, "stop_reason")) out.stop_reason = stop_reason(*reason, pointer + "/stop_reason");
    if (!out.text && out.calls.empty() && !out.failure)
      refuse(pointer, "an answer needs `text`, `tool_calls` or `error`");
    return out;
  }

  ScriptCall call(const Json& value, const std::string& pointer) const {
    const JsonObject& source = object(value, pointer, "a tool call");
    only(source, pointer, {"name", "arguments", "arguments_text"});
    ScriptCall out;
    out.name = get_string(source, "name");
    if (out.name.empty()) refuse(pointer, "a tool call needs a `name`");
    if (const Json* malformed = get(source, "arguments_text")) {
      out.malformed = ScriptText(text(*malformed, pointer + "/arguments_text", "`arguments_text`"));
      return out;
    }
    const Json* arguments = get(source, "arguments");
    out.arguments = arguments ? Json(object(*arguments, pointer + "/arguments", "`arguments`")) : Json(JsonObject{});
    out.has_placeholders = to_text(out.arguments).find("{{") != std::string::npos;
    return out;
  }

  ScriptFailure error(const Json& value, const std::string& pointer) const {
    const JsonObject& source = object(value, pointer, "`error`");
    only(source, pointer, {"status", "retry_after", "times"});
    ScriptFailure out;
    const std::int64_t status = get_int(source, "status", 500);
    if (status < 400 || status > 599) refuse(pointer + "/status", "`status` must be an HTTP status from 400 to 599");
    const std::int64_t times = get_int(source, "times", 1);
    if (times < 1 || times > kFailuresMax) refuse(pointer + "/times", fmt::format("`times` must be from 1 to {}", kFailuresMax));
    out.status = static_cast<int>(status);
    out.times = static_cast<int>(times);
    if (const Json* wait = get(source, "retry_after")) {
      const auto duration = parse_duration(text(*wait, pointer + "/retry_after", "`retry_after`"));
      if (!duration) refuse(pointer + "/retry_after", duration.error().message);
      out.retry_after = *duration;
    }
    return out;
  }

  StopReason stop_reason(const Json& value, const std::string& pointer) const {
    const std::string name = text(value, pointer, "`stop_reason`");
    for (const StopReason reason : {StopReason::End, StopReason::ToolCalls, StopReason::Length, StopReason::Refusal,
                                    StopReason::StopSequence, StopReason::ContentFilter, StopReason::Other}) {
      if (to_string(reason) == name) return reason;
    }
    refuse(pointer, fmt::format("unknown stop_reason `{}`; use end, tool_calls, length, refusal, stop_sequence, content_filter or other",
                                name));
  }

  const YamlDocument& document_;
  std::string_view file_;
};

}  // namespace

Result<Script> parse_script(std::string_view yaml_text, std::string_view file_name) {
  const auto document = parse_yaml(yaml_text, file_name);
  if (!document) return fail("llm.invalid_script", document.error().message);
  try {
    return Reader(*document, file_name).script();
  } catch (const ScriptError& refused) {
    return fail(refused.error);
  }
}

}  // namespace mayfly::llm
