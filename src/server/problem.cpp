#include "server/problem.h"

#include <algorithm>
#include <array>

namespace mayfly {
namespace {

struct Rule {
  std::string_view code;
  int status;
};

constexpr auto kRules = std::to_array<Rule>({{"auth.missing", 401},
                                             {"auth.invalid", 401},
                                             {"auth.expired", 401},
                                             {"auth.forbidden", 403},
                                             {"host.not_allowed", 421},
                                             {"route.method_not_allowed", 405},
                                             {"agent.no_such_version", 404},
                                             {"blob.not_found", 503},
                                             {"session.busy", 409},
                                             {"session.required", 422},
                                             {"session.not_keyed", 422},
                                             {"session.inbox_full", 429},
                                             {"run.ended", 409},
                                             {"run.not_ended", 409},
                                             {"operation.not_waiting", 409},
                                             {"operation.no_retry", 409},
                                             {"question.ambiguous", 409},
                                             {"key.last_admin", 409},
                                             {"idempotency.mismatch", 422},
                                             {"idempotency.invalid_key", 400},
                                             {"input.too_large", 413},
                                             {"json.too_large", 413},
                                             {"json.invalid", 400},
                                             {"json.too_deep", 400},
                                             {"request.invalid", 400},
                                             {"time.invalid", 400},
                                             {"duration.invalid", 400},
                                             {"engine.overloaded", 429},
                                             {"engine.stopping", 503},
                                             {"llm.rate_limited", 429},
                                             {"llm.overloaded", 503},
                                             {"llm.timeout", 504},
                                             {"llm.invalid_request", 400},
                                             {"function.throttled", 429},
                                             {"function.exists", 409},
                                             {"function.in_use", 409},
                                             {"function.unavailable", 503},
                                             {"function.stopping", 503},
                                             {"workflow.exists", 409},
                                             {"workflow.type_change", 409},
                                             {"workflow.conflict", 409},
                                             {"workflow.limit", 409},
                                             {"workflow.input_too_large", 413},
                                             {"execution.exists", 409},
                                             {"task.ended", 409},
                                             {"execution.name_in_use", 409},
                                             {"trigger.disabled", 409},
                                             {"endpoint.in_use", 409},
                                             {"schedule.unknown_time_zone", 422},
                                             {"expression.limit", 422},
                                             {"expression.failed", 422},
                                             {"queue.exists", 409},
                                             {"queue.deleted_recently", 409},
                                             {"queue.purge_in_progress", 409},
                                             {"queue.receipt_expired", 409},
                                             {"queue.receipt_invalid", 422},
                                             {"queue.missing_group", 422},
                                             {"queue.missing_deduplication_id", 422},
                                             {"queue.full", 429},
                                             {"queue.in_flight_limit", 429},
                                             {"queue.stopping", 503}});

/// The part after the last dot.
std::string_view last_part(std::string_view code) { return code.substr(code.rfind('.') + 1); }

}  // namespace

int status_of(const Error& error) {
  const auto rule = std::ranges::find(kRules, error.code, &Rule::code);
  if (rule != kRules.end()) return rule->status;
  const std::string_view part = last_part(error.code);
  if (part == "not_found" || part == "no_such_version") return 404;
  if (part == "too_large") return 413;
  if (part.starts_with("invalid") || part == "mismatch") return 422;
  if (error.code.starts_with("store.") || error.code.starts_with("blob.")) return 503;
  if (error.code.starts_with("llm.")) return 502;
  return error.retry == Retry::Safe ? 503 : 500;
}

net::Response to_problem(const Error& error) {
  const int status = status_of(error);
  net::Response out = net::problem(status, error.code, error.message);
  if (status == 401) out.headers.add("WWW-Authenticate", "Bearer realm=\"mayfly\"");
  if (status == 429 || status == 503) out.headers.add("Retry-After", "1");
  return out;
}

net::Response json_response(int status, const Json& body) {
  return {status, {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}}, to_text(body)};
}

}  // namespace mayfly
