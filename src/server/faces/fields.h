#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/faces/face_types.h"

/// Pieces that the request decoders share. `param` always names the field as the client wrote it.
namespace mayfly::faces {

inline constexpr std::size_t kMessagesMax = 10'000;
inline constexpr std::size_t kPartsMax = 1'000;
inline constexpr std::size_t kToolsMax = 512;
inline constexpr std::size_t kStopsMax = 16;

/// Null for a missing or null field.
const Json* field(const JsonObject& object, std::string_view key);
bool is_present(const JsonObject& object, std::string_view key);

Decoded<JsonObject> decode_body(std::string_view body);
/// A field that must be a text; `otherwise` when it is absent.
Decoded<std::string> text_field(const JsonObject& object, std::string_view key, std::string_view otherwise = {});
Decoded<bool> flag_field(const JsonObject& object, std::string_view key, bool otherwise);
/// Nothing when absent; an integer of at least `least`.
Decoded<std::optional<std::int64_t>> count_field(const JsonObject& object, std::string_view key, std::int64_t least);
Decoded<std::optional<double>> number_field(const JsonObject& object, std::string_view key, double least, double most);
/// A text or a list of texts.
Decoded<std::vector<std::string>> stop_field(const JsonObject& object, std::string_view key);

/// "data:image/png;base64,…" or an http(s) URL.
Decoded<llm::Content> image_from_url(std::string_view url, const std::string& param);

/// "none", "minimal", "low", "medium", "high", "xhigh", "max".
Decoded<llm::ReasoningEffort> effort_from_name(std::string_view name, std::string_view model, const std::string& param);

/// Arguments of a call that comes back in the conversation: an object, or the text when it is none.
llm::Content tool_call_from_text(std::string id, std::string name, std::string arguments);

/// Only the named tools are offered, and one of them must be called when `required`.
Decoded<void> restrict_tools(llm::LlmRequest& request, const std::vector<std::string>& names, llm::ToolChoice choice,
                             const std::string& param);

/// Adds to the last message when it has the same role and `joins`, else begins one.
void append_content(std::vector<llm::Message>& messages, llm::Role role, llm::Content content, bool joins);

/// Leading system texts are the request's `system`, later ones stay in place.
void append_system(llm::LlmRequest& request, std::string text);

/// Names the fields of `known` that are present in `ignored`.
void note_ignored(const JsonObject& body, std::initializer_list<std::string_view> known, std::vector<std::string>& ignored);

/// "tools[3].function"
std::string at(std::string_view list, std::size_t index, std::string_view rest = {});

}  // namespace mayfly::faces
