#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_client.h"
#include "runtime/clock.h"
#include "runtime/random.h"
#include "telemetry/span.h"

namespace mayfly::engine {
struct RunDescription;
}

namespace mayfly::telemetry {

struct OtlpOptions {
  std::string endpoint;         ///< "http://127.0.0.1:4318": "/v1/traces" is appended; empty: nothing is exported
  std::string traces_endpoint;  ///< used as it is, instead of `endpoint`
  net::Headers headers;         ///< may hold credentials: never logged
  std::string service_name = "mayfly";
  std::string service_version;
  Attributes resource;             ///< beside service.name and service.version
  std::size_t queue_max = 20'000;  ///< spans waiting; more are dropped and counted
  std::size_t batch_max = 512;     ///< spans of one request
  Millis delay{5'000};             ///< the longest that a span waits for others
  Millis timeout{10'000};          ///< of one request
  int attempts_max = 6;            ///< of one batch
  Millis backoff_first{1'000};
  Millis backoff_max{30'000};
  Millis retry_after_max{60'000};

  bool enabled() const { return !endpoint.empty() || !traces_endpoint.empty(); }
  std::string url() const;
};

/// The options that the OpenTelemetry specification names: OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
/// OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_TIMEOUT (milliseconds), OTEL_EXPORTER_OTLP_PROTOCOL (anything but grpc: JSON over HTTP
/// is what is sent), OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_SDK_DISABLED. Error: `telemetry.invalid`, naming the variable.
Result<OtlpOptions> otlp_options_from(const std::function<std::optional<std::string>(std::string_view)>& environment);

/// "key=value,key=value" with percent-encoded values (W3C Baggage, as OTEL_EXPORTER_OTLP_HEADERS and OTEL_RESOURCE_ATTRIBUTES use it).
Result<std::vector<std::pair<std::string, std::string>>> parse_key_values(std::string_view text, std::string_view variable);

struct ExporterCounters {
  std::uint64_t exported = 0;  ///< spans that the receiver took
  std::uint64_t dropped = 0;   ///< spans given up: queue full, attempts used up, refused, stopped
  std::uint64_t rejected = 0;  ///< of those in accepted batches, what the receiver says it refused (partial success)
  std::uint64_t requests = 0;
  std::uint64_t failures = 0;  ///< requests without a 2xx answer
  std::size_t queued = 0;
};

/// Sends spans in batches by OTLP/HTTP (OTLP specification 1.9, JSON encoding). Nobody waits for it: `add` only queues.
/// 429, 502, 503 and 504 and failures of the connection are retried, after Retry-After or with jittered backoff; everything else is not.
class TraceExporter {
 public:
  TraceExporter(Executor executor, Clock& clock, Random& random, net::HttpClient& http, OtlpOptions options);
  /// After `stop`.
  ~TraceExporter();

  bool enabled() const { return options_.enabled(); }
  void add(std::vector<Span> spans);
  /// The spans of a run that has ended (see run_spans.h).
  void export_run(const engine::RunDescription& description);
  /// Sends what waits, for at most `grace`, and drops the rest. Idempotent; later spans are dropped.
  Task<> stop(Millis grace);
  ExporterCounters counters() const;

 private:
  enum class Verdict { Taken, Retry, Refused };
  struct Reply {
    Verdict verdict = Verdict::Retry;
    std::optional<Millis> retry_after;
    std::string reason;  ///< without addresses or headers
  };

  Task<> pump();
  Task<> deliver(std::vector<Span> batch);
  Task<Reply> post(std::string body);
  Reply judge(const net::ClientResponse& response);
  void note_partial_success(std::string_view body);
  Millis backoff(int attempt);

  Executor executor_;
  Clock& clock_;
  Random& random_;
  net::HttpClient& http_;
  OtlpOptions options_;
  Attributes resource_;
  std::deque<Span> queue_;
  ExporterCounters counts_;
  TaskGroup tasks_;
  CancelSource wake_;   ///< ends the wait for a fuller batch
  CancelSource abort_;  ///< ends everything
  bool is_pumping_ = false;
  bool is_stopping_ = false;
  bool is_failing_ = false;  ///< the last batch was lost: do not log every one
};

}  // namespace mayfly::telemetry
