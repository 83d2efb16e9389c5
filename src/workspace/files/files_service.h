#pragma once

#include <deque>
#include <map>
#include <set>

#include "workspace/files/files.h"
#include "workspace/files/lock_rows.h"
#include "workspace/files/tree.h"

namespace mayfly::workspace {

/// What a change does to a node, for the one function that decides whether it may.
enum class Touch {
  Overwrite,  ///< new content: the policy on preconditions counts
  Change,     ///< anything else that its etag guards
  Entry,      ///< it comes or goes: locks of its folder count, deep or not
};

class FilesService final : public Files {
 public:
  explicit FilesService(Spaces& spaces);
  ~FilesService() override;

  Task<Outcome<Node>> stat(Actor actor, std::string workspace, Place place) override;
  Task<Outcome<NodePage>> list(Actor actor, std::string workspace, Place folder, ListOptions options) override;
  Task<Outcome<ReadText>> read_text(Actor actor, std::string workspace, Place place, ReadOptions options) override;
  Task<Outcome<std::pair<Node, FileVersion>>> open(Actor actor, std::string workspace, Place place, std::uint64_t version) override;
  Task<Outcome<Written>> write(Actor actor, std::string workspace, Place place, std::string bytes, std::string content_type,
                               WriteOptions options) override;
  Task<Outcome<Written>> put(Actor actor, std::string workspace, Place place, Content content, WriteOptions options) override;
  Task<Outcome<Edited>> edit(Actor actor, std::string workspace, Place place, std::vector<Edit> edits, bool dry_run,
                             WriteOptions options) override;
  Task<Outcome<Node>> make_folder(Actor actor, std::string workspace, std::string path, bool parents, WriteOptions options) override;
  Task<Outcome<Node>> move(Actor actor, std::string workspace, Place from, std::string to, bool overwrite, WriteOptions options) override;
  Task<Outcome<Node>> copy(Actor actor, std::string workspace, Place from, std::string to, bool overwrite, WriteOptions options) override;
  Task<Outcome<Node>> remove(Actor actor, std::string workspace, Place place, WriteOptions options) override;
  Task<Outcome<Node>> set_metadata(Actor actor, std::string workspace, Place place, JsonObject merge_patch, WriteOptions options) override;
  Task<Outcome<GrepResult>> grep(Actor actor, std::string workspace, Place folder, GrepOptions options) override;
  Task<Outcome<JsonArray>> batch(Actor actor, std::string workspace, JsonArray operations) override;
  Task<Outcome<VersionPage>> versions(Actor actor, std::string workspace, Place place, std::size_t limit, std::string after) override;
  Task<Outcome<std::string>> diff(Actor actor, std::string workspace, Place place, std::uint64_t from, std::uint64_t to) override;
  Task<Outcome<Written>> restore_version(Actor actor, std::string workspace, Place place, std::uint64_t version,
                                         WriteOptions options) override;
  Task<Outcome<NodePage>> trash(Actor actor, std::string workspace, std::size_t limit, std::string after) override;
  Task<Outcome<Node>> restore(Actor actor, std::string workspace, std::string node, std::string to, WriteOptions options) override;
  Task<Outcome<std::int64_t>> purge(Actor actor, std::string workspace, std::string node) override;
  Task<Outcome<Grant>> lock(Actor actor, std::string workspace, LockRequest request) override;
  Task<Outcome<Grant>> renew_lock(Actor actor, std::string workspace, Place place, std::string token, Millis ttl) override;
  Task<Outcome<void>> unlock(Actor actor, std::string workspace, Place place, std::string token) override;
  Task<Outcome<void>> break_lock(Actor actor, std::string workspace, Place place, std::string reason) override;
  Task<Outcome<LockStatus>> locks(Actor actor, std::string workspace, Place place) override;
  std::set<std::string> runs_with_locks() const override;
  Task<Outcome<void>> renew_run(std::string run) override;
  Task<Outcome<void>> release_run(std::string run) override;
  Task<Outcome<Written>> put_in(Space& space, Place place, Content content, WriteOptions options) override;
  Task<Outcome<Node>> find_in(Space& space, Place place) override;
  Task<Outcome<void>> break_all_in(Space& space, std::string reason) override;
  Task<Result<void>> open() override;
  Task<> stop() override;
  void crash() override;
  Task<Result<void>> each_hash(std::function<void(std::string_view)> found) override;

 private:
  using Held = std::vector<StoredLock>;
  struct View {
    Workspace workspace;
    std::unique_ptr<Transaction> transaction;
    Rows rows;
  };
  /// Between commits, for those who may see it.
  Outcome<View> view(const Actor& actor, const std::string& workspace) const;

  // The checks and changes of every write (write.cpp, guard.cpp).
  Task<Outcome<void>> guard(Space* space, Spot spot, std::optional<Node> node, WriteOptions options, Touch touch);
  Task<Outcome<void>> guard_locks(Space* space, Spot spot, std::optional<Node> node, Preconditions when, Touch touch);
  Task<Outcome<std::string>> token_of_run(Space* space, Spot spot);
  Task<Outcome<void>> guard_below(Space* space, Spot spot);
  Task<Outcome<std::string>> make_parents(Space* space, Spot spot, bool allowed);
  Task<Outcome<Written>> put_checked(Space* space, Place place, Content content, WriteOptions options);
  Task<Outcome<Written>> replace_content(Space* space, Node node, Content content, WriteOptions options);
  Task<Outcome<Written>> create_content(Space* space, Spot spot, Content content, WriteOptions options);
  Task<Outcome<Node>> folder_in(Space* space, std::string path, bool parents, WriteOptions options);
  Task<Outcome<Node>> move_in(Space* space, Place from, std::string to, bool overwrite, WriteOptions options);
  Task<Outcome<Node>> remove_in(Space* space, Place place, WriteOptions options);
  Task<Outcome<Node>> copy_in(Space* space, Place from, std::string to, bool overwrite, WriteOptions options);
  Task<Outcome<std::string>> copy_some(Space* space, std::string from, std::string to, std::string after, std::string token);
  Task<Outcome<Node>> copy_top(Space* space, Place from, std::string to, bool overwrite, WriteOptions options);
  Task<Outcome<Node>> metadata_in(Space* space, Place place, JsonObject merge_patch, WriteOptions options);
  Task<Outcome<Node>> restore_in(Space* space, std::string node, std::string to, WriteOptions options);
  Task<Outcome<Edited>> edit_in(Space* space, Place place, std::vector<Edit> edits, WriteOptions options);
  Task<Outcome<JsonArray>> batch_in(Space* space, std::shared_ptr<const JsonArray> operations);
  Task<Outcome<JsonObject>> operation_in(Space* space, JsonObject operation);
  Task<Outcome<Node>> to_trash(Space* space, Node node);
  Task<Outcome<Spot>> clear_target(Space* space, Spot from, std::string to, bool overwrite, std::string token);
  Task<Preconditions> token_for(Rows rows, Spot spot, std::string token);
  Task<Refusal> with_diff(Refusal refusal, Actor actor, std::string workspace, Place place, std::string if_match);
  Task<Outcome<std::string>> text_of(std::string hash, std::int64_t size, std::int64_t most);

  // Answers that are given again (answers.cpp).
  Task<Outcome<std::optional<JsonObject>>> answer_of(Space* space, std::string kind, std::string key);
  void keep_answer(Space* space, std::string_view kind, const std::string& key, JsonObject answer);

  // Trash (trash.cpp).
  struct PurgeStep {
    bool done = false;
    std::int64_t nodes = 0;
  };
  Task<Outcome<PurgeStep>> purge_step(Space* space, std::string node);
  Task<Outcome<std::int64_t>> purge_one(Actor actor, std::string workspace, std::string node, Role needed);
  Task<Result<void>> purge_on(std::string workspace, Actor system);

  // Locks (locks.cpp, lock_care.cpp).
  struct Waiter {
    std::uint64_t ticket = 0;
    std::string node, blocked_on;
    LockMode mode = LockMode::Exclusive;
    bool woken = false;
    std::optional<Resume<bool>> resume;
    void call(bool in_time) {
      woken = true;
      if (auto now = std::exchange(resume, std::nullopt)) (*now)(in_time);
    }
  };
  using Waiters = std::deque<std::shared_ptr<Waiter>>;
  Task<Outcome<std::optional<StoredLock>>> conflict_of(Space* space, Spot spot, Node node, LockMode mode, bool deep, std::string except);
  Task<Outcome<Grant>> grant_in(Space* space, LockRequest request, std::shared_ptr<Waiter> waiter);
  Task<Outcome<Grant>> grant_again(Space* space, JsonObject before);
  Task<Outcome<Grant>> grant_new(Space* space, LockRequest request, Node node);
  Task<Outcome<Grant>> grant_of(Space* space, StoredLock lock, Node node);
  Task<bool> wait(std::shared_ptr<Waiter> waiter, Millis left, CancelToken cancel);
  Task<Outcome<Grant>> renew_in(Space* space, Place place, std::string token, Millis ttl);
  Task<Outcome<Json>> unlock_in(Space* space, Place place, std::string token);
  Task<Outcome<Json>> break_in(Space* space, Place place, std::string reason);
  Task<Outcome<Json>> expire_in(Space* space, std::string node, std::string lock);
  Task<Outcome<Json>> end_in(Space* space, std::string node, std::string lock);
  Task<Outcome<Json>> extend_in(Space* space, std::string node, std::string lock);
  Task<Outcome<std::string>> token_of(Rows rows, std::string lock);
  Task<Outcome<std::optional<StoredLock>>> find_token(Rows rows, std::vector<std::string> chain, std::string token);
  Task<> expire(std::string workspace, std::string node, std::string lock);
  Task<Outcome<void>> end_lock(Space* space, StoredLock lock, std::string event, std::string reason);
  void note_lock(Space* space, const StoredLock& lock);
  void forget_lock(Space* space, const StoredLock& lock);
  void arm(const std::string& workspace, const StoredLock& lock);
  void wake(const std::string& workspace, const std::string& node);
  /// How many wait before `self` (null: the end) for the same and would not share it.
  std::size_t earlier(const std::string& workspace, const std::string& node, LockMode mode, const Waiter* self) const;
  void leave(const std::string& workspace, const std::shared_ptr<Waiter>& waiter);
  Task<> care();
  Task<Result<void>> clean(std::string workspace);

  std::string make_id(std::string_view prefix);

  Spaces& spaces_;
  BlobStore& blobs_;
  Clock& clock_;
  Random& random_;
  TaskGroup tasks_;
  CancelSource stopping_;
  bool is_open_ = false;
  std::map<std::string, std::unique_ptr<Clock::Timer>> timers_;                ///< by "WS/LOCK"
  std::map<std::string, std::set<std::pair<std::string, std::string>>> runs_;  ///< run: workspace, "NODE/LOCK"
  std::map<std::string, Waiters> waiters_;                                     ///< by workspace, in order of arrival
  std::uint64_t tickets_ = 0;
};

}  // namespace mayfly::workspace
