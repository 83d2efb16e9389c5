// How long a sandbox takes from the request to the program's end, beside a plain fork and bwrap. Prints one JSON object a line.
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "runtime/clock.h"
#include "runtime/task.h"
#include "sandbox/sandbox.h"

namespace {

using namespace mayfly;
using namespace mayfly::sandbox;
using Steady = std::chrono::steady_clock;

struct Times {
  std::vector<double> started_ms, ended_ms;
};

double millis_since(Steady::time_point begin) { return std::chrono::duration<double, std::milli>(Steady::now() - begin).count(); }

void print(const std::string& name, Times times) {
  const auto at = [](std::vector<double>& values, double q) {
    if (values.empty()) return 0.0;
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
  };
  fmt::print(
      "{{\"bench\":\"sandbox_launch\",\"case\":\"{}\",\"n\":{},\"started_p50_ms\":{:.2f},\"started_p99_ms\":{:.2f},\"ended_p50_ms\":{:.2f},"
      "\"ended_p99_ms\":{:.2f}}}\n",
      name, times.ended_ms.size(), at(times.started_ms, .5), at(times.started_ms, .99), at(times.ended_ms, .5), at(times.ended_ms, .99));
  std::fflush(stdout);
}

void plain(const std::string& name, std::vector<std::string> command, int rounds) {
  std::vector<char*> argv;
  for (std::string& text : command) argv.push_back(text.data());
  argv.push_back(nullptr);
  Times times;
  for (int i = 0; i < rounds; ++i) {
    const auto begin = Steady::now();
    pid_t pid = 0;
    if (::posix_spawn(&pid, argv[0], nullptr, nullptr, argv.data(), environ) != 0) return;
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (status != 0) return;
    times.ended_ms.push_back(millis_since(begin));
  }
  print(name, std::move(times));
}

Task<> measure(Sandbox* sandbox, std::string name, SandboxSpec spec, int rounds) {
  Times times;
  for (int i = 0; i < rounds; ++i) {
    SandboxSpec one = spec;
    one.id = fmt::format("bench-{}", i);
    const auto begin = Steady::now();
    auto process = co_await sandbox->launch(std::move(one));
    if (!process) {
      fmt::print(stderr, "{}: {}\n", name, process.error().message);
      co_return;
    }
    times.started_ms.push_back(millis_since(begin));
    co_await (*process)->wait();
    times.ended_ms.push_back(millis_since(begin));
  }
  print(name, std::move(times));
}

Task<> run(Executor executor, Clock* clock, std::string apps, std::string zygote, int rounds) {
  const char* root = std::getenv("MAYFLY_TEST_CGROUP_ROOT");
  auto made =
      co_await make_jailer_sandbox(executor, *clock, {.jailer = apps + "/mayfly-jailer", .cgroup_root = root == nullptr ? "" : root});
  if (!made) {
    fmt::print(stderr, "{}\n", made.error().message);
    co_return;
  }
  Sandbox* sandbox = made->get();
  SandboxSpec spec;
  spec.argv = {"/bin/true"};
  spec.environment = {"PATH=/usr/bin:/bin"};
  SandboxSpec bare = spec;
  bare.without = all_layers();
  co_await measure(sandbox, "jailer, no layers", bare, rounds);
  for (const Layers& without : {Layers{Layer::NetNamespace}, Layers{Layer::CgroupMemory, Layer::CgroupCpu, Layer::CgroupPids}, Layers{}}) {
    SandboxSpec some = spec;
    some.without = without;
    if (!without.contains(Layer::NetNamespace)) some.listen = {"127.0.0.2:9001"};
    std::string name = "jailer, all layers";
    for (const Layer layer : without) name += fmt::format(" but {}", to_string(layer));
    co_await measure(sandbox, name, some, rounds);
  }
  const Result<void> added = co_await sandbox->add_zygote({.name = "python",
                                                           .argv = {"/usr/bin/python3", "-I", "-S", "-B", "/zygote/zygote_test.py"},
                                                           .environment = {},
                                                           .mounts = {{.source = zygote, .target = "/zygote"}}});
  if (added) {
    spec.zygote = "python";
    spec.environment = {"MAYFLY_TEST_CODE=pass"};
    spec.listen = {"127.0.0.2:9001"};
    co_await measure(sandbox, "python zygote, all layers", spec, rounds);
  }
  co_await sandbox->stop();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: sandbox_bench APPS_FOLDER FOLDER_OF_zygote_test.py [ROUNDS]\n");
    return 2;
  }
  const int rounds = argc > 3 ? std::atoi(argv[3]) : 200;
  plain("posix_spawn", {"/bin/true"}, rounds);
  plain("bwrap, all namespaces",
        {"/usr/bin/bwrap", "--unshare-all", "--ro-bind",         "/usr",     "/usr", "--symlink", "usr/lib", "/lib",  "--symlink",
         "usr/lib64",      "/lib64",        "--symlink",         "usr/bin",  "/bin", "--proc",    "/proc",   "--dev", "/dev",
         "--tmpfs",        "/tmp",          "--die-with-parent", "/bin/true"},
        rounds);
  plain("python3 -I -S, nothing", {"/usr/bin/python3", "-I", "-S", "-c", "pass"}, rounds);
  boost::asio::io_context io;
  SystemClock clock(io.get_executor());
  TaskGroup group(io.get_executor());
  group.spawn(run(io.get_executor(), &clock, argv[1], argv[2], rounds));
  io.run();
}
