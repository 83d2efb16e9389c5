#include "llm/scripted_provider.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <fstream>
#include <iterator>
#include <unordered_map>

#include "llm/llm_error.h"
#include "llm/script.h"
#include "llm/stream_text.h"

namespace mayfly::llm {
namespace {

constexpr std::size_t kFileBytesMax = 1024 * 1024;
constexpr std::size_t kPatternBytesMax = 2048;     // std::regex recurses once a character
constexpr std::size_t kFailureKeysMax = 100'000;
constexpr std::size_t kBytesPerToken = 4;
constexpr Millis kTick{10};

/// Where a conversation stands: what the newest user message is and what followed it.
struct Place {
  std::string user;
  std::size_t turn = 0;
  std::string tool_result;
};

Place place_of(const std::vector<Message>& messages) {
  Place out;
  std::size_t at = messages.size();
  bool results_open = true;
  while (at > 0 && messages[at - 1].role != Role::User) {
    const Message& message = messages[--at];
    if (message.role == Role::Assistant) {
      ++out.turn;
      results_open = false;
    } else if (message.role == Role::Tool && results_open) {
      std::string texts;
      for (const Content& content : message.content) {
        if (content.kind != Content::Kind::ToolResult && content.kind != Content::Kind::Text) continue;
        if (!texts.empty()) texts += '\n';
        texts += content.text;
      }
      out.tool_result = out.tool_result.empty() ? std::move(texts) : texts + "\n" + out.tool_result;
    }
  }
  if (at > 0) out.user = text_of(messages[at - 1]);
  return out;
}

std::int64_t tokens_of(std::size_t bytes) { return std::max<std::int64_t>(1, static_cast<std::int64_t>(bytes / kBytesPerToken)); }

std::int64_t input_tokens(const LlmRequest& request) {
  std::size_t bytes = request.system.size();
  for (const Message& message : request.messages)
    for (const Content& content : message.content) bytes += content.text.size() + content.name.size() + content.data.size();
  for (const ToolDefinition& tool : request.tools) bytes += tool.name.size() + tool.description.size();
  return tokens_of(bytes);
}

class ScriptedProvider final : public LlmProvider {
 public:
  ScriptedProvider(Clock& clock, std::string name, Script script) : clock_(clock), name_(std::move(name)), script_(std::move(script)) {}

  Task<LlmResult> complete(LlmCall call) override {
    if (call.cancel.cancelled()) co_return std::unexpected(cancelled_error());
    LlmResult result = answer(call);
    if (!result || !call.on_delta) co_return result;
    if (script_.tokens_per_second <= 0) {
      emit_as_deltas(result->message, call.on_delta);
    } else if (!co_await stream(result->message, call)) {
      co_return std::unexpected(cancelled_error());
    }
    co_return result;
  }

 private:
  struct Match {
    const ScriptConversation* conversation = nullptr;
    std::size_t index = SIZE_MAX;
    std::vector<std::string> captures;
  };

  Match find(const std::string& user) const {
    const std::string lowered = to_lower_ascii(user);
    for (std::size_t i = 0; i < script_.conversations.size(); ++i) {
      const ScriptConversation& candidate = script_.conversations[i];
      if (candidate.pattern) {
        const std::string text = user.substr(0, kPatternBytesMax);
        std::smatch found;
        if (!std::regex_search(text, found, *candidate.pattern)) continue;
        return {&candidate, i, std::vector<std::string>(found.begin(), found.end())};
      }
      const auto occurs = [&](const std::string& needle) { return lowered.find(needle) != std::string::npos; };
      if (std::ranges::all_of(candidate.needles, occurs)) return {&candidate, i, {}};
    }
    return {};
  }

  const ScriptAnswer& choose(const Match& match, const Place& place) const {
    if (!match.conversation || place.turn >= match.conversation->turns.size()) return script_.fallback;
    const ScriptTurn& turn = match.conversation->turns[place.turn];
    std::optional<std::string> lowered;
    for (const ScriptAnswer& candidate : turn.cases) {
      if (candidate.contains.empty()) return candidate;
      if (!lowered) lowered = to_lower_ascii(place.tool_result);
      const auto occurs = [&](const std::string& needle) { return lowered->find(needle) != std::string::npos; };
      if (std::ranges::all_of(candidate.contains, occurs)) return candidate;
    }
    return script_.fallback;
  }

  LlmResult answer(const LlmCall& call) {
    const Place place = place_of(call.request.messages);
    const Match match = find(place.user);
    const ScriptAnswer& chosen = choose(match, place);
    if (auto failure = failure_of(chosen, call, match.index, place.turn)) return std::unexpected(std::move(*failure));
    const ScriptValues values{place.user, place.tool_result, place.turn, match.captures};
    const std::string position = fmt::format("{}_{}_{}", match.conversation ? std::to_string(match.index) : "default", place.turn,
                                             call.request.messages.size());
    LlmResponse out;
    std::size_t bytes = 0;
    out.message = message_of(chosen, values, position, bytes);
    out.stop_reason = chosen.stop_reason;
    out.usage.input = input_tokens(call.request);
    out.usage.output = tokens_of(bytes);
    out.provider = name_;
    out.model = call.request.model;
    out.response_id = "scripted_" + position;
    return out;
  }

  static Message message_of(const ScriptAnswer& chosen, const ScriptValues& values, const std::string& position, std::size_t& bytes) {
    Message out;
    out.role = Role::Assistant;
    if (chosen.reasoning) {
      Content thought = Content::make_text(chosen.reasoning->render(values));
      thought.kind = Content::Kind::Reasoning;
      bytes += thought.text.size();
      out.content.push_back(std::move(thought));
    }
    if (chosen.text) {
      Content text = Content::make_text(chosen.text->render(values));
      if (chosen.stop_reason == StopReason::Refusal) text.kind = Content::Kind::Refusal;
      bytes += text.text.size();
      out.content.push_back(std::move(text));
    }
    for (std::size_t i = 0; i < chosen.calls.size(); ++i) {
      const ScriptCall& source = chosen.calls[i];
      Json arguments = source.has_placeholders ? render(source.arguments, values) : source.arguments;
      Content call = Content::make_tool_call(fmt::format("call_{}_{}", position, i), source.name, std::move(arguments));
      if (source.malformed) call.text = source.malformed->render(values);
      bytes += call.name.size() + arguments_text(call).size();
      out.content.push_back(std::move(call));
    }
    return out;
  }

  /// The scripted failure of this turn while this run has not seen it often enough.
  std::optional<LlmError> failure_of(const ScriptAnswer& chosen, const LlmCall& call, std::size_t conversation, std::size_t turn) {
    if (!chosen.failure) return std::nullopt;
    const std::string key = fmt::format("{}/{}/{}", call.scripted_key, conversation, turn);
    const auto [entry, is_new] = failures_.try_emplace(key, 0);
    if (is_new) {
      failure_order_.push_back(key);
      if (failure_order_.size() > kFailureKeysMax) {
        failures_.erase(failure_order_.front());
        failure_order_.pop_front();
      }
    }
    int& seen = failures_[key];
    if (seen >= chosen.failure->times) return std::nullopt;
    ++seen;
    net::Headers headers;
    if (chosen.failure->retry_after) headers.add("retry-after-ms", std::to_string(chosen.failure->retry_after->count()));
    return error_from_http(name_, chosen.failure->status, headers, R"({"error":{"message":"scripted failure"}})", clock_.now());
  }

  /// False when cancelled.
  Task<bool> stream(Message message, LlmCall call) {
    const double bytes_per_tick = script_.tokens_per_second * kBytesPerToken * static_cast<double>(kTick.count()) / 1'000.0;
    double credit = 0;
    int index = 0;
    for (const Content& content : message.content) {
      LlmDelta delta;
      std::string text = content.text;
      if (content.kind == Content::Kind::Reasoning) delta.kind = LlmDelta::Kind::Reasoning;
      if (content.kind == Content::Kind::ToolCall) {
        text = arguments_text(content);
        call.on_delta({.kind = LlmDelta::Kind::ToolCallStart, .index = index, .id = content.id, .name = content.name});
        delta.kind = LlmDelta::Kind::ToolCallArguments;
        delta.index = index++;
      }
      std::string_view rest = text;
      while (!rest.empty()) {
        while (credit < static_cast<double>(kBytesPerToken)) {
          if (!co_await sleep_for(clock_, kTick, call.cancel)) co_return false;
          credit += bytes_per_tick;
        }
        const std::size_t size = utf8_prefix(rest, static_cast<std::size_t>(credit));
        delta.text = rest.substr(0, size);
        rest.remove_prefix(size);
        credit -= static_cast<double>(size);
        call.on_delta(delta);
      }
    }
    co_return true;
  }

  Clock& clock_;
  std::string name_;
  Script script_;
  std::unordered_map<std::string, int> failures_;
  std::deque<std::string> failure_order_;
};

}  // namespace

Result<std::unique_ptr<LlmProvider>> make_scripted_provider(Clock& clock, std::string provider_name, std::string_view yaml_text,
                                                            std::string_view file_name) {
  auto script = parse_script(yaml_text, file_name);
  if (!script) return fail(std::move(script.error()));
  return std::make_unique<ScriptedProvider>(clock, std::move(provider_name), std::move(*script));
}

Result<std::unique_ptr<LlmProvider>> load_scripted_provider(Clock& clock, std::string provider_name, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail("llm.invalid_script", fmt::format("cannot read the script `{}`; check `script_path`", path));
  std::string text(kFileBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kFileBytesMax)
    return fail("llm.invalid_script", fmt::format("the script `{}` is larger than {} bytes; split it", path, kFileBytesMax));
  return make_scripted_provider(clock, std::move(provider_name), text, path);
}

}  // namespace mayfly::llm
