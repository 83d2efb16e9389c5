#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>

#include "workspace/rows.h"
#include "workspace/spaces.h"

namespace mayfly::workspace {

/// A change on its way.
struct SpaceRequest {
  Actor actor;
  Role needed = Role::Editor;
  Spaces::Change change;
  std::optional<Resume<Outcome<Json>>> resume;
  Outcome<Json> answer = Json();
  std::vector<std::function<void()>> after;
};

/// One workspace and its writer.
struct SpaceSlot {
  Workspace workspace;
  std::optional<Counters> counters;  ///< none: to be read
  bool stale = false;                ///< a commit's outcome is unknown: the workspace's row is to be read
  bool pumping = false;
  bool removed = false;
  std::deque<std::unique_ptr<SpaceRequest>> inbox;
};

class SpacesService final : public Spaces {
 public:
  explicit SpacesService(SpacesDependencies dependencies) : deps_(std::move(dependencies)), group_(deps_.executor) {}

  Task<Result<void>> open() override;
  Task<> stop() override;
  void crash() override;
  Outcome<Workspace> find(const Actor& actor, const std::string& workspace, Role needed) const override;
  std::vector<Workspace> list(const Actor& actor, bool archived) const override;
  Role role_of(const Actor& actor, const Workspace& workspace) const override;
  std::vector<std::string> ids() const override;
  const Workspace* by_id(const std::string& id) const override;
  Task<Outcome<Workspace>> create(Actor actor, Workspace wanted) override;
  Task<Outcome<Usage>> usage(Actor actor, std::string workspace) override;
  Task<Outcome<Workspace>> update(Actor actor, std::string workspace, JsonObject changes) override;
  Task<Outcome<Workspace>> archive(Actor actor, std::string workspace, bool archived) override;
  Task<Outcome<void>> remove(Actor actor, std::string workspace) override;
  Task<Outcome<Json>> mutate(Actor actor, std::string workspace, Role needed, Change change) override;
  std::unique_ptr<Transaction> read() const override { return std::make_unique<Transaction>(*deps_.store); }
  keys::Partition partition_of(const std::string& id) const override { return keys::partition_of_workspace(id, deps_.partitions); }
  void on_event(std::function<void(const FileEvent&)> listener) override { listeners_.push_back(std::move(listener)); }
  const SpacesDependencies& dependencies() const override { return deps_; }

 private:
  using SlotPtr = std::shared_ptr<SpaceSlot>;
  struct Round;

  SlotPtr slot_of(const Actor& actor, const std::string& workspace) const;
  Outcome<Workspace> allowed(const Actor& actor, const Workspace& workspace, Role needed) const;
  Task<> pump(SlotPtr slot);
  Task<Result<void>> load(SlotPtr slot);
  Task<bool> apply(Round* round, std::unique_ptr<SpaceRequest> request);
  Task<Result<void>> commit(Round* round);
  void finish(Round* round, const Result<void>& committed);
  Task<> clear_away(std::string id);
  Outcome<Workspace> changed(const Actor& actor, Workspace workspace, const JsonObject& changes) const;
  bool name_taken(const std::string& organisation, const std::string& name, const std::string& except) const;
  std::string make_id();

  SpacesDependencies deps_;
  std::map<std::string, SlotPtr> slots_;
  std::set<std::pair<std::string, std::string>> being_made_;
  std::vector<std::function<void(const FileEvent&)>> listeners_;
  bool open_ = false, stopping_ = false;
  CancelSource stop_;
  TaskGroup group_;
};

}  // namespace mayfly::workspace
