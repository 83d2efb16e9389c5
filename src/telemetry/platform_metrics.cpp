#include "telemetry/platform_metrics.h"

namespace mayfly::telemetry {

void add_engine_metrics(Metrics& metrics, const engine::Engine& engine) {
  Counter& started = metrics.counter("mayfly_runs_started_total", "Runs accepted since the server started.");
  Counter& ended = metrics.counter("mayfly_runs_ended_total", "Runs that ended, in whatever way.");
  Counter& operations = metrics.counter("mayfly_operations_ended_total", "Operations (model calls, tool calls, waits, questions) that ended.");
  Counter& commits = metrics.counter("mayfly_commits_total", "Batches written durably by the engine.");
  Counter& failures = metrics.counter("mayfly_commit_failures_total", "Batches that the store refused or lost.");
  Counter& timers = metrics.counter("mayfly_timers_fired_total", "Timers that came due.");
  Counter& recovered = metrics.counter("mayfly_runs_recovered_total", "Runs resumed after a restart.");
  Gauge& actors = metrics.gauge("mayfly_actors_active", "Sessions and runs held in memory now.");
  Gauge& steps = metrics.gauge("mayfly_steps_running", "Model and tool calls that run now.");
  Gauge& recovering = metrics.gauge("mayfly_recovering", "1 while runs are resumed after a restart.");
  metrics.before_collect([&, source = &engine] {
    const engine::EngineCounters counts = source->counters();
    started.set_total(static_cast<double>(counts.runs_started));
    ended.set_total(static_cast<double>(counts.runs_ended));
    operations.set_total(static_cast<double>(counts.operations_ended));
    commits.set_total(static_cast<double>(counts.commits));
    failures.set_total(static_cast<double>(counts.commit_failures));
    timers.set_total(static_cast<double>(counts.timers_fired));
    recovered.set_total(static_cast<double>(counts.recovered));
    actors.set(static_cast<double>(counts.actors));
    steps.set(static_cast<double>(counts.steps_running));
    recovering.set(source->recovering() ? 1 : 0);
  });
}

void add_http_metrics(Metrics& metrics, std::function<net::ServerCounters()> read) {
  Counter& requests = metrics.counter("mayfly_http_requests_total", "HTTP requests received.");
  Counter& accepted = metrics.counter("mayfly_http_connections_total", "HTTP connections accepted.");
  Counter& refused = metrics.counter("mayfly_http_connections_refused_total", "HTTP connections refused because there were too many.");
  Gauge& open = metrics.gauge("mayfly_http_connections_open", "HTTP connections open now.");
  metrics.before_collect([&, read = std::move(read)] {
    const net::ServerCounters counts = read();
    requests.set_total(static_cast<double>(counts.requests));
    accepted.set_total(static_cast<double>(counts.connections_accepted));
    refused.set_total(static_cast<double>(counts.connections_refused));
    open.set(static_cast<double>(counts.connections_open));
  });
}

void add_exporter_metrics(Metrics& metrics, const TraceExporter& exporter) {
  Counter& exported = metrics.counter("mayfly_trace_spans_exported_total", "Spans that the receiver of traces took.");
  Counter& dropped = metrics.counter("mayfly_trace_spans_dropped_total", "Spans given up: queue full, receiver away, or refused.");
  Counter& rejected = metrics.counter("mayfly_trace_spans_rejected_total", "Spans that the receiver rejected out of accepted batches.");
  Counter& failures = metrics.counter("mayfly_trace_export_failures_total", "Export requests that failed.");
  Gauge& queued = metrics.gauge("mayfly_trace_spans_queued", "Spans that wait for their export.");
  metrics.before_collect([&, source = &exporter] {
    const ExporterCounters counts = source->counters();
    exported.set_total(static_cast<double>(counts.exported));
    dropped.set_total(static_cast<double>(counts.dropped));
    rejected.set_total(static_cast<double>(counts.rejected));
    failures.set_total(static_cast<double>(counts.failures));
    queued.set(static_cast<double>(counts.queued));
  });
}

void add_build_info(Metrics& metrics, std::string version) {
  metrics.gauge("mayfly_build_info", "Always 1; the label names the running version.", {{"version", std::move(version)}}).set(1);
}

}  // namespace mayfly::telemetry
