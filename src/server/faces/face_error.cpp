#include "server/faces/face_error.h"

#include <array>
#include <utility>

#include "server/faces/openai_common.h"
#include "server/problem.h"

namespace mayfly::faces {
namespace {

constexpr std::array<std::pair<std::string_view, int>, 13> kModelStatuses{{{"llm.rate_limited", 429},
                                                                           {"llm.overloaded", 503},
                                                                           {"llm.timeout", 504},
                                                                           {"llm.unreachable", 502},
                                                                           {"llm.authentication", 502},
                                                                           {"llm.invalid_request", 400},
                                                                           {"llm.context_too_long", 400},
                                                                           {"llm.not_found", 404},
                                                                           {"llm.bad_response", 502},
                                                                           {"llm.cancelled", 503},
                                                                           {"llm.server_error", 502},
                                                                           {"llm.egress_denied", 502},
                                                                           {"llm.cassette_mismatch", 409}}};

int model_status(std::string_view code) {
  for (const auto& [name, status] : kModelStatuses)
    if (name == code) return status;
  return 502;
}

std::string_view openai_type(int status) {
  switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 429: return "rate_limit_error";
    default: return status >= 500 ? "server_error" : "invalid_request_error";
  }
}

/// The codes that clients of OpenAI look for; ours for the rest.
std::string_view openai_code(const FaceError& error) {
  if (error.code == "llm.not_found" || error.code == "agent.not_found") return "model_not_found";
  if (error.code == "llm.context_too_long") return "context_length_exceeded";
  if (error.code == "llm.rate_limited") return "rate_limit_exceeded";
  if (error.code == "request.unsupported") return "unsupported_parameter";
  if (error.status == 401) return "invalid_api_key";
  return error.code;
}

std::string_view anthropic_type(int status) {
  switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 413: return "request_too_large";
    case 429: return "rate_limit_error";
    case 504: return "timeout_error";
    case 503:
    case 529: return "overloaded_error";
    default: return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

}  // namespace

FaceError face_error(const llm::LlmError& error) {
  FaceError out;
  out.code = error.error.code;
  out.message = error.error.message;
  out.status = model_status(out.code);
  out.retry_after = error.retry_after;
  out.again = error.error.retry != Retry::Never && out.status != 400 && out.status != 404;
  return out;
}

FaceError face_error(const Error& error) {
  FaceError out;
  out.code = error.code;
  out.message = error.message;
  out.status = error.code.starts_with("llm.") ? model_status(error.code) : mayfly::status_of(error);
  out.again = error.retry == Retry::Safe || out.status == 429 || out.status == 503;
  if (out.status == 429) out.retry_after = Millis{1'000};
  return out;
}

JsonObject openai_error(const FaceError& error) {
  JsonObject inner{{"message", error.message}, {"type", to_json_text(openai_type(error.status))}};
  inner["param"] = error.param.empty() ? Json() : Json(error.param);
  inner["code"] = to_json_text(openai_code(error));
  return {{"error", std::move(inner)}};
}

JsonObject anthropic_error(const FaceError& error) {
  const std::string message = error.param.empty() ? error.message : error.param + ": " + error.message;
  return {{"type", "error"}, {"error", JsonObject{{"type", to_json_text(anthropic_type(error.status))}, {"message", message}}}};
}

std::string_view responses_error_code(const FaceError& error) {
  if (error.status == 429) return "rate_limit_exceeded";
  if (error.status == 400) return "invalid_prompt";
  return "server_error";
}

net::Response error_response(const FaceError& error, Api api) {
  net::Response out;
  out.status = api == Api::Anthropic && error.status == 503 ? 529 : error.status;
  out.headers.add("Content-Type", "application/json");
  if (error.retry_after) {
    const auto seconds = (error.retry_after->count() + 999) / 1'000;
    out.headers.add("Retry-After", std::to_string(seconds < 1 ? 1 : seconds));
  }
  // The official clients repeat every 409, 429 and 5xx by themselves unless told otherwise.
  if (!error.again && (error.status >= 500 || error.status == 409)) out.headers.add("x-should-retry", "false");
  if (error.status == 401) out.headers.add("WWW-Authenticate", "Bearer");
  out.body = to_text(api == Api::OpenAi ? openai_error(error) : anthropic_error(error));
  return out;
}

}  // namespace mayfly::faces
