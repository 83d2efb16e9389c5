#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "workspace/rows.h"
#include "workspace/spaces.h"

/// Where nodes are: entries (PPPP/F/WS/d/PARENT/NAME) lead from a folder to its nodes, nodes know their parents.
namespace mayfly::workspace {

/// A workspace's rows, in somebody's commit or between commits. The transaction outlives it.
struct Rows {
  Transaction* rows = nullptr;
  keys::Partition partition = 0;
  std::string workspace;
  std::string row(char kind, std::string_view rest) const { return keys::row(partition, workspace, kind, rest); }
  std::string prefix(char kind, std::string_view rest = {}) const { return keys::prefix(partition, workspace, kind, rest); }
};
inline Rows rows_of(Space& space) { return {&space.rows(), space.partition(), space.workspace().id}; }

/// What a place leads to.
struct Spot {
  std::string path;                  ///< normal
  std::vector<std::string> chain;    ///< ids from the root to the deepest node there is
  std::vector<std::string> missing;  ///< names that are not there
  bool exists() const { return missing.empty(); }
  const std::string& id() const { return chain.back(); }
};

struct Entry {
  std::string id, name;
  NodeKind kind = NodeKind::File;
};
std::string entry_text(const Node& node);
Outcome<Entry> entry_of(std::string name, const std::string& text);

/// Errors: `ws.invalid_path`, `ws.not_folder` (a file where a folder should be), `ws.not_found` (an id that is not there, or in the trash).
Task<Outcome<Spot>> resolve(Rows rows, Place place);
/// The node at a spot that exists, with its path. Error: `ws.not_found`.
Task<Outcome<Node>> node_at(Rows rows, Spot spot);
Task<Outcome<Node>> find_node(Rows rows, Place place);
/// The row alone, also of what is in the trash; nothing when it is not there.
Task<Outcome<std::optional<Node>>> read_node(Rows rows, std::string id);
Task<Outcome<std::optional<FileVersion>>> read_version(Rows rows, std::string node, std::uint64_t version);
/// Entries of a folder by name, after `after`.
Task<Outcome<std::vector<Entry>>> entries(Rows rows, std::string folder, std::string after, std::size_t limit);

void put_node(Rows rows, const Node& node);
void put_entry(Rows rows, const Node& node);
void erase_entry(Rows rows, const Node& node);
/// Emits an event of the node, whose sequence grows: put the node afterwards. Answer: the event's number.
std::uint64_t tell(Space& space, Node* node, std::string type, JsonObject data = {}, std::string old_path = {});
std::string etag_of(const std::string& node, std::uint64_t version, const std::string& hash);
Refusal no_such(const Place& place);
Refusal exists_already(const Node& node);
/// `ws.not_folder` or `ws.is_folder`.
Refusal wrong_kind(const Node& node);

/// A value of a change with its type kept.
template <class T>
Task<Outcome<Json>> keep_value(Task<Outcome<T>> task, std::shared_ptr<std::optional<T>> out) {
  auto value = co_await std::move(task);
  if (!value) co_return std::unexpected(std::move(value.error()));
  *out = std::move(*value);
  co_return Json();
}
/// `Spaces::mutate` for a change that answers with a T. `change` makes a task and is no coroutine itself.
template <class T>
Task<Outcome<T>> change_space(Spaces* spaces, Actor actor, std::string workspace, Role needed,
                              std::function<Task<Outcome<T>>(Space&)> change) {
  auto out = std::make_shared<std::optional<T>>();
  Spaces::Change keeping = [change = std::move(change), out](Space& space) { return keep_value<T>(change(space), out); };
  auto done = co_await spaces->mutate(std::move(actor), std::move(workspace), needed, std::move(keeping));
  if (!done) co_return std::unexpected(std::move(done.error()));
  co_return std::move(**out);
}

}  // namespace mayfly::workspace
