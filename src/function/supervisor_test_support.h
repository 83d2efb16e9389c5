#pragma once

#include <filesystem>
#include <fstream>
#include <list>

#include "function/function_test_support.h"

/// Scripted processes, and a world of one supervisor over the fake sandbox and the simulated clock.
namespace mayfly::function {

/// Opens when enough have arrived.
struct Gate {
  explicit Gate(std::size_t the_wanted) : wanted(the_wanted) {}
  std::size_t wanted, arrived = 0;
  std::vector<Resume<bool>> waiting;
  void arrive() {
    if (++arrived < wanted) return;
    for (auto& resume : std::exchange(waiting, {})) resume(true);
  }
};

inline Task<> echo_forever(FakeProcess process) {
  RawRuntime runtime(process);
  for (;;) {
    const auto event = co_await runtime.next();
    if (event.status != 200) co_return;
    co_await runtime.respond(event.headers.at("lambda-runtime-aws-request-id"), "{\"echo\":" + event.body + "}");
  }
}

inline Task<> print_and_echo(FakeProcess process, std::string text) {
  RawRuntime runtime(process);
  for (;;) {
    const auto event = co_await runtime.next();
    if (event.status != 200) co_return;
    process->print(text);
    co_await runtime.respond(event.headers.at("lambda-runtime-aws-request-id"), event.body);
  }
}

inline Task<> echo_with_pause(FakeProcess process) {
  RawRuntime runtime(process);
  for (;;) {
    const auto event = co_await runtime.next();
    if (event.status != 200) co_return;
    co_await runtime.respond(event.headers.at("lambda-runtime-aws-request-id"), event.body);
    for (int i = 0; i < 20; ++i) co_await yield_now();
  }
}

inline Task<> echo_through(FakeProcess process, Gate* gate) {
  RawRuntime runtime(process);
  const auto event = co_await runtime.next();
  if (event.status != 200) co_return;
  gate->arrive();
  if (gate->arrived < gate->wanted) {
    co_await suspend<bool>([&](Resume<bool> resume) {
      auto shared = std::make_shared<std::optional<Resume<bool>>>(std::move(resume));
      const auto go = [shared](bool) {
        if (auto taken = std::exchange(*shared, std::nullopt)) (*taken)(true);
      };
      gate->waiting.emplace_back(process->executor, go);
      process->sleepers.emplace_back(process->executor, go);
    });
  }
  co_await runtime.respond(event.headers.at("lambda-runtime-aws-request-id"), event.body);
  co_await runtime.next();
}

inline Task<> take_one(FakeProcess process, RuntimeReply* event) {
  RawRuntime runtime(process);
  *event = co_await runtime.next();
  co_await runtime.respond(event->headers.at("lambda-runtime-aws-request-id"), "1");
  co_await runtime.next();
}

inline Task<> ask_platform(FakeProcess process, RuntimeReply* reply) {
  RawRuntime runtime(process), other(process);
  const auto event = co_await runtime.next();
  co_await other.send("GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n");
  *reply = co_await other.read();
  co_await runtime.respond(event.headers.at("lambda-runtime-aws-request-id"), "1");
  co_await runtime.next();
}

struct World {
  explicit World(SupervisorOptions options = {}) : sandbox(io.get_executor(), clock) {
    options.log_directory = directory.path + "/logs";
    options.runtimes_directory = directory.path + "/runtimes";
    std::filesystem::create_directories(directory.path + "/empty");
    std::filesystem::create_directories(directory.path + "/code");
    std::ofstream(directory.path + "/code/bootstrap") << "#!/bin/sh\n";
    std::filesystem::permissions(directory.path + "/code/bootstrap", std::filesystem::perms::owner_all);
    SupervisorDependencies dependencies{.executor = io.get_executor(), .clock = &clock, .random = &random, .sandbox = &sandbox};
    dependencies.concurrency = [this](const std::string& name) { return settings[name]; };
    dependencies.platform = serve_platform;
    supervisor = make_supervisor(std::move(dependencies), options);
  }
  ~World() { stop(); }

  static Task<> serve_platform(InstanceIdentity who, net::Request& request, net::Responder& responder) {
    co_await responder.send({.status = 200, .headers = {}, .body = "platform of " + who.function + ": " + request.path});
  }

  std::shared_ptr<FunctionRevision> function(std::string name, std::int64_t number = 1) {
    auto out = std::make_shared<FunctionRevision>();
    out->number = number;
    out->config.name = std::move(name);
    out->config.runtime = "provided.al2023";
    out->config.handler = "app.handler";
    out->code_directory = directory.path + "/code";
    return out;
  }
  InvocationRequest request(std::shared_ptr<const FunctionRevision> function, std::string payload) {
    return {.function = std::move(function), .version = "$LATEST", .payload = std::move(payload)};
  }
  Result<InvocationResult> invoke(std::shared_ptr<const FunctionRevision> function, std::string payload) {
    return run(supervisor->invoke(request(std::move(function), std::move(payload))));
  }
  std::vector<Result<InvocationResult>> invoke_all(std::shared_ptr<const FunctionRevision> function, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) tasks.spawn(keep(&begun.emplace_back(), supervisor->invoke(request(function, "1"))));
    run_until([this] { return tasks.size() == 0; });
    std::vector<Result<InvocationResult>> out;
    for (auto& result : begun) out.push_back(std::move(*result));
    begun.clear();
    return out;
  }
  /// Starts an invocation and returns once its process has the event.
  void begin(std::shared_ptr<const FunctionRevision> function) {
    const auto busy = [this] {
      std::size_t count = 0;
      for (const auto& instance : supervisor->instances()) count += instance.state == "busy" ? 1 : 0;
      return count;
    };
    const std::size_t before = busy();
    tasks.spawn(keep(&begun.emplace_back(), supervisor->invoke(request(std::move(function), "1"))));
    run_until([&] { return busy() > before; });
  }

  template <class T>
  T run(Task<T> task) {
    std::optional<T> out;
    TaskGroup group(io.get_executor());
    group.spawn(keep(&out, std::move(task)));
    run_until([&] { return group.size() == 0; });
    return std::move(*out);
  }
  /// The same, while time jumps ahead whenever nothing else happens.
  template <class T>
  T run_through_time(Task<T> task) {
    std::optional<T> out;
    TaskGroup group(io.get_executor());
    group.spawn(keep(&out, std::move(task)));
    advance_until([&] { return group.size() == 0; });
    return std::move(*out);
  }
  void run_until(const std::function<bool()>& done) {
    while (!done()) {
      io.restart();
      if (io.run_one_for(std::chrono::seconds(20)) == 0) {
        ADD_FAILURE() << "nothing happens any more";
        std::abort();
      }
    }
  }
  void advance_until(const std::function<bool()>& done) {
    for (int jumps = 0; !done();) {
      io.restart();
      if (io.run_one_for(std::chrono::milliseconds(50)) > 0) continue;
      if (++jumps > 1'000 || !clock.advance()) {
        ADD_FAILURE() << "time alone does not help";
        std::abort();
      }
    }
  }
  void stop() {
    if (std::exchange(stopped, true)) return;
    TaskGroup group(io.get_executor());
    group.spawn(stop_all());
    run_until([&] { return group.size() == 0 && tasks.size() == 0; });
  }
  Task<> stop_all() {
    co_await supervisor->stop(Millis{0});
    co_await sandbox.stop();
  }
  template <class T>
  static Task<> keep(std::optional<T>* out, Task<T> task) {
    out->emplace(co_await std::move(task));
  }

  asio::io_context io;
  SimClock clock;
  SeededRandom random{1};
  TemporaryDirectory directory;
  FakeSandbox sandbox;
  std::map<std::string, ConcurrencySettings> settings;
  std::unique_ptr<Supervisor> supervisor;
  TaskGroup tasks{io.get_executor()};
  std::list<std::optional<Result<InvocationResult>>> begun;
  bool stopped = false;
};

}  // namespace mayfly::function
