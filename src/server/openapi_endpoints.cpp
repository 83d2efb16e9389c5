#include "server/openapi.h"

namespace mayfly {
namespace {

constexpr std::string_view kForeign = "The format is that of the provider's own API reference; only Mayfly's additions are described here.";

const Endpoint kEndpoints[] = {
    {"GET", "/healthz", "getHealth", "operations", {}, "Is the process alive?", "", "", 200, "Status"},
    {"GET", "/readyz", "getReadiness", "operations", {}, "Is new work accepted?", "", "", 200, "Readiness"},
    {"GET", "/metrics", "getMetrics", "operations", {Scope::Read}, "Metrics in the Prometheus text format", "", "", 200, "(text)"},
    {"GET", "/openapi.json", "getOpenApi", "operations", {}, "This document", "", "", 200, "Any"},
    {"GET", "/mayfly.schema.json", "getProjectSchema", "operations", {}, "The JSON Schema of mayfly.yaml", "", "", 200, "Any"},

    {"POST", "/v1/deploy", "deploy", "agents", {Scope::Deploy}, "Deploy agents and providers", "", "Deployment", 200, "Deployed",
     "An agent equal to its current version deploys nothing. Keys of providers are never sent: `api_key_env` names the server's "
     "environment variable."},
    {"GET", "/v1/agents", "listAgents", "agents", {Scope::Read, Scope::Invoke}, "List the agents", "", "", 200, "AgentList"},
    {"GET", "/v1/agents/{name}", "getAgent", "agents", {Scope::Read}, "Show an agent with its whole specification", "", "", 200,
     "AgentWithSpec"},
    {"DELETE", "/v1/agents/{name}", "removeAgent", "agents", {Scope::Deploy}, "Remove an agent; its runs go on", "", "", 204, ""},
    {"GET", "/v1/agents/{name}/versions", "listVersions", "agents", {Scope::Read}, "List the versions of an agent", "", "", 200,
     "VersionList"},
    {"POST", "/v1/agents/{name}/rollback", "rollBack", "agents", {Scope::Deploy}, "Let new runs start with an earlier version", "",
     "Rollback", 200, "Agent"},

    {"POST", "/v1/agents/{name}/runs", "invoke", "runs", {Scope::Invoke}, "Start a run", "wait idempotency_key prefer traceparent",
     "Invocation", 202, "StartedRun",
     "Durable when it answers. With `Prefer: wait=SECONDS` or `?wait=30s` the connection is held: 200 with the finished run, or 202 with "
     "its state "
     "when the time is up. With `Accept: text/event-stream` the run's events are streamed. A disconnect never cancels."},
    {"GET", "/v1/runs", "listRuns", "runs", {Scope::Read}, "List runs, newest first", "agent session status waiting limit before", "",
     200, "RunList"},
    {"GET", "/v1/runs/{run}", "getRun", "runs", {Scope::Read}, "Show a run", "wait", "", 200, "Run"},
    {"GET", "/v1/runs/{run}/operations", "listOperations", "runs", {Scope::Read}, "List what a run did and does", "", "", 200,
     "OperationList"},
    {"GET", "/v1/runs/{run}/events", "streamEvents", "runs", {Scope::Read}, "Stream a run's events", "after last_event_id", "", 200,
     "(events)",
     "Events `run.started`, `operation.started`, `operation.ended` and `run.ended` are durable, numbered and sent once; `delta` is live "
     "text. Reconnect "
     "with the last id: nothing is missed. A delta with `restart` voids what its operation said before. 204: the reader has everything."},
    {"GET", "/v1/runs/{run}/transcript", "getTranscript", "runs", {Scope::Read}, "The conversation as the model saw it", "", "", 200,
     "Transcript"},
    {"GET", "/v1/runs/{run}/cassette", "getCassette", "runs", {Scope::Read}, "The run's model traffic, one JSON object a line", "", "",
     200, "(lines)"},
    {"POST", "/v1/runs/{run}/cancel", "cancelRun", "runs", {Scope::Invoke}, "Cancel a run", "", "Cancellation", 200, "Run"},
    {"POST", "/v1/runs/{run}/answer", "answerRun", "questions", {Scope::Answer}, "Answer a run's question", "wait", "Answer", 200, "Run"},
    {"POST", "/v1/runs/{run}/fork", "forkRun", "runs", {Scope::Invoke}, "Start a new run with the same past", "wait", "Fork", 202,
     "StartedRun"},
    {"POST", "/v1/runs/{run}/replay", "replayRun", "runs", {Scope::Read}, "Compare an agent with a recorded run, offline", "", "Replay",
     200, "ReplayReport"},
    {"GET", "/v1/questions", "listQuestions", "questions", {Scope::Read, Scope::Answer}, "List open questions to people, oldest first",
     "of_run limit", "", 200, "QuestionList"},
    {"GET", "/v1/sessions", "listSessions", "sessions", {Scope::Read}, "List sessions, newest first", "agent limit", "", 200,
     "SessionList"},
    {"GET", "/v1/sessions/{agent}/{key}", "getSession", "sessions", {Scope::Read}, "Show a session's runs, oldest first", "limit", "",
     200, "SessionRuns"},
    {"GET", "/v1/usage", "getUsage", "gateway", {Scope::Read}, "Use of the model gateway by key and month", "", "", 200, "UsageReport"},

    {"GET", "/v1/keys", "listKeys", "keys", {Scope::Admin}, "List the API keys", "", "", 200, "KeyList"},
    {"POST", "/v1/keys", "createKey", "keys", {Scope::Admin}, "Create an API key; its text is shown once", "", "NewKey", 201, "CreatedKey"},
    {"DELETE", "/v1/keys/{id}", "revokeKey", "keys", {Scope::Admin}, "Revoke an API key", "", "", 204, ""},

    {"GET", "/openai/v1/models", "openaiListAgents", "openai", {Scope::Invoke, Scope::Read}, "Agents as models", "", "", 200, "Any",
     kForeign},
    {"GET", "/openai/v1/models/{model}", "openaiGetAgent", "openai", {Scope::Invoke, Scope::Read}, "One agent as a model", "", "", 200,
     "Any", kForeign},
    {"POST", "/openai/v1/chat/completions", "openaiChat", "openai", {Scope::Invoke}, "Talk to an agent by Chat Completions",
     "idempotency_key mayfly_session", "ModelCall", 200, "Any", kForeign},
    {"POST", "/openai/v1/responses", "openaiResponses", "openai", {Scope::Invoke}, "Talk to an agent by Responses",
     "idempotency_key mayfly_session", "ModelCall", 200, "Any", kForeign},

    {"GET", "/gateway/openai/v1/models", "gatewayOpenAiModels", "gateway", {Scope::Gateway}, "Models of the gateway", "", "", 200, "Any",
     kForeign},
    {"GET", "/gateway/anthropic/v1/models", "gatewayAnthropicModels", "gateway", {Scope::Gateway},
     "Models of the gateway, in Anthropic's form", "", "", 200, "Any", kForeign},
    {"POST", "/gateway/openai/v1/chat/completions", "gatewayChat", "gateway", {Scope::Gateway}, "Call a model by Chat Completions", "",
     "ModelCall", 200, "Any", kForeign},
    {"POST", "/gateway/openai/v1/responses", "gatewayResponses", "gateway", {Scope::Gateway}, "Call a model by Responses", "",
     "ModelCall", 200, "Any", kForeign},
    {"POST", "/gateway/anthropic/v1/messages", "gatewayMessages", "gateway", {Scope::Gateway}, "Call a model by Anthropic's Messages", "",
     "ModelCall", 200, "Any", kForeign},
};

}  // namespace

std::span<const Endpoint> endpoints() { return kEndpoints; }

}  // namespace mayfly
