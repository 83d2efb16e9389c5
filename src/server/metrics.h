#pragma once

#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "server/context.h"
#include "telemetry/otlp.h"
#include "telemetry/telemetry.h"

namespace mayfly {

/// What /metrics shows: requests by route, and what engine, gateway, HTTP server, store and exporter count themselves.
class ServerMetrics {
 public:
  ServerMetrics(AppContext& app, telemetry::TraceExporter& exporter);
  /// `route` is the template. Streams count when they end.
  void request_answered(const std::string& method, const std::string& route, int status, std::chrono::nanoseconds took);
  std::string to_text();

 private:
  struct RouteHandles {
    telemetry::Histogram* seconds = nullptr;
    std::map<int, telemetry::Counter*> by_status;
  };
  void mirror_engine();
  void mirror_http();
  void mirror_gateway();
  void mirror_store();
  void mirror_exporter();

  AppContext& app_;
  telemetry::TraceExporter& exporter_;
  telemetry::Metrics registry_;
  std::map<std::pair<std::string, std::string>, RouteHandles> routes_;
};

}  // namespace mayfly
