#include "server/workspaces/problem_of.h"

#include <algorithm>
#include <array>

#include "base/json.h"
#include "server/problem.h"

namespace mayfly {
namespace {

struct StatusOf {
  std::string_view code;
  int status;
};
constexpr std::array kStatuses{
    StatusOf{"ws.not_found", 404},   StatusOf{"ws.forbidden", 403},    StatusOf{"ws.locked", 423},       StatusOf{"ws.lock_lost", 412},   StatusOf{"ws.conflict", 412},
    StatusOf{"ws.exists", 412},      StatusOf{"ws.precondition_required", 428}, StatusOf{"ws.invalid_path", 400}, StatusOf{"ws.invalid_name", 400}, StatusOf{"ws.invalid", 400},
    StatusOf{"ws.not_empty", 409},   StatusOf{"ws.is_folder", 409},    StatusOf{"ws.not_folder", 409},   StatusOf{"ws.not_text", 415},    StatusOf{"ws.archived", 409},
    StatusOf{"ws.too_large", 413},   StatusOf{"ws.range", 416},        StatusOf{"ws.hash_mismatch", 422}, StatusOf{"ws.upload_incomplete", 409}, StatusOf{"ws.cursor_expired", 410},
    StatusOf{"ws.busy", 503},        StatusOf{"link.invalid", 404},    StatusOf{"link.password", 401},   StatusOf{"blob.full", 507},      StatusOf{"blob.too_large", 413},
    StatusOf{"blob.not_found", 404}, StatusOf{"mirror.invalid", 400},  StatusOf{"mirror.not_allowed", 403}, StatusOf{"mirror.exists", 409}};

}  // namespace

int status_of(const workspace::Refusal& refusal) {
  if (refusal.code == "ws.quota") {
    const std::string quota = get_string(refusal.details, "quota");
    return quota == "credits" ? 429 : quota == "file_bytes" ? 413 : 507;
  }
  const auto known = std::ranges::find(kStatuses, refusal.code, &StatusOf::code);
  return known != kStatuses.end() ? known->status : status_of(static_cast<const Error&>(refusal));
}

net::Response problem_of(const workspace::Refusal& refusal) {
  const int status = status_of(refusal);
  net::Response out = net::problem(status, refusal.code, refusal.message);
  auto body = parse_json(out.body);
  if (body && body->is_object()) {
    for (const auto& [name, value] : refusal.details) body->get_object()[name] = value;
    out.body = to_text(*body);
  }
  if (const std::int64_t after = get_int(refusal.details, "retry_after_ms"); after > 0)
    out.headers.set("Retry-After", std::to_string((after + 999) / 1'000));
  else if (status == 503 || status == 429)
    out.headers.set("Retry-After", "1");
  return out;
}

}  // namespace mayfly
