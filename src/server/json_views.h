#pragma once

#include <vector>

#include "agent/registry.h"
#include "agent/service.h"
#include "base/json.h"
#include "engine/engine.h"
#include "server/auth.h"

/// How the API shows things: times in RFC 3339, money in US dollars, no internals.
namespace mayfly {

/// `full` puts a large result back; otherwise it is left out and `result_bytes` tells its size.
enum class Detail { Full, List };
Task<Result<JsonObject>> run_view(engine::Engine& engine, engine::Execution run, Detail detail);

/// A run below another, which `operation` of that one started.
JsonObject child_view(const engine::Execution& run, std::int64_t operation, JsonArray children);

/// From the engine's JSON of an Operation or a PendingOperation; large results are put back while they fit into `*budget` bytes.
Task<Result<JsonObject>> operation_view(engine::Engine& engine, Json record, std::size_t* budget);

JsonObject session_view(const engine::Session& session);
JsonObject question_view(const agent::Question& question);
JsonObject agent_view(const agent::AgentVersion& version);
JsonObject key_view(const ApiKey& key);
JsonObject started_view(const engine::Started& started);
/// "agent/key" without the agent; null for a run without a session.
Json session_key_of(const engine::Execution& run);

}  // namespace mayfly
