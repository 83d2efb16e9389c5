#pragma once

#include "net/http_server.h"
#include "server/faces/face_types.h"

namespace mayfly::faces {

/// A failed model call. A provider that refuses Mayfly's own key is a bad gateway, not the client's fault.
FaceError face_error(const llm::LlmError& error);
/// Any other error of Mayfly (authentication, agents, engine, store), by its code.
FaceError face_error(const Error& error);

/// {"error": {message, type, param, code}}
JsonObject openai_error(const FaceError& error);
/// {"type": "error", "error": {type, message}}
JsonObject anthropic_error(const FaceError& error);
/// The code as the Responses API names it inside a failed response.
std::string_view responses_error_code(const FaceError& error);

enum class Api { OpenAi, Anthropic };
/// The whole answer, with Retry-After and x-should-retry where they help the official clients.
net::Response error_response(const FaceError& error, Api api);

}  // namespace mayfly::faces
