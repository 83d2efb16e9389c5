// Closed-loop writers on the embedded store, and the same bytes through a bare synced log for the ratio.
// store_bench [--log-floor] [--seconds N] [--directory PATH] [--checkpoint-pages N]: one JSON line for each figure.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "runtime/random.h"
#include "store/sqlite_store.h"

namespace mayfly {
namespace {

using Steady = std::chrono::steady_clock;

struct Options {
  bool log_floor = false;
  double seconds = 4;
  int checkpoint_pages = SqliteStoreOptions{}.checkpoint_pages;
  std::string directory = std::filesystem::temp_directory_path() / "mayfly-store-bench";
};

constexpr int kPartitions = 64;
constexpr std::size_t kUpdateBytes = 600;
constexpr std::size_t kInsertBytes = 700;

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Figures {
  std::vector<float> latencies_us;
  Steady::time_point started = Steady::now();
  double cpu_before = cpu_seconds();

  void print(const std::string& name, int writers, double batch) {
    const double seconds = std::chrono::duration<double>(Steady::now() - started).count();
    const double cpu = (cpu_seconds() - cpu_before) * 1e6 / static_cast<double>(latencies_us.size());
    std::ranges::sort(latencies_us);
    const auto at = [&](double share) {
      return latencies_us[static_cast<std::size_t>(share * static_cast<double>(latencies_us.size() - 1))];
    };
    fmt::print(R"({{"bench":"{}","writers":{},"appends_per_s":{:.0f},"p50_us":{:.0f},"p99_us":{:.0f},)"
               R"("batch":{:.1f},"cpu_us_per_commit":{:.1f}}})"
               "\n", name, writers, static_cast<double>(latencies_us.size()) / seconds, at(0.5), at(0.99), batch, cpu);
    std::fflush(stdout);
  }
};

struct StoreRun {
  Store& store;
  Steady::time_point until;
  Figures figures{};
  std::string filler = std::string(1 << 16, 'x');
};

[[noreturn]] void die(const Error& error) {
  fmt::print(stderr, "{}: {}\n", error.code, error.message);
  std::exit(1);
}

std::string key(int writer, const char* kind, long number) {
  return fmt::format("{:04d}/{}/run_01HZX{:08d}/{:010d}", writer % kPartitions, kind, writer, number);
}

Task<> prepare(Store* store, int writers) {
  for (int partition = 0; partition < std::min(writers, kPartitions); ++partition) {
    const auto done = co_await store->commit({.puts = {{fmt::format("{:04d}/epoch", partition), "{}"}}});
    if (!done) die(done.error());
  }
}

Task<> write_loop(StoreRun* run, int writer) {
  SeededRandom random(static_cast<std::uint64_t>(writer) + 1);
  const std::string epoch = fmt::format("{:04d}/epoch", writer % kPartitions);
  const auto epoch_record = co_await run->store.get(epoch);
  if (!epoch_record) die(epoch_record.error());
  const Version version = (*epoch_record)->version;
  const std::string state = key(writer, "x", 0);
  for (long number = 0; Steady::now() < run->until; ++number) {
    const auto text = [&](std::size_t bytes) { return run->filler.substr(random.below(60'000), bytes); };
    Batch batch{.require = {Precondition::version_equals(epoch, version)},
                .puts = {{state, text(kUpdateBytes)}, {key(writer, "h", number), text(kInsertBytes)}}};
    const auto started = Steady::now();
    const auto outcome = co_await run->store.commit(std::move(batch));
    if (!outcome || !outcome->committed()) die(outcome ? Error{"conflict", outcome->conflict_key} : outcome.error());
    run->figures.latencies_us.push_back(std::chrono::duration<float, std::micro>(Steady::now() - started).count());
  }
}

void run_store(const Options& options, int writers) {
  std::filesystem::remove_all(options.directory);
  asio::io_context io(1);
  auto opened = open_sqlite_store(io.get_executor(), {.directory = options.directory, .checkpoint_pages = options.checkpoint_pages});
  if (!opened) die(opened.error());
  Store& store = **opened;
  std::size_t groups = 0;
  const auto watch = store.watch("", [&] { ++groups; });
  TaskGroup tasks(io.get_executor());
  tasks.spawn(prepare(&store, writers));
  io.run();
  groups = 0;
  StoreRun run{store, Steady::now() + std::chrono::duration_cast<Steady::duration>(std::chrono::duration<double>(options.seconds))};
  for (int writer = 0; writer < writers; ++writer) tasks.spawn(write_loop(&run, writer));
  io.restart();
  io.run();
  const auto commits = static_cast<double>(run.figures.latencies_us.size());
  run.figures.print("store", writers, commits / static_cast<double>(std::max<std::size_t>(groups, 1)));
}

/// What the disk alone gives: a group of `writers` records of the same size, written and synced, over and over.
void run_log(const Options& options, int writers) {
  std::filesystem::remove_all(options.directory);
  std::filesystem::create_directories(options.directory);
  const std::string path = options.directory + "/log";
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  constexpr std::size_t kLogBytes = 256u << 20;
  const std::string zeros(1u << 20, '\0');
  for (std::size_t at = 0; at < kLogBytes; at += zeros.size())
    if (::pwrite(file, zeros.data(), zeros.size(), static_cast<off_t>(at)) < 0) std::exit(1);
  ::fdatasync(file);
  const std::string group(static_cast<std::size_t>(writers) * (kUpdateBytes + kInsertBytes + 64), 'x');
  Figures figures;
  std::size_t offset = 0;
  while (Steady::now() - figures.started < std::chrono::duration<double>(options.seconds)) {
    if (offset + group.size() > kLogBytes) offset = 0;
    const auto started = Steady::now();
    if (::pwrite(file, group.data(), group.size(), static_cast<off_t>(offset)) < 0 || ::fdatasync(file) != 0) std::exit(1);
    const float took = std::chrono::duration<float, std::micro>(Steady::now() - started).count();
    figures.latencies_us.insert(figures.latencies_us.end(), static_cast<std::size_t>(writers), took);
    offset += group.size();
  }
  figures.print("log-floor", writers, writers);
  ::close(file);
}

Options parse(int count, char** words) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    const bool has_value = i + 1 < count;
    if (word == "--log-floor") options.log_floor = true;
    else if (word == "--seconds" && has_value) options.seconds = std::max(0.1, std::atof(words[++i]));
    else if (word == "--directory" && has_value) options.directory = words[++i];
    else if (word == "--checkpoint-pages" && has_value) options.checkpoint_pages = std::atoi(words[++i]);
    else {
      fmt::print(stderr, "usage: store_bench [--log-floor] [--seconds N] [--directory PATH] [--checkpoint-pages N]\n");
      std::exit(2);
    }
  }
  return options;
}

}  // namespace
}  // namespace mayfly

int main(int count, char** words) {
  const auto options = mayfly::parse(count, words);
  for (const int writers : {1, 16, 64, 256}) {
    mayfly::run_store(options, writers);
    if (options.log_floor) mayfly::run_log(options, writers);
  }
  std::filesystem::remove_all(options.directory);
}
