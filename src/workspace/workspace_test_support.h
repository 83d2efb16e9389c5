#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/hash.h"
#include "blob/memory_blob_store.h"
#include "testing/sim_clock.h"
#include "testing/sim_store.h"
#include "workspace/files/files.h"

/// Workspaces and their files on a simulated disk that outlives the server.
namespace mayfly::workspace {

struct WorkspaceLife {
  WorkspaceLife(SimDisk& disk, MemoryBlobStore& blobs, asio::io_context& io, SimClock& world, std::uint64_t seed, Quota quota)
      : clock(world), random(seed), store(disk, io.get_executor(), clock, random), tasks(io.get_executor()) {
    SpacesDependencies deps{.executor = io.get_executor()};
    deps.store = &store;
    deps.blobs = &blobs;
    deps.clock = &clock;
    deps.random = &random;
    deps.partitions = 2;
    deps.lease = [](keys::Partition p) { return Precondition::present(engine::keys::epoch(p)); };
    deps.quota_default = quota;
    spaces = make_spaces(std::move(deps));
    files = make_files(*spaces);
  }
  ~WorkspaceLife() { tasks.abandon(); }
  void die() {
    clock.die();
    if (!store.crashed()) store.crash();
    files->crash();
    spaces->crash();
    tasks.abandon();
  }

  ProcessClock clock;
  SeededRandom random;
  SimStore store;
  std::unique_ptr<Spaces> spaces;
  std::unique_ptr<Files> files;
  TaskGroup tasks;
};

template <class T>
Task<> keep_workspace_result(Task<T> task, std::optional<T>* out) {
  out->emplace(co_await std::move(task));
}

inline Actor test_actor(const std::string& id, ActorKind kind, const std::string& organisation) {
  Actor out;
  out.id = id;
  out.label = id;
  out.kind = kind;
  out.organisation = organisation;
  return out;
}

/// A person, an agent who is a member of the workspace "main", and a stranger of another organisation who has a workspace, too.
class WorkspaceWorld {
 public:
  explicit WorkspaceWorld(Quota quota = {}) : quota_(quota) {
    for (keys::Partition p = 0; p < 2; ++p) disk.apply({.require = {}, .puts = {{engine::keys::epoch(p), "{}"}}, .deletes = {}});
    start();
    Workspace wanted;
    wanted.name = "main";
    auto made = run(spaces().create(person, wanted));
    EXPECT_TRUE(made);
    id = made->id;
    auto added = run(spaces().mutate(person, id, Role::Owner, [this](Space& space) { return add_member(&space, agent); }));
    EXPECT_TRUE(added);
  }
  ~WorkspaceWorld() {
    for (auto& life : lives) life->die();
    disk.release_crashed();
  }
  void start() {
    lives.push_back(std::make_unique<WorkspaceLife>(disk, blobs, io, clock, 1000 + lives.size(), quota_));
    EXPECT_TRUE(run(spaces().open()));
    EXPECT_TRUE(run(files().open()));
  }
  void crash() {
    lives.back()->die();
    start();
  }
  Spaces& spaces() { return *lives.back()->spaces; }
  Files& files() { return *lives.back()->files; }
  SimStore& store() { return lives.back()->store; }

  /// Runs until the task has ended; time passes only when it waits for it.
  template <class T>
  T run(Task<T> task) {
    std::optional<T> out;
    spawn(std::move(task), &out);
    for (int i = 0; !out && i < 3'000'000; ++i) {
      if (io.poll_one() > 0) continue;
      io.restart();
      if (!clock.advance()) break;
    }
    EXPECT_TRUE(out) << "the task never ended";
    return std::move(*out);
  }
  template <class T>
  void spawn(Task<T> task, std::optional<T>* out) {
    lives.back()->tasks.spawn(keep_workspace_result(std::move(task), out));
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

  Outcome<Written> write(const Actor& actor, const std::string& path, const std::string& text, WriteOptions options = {}) {
    return run(files().write(actor, id, Place::at(path), text, "", std::move(options)));
  }
  std::string read(const std::string& path) {
    auto out = run(files().read_text(person, id, Place::at(path), {}));
    return out ? out->text : out.error().code;
  }
  std::vector<std::string> names(const std::string& folder, ListOptions options = {}) {
    auto page = run(files().list(person, id, Place::at(folder), std::move(options)));
    std::vector<std::string> out;
    if (page)
      for (const Node& node : page->nodes) out.push_back(node.path);
    return out;
  }
  /// The types of all events so far.
  std::vector<std::string> events() {
    std::vector<std::string> out;
    const std::string prefix = keys::prefix(spaces().partition_of(id), id, 'e');
    for (const auto& [key, cell] : disk.cells())
      if (key.starts_with(prefix)) out.push_back(get_string(parse_json(cell.value)->get_object(), "type"));
    return out;
  }
  static Task<Outcome<Json>> add_member(Space* space, Actor actor) {
    Workspace next = space->workspace();
    next.members[actor.id] = {actor.id, actor.label, Role::Editor, std::nullopt, "test", space->now()};
    space->change(std::move(next));
    co_return Json();
  }

  asio::io_context io;
  decltype(asio::make_work_guard(io)) guard = asio::make_work_guard(io);
  SimClock clock;
  SimDisk disk;
  MemoryBlobStore blobs{clock};
  std::vector<std::unique_ptr<WorkspaceLife>> lives;
  Actor person = test_actor("key:person", ActorKind::Person, "acme");
  Actor agent = test_actor("agent:writer", ActorKind::Agent, "acme");
  Actor stranger = test_actor("key:stranger", ActorKind::Person, "other");
  std::string id;

 private:
  Quota quota_;
};

}  // namespace mayfly::workspace
