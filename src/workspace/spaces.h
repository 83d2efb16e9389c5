#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "blob/blob_store.h"
#include "engine/engine.h"
#include "runtime/clock.h"
#include "runtime/random.h"
#include "workspace/keys.h"
#include "workspace/transaction.h"
#include "workspace/types.h"

/// The kernel: which workspaces there are, who may do what, and one writer for each. Files, locks, uploads and sharing are built on it.
namespace mayfly::workspace {

struct SpacesDependencies {
  Executor executor;
  Store* store = nullptr;
  BlobStore* blobs = nullptr;  ///< of files' contents alone: what no version names is collected
  Clock* clock = nullptr;
  Random* random = nullptr;
  keys::Partition partitions = 16;
  std::function<Precondition(keys::Partition)> lease;
  Quota quota_default;
  std::size_t workspaces_max = 10'000;  ///< in an organisation
};

/// One workspace while it is being changed. Valid for one `mutate` call.
class Space {
 public:
  virtual ~Space() = default;
  virtual const Workspace& workspace() const = 0;
  virtual Transaction& rows() = 0;
  virtual TimePoint now() const = 0;
  virtual const Actor& actor() const = 0;
  virtual keys::Partition partition() const = 0;
  std::string row(char kind, std::string_view rest) const { return keys::row(partition(), workspace().id, kind, rest); }
  std::string prefix(char kind, std::string_view rest = {}) const { return keys::prefix(partition(), workspace().id, kind, rest); }

  /// Changes the workspace's own row in this commit.
  virtual void change(Workspace workspace) = 0;
  virtual const Usage& usage() const = 0;
  /// Counts against the quota; negative gives back. Error: `ws.quota` (and the event quota.exceeded is written, once an hour).
  virtual Outcome<void> charge(std::int64_t bytes, std::int64_t files, std::int64_t credits) = 0;
  /// Writes the event and its outbox row in this commit; number (the answer), time, actor and workspace are filled in. Wakes those who wait once it is durable.
  virtual std::uint64_t emit(FileEvent event) = 0;
  /// Called once the commit is durable (never when it failed).
  virtual void after_commit(std::function<void()> done) = 0;
};

/// All workspaces of this process. Every change of a workspace goes through `mutate`: requests gather while a commit is under way, then go into
/// one batch together (a request that fails is taken back alone), and are answered once it is durable.
class Spaces {
 public:
  virtual ~Spaces() = default;
  /// Loads the directory. Once the engine has its leases.
  virtual Task<Result<void>> open() = 0;
  virtual Task<> stop() = 0;
  virtual void crash() = 0;

  /// By id or, in the actor's organisation, by name; only with at least `needed`. Errors: `ws.not_found` (none, or nothing that this actor may see),
  /// `ws.forbidden` (sees it, but the role is not enough; or a read-only actor asks for more than Viewer; Commenter may comment), `ws.archived` (needed ≥ Commenter).
  virtual Outcome<Workspace> find(const Actor& actor, const std::string& workspace, Role needed) const = 0;
  virtual std::vector<Workspace> list(const Actor& actor, bool archived) const = 0;
  virtual Role role_of(const Actor& actor, const Workspace& workspace) const = 0;
  /// Of everybody; for the program's own work.
  virtual std::vector<std::string> ids() const = 0;
  virtual const Workspace* by_id(const std::string& id) const = 0;

  virtual Task<Outcome<Workspace>> create(Actor actor, Workspace wanted) = 0;  ///< name, title, description, policy, index count
  virtual Task<Outcome<Usage>> usage(Actor actor, std::string workspace) = 0;
  /// title, description, name, policy, index, quota (administrators only).
  virtual Task<Outcome<Workspace>> update(Actor actor, std::string workspace, JsonObject changes) = 0;
  virtual Task<Outcome<Workspace>> archive(Actor actor, std::string workspace, bool archived) = 0;
  /// For good, an archived one only: its rows go, its blobs are collected.
  virtual Task<Outcome<void>> remove(Actor actor, std::string workspace) = 0;

  using Change = std::function<Task<Outcome<Json>>(Space& space)>;
  /// Runs `change` when it is its turn and answers once its commit is durable, with its value. `change` may run again (a commit that failed), must not
  /// wait for anything but rows and blobs, and at most change 60 rows. A commit whose outcome is unknown gives the store's error; run again it must find what it did
  /// (idempotency keys, etags). Checks the role with `find` at its turn.
  virtual Task<Outcome<Json>> mutate(Actor actor, std::string workspace, Role needed, Change change) = 0;
  /// Reads at a moment between commits (a Transaction without changes).
  virtual std::unique_ptr<Transaction> read() const = 0;
  virtual keys::Partition partition_of(const std::string& workspace_id) const = 0;

  /// Called on the loop for every durable event, in order per workspace.
  virtual void on_event(std::function<void(const FileEvent&)> listener) = 0;
  virtual const SpacesDependencies& dependencies() const = 0;
};

std::unique_ptr<Spaces> make_spaces(SpacesDependencies dependencies);

}  // namespace mayfly::workspace
