#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "base/hash.h"
#include "base/log.h"
#include "blob/memory_blob_store.h"
#include "queue/queue_service.h"
#include "testing/sim_clock.h"
#include "testing/sim_store.h"
#include "trigger/trigger_service.h"

/// Random events on every way to a target, a store that fails, servers that die at any moment, and a model that knows what must hold.
namespace mayfly::trigger {
namespace {

using engine::Execution;
using engine::ExecutionStatus;

constexpr int kSessions = 3, kPerSession = 6, kRetried = 8, kMessages = 10, kGroups = 3, kPerGroup = 6, kPublished = 6, kWaiters = 6;
constexpr int kAttempts = 3, kReceivesMax = 3, kEventsMax = 2'000'000;

enum class Plant { None, AckFirst, ForgetHeld, KeyOfTheLife, LooseDeadLetters, DoubleHeld };

/// A queue service with a bug between it and its consumers.
class PlantedQueues final : public queue::QueueService {
 public:
  PlantedQueues(std::unique_ptr<queue::QueueService> inner, Plant plant, Random& random)
      : inner_(std::move(inner)), plant_(plant), random_(random) {}
  Task<Result<void>> open() override { return inner_->open(); }
  Task<> stop() override { return inner_->stop(); }
  void crash() override { inner_->crash(); }
  Task<Result<queue::QueueInfo>> create(queue::QueueSpec spec) override { return inner_->create(std::move(spec)); }
  Task<Result<queue::QueueInfo>> put(queue::QueueSpec spec) override { return inner_->put(std::move(spec)); }
  Task<Result<void>> remove(std::string name) override { return inner_->remove(std::move(name)); }
  Result<queue::QueueInfo> info(const std::string& name) const override { return inner_->info(name); }
  std::vector<queue::QueueInfo> list(const std::string& prefix) const override { return inner_->list(prefix); }
  std::vector<std::string> sources_of(const std::string& name) const override { return inner_->sources_of(name); }
  Task<std::vector<Result<queue::Sent>>> send(std::string name, std::vector<queue::SendRequest> requests) override {
    if (plant_ == Plant::LooseDeadLetters && name == "dead")
      for (queue::SendRequest& request : requests) request.idempotency_key += std::to_string(random_.next());
    return inner_->send(std::move(name), std::move(requests));
  }
  Task<Result<std::vector<queue::Received>>> receive(queue::ReceiveRequest request) override {
    const std::string name = request.queue;
    auto out = co_await inner_->receive(std::move(request));
    if (plant_ == Plant::AckFirst && out)
      for (const queue::Received& message : *out) {
        std::vector<queue::Settlement> done;
        done.push_back({message.receipt_handle, queue::Settlement::Outcome::Done, {}, {}});
        (void)co_await inner_->settle(name, std::move(done));
      }
    co_return out;
  }
  Task<std::vector<Result<void>>> remove_messages(std::string name, std::vector<std::string> handles) override {
    return inner_->remove_messages(std::move(name), std::move(handles));
  }
  Task<std::vector<Result<void>>> change_visibility(std::string name, std::vector<queue::VisibilityChange> changes) override {
    return inner_->change_visibility(std::move(name), std::move(changes));
  }
  Task<std::vector<Result<void>>> settle(std::string name, std::vector<queue::Settlement> settlements) override {
    return inner_->settle(std::move(name), std::move(settlements));
  }
  Task<Result<std::vector<queue::Received>>> held(std::string name) override {
    auto out = co_await inner_->held(std::move(name));
    if (out && plant_ == Plant::ForgetHeld) out->clear();
    if (out && plant_ == Plant::KeyOfTheLife)
      for (queue::Received& message : *out) message.receive_count += static_cast<std::int64_t>(100 + random_.below(1'000'000));
    if (out && plant_ == Plant::DoubleHeld && !out->empty()) out->front().id += "x";
    co_return out;
  }
  Task<Result<std::vector<queue::Received>>> peek(std::string name, std::size_t most) override {
    return inner_->peek(std::move(name), most);
  }
  Task<Result<void>> purge(std::string name) override { return inner_->purge(std::move(name)); }
  Task<Result<queue::RedriveTask>> start_redrive(std::string source, std::string destination, std::int64_t per_second) override {
    return inner_->start_redrive(std::move(source), std::move(destination), per_second);
  }
  Task<Result<queue::RedriveTask>> cancel_redrive(std::string handle) override { return inner_->cancel_redrive(std::move(handle)); }
  std::vector<queue::RedriveTask> redrives(const std::string& source) const override { return inner_->redrives(source); }
  Result<queue::QueueDepth> depth(const std::string& name) const override { return inner_->depth(name); }
  queue::QueueCounters counters(const std::string& name) const override { return inner_->counters(name); }

 private:
  std::unique_ptr<queue::QueueService> inner_;
  Plant plant_;
  Random& random_;
};

/// How often runs of a label fail: the first so many of them. Kept outside of the servers.
struct Fates {
  std::map<std::string, int> failures;
  std::map<std::string, std::vector<std::string>> runs;
  bool fails(const std::string& label, const std::string& run) {
    auto& known = runs[label];
    auto at = std::ranges::find(known, run);
    if (at == known.end()) at = known.insert(known.end(), run);
    return at - known.begin() < failures[label];
  }
};

/// Takes a while, then does what fate says.
class Job final : public engine::Program {
 public:
  explicit Job(Fates* fates) : fates_(fates) {}
  engine::Decision begin(engine::ProgramContext context, const Json& input) const override {
    engine::Decision out;
    const std::string label = input.is_object() ? get_string(input.get_object(), "label") : std::string("?");
    context.run.state = JsonObject{{"label", label}};
    engine::OperationRequest request;
    request.name = "work";
    if (context.run.program == "waiter") {
      request.type = engine::OperationType::Callback;
      request.kind = "event";
    } else {
      request.type = engine::OperationType::Wait;
      request.due = context.now + Millis{1 + static_cast<std::int64_t>(stable_hash64(context.run.id) % 700)};
    }
    out.start.push_back(std::move(request));
    return out;
  }
  engine::Decision ended(engine::ProgramContext context, const engine::Operation& op) const override {
    engine::Decision out;
    const std::string label = get_string(context.run.state.get_object(), "label");
    if (context.run.program == "waiter") {
      JsonObject state = context.run.state.get_object();
      JsonArray had;
      if (const JsonArray* before = get_array(state, "had")) had = *before;
      had.emplace_back(op.result.is_object() ? get_string(op.result.get_object(), "id") : "nothing");
      state["had"] = had;
      context.run.state = state;
      if (had.size() == 2) {
        out.complete = engine::Completion{ExecutionStatus::Succeeded, std::move(had), {}};
        return out;
      }
      engine::OperationRequest request;
      request.name = "work";
      request.type = engine::OperationType::Callback;
      request.kind = "event";
      out.start.push_back(std::move(request));
    } else if (fates_->fails(label, context.run.id)) {
      out.complete = engine::Completion{ExecutionStatus::Failed, nullptr, Error{"job.failed", "it broke", Retry::Never}};
    } else {
      out.complete = engine::Completion{ExecutionStatus::Succeeded, Json(label), {}};
    }
    return out;
  }
  engine::Decision message(engine::ProgramContext, const engine::Operation&) const override { return {}; }
  bool may_repeat(engine::ProgramContext, const engine::PendingOperation&, const Error&) const override { return true; }
  engine::OnUnknownOutcome on_unknown(engine::ProgramContext, const engine::PendingOperation&) const override {
    return engine::OnUnknownOutcome::Retry;
  }

 private:
  Fates* fates_;
};

class NoHttp final : public net::HttpClient {
 public:
  Task<Result<net::ClientResponse>> send(net::ClientRequest) override { co_return fail("http.none", "there is no network"); }
};

class Targets final : public TargetHost {
 public:
  Result<void> check(const Target&) const override { return {}; }
  Result<engine::StartRequest> start(const Target& target, const Json& input, const std::string& session, Ask) const override {
    return engine::StartRequest{.program = target.name, .version = 1, .session_key = session, .input = input};
  }
  Task<Result<Json>> call(std::string, Json, CancelToken) override { co_return Json(JsonObject()); }
};

struct Life final : engine::ProgramHost, engine::StepExecutor {
  Life(asio::io_context& io, SimClock& world, SimDisk& disk, MemoryBlobStore& blobs, Fates* fates, Plant plant, std::uint64_t seed,
       SimStoreFaults faults)
      : clock(world),
        random(seed),
        store(disk, io.get_executor(), clock, random, faults),
        tasks(io.get_executor()),
        job(std::make_shared<Job>(fates)) {
    const Executor executor = io.get_executor();
    engine = engine::make_engine(
        {.executor = executor, .store = &store, .blobs = &blobs, .clock = &clock, .random = &random, .programs = this, .steps = this},
        {.partitions = 4});
    queue::QueueDependencies queue_deps{.executor = executor};
    queue_deps.store = &store;
    queue_deps.blobs = &blobs;
    queue_deps.clock = &clock;
    queue_deps.random = &random;
    queue_deps.partitions = 4;
    queue_deps.lease = [this](engine::keys::Partition p) { return engine->lease(p); };
    queues = std::make_unique<PlantedQueues>(queue::make_queue_service(std::move(queue_deps)), plant, random);
    TriggerDependencies deps{.executor = executor};
    deps.store = &store;
    deps.clock = &clock;
    deps.random = &random;
    deps.http = &http;
    deps.expressions = &expressions;
    deps.queues = queues.get();
    deps.targets = &targets;
    deps.environment = [](std::string_view) { return std::nullopt; };
    deps.seal = [](std::string_view plain) { return std::string(plain); };
    deps.open_sealed = [](std::string_view sealed) { return Result<std::string>(std::string(sealed)); };
    triggers = make_trigger_service(std::move(deps));
  }
  ~Life() override { tasks.abandon(); }
  std::shared_ptr<const engine::Program> find(const std::string& name, std::int64_t version) override {
    return name.starts_with(kDeliveryPrefix) ? triggers->programs().find(name, version) : job;
  }
  Result<engine::StartRequest> chained(const JsonObject& invoke) override {
    auto target = target_from_json(invoke.at("target"));
    if (!target) return std::unexpected(target.error());
    return targets.start(*target, invoke.at("input"), get_string(invoke, "session"), TargetHost::Ask::Call);
  }
  Task<engine::StepOutcome> execute(engine::StepCall call) override { return triggers->programs().execute(std::move(call)); }
  void die() {
    if (dead) return;
    dead = true;
    clock.die();
    if (!store.crashed()) store.crash();
    triggers->crash();
    queues->crash();
    engine->crash();
    tasks.abandon();
  }

  ProcessClock clock;
  SeededRandom random;
  SimStore store;
  NoHttp http;
  Targets targets;
  Expressions expressions;
  TaskGroup tasks;
  std::shared_ptr<const engine::Program> job;
  std::unique_ptr<engine::Engine> engine;
  std::unique_ptr<queue::QueueService> queues;
  std::unique_ptr<TriggerService> triggers;
  bool ready = false, broken = false, dead = false;
};

/// What the outside knows of one event.
struct Known {
  std::string run;  ///< or message id, once accepted
  bool accepted = false, poison = false;
};

class World {
 public:
  World(std::uint64_t seed, Plant plant) : random_(seed), plant_(plant) {
    const auto fate = [&](const std::string& label, int tries) {
      Known& event = events_[label];
      event.poison = random_.below(4) == 0;
      fates_.failures[label] = event.poison ? 1'000 : static_cast<int>(random_.below(static_cast<std::uint64_t>(tries)));
    };
    for (int i = 0; i < kRetried; ++i) fate("retry/" + std::to_string(i), kAttempts);
    for (int i = 0; i < kMessages; ++i) fate("jobs/" + std::to_string(i), kReceivesMax);
    for (int g = 0; g < kGroups; ++g)
      for (int i = 0; i < kPerGroup; ++i) fate("line/" + std::to_string(g) + "/" + std::to_string(i), kReceivesMax);
    for (int i = 0; i < kPublished; ++i) fates_.failures["pub-b/" + std::to_string(i)] = static_cast<int>(random_.below(kAttempts));
  }
  ~World() {
    for (auto& life : lives_) life->die();
    disk_.release_crashed();
  }
  std::vector<std::string> run();
  int crashes() const { return crashes_; }
  std::string trace() const {
    std::string all;
    for (const auto& [key, cell] : disk_.cells()) all += key + "=" + cell.value + "\n";
    return sha256_hex(all);
  }

 private:
  using Label = std::string;
  static SimStoreFaults faults() {
    return {.apply_delay_max = Millis{20},
            .answer_delay_max = Millis{20},
            .refused = 0.02,
            .full = 0.01,
            .unknown_applied = 0.02,
            .unknown_lost = 0.02,
            .read_failed = 0.01};
  }
  Life& live() { return *lives_.back(); }
  Millis some(std::int64_t max) { return Millis{1 + static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(max)))}; }
  void violate(std::string what) { violations_.push_back(std::move(what)); }
  static Event event(const std::string& label, const std::string& type, const std::string& subject = {}) {
    Event out;
    out.id = label;
    out.source = "/sim";
    out.type = type;
    out.subject = subject;
    out.data_content_type = "application/json";
    out.data = JsonObject{{"label", label}, {"who", subject}, {"number", std::atoi(label.substr(label.rfind('/') + 1).c_str())}};
    return out;
  }
  void boot() {
    if (!lives_.empty()) live().die();
    lives_.push_back(
        std::make_unique<Life>(io_, clock_, disk_, blobs_, &fates_, plant_, random_.next(), faulty_ ? faults() : SimStoreFaults{}));
    live().tasks.spawn(start(&live()));
  }
  Task<> start(Life* life);
  Task<Result<void>> configure(Life* life);
  Task<> dispatch_all(Life* life, std::string trigger, std::vector<Label> labels, std::string subject);
  Task<> send_all(Life* life, std::string queue, std::vector<Label> labels, std::string group);
  Task<> publish_all(Life* life, std::vector<Label> labels);
  Task<> tend_waiter(Life* life, int number);
  void accept(const Label& label, const std::string& id, bool duplicate);
  bool finished();
  Task<> inspect(Life* life);
  std::vector<Execution> executions() const;
  void check_end();
  void check_tries(const Label& label, const std::string& dead, std::size_t most, const std::map<Label, std::vector<Execution>>& runs);
  void check_order(const std::vector<Label>& labels, const std::map<Label, std::vector<Execution>>& runs);
  void check_waiters(const std::map<Label, std::vector<Execution>>& runs);

  SeededRandom random_;
  Plant plant_;
  Fates fates_;
  bool faulty_ = true, inspected_ = false;
  int crashes_ = 0;
  asio::io_context io_;
  SimClock clock_;
  SimDisk disk_;
  MemoryBlobStore blobs_;
  std::vector<std::unique_ptr<Life>> lives_;
  std::map<Label, Known> events_;
  std::map<std::string, int> waiters_;  ///< how far each is
  std::map<std::string, std::vector<queue::Received>> lying_;
  std::vector<std::string> violations_;
};

std::vector<std::string> numbered(const std::string& prefix, int count) {
  std::vector<std::string> out;
  for (int i = 0; i < count; ++i) out.push_back(prefix + "/" + std::to_string(i));
  return out;
}

Task<Result<void>> World::configure(Life* life) {
  const auto queue = [](const std::string& name, const std::string& dead) {
    queue::QueueSpec out;
    out.name = name;
    out.kind = name.ends_with(".fifo") ? queue::QueueKind::Fifo : queue::QueueKind::Standard;
    out.dead_letter_queue = dead;
    out.receives_max = dead.empty() ? 0 : kReceivesMax;
    return out;
  };
  for (const auto& [name, dead] : {std::pair{"dead", ""},
                                   {"jobs-dead", ""},
                                   {"line-dead.fifo", ""},
                                   {"out.fifo", ""},
                                   {"jobs", "jobs-dead"},
                                   {"line.fifo", "line-dead.fifo"},
                                   {"relay.fifo", ""}})
    if (auto put = co_await life->queues->put(queue(name, dead)); !put) co_return std::unexpected(put.error());
  const std::pair<const char*, const char*> triggers[] = {
      {"direct", R"({"event": {"types": ["none"]}, "session": "data.who", "target": {"agent": "seq"}})"},
      {"retry",
       R"({"event": {"types": ["none"]}, "target": {"agent": "job"}, "retry": {"attempts": 3, "first_delay": "1s"}, "dead_letter_queue": "dead"})"},
      {"jobs", R"({"queue": {"name": "jobs"}, "target": {"agent": "job"}})"},
      {"line", R"({"queue": {"name": "line.fifo", "concurrency": 3}, "target": {"agent": "job"}})"},
      {"relay", R"({"queue": {"name": "relay.fifo", "batch": 4}, "target": {"queue": "out.fifo", "group": "subject"}})"},
      {"pub-a", R"({"event": {"types": ["sim.pub"]}, "input": "{\"label\": \"pub-a/\" & data.number}", "target": {"agent": "job"}})"},
      {"pub-b", R"({"event": {"types": ["sim.*"]}, "filter": "type = 'sim.pub'", "input": "{\"label\": \"pub-b/\" & data.number}",
                    "target": {"agent": "job"}, "retry": {"attempts": 3, "first_delay": "1s"}})"},
      {"pub-c", R"({"event": {"types": ["sim.pub"]}, "filter": "data.number < 2", "input": "{\"label\": \"pub-c/\" & data.number}",
                    "target": {"agent": "job"}})"}};
  for (const auto& [name, text] : triggers) {
    auto spec = trigger_spec_from_json(name, *parse_json(text));
    if (!spec) {
      violate(spec.error().message);
      co_return std::unexpected(spec.error());
    }
    if (auto put = co_await life->triggers->put(*spec); !put) co_return std::unexpected(put.error());
  }
  co_return Result<void>{};
}

Task<> World::start(Life* life) {
  bool ok = static_cast<bool>(co_await life->engine->take_leases());
  ok = ok && co_await life->queues->open();
  ok = ok && co_await life->triggers->open(*life->engine);
  ok = ok && co_await life->engine->open();
  if (!ok) {
    life->broken = true;
    co_return;
  }
  while (!co_await configure(life)) co_await sleep_for(life->clock, Millis{100});
  for (int i = 0; i < kSessions; ++i) {
    const std::string who = std::to_string(i);
    life->tasks.spawn(dispatch_all(life, "direct", numbered("direct/" + who, kPerSession), who));
  }
  life->tasks.spawn(dispatch_all(life, "retry", numbered("retry", kRetried), {}));
  life->tasks.spawn(send_all(life, "jobs", numbered("jobs", kMessages), {}));
  for (int g = 0; g < kGroups; ++g) {
    life->tasks.spawn(send_all(life, "line.fifo", numbered("line/" + std::to_string(g), kPerGroup), std::to_string(g)));
    life->tasks.spawn(send_all(life, "relay.fifo", numbered("relay/" + std::to_string(g), kPerGroup), std::to_string(g)));
  }
  life->tasks.spawn(publish_all(life, numbered("pub", kPublished)));
  for (int i = 0; i < kWaiters; ++i) life->tasks.spawn(tend_waiter(life, i));
  life->ready = true;
}

void World::accept(const Label& label, const std::string& id, bool duplicate) {
  Known& known = events_[label];
  if (known.accepted && (!duplicate || id != known.run)) violate("not absorbed: " + label);
  known.accepted = true;
  known.run = id;
}

Task<> World::dispatch_all(Life* life, std::string trigger, std::vector<Label> labels, std::string subject) {
  for (std::size_t i = 0; i < labels.size();) {
    const bool again = events_[labels[i]].accepted;
    if (again && random_.below(3) != 0) {
      ++i;
      continue;
    }
    auto taken = co_await life->triggers->dispatch(trigger, event(labels[i], "sim." + trigger, subject), {}, {});
    if (taken) accept(labels[i], taken->run, taken->duplicate);
    if (taken && again) ++i;
    co_await sleep_for(life->clock, some(2'000));
  }
}

Task<> World::send_all(Life* life, std::string queue, std::vector<Label> labels, std::string group) {
  for (std::size_t i = 0; i < labels.size();) {
    if (events_[labels[i]].accepted) {
      ++i;
      continue;
    }
    queue::SendRequest request{.body = to_text(JsonObject{{"label", labels[i]}}), .group = group};
    request.idempotency_key = labels[i];
    if (queue.ends_with(".fifo")) request.deduplication_id = labels[i];
    std::vector<queue::SendRequest> requests;
    requests.push_back(std::move(request));
    auto sent = co_await life->queues->send(queue, std::move(requests));
    if (!sent.empty() && sent[0]) accept(labels[i], sent[0]->id, sent[0]->duplicate);
    co_await sleep_for(life->clock, some(queue == "relay.fifo" ? 200 : 2'000));
  }
}

Task<> World::publish_all(Life* life, std::vector<Label> labels) {
  for (std::size_t i = 0; i < labels.size();) {
    const bool again = events_[labels[i]].accepted;
    if (again && random_.below(3) != 0) {
      ++i;
      continue;
    }
    auto taken = co_await life->triggers->publish(event(labels[i], "sim.pub"), {});
    if (taken) accept(labels[i], taken->front().run, taken->front().duplicate);
    if (taken && again) ++i;
    co_await sleep_for(life->clock, some(4'000));
  }
}

/// A run that waits twice for events of one key: two events, told before and after the waits, in a random order.
Task<> World::tend_waiter(Life* life, int number) {
  const std::string name = "waiter/" + std::to_string(number);
  std::string run;
  while (run.empty()) {
    auto begun = co_await life->engine->start(
        {.program = "waiter", .version = 1, .input = JsonObject{{"label", name}}, .idempotency_key = name, .input_identity = "w"});
    if (begun) run = begun->run;
    co_await sleep_for(life->clock, some(1'000));
  }
  int& done = waiters_[name];  // bits: wait 1, event 1, event 2; then wait 2
  while (done != 15) {
    co_await sleep_for(life->clock, some(3'000));
    const std::uint64_t what = random_.below(4);
    if (what == 0 || what == 3) {
      if (what == 3) {
        const auto now = co_await life->engine->get(run);
        if (!now || now->next_operation < 3) continue;
      }
      if (co_await life->triggers->add_wait({run, what == 0 ? 1 : 2, "sim.wait", name, {}})) done |= what == 0 ? 1 : 8;
    } else {
      const std::string label = name + "/" + std::to_string(what);
      auto told = co_await life->triggers->publish(event(label, "sim.wait", name), {});
      if (told) {
        accept(label, told->front().run, told->front().duplicate);
        done |= 1 << what;
      }
    }
  }
}

std::vector<Execution> World::executions() const {
  std::vector<Execution> out;
  for (const auto& [key, cell] : disk_.cells())
    if (key.size() > 7 && key.substr(4, 3) == "/x/") out.push_back(*engine::execution_from_json(*engine::parse_record(cell.value)));
  return out;
}

bool World::finished() {
  for (const auto& [label, known] : events_)
    if (!known.accepted) return false;
  for (int i = 0; i < kWaiters; ++i)
    if (waiters_["waiter/" + std::to_string(i)] != 15) return false;
  for (const char* name : {"jobs", "line.fifo", "relay.fifo"}) {
    const auto depth = live().queues->depth(name);
    if (!depth || depth->visible + depth->in_flight + depth->delayed > 0) return false;
  }
  for (const Execution& run : executions())
    if (run.open()) return false;
  for (const auto& [key, cell] : disk_.cells())
    if (key.size() > 7 && key.substr(4, 3) == "/W/") return false;
  return true;
}

Task<> World::inspect(Life* life) {
  for (const char* name : {"dead", "jobs-dead", "line-dead.fifo", "out.fifo"}) {
    auto rows = co_await life->queues->peek(name, 1'000);
    while (!rows) rows = co_await life->queues->peek(name, 1'000);
    lying_[name] = *std::move(rows);
  }
  inspected_ = true;
}

/// Of an event that may be tried `most` times, and lies in `dead` if none succeeded.
void World::check_tries(const Label& label, const std::string& dead, std::size_t most,
                        const std::map<Label, std::vector<Execution>>& runs) {
  const auto found = runs.find(label);
  const std::size_t tries = found == runs.end() ? 0 : found->second.size();
  std::size_t succeeded = 0;
  if (found != runs.end())
    for (const Execution& run : found->second) succeeded += run.status == ExecutionStatus::Succeeded;
  std::size_t corpses = 0;
  for (const queue::Received& message : lying_[dead]) {
    const Json body = *parse_json(message.body);
    const JsonObject* data = get_object(body.get_object(), "data");
    if (get_string(data ? *data : body.get_object(), "label") != label) continue;
    ++corpses;
    const auto reason = message.attributes.find("reason");
    const std::string why = reason != message.attributes.end() ? reason->second.value : message.dead_letter_reason;
    if (!why.contains("job.failed: it broke")) violate("dead because '" + why + "': " + label);
  }
  const std::string counts =
      label + ": " + std::to_string(tries) + " tries, " + std::to_string(succeeded) + " successes, " + std::to_string(corpses) + " corpses";
  if (events_[label].poison) {
    if (tries != most || succeeded != 0 || corpses != (dead.empty() ? 0u : 1u)) violate("poison " + counts);
  } else if (succeeded != 1 || corpses != 0 || tries > most) {
    violate(counts);
  }
}

/// Each began only when the one before had ended for good.
void World::check_order(const std::vector<Label>& labels, const std::map<Label, std::vector<Execution>>& runs) {
  std::optional<TimePoint> last;
  for (const Label& label : labels) {
    const auto found = runs.find(label);
    if (found == runs.end()) continue;
    TimePoint end{};
    for (const Execution& run : found->second) {
      const TimePoint at = run.keyed ? *run.ended : run.created;
      if (last && at < *last) violate("overtook the one before: " + label);
      end = std::max(end, *run.ended);
    }
    last = end;
  }
}

void World::check_waiters(const std::map<Label, std::vector<Execution>>& runs) {
  for (const Label& name : numbered("waiter", kWaiters)) {
    const auto found = runs.find(name);
    if (found == runs.end() || found->second.size() != 1) {
      violate("waiters: " + name);
      continue;
    }
    std::multiset<std::string> had;
    if (const Json& result = found->second.front().result; result.is_array())
      for (const Json& id : result.get_array()) had.insert(std::string(id.get_string()));
    if (had != std::multiset<std::string>{name + "/1", name + "/2"}) violate(name + " had " + to_text(found->second.front().result));
  }
}

void World::check_end() {
  std::map<Label, std::vector<Execution>> runs;
  for (Execution& run : executions())
    if (!run.program.starts_with(kDeliveryPrefix)) runs[get_string(run.state.get_object(), "label")].push_back(std::move(run));
  for (int i = 0; i < kSessions; ++i) {
    const auto labels = numbered("direct/" + std::to_string(i), kPerSession);
    for (const Label& label : labels) check_tries(label, "", 1, runs);
    check_order(labels, runs);
  }
  for (const Label& label : numbered("retry", kRetried)) check_tries(label, "dead", kAttempts, runs);
  for (const Label& label : numbered("jobs", kMessages)) check_tries(label, "jobs-dead", kReceivesMax, runs);
  for (int g = 0; g < kGroups; ++g) {
    const auto labels = numbered("line/" + std::to_string(g), kPerGroup);
    for (const Label& label : labels) check_tries(label, "line-dead.fifo", kReceivesMax, runs);
    check_order(labels, runs);
    std::vector<Label> relayed;
    for (const queue::Received& message : lying_["out.fifo"])
      if (message.group == std::to_string(g)) relayed.push_back(get_string(parse_json(message.body)->get_object(), "label"));
    if (relayed != numbered("relay/" + std::to_string(g), kPerGroup)) {
      std::string all;
      for (const Label& label : relayed) all += " " + label;
      violate("relayed:" + all);
    }
  }
  for (int i = 0; i < kPublished; ++i)
    for (const char* trigger : {"pub-a", "pub-b", "pub-c"}) {
      const Label label = std::string(trigger) + "/" + std::to_string(i);
      if (std::string(trigger) == "pub-c" && i >= 2) {
        if (runs.contains(label)) violate("filtered, yet it ran: " + label);
      } else {
        check_tries(label, "", std::string(trigger) == "pub-b" ? kAttempts : 1, runs);
      }
    }
  check_waiters(runs);
  for (const auto& [label, list] : runs)
    if (label == "?" || label.empty()) violate("a run of nothing known");
}

std::vector<std::string> World::run() {
  const auto guard = asio::make_work_guard(io_);
  boot();
  const TimePoint healed_at = clock_.now() + Millis{40'000}, give_up = clock_.now() + Millis{2 * 3'600'000};
  bool inspecting = false;
  for (int event = 0; !inspected_ && violations_.empty(); ++event) {
    if (event > kEventsMax || clock_.now() > give_up) {
      std::string left;
      for (const auto& [label, known] : events_)
        if (!known.accepted) left += " " + label;
      for (const auto& [name, done] : waiters_)
        if (done != 15) left += " " + name + "=" + std::to_string(done);
      for (const Execution& run : executions())
        if (run.open()) left += " " + run.program + ":" + to_text(run.state);
      for (const char* name : {"jobs", "line.fifo", "relay.fifo"})
        if (const auto depth = live().queues->depth(name))
          left += " " + std::string(name) + "=" + std::to_string(depth->visible + depth->in_flight + depth->delayed);
      violate("not finished:" + left);
      break;
    }
    if (faulty_ && clock_.now() >= healed_at) {
      faulty_ = false;
      live().store.set_faults({});
    }
    if (live().broken) {
      boot();
    } else if (faulty_ && live().ready && crashes_ < 6 && random_.below(1'000) == 0) {
      ++crashes_;
      boot();
    }
    if (event % 100 == 0 && live().ready && !faulty_ && !inspecting && finished()) {
      inspecting = true;
      live().tasks.spawn(inspect(&live()));
    }
    if (io_.poll_one() == 0 && !clock_.advance()) {
      violate("nothing happens any more");
      break;
    }
  }
  if (violations_.empty()) check_end();
  return violations_;
}

int seeds() {
  const char* text = std::getenv("MAYFLY_SIM_SEEDS");
  return text ? std::max(1, std::atoi(text)) : 25;
}

TEST(TriggerSimulation, EveryEventIsPerformedOnceOrLiesWithTheDead) {
  log::init(log::Level::Off, log::Format::Text);
  int crashes = 0;
  for (int seed = 1; seed <= seeds(); ++seed) {
    World world(static_cast<std::uint64_t>(seed), Plant::None);
    for (const std::string& violation : world.run()) ADD_FAILURE() << "seed " << seed << ": " << violation;
    crashes += world.crashes();
    if (seed % 20 != 0) continue;
    World again(static_cast<std::uint64_t>(seed), Plant::None);
    (void)again.run();
    EXPECT_EQ(again.trace(), world.trace()) << "seed " << seed << " is not deterministic";
  }
  EXPECT_GT(crashes, seeds() / 2);
}

class PlantedTrigger : public ::testing::TestWithParam<Plant> {};
TEST_P(PlantedTrigger, TheCheckerSeesTheBug) {
  log::init(log::Level::Off, log::Format::Text);
  std::vector<std::string> violations;
  for (std::uint64_t seed = 1; seed <= 60 && violations.empty(); ++seed) violations = World(seed, GetParam()).run();
  ASSERT_FALSE(violations.empty());
  RecordProperty("violation", violations.front());
}
INSTANTIATE_TEST_SUITE_P(Bugs, PlantedTrigger,
                         ::testing::Values(Plant::AckFirst, Plant::ForgetHeld, Plant::KeyOfTheLife, Plant::LooseDeadLetters,
                                           Plant::DoubleHeld));

}  // namespace
}  // namespace mayfly::trigger
