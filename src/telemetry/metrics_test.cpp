#include <gtest/gtest.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "telemetry/telemetry.h"
#include "testing/temporary_directory.h"

namespace mayfly::telemetry {
namespace {

/// A strict reader of the text format 0.0.4, written from its description: a line that it does not know is a failure.
class Exposition {
 public:
  struct Sample {
    std::string name;
    std::map<std::string, std::string> labels;
    double value = 0;
  };

  explicit Exposition(const std::string& text) {
    EXPECT_TRUE(text.empty() || text.back() == '\n') << "the last line must end";
    std::size_t at = 0;
    while (at < text.size() && error.empty()) {
      const std::size_t end = text.find('\n', at);
      line(text.substr(at, end - at));
      at = end + 1;
    }
    EXPECT_EQ(error, "");
  }

  double value(const std::string& name, const std::map<std::string, std::string>& labels = {}) const {
    for (const Sample& sample : samples)
      if (sample.name == name && sample.labels == labels) return sample.value;
    ADD_FAILURE() << "no sample " << name;
    return std::nan("");
  }

  std::vector<Sample> samples;
  std::map<std::string, std::string> types, helps;
  std::string error;

 private:
  static bool is_name(const std::string& text) {
    if (text.empty() || std::isdigit(static_cast<unsigned char>(text[0]))) return false;
    for (const char c : text)
      if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != ':') return false;
    return true;
  }
  static std::string unescape(const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\')
        out += text[i];
      else if (++i < text.size())
        out += text[i] == 'n' ? '\n' : text[i];
    }
    return out;
  }
  void line(const std::string& text) {
    if (text.starts_with("# HELP ") || text.starts_with("# TYPE ")) {
      const auto space = text.find(' ', 7);
      const std::string name = text.substr(7, space - 7);
      auto& kept = text[2] == 'H' ? helps : types;
      if (space == std::string::npos || !is_name(name)) return fail(text);
      if (kept.contains(name)) return fail("twice: " + text);
      if (family_done_.contains(name)) return fail("after its samples: " + text);
      kept[name] = unescape(text.substr(space + 1));
      return;
    }
    sample(text);
  }
  void sample(const std::string& text) {
    Sample out;
    std::size_t at = text.find_first_of("{ ");
    if (at == std::string::npos) return fail(text);
    out.name = text.substr(0, at);
    if (!is_name(out.name)) return fail(text);
    if (text[at] == '{' && !labels(text, at, out)) return fail(text);
    if (at >= text.size() || text[at] != ' ') return fail(text);
    const std::string number = text.substr(at + 1);
    if (number == "+Inf")
      out.value = std::numeric_limits<double>::infinity();
    else if (number == "NaN")
      out.value = std::nan("");
    else if (const auto [end, bad] = std::from_chars(number.data(), number.data() + number.size(), out.value);
             bad != std::errc{} || end != number.data() + number.size())
      return fail(text);
    const std::string family = family_of(out.name);
    if (!types.contains(family)) return fail("no TYPE before: " + text);
    if (current_ != family && family_done_.contains(family)) return fail("samples of one metric must stand together: " + text);
    current_ = family;
    family_done_.insert(family);
    if (!seen_.insert({out.name, out.labels}).second) return fail("twice: " + text);
    samples.push_back(std::move(out));
  }
  bool labels(const std::string& text, std::size_t& at, Sample& out) {
    for (++at; at < text.size() && text[at] != '}';) {
      const auto equals = text.find("=\"", at);
      if (equals == std::string::npos) return false;
      const std::string name = text.substr(at, equals - at);
      std::size_t end = equals + 2;
      while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
      if (!is_name(name) || end >= text.size()) return false;
      if (!out.labels.emplace(name, unescape(text.substr(equals + 2, end - equals - 2))).second) return false;
      at = end + 1;
      if (at < text.size() && text[at] == ',') ++at;
    }
    return at++ < text.size();
  }
  std::string family_of(const std::string& name) const {
    for (const std::string suffix : {"_bucket", "_sum", "_count"}) {
      if (!name.ends_with(suffix)) continue;
      const auto type = types.find(name.substr(0, name.size() - suffix.size()));
      if (type != types.end() && type->second == "histogram") return type->first;
    }
    return name;
  }
  void fail(const std::string& what) {
    if (error.empty()) error = what;
  }

  std::string current_;
  std::set<std::string> family_done_;
  std::set<std::pair<std::string, std::map<std::string, std::string>>> seen_;
};

void fill(Metrics& metrics) {
  metrics.counter("mayfly_runs_started_total", "Runs started.", {{"agent", "support"}}).add(3);
  metrics.counter("mayfly_runs_started_total", "Runs started.", {{"agent", "other \"quoted\" \\ \n name"}}).add();
  metrics.gauge("mayfly_steps_running", "Steps that run now.").set(2.5);
  auto& latency = metrics.histogram("mayfly_http_request_duration_seconds", "Time to answer.", {0.1, 1}, {{"route", "/v1/runs"}});
  for (const double value : {0.05, 0.1, 0.5, 7.0}) latency.observe(value);
}

TEST(Metrics, WritesWhatPrometheusReads) {
  Metrics metrics;
  fill(metrics);
  const Exposition out(metrics.to_text());
  EXPECT_EQ(out.value("mayfly_runs_started_total", {{"agent", "support"}}), 3);
  EXPECT_EQ(out.value("mayfly_runs_started_total", {{"agent", "other \"quoted\" \\ \n name"}}), 1);
  EXPECT_EQ(out.value("mayfly_steps_running"), 2.5);
  EXPECT_EQ(out.types.at("mayfly_runs_started_total"), "counter");
  EXPECT_EQ(out.types.at("mayfly_steps_running"), "gauge");
  EXPECT_EQ(out.helps.at("mayfly_steps_running"), "Steps that run now.");
}

TEST(Metrics, HistogramBucketsAreCumulativeWithInclusiveBounds) {
  Metrics metrics;
  fill(metrics);
  const Exposition out(metrics.to_text());
  const std::string name = "mayfly_http_request_duration_seconds";
  EXPECT_EQ(out.value(name + "_bucket", {{"route", "/v1/runs"}, {"le", "0.1"}}), 2);
  EXPECT_EQ(out.value(name + "_bucket", {{"route", "/v1/runs"}, {"le", "1"}}), 3);
  EXPECT_EQ(out.value(name + "_bucket", {{"route", "/v1/runs"}, {"le", "+Inf"}}), 4);
  EXPECT_EQ(out.value(name + "_count", {{"route", "/v1/runs"}}), 4);
  EXPECT_DOUBLE_EQ(out.value(name + "_sum", {{"route", "/v1/runs"}}), 7.65);
}

TEST(Metrics, EscapesHelpAndSurvivesBytesThatAreNoText) {
  Metrics metrics;
  metrics.gauge("mayfly_a", "back\\slash\nline").set(1);
  metrics.gauge("mayfly_b", "Bytes.", {{"name", "\xff\xfe"}}).set(1);
  const std::string text = metrics.to_text();
  EXPECT_NE(text.find("# HELP mayfly_a back\\\\slash\\nline\n"), std::string::npos);
  const Exposition out(text);
  EXPECT_EQ(out.helps.at("mayfly_a"), "back\\slash\nline");
  EXPECT_EQ(text.find('\xff'), std::string::npos);
}

TEST(Metrics, TheSameNameAndLabelsAreOneMetric) {
  Metrics metrics;
  Counter& first = metrics.counter("mayfly_calls_total", "Calls.", {{"provider", "a"}});
  EXPECT_EQ(&first, &metrics.counter("mayfly_calls_total", "Calls.", {{"provider", "a"}}));
  EXPECT_NE(&first, &metrics.counter("mayfly_calls_total", "Calls.", {{"provider", "b"}}));
}

TEST(Metrics, CountersNeverFall) {
  Metrics metrics;
  Counter& counter = metrics.counter("mayfly_calls_total", "Calls.");
  counter.set_total(10);
  counter.set_total(4);
  counter.add(-3);
  EXPECT_EQ(counter.value(), 10);
}

TEST(Metrics, NamesChosenByCallersCannotFillTheMemory) {
  Metrics metrics;
  for (int i = 0; i < 5'000; ++i) metrics.counter("mayfly_runs_total", "Runs.", {{"agent", "a" + std::to_string(i)}}).add();
  const Exposition out(metrics.to_text());
  EXPECT_EQ(out.samples.size(), Metrics::kSeriesMax + 1);
  EXPECT_EQ(out.value("mayfly_runs_total", {{"agent", "(other)"}}), 5'000 - static_cast<double>(Metrics::kSeriesMax));
}

TEST(Metrics, MirroredValuesAreReadWhenCollected) {
  Metrics metrics;
  Gauge& gauge = metrics.gauge("mayfly_connections_open", "Open connections.");
  int open = 3;
  metrics.before_collect([&] { gauge.set(open); });
  EXPECT_EQ(Exposition(metrics.to_text()).value("mayfly_connections_open"), 3);
  open = 8;
  EXPECT_EQ(Exposition(metrics.to_text()).value("mayfly_connections_open"), 8);
}

TEST(Metrics, KnowsItsOwnProcess) {
  Metrics metrics;
  add_process_metrics(metrics);
  const Exposition before(metrics.to_text());
  EXPECT_GT(before.value("process_resident_memory_bytes"), 1e6);
  EXPECT_LT(before.value("process_resident_memory_bytes"), before.value("process_virtual_memory_bytes"));
  EXPECT_GT(before.value("process_start_time_seconds"), 1.5e9);
  EXPECT_GE(before.value("process_cpu_seconds_total"), 0);
  EXPECT_GE(before.value("process_max_fds"), before.value("process_open_fds"));
  const std::ifstream one("/proc/self/stat"), two("/proc/self/stat");
  EXPECT_EQ(Exposition(metrics.to_text()).value("process_open_fds"), before.value("process_open_fds") + 2);
}

TEST(Metrics, PromtoolFindsNothingToComplainAbout) {
  if (std::system("command -v promtool >/dev/null 2>&1") != 0) GTEST_SKIP() << "promtool is not installed (Debian package prometheus)";
  Metrics metrics;
  fill(metrics);
  add_process_metrics(metrics);
  const TemporaryDirectory directory;
  const std::string file = directory.path + "/metrics";
  std::ofstream(file) << metrics.to_text();
  EXPECT_EQ(std::system(("promtool check metrics < " + file).c_str()), 0);
}

}  // namespace
}  // namespace mayfly::telemetry
