// sim_test [--seeds N] [--first SEED] [--plant NAME] [--verbose]
// Runs N seeds; prints every violation with its seed; ends with 1 when there was one (with --plant: when there was none).
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/log.h"
#include "sim_world.h"

int main(int argc, char** argv) {
  using namespace mayfly::sim;
  std::uint64_t seeds = 200, first = 1;
  WorldOptions options;
  bool planted = false;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (argument == "--seeds")
      seeds = std::strtoull(value, nullptr, 10), ++i;
    else if (argument == "--first")
      first = std::strtoull(value, nullptr, 10), ++i;
    else if (argument == "--verbose")
      options.verbose = true;
    else if (argument == "--plant") {
      for (int p = 1; p <= static_cast<int>(Plant::NoFencing); ++p)
        if (to_string(static_cast<Plant>(p)) == value) options.plant = static_cast<Plant>(p), planted = true;
      if (!planted) return std::fprintf(stderr, "no such plant: %s\n", value), 2;
      ++i;
    } else {
      return std::fprintf(stderr, "usage: sim_test [--seeds N] [--first SEED] [--plant NAME] [--verbose]\n"), 2;
    }
  }
  mayfly::log::init(options.verbose ? mayfly::log::Level::Debug : mayfly::log::Level::Off, mayfly::log::Format::Text);
  std::uint64_t bad = 0, crashes = 0, commits = 0, model_calls = 0, tool_calls = 0;
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    options.seed = seed;
    const WorldReport report = run_world(options);
    crashes += static_cast<std::uint64_t>(report.crashes);
    commits += report.commits;
    model_calls += report.model_calls;
    tool_calls += report.tool_calls;
    for (const std::string& violation : report.violations)
      std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), violation.c_str());
    bad += report.violations.empty() ? 0 : 1;
    if (seed % 100 == 0) {
      WorldOptions again = options;
      if (run_world(again).trace_hash != report.trace_hash) {
        std::printf("seed %llu: not deterministic\n", static_cast<unsigned long long>(seed));
        ++bad;
      }
    }
    if (planted && bad) break;
  }
  std::printf("%llu seeds, %llu crashes, %llu commits, %llu model calls, %llu tool calls: %llu seeds with violations\n",
              static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(crashes), static_cast<unsigned long long>(commits),
              static_cast<unsigned long long>(model_calls), static_cast<unsigned long long>(tool_calls),
              static_cast<unsigned long long>(bad));
  return planted ? (bad ? 0 : 1) : (bad ? 1 : 0);
}
