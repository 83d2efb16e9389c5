#include "server/openapi.h"

namespace mayfly {

std::string_view openapi_components_text() {
  return R"json({
"securitySchemes": {
  "bearer": {"type": "http", "scheme": "bearer", "description": "An API key `mf_…`; the first start writes one to admin.key in the data directory."},
  "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"}
},
"parameters": {
  "path_name": {"name": "name", "in": "path", "required": true, "schema": {"type": "string"}, "description": "The agent", "example": "support"},
  "path_agent": {"name": "agent", "in": "path", "required": true, "schema": {"type": "string"}, "description": "The agent", "example": "support"},
  "path_key": {"name": "key", "in": "path", "required": true, "schema": {"type": "string"}, "description": "The session's key, percent-encoded", "example": "customer-7"},
  "path_id": {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}, "description": "The key's id", "example": "1f2e3d4c"},
  "path_run": {"name": "run", "in": "path", "required": true, "schema": {"type": "string"}, "description": "The run's id", "example": "run_01M84PF7JV08CSWAYS8XPFC2VH"},
  "path_model": {"name": "model", "in": "path", "required": true, "schema": {"type": "string"}, "description": "The agent", "example": "support"},
  "agent": {"name": "agent", "in": "query", "schema": {"type": "string"}, "description": "Only this agent's"},
  "session": {"name": "session", "in": "query", "schema": {"type": "string"}, "description": "Only this session's; needs `agent`"},
  "status": {"name": "status", "in": "query", "schema": {"$ref": "#/components/schemas/RunStatus"}},
  "waiting": {"name": "waiting", "in": "query", "schema": {"type": "boolean"}, "description": "Only runs that wait"},
  "of_run": {"name": "run", "in": "query", "schema": {"type": "string"}, "description": "Only this run's"},
  "limit": {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 50}},
  "before": {"name": "before", "in": "query", "schema": {"type": "string"}, "description": "A run's id: continue below it (`next` of the page before)"},
  "after": {"name": "after", "in": "query", "schema": {"type": "string"}, "description": "As Last-Event-ID, for clients that cannot set it"},
  "wait": {"name": "wait", "in": "query", "schema": {"type": "string"}, "description": "How long to wait for the end, at most ten minutes: seconds or `30s`, `2m`", "example": "30s"},
  "prefer": {"name": "Prefer", "in": "header", "schema": {"type": "string"}, "description": "`wait=SECONDS` (RFC 7240)", "example": "wait=30"},
  "idempotency_key": {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255}, "description": "Repeats within 24 hours give the same run; another input with the same key is refused (422)", "example": "ticket-4711"},
  "traceparent": {"name": "traceparent", "in": "header", "schema": {"type": "string"}, "description": "W3C Trace Context; every answer carries one"},
  "last_event_id": {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}, "description": "The id of the last event received"},
  "mayfly_session": {"name": "Mayfly-Session", "in": "header", "schema": {"type": "string"}, "description": "The session, for agents that have sessions"}
},
"responses": {
  "BadRequest": {"description": "The request cannot be understood", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}},
  "Unauthorized": {"description": "No valid key", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}},
  "Forbidden": {"description": "The key lacks the scope", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}},
  "NotFound": {"description": "There is no such thing", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}},
  "Conflict": {"description": "Not possible in this state", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}},
  "TooLarge": {"description": "Larger than accepted", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}},
  "Misdirected": {"description": "The Host header names another server", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}},
  "Unprocessable": {"description": "Understood, but not acceptable", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}},
  "TooMany": {"description": "Too much at once; see Retry-After", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}},
  "ProviderError": {"description": "Refused or failed, told in the form of the provider's own API", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Any"}}}},
  "Unavailable": {"description": "The server is stopping or cannot store; see Retry-After", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
},
"schemas": {
  "Any": {"type": "object", "additionalProperties": true},
  "Time": {"type": "string", "format": "date-time", "examples": ["2026-11-23T15:54:25.123Z"]},
  "OptionalTime": {"type": ["string", "null"], "format": "date-time"},
  "Problem": {"type": "object", "required": ["type", "title", "status", "code", "detail"], "properties": {"type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"}, "code": {"type": "string", "description": "Stable"}, "detail": {"type": "string", "description": "What is wrong and what to do"}},
    "examples": [{"type": "about:blank", "title": "Not Found", "status": 404, "code": "agent.not_found", "detail": "there is no agent 'suport'; deployed are support"}]},
  "Error": {"type": "object", "required": ["code", "message", "retry"], "properties": {"code": {"type": "string"}, "message": {"type": "string"}, "retry": {"enum": ["never", "safe", "outcome_unknown"]}}},
  "Status": {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}, "examples": [{"status": "ok"}]},
  "Readiness": {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}, "recovering": {"type": "boolean", "description": "Runs of the time before the start are still being resumed"}}},
  "Scope": {"enum": ["read", "invoke", "answer", "deploy", "gateway", "admin"]},

  "Provider": {"type": "object", "required": ["name", "kind"], "additionalProperties": false, "properties": {"name": {"type": "string"}, "kind": {"enum": ["anthropic", "openai", "openai-responses", "scripted"]}, "base_url": {"type": "string"}, "api_key_env": {"type": "string", "description": "Name of the server's environment variable that holds the key"}, "script": {"type": "string", "description": "Of a scripted provider: a YAML file on the server's machine"}, "concurrency_max": {"type": "integer"}, "requests_per_minute": {"type": "number"}, "tokens_per_minute": {"type": "number"}}},
  "Deployment": {"type": "object", "additionalProperties": false, "properties": {"agents": {"type": "array", "maxItems": 100, "items": {"$ref": "#/components/schemas/AgentSpec"}}, "providers": {"type": "array", "items": {"$ref": "#/components/schemas/Provider"}}, "directory": {"type": "string", "description": "Where relative scripts are found"}},
    "examples": [{"providers": [{"name": "local", "kind": "openai", "base_url": "http://127.0.0.1:8080/v1"}]}]},
  "AgentSpec": {"type": "object", "additionalProperties": true, "required": ["name"], "properties": {"name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,62}$"}}, "description": "A deployed agent, complete in itself; `mayfly deploy` makes it from a mayfly.yaml."},
  "Agent": {"type": "object", "required": ["name", "version", "models", "keyed", "deployed"], "properties": {"name": {"type": "string"}, "version": {"type": "integer"}, "description": {"type": "string"}, "models": {"type": "array", "items": {"type": "string"}}, "keyed": {"type": "boolean", "description": "Runs belong to sessions"}, "deployed": {"$ref": "#/components/schemas/Time"}},
    "examples": [{"name": "support", "version": 3, "description": "Answers tickets", "models": ["anthropic/claude-sonnet-4-5"], "keyed": true, "deployed": "2026-11-23T15:54:25.123Z"}]},
  "AgentWithSpec": {"allOf": [{"$ref": "#/components/schemas/Agent"}, {"type": "object", "properties": {"spec": {"$ref": "#/components/schemas/AgentSpec"}}}]},
  "AgentList": {"type": "object", "required": ["agents"], "properties": {"agents": {"type": "array", "items": {"$ref": "#/components/schemas/Agent"}}}},
  "Deployed": {"type": "object", "required": ["agents"], "properties": {"agents": {"type": "array", "items": {"$ref": "#/components/schemas/Agent"}}}},
  "VersionList": {"type": "object", "required": ["versions"], "properties": {"versions": {"type": "array", "items": {"allOf": [{"$ref": "#/components/schemas/Agent"}, {"type": "object", "properties": {"current": {"type": "boolean"}}}]}}}},
  "Rollback": {"type": "object", "additionalProperties": false, "properties": {"version": {"type": "integer", "minimum": 1, "description": "Without it: the one before the current"}}, "examples": [{"version": 2}]},

  "RunStatus": {"enum": ["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED"]},
  "Invocation": {"type": "object", "required": ["input"], "additionalProperties": false, "properties": {"input": {"description": "A text; {message, data}; or any JSON"}, "session": {"type": "string", "description": "Needed by agents whose sessions are keyed"}, "version": {"type": "integer", "minimum": 1}},
    "examples": [{"input": "Where is my order A-1001?", "session": "customer-7"}]},
  "Wait": {"type": "object", "required": ["kind"], "properties": {"kind": {"enum": ["timer", "callback", "retry", "outcome_unknown", "session_busy", "chained_invoke"]}, "operation": {"type": ["integer", "null"]}, "name": {"type": "string"}, "until": {"$ref": "#/components/schemas/OptionalTime"}}},
  "Summary": {"type": "object", "required": ["steps", "input_tokens", "output_tokens", "cost_usd"], "properties": {"steps": {"type": "integer", "description": "Model calls"}, "input_tokens": {"type": "integer"}, "output_tokens": {"type": "integer"}, "cost_usd": {"type": "number"}}},
  "Run": {"type": "object", "required": ["id", "agent", "version", "status", "created", "updated", "summary", "links"], "properties": {
    "id": {"type": "string"}, "agent": {"type": "string"}, "version": {"type": "integer"}, "session": {"type": ["string", "null"]}, "status": {"$ref": "#/components/schemas/RunStatus"},
    "queued": {"type": "boolean", "description": "It waits for its session"}, "wait": {"anyOf": [{"$ref": "#/components/schemas/Wait"}, {"type": "null"}]},
    "created": {"$ref": "#/components/schemas/Time"}, "updated": {"$ref": "#/components/schemas/Time"}, "ended": {"$ref": "#/components/schemas/OptionalTime"}, "deadline": {"$ref": "#/components/schemas/OptionalTime"},
    "result": {"description": "`{text}`, and `data` where the agent has an output schema; null before the end"}, "result_bytes": {"type": "integer", "description": "In lists, of a result that is left out because it is large"},
    "error": {"anyOf": [{"$ref": "#/components/schemas/Error"}, {"type": "null"}]}, "summary": {"$ref": "#/components/schemas/Summary"}, "events": {"type": "integer", "description": "Number of the newest event"},
    "parent": {"type": ["object", "null"], "properties": {"run": {"type": "string"}, "operation": {"type": "integer"}}}, "links": {"type": "object", "additionalProperties": {"type": "string"}}},
    "examples": [{"id": "run_01M84PF7JV08CSWAYS8XPFC2VH", "agent": "support", "version": 3, "session": "customer-7", "status": "SUCCEEDED", "queued": false, "wait": null, "created": "2026-11-23T15:54:25.123Z", "updated": "2026-11-23T15:54:27.001Z", "ended": "2026-11-23T15:54:27.001Z", "deadline": null, "result": {"text": "It arrives tomorrow."}, "error": null, "summary": {"steps": 2, "input_tokens": 1200, "output_tokens": 80, "cost_usd": 0.0048}, "events": 7, "parent": null, "links": {"self": "/v1/runs/run_01M84PF7JV08CSWAYS8XPFC2VH"}}]},
  "StartedRun": {"allOf": [{"$ref": "#/components/schemas/Run"}, {"type": "object", "required": ["run", "started_as"], "properties": {"run": {"type": "string", "description": "The run's id"}, "started_as": {"enum": ["begun", "queued", "steered", "duplicate"]}}}]},
  "RunList": {"type": "object", "required": ["runs", "next"], "properties": {"runs": {"type": "array", "items": {"$ref": "#/components/schemas/Run"}}, "next": {"type": ["string", "null"], "description": "`before` of the next page"}}},
  "Operation": {"type": "object", "required": ["id", "type", "status", "name", "kind", "started", "attempts"], "properties": {
    "id": {"type": "integer"}, "type": {"enum": ["EXECUTION", "CONTEXT", "STEP", "WAIT", "CALLBACK", "CHAINED_INVOKE"]}, "status": {"enum": ["STARTED", "PENDING", "OUTCOME_UNKNOWN", "SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT", "STOPPED"]},
    "name": {"type": "string"}, "kind": {"type": "string", "description": "llm, tool, approval, …"}, "input": {}, "result": {}, "input_bytes": {"type": "integer"}, "result_bytes": {"type": "integer"}, "error": {"$ref": "#/components/schemas/Error"}, "last_error": {"type": "string"},
    "attempts": {"type": "integer"}, "started_event": {"type": "integer"}, "ended_event": {"type": "integer"}, "started": {"$ref": "#/components/schemas/Time"}, "ended": {"$ref": "#/components/schemas/Time"}, "due": {"$ref": "#/components/schemas/Time"}, "duration_ms": {"type": "integer"}, "meta": {"type": "object", "description": "Measured: model, usage, cost_usd, …"}}},
  "OperationList": {"type": "object", "required": ["run", "operations"], "properties": {"run": {"type": "string"}, "operations": {"type": "array", "items": {"$ref": "#/components/schemas/Operation"}}}},
  "EventStream": {"type": "string", "description": "Server-sent events (WHATWG HTML §9.2) whose data are JSON", "examples": ["id: 3\nevent: operation.ended\ndata: {\"run\":\"run_01M84PF7JV08CSWAYS8XPFC2VH\",\"number\":3}\n\n"]},
  "Transcript": {"type": "object", "required": ["run", "messages"], "properties": {"run": {"type": "string"}, "messages": {"type": "array", "items": {"type": "object", "additionalProperties": true}}}},
  "Cancellation": {"type": "object", "additionalProperties": false, "properties": {"reason": {"type": "string"}}, "examples": [{"reason": "the customer changed her mind"}]},
  "Answer": {"type": "object", "required": ["decision"], "additionalProperties": false, "properties": {"operation": {"type": "integer", "description": "Needed when a run asks several questions"}, "decision": {"type": "string", "description": "approval: approve, deny; ask: as asked; limit: continue, stop; unknown: retry, succeeded, failed"}, "comment": {"type": "string"}, "add": {"type": "object", "description": "limit: {usd, steps, input_tokens, output_tokens}"}}, "examples": [{"decision": "approve"}]},
  "Fork": {"type": "object", "additionalProperties": false, "properties": {"at": {"type": "integer", "minimum": 0, "description": "The model call to make anew; 0: the first"}, "instructions": {"type": "string"}, "model": {"type": "string"}}, "examples": [{"at": 3, "instructions": "Be brief."}]},
  "Replay": {"type": "object", "additionalProperties": false, "properties": {"agent": {"$ref": "#/components/schemas/AgentSpec"}}},
  "ReplayReport": {"type": "object", "required": ["run", "model_calls", "identical"], "properties": {"run": {"type": "string"}, "model_calls": {"type": "integer"}, "identical": {"type": "boolean"}, "first_difference": {"type": ["object", "null"], "properties": {"operation": {"type": "integer"}, "what": {"type": "string"}}}}},
  "Question": {"type": "object", "required": ["run", "operation", "agent", "kind", "text", "asked"], "properties": {"run": {"type": "string"}, "operation": {"type": "integer"}, "agent": {"type": "string"}, "session": {"type": "string"}, "kind": {"enum": ["approval", "ask", "limit", "unknown"]}, "text": {"type": "string"}, "details": {}, "asked": {"$ref": "#/components/schemas/Time"}, "until": {"$ref": "#/components/schemas/OptionalTime"}}},
  "QuestionList": {"type": "object", "required": ["questions"], "properties": {"questions": {"type": "array", "items": {"$ref": "#/components/schemas/Question"}}}},
  "Session": {"type": "object", "required": ["agent", "key", "runs", "created", "updated"], "properties": {"agent": {"type": "string"}, "key": {"type": "string"}, "running": {"type": ["string", "null"]}, "waiting": {"type": "integer", "description": "Messages in its inbox"}, "runs": {"type": "integer"}, "created": {"$ref": "#/components/schemas/Time"}, "updated": {"$ref": "#/components/schemas/Time"}}},
  "SessionList": {"type": "object", "required": ["sessions"], "properties": {"sessions": {"type": "array", "items": {"$ref": "#/components/schemas/Session"}}}},
  "SessionRuns": {"type": "object", "required": ["agent", "key", "runs"], "properties": {"agent": {"type": "string"}, "key": {"type": "string"}, "runs": {"type": "array", "items": {"$ref": "#/components/schemas/Run"}}}},

  "Key": {"type": "object", "required": ["id", "name", "scopes", "created"], "properties": {"id": {"type": "string"}, "name": {"type": "string"}, "scopes": {"type": "array", "items": {"$ref": "#/components/schemas/Scope"}}, "created": {"$ref": "#/components/schemas/Time"}, "expires": {"$ref": "#/components/schemas/OptionalTime"}, "last_used": {"$ref": "#/components/schemas/OptionalTime", "description": "To the hour"}}},
  "KeyList": {"type": "object", "required": ["keys"], "properties": {"keys": {"type": "array", "items": {"$ref": "#/components/schemas/Key"}}}},
  "NewKey": {"type": "object", "required": ["name", "scopes"], "additionalProperties": false, "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 100}, "scopes": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Scope"}}, "expires": {"type": ["string", "null"], "description": "A time or a duration from now"}}, "examples": [{"name": "ci", "scopes": ["invoke", "read"], "expires": "30d"}]},
  "CreatedKey": {"allOf": [{"$ref": "#/components/schemas/Key"}, {"type": "object", "required": ["key"], "properties": {"key": {"type": "string", "description": "Shown once"}}}]},
  "ModelCall": {"type": "object", "required": ["model"], "additionalProperties": true, "properties": {"model": {"type": "string"}, "stream": {"type": "boolean"}}, "examples": [{"model": "support", "messages": [{"role": "user", "content": "Hello"}]}]},
  "UsageReport": {"type": "object", "required": ["usage"], "properties": {"usage": {"type": "array", "items": {"type": "object", "additionalProperties": true, "properties": {"key": {"type": "string"}, "month": {"type": "string"}, "models": {"type": "object", "additionalProperties": true}}}}}}
}
})json";
}

}  // namespace mayfly
