#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/time.h"

/// The nouns of workspaces. An organisation has workspaces; a workspace is a tree of nodes (folders and files) with history.
namespace mayfly::workspace {

/// Each includes those before it.
enum class Role { None, Viewer, Commenter, Editor, Owner };
std::string_view to_string(Role role);
std::optional<Role> role_from_string(std::string_view text);

enum class ActorKind { Person, Agent, System };

/// Who acts. Made by the edge from a key, a token, a link or a run; never from what a caller says of itself.
struct Actor {
  std::string id;            ///< "key:1a2b3c4d", "agent:NAME", "link:ID", "system"; what members are named by
  std::string label;         ///< for people and lock holders: at most 100 characters
  ActorKind kind = ActorKind::Agent;
  std::string organisation;  ///< sees nothing of any other
  bool administrator = false;  ///< of the organisation: owner of all its workspaces
  bool read_only = false;
  std::string run;           ///< of an agent's run: its locks end with the run
  /// When set, all that this actor may touch: one workspace, at most this role there (scoped tokens, share links).
  std::optional<std::string> only_workspace;
  Role role_max = Role::Owner;
};

/// The policy for overwriting without If-Match: agents are refused with 428 unless Lenient; people never.
enum class WritePolicy { StrictForAgents, Lenient, StrictForAll };

struct Quota {
  std::int64_t bytes = 50LL << 30;       ///< all versions and trash count
  std::int64_t file_bytes = 1LL << 30;
  std::int64_t files = 1'000'000;        ///< nodes, trash included
  std::int64_t credits = 5'000;          ///< a month; a write, import or upload costs 1, an index of a file 1
};
struct Usage {
  std::int64_t bytes = 0, files = 0, credits = 0;
  std::string month;  ///< "2026-11": when it changes, credits start at 0
};

struct Member {
  std::string actor;
  std::string label;
  Role role = Role::Viewer;
  std::optional<TimePoint> expires;
  std::string added_by;
  TimePoint added{};
};

struct Workspace {
  std::string id;            ///< "ws_" and 16 characters base32
  std::string name;          ///< [a-z0-9][a-z0-9-_]{0,62}, unique in its organisation
  std::string title, description;
  std::string organisation;
  std::string owner;         ///< actor
  std::map<std::string, Member> members;  ///< the owner included; at most 200
  WritePolicy policy = WritePolicy::StrictForAgents;
  bool index = true;         ///< full-text search
  bool archived = false;     ///< read-only
  Quota quota;
  TimePoint created{}, updated{};
};

enum class NodeKind { Folder, File };

/// What lies at a path. `id` survives rename and move. The root of a workspace is the folder with the id "root".
struct Node {
  std::string id;              ///< "n_" and 16 characters base32; never used again
  NodeKind kind = NodeKind::File;
  std::string parent;          ///< a node's id; empty: the root
  std::string name;            ///< NFC; empty: the root
  std::string path;            ///< "/reports/may.json"; filled in when read, not stored
  std::uint64_t version = 0;   ///< of the content; 0: a folder
  std::uint64_t fence = 0;     ///< grows with every grant and break of an exclusive lock; never reset
  std::uint64_t sequence = 0;  ///< of the node's last event
  std::string etag;            ///< strong, without quotes; changes with every version, rename and move not included
  std::string hash;            ///< SHA-256 of the content; empty: a folder
  std::int64_t size = 0;
  std::string content_type;
  JsonObject metadata;         ///< the users'; at most 16 KiB
  std::string created_by, modified_by;  ///< actors
  TimePoint created{}, modified{};
  std::optional<TimePoint> deleted;     ///< in the trash
  std::string deleted_from, deleted_by; ///< the path where it was
};

struct FileVersion {
  std::uint64_t version = 0;
  std::string etag, hash, content_type, author, author_label;
  std::int64_t size = 0;
  TimePoint at{};
  std::string cause;  ///< "write", "edit", "upload", "import", "restore", "mirror", "copy"
  std::string note;   ///< "restored from version 3"
};

/// Where something is: a path ("/a/b.txt"; normalised, see paths.h) or a node's id.
struct Place {
  std::string path;
  std::string node;  ///< wins when set
  static Place at(std::string path) { return {std::move(path), {}}; }
  static Place of(std::string node) { return {{}, std::move(node)}; }
};

/// What must hold for a write to land; all in the same commit as the write.
struct Preconditions {
  std::optional<std::string> if_match;  ///< an etag, or "*": exists
  bool if_none_match = false;           ///< create only
  std::string lock_token;               ///< of one's own lock
  std::optional<std::uint64_t> fence;   ///< captured when the work was queued: a newer one is `ws.lock_lost`
  bool force = false;                   ///< overwrites knowingly: no `ws.precondition_required`. Locks still count
};

enum class LockMode { Exclusive, Shared };

struct Lock {
  std::string id;
  std::string node, path;
  LockMode mode = LockMode::Exclusive;
  std::string holder, holder_label;  ///< actor
  std::string run;                   ///< released when this run ends
  std::uint64_t fence = 0;
  TimePoint acquired{}, expires{};
  bool deep = true;                  ///< of a folder: covers what is below (WebDAV's depth infinity)
  std::string note;                  ///< the holder's own words (WebDAV's owner XML)
};

struct Grant {
  Lock lock;
  std::string token;  ///< "lk_" and 32 characters; only the holder gets it (a SHA-256 is stored)
  std::string etag;
  std::uint64_t version = 0;
  TimePoint server_time{};
};

/// CloudEvents' attributes are made from this (event_json in events.h).
struct FileEvent {
  std::uint64_t number = 0;    ///< of the workspace: the cursor
  std::string workspace, workspace_name, organisation;
  std::string type;            ///< "file.updated" …: the list in design's section Events
  std::string node;            ///< may be empty
  std::string path, old_path;
  std::uint64_t sequence = 0;  ///< of the node
  std::string actor, actor_label;
  TimePoint at{};
  JsonObject data;             ///< thin: version, etag, size, fence, …
};

}  // namespace mayfly::workspace
