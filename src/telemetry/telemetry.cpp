#include "telemetry/telemetry.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "base/assert.h"
#include "base/json.h"

namespace mayfly::telemetry {
namespace {

constexpr std::string_view kOther = "(other)";
constexpr std::size_t kLabelBytesMax = 256;

bool is_name(std::string_view text, std::string_view extra) {
  const auto starts = [&](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || extra.contains(c); };
  return !text.empty() && starts(text[0]) && std::ranges::all_of(text, [&](char c) { return starts(c) || (c >= '0' && c <= '9'); });
}

/// Label values escape backslash, quote and line feed; help texts the first and the last.
std::string escape(std::string_view text, std::string_view escaped) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (escaped.contains(c)) out += '\\';
    out += c;
  }
  return out;
}

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

/// `{a="b",c="d"}` without the braces.
std::string write_labels(const Labels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    if (!out.empty()) out += ',';
    out += name;
    out += "=\"";
    out += escape(value, "\\\"");
    out += '"';
  }
  return out;
}

}  // namespace

struct Metrics::Series {
  std::string labels;  ///< as written
  Counter counter;
  Gauge gauge;
  std::unique_ptr<Histogram> histogram;
};

struct Metrics::Family {
  Kind kind;
  std::string help;
  std::vector<std::string> label_names;
  std::vector<double> bounds;
  std::map<std::string, std::unique_ptr<Series>, std::less<>> series;
};

Histogram::Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {
  MAYFLY_ASSERT(std::ranges::is_sorted(bounds_), "bounds must ascend");
}

void Histogram::observe(double value) {
  if (std::isnan(value)) return;
  const auto bucket = std::ranges::lower_bound(bounds_, value) - bounds_.begin();
  ++counts_[static_cast<std::size_t>(bucket)];
  ++count_;
  sum_ += value;
}

std::vector<double> latency_buckets() { return {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}; }

std::vector<double> size_buckets() { return {256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}; }

Metrics::Metrics() = default;
Metrics::~Metrics() = default;

Metrics::Series& Metrics::series(Kind kind, std::string_view name, std::string_view help, Labels labels, std::vector<double> bounds) {
  auto at = families_.find(name);
  if (at == families_.end()) {
    MAYFLY_ASSERT(is_name(name, ":"), "a metric's name has letters, digits and underscores");
    MAYFLY_ASSERT((kind == Kind::Counter) == name.ends_with("_total"), "counters, and only they, end with _total");
    MAYFLY_ASSERT(!help.empty(), "every metric says what it means");
    at = families_.emplace(std::string(name), std::make_unique<Family>(kind, std::string(help))).first;
    at->second->bounds = std::move(bounds);
    for (const auto& [label, value] : labels) {
      MAYFLY_ASSERT(is_name(label, "") && !label.starts_with("__") && label != "le", "a label's name is a plain word");
      at->second->label_names.push_back(label);
    }
  }
  Family& family = *at->second;
  MAYFLY_ASSERT(family.kind == kind, "a metric keeps its kind");
  MAYFLY_ASSERT(std::ranges::equal(family.label_names, labels, {}, {}, &Labels::value_type::first), "a metric keeps its label names");
  for (auto& [label, value] : labels) value = to_utf8_lossy(std::string_view(value).substr(0, kLabelBytesMax));
  std::string key = write_labels(labels);
  if (const auto found = family.series.find(key); found != family.series.end()) return *found->second;
  if (family.series.size() >= kSeriesMax) {
    for (auto& [label, value] : labels) value = kOther;
    key = write_labels(labels);
    if (const auto found = family.series.find(key); found != family.series.end()) return *found->second;
  }
  auto added = std::make_unique<Series>();
  added->labels = key;
  if (kind == Kind::Histogram) added->histogram = std::make_unique<Histogram>(family.bounds);
  return *family.series.emplace(std::move(key), std::move(added)).first->second;
}

Counter& Metrics::counter(std::string_view name, std::string_view help, Labels labels) {
  return series(Kind::Counter, name, help, std::move(labels), {}).counter;
}

Gauge& Metrics::gauge(std::string_view name, std::string_view help, Labels labels) {
  return series(Kind::Gauge, name, help, std::move(labels), {}).gauge;
}

Histogram& Metrics::histogram(std::string_view name, std::string_view help, std::vector<double> bounds, Labels labels) {
  return *series(Kind::Histogram, name, help, std::move(labels), std::move(bounds)).histogram;
}

void Metrics::before_collect(std::function<void()> update) { updates_.push_back(std::move(update)); }

std::string Metrics::to_text() {
  for (const auto& update : updates_) update();
  std::string out;
  const auto line = [&](std::string_view name, std::string_view suffix, std::string_view labels, std::string_view value) {
    fmt::format_to(std::back_inserter(out), "{}{}{}{}{} {}\n", name, suffix, labels.empty() ? "" : "{", labels, labels.empty() ? "" : "}",
                   value);
  };
  for (const auto& [name, family] : families_) {
    constexpr std::string_view kKinds[] = {"counter", "gauge", "histogram"};
    fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", name, escape(family->help, "\\"), name,
                   kKinds[static_cast<std::size_t>(family->kind)]);
    for (const auto& [key, series] : family->series) {
      if (family->kind == Kind::Counter) line(name, "", series->labels, number(series->counter.value()));
      if (family->kind == Kind::Gauge) line(name, "", series->labels, number(series->gauge.value()));
      if (family->kind != Kind::Histogram) continue;
      const Histogram& histogram = *series->histogram;
      const std::string before = series->labels.empty() ? "" : series->labels + ",";
      std::uint64_t cumulative = 0;
      for (std::size_t i = 0; i <= histogram.bounds().size(); ++i) {
        cumulative += histogram.in_bucket(i);
        const double bound = i < histogram.bounds().size() ? histogram.bounds()[i] : std::numeric_limits<double>::infinity();
        line(name, "_bucket", before + "le=\"" + number(bound) + "\"", std::to_string(cumulative));
      }
      line(name, "_sum", series->labels, number(histogram.sum()));
      line(name, "_count", series->labels, std::to_string(histogram.count()));
    }
  }
  return out;
}

}  // namespace mayfly::telemetry
