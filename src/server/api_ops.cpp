#include "agent/agent_spec.h"
#include "server/api.h"
#include "server/metrics.h"
#include "server/openapi.h"
#include "server/problem.h"

namespace mayfly {
namespace {

Task<Result<net::Response>> get_health(AppContext&, Call&) { co_return json_response(200, JsonObject{{"status", "ok"}}); }

/// Whether new work is accepted and durable: the store is asked, not assumed.
Task<Result<net::Response>> get_readiness(AppContext& app, Call&) {
  if (!app.ready || app.stopping.cancelled()) co_return json_response(503, JsonObject{{"status", "stopping"}});
  auto read = co_await app.store->get("meta/partitions");
  if (!read) co_return fail(read.error());
  co_return json_response(200, JsonObject{{"status", "ready"}, {"recovering", app.engine->recovering()}});
}

bool are_metrics_open(const AppContext& app, const net::Request& request) { return app.config->open_metrics && request.remote_is_loopback; }

Task<Result<net::Response>> get_metrics(AppContext& app, Call&) {
  co_return net::Response{200, {{"Content-Type", std::string(telemetry::Metrics::kContentType)}}, app.metrics->to_text()};
}

Task<Result<net::Response>> get_openapi(AppContext&, Call&) {
  co_return net::Response{200, {{"Content-Type", "application/json"}}, openapi_text()};
}

Task<Result<net::Response>> get_project_schema(AppContext&, Call&) {
  co_return net::Response{200, {{"Content-Type", "application/schema+json"}}, std::string(agent::project_schema_text())};
}

}  // namespace

void add_ops_routes(Router& router) {
  router.add("GET", "/healthz", {}, get_health);
  router.add("GET", "/readyz", {}, get_readiness);
  router.add("GET", "/metrics", {{Scope::Read}, nullptr, are_metrics_open}, get_metrics);
  router.add("GET", "/openapi.json", {}, get_openapi);
  router.add("GET", "/mayfly.schema.json", {}, get_project_schema);
}

}  // namespace mayfly
