#pragma once

#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "llm/provider.h"

/// The parsed form of a scripted provider's YAML (see scripted_provider.h). Everything that can be prepared is, once.
namespace mayfly::llm {

/// What placeholders stand for in one call. The views live as long as the call.
struct ScriptValues {
  std::string_view user;
  std::string_view tool_result;
  std::size_t turn = 0;
  std::vector<std::string> captures;
};

/// A text with {{placeholders}}, split at load.
class ScriptText {
 public:
  ScriptText() = default;
  explicit ScriptText(std::string_view source);
  bool is_static() const { return segments_.size() <= 1 && (segments_.empty() || segments_[0].kind == Kind::Literal); }
  std::string render(const ScriptValues& values) const;

 private:
  enum class Kind { Literal, User, ToolResult, Turn, Capture };
  struct Segment {
    Kind kind;
    std::string text;
    std::size_t capture = 0;
  };
  static bool placeholder(std::string_view name, Segment& out);
  std::vector<Segment> segments_;
};

struct ScriptCall {
  std::string name;
  Json arguments;                      ///< null when `malformed` counts
  bool has_placeholders = false;
  std::optional<ScriptText> malformed;
};

struct ScriptFailure {
  int status = 500;
  std::optional<Millis> retry_after;
  int times = 1;
};

struct ScriptAnswer {
  std::vector<std::string> contains;   ///< lower case
  std::optional<ScriptText> text;
  std::optional<ScriptText> reasoning;
  std::vector<ScriptCall> calls;
  StopReason stop_reason = StopReason::End;
  std::optional<ScriptFailure> failure;
};

struct ScriptTurn {
  std::vector<ScriptAnswer> cases;     ///< the first whose `contains` all occur
};

struct ScriptConversation {
  std::vector<std::string> needles;    ///< lower case; all must occur
  std::optional<std::regex> pattern;
  std::vector<ScriptTurn> turns;
};

struct Script {
  double tokens_per_second = 0;
  std::vector<ScriptConversation> conversations;
  ScriptAnswer fallback;
};

/// Error: `llm.invalid_script` with "FILE:LINE:COLUMN: ".
Result<Script> parse_script(std::string_view yaml_text, std::string_view file_name);

/// `value` with the placeholders of its texts filled in.
Json render(const Json& value, const ScriptValues& values);

std::string to_lower_ascii(std::string_view text);

}  // namespace mayfly::llm
