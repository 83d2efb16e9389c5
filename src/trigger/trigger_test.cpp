#include <gtest/gtest.h>

#include "blob/memory_blob_store.h"
#include "net/http_client.h"
#include "testing/sim_clock.h"
#include "testing/sim_store.h"
#include "trigger/trigger_service.h"

namespace mayfly::trigger {
namespace {

/// A target's run: fails as often as it is told to, then succeeds.
class Job final : public engine::Program {
 public:
  explicit Job(int* failures) : failures_(failures) {}
  engine::Decision begin(engine::ProgramContext, const Json& input) const override {
    engine::Decision out;
    if (input.is_object() && get_bool(input.get_object(), "wait")) {
      engine::OperationRequest request;
      request.type = engine::OperationType::Callback;
      request.kind = get_string(input.get_object(), "kind", "event");
      request.name = "answer";
      out.start.push_back(std::move(request));
    } else if (*failures_ > 0) {
      --*failures_;
      out.complete = engine::Completion{engine::ExecutionStatus::Failed, nullptr, Error{"job.failed", "it broke", Retry::Never}};
    } else {
      out.complete = engine::Completion{engine::ExecutionStatus::Succeeded, input, {}};
    }
    return out;
  }
  engine::Decision ended(engine::ProgramContext, const engine::Operation& op) const override {
    engine::Decision out;
    out.complete = engine::Completion{engine::ExecutionStatus::Succeeded, op.result, {}};
    return out;
  }
  engine::Decision message(engine::ProgramContext, const engine::Operation&) const override { return {}; }
  bool may_repeat(engine::ProgramContext, const engine::PendingOperation&, const Error&) const override { return true; }
  engine::OnUnknownOutcome on_unknown(engine::ProgramContext, const engine::PendingOperation&) const override {
    return engine::OnUnknownOutcome::Retry;
  }

 private:
  int* failures_;
};

class Http final : public net::HttpClient {
 public:
  explicit Http(int* status) : status_(status) {}
  Task<Result<net::ClientResponse>> send(net::ClientRequest request) override {
    requests.push_back(request);
    net::ClientResponse out;
    out.status = *status_;
    co_return out;
  }
  std::vector<net::ClientRequest> requests;

 private:
  int* status_;
};

class Targets final : public TargetHost {
 public:
  Result<void> check(const Target&) const override { return {}; }
  Result<engine::StartRequest> start(const Target& target, const Json& input, const std::string& session, Ask) const override {
    return engine::StartRequest{.program = target.name, .version = 1, .session_key = session, .input = input};
  }
  Task<Result<Json>> call(std::string, Json, CancelToken) override { co_return Json(JsonObject()); }
};

/// One server's life on a disk that outlives it.
struct Server final : engine::ProgramHost, engine::StepExecutor {
  Server(asio::io_context& io, SimClock& world, SimDisk& disk, MemoryBlobStore& blobs, int* failures, int* status, std::uint64_t seed)
      : clock(world), random(seed), store(disk, io.get_executor(), clock, random), http(status), tasks(io.get_executor()),
        job(std::make_shared<Job>(failures)) {
    engine = engine::make_engine({.executor = io.get_executor(), .store = &store, .blobs = &blobs, .clock = &clock, .random = &random, .programs = this, .steps = this},
                                 {.partitions = 4});
    tasks.spawn(open(io.get_executor(), &blobs));
  }
  ~Server() override { tasks.abandon(); }
  Task<> open(Executor executor, MemoryBlobStore* blobs) {
    EXPECT_TRUE(co_await engine->take_leases());
    queue::QueueDependencies queue_deps{.executor = executor};
    queue_deps.store = &store;
    queue_deps.blobs = blobs;
    queue_deps.clock = &clock;
    queue_deps.random = &random;
    queue_deps.partitions = engine->partitions();
    queue_deps.lease = [this](engine::keys::Partition p) { return engine->lease(p); };
    queues = queue::make_queue_service(std::move(queue_deps));
    EXPECT_TRUE(co_await queues->open());
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
    EXPECT_TRUE(co_await triggers->open(*engine));
    EXPECT_TRUE(co_await engine->open());
    ready = true;
  }
  std::shared_ptr<const engine::Program> find(const std::string& name, std::int64_t version) override {
    if (name.starts_with(kDeliveryPrefix)) return triggers->programs().find(name, version);
    return job;
  }
  Result<engine::StartRequest> chained(const JsonObject& invoke) override {
    auto target = target_from_json(invoke.at("target"));
    if (!target) return std::unexpected(target.error());
    return targets.start(*target, invoke.at("input"), get_string(invoke, "session"), TargetHost::Ask::Call);
  }
  Task<engine::StepOutcome> execute(engine::StepCall call) override { return triggers->programs().execute(std::move(call)); }
  void die() {
    clock.die();
    store.crash();
    if (triggers) triggers->crash();
    if (queues) queues->crash();
    engine->crash();
    tasks.abandon();
  }

  ProcessClock clock;
  SeededRandom random;
  SimStore store;
  Http http;
  Targets targets;
  Expressions expressions;
  TaskGroup tasks;
  std::shared_ptr<const engine::Program> job;
  std::unique_ptr<engine::Engine> engine;
  std::unique_ptr<queue::QueueService> queues;
  std::unique_ptr<TriggerService> triggers;
  bool ready = false;
};

class TriggerTest : public ::testing::Test {
 protected:
  TriggerTest() { boot(); }
  ~TriggerTest() override {
    for (auto& server : servers_) server->die();
    disk_.release_crashed();
  }
  void boot() {
    if (!servers_.empty()) servers_.back()->die();
    servers_.push_back(std::make_unique<Server>(io_, clock_, disk_, blobs_, &failures_, &status_, ++seed_));
    ASSERT_TRUE(run_until([&] { return servers_.back()->ready; }));
  }
  bool run_until(const std::function<bool()>& done) {
    for (int i = 0; i < 200'000; ++i) {
      if (done()) return true;
      if (io_.poll_one() == 0 && !clock_.advance()) return done();
    }
    return done();
  }
  template <class T>
  T wait(Task<T> task) {
    auto out = std::make_shared<std::optional<T>>();
    pending_.push_back(out);
    server().tasks.spawn(keep(std::move(task), out.get()));
    EXPECT_TRUE(run_until([&] { return out->has_value(); }));
    return std::move(**out);
  }
  template <class T>
  static Task<> keep(Task<T> task, std::optional<T>* out) {
    out->emplace(co_await std::move(task));
  }
  Server& server() { return *servers_.back(); }
  TriggerService& triggers() { return *server().triggers; }
  void make_queue(const std::string& name) { ASSERT_TRUE(wait(server().queues->put({.name = name}))); }
  void put(const std::string& name, std::string_view text) {
    auto spec = trigger_spec_from_json(name, *parse_json(text));
    ASSERT_TRUE(spec) << spec.error().message;
    auto stored = wait(triggers().put(*spec));
    ASSERT_TRUE(stored) << stored.error().message;
  }
  static Event event(const std::string& id, Json data, const std::string& subject = "") {
    Event out;
    out.id = id;
    out.source = "/test";
    out.type = "test.made";
    out.subject = subject;
    out.data_content_type = "application/json";
    out.data = std::move(data);
    return out;
  }
  bool until_ended(const std::string& run) {
    for (int i = 0; i < 2'000; ++i) {
      auto got = wait(server().engine->get(run));
      if (got && !got->open()) return true;
      io_.poll();
      clock_.advance();
    }
    return false;
  }
  std::vector<queue::Received> peek(const std::string& name) { return *wait(server().queues->peek(name, 100)); }

  asio::io_context io_;
  asio::executor_work_guard<Executor> guard_ = asio::make_work_guard(io_);
  SimClock clock_;
  SimDisk disk_;
  MemoryBlobStore blobs_;
  int failures_ = 0, status_ = 200;
  std::uint64_t seed_ = 0;
  std::vector<std::shared_ptr<void>> pending_;
  std::vector<std::unique_ptr<Server>> servers_;
};

TEST_F(TriggerTest, MapsFiltersAndAbsorbsDuplicates) {
  put("t", R"({"event": {"types": ["test.*"]}, "filter": "data.size > 3", "session": "data.who", "input": "{\"n\": data.size}", "target": {"agent": "a"}})");
  const auto small = wait(triggers().dispatch("t", event("1", JsonObject{{"size", 1}}), {}, {}));
  ASSERT_TRUE(small) << small.error().message;
  EXPECT_TRUE(small->filtered);
  const Event large = event("2", JsonObject{{"size", 9}, {"who", "ann"}});
  const auto first = wait(triggers().dispatch("t", large, {}, {}));
  ASSERT_TRUE(first) << first.error().message;
  boot();
  const auto second = wait(triggers().dispatch("t", large, {}, {}));
  ASSERT_TRUE(second);
  EXPECT_EQ(first->run, second->run);
  EXPECT_TRUE(second->duplicate);
  ASSERT_TRUE(until_ended(first->run));
  const auto run = *wait(server().engine->get(first->run));
  EXPECT_EQ(run.session, "a/ann");
  EXPECT_EQ(to_text(run.result), R"({"n":9})");
}

TEST_F(TriggerTest, FilesStartWhatTheirPathsSay) {
  put("t", R"({"file": {"workspace": "inbox", "paths": ["in/*.json"], "ignore": ["*.tmp.json"]}, "target": {"agent": "a"}})");
  put("other", R"({"file": {"workspace": "acme/inbox"}, "target": {"agent": "a"}})");
  const auto changed = [](const char* id, const char* type, const char* path) {
    Event out = event(id, JsonObject{{"workspace", "ws_1"}, {"workspace_name", "inbox"}, {"organisation", "default"}, {"path", path}});
    out.type = std::string("dev.mayfly.workspace.") + type;
    return out;
  };
  const auto started = [&](Event given) {
    const auto before = triggers().counters("t").received;
    const auto accepted = wait(triggers().publish(std::move(given), {}));
    EXPECT_TRUE(accepted && !accepted->empty() && until_ended(accepted->front().run));
    EXPECT_EQ(triggers().counters("other").received, 0u);
    return triggers().counters("t").received - before;
  };
  EXPECT_EQ(started(changed("1", "file.created", "/in/a.json")), 1u);
  EXPECT_EQ(started(changed("2", "file.created", "/out/a.json")), 0u);
  EXPECT_EQ(started(changed("3", "file.created", "/in/a.tmp.json")), 0u);
  EXPECT_EQ(started(changed("4", "lock.acquired", "/in/a.json")), 0u);
  EXPECT_EQ(started(changed("5", "file.deleted", "/in/a.json")), 0u);
}

TEST_F(TriggerTest, FailsExactlyAsOftenAsItMayThenDies) {
  make_queue("dead");
  put("t", R"({"event": {}, "target": {"agent": "a"}, "retry": {"attempts": 3, "first_delay": "1s"}, "dead_letter_queue": "dead"})");
  failures_ = 100;
  const auto taken = wait(triggers().dispatch("t", event("1", "poison"), {}, {}));
  ASSERT_TRUE(taken) << taken.error().message;
  EXPECT_TRUE(taken->delivery);
  boot();
  ASSERT_TRUE(until_ended(taken->run));
  EXPECT_EQ(failures_, 97);
  const auto dead = peek("dead");
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_EQ(dead[0].attributes.at("reason").value, "job.failed: it broke");
  EXPECT_EQ(dead[0].attributes.at("attempts").value, "3");
  const auto record = wait(triggers().delivery(taken->run));
  ASSERT_TRUE(record);
  EXPECT_EQ(record->state, DeliveryRecord::State::Dead);
  EXPECT_EQ(record->attempts.size(), 3u);
  EXPECT_EQ(record->event.id, "1");
}

TEST_F(TriggerTest, AnEventBeforeItsWaitAndOneAfterItResolveEachOnce) {
  const auto start = [&] { return wait(server().engine->start({.program = "a", .version = 1, .input = JsonObject{{"wait", true}}}))->run; };
  const std::string early = start(), late = start();
  ASSERT_TRUE(wait(triggers().publish(event("1", "go", "order-7"), {})));
  ASSERT_TRUE(wait(triggers().add_wait({early, 1, "test.made", "order-7", {}})));
  ASSERT_TRUE(until_ended(early));
  ASSERT_TRUE(wait(triggers().add_wait({late, 1, "test.made", "order-8", {}})));
  boot();
  ASSERT_TRUE(wait(triggers().publish(event("2", "go", "order-8"), {})));
  ASSERT_TRUE(until_ended(late));
  EXPECT_EQ(get_string(wait(server().engine->get(late))->result.as_object(), "id"), "2");
}

TEST_F(TriggerTest, GoneDisablesAnEndpoint) {
  ASSERT_TRUE(wait(triggers().put_endpoint(*endpoint_from_json("hook", JsonObject{{"url", "https://example.com/h"}}))));
  status_ = 410;
  const auto taken = wait(triggers().deliver({.event = event("1", 1), .target = {Target::Kind::Webhook, "hook", {}}, .idempotency_key = "k"}));
  ASSERT_TRUE(taken) << taken.error().message;
  ASSERT_TRUE(until_ended(taken->run));
  EXPECT_EQ(server().http.requests.size(), 1u);
  EXPECT_FALSE(triggers().endpoints().at(0).enabled);
  EXPECT_TRUE(triggers().endpoints().at(0).disabled_reason.starts_with("410 Gone"));
  EXPECT_EQ(server().http.requests[0].headers.get("webhook-id"), taken->run);
}

TEST_F(TriggerTest, ATriggerSendsToAnEndpointAsHardAsTheEndpointSays) {
  ASSERT_TRUE(wait(triggers().put_endpoint(
      *endpoint_from_json("hook", JsonObject{{"url", "https://example.com/h"}, {"retry", JsonObject{{"attempts", 3}, {"first_delay", "1s"}}}}))));
  put("t", R"({"event": {"types": "test.made"}, "target": {"webhook": "hook"}})");
  status_ = 500;
  const auto taken = wait(triggers().dispatch("t", event("1", 1), {}, {}));
  ASSERT_TRUE(taken) << taken.error().message;
  ASSERT_TRUE(until_ended(taken->run));
  EXPECT_EQ(server().http.requests.size(), 3u);
}

TEST_F(TriggerTest, AQueueStartsRunsAndFailedMessagesComeAgain) {
  make_queue("jobs");
  put("t", R"({"queue": {"name": "jobs"}, "target": {"agent": "a"}})");
  failures_ = 1;
  std::vector<queue::SendRequest> requests;
  requests.push_back({.body = R"({"n": 1})"});
  ASSERT_TRUE(wait(server().queues->send("jobs", std::move(requests))).at(0));
  ASSERT_TRUE(run_until([&] { return triggers().counters("t").delivered == 1; }));
  EXPECT_EQ(triggers().counters("t").failed, 1u);
  EXPECT_TRUE(peek("jobs").empty());
}

TEST_F(TriggerTest, AnEventStandsInForNoPerson) {
  const auto run = wait(server().engine->start({.program = "a", .version = 1, .input = JsonObject{{"wait", true}, {"kind", "approval"}}}))->run;
  const auto other = wait(server().engine->start({.program = "a", .version = 1, .input = JsonObject{{"wait", true}}}))->run;
  ASSERT_TRUE(wait(triggers().add_wait({run, 1, "test.made", "k", {}})));
  ASSERT_TRUE(wait(triggers().add_wait({other, 1, "test.made", "k", {}})));
  ASSERT_TRUE(wait(triggers().publish(event("1", "go", "k"), {})));
  ASSERT_TRUE(until_ended(other));
  EXPECT_TRUE(wait(server().engine->get(run))->open());
}

TEST_F(TriggerTest, AStaleWaitDoesNotTakeTheEventFromTheLiveOne) {
  const auto run = wait(server().engine->start({.program = "a", .version = 1, .input = JsonObject{{"wait", true}}}))->run;
  ASSERT_TRUE(wait(triggers().publish(event("1", "go", "k"), {})));
  ASSERT_TRUE(wait(triggers().add_wait({run, 0, "test.made", "k", {}})));
  ASSERT_TRUE(wait(triggers().add_wait({run, 1, "test.made", "k", {}})));
  EXPECT_TRUE(until_ended(run));
}

TEST_F(TriggerTest, AQueueHasOneReader) {
  make_queue("jobs");
  put("t", R"({"queue": {"name": "jobs"}, "target": {"agent": "a"}})");
  const auto second = wait(triggers().put(*trigger_spec_from_json("u", *parse_json(R"({"queue": {"name": "jobs"}, "target": {"agent": "a"}})"))));
  ASSERT_FALSE(second);
  EXPECT_TRUE(second.error().message.contains("the trigger 't' reads this queue already")) << second.error().message;
}

TEST_F(TriggerTest, AnySessionIsAGroupOfAQueue) {
  make_queue("jobs");
  ASSERT_TRUE(wait(server().queues->put({.name = "line.fifo", .kind = queue::QueueKind::Fifo})));
  for (const std::string name : {"jobs", "line.fifo"}) {
    const auto sent = wait(triggers().deliver(
        {.event = event("1", 1), .target = {Target::Kind::Queue, name, {}}, .session = "Zoë Smith", .idempotency_key = "k"}));
    ASSERT_TRUE(sent) << sent.error().message;
    const auto there = peek(name);
    ASSERT_EQ(there.size(), 1u);
    EXPECT_EQ(there[0].group.empty(), name == "jobs");
  }
}

}  // namespace
}  // namespace mayfly::trigger
