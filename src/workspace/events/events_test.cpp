#include "workspace/events/events.h"

#include <algorithm>

#include "trigger/webhook.h"
#include "workspace/bytes/services_test_support.h"

namespace mayfly::workspace {
namespace {

constexpr Millis kHour{3'600'000};

/// Whoever receives webhooks.
struct Receiver final : net::HttpClient {
  struct Got {
    std::string url;
    net::Headers headers;
    JsonObject event;
    std::string body;
    TimePoint at{};
  };
  explicit Receiver(SimClock& the_clock) : clock(the_clock) {}
  Task<Result<net::ClientResponse>> send(net::ClientRequest request) override {
    auto event = parse_json(request.body);
    got.push_back(
        {request.url, request.headers, event && event->is_object() ? event->get_object() : JsonObject(), request.body, clock.now()});
    net::ClientResponse out;
    out.status = status.contains(request.url) ? status.at(request.url) : 200;
    co_return out;
  }
  std::vector<Got> to(const std::string& url) const {
    std::vector<Got> out;
    for (const Got& one : got)
      if (one.url == url) out.push_back(one);
    return out;
  }
  SimClock& clock;
  std::map<std::string, int> status;
  std::vector<Got> got;
};

struct NoTargets final : trigger::TargetHost {
  Result<void> check(const trigger::Target&) const override { return {}; }
  Result<engine::StartRequest> start(const trigger::Target&, const Json&, const std::string&, Ask) const override {
    return fail("target.invalid", "there are no targets here");
  }
  Task<Result<Json>> call(std::string, Json, CancelToken) override { co_return Json(nullptr); }
};

/// Engine, queues and triggers beside the workspaces of one life.
struct Backing final : engine::ProgramHost, engine::StepExecutor {
  std::shared_ptr<const engine::Program> find(const std::string& name, std::int64_t version) override {
    return triggers ? triggers->programs().find(name, version) : nullptr;
  }
  Task<engine::StepOutcome> execute(engine::StepCall call) override { return triggers->programs().execute(std::move(call)); }
  NoTargets targets;
  Expressions expressions;
  std::unique_ptr<engine::Engine> engine;
  std::unique_ptr<queue::QueueService> queues;
  std::unique_ptr<trigger::TriggerService> triggers;
};

class EventsTest : public ServiceTest {
 protected:
  ~EventsTest() override {
    for (auto& one : lives) one->die();
    disk.release_crashed();
    for (auto& one : lives) one->events.reset();
  }
  void furnish(ServiceLife& life) override {
    backings.push_back(std::make_unique<Backing>());
    Backing& back = *backings.back();
    back.engine = engine::make_engine({.executor = io.get_executor(),
                                       .store = &life.store,
                                       .blobs = &blobs,
                                       .clock = &life.clock,
                                       .random = &life.random,
                                       .programs = &back,
                                       .steps = &back},
                                      {.partitions = 4});
    ASSERT_TRUE(run(back.engine->take_leases()));
    queue::QueueDependencies queues{.executor = io.get_executor()};
    queues.store = &life.store;
    queues.blobs = &blobs;
    queues.clock = &life.clock;
    queues.random = &life.random;
    queues.partitions = 4;
    queues.lease = [engine = back.engine.get()](keys::Partition p) { return engine->lease(p); };
    back.queues = queue::make_queue_service(std::move(queues));
    ASSERT_TRUE(run(back.queues->open()));
    trigger::TriggerDependencies deps{.executor = io.get_executor()};
    deps.store = &life.store;
    deps.clock = &life.clock;
    deps.random = &life.random;
    deps.http = &receiver;
    deps.expressions = &back.expressions;
    deps.queues = back.queues.get();
    deps.targets = &back.targets;
    deps.environment = [](std::string_view) { return std::nullopt; };
    deps.seal = [](std::string_view plain) { return "sealed:" + to_base64(plain); };
    deps.open_sealed = [](std::string_view sealed) { return Result<std::string>(*from_base64(sealed.substr(7))); };
    back.triggers = trigger::make_trigger_service(std::move(deps));
    ASSERT_TRUE(run(back.triggers->open(*back.engine)));
    ASSERT_TRUE(run(back.engine->open()));
    life.events = make_events({.spaces = life.spaces.get(), .files = life.files.get(), .triggers = back.triggers.get()});
    life.crashes.push_back([&life, &back] {
      life.events->crash();
      back.triggers->crash();
      back.queues->crash();
      back.engine->crash();
    });
    ASSERT_TRUE(run(life.events->open()));
  }
  void SetUp() override {
    ServiceTest::SetUp();
    ws = make_workspace(owner);
    settle();
  }
  Events& events() { return *life().events; }
  trigger::TriggerService& triggers() { return *backings.back()->triggers; }
  Outcome<EventPage> list(EventFilter filter = {}, std::uint64_t cursor = 0, std::size_t limit = 100, Millis wait = {}) {
    return run(events().list(owner, ws, filter, cursor, limit, wait, {}));
  }
  Events::NewWebhook hook(const std::string& url, EventFilter filter = {}) {
    auto made = run(events().create_webhook(owner, ws, url, filter));
    EXPECT_TRUE(made) << made.error().message;
    return made ? *made : Events::NewWebhook{};
  }
  std::vector<std::string> types(const std::string& url) {
    std::vector<std::string> out;
    for (const auto& one : receiver.to(url)) out.push_back(get_string(one.event, "type"));
    return out;
  }

  const Actor owner = actor("key:owner"), stranger = actor("key:stranger", "evil");
  Receiver receiver{clock};
  std::vector<std::unique_ptr<Backing>> backings;
  std::string ws;
};

TEST_F(EventsTest, AreListedFromACursorAndFiltered) {
  write(owner, ws, "/a.txt", "1");
  write(owner, ws, "/b.txt", "1");
  write(owner, ws, "/a.txt", "2");
  auto all = list();
  ASSERT_TRUE(all) << all.error().message;
  ASSERT_EQ(all->events.size(), 4u);
  EXPECT_EQ(all->events.front().type, "workspace.created");
  EXPECT_EQ(all->cursor, all->events.back().number);
  EventFilter filter;
  filter.types = {"file.*"};
  filter.glob = "/a*";
  auto filtered = list(filter);
  ASSERT_EQ(filtered->events.size(), 2u);
  EXPECT_EQ(filtered->events.back().type, "file.updated");
  EXPECT_EQ(filtered->events.back().sequence, 2u) << "of the node";
  auto first = list({}, 0, 2);
  EXPECT_TRUE(first->more);
  auto rest = list({}, first->cursor, 10);
  ASSERT_EQ(rest->events.size(), 2u);
  EXPECT_EQ(rest->events.front().number, first->events.back().number + 1) << "nothing between two pages";
  EXPECT_EQ(*run(events().newest(owner, ws)), all->cursor);
  EXPECT_EQ(code_of(run(events().list(stranger, ws, {}, 0, 10, {}, {}))), "ws.not_found");
}

TEST_F(EventsTest, WaitingEndsWithTheEventOrTheTime) {
  const std::uint64_t cursor = *run(events().newest(owner, ws));
  std::optional<Outcome<EventPage>> page;
  EventFilter updates;
  updates.types = {"file.updated"};
  life().tasks.spawn(keep_result(events().list(owner, ws, updates, cursor, 10, Millis{20'000}, {}), &page));
  settle();
  EXPECT_FALSE(page);
  write(owner, ws, "/a", "1");
  settle();
  EXPECT_FALSE(page) << "of another type";
  write(owner, ws, "/a", "2");
  settle();
  ASSERT_TRUE(page);
  ASSERT_TRUE(*page);
  ASSERT_EQ((*page)->events.size(), 1u);
  EXPECT_EQ((*page)->events.front().type, "file.updated");
  const TimePoint before = clock.now();
  auto none = list(updates, (*page)->cursor, 10, Millis{90'000});
  EXPECT_TRUE(none->events.empty());
  EXPECT_EQ(clock.now() - before, Millis{25'000});
}

TEST_F(EventsTest, OldOnesGoAndTheirCursorsSaySo) {
  write(owner, ws, "/a", "1");
  pass(31 * 24 * kHour);
  write(owner, ws, "/a", "2");
  pass(Millis{2 * 3'600'000});
  auto expired = list({}, 1);
  ASSERT_EQ(code_of(expired), "ws.cursor_expired");
  auto kept = list({}, static_cast<std::uint64_t>(get_int(expired.error().details, "cursor")));
  ASSERT_TRUE(kept);
  ASSERT_EQ(kept->events.size(), 1u);
  EXPECT_EQ(kept->events.front().type, "file.updated");
  EXPECT_EQ(list()->events.size(), 1u) << "from the oldest kept";
}

TEST_F(EventsTest, WebhooksAreSignedFilteredAndCloudEvents) {
  EventFilter filter;
  filter.types = {"file.*"};
  const auto made = hook("https://example.com/hook", filter);
  EXPECT_TRUE(made.secret.starts_with("whsec_"));
  const Node node = write(owner, ws, "/a.txt", "1");
  pass(Millis{1'000});
  const auto got = receiver.to("https://example.com/hook");
  ASSERT_EQ(got.size(), 1u);
  const JsonObject& event = got.front().event;
  EXPECT_EQ(get_string(event, "specversion"), "1.0");
  EXPECT_EQ(get_string(event, "type"), "dev.mayfly.workspace.file.created");
  EXPECT_EQ(get_string(event, "source"), "/workspaces/" + ws);
  EXPECT_EQ(get_string(event, "subject"), "/a.txt");
  EXPECT_EQ(get_string(event, "id"), ws + "-" + std::to_string(events_of(ws).back().number));
  EXPECT_EQ(get_string(event, "sequence"), "0000000000000001");
  EXPECT_EQ(get_string(*get_object(event, "data"), "node"), node.id);
  trigger::WebhookSource scheme;
  EXPECT_TRUE(trigger::verify_webhook(scheme, "t", {made.secret}, got.front().headers, got.front().body, clock.now()));
  EXPECT_EQ(rows_of(ws, 'o'), 0u) << "the outbox is empty";
  EXPECT_TRUE(triggers().endpoints().empty()) << "other organisations' webhooks are not the server's endpoints";
}

TEST_F(EventsTest, ABrokenWebhookIsTriedTenTimesOverThreeDaysAndBlocksNobody) {
  const auto broken = hook("https://example.com/broken");
  hook("https://example.com/fine");
  receiver.status["https://example.com/broken"] = 500;
  write(owner, ws, "/a", "1");
  write(owner, ws, "/a", "2");
  pass(Millis{1'000});
  EXPECT_EQ(types("https://example.com/fine").size(), 2u);
  pass(5 * 24 * kHour);
  const auto tries = receiver.to("https://example.com/broken");
  EXPECT_EQ(tries.size(), 20u);
  const auto span = tries.back().at - tries.front().at;
  EXPECT_GT(span, 40 * kHour);
  EXPECT_LE(span, 4 * 24 * kHour);
  auto log = run(events().deliveries(owner, ws, broken.webhook.id, 10));
  ASSERT_TRUE(log);
  ASSERT_EQ(log->size(), 2u);
  EXPECT_EQ(log->front().attempts.size(), 10u);
  EXPECT_EQ(log->front().attempts.front().status, 500);
  EXPECT_EQ(log->front().state, trigger::DeliveryRecord::State::Failed);
  receiver.status.clear();
  ASSERT_TRUE(run(events().redeliver(owner, ws, broken.webhook.id, log->front().id)));
  pass(Millis{1'000});
  EXPECT_EQ(receiver.to("https://example.com/broken").size(), 21u);
  const auto foreign = hook("https://example.com/third");
  EXPECT_EQ(code_of(run(events().redeliver(owner, ws, foreign.webhook.id, log->front().id))), "ws.not_found");
}

TEST_F(EventsTest, GoneDisablesAndTellsOnce) {
  const auto made = hook("https://example.com/gone");
  receiver.status["https://example.com/gone"] = 410;
  write(owner, ws, "/a", "1");
  pass(Millis{5'000});
  auto hooks = run(events().webhooks(owner, ws));
  ASSERT_EQ(hooks->size(), 1u);
  EXPECT_FALSE(hooks->front().enabled);
  EXPECT_NE(hooks->front().disabled_reason.find("410"), std::string::npos);
  EXPECT_EQ(std::ranges::count(told(ws), "webhook.disabled"), 1);
  const std::size_t before = receiver.got.size();
  write(owner, ws, "/a", "2");
  pass(Millis{5'000});
  EXPECT_EQ(receiver.got.size(), before) << "nothing is sent any more";
  receiver.status.clear();
  ASSERT_TRUE(run(events().update_webhook(owner, ws, made.webhook.id, {{"enabled", true}})));
  write(owner, ws, "/a", "3");
  pass(Millis{5'000});
  EXPECT_EQ(receiver.got.size(), before + 1);
  EXPECT_EQ(std::ranges::count(told(ws), "webhook.disabled"), 1);
}

TEST_F(EventsTest, ARotatedSecretSignsBesideTheOldOneForADay) {
  const auto made = hook("https://example.com/hook");
  auto rotated = run(events().rotate_webhook(owner, ws, made.webhook.id));
  ASSERT_TRUE(rotated) << rotated.error().message;
  EXPECT_NE(rotated->secret, made.secret);
  const trigger::WebhookSource scheme;
  const auto fits = [&](const std::string& secret) {
    const auto& got = receiver.got.back();
    return trigger::verify_webhook(scheme, "t", {secret}, got.headers, got.body, got.at).has_value();
  };
  write(owner, ws, "/a", "1");
  pass(Millis{1'000});
  ASSERT_FALSE(receiver.got.empty());
  EXPECT_TRUE(fits(made.secret));
  EXPECT_TRUE(fits(rotated->secret));
  crash();
  pass(25 * kHour);
  write(owner, ws, "/a", "2");
  pass(Millis{1'000});
  EXPECT_FALSE(fits(made.secret));
  EXPECT_TRUE(fits(rotated->secret));
}

TEST_F(EventsTest, TheOutboxIsSentAfterACrash) {
  hook("https://example.com/hook");
  pass(Millis{1'000});
  for (int round = 0; round < 8; ++round) {
    std::optional<Outcome<Written>> written;
    life().tasks.spawn(keep_result(life().files->write(owner, ws, Place::at("/f" + std::to_string(round)), "x", "", {}), &written));
    // Dies a little later each time: before, between and after the commit, the publication and the row's removal.
    for (int i = 0; i < 4 + 6 * round; ++i) io.poll_one();
    crash();
    pass(Millis{30'000});
  }
  std::set<std::string> stored, received;
  for (const FileEvent& event : events_of(ws))
    if (event.type == "file.created") stored.insert(event.workspace + "-" + std::to_string(event.number));
  for (const auto& one : receiver.to("https://example.com/hook"))
    if (get_string(one.event, "type") == "dev.mayfly.workspace.file.created") received.insert(get_string(one.event, "id"));
  EXPECT_FALSE(stored.empty());
  EXPECT_EQ(stored, received) << "each event that was committed arrives, and no other";
  EXPECT_EQ(rows_of(ws, 'o'), 0u);
}

TEST_F(EventsTest, WebhooksAreRefusedAndSeenByTheirWorkspaceAlone) {
  const auto made = hook("https://example.com/hook");
  EXPECT_EQ(code_of(run(events().create_webhook(owner, ws, "ftp://example.com", {}))), "ws.invalid");
  EventFilter wrong;
  wrong.types = {"file.*.x"};
  EXPECT_EQ(code_of(run(events().create_webhook(owner, ws, "https://example.com", wrong))), "ws.invalid");
  EXPECT_EQ(code_of(run(events().update_webhook(owner, ws, made.webhook.id, {{"secret", "x"}}))), "ws.invalid");
  for (const std::string& code : {
           code_of(run(events().create_webhook(stranger, ws, "https://example.com", {}))),
           code_of(run(events().webhooks(stranger, ws))),
           code_of(run(events().update_webhook(stranger, ws, made.webhook.id, {{"enabled", false}}))),
           code_of(run(events().rotate_webhook(stranger, ws, made.webhook.id))),
           code_of(run(events().deliveries(stranger, ws, made.webhook.id, 10))),
           code_of(run(events().redeliver(stranger, ws, made.webhook.id, "run_x"))),
           code_of(run(events().remove_webhook(stranger, ws, made.webhook.id))),
       })
    EXPECT_EQ(code, "ws.not_found");
  ASSERT_TRUE(run(events().remove_webhook(owner, ws, made.webhook.id)));
  EXPECT_TRUE(run(events().webhooks(owner, ws))->empty());
  EXPECT_TRUE(triggers().internal_endpoints("ws.").empty());
}

}  // namespace
}  // namespace mayfly::workspace
