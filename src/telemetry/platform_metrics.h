#pragma once

#include <functional>

#include "engine/engine.h"
#include "net/http_server.h"
#include "telemetry/otlp.h"
#include "telemetry/telemetry.h"

/// What the platform itself counts, mirrored into `Metrics`. What is handed over must live as long as metrics are collected.
namespace mayfly::telemetry {

/// mayfly_runs_started_total, mayfly_runs_ended_total, mayfly_operations_ended_total, mayfly_commits_total, mayfly_commit_failures_total,
/// mayfly_timers_fired_total, mayfly_runs_recovered_total, mayfly_actors_active, mayfly_steps_running, mayfly_recovering.
void add_engine_metrics(Metrics& metrics, const engine::Engine& engine);

/// mayfly_http_requests_total, mayfly_http_connections_total, mayfly_http_connections_refused_total, mayfly_http_connections_open.
void add_http_metrics(Metrics& metrics, std::function<net::ServerCounters()> read);

/// mayfly_trace_spans_exported_total, …_dropped_total, …_rejected_total, mayfly_trace_export_failures_total, mayfly_trace_spans_queued.
void add_exporter_metrics(Metrics& metrics, const TraceExporter& exporter);

/// mayfly_build_info{version="…"} 1.
void add_build_info(Metrics& metrics, std::string version);

}  // namespace mayfly::telemetry
