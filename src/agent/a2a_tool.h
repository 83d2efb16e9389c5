#pragma once

#include <memory>
#include <string>
#include <vector>

#include "a2a/client.h"
#include "tool/redact.h"
#include "tool/tool.h"

namespace mayfly::agent {

struct A2aToolOptions {
  std::string name;
  std::string description;
  Effect effect = Effect::AtLeastOnce;
  std::string url;      ///< of the remote agent or its card
  std::string binding;  ///< "JSONRPC", "HTTP+JSON" or empty
  std::vector<std::pair<std::string, std::string>> headers;  ///< values may hold ${NAME} of the environment
  bool allow_private = false;
  Millis timeout{15 * 60'000};
  std::size_t model_bytes_max = 64 * 1024;
};

/// {message, data?, context?, task?}: what the model may say to a remote agent.
Json a2a_parameters();

/// An agent behind A2A 1.0 as a tool. The message's id is the call's idempotency key. What the remote agent asks back, refuses or fails at
/// goes to the model, with the ids by which a further call goes on. Errors of `call`: `tool.timeout`, `tool.cancelled` (OutcomeUnknown unless
/// read-only), `tool.missing_variable`, `a2a.…`, and those of the HTTP client.
std::unique_ptr<Tool> make_a2a_tool(A2aToolOptions options, net::HttpClient& http, Clock& clock, EnvLookup environment);

}  // namespace mayfly::agent
