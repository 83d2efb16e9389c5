#include "server/http_triggers/cors.h"

#include <algorithm>

namespace mayfly::http_triggers {
namespace {

/// What to answer; empty: this origin may not read anything.
std::string allowed_origin(const trigger::Cors& cors, const net::Request& request) {
  const std::string origin = request.headers.get("origin");
  if (origin.empty()) return {};
  if (std::ranges::find(cors.origins, origin) != cors.origins.end()) return origin;
  return std::ranges::find(cors.origins, "*") != cors.origins.end() ? "*" : "";
}

}  // namespace

bool is_preflight(const net::Request& request) {
  return request.method == "OPTIONS" && request.headers.find("origin") && request.headers.find("access-control-request-method");
}

net::Headers cors_fields(const trigger::Cors& cors, const net::Request& request) {
  net::Headers out{{"Vary", "Origin"}};
  const std::string origin = allowed_origin(cors, request);
  if (origin.empty()) return out;
  out.add("Access-Control-Allow-Origin", origin);
  out.add("Access-Control-Expose-Headers", "Location, Mayfly-Run, RateLimit, RateLimit-Policy, Retry-After");
  return out;
}

net::Headers preflight_fields(const trigger::Cors& cors, const net::Request& request, const std::string& method) {
  net::Headers out;
  if (allowed_origin(cors, request).empty()) return out;
  std::string headers = cors.headers.empty() ? "Authorization, Content-Type, Idempotency-Key, Last-Event-ID" : "";
  for (const std::string& name : cors.headers) headers += (headers.empty() ? "" : ", ") + name;
  out.add("Access-Control-Allow-Methods", method);
  out.add("Access-Control-Allow-Headers", headers);
  out.add("Access-Control-Max-Age", std::to_string(cors.age_max.count() / 1000));
  return out;
}

}  // namespace mayfly::http_triggers
