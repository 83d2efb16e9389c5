#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Metrics in the Prometheus text format 0.0.4. A metric is registered once, at start, and its handle kept: counting is then one
/// addition, without look-ups or texts. Everything is used on one loop.
namespace mayfly::telemetry {

/// Names and values in the order in which they are written. Values may be any text; names match [a-zA-Z_][a-zA-Z0-9_]*.
using Labels = std::vector<std::pair<std::string, std::string>>;

/// Only grows. Its name ends with `_total`.
class Counter {
 public:
  void add(double amount = 1) {
    if (amount > 0) value_ += amount;
  }
  /// Mirrors a count that somebody else keeps; a smaller value than before is ignored.
  void set_total(double total) {
    if (total > value_) value_ = total;
  }
  double value() const { return value_; }

 private:
  double value_ = 0;
};

class Gauge {
 public:
  void set(double value) { value_ = value; }
  void add(double amount) { value_ += amount; }
  double value() const { return value_; }

 private:
  double value_ = 0;
};

/// Counts observations in buckets with inclusive upper bounds; the bucket +Inf is added.
class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds);
  /// NaN is ignored.
  void observe(double value);
  std::uint64_t count() const { return count_; }
  double sum() const { return sum_; }
  const std::vector<double>& bounds() const { return bounds_; }
  /// Observations within bound `index` and above the one before it; the last index is +Inf.
  std::uint64_t in_bucket(std::size_t index) const { return counts_[index]; }

 private:
  std::vector<double> bounds_;
  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  double sum_ = 0;
};

/// 0.5 ms … 60 s, for latencies in seconds.
std::vector<double> latency_buckets();
/// 256 B … 64 MiB.
std::vector<double> size_buckets();

/// All metrics of one process. Handles live as long as the registry.
///
/// The same name and labels give the same handle. A name must keep its kind, help and label names; names end with `_total`
/// (counters), and with a base unit such as `_seconds` or `_bytes` where there is one: breaking this is a bug of ours and aborts.
/// A name that already has `kSeriesMax` label combinations gets one more, whose label values are "(other)", so that names
/// chosen by callers cannot fill the memory.
class Metrics {
 public:
  static constexpr std::size_t kSeriesMax = 500;

  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  Counter& counter(std::string_view name, std::string_view help, Labels labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, Labels labels = {});
  /// `bounds` ascending; those of the first registration of a name count.
  Histogram& histogram(std::string_view name, std::string_view help, std::vector<double> bounds, Labels labels = {});

  /// Called before each `to_text`, to bring mirrored values up to date.
  void before_collect(std::function<void()> update);
  /// All metrics by name, for Content-Type `kContentType`.
  std::string to_text();
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

 private:
  enum class Kind { Counter, Gauge, Histogram };
  struct Series;
  struct Family;

  Series& series(Kind kind, std::string_view name, std::string_view help, Labels labels, std::vector<double> bounds);

  std::map<std::string, std::unique_ptr<Family>, std::less<>> families_;
  std::vector<std::function<void()>> updates_;
};

/// Adds process_cpu_seconds_total, process_resident_memory_bytes, process_virtual_memory_bytes, process_open_fds, process_max_fds
/// and process_start_time_seconds, read from /proc when metrics are collected.
void add_process_metrics(Metrics& metrics);

}  // namespace mayfly::telemetry
