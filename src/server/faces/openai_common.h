#pragma once

#include "llm/provider.h"
#include "server/faces/face_types.h"

/// What Chat Completions and Responses have in common.
namespace mayfly::faces {

/// Chat Completions wraps functions and schemas in one more object, Responses does not.
enum class Nesting { Function, Flat };

/// model, user, safety_identifier, metadata.session, parallel_tool_calls.
Decoded<void> decode_openai_common(const JsonObject& body, FaceRequest& out);
/// tools and tool_choice.
Decoded<void> decode_openai_tools(const JsonObject& body, Nesting nesting, llm::LlmRequest& out);
/// response_format or text.format.
Decoded<void> decode_output_format(const Json& format, Nesting nesting, const std::string& param, llm::LlmRequest& out);

Json to_json_text(std::string_view text);

}  // namespace mayfly::faces
