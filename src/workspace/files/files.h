#pragma once

#include <memory>
#include <set>

#include "workspace/spaces.h"

namespace mayfly::workspace {

struct ListOptions {
  bool recursive = false;
  std::size_t limit = 200;  ///< at most 1,000
  std::string after;        ///< the `next` of the page before
  std::string glob;
};
struct NodePage {
  std::vector<Node> nodes;  ///< by name; folders carry a '/'-free name as files do
  std::string next;         ///< empty: the end
};

struct Written {
  Node node;
  bool created = false;
  bool unchanged = false;   ///< the same bytes as before: no new version
  std::uint64_t event = 0;
};

/// Content that has been put into the blob store already.
struct Content {
  std::string hash;
  std::int64_t size = 0;
  std::string content_type;  ///< empty: by name
  std::string cause = "write";
  std::string note;
};

struct WriteOptions {
  Preconditions when;
  bool make_folders = true;
  std::string idempotency_key;  ///< the same within a day returns the first answer
};

struct Edit {
  enum class Kind { Replace, Insert, Append } kind = Kind::Replace;
  std::string old_text;   ///< Replace: must occur exactly once unless `all`
  std::string new_text;
  bool all = false;
  std::int64_t line = 0;  ///< Insert: after this line; 0: at the beginning
};

struct ReadText {
  Node node;
  std::string text;
  std::int64_t first_line = 1, last_line = 0, lines = 0;
  bool truncated = false;
  std::string note;  ///< what to do when truncated or no text
};
struct ReadOptions {
  std::int64_t line_first = 0, line_last = 0;    ///< 1-based, inclusive; 0: from the start, to the end
  std::int64_t byte_first = -1, byte_last = -1;  ///< inclusive; -1: none
  std::size_t budget = 64 * 1024;                ///< bytes of text
  std::uint64_t version = 0;                     ///< 0: the newest
};

struct GrepOptions {
  std::string pattern;    ///< literal, or an RE2-like safe subset when `regex` (bounded work; see files/grep.h)
  bool regex = false, ignore_case = false;
  std::string glob;
  std::size_t matches_max = 100;
  int context = 0;
};
struct GrepMatch {
  std::string path, node;
  std::int64_t line = 0;
  std::string text;       ///< at most 500 bytes
  std::vector<std::string> before, after;
};
struct GrepResult {
  std::vector<GrepMatch> matches;
  std::size_t files_searched = 0, files_skipped = 0;
  bool truncated = false;
};

struct LockRequest {
  Place at;
  LockMode mode = LockMode::Exclusive;
  Millis ttl{60'000};     ///< 5 s … 1 h
  Millis wait{0};         ///< at most 25 s; waiters are served in order
  std::string idempotency_key;
  bool deep = true;
  bool create = false;    ///< an empty file when nothing is there (WebDAV)
  std::string note;
  CancelToken cancel;     ///< ends the wait
};

struct VersionPage {
  std::vector<FileVersion> versions;  ///< newest first
  std::string next;
};

/// The tree, its history and its locks. Every write is checked against locks, fence and preconditions in the commit that makes it.
class Files {
 public:
  virtual ~Files() = default;

  virtual Task<Outcome<Node>> stat(Actor actor, std::string workspace, Place place) = 0;
  virtual Task<Outcome<NodePage>> list(Actor actor, std::string workspace, Place folder, ListOptions options) = 0;
  virtual Task<Outcome<ReadText>> read_text(Actor actor, std::string workspace, Place place, ReadOptions options) = 0;
  /// The version whose bytes are to be sent; take them with BlobStore::open(hash).
  virtual Task<Outcome<std::pair<Node, FileVersion>>> open(Actor actor, std::string workspace, Place place, std::uint64_t version) = 0;

  /// Puts small content: bytes to the blob store, then `put`.
  virtual Task<Outcome<Written>> write(Actor actor, std::string workspace, Place place, std::string bytes, std::string content_type, WriteOptions options) = 0;
  virtual Task<Outcome<Written>> put(Actor actor, std::string workspace, Place place, Content content, WriteOptions options) = 0;
  struct Edited {
    Written written;
    std::string diff;       ///< unified
    std::size_t replaced = 0;
  };
  virtual Task<Outcome<Edited>> edit(Actor actor, std::string workspace, Place place, std::vector<Edit> edits, bool dry_run, WriteOptions options) = 0;
  virtual Task<Outcome<Node>> make_folder(Actor actor, std::string workspace, std::string path, bool parents, WriteOptions options) = 0;
  /// `overwrite`: what is at the destination goes to the trash.
  virtual Task<Outcome<Node>> move(Actor actor, std::string workspace, Place from, std::string to, bool overwrite, WriteOptions options) = 0;
  /// Folders with all below, at most 10,000 nodes; in several commits when more than fit one, the folder appearing first.
  virtual Task<Outcome<Node>> copy(Actor actor, std::string workspace, Place from, std::string to, bool overwrite, WriteOptions options) = 0;
  /// To the trash; a folder with all below it as one entry.
  virtual Task<Outcome<Node>> remove(Actor actor, std::string workspace, Place place, WriteOptions options) = 0;
  virtual Task<Outcome<Node>> set_metadata(Actor actor, std::string workspace, Place place, JsonObject merge_patch, WriteOptions options) = 0;
  virtual Task<Outcome<GrepResult>> grep(Actor actor, std::string workspace, Place folder, GrepOptions options) = 0;
  /// All or nothing, in order, at most 20: {"op": "write|edit|move|copy|delete|folder", …} in the form of the MCP tools' arguments.
  virtual Task<Outcome<JsonArray>> batch(Actor actor, std::string workspace, JsonArray operations) = 0;

  virtual Task<Outcome<VersionPage>> versions(Actor actor, std::string workspace, Place place, std::size_t limit, std::string after) = 0;
  /// Unified; `to` 0: the newest. At most 64 KiB.
  virtual Task<Outcome<std::string>> diff(Actor actor, std::string workspace, Place place, std::uint64_t from, std::uint64_t to) = 0;
  virtual Task<Outcome<Written>> restore_version(Actor actor, std::string workspace, Place place, std::uint64_t version, WriteOptions options) = 0;

  virtual Task<Outcome<NodePage>> trash(Actor actor, std::string workspace, std::size_t limit, std::string after) = 0;
  /// To where it was, or to `to`. Error `ws.exists` when something is there.
  virtual Task<Outcome<Node>> restore(Actor actor, std::string workspace, std::string node, std::string to, WriteOptions options) = 0;
  /// For good; empty node: all of the trash. Answer: how many nodes.
  virtual Task<Outcome<std::int64_t>> purge(Actor actor, std::string workspace, std::string node) = 0;

  virtual Task<Outcome<Grant>> lock(Actor actor, std::string workspace, LockRequest request) = 0;
  /// Also after the expiry while fence and etag are unchanged and nobody else has it. Error: `ws.lock_lost`.
  virtual Task<Outcome<Grant>> renew_lock(Actor actor, std::string workspace, Place place, std::string token, Millis ttl) = 0;
  virtual Task<Outcome<void>> unlock(Actor actor, std::string workspace, Place place, std::string token) = 0;
  virtual Task<Outcome<void>> break_lock(Actor actor, std::string workspace, Place place, std::string reason) = 0;  ///< owners
  struct LockStatus {
    std::vector<Lock> locks;  ///< on the node, above it (deep) and, for a folder, below it
    std::size_t waiting = 0;
    std::uint64_t fence = 0;
  };
  virtual Task<Outcome<LockStatus>> locks(Actor actor, std::string workspace, Place place) = 0;
  /// The locks of a run: renewed while it lives, released when it has ended. Called by the server for runs that hold locks.
  virtual std::set<std::string> runs_with_locks() const = 0;
  virtual Task<Outcome<void>> renew_run(std::string run) = 0;
  virtual Task<Outcome<void>> release_run(std::string run) = 0;
  /// Used inside other services' commits: the same checks and changes as `put`, in their `mutate`.
  virtual Task<Outcome<Written>> put_in(Space& space, Place place, Content content, WriteOptions options) = 0;
  /// Reads a node inside somebody's commit. Error: `ws.not_found`.
  virtual Task<Outcome<Node>> find_in(Space& space, Place place) = 0;
  /// Ends all locks (an accepted transfer), in the given commit.
  virtual Task<Outcome<void>> break_all_in(Space& space, std::string reason) = 0;
  /// Locks whose time has come are ended (event lock.expired); runs by itself between open and stop.
  virtual Task<Result<void>> open() = 0;
  virtual Task<> stop() = 0;
  virtual void crash() = 0;

  /// Every hash that a version of any workspace names, in pages: for the collector (bytes/collector.h).
  virtual Task<Result<void>> each_hash(std::function<void(std::string_view)> found) = 0;
};

std::unique_ptr<Files> make_files(Spaces& spaces);

}  // namespace mayfly::workspace
