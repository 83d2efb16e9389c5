#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "telemetry/telemetry.h"

namespace mayfly::telemetry {
namespace {

std::string read_file(const char* path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct ProcessStatus {
  double cpu_seconds = 0;
  double started_ticks = 0;
  double virtual_bytes = 0;
  double resident_bytes = 0;
};

/// proc_pid_stat(5): the fields after the parenthesised command name, which may itself hold spaces and parentheses.
ProcessStatus read_status() {
  const std::string stat = read_file("/proc/self/stat");
  std::istringstream in(stat.substr(std::min(stat.rfind(')'), stat.size() - (stat.empty() ? 0 : 1)) + 1));
  const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  constexpr int kUserTime = 14, kSystemTime = 15, kStarted = 22, kVirtual = 23, kResident = 24;
  ProcessStatus out;
  std::string field;
  for (int number = 3; number <= kResident && in >> field; ++number) {
    const double value = std::strtod(field.c_str(), nullptr);
    if (number == kUserTime || number == kSystemTime) out.cpu_seconds += value / ticks;
    if (number == kStarted) out.started_ticks = value / ticks;
    if (number == kVirtual) out.virtual_bytes = value;
    if (number == kResident) out.resident_bytes = value * static_cast<double>(sysconf(_SC_PAGESIZE));
  }
  return out;
}

double boot_time() {
  std::istringstream in(read_file("/proc/stat"));
  for (std::string word; in >> word;) {
    if (word != "btime") continue;
    double seconds = 0;
    in >> seconds;
    return seconds;
  }
  return 0;
}

double open_descriptors() {
  std::error_code error;
  const auto entries = std::filesystem::directory_iterator("/proc/self/fd", error);
  if (error) return 0;
  // The listing itself holds one open.
  return static_cast<double>(std::distance(begin(entries), end(entries))) - 1;
}

double descriptors_max() {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? static_cast<double>(limit.rlim_cur) : 0;
}

}  // namespace

void add_process_metrics(Metrics& metrics) {
  Counter& cpu = metrics.counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.");
  Gauge& resident = metrics.gauge("process_resident_memory_bytes", "Resident memory size in bytes.");
  Gauge& size = metrics.gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.");
  Gauge& open = metrics.gauge("process_open_fds", "Number of open file descriptors.");
  metrics.gauge("process_max_fds", "Maximum number of open file descriptors.").set(descriptors_max());
  metrics.gauge("process_start_time_seconds", "Start time of the process since the Unix epoch in seconds.")
      .set(boot_time() + read_status().started_ticks);
  metrics.before_collect([&cpu, &resident, &size, &open] {
    const ProcessStatus status = read_status();
    cpu.set_total(status.cpu_seconds);
    resident.set(status.resident_bytes);
    size.set(status.virtual_bytes);
    open.set(open_descriptors());
  });
}

}  // namespace mayfly::telemetry
