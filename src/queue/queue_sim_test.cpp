#include <cstdlib>
#include <set>

#include "base/hash.h"
#include "base/log.h"
#include "queue/queue_test_support.h"

/// Random producers and consumers, a store that fails, servers that die at any moment, and a model that knows what must hold.
namespace mayfly::queue {
namespace {

constexpr Millis kVisibility{5'000};
constexpr std::int64_t kReceivesMax = 3;
constexpr int kPerGroup = 12;
constexpr int kEventsMax = 600'000;

/// What the outside knows of one message.
struct Known {
  std::string queue, group;
  int index = 0;
  std::string id;                ///< once acknowledged
  bool poison = false;
  bool delete_tried = false;
  bool delete_sure = false;      ///< acknowledged while nobody else could have it
  TimePoint invisible_until{};   ///< at least
  int seen = 0, released = 0;
};

class QueueWorld {
 public:
  QueueWorld(std::uint64_t seed, Plant plant) : random_(seed), plant_(plant) {
    for (keys::Partition p = 0; p < 4; ++p) disk_.apply({.require = {}, .puts = {{engine::keys::epoch(p), "{}"}}, .deletes = {}});
    for (const char* queue : {"jobs", "line.fifo"})
      for (const char* group : {"a", "b", "c"})
        for (int i = 0; i < kPerGroup; ++i) {
          Known message;
          message.queue = queue;
          message.group = group;
          message.index = i;
          message.poison = random_.below(6) == 0;
          messages_[label(queue, group, i)] = message;
        }
  }
  ~QueueWorld() {
    for (auto& life : lives_) life->die();
    disk_.release_crashed();
  }

  std::vector<std::string> run();
  std::string trace() const {
    std::string all;
    for (const auto& [key, cell] : disk_.cells()) all += key + "=" + cell.value + "\n";
    return sha256_hex(all);
  }
  int crashes() const { return crashes_; }

 private:
  static std::string label(const std::string& queue, const std::string& group, int i) {
    return queue + "/" + group + "/" + std::to_string(i);
  }
  static SimStoreFaults faults() {
    return {.apply_delay_max = Millis{20}, .answer_delay_max = Millis{20}, .refused = 0.02, .full = 0.01, .unknown_applied = 0.02,
            .unknown_lost = 0.02, .read_failed = 0.002};
  }
  TestLife& live() { return *lives_.back(); }
  Millis some(std::int64_t max) { return Millis{static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(max)))}; }
  void violate(std::string what) { violations_.push_back(std::move(what)); }
  void boot() {
    lives_.push_back(std::make_unique<TestLife>(disk_, blobs_, io_, clock_, random_.next(), plant_, faulty_ ? faults() : SimStoreFaults{}));
    ready_ = false;
    live().tasks.spawn(start(&live()));
  }
  Task<> start(TestLife* life);
  Task<> produce(TestLife* life, std::string queue, std::string group);
  Task<> consume(TestLife* life, std::string queue, int number);
  Task<> handle(TestLife* life, std::string queue, std::vector<Received> batch, TimePoint called, bool hold);
  Task<> inspect(TestLife* life, bool* done);
  void check_received(const std::string& queue, const std::vector<Received>& batch, std::size_t at, TimePoint called, bool hold);
  bool finished();
  void check_end();

  SeededRandom random_;
  Plant plant_;
  bool faulty_ = true, ready_ = false;
  int crashes_ = 0;
  asio::io_context io_;
  SimClock clock_;
  SimDisk disk_;
  MemoryBlobStore blobs_;
  std::vector<std::unique_ptr<TestLife>> lives_;
  std::map<std::string, Known> messages_;
  std::set<std::string> skipped_;  ///< messages of FIFO groups that later ones overtook: they must be dead
  std::map<std::string, std::vector<Received>> dead_;
  std::vector<std::string> violations_;
};

Task<> QueueWorld::start(TestLife* life) {
  const auto spec = [](const std::string& name, const std::string& dead) {
    QueueSpec out;
    out.name = name;
    out.kind = name.ends_with(".fifo") ? QueueKind::Fifo : QueueKind::Standard;
    out.visibility_timeout = kVisibility;
    out.dead_letter_queue = dead;
    out.receives_max = dead.empty() ? 0 : kReceivesMax;
    return out;
  };
  while (!co_await life->service->open()) co_await sleep_for(life->clock, Millis{100});
  for (const auto& [name, dead] : {std::pair{"dead", ""}, {"dead.fifo", ""}, {"jobs", "dead"}, {"line.fifo", "dead.fifo"}})
    while (!co_await life->service->put(spec(name, dead))) co_await sleep_for(life->clock, Millis{100});
  for (const std::string queue : {"jobs", "line.fifo"}) {
    for (;;) {
      auto held = co_await life->service->held(queue);
      if (held) {
        const TimePoint now = clock_.now();
        co_await handle(life, queue, std::move(*held), now, true);
        break;
      }
      co_await sleep_for(life->clock, Millis{100});
    }
    for (const char* group : {"a", "b", "c"}) life->tasks.spawn(produce(life, queue, group));
    for (int i = 0; i < 3; ++i) life->tasks.spawn(consume(life, queue, i));
  }
  ready_ = true;
}

Task<> QueueWorld::produce(TestLife* life, std::string queue, std::string group) {
  for (int i = 0; i < kPerGroup;) {
    Known& message = messages_.at(label(queue, group, i));
    const bool again = !message.id.empty();
    // Now and then what was acknowledged is sent again: it must be absorbed.
    if (again && random_.below(4) != 0) {
      ++i;
      continue;
    }
    SendRequest request{.body = label(queue, group, i), .group = group};
    if (queue.ends_with(".fifo"))
      request.deduplication_id = request.body;
    else
      request.idempotency_key = request.body, request.priority = static_cast<int>(random_.below(3));
    std::vector<SendRequest> requests;
    requests.push_back(std::move(request));
    const auto sent = (co_await life->service->send(queue, std::move(requests))).at(0);
    if (sent) {
      if (again && (!sent->duplicate || sent->id != message.id)) violate("not absorbed: " + label(queue, group, i));
      message.id = sent->id;
      ++i;
    }
    co_await sleep_for(life->clock, some(1'500));
  }
}

void QueueWorld::check_received(const std::string& queue, const std::vector<Received>& batch, std::size_t at, TimePoint called, bool hold) {
  const Received& got = batch[at];
  const auto found = messages_.find(got.body);
  if (found == messages_.end()) return violate("never sent: " + got.body);
  Known& message = found->second;
  if (!message.id.empty() && message.id != got.id) violate("another id: " + got.body);
  if (message.delete_sure) violate("received after it was deleted: " + got.body);
  if (clock_.now() < message.invisible_until) violate("received while invisible: " + got.body);
  if (got.receive_count > kReceivesMax || ++message.seen > kReceivesMax + message.released)
    violate("received " + std::to_string(message.seen) + " times, count " + std::to_string(got.receive_count) + ": " + got.body);
  message.invisible_until = called + (hold ? Millis{3'600'000} : kVisibility);
  if (!queue.ends_with(".fifo")) return;
  for (int i = 0; i < message.index; ++i) {
    const std::string earlier = label(queue, message.group, i);
    const Known& other = messages_.at(earlier);
    bool together = false;
    for (std::size_t j = 0; j < at; ++j) together = together || batch[j].body == earlier;
    if (!together && !other.delete_tried) skipped_.insert(earlier);
  }
}

Task<> QueueWorld::handle(TestLife* life, std::string queue, std::vector<Received> batch, TimePoint called, bool hold) {
  using Outcome = Settlement::Outcome;
  for (std::size_t at = 0; at < batch.size(); ++at) {
    Known& message = messages_.at(batch[at].body);
    const std::string handle = batch[at].receipt_handle;
    co_await sleep_for(life->clock, some(300));
    const std::uint64_t what = random_.below(10);
    if (!message.poison && what < 7) {
      message.delete_tried = true;
      const bool in_time = clock_.now() + Millis{100} < called + kVisibility;
      Result<void> done;
      for (;;) {
        if (hold)
          done = (co_await life->service->settle(queue, {{.receipt_handle = handle}})).at(0);
        else
          done = (co_await life->service->remove_messages(queue, {handle})).at(0);
        // What is held stays so until it is settled: its consumer must insist.
        if (done || !hold || done.error().retry == Retry::Never) break;
        message.invisible_until = {};  // the failed try may have given it back
        co_await sleep_for(life->clock, Millis{50});
      }
      if (done && ((hold && message.invisible_until != TimePoint{}) || (in_time && clock_.now() < called + kVisibility)))
        message.delete_sure = true;
    } else if (hold || what < 9) {
      const bool release = what == 8 && !message.poison;
      if (release) ++message.released;
      message.invisible_until = {};
      Settlement settlement{.receipt_handle = handle, .outcome = release ? Outcome::Released : Outcome::Failed, .reason = "it said no"};
      for (;;) {
        const auto done = (co_await life->service->settle(queue, {settlement})).at(0);
        if (done || done.error().retry == Retry::Never) break;
        co_await sleep_for(life->clock, Millis{50});
      }
    }
  }
}

Task<> QueueWorld::consume(TestLife* life, std::string queue, int number) {
  for (;;) {
    const bool hold = number == 0;
    const TimePoint called = clock_.now();
    ReceiveRequest request{.queue = queue, .messages_max = 1 + random_.below(4), .hold = hold};
    if (number == 2) request.wait = Millis{2'000};
    auto batch = co_await life->service->receive(std::move(request));
    if (batch) {
      for (std::size_t at = 0; at < batch->size(); ++at) check_received(queue, *batch, at, called, hold);
      co_await handle(life, queue, std::move(*batch), called, hold);
    }
    co_await sleep_for(life->clock, some(700) + Millis{1});
  }
}

bool QueueWorld::finished() {
  for (const auto& [name, message] : messages_)
    if (message.id.empty()) return false;
  for (const char* queue : {"jobs", "line.fifo"}) {
    const auto depth = live().service->depth(queue);
    if (!depth || depth->visible + depth->in_flight + depth->delayed > 0) return false;
  }
  for (const auto& [key, cell] : disk_.cells())
    if (key.find("/o/") != std::string::npos) return false;
  return true;
}

Task<> QueueWorld::inspect(TestLife* life, bool* done) {
  for (const char* queue : {"dead", "dead.fifo"}) {
    auto rows = co_await life->service->peek(queue, 1'000);
    while (!rows) rows = co_await life->service->peek(queue, 1'000);
    for (Received& message : *rows) dead_[message.body].push_back(std::move(message));
  }
  *done = true;
}

void QueueWorld::check_end() {
  for (const auto& [name, message] : messages_) {
    const auto dead = dead_.find(name);
    const std::size_t times = dead == dead_.end() ? 0 : dead->second.size();
    if (times == 0 && !message.delete_tried) violate("lost: " + name);
    if (times > 1) violate("dead more than once: " + name);
    if (times == 0) continue;
    if (message.delete_sure) violate("dead although it was deleted: " + name);
    const Received& corpse = dead->second.front();
    if (corpse.id != message.id || corpse.dead_letter_source != message.queue) violate("another message is dead: " + name);
    if (!corpse.dead_letter_reason.starts_with("received 3 times without being deleted")) violate("dead because " + corpse.dead_letter_reason);
  }
  for (const std::string& name : skipped_)
    if (!dead_.contains(name)) violate("overtaken in its group: " + name);
}

std::vector<std::string> QueueWorld::run() {
  const auto guard = asio::make_work_guard(io_);
  boot();
  const TimePoint healed_at = clock_.now() + Millis{60'000}, give_up = clock_.now() + Millis{3'600'000};
  bool inspecting = false, inspected = false;
  for (int event = 0; !inspected && violations_.empty(); ++event) {
    if (event > kEventsMax || clock_.now() > give_up) {
      std::string left;
      for (const char* queue : {"jobs", "line.fifo"})
        if (const auto depth = live().service->depth(queue))
          left += " " + std::to_string(depth->visible) + "+" + std::to_string(depth->in_flight) + "+" + std::to_string(depth->delayed);
      for (const auto& [name, message] : messages_)
        if (message.id.empty()) left += " unsent " + name;
      violate("not finished:" + left);
      break;
    }
    if (faulty_ && clock_.now() >= healed_at) {
      faulty_ = false;
      live().store.set_faults({});
    }
    if (faulty_ && crashes_ < 6 && random_.below(900) == 0) {
      ++crashes_;
      live().die();
      // What was held has come back to nobody yet; what was received stays invisible.
      for (auto& [name, message] : messages_)
        if (message.invisible_until > clock_.now() + kVisibility) message.invisible_until = {};
      boot();
    }
    if (event % 100 == 0 && ready_ && !faulty_ && !inspecting && finished()) {
      inspecting = true;
      live().tasks.spawn(inspect(&live(), &inspected));
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
  return text ? std::max(1, std::atoi(text)) : 40;
}

TEST(QueueSimulation, NothingIsLostDoubledOrOutOfOrder) {
  log::init(log::Level::Off, log::Format::Text);
  int crashes = 0;
  for (int seed = 1; seed <= seeds(); ++seed) {
    QueueWorld world(static_cast<std::uint64_t>(seed), Plant::None);
    for (const std::string& violation : world.run()) ADD_FAILURE() << "seed " << seed << ": " << violation;
    crashes += world.crashes();
    if (seed % 20 != 0) continue;
    QueueWorld again(static_cast<std::uint64_t>(seed), Plant::None);
    (void)again.run();
    EXPECT_EQ(again.trace(), world.trace()) << "seed " << seed << " is not deterministic";
  }
  EXPECT_GT(crashes, seeds() / 4);
}

class PlantedQueue : public ::testing::TestWithParam<Plant> {};
TEST_P(PlantedQueue, TheCheckerSeesTheBug) {
  log::init(log::Level::Off, log::Format::Text);
  std::vector<std::string> violations;
  for (std::uint64_t seed = 1; seed <= 20 && violations.empty(); ++seed) violations = QueueWorld(seed, GetParam()).run();
  ASSERT_FALSE(violations.empty());
  RecordProperty("violation", violations.front());
}
INSTANTIATE_TEST_SUITE_P(Bugs, PlantedQueue,
                         ::testing::Values(Plant::ForgetDeduplication, Plant::OneReceiveMore, Plant::UnblockedGroups, Plant::LooseMove));

}  // namespace
}  // namespace mayfly::queue
