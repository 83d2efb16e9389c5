#include "server/faces/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "llm/openai_model.h"

namespace mayfly::faces {

std::unexpected<FaceError> reject(std::string param, std::string message) {
  return std::unexpected(FaceError{.status = 400, .code = "request.invalid", .message = std::move(message), .param = std::move(param)});
}

std::unexpected<FaceError> unsupported(std::string param, std::string instead) {
  std::string message = fmt::format("`{}` is not supported here; {}", param, instead);
  return std::unexpected(FaceError{.status = 400, .code = "request.unsupported", .message = std::move(message), .param = std::move(param)});
}

std::string_view bare_model(std::string_view model) {
  const auto slash = model.find('/');
  return slash == std::string_view::npos ? model : model.substr(slash + 1);
}

std::int64_t default_output_tokens(std::string_view model) { return llm::openai_model(bare_model(model)).reasons ? 32'768 : 8'192; }

const Json* field(const JsonObject& object, std::string_view key) {
  const Json* value = get(object, key);
  return value && !value->is_null() ? value : nullptr;
}

bool is_present(const JsonObject& object, std::string_view key) { return field(object, key) != nullptr; }

Decoded<JsonObject> decode_body(std::string_view body) {
  auto parsed = parse_json(body);
  if (!parsed) return reject("", fmt::format("the body is no JSON: {}", parsed.error().message));
  if (!parsed->is_object()) return reject("", "the body must be a JSON object; see the API's reference");
  return std::move(parsed->as_object());
}

Decoded<std::string> text_field(const JsonObject& object, std::string_view key, std::string_view otherwise) {
  const Json* value = field(object, key);
  if (!value) return std::string(otherwise);
  if (!value->is_string()) return reject(std::string(key), fmt::format("`{}` must be a text", key));
  return std::string(value->get_string());
}

Decoded<bool> flag_field(const JsonObject& object, std::string_view key, bool otherwise) {
  const Json* value = field(object, key);
  if (!value) return otherwise;
  if (!value->is_bool()) return reject(std::string(key), fmt::format("`{}` must be true or false", key));
  return value->get_bool();
}

Decoded<std::optional<std::int64_t>> count_field(const JsonObject& object, std::string_view key, std::int64_t least) {
  const Json* value = field(object, key);
  if (!value) return std::nullopt;
  const bool is_integer = value->is_int64();
  if (!is_integer || value->get_int64() < least)
    return reject(std::string(key), fmt::format("`{}` must be an integer of at least {}", key, least));
  return value->get_int64();
}

Decoded<std::optional<double>> number_field(const JsonObject& object, std::string_view key, double least, double most) {
  const Json* value = field(object, key);
  if (!value) return std::nullopt;
  const double number = value->is_number() ? get_double(object, key) : std::nan("");
  if (!(number >= least && number <= most))
    return reject(std::string(key), fmt::format("`{}` must be a number from {} to {}", key, least, most));
  return number;
}

Decoded<std::vector<std::string>> stop_field(const JsonObject& object, std::string_view key) {
  std::vector<std::string> out;
  const Json* value = field(object, key);
  if (!value) return out;
  if (value->is_string()) {
    out.emplace_back(value->get_string());
    return out;
  }
  const JsonArray* list = value->if_array();
  if (!list || list->size() > kStopsMax)
    return reject(std::string(key), fmt::format("`{}` must be a text or a list of at most {} texts", key, kStopsMax));
  for (std::size_t i = 0; i < list->size(); ++i) {
    if (!(*list)[i].is_string()) return reject(at(key, i), fmt::format("`{}` must hold texts only", key));
    out.emplace_back((*list)[i].get_string());
  }
  return out;
}

Decoded<llm::Content> image_from_url(std::string_view url, const std::string& param) {
  llm::Content out;
  out.kind = llm::Content::Kind::Image;
  if (url.starts_with("https://") || url.starts_with("http://")) {
    out.url = url;
    return out;
  }
  constexpr std::string_view kMark = ";base64,";
  const auto mark = url.find(kMark);
  if (!url.starts_with("data:image/") || mark == std::string_view::npos || mark + kMark.size() == url.size())
    return reject(param, "an image must be an http(s) URL or `data:image/TYPE;base64,DATA`");
  out.media_type = url.substr(5, mark - 5);
  out.data = url.substr(mark + kMark.size());
  return out;
}

Decoded<llm::ReasoningEffort> effort_from_name(std::string_view name, std::string_view model, const std::string& param) {
  using llm::ReasoningEffort;
  if (name == "none") return ReasoningEffort::None;
  if (name == "minimal")
    return llm::openai_model(bare_model(model)).least_effort == "minimal" ? ReasoningEffort::None : ReasoningEffort::Low;
  if (name == "low") return ReasoningEffort::Low;
  if (name == "medium") return ReasoningEffort::Medium;
  if (name == "high" || name == "xhigh" || name == "max") return ReasoningEffort::High;
  return reject(param, fmt::format("`{}` must be none, minimal, low, medium, high, xhigh or max", param));
}

llm::Content tool_call_from_text(std::string id, std::string name, std::string arguments) {
  llm::Content out = llm::Content::make_tool_call(std::move(id), std::move(name), nullptr);
  if (arguments.empty()) {
    out.arguments = JsonObject{};
    return out;
  }
  auto parsed = parse_json(arguments);
  if (parsed && parsed->is_object()) {
    out.arguments = std::move(*parsed);
  } else {
    out.text = std::move(arguments);
  }
  return out;
}

Decoded<void> restrict_tools(llm::LlmRequest& request, const std::vector<std::string>& names, llm::ToolChoice choice,
                             const std::string& param) {
  for (const std::string& name : names)
    if (std::ranges::none_of(request.tools, [&](const llm::ToolDefinition& tool) { return tool.name == name; }))
      return reject(param, fmt::format("`{}` names `{}`, which is not in `tools`", param, name));
  std::erase_if(request.tools, [&](const llm::ToolDefinition& tool) { return std::ranges::find(names, tool.name) == names.end(); });
  request.tool_choice = choice;
  return {};
}

void append_content(std::vector<llm::Message>& messages, llm::Role role, llm::Content content, bool joins) {
  if (!joins || messages.empty() || messages.back().role != role) {
    messages.emplace_back();
    messages.back().role = role;
  }
  messages.back().content.push_back(std::move(content));
}

void append_system(llm::LlmRequest& request, std::string text) {
  if (!request.messages.empty())
    return append_content(request.messages, llm::Role::System, llm::Content::make_text(std::move(text)), false);
  if (!request.system.empty()) request.system += "\n\n";
  request.system += text;
}

void note_ignored(const JsonObject& body, std::initializer_list<std::string_view> known, std::vector<std::string>& ignored) {
  for (const std::string_view key : known)
    if (is_present(body, key)) ignored.emplace_back(key);
}

std::string at(std::string_view list, std::size_t index, std::string_view rest) { return fmt::format("{}[{}]{}", list, index, rest); }

}  // namespace mayfly::faces
