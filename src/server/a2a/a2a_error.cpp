#include "server/a2a/a2a_error.h"

#include "server/problem.h"

namespace mayfly::a2a {
namespace {

/// How an Error of ours is told: JSON-RPC code, HTTP status, google.rpc.Code's name, and the reason of ErrorInfo.
struct Kind {
  std::string_view code;
  int rpc;
  int status;
  std::string_view name;
  std::string_view reason;
};
constexpr Kind kKinds[] = {
    {"run.not_found", -32001, 404, "NOT_FOUND", "TASK_NOT_FOUND"},
    {"a2a.task_not_found", -32001, 404, "NOT_FOUND", "TASK_NOT_FOUND"},
    {"run.ended", -32002, 400, "FAILED_PRECONDITION", "TASK_NOT_CANCELABLE"},
    {"a2a.unsupported", -32004, 400, "FAILED_PRECONDITION", "UNSUPPORTED_OPERATION"},
    {"a2a.content_type", -32005, 400, "INVALID_ARGUMENT", "CONTENT_TYPE_NOT_SUPPORTED"},
    {"a2a.version", -32009, 400, "FAILED_PRECONDITION", "VERSION_NOT_SUPPORTED"},
    {"a2a.method_not_found", -32601, 404, "UNIMPLEMENTED", "UNSUPPORTED_OPERATION"},
    {"json.invalid", -32700, 400, "INVALID_ARGUMENT", "INVALID_REQUEST"},
    {"a2a.invalid_request", -32600, 400, "INVALID_ARGUMENT", "INVALID_REQUEST"},
};

Kind kind_of(const Error& error) {
  for (const Kind& kind : kKinds)
    if (kind.code == error.code) return kind;
  const int status = status_of(error);
  switch (status) {
    case 401: return {"", -32603, 401, "UNAUTHENTICATED", "UNAUTHENTICATED"};
    case 403: return {"", -32603, 403, "PERMISSION_DENIED", "PERMISSION_DENIED"};
    case 404: return {"", -32602, 404, "NOT_FOUND", "NOT_FOUND"};
    case 409: return {"", -32004, 409, "ABORTED", "UNSUPPORTED_OPERATION"};
    case 429: return {"", -32603, 429, "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED"};
    default: break;
  }
  if (status < 500) return {"", -32602, 400, "INVALID_ARGUMENT", "INVALID_PARAMS"};
  return {"", -32603, status, status == 503 ? "UNAVAILABLE" : "INTERNAL", "INTERNAL_ERROR"};
}

JsonArray details_of(const Kind& kind, const Error& error) {
  return {JsonObject{{"@type", "type.googleapis.com/google.rpc.ErrorInfo"},
                     {"reason", kind.reason},
                     {"domain", "a2a-protocol.org"},
                     {"metadata", JsonObject{{"code", error.code}}}}};
}

}  // namespace

JsonObject to_rpc_error(const Error& error) {
  const Kind kind = kind_of(error);
  return {{"code", kind.rpc}, {"message", error.message}, {"data", details_of(kind, error)}};
}

net::Response to_rest_error(const Error& error) {
  const Kind kind = kind_of(error);
  JsonObject status{{"code", kind.status}, {"status", kind.name}, {"message", error.message}, {"details", details_of(kind, error)}};
  net::Response out = to_problem(error);  // with its header fields
  out.status = kind.status;
  out.headers.set("Content-Type", "application/json");
  out.body = to_text(JsonObject{{"error", std::move(status)}});
  return out;
}

}  // namespace mayfly::a2a
