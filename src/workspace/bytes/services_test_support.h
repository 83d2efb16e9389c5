#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/hash.h"
#include "blob/memory_blob_store.h"
#include "engine/core/keys.h"
#include "testing/sim_clock.h"
#include "testing/sim_store.h"
#include "workspace/bytes/bytes.h"
#include "workspace/events/events.h"
#include "workspace/rows.h"
#include "workspace/sharing/sharing.h"

/// For the tests of bytes, sharing and events: workspaces whose files are a flat list, on a disk that outlives its server.
namespace mayfly::workspace {

/// Files without folders, locks or history: what the other services need of them.
class FlatFiles final : public Files {
 public:
  explicit FlatFiles(Spaces& spaces) : spaces_(spaces) {}

  Task<Outcome<Node>> find_in(Space& space, Place place) override {
    std::string id = place.node;
    if (id.empty()) {
      auto entry = co_await space.rows().get(space.row('d', "root" + place.path));
      if (!entry || !*entry) co_return missing();
      id = **entry;
    }
    const std::string key = space.row('n', id);
    auto row = co_await space.rows().get(key);
    if (!row || !*row) co_return missing();
    Node out = *row_as<Node>(key, **row);
    out.path = out.parent.empty() ? "/" : "/" + out.name;
    co_return out;
  }
  Task<Outcome<Written>> put_in(Space& space, Place place, Content content, WriteOptions options) override {
    auto found = co_await find_in(space, place);
    Written out;
    out.created = !found;
    if (found) out.node = *found;
    if (found && options.when.fence && *options.when.fence != found->fence) co_return refuse("ws.lock_lost", "the fence moved on");
    if (auto may = space.charge(content.size, found ? 0 : 1, 1); !may) co_return std::unexpected(may.error());
    if (!found) {
      out.node.id = "n_" + to_hex16(spaces_.dependencies().random->next());
      out.node.parent = "root";
      out.node.name = place.path.substr(1);
      space.rows().put(space.row('d', "root" + place.path), out.node.id);
    }
    ++out.node.version;
    ++out.node.sequence;
    out.node.hash = content.hash;
    out.node.size = content.size;
    out.node.content_type = content.content_type;
    out.node.etag = content.hash.substr(0, 8) + std::to_string(out.node.version);
    out.node.path = place.path;
    space.rows().put(space.row('n', out.node.id), row_text(out.node));
    FileEvent event;
    event.type = found ? "file.updated" : "file.created";
    event.node = out.node.id;
    event.path = place.path;
    event.sequence = out.node.sequence;
    event.data = {{"cause", content.cause}};
    space.emit(std::move(event));
    co_return out;
  }
  Task<Outcome<void>> break_all_in(Space&, std::string) override {
    ++broken;
    co_return Outcome<void>{};
  }
  Task<Outcome<Written>> write(Actor actor, std::string workspace, Place place, std::string bytes, std::string type,
                               WriteOptions options) override {
    auto hash = co_await spaces_.dependencies().blobs->put(bytes);
    const Content content{*hash, static_cast<std::int64_t>(bytes.size()), type, "write", {}};
    const auto out = std::make_shared<Written>();
    auto done = co_await spaces_.mutate(actor, workspace, Role::Editor,
                                        [=, this](Space& space) { return put_shared(space, place, content, options, out); });
    if (!done) co_return std::unexpected(done.error());
    co_return *out;
  }
  Task<Outcome<Node>> stat(Actor actor, std::string workspace, Place place) override {
    const auto out = std::make_shared<Node>();
    auto done = co_await spaces_.mutate(actor, workspace, Role::Viewer, [=, this](Space& space) { return find_shared(space, place, out); });
    if (!done) co_return std::unexpected(done.error());
    co_return *out;
  }
  Task<Outcome<std::pair<Node, FileVersion>>> open(Actor actor, std::string workspace, Place place, std::uint64_t) override {
    auto node = co_await stat(std::move(actor), std::move(workspace), std::move(place));
    if (!node) co_return std::unexpected(node.error());
    FileVersion version;
    version.version = node->version;
    version.hash = node->hash;
    version.size = node->size;
    co_return std::pair{*node, version};
  }
  Task<Outcome<LockStatus>> locks(Actor, std::string, Place) override { co_return LockStatus{}; }
  Task<Result<void>> each_hash(std::function<void(std::string_view)> found) override {
    for (const std::string& id : spaces_.ids()) {
      const auto rows = spaces_.read();
      auto all = co_await rows->scan(KeyRange::prefix(keys::prefix(spaces_.partition_of(id), id, 'n')), 1'000);
      for (const auto& [key, value] : *all)
        if (const Node node = *row_as<Node>(key, value); !node.hash.empty()) found(node.hash);
    }
    co_return Result<void>{};
  }
  int broken = 0;

  Task<Outcome<NodePage>> list(Actor, std::string, Place, ListOptions) override { co_return none(); }
  Task<Outcome<ReadText>> read_text(Actor, std::string, Place, ReadOptions) override { co_return none(); }
  Task<Outcome<Written>> put(Actor, std::string, Place, Content, WriteOptions) override { co_return none(); }
  Task<Outcome<Edited>> edit(Actor, std::string, Place, std::vector<Edit>, bool, WriteOptions) override { co_return none(); }
  Task<Outcome<Node>> make_folder(Actor, std::string, std::string, bool, WriteOptions) override { co_return none(); }
  Task<Outcome<Node>> move(Actor, std::string, Place, std::string, bool, WriteOptions) override { co_return none(); }
  Task<Outcome<Node>> copy(Actor, std::string, Place, std::string, bool, WriteOptions) override { co_return none(); }
  Task<Outcome<Node>> remove(Actor, std::string, Place, WriteOptions) override { co_return none(); }
  Task<Outcome<Node>> set_metadata(Actor, std::string, Place, JsonObject, WriteOptions) override { co_return none(); }
  Task<Outcome<GrepResult>> grep(Actor, std::string, Place, GrepOptions) override { co_return none(); }
  Task<Outcome<JsonArray>> batch(Actor, std::string, JsonArray) override { co_return none(); }
  Task<Outcome<VersionPage>> versions(Actor, std::string, Place, std::size_t, std::string) override { co_return none(); }
  Task<Outcome<std::string>> diff(Actor, std::string, Place, std::uint64_t, std::uint64_t) override { co_return none(); }
  Task<Outcome<Written>> restore_version(Actor, std::string, Place, std::uint64_t, WriteOptions) override { co_return none(); }
  Task<Outcome<NodePage>> trash(Actor, std::string, std::size_t, std::string) override { co_return none(); }
  Task<Outcome<Node>> restore(Actor, std::string, std::string, std::string, WriteOptions) override { co_return none(); }
  Task<Outcome<std::int64_t>> purge(Actor, std::string, std::string) override { co_return none(); }
  Task<Outcome<Grant>> lock(Actor, std::string, LockRequest) override { co_return none(); }
  Task<Outcome<Grant>> renew_lock(Actor, std::string, Place, std::string, Millis) override { co_return none(); }
  Task<Outcome<void>> unlock(Actor, std::string, Place, std::string) override { co_return none(); }
  Task<Outcome<void>> break_lock(Actor, std::string, Place, std::string) override { co_return none(); }
  std::set<std::string> runs_with_locks() const override { return {}; }
  Task<Outcome<void>> renew_run(std::string) override { co_return none(); }
  Task<Outcome<void>> release_run(std::string) override { co_return none(); }
  Task<Result<void>> open() override { co_return Result<void>{}; }
  Task<> stop() override { co_return; }
  void crash() override {}

 private:
  static std::unexpected<Refusal> missing() { return refuse("ws.not_found", "nothing is there"); }
  static std::unexpected<Refusal> none() { return refuse("ws.invalid", "not part of this test"); }
  Task<Outcome<Json>> put_shared(Space& space, Place place, Content content, WriteOptions options, std::shared_ptr<Written> out) {
    auto written = co_await put_in(space, place, content, options);
    if (!written) co_return std::unexpected(written.error());
    *out = *written;
    co_return Json();
  }
  Task<Outcome<Json>> find_shared(Space& space, Place place, std::shared_ptr<Node> out) {
    auto node = co_await find_in(space, place);
    if (!node) co_return std::unexpected(node.error());
    *out = *node;
    co_return Json();
  }

  Spaces& spaces_;
};

inline Actor actor(std::string id, std::string organisation = "acme", ActorKind kind = ActorKind::Agent) {
  Actor out;
  out.id = id;
  out.label = "label of " + id;
  out.kind = kind;
  out.organisation = std::move(organisation);
  return out;
}

template <class T>
Task<> keep_result(Task<T> task, std::optional<T>* out) {
  out->emplace(co_await std::move(task));
}

/// One life of a server's workspaces; what is made of them is added by the tests.
struct ServiceLife {
  ServiceLife(SimDisk& disk, MemoryBlobStore& blobs, asio::io_context& io, SimClock& world, std::uint64_t seed)
      : clock(world), random(seed), store(disk, io.get_executor(), clock, random), tasks(io.get_executor()) {
    SpacesDependencies deps{.executor = io.get_executor()};
    deps.store = &store;
    deps.blobs = &blobs;
    deps.clock = &clock;
    deps.random = &random;
    deps.partitions = 4;
    deps.lease = [](keys::Partition p) { return Precondition::present(engine::keys::epoch(p)); };
    spaces = make_spaces(std::move(deps));
    files = std::make_unique<FlatFiles>(*spaces);
  }
  ~ServiceLife() { tasks.abandon(); }
  void die() {
    if (!clock.alive()) return;
    clock.die();
    if (!store.crashed()) store.crash();
    for (const auto& crash : crashes) crash();
    spaces->crash();
    tasks.abandon();
  }

  ProcessClock clock;
  SeededRandom random;
  SimStore store;
  std::unique_ptr<Spaces> spaces;
  std::unique_ptr<FlatFiles> files;
  std::unique_ptr<Bytes> bytes;
  std::unique_ptr<Sharing> sharing;
  std::unique_ptr<Events> events;
  std::vector<std::function<void()>> crashes;
  TaskGroup tasks;
};

class ServiceTest : public testing::Test {
 protected:
  ServiceTest() {
    for (keys::Partition p = 0; p < 4; ++p) disk.apply({.require = {}, .puts = {{engine::keys::epoch(p), "{}"}}, .deletes = {}});
  }
  ~ServiceTest() override {
    for (auto& life : lives) life->die();
    disk.release_crashed();
  }
  void SetUp() override { start(); }
  /// Makes the services that the test is about and opens them.
  virtual void furnish(ServiceLife& life) = 0;
  void start() {
    lives.push_back(std::make_unique<ServiceLife>(disk, blobs, io, clock, 1'000 + lives.size()));
    ASSERT_TRUE(run(life().spaces->open()));
    furnish(life());
  }
  void crash() {
    life().die();
    start();
  }
  ServiceLife& life() { return *lives.back(); }
  Spaces& spaces() { return *life().spaces; }

  /// Runs until the task has ended; time passes only when it waits for it.
  template <class T>
  T run(Task<T> task) {
    std::optional<T> out;
    life().tasks.spawn(keep_result(std::move(task), &out));
    for (int i = 0; !out && i < 1'000'000; ++i)
      if (io.poll_one() == 0 && !clock.advance()) break;
    EXPECT_TRUE(out) << "the task never ended";
    return std::move(*out);
  }
  /// For what a thread does: simulated time stands still.
  template <class T>
  T run_still(Task<T> task) {
    std::optional<T> out;
    life().tasks.spawn(keep_result(std::move(task), &out));
    while (!out) io.run_one();
    return std::move(*out);
  }
  void settle() {
    io.restart();
    while (io.poll() > 0) {
    }
  }
  void pass(Millis time) {
    bool there = false;
    const auto timer = clock.call_after(time, [&] { there = true; });
    while (!there) {
      settle();
      clock.advance();
    }
    settle();
  }
  std::string make_workspace(const Actor& owner, std::string name = "files") {
    Workspace wanted;
    wanted.name = std::move(name);
    auto made = run(spaces().create(owner, wanted));
    EXPECT_TRUE(made) << made.error().message;
    return made ? made->id : std::string();
  }
  Node write(const Actor& who, const std::string& workspace, const std::string& path, const std::string& text) {
    auto written = run(life().files->write(who, workspace, Place::at(path), text, "", {}));
    EXPECT_TRUE(written) << written.error().message;
    return written ? written->node : Node{};
  }
  /// The types of the workspace's events, oldest first.
  std::vector<std::string> told(const std::string& workspace) {
    std::vector<std::string> out;
    for (const FileEvent& event : events_of(workspace)) out.push_back(event.type);
    return out;
  }
  std::vector<FileEvent> events_of(const std::string& workspace) {
    std::vector<FileEvent> out;
    const std::string prefix = keys::prefix(spaces().partition_of(workspace), workspace, 'e');
    for (auto at = disk.cells().lower_bound(prefix); at != disk.cells().end() && at->first.starts_with(prefix); ++at)
      out.push_back(*row_as<FileEvent>(at->first, at->second.value));
    return out;
  }
  std::size_t rows_of(const std::string& workspace, char kind) {
    std::size_t out = 0;
    const std::string prefix = keys::prefix(spaces().partition_of(workspace), workspace, kind);
    for (auto at = disk.cells().lower_bound(prefix); at != disk.cells().end() && at->first.starts_with(prefix); ++at) ++out;
    return out;
  }

  asio::io_context io;
  decltype(asio::make_work_guard(io)) guard = asio::make_work_guard(io);
  SimClock clock;
  SimDisk disk;
  MemoryBlobStore blobs{clock};
  std::vector<std::unique_ptr<ServiceLife>> lives;
};

template <class T>
std::string code_of(const Outcome<T>& outcome) {
  return outcome ? "ok" : outcome.error().code;
}

}  // namespace mayfly::workspace
