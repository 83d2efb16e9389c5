#include "sim_world.h"

#include <algorithm>

#include "base/hash.h"
#include "base/log.h"
#include "sim_outside.h"

namespace mayfly::sim {
namespace {

using engine::ExecutionStatus;

constexpr llm::NanoUsd kBudget = 3'000'000;  // a few calls
constexpr int kEventsMax = 400'000;

/// The store as a process sees it, with the planted bugs that belong here.
class PlantedStore final : public Store {
 public:
  PlantedStore(SimStore& inner, SimDisk& disk, Plant plant) : inner_(inner), disk_(disk), plant_(plant) {}
  Task<Result<std::optional<Record>>> get(std::string key) override { return inner_.get(std::move(key)); }
  Task<Result<std::vector<Record>>> scan(KeyRange range, std::size_t limit, Direction direction) override {
    return inner_.scan(std::move(range), limit, direction);
  }
  Task<Result<CommitOutcome>> commit(Batch batch) override {
    if (plant_ == Plant::NoFencing) batch.require.clear();
    if (plant_ == Plant::AckBeforeDurable) {
      Batch undo;
      for (const Put& put : batch.puts) remember(undo, put.key);
      for (const std::string& key : batch.deletes) remember(undo, key);
      undo_.push_back(std::move(undo));
    }
    return inner_.commit(std::move(batch));
  }
  std::unique_ptr<Watch> watch(std::string prefix, std::function<void()> changed) override {
    return inner_.watch(std::move(prefix), std::move(changed));
  }
  bool exclusive() const override { return true; }
  Task<> close() override { return inner_.close(); }

  void lose_last() {
    for (int i = 0; i < 2 && !undo_.empty(); ++i) {
      disk_.apply(undo_.back());
      undo_.pop_back();
    }
  }

 private:
  void remember(Batch& undo, const std::string& key) {
    const auto cell = disk_.cells().find(key);
    if (cell == disk_.cells().end())
      undo.deletes.push_back(key);
    else
      undo.puts.push_back({key, cell->second.value});
  }
  SimStore& inner_;
  SimDisk& disk_;
  Plant plant_;
  std::vector<Batch> undo_;
};

/// Runs ahead now and then: what the engine must not trust for early timers is planted here.
class PlantedClock final : public Clock {
 public:
  PlantedClock(ProcessClock& inner, Plant plant) : inner_(inner), plant_(plant) {}
  TimePoint now() const override {
    const bool ahead = plant_ == Plant::EarlyTimers && to_unix_ms(inner_.now()) % 10'000 >= 5'000;
    return inner_.now() + (ahead ? Millis{3'000} : Millis{0});
  }
  std::chrono::nanoseconds monotonic() const override { return inner_.monotonic(); }
  std::unique_ptr<Timer> call_after(Millis delay, std::move_only_function<void()> callback) override {
    return inner_.call_after(delay, std::move(callback));
  }

 private:
  ProcessClock& inner_;
  Plant plant_;
};

SimStoreFaults faults() {
  return {.apply_delay_max = Millis{20},
          .answer_delay_max = Millis{20},
          .refused = 0.01,
          .full = 0.005,
          .unknown_applied = 0.01,
          .unknown_lost = 0.01,
          .read_failed = 0.005};
}

llm::PriceTable prices() {
  return *llm::PriceTable::parse(R"({"version":"sim","models":{"m":{"input":1.0,"output":5.0,"cache_read":1.0,"cache_write":1.0}}})");
}

agent::ToolSpec http_tool(const std::string& name, Effect effect) {
  agent::ToolSpec tool;
  tool.kind = agent::ToolSpec::Kind::Http;
  tool.name = name;
  tool.description = name;
  tool.parameters = *parse_json(R"({"type":"object","properties":{"label":{"type":"string"}},"required":["label"]})");
  tool.effect = effect;
  tool.retry = {.attempts_max = 50, .delay_first = Millis{100}, .delay_max = Millis{2'000}};
  tool.config = JsonObject{{"method", "POST"},        {"url", "http://tool.test/" + name + "/{label}"},
                           {"headers", JsonObject{}}, {"query", JsonObject{}},
                           {"body", "json"},          {"allow_hosts", JsonArray{}},
                           {"allow_private", true},   {"response_bytes_max", 65536}};
  return tool;
}

agent::AgentSpec agent_spec(const std::string& name, bool keyed, agent::WhenBusy when_busy, Plant plant) {
  agent::AgentSpec spec;
  spec.name = name;
  spec.models = {"sim/m"};
  spec.instructions = "Do the tasks.";
  spec.output_tokens_max = 200;
  spec.session = {.keyed = keyed, .when_busy = when_busy, .queue_max = 100};
  spec.model_retry = {.attempts_max = 50, .delay_first = Millis{100}, .delay_max = Millis{2'000}};
  spec.limits.usd = kBudget;
  spec.limits.steps = 15;
  spec.limits.wall_time = Millis{24 * 3'600'000};
  agent::ToolSpec once = http_tool("once", Effect::AtMostOnce);
  if (plant == Plant::RepeatAtMostOnce) once.on_unknown = agent::OnUnknown::Retry;
  agent::ToolSpec sleep;
  sleep.kind = agent::ToolSpec::Kind::Sleep;
  sleep.name = "sleep";
  sleep.parameters = *parse_json(R"({"type":"object","properties":{"seconds":{"type":"number"}},"required":["seconds"]})");
  sleep.config = JsonObject{{"max_ms", 3'600'000}};
  agent::ToolSpec memory;
  memory.kind = agent::ToolSpec::Kind::Memory;
  memory.name = "memory";
  memory.parameters = *parse_json(R"({"type":"object","required":["action"]})");
  memory.config = JsonObject{{"scope", "session"}};
  spec.tools = {http_tool("effect", Effect::AtLeastOnce), std::move(once), std::move(sleep), std::move(memory)};
  return spec;
}

class World;

/// One incarnation of the server. After its death it stays in memory, frozen, until the world ends.
struct Process {
  Process(World& world, std::uint64_t seed);
  ~Process() { tasks.abandon(); }
  void die();

  ProcessClock clock;
  ProcessClock network_clock;
  PlantedClock engine_clock;
  SeededRandom random;
  SimStore sim_store;
  PlantedStore store;
  SimHttp http;
  std::unique_ptr<llm::LlmGateway> gateway;
  agent::AgentRegistry registry;
  std::unique_ptr<agent::AgentSteps> steps;
  std::unique_ptr<engine::Engine> engine;
  std::unique_ptr<agent::AgentService> service;
  TaskGroup tasks;
  bool ready = false;
};

struct Invocation {
  std::string agent, session, key, task;
  std::string run;  ///< once acknowledged
  bool asking = false;
};

class World {
 public:
  explicit World(const WorldOptions& options)
      : options_(options),
        random_(options.seed),
        outside{clock, SeededRandom(options.seed * 7919 + 1), true, options.plant, {}, {}, {}, {}, {}, 0, 0} {}
  ~World() {
    // Frozen coroutines refer to what their process holds: they go first.
    for (auto& process : processes_) process->die();
    disk.release_crashed();
  }

  WorldReport run();

  const WorldOptions& options_;
  SeededRandom random_;
  SimClock clock;
  asio::io_context io;
  SimDisk disk;
  MemoryBlobStore blobs;
  Outside outside;

 private:
  Process& live() { return *processes_.back(); }
  void boot();
  void crash();
  void ask_again();
  Task<> boot_process(Process* process);
  Task<> invoke(Process* process, Invocation* invocation);
  Task<> person(Process* process);
  Task<> inspect(Process* process, bool* done);
  agent::PersonAnswer decide(const agent::Question& question);
  bool finished() const;
  void check_disk();
  void check_end();
  void violate(std::string what) { outside.violations.push_back(std::move(what)); }

  std::vector<std::unique_ptr<Process>> processes_;
  std::vector<Invocation> invocations_;
  std::map<std::string, std::string> journal_;  // every ended operation ever seen
  std::map<std::string, int> grants_;           // by run
  int crashes_ = 0;
};

Process::Process(World& world, std::uint64_t seed)
    : clock(world.clock),
      network_clock(world.clock),
      engine_clock(clock, world.options_.plant),
      random(seed),
      sim_store(world.disk, world.io.get_executor(), clock, random, world.outside.faulty ? faults() : SimStoreFaults{}),
      store(sim_store, world.disk, world.options_.plant),
      http(world.outside, network_clock),
      registry(store, clock,
               world.options_.plant == Plant::NoReservation ? *llm::PriceTable::parse(R"({"version":"none","models":{}})") : prices()),
      tasks(world.io.get_executor()) {
  std::map<std::string, std::unique_ptr<llm::LlmProvider>> providers;
  providers["sim"] = std::make_unique<SimModel>(world.outside, network_clock);
  gateway = llm::make_gateway({world.io.get_executor(), &clock, &random, &http, prices()}, std::move(providers));
  agent::ServiceDependencies deps{world.io.get_executor(), &store, &clock, &random, gateway.get(), &http, &registry, {}};
  steps = agent::make_agent_steps(deps);
  engine = engine::make_engine({.executor = world.io.get_executor(),
                                .store = &store,
                                .blobs = &world.blobs,
                                .clock = &engine_clock,
                                .random = &random,
                                .programs = &registry,
                                .steps = steps.get()},
                               {.node = "sim", .partitions = 4, .idempotency_ttl = Millis{24 * 3'600'000}});
  steps->attach(*engine);
  service = agent::make_agent_service(deps, *engine);
}

void Process::die() {
  clock.die();
  network_clock.die();
  if (!sim_store.crashed()) sim_store.crash();
  engine->crash();
  tasks.abandon();
}

void World::boot() {
  processes_.push_back(std::make_unique<Process>(*this, random_.next()));
  live().tasks.spawn(boot_process(&live()));
}

Task<> World::boot_process(Process* process) {
  while (!process->ready) {
    bool ok = static_cast<bool>(co_await process->registry.load());
    for (const auto& [name, keyed, busy] : {std::tuple{"solo", false, agent::WhenBusy::Queue},
                                            {"queue", true, agent::WhenBusy::Queue},
                                            {"steer", true, agent::WhenBusy::Steer}})
      ok = ok && co_await process->registry.deploy(agent_spec(name, keyed, busy, options_.plant));
    ok = ok && co_await process->engine->open();
    process->ready = ok;
    if (!ok) co_await sleep_for(process->clock, Millis{100});
  }
  process->tasks.spawn(person(process));
}

void World::crash() {
  ++crashes_;
  Process& old = live();
  for (Invocation& invocation : invocations_) invocation.asking = false;
  if (old.ready && random_.below(3) == 0) {
    // Not dead, only cut off: it goes on writing until it notices that it lost its leases. (One that is still taking them would take them
    // back: the embedded store's lock forbids that.)
    old.network_clock.die();
  } else {
    old.die();
    if (options_.plant == Plant::AckBeforeDurable) old.store.lose_last();
  }
  boot();
}

void World::ask_again() {
  if (!live().ready) return;
  for (Invocation& invocation : invocations_) {
    if (invocation.asking || (!invocation.run.empty() && random_.below(200) != 0)) continue;
    invocation.asking = true;
    live().tasks.spawn(invoke(&live(), &invocation));
  }
}

Task<> World::invoke(Process* process, Invocation* invocation) {
  co_await sleep_for(process->clock, Millis{static_cast<std::int64_t>(random_.below(10'000))});
  agent::Invocation request;
  request.agent = invocation->agent;
  request.session = invocation->session;
  request.idempotency_key = invocation->key;
  request.input = "task " + invocation->task;
  const auto started = co_await process->service->invoke(std::move(request));
  if (process != &live()) co_return;
  if (started) {
    if (!invocation->run.empty() && invocation->run != started->run)
      violate("idempotency: task " + invocation->task + " was acknowledged as " + invocation->run + " and again as " + started->run);
    invocation->run = started->run;
  } else if (started.error().retry == Retry::Never) {
    violate("invoke refused: " + started.error().code + " " + started.error().message);
  }
  co_await sleep_for(process->clock, Millis{500});
  if (process == &live()) invocation->asking = false;
}

agent::PersonAnswer World::decide(const agent::Question& question) {
  if (question.kind == "limit") return {.decision = "continue", .by = "sim"};
  if (question.kind == "unknown") {
    // What a careful person does: look whether it happened.
    const JsonObject* input = question.details.if_object();
    const JsonObject* arguments = input ? get_object(*input, "arguments") : nullptr;
    const std::string label = arguments ? get_string(*arguments, "label") : std::string();
    return {.decision = outside.deliveries[label] > 0 ? "succeeded" : "retry", .comment = "ok " + label, .by = "sim"};
  }
  return {.decision = "approve", .by = "sim"};
}

Task<> World::person(Process* process) {
  for (;;) {
    co_await sleep_for(process->clock, Millis{3'000});
    const auto questions = co_await process->service->questions("", 100);
    for (std::size_t i = 0; questions && i < questions->size(); ++i) {
      const agent::Question& question = (*questions)[i];
      // Counted before: an answer may take effect although its acknowledgement is lost.
      if (question.kind == "limit") ++grants_[question.run];
      (void)co_await process->service->answer(question.run, question.operation, decide(question));
    }
  }
}

bool World::finished() const {
  if (std::ranges::any_of(invocations_, [](const Invocation& invocation) { return invocation.run.empty(); })) return false;
  for (const auto& [key, cell] : disk.cells())
    if (key.size() > 7 && key.substr(4, 3) == "/x/" && cell.value.contains("\"status\":\"RUNNING\"")) return false;
  return true;
}

void World::check_disk() {
  std::map<std::string, std::string> holder;
  for (const auto& [key, cell] : disk.cells()) {
    if (key.size() <= 7) continue;
    if (key.substr(4, 3) == "/o/") {
      const auto [known, added] = journal_.emplace(key, cell.value);
      if (!added && known->second != cell.value) violate("journal rewritten: " + key);
    } else if (key.substr(4, 3) == "/x/" && cell.value.contains("\"status\":\"RUNNING\"") && !cell.value.contains("\"queued\":")) {
      const auto run = engine::execution_from_json(*parse_json(cell.value));
      if (!run->keyed) continue;
      const auto [other, first] = holder.emplace(run->session, run->id);
      if (!first) violate("two writers in " + run->session + ": " + other->second + " and " + run->id);
    }
  }
  for (const auto& [key, value] : journal_)
    if (!disk.cells().contains(key)) violate("journal entry lost: " + key);
}

void World::check_end() {
  for (const Invocation& invocation : invocations_) {
    for (const std::string suffix : {".a", ".b", ".once"}) {
      const std::string label = invocation.task + suffix;
      if (outside.keys[label].size() != 1)
        violate("effect " + label + " asked for with " + std::to_string(outside.keys[label].size()) + " keys");
      if (suffix == ".once" && outside.deliveries[label] != 1)
        violate("at-most-once " + label + " delivered " + std::to_string(outside.deliveries[label]) + " times");
    }
  }
  for (const auto& [run, nano] : outside.billed)
    if (nano > kBudget * (1 + grants_[run]))
      violate("budget: " + run + " was billed " + std::to_string(nano) + " with " + std::to_string(grants_[run]) + " grants");
}

Task<> World::inspect(Process* process, bool* done) {
  for (const Invocation& invocation : invocations_) {
    const auto run = co_await process->engine->get(invocation.run);
    if (!run) {
      violate("acknowledged run lost: " + invocation.run + " of task " + invocation.task);
      continue;
    }
    if (run->status != ExecutionStatus::Succeeded) {
      violate(invocation.run + " ended " + std::string(to_string(run->status)) +
              (run->error ? ": " + run->error->code + " " + run->error->message : ""));
      continue;
    }
    const auto transcript = co_await process->service->transcript(invocation.run);
    std::string text;
    if (transcript)
      for (const llm::Message& message : *transcript)
        for (const llm::Content& part : message.content) text += part.text + "\n";
    if (!text.contains("task " + invocation.task + "\n")) violate("input lost: task " + invocation.task + " is not in " + invocation.run);
    if (!text.contains("done " + invocation.task + "\n")) violate("not done: task " + invocation.task + " in " + invocation.run);
    const auto replay = co_await process->service->replay(invocation.run, std::nullopt);
    if (!replay)
      violate("replay failed: " + replay.error().message);
    else if (replay->first_difference)
      violate("replay differs: " + invocation.run + " at " + std::to_string(replay->first_difference->operation) + ": " +
              replay->first_difference->what);
  }
  *done = true;
}

WorldReport World::run() {
  const auto guard = asio::make_work_guard(io);
  for (int i = 0; i < options_.invocations; ++i) {
    const std::string number = std::to_string(i);
    const std::uint64_t which = random_.below(3);
    invocations_.push_back({which == 0   ? "solo"
                            : which == 1 ? "queue"
                                         : "steer",
                            which == 0 ? "" : "s" + std::to_string(random_.below(2)), "key-" + number, number, "", false});
  }
  boot();
  const TimePoint healed_at = clock.now() + Millis{60'000};
  const TimePoint give_up = healed_at + Millis{3'600'000};
  bool inspecting = false, inspected = false;
  for (int event = 0; !inspected; ++event) {
    if (event > kEventsMax || clock.now() > give_up) {
      violate("not finished: " + std::string(outside.faulty ? "faulty" : "healed") + " world after " + std::to_string(event) + " events");
      break;
    }
    if (outside.faulty && clock.now() >= healed_at) {
      outside.faulty = false;
      // Half of the worlds heal by a restart from the journal; the others must get well by themselves.
      if (options_.seed % 2 == 0) crash();
      live().sim_store.set_faults({});
      for (auto& process : processes_)
        if (process.get() != &live()) process->die();
    }
    if (outside.faulty && crashes_ < options_.crashes_max && random_.below(600) == 0) crash();
    if (event % 50 == 0) {
      check_disk();
      ask_again();
      if (!outside.faulty && !inspecting && finished() && live().ready) {
        inspecting = true;
        live().tasks.spawn(inspect(&live(), &inspected));
      }
    }
    if (io.poll_one() == 0 && !clock.advance()) {
      violate("nothing happens any more");
      break;
    }
  }
  check_disk();
  check_end();
  WorldReport report;
  report.violations = outside.violations;
  report.crashes = crashes_;
  report.commits = disk.batches_applied();
  report.model_calls = outside.model_calls;
  report.tool_calls = outside.tool_calls;
  std::string trace;
  for (const auto& [key, cell] : disk.cells()) trace += key + "=" + cell.value + "\n";
  for (const auto& [label, count] : outside.deliveries) trace += label + " " + std::to_string(count) + "\n";
  report.trace_hash = sha256_hex(trace);
  return report;
}

}  // namespace

std::string_view to_string(Plant plant) {
  switch (plant) {
    case Plant::None: return "none";
    case Plant::AckBeforeDurable: return "ack-before-durable";
    case Plant::FreshIdempotencyKeys: return "fresh-idempotency-keys";
    case Plant::RepeatAtMostOnce: return "repeat-at-most-once";
    case Plant::NoReservation: return "no-reservation";
    case Plant::EarlyTimers: return "early-timers";
    case Plant::NoFencing: return "no-fencing";
  }
  return "none";
}

WorldReport run_world(const WorldOptions& options) { return World(options).run(); }

}  // namespace mayfly::sim
