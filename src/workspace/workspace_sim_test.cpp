#include <cstdlib>
#include <set>

#include "base/hash.h"
#include "base/log.h"
#include "blob/memory_blob_store.h"
#include "testing/sim_clock.h"
#include "testing/sim_store.h"
#include "workspace/workspace_history_test_support.h"
#include "workspace/workspaces.h"

#include <gtest/gtest.h>

/// Writers with compare-and-swap, with locks that expire at the worst moment and without anything, readers, an owner who breaks locks, uploads beside deletes, a
/// collector and a transfer; a store that fails, servers that die at any moment. What everybody saw is checked by workspace_history_test_support.h.
namespace mayfly::workspace {
namespace {

constexpr int kFiles = 3;
constexpr int kWorkers = 5;
constexpr int kRounds = 14;
constexpr int kEventsMax = 2'000'000;

/// A service with this bug, as its clients would meet it.
enum class Plant {
  None,
  ForgetsEtags,     ///< if_match is not looked at
  ForgetsFences,    ///< a write of a lock that was lost lands
  StaleReads,       ///< a reader is told what was there once
  AnswersTooEarly,  ///< a write is acknowledged though its commit failed
  SweepsAtOnce,     ///< the collector takes what was just put
};

struct Life {
  Life(SimDisk& disk, MemoryBlobStore& blobs, asio::io_context& io, SimClock& world, std::uint64_t seed, SimStoreFaults faults)
      : clock(world), random(seed), store(disk, io.get_executor(), clock, random, faults), tasks(io.get_executor()) {
    SpacesDependencies deps{.executor = io.get_executor()};
    deps.store = &store;
    deps.blobs = &blobs;
    deps.clock = &clock;
    deps.random = &random;
    deps.partitions = 2;
    deps.lease = [](keys::Partition p) { return Precondition::present(engine::keys::epoch(p)); };
    spaces = make_spaces(std::move(deps));
    files = make_files(*spaces);
    bytes = make_bytes({.spaces = spaces.get(), .files = files.get()});
    sharing = make_sharing(*spaces, *files);
  }
  ~Life() { tasks.abandon(); }
  void die() {
    clock.die();
    if (!store.crashed()) store.crash();
    sharing->crash();
    bytes->crash();
    files->crash();
    spaces->crash();
    tasks.abandon();
  }

  ProcessClock clock;
  SeededRandom random;
  SimStore store;
  std::unique_ptr<Spaces> spaces;
  std::unique_ptr<Files> files;
  std::unique_ptr<Bytes> bytes;
  std::unique_ptr<Sharing> sharing;
  TaskGroup tasks;
};

Actor agent(int number) {
  Actor actor;
  actor.id = "agent:w" + std::to_string(number);
  actor.label = "worker " + std::to_string(number);
  actor.organisation = "default";
  return actor;
}

Actor owner() {
  Actor actor = agent(0);
  actor.id = "key:owner";
  actor.kind = ActorKind::Person;
  return actor;
}

Actor heir() {
  Actor actor = owner();
  actor.id = "key:heir";
  actor.organisation = "people";
  return actor;
}

class World {
 public:
  World(std::uint64_t seed, Plant plant) : random_(seed), plant_(plant) {
    for (keys::Partition p = 0; p < 2; ++p) disk_.apply({.require = {}, .puts = {{engine::keys::epoch(p), "{}"}}, .deletes = {}});
  }
  ~World() {
    for (auto& life : lives_) life->die();
    disk_.release_crashed();
  }
  std::vector<std::string> run();
  std::string trace() const {
    std::string all;
    // Secrets, and hashes of tokens that hold some, come from the operating system.
    for (const auto& [key, cell] : disk_.cells())
      if (!key.ends_with("/c/secret")) all += key + "=" + (key.contains("/t/") ? "" : cell.value) + "\n";
    return sha256_hex(all);
  }

 private:
  static SimStoreFaults faults() {
    return {.apply_delay_max = Millis{20}, .answer_delay_max = Millis{20}, .refused = 0.02, .full = 0.01, .unknown_applied = 0.02, .unknown_lost = 0.02,
            .read_failed = 0.001};
  }
  Life& live() { return *lives_.back(); }
  Millis some(std::int64_t max) { return Millis{1 + static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(max)))}; }
  static std::string path(int file) { return "/f" + std::to_string(file) + ".txt"; }
  std::string fresh() { return "c" + std::to_string(++contents_); }

  void boot() {
    lives_.push_back(std::make_unique<Life>(disk_, blobs_, io_, clock_, random_.next(), faulty_ ? faults() : SimStoreFaults{}));
    live().tasks.spawn(start(&live()));
  }
  Task<> start(Life* life);
  Task<> work(Life* life, int worker);
  Task<> compare_and_swap(Life* life, int worker, int file);
  Task<> write_locked(Life* life, int worker, int file);
  Task<> overwrite(Life* life, int worker, int file);
  Task<> read(Life* life, int worker, int file);
  Task<> upload_and_delete(Life* life, int worker);
  Task<> disturb(Life* life);
  Task<> transfer(Life* life);
  Task<> land(Life* life, int worker, int file, WriteOptions options, HistoryWrite write);
  Task<> final_check(Life* life, bool* done);

  SeededRandom random_;
  Plant plant_;
  bool faulty_ = true, transferred_ = false;
  int contents_ = 0;
  int rounds_[kWorkers] = {};
  std::string workspace_;
  asio::io_context io_;
  SimClock clock_;
  SimDisk disk_;
  MemoryBlobStore blobs_{clock_};
  History history_;
  std::map<int, std::string> stale_;  ///< Plant::StaleReads: what a reader was told first
  std::vector<std::string> uploaded_;
  std::vector<std::unique_ptr<Life>> lives_;
};

Task<> World::start(Life* life) {
  while (!co_await life->spaces->open()) co_await sleep_for(life->clock, Millis{50});
  while (!co_await life->files->open()) co_await sleep_for(life->clock, Millis{50});
  while (!co_await life->bytes->open()) co_await sleep_for(life->clock, Millis{50});
  while (!co_await life->sharing->open()) co_await sleep_for(life->clock, Millis{50});
  while (workspace_.empty()) {
    Workspace wanted;
    wanted.name = "sim";
    auto made = co_await life->spaces->create(owner(), wanted);
    if (made)
      workspace_ = made->id;
    else if (auto found = life->spaces->find(owner(), "sim", Role::Owner))
      workspace_ = found->id;
  }
  for (int i = 1; i < kWorkers; ++i) {
    Member member;
    member.actor = agent(i).id;
    member.role = Role::Editor;
    while (true) {
      auto put = co_await life->sharing->put_member(transferred_ ? heir() : owner(), workspace_, member);
      if (put || put.error().code == "ws.forbidden" || put.error().code == "ws.not_found") break;
      co_await sleep_for(life->clock, Millis{20});
    }
  }
  for (int i = 1; i < kWorkers; ++i) life->tasks.spawn(work(life, i));
  life->tasks.spawn(disturb(life));
}

Task<> World::work(Life* life, int worker) {
  while (rounds_[worker] < kRounds) {
    const int file = static_cast<int>(random_.below(kFiles));
    switch (random_.below(10)) {
      case 0: case 1: case 2: co_await compare_and_swap(life, worker, file); break;
      case 3: case 4: case 5: co_await write_locked(life, worker, file); break;
      case 6: co_await overwrite(life, worker, file); break;
      case 7: co_await upload_and_delete(life, worker); break;
      default: co_await read(life, worker, file);
    }
    ++rounds_[worker];
    co_await sleep_for(life->clock, some(60));
  }
}

/// Writes and notes what became of it.
Task<> World::land(Life* life, int worker, int file, WriteOptions options, HistoryWrite write) {
  write.worker = worker;
  write.content = fresh();
  write.called = history_.tick();
  const std::size_t index = history_.begin(file, write);
  if (plant_ == Plant::ForgetsEtags && options.when.if_match) options.when.if_match.reset(), options.when.force = true;
  if (plant_ == Plant::ForgetsFences && !options.when.lock_token.empty() && random_.below(2) == 0)
    options.when.lock_token.clear(), options.when.fence.reset(), options.when.force = true;
  auto written = co_await life->files->write(agent(worker), workspace_, Place::at(path(file)), write.content, "text/plain", std::move(options));
  if (written) {
    history_.acknowledged(index, written->node.version, written->node.etag);
  } else if (plant_ == Plant::AnswersTooEarly && written.error().code.starts_with("store.")) {
    history_.acknowledged(index, 0, "");
  } else if (written.error().retry != Retry::OutcomeUnknown) {
    history_.refused(index, written.error().code);
  }
}

Task<> World::compare_and_swap(Life* life, int worker, int file) {
  auto found = co_await life->files->stat(agent(worker), workspace_, Place::at(path(file)));
  WriteOptions options;
  HistoryWrite write;
  if (found) {
    options.when.if_match = found->etag;
    write.if_match = found->etag;
  } else if (found.error().code == "ws.not_found") {
    options.when.if_none_match = true;
    write.create_only = true;
  } else {
    co_return;
  }
  co_await sleep_for(life->clock, some(40));
  co_await land(life, worker, file, std::move(options), std::move(write));
}

Task<> World::write_locked(Life* life, int worker, int file) {
  LockRequest request;
  request.at = Place::at(path(file));
  request.ttl = Millis{5'000};
  request.wait = Millis{static_cast<std::int64_t>(random_.below(3)) * 4'000};
  const std::uint64_t asked = history_.tick();
  auto granted = co_await life->files->lock(agent(worker), workspace_, std::move(request));
  if (!granted) co_return;
  const std::size_t grant = history_.granted(file, {.worker = worker, .fence = granted->lock.fence, .asked = asked});
  std::string etag = granted->etag;
  for (int i = static_cast<int>(random_.below(3)); i >= 0; --i) {
    // Sometimes longer than the lease.
    co_await sleep_for(life->clock, random_.below(4) == 0 ? Millis{4'900 + static_cast<std::int64_t>(random_.below(3'000))} : some(80));
    WriteOptions options;
    options.when.lock_token = granted->token;
    options.when.fence = granted->lock.fence;
    HistoryWrite write;
    write.fence = granted->lock.fence;
    co_await land(life, worker, file, std::move(options), std::move(write));
    if (random_.below(3) == 0) {
      auto renewed = co_await life->files->renew_lock(agent(worker), workspace_, Place::at(path(file)), granted->token, Millis{5'000});
      if (!renewed) break;
    }
  }
  if (random_.below(3) == 0) co_return;  // dies with it: it expires
  history_.releasing(grant);
  co_await life->files->unlock(agent(worker), workspace_, Place::at(path(file)), granted->token);
}

Task<> World::overwrite(Life* life, int worker, int file) {
  WriteOptions options;
  options.when.force = true;
  co_await land(life, worker, file, std::move(options), {});
}

Task<> World::read(Life* life, int worker, int file) {
  const std::uint64_t called = history_.tick();
  auto text = co_await life->files->read_text(agent(worker), workspace_, Place::at(path(file)), {});
  if (!text) {
    if (text.error().code.starts_with("blob.")) history_.violate("a file cannot be read: " + text.error().message);
    co_return;
  }
  std::uint64_t version = text->node.version;
  std::string content = text->text;
  if (plant_ == Plant::StaleReads) {
    const auto [first, is_new] = stale_.emplace(file, std::to_string(version) + ":" + content);
    if (!is_new) version = std::stoull(first->second), content = first->second.substr(first->second.find(':') + 1);
  }
  history_.read(file, {.worker = worker, .called = called, .version = version, .content = content});
}

/// An upload and a delete of the same path race; each is whole.
Task<> World::upload_and_delete(Life* life, int worker) {
  UploadRequest request;
  request.path = "/up/" + std::to_string(random_.below(2)) + ".bin";
  request.options.when.force = true;
  auto upload = co_await life->bytes->create_upload(agent(worker), workspace_, request);
  if (!upload) co_return;
  std::string all;
  for (int part = 0; part < 2; ++part) {
    const std::string piece = fresh() + ";";
    auto writer = co_await blobs_.create();
    if (!writer || !co_await (*writer)->write(piece)) co_return;
    auto finished = co_await (*writer)->finish();
    if (!finished) co_return;
    auto added = co_await life->bytes->add_part(agent(worker), workspace_, upload->id, static_cast<std::int64_t>(all.size()), *finished);
    if (!added) co_return;
    all += piece;
    co_await sleep_for(life->clock, some(30));
  }
  if (random_.below(3) == 0) co_await life->files->remove(agent(worker), workspace_, Place::at(request.path), {.when = {.force = true}});
  auto done = co_await life->bytes->complete_upload(agent(worker), workspace_, upload->id, {.when = {.force = true}});
  if (done) {
    if (done->node.hash != sha256_hex(all)) history_.violate("an upload landed with other bytes");
    uploaded_.push_back(done->node.hash);
  }
}

Task<> World::disturb(Life* life) {
  for (;;) {
    co_await sleep_for(life->clock, some(400));
    const Actor boss = transferred_ ? heir() : owner();
    switch (random_.below(5)) {
      case 0: {
        const int file = static_cast<int>(random_.below(kFiles));
        history_.breaking(file);
        co_await life->files->break_lock(boss, workspace_, Place::at(path(file)), "it is stuck");
        break;
      }
      case 1: case 2: co_await life->bytes->collect(plant_ == Plant::SweepsAtOnce ? Millis{-1} : Millis{3'600'000}); break;
      case 3: co_await life->files->purge(boss, workspace_, ""); break;
      default:
        if (!transferred_ && random_.below(4) == 0) co_await transfer(life);
    }
  }
}

Task<> World::transfer(Life* life) {
  auto offered = co_await life->sharing->offer_transfer(owner(), workspace_, Role::Editor, "yours", Millis{3'600'000});
  if (!offered) co_return;
  for (int file = 0; file < kFiles; ++file) history_.breaking(file);
  auto accepted = co_await life->sharing->accept_transfer(heir(), offered->token);
  if (accepted) {
    if (accepted->owner != heir().id) history_.violate("a transfer was accepted and the owner is another");
    transferred_ = true;
  } else if (auto found = life->spaces->find(heir(), workspace_, Role::Owner)) {
    transferred_ = true;
  }
}

Task<> World::final_check(Life* life, bool* done) {
  const Actor boss = life->spaces->find(heir(), workspace_, Role::Owner) ? heir() : owner();
  for (int file = 0; file < kFiles; ++file) {
    std::vector<HistoryVersion> versions;
    std::string after;
    for (;;) {
      auto page = co_await life->files->versions(boss, workspace_, Place::at(path(file)), 100, after);
      if (!page) {
        if (page.error().code != "ws.not_found") history_.violate("versions: " + page.error().message);
        break;
      }
      for (const FileVersion& version : page->versions) {
        auto bytes = co_await blobs_.get(version.hash);
        if (!bytes) history_.violate(path(file) + " version " + std::to_string(version.version) + " has no content: " + bytes.error().message);
        versions.push_back({version.version, version.etag, bytes ? *bytes : ""});
      }
      if ((after = page->next).empty()) break;
    }
    history_.check(file, std::move(versions));
  }
  auto trash = co_await life->files->trash(boss, workspace_, 100, "");
  if (!trash) history_.violate("trash: " + trash.error().message);
  *done = true;
}

std::vector<std::string> World::run() {
  boot();
  TimePoint crash_at = clock_.now() + some(3'000);
  int crashes = 0;
  const auto step = [&] {
    if (io_.poll_one() > 0) return true;
    io_.restart();
    return clock_.advance();
  };
  const auto busy = [&] {
    for (int i = 1; i < kWorkers; ++i)
      if (rounds_[i] < kRounds) return true;
    return false;
  };
  int events = 0;
  for (; busy() && events < kEventsMax; ++events) {
    if (faulty_ && clock_.now() >= crash_at) {
      live().die();
      history_.crashed();
      if (++crashes >= 6) faulty_ = false;  // heals: everything must finish
      boot();
      crash_at = clock_.now() + some(6'000);
    }
    if (!step()) break;
  }
  if (busy()) history_.violate("the workers never ended");
  live().store.set_faults({});
  bool done = false;
  live().tasks.spawn(final_check(&live(), &done));
  for (; !done && events < kEventsMax; ++events)
    if (!step()) break;
  if (!done) history_.violate("the end could not be looked at");
  return history_.violations();
}

std::vector<std::string> run_seed(std::uint64_t seed, Plant plant, std::string* trace = nullptr) {
  World world(seed, plant);
  auto violations = world.run();
  if (trace) *trace = world.trace();
  return violations;
}

std::uint64_t seeds() {
  const char* given = std::getenv("MAYFLY_SIM_SEEDS");
  return given ? std::strtoull(given, nullptr, 10) : 12;
}

TEST(WorkspaceSim, HistoriesAreLinearizableAndNothingIsLost) {
  log::init(log::Level::Error, log::Format::Text);
  for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
    const auto violations = run_seed(seed, Plant::None);
    for (const std::string& violation : violations) ADD_FAILURE() << "seed " << seed << ": " << violation;
    if (!violations.empty()) break;
  }
}

TEST(WorkspaceSim, TheSameSeedIsTheSameHistory) {
  log::init(log::Level::Error, log::Format::Text);
  std::string first, second;
  run_seed(7, Plant::None, &first);
  run_seed(7, Plant::None, &second);
  EXPECT_EQ(first, second);
}

class WorkspaceSimPlants : public ::testing::TestWithParam<std::pair<Plant, const char*>> {};

TEST_P(WorkspaceSimPlants, AreCaught) {
  log::init(log::Level::Error, log::Format::Text);
  for (std::uint64_t seed = 1; seed <= 40; ++seed)
    for (const std::string& violation : run_seed(seed, GetParam().first))
      if (violation.contains(GetParam().second)) return;
  FAIL() << "no seed shows it";
}

INSTANTIATE_TEST_SUITE_P(All, WorkspaceSimPlants,
                         ::testing::Values(std::pair{Plant::ForgetsEtags, "lost update"}, std::pair{Plant::ForgetsFences, "fence"},
                                           std::pair{Plant::StaleReads, "stale read"}, std::pair{Plant::AnswersTooEarly, "acknowledged"},
                                           std::pair{Plant::SweepsAtOnce, "content"}));

}  // namespace
}  // namespace mayfly::workspace
