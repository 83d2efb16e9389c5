#include "server/metrics.h"

#include <filesystem>

#include "server/api_queues.h"

namespace mayfly {
namespace {

double number(std::uint64_t value) { return static_cast<double>(value); }

}  // namespace

ServerMetrics::ServerMetrics(AppContext& app, telemetry::TraceExporter& exporter) : app_(app), exporter_(exporter) {
  telemetry::add_process_metrics(registry_);
  registry_.before_collect([this] {
    mirror_engine();
    mirror_http();
    mirror_gateway();
    mirror_store();
    mirror_exporter();
  });
}

void ServerMetrics::request_answered(const std::string& method, const std::string& route, int status, std::chrono::nanoseconds took) {
  RouteHandles& handles = routes_[{method, route}];
  if (!handles.seconds)
    handles.seconds = &registry_.histogram("mayfly_http_request_duration_seconds", "Time from the whole request to the end of its answer.",
                                           telemetry::latency_buckets(), {{"method", method}, {"route", route}});
  telemetry::Counter*& counter = handles.by_status[status];
  if (!counter)
    counter = &registry_.counter("mayfly_http_requests_total", "Requests answered.",
                                 {{"method", method}, {"route", route}, {"status", std::to_string(status)}});
  counter->add();
  handles.seconds->observe(std::chrono::duration<double>(took).count());
}

std::string ServerMetrics::to_text() {
  std::string out = registry_.to_text();
  if (app_.queues) out += queue_metrics(*app_.queues, app_.clock->now());
  return out;
}

void ServerMetrics::mirror_engine() {
  if (!app_.engine) return;
  const engine::EngineCounters counts = app_.engine->counters();
  registry_.counter("mayfly_runs_started_total", "Runs started.").set_total(number(counts.runs_started));
  registry_.counter("mayfly_runs_ended_total", "Runs that ended, in whatever way.").set_total(number(counts.runs_ended));
  registry_.counter("mayfly_runs_recovered_total", "Runs resumed after a start of the server.").set_total(number(counts.recovered));
  registry_.counter("mayfly_operations_ended_total", "Operations of runs that ended.").set_total(number(counts.operations_ended));
  registry_.counter("mayfly_commits_total", "Durable commits of runs.").set_total(number(counts.commits));
  registry_.counter("mayfly_commit_failures_total", "Commits of runs that failed.").set_total(number(counts.commit_failures));
  registry_.counter("mayfly_timers_fired_total", "Timers of runs that fired.").set_total(number(counts.timers_fired));
  registry_.gauge("mayfly_actors", "Sessions and runs in memory; those that only wait are not.").set(number(counts.actors));
  registry_.gauge("mayfly_steps_running", "Model and tool calls under way.").set(number(counts.steps_running));
}

void ServerMetrics::mirror_http() {
  if (!app_.server) return;
  const net::ServerCounters counts = app_.server->counters();
  registry_.counter("mayfly_http_connections_accepted_total", "Connections accepted.").set_total(number(counts.connections_accepted));
  registry_.counter("mayfly_http_connections_refused_total", "Connections refused because there were too many.")
      .set_total(number(counts.connections_refused));
  registry_.gauge("mayfly_http_connections_open", "Connections open now.").set(number(counts.connections_open));
}

void ServerMetrics::mirror_gateway() {
  if (!app_.gateway) return;
  for (const auto& [model, counts] : app_.gateway->counters()) {
    const telemetry::Labels labels{{"model", model}};
    registry_.counter("mayfly_model_calls_total", "Model calls.", labels).set_total(number(counts.calls));
    registry_.counter("mayfly_model_failures_total", "Model calls that failed.", labels).set_total(number(counts.failures));
    registry_.counter("mayfly_model_retries_total", "Model calls that were tried again.", labels).set_total(number(counts.retries));
    registry_.counter("mayfly_model_failovers_total", "Model calls given to the next model.", labels).set_total(number(counts.failovers));
    registry_.counter("mayfly_model_cost_usd_total", "Cost of model calls in US dollars.", labels)
        .set_total(static_cast<double>(counts.cost) / 1e9);
    const auto tokens = [&](const std::string& kind, std::int64_t count) {
      registry_.counter("mayfly_model_tokens_total", "Tokens by kind.", {{"model", model}, {"kind", kind}})
          .set_total(static_cast<double>(count));
    };
    tokens("input", counts.usage.input);
    tokens("cache_read", counts.usage.cache_read);
    tokens("cache_write", counts.usage.cache_write);
    tokens("output", counts.usage.output);
  }
}

void ServerMetrics::mirror_store() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(app_.config->data_dir, error)) {
    const std::string name = entry.path().filename().string();
    if (name.find(".db") == std::string::npos || !entry.is_regular_file(error)) continue;
    registry_.gauge("mayfly_store_file_size_bytes", "Size of the store's files.", {{"file", name}}).set(number(entry.file_size(error)));
  }
  const auto space = std::filesystem::space(app_.config->data_dir, error);
  if (!error) registry_.gauge("mayfly_store_free_bytes", "Free space where the data directory is.").set(number(space.available));
}

void ServerMetrics::mirror_exporter() {
  const telemetry::ExporterCounters counts = exporter_.counters();
  registry_.counter("mayfly_spans_exported_total", "Spans that the trace receiver took.").set_total(number(counts.exported));
  registry_.counter("mayfly_spans_dropped_total", "Spans given up.").set_total(number(counts.dropped));
}

}  // namespace mayfly
