#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "llm/claude_model.h"
#include "server/faces/anthropic_messages.h"
#include "server/faces/fields.h"
#include "server/faces/openai_common.h"

namespace mayfly::faces {
namespace {

using llm::Content;
using llm::ReasoningEffort;
using llm::Role;

constexpr std::string_view kOwnSignature = "mf_";

/// A text, or the texts of text blocks.
Decoded<std::string> texts(const Json* value, const std::string& param) {
  if (!value) return std::string();
  if (value->is_string()) return std::string(value->get_string());
  const JsonArray* blocks = value->if_array();
  if (!blocks) return reject(param, "must be a text or a list of text blocks");
  std::string out;
  for (std::size_t i = 0; i < blocks->size(); ++i) {
    const JsonObject* block = (*blocks)[i].if_object();
    const std::string type = block ? get_string(*block, "type") : std::string();
    if (type == "image") return unsupported(at(param, i), "send images in a user message");
    if (type != "text") return unsupported(at(param, i, ".type"), "only text blocks may stand here");
    if (!out.empty()) out += '\n';
    out += get_string(*block, "text");
  }
  return out;
}

Decoded<Content> image(const JsonObject& block, const std::string& param) {
  const JsonObject* source = get_object(block, "source");
  const std::string type = source ? get_string(*source, "type") : std::string();
  if (type == "url") return image_from_url(get_string(*source, "url"), param + ".source.url");
  if (type != "base64") return unsupported(param + ".source.type", "send the image as base64 or url");
  return image_from_url(fmt::format("data:{};base64,{}", get_string(*source, "media_type"), get_string(*source, "data")),
                        param + ".source");
}

std::optional<Content> thinking(const JsonObject& block, std::string_view model, const Recall& recall) {
  const bool redacted = get_string(block, "type") == "redacted_thinking";
  const std::string sign = get_string(block, redacted ? "data" : "signature");
  if (sign.empty()) return std::nullopt;
  if (sign.starts_with(kOwnSignature)) return recall ? recall(sign) : std::nullopt;
  Content out = Content::make_text(get_string(block, "thinking"));
  out.kind = Content::Kind::Reasoning;
  JsonObject opaque{{"api", "anthropic"}, {"model", to_json_text(bare_model(model))}};
  opaque[redacted ? "redacted" : "signature"] = sign;
  out.opaque = std::move(opaque);
  return out;
}

class MessageReader {
 public:
  MessageReader(llm::LlmRequest& out, const Recall& recall) : out_(out), recall_(recall) {}

  Decoded<void> message(const Json& value, const std::string& param) {
    const JsonObject* object = value.if_object();
    if (!object) return reject(param, "must be an object with `role` and `content`");
    const std::string role = get_string(*object, "role");
    if (role == "system") {
      auto text = texts(field(*object, "content"), param + ".content");
      if (!text) return std::unexpected(std::move(text.error()));
      append_system(out_, std::move(*text));
      return {};
    }
    if (role != "user" && role != "assistant") return reject(param + ".role", "must be user or assistant");
    const Role side = role == "user" ? Role::User : Role::Assistant;
    const Json* content = field(*object, "content");
    if (content && content->is_string()) {
      append_content(out_.messages, side, Content::make_text(std::string(content->get_string())), false);
      return {};
    }
    const JsonArray* blocks = content ? content->if_array() : nullptr;
    if (!blocks || blocks->size() > kPartsMax)
      return reject(param + ".content", fmt::format("must be a text or a list of at most {} blocks", kPartsMax));
    joins_ = false;
    for (std::size_t i = 0; i < blocks->size(); ++i) {
      const JsonObject* block = (*blocks)[i].if_object();
      if (!block) return reject(at(param + ".content", i), "must be an object with a `type`");
      if (auto done = read(*block, side, at(param + ".content", i)); !done) return done;
    }
    return {};
  }

 private:
  void add(Role role, Content content) {
    append_content(out_.messages, role, std::move(content), joins_);
    joins_ = true;
  }

  Decoded<void> read(const JsonObject& block, Role side, const std::string& param) {
    const std::string type = get_string(block, "type");
    if (type == "text") {
      add(side, Content::make_text(get_string(block, "text")));
    } else if (type == "image" && side == Role::User) {
      auto picture = image(block, param);
      if (!picture) return std::unexpected(std::move(picture.error()));
      add(side, std::move(*picture));
    } else if (type == "tool_result" && side == Role::User) {
      return tool_result(block, param);
    } else if (type == "tool_use" && side == Role::Assistant) {
      if (get_string(block, "id").empty() || get_string(block, "name").empty())
        return reject(param, "a tool_use needs `id`, `name` and `input`");
      const JsonObject* input = get_object(block, "input");
      add(side, Content::make_tool_call(get_string(block, "id"), get_string(block, "name"), input ? Json(*input) : Json(JsonObject{})));
    } else if ((type == "thinking" || type == "redacted_thinking") && side == Role::Assistant) {
      if (auto thought = thinking(block, out_.model, recall_)) add(side, std::move(*thought));
    } else {
      return unsupported(param + ".type",
                         fmt::format("`{}` is no block that Mayfly passes on: use text, image, tool_use and tool_result", type));
    }
    return {};
  }

  Decoded<void> tool_result(const JsonObject& block, const std::string& param) {
    const std::string id = get_string(block, "tool_use_id");
    if (id.empty()) return reject(param + ".tool_use_id", "a tool_result needs the id of its tool_use");
    auto text = texts(field(block, "content"), param + ".content");
    if (!text) return std::unexpected(std::move(text.error()));
    append_content(out_.messages, Role::Tool, Content::make_tool_result(id, std::move(*text), get_bool(block, "is_error")), true);
    joins_ = true;
    return {};
  }

  llm::LlmRequest& out_;
  const Recall& recall_;
  bool joins_ = false;
};

Decoded<void> tools(const JsonObject& body, llm::LlmRequest& out) {
  const Json* value = field(body, "tools");
  if (!value) return {};
  const JsonArray* list = value->if_array();
  if (!list || list->size() > kToolsMax) return reject("tools", fmt::format("must be a list of at most {} tools", kToolsMax));
  for (std::size_t i = 0; i < list->size(); ++i) {
    const JsonObject* tool = (*list)[i].if_object();
    if (!tool || get_string(*tool, "name").empty()) return reject(at("tools", i), "a tool needs `name` and `input_schema`");
    if (get_string(*tool, "type", "custom") != "custom")
      return unsupported(at("tools", i, ".type"), "tools of the provider do not run here; describe one of yours with `input_schema`");
    const JsonObject* schema = get_object(*tool, "input_schema");
    if (!schema) return reject(at("tools", i, ".input_schema"), "must be a JSON Schema object");
    out.tools.push_back({get_string(*tool, "name"), get_string(*tool, "description"), *schema});
  }
  return {};
}

Decoded<void> tool_choice(const JsonObject& body, llm::LlmRequest& out) {
  const Json* value = field(body, "tool_choice");
  if (!value) return {};
  const JsonObject* choice = value->if_object();
  const std::string type = choice ? get_string(*choice, "type") : std::string();
  if (choice && get_bool(*choice, "disable_parallel_tool_use")) out.parallel_tool_calls = false;
  if (type == "auto") return {};
  if (type == "tool") return restrict_tools(out, {get_string(*choice, "name")}, llm::ToolChoice::Required, "tool_choice");
  if (type != "any" && type != "none") return reject("tool_choice", "`type` must be auto, any, tool or none");
  out.tool_choice = type == "any" ? llm::ToolChoice::Required : llm::ToolChoice::None;
  return {};
}

/// A budget becomes the highest effort that fits into it. Where our provider adds a budget of its own to the limit, it is taken off here.
void thinking_budget(std::int64_t budget, llm::LlmRequest& out) {
  struct Level {
    std::int64_t tokens;
    ReasoningEffort effort;
  };
  constexpr std::array kLevels{Level{16'384, ReasoningEffort::High}, Level{4'096, ReasoningEffort::Medium}, Level{0, ReasoningEffort::Low}};
  const auto* level = std::ranges::find_if(kLevels, [&](const Level& each) { return budget >= each.tokens; });
  if (level == kLevels.end()) return;
  out.reasoning = level->effort;
  if (!llm::claude_model(bare_model(out.model)).thinks_by_budget) return;
  out.output_tokens_max = std::max<std::int64_t>(1, out.output_tokens_max - std::max<std::int64_t>(level->tokens, 1'024));
}

Decoded<void> reasoning(const JsonObject& body, llm::LlmRequest& out) {
  if (const JsonObject* config = get_object(body, "output_config")) {
    if (const std::string effort = get_string(*config, "effort"); !effort.empty()) {
      auto level = effort_from_name(effort, out.model, "output_config.effort");
      if (!level) return std::unexpected(std::move(level.error()));
      out.reasoning = *level;
    }
  }
  const JsonObject* wish = get_object(body, "thinking");
  const std::string type = wish ? get_string(*wish, "type") : std::string();
  if (type == "disabled") out.reasoning = ReasoningEffort::None;
  if (type == "adaptive" && out.reasoning == ReasoningEffort::Default) out.reasoning = ReasoningEffort::High;
  if (type == "enabled") thinking_budget(get_int(*wish, "budget_tokens"), out);
  return {};
}

Decoded<void> settings(const JsonObject& body, FaceRequest& out) {
  llm::LlmRequest& request = out.request;
  auto limit = count_field(body, "max_tokens", 1);
  if (!limit) return std::unexpected(std::move(limit.error()));
  if (!*limit) return reject("max_tokens", "is required: say how many tokens the answer may have");
  request.output_tokens_max = **limit;
  auto temperature = number_field(body, "temperature", 0, 1);
  if (!temperature) return std::unexpected(std::move(temperature.error()));
  request.temperature = *temperature;
  auto stop = stop_field(body, "stop_sequences");
  if (!stop) return std::unexpected(std::move(stop.error()));
  request.stop = std::move(*stop);
  auto stream = flag_field(body, "stream", false);
  if (!stream) return std::unexpected(std::move(stream.error()));
  out.stream = *stream;
  const JsonObject* config = get_object(body, "output_config");
  const Json* format = config ? field(*config, "format") : field(body, "output_format");
  if (format)
    if (auto done = decode_output_format(*format, Nesting::Flat, "output_config.format", request); !done) return done;
  if (const JsonObject* metadata = get_object(body, "metadata")) request.user = get_string(*metadata, "user_id");
  return reasoning(body, request);
}

}  // namespace

Decoded<FaceRequest> decode_messages(std::string_view text, const Recall& recall) {
  auto body = decode_body(text);
  if (!body) return std::unexpected(std::move(body.error()));
  FaceRequest out;
  auto model = text_field(*body, "model");
  if (!model) return std::unexpected(std::move(model.error()));
  if (model->empty()) return reject("model", "is missing: name a model");
  out.request.model = std::move(*model);
  for (const std::string_view key : {"mcp_servers", "container"})
    if (is_present(*body, key)) return unsupported(std::string(key), "run the tool yourself, or deploy an agent that has it");
  if (auto set = settings(*body, out); !set) return std::unexpected(std::move(set.error()));
  auto system = texts(field(*body, "system"), "system");
  if (!system) return std::unexpected(std::move(system.error()));
  out.request.system = std::move(*system);
  const JsonArray* messages = get_array(*body, "messages");
  if (!messages || messages->empty() || messages->size() > kMessagesMax)
    return reject("messages", fmt::format("must be a list of 1 to {} messages", kMessagesMax));
  MessageReader reader(out.request, recall);
  for (std::size_t i = 0; i < messages->size(); ++i)
    if (auto done = reader.message((*messages)[i], at("messages", i)); !done) return std::unexpected(std::move(done.error()));
  if (auto listed = tools(*body, out.request); !listed) return std::unexpected(std::move(listed.error()));
  if (auto chosen = tool_choice(*body, out.request); !chosen) return std::unexpected(std::move(chosen.error()));
  // Writing to the prompt cache costs extra, so it is the client's choice here.
  out.request.cache_prompt = text.find("\"cache_control\"") != std::string_view::npos;
  note_ignored(*body, {"top_p", "top_k", "service_tier", "context_management"}, out.ignored);
  return out;
}

}  // namespace mayfly::faces
