#include "workspace/files/tree.h"

#include <algorithm>

#include "base/hash.h"
#include "workspace/paths.h"

namespace mayfly::workspace {
namespace {

constexpr std::size_t kWalkMax = 512;  // folders that were moved below others may lie deeper than a path may be long

Task<Outcome<Spot>> resolve_id(Rows rows, std::string id) {
  Spot out;
  const Place place = Place::of(id);
  for (std::size_t depth = 0; depth < kWalkMax; ++depth) {
    auto node = co_await read_node(rows, id);
    if (!node) co_return std::unexpected(node.error());
    if (!*node || (*node)->deleted) co_return std::unexpected(no_such(place));
    out.chain.push_back(id);
    if (id == "root") {
      std::ranges::reverse(out.chain);
      if (out.path.empty()) out.path = "/";
      co_return out;
    }
    out.path = "/" + (*node)->name + out.path;
    id = (*node)->parent;
  }
  co_return refuse("ws.invalid_path", "this lies deeper than a path may be; move one of its folders up");
}

}  // namespace

Refusal no_such(const Place& place) {
  const std::string what = place.node.empty() ? "at '" + place.path.substr(0, 200) + "'" : "with the id '" + place.node.substr(0, 60) + "'";
  return {Error{"ws.not_found", "there is nothing " + what + " in this workspace; list its folder to see what is there", Retry::Never}};
}
Refusal exists_already(const Node& node) {
  return {Error{"ws.exists", "'" + node.path + "' is there already; choose another name, or overwrite it with its etag", Retry::Never},
          {{"etag", node.etag}, {"version", node.version}, {"node", node.id}}};
}
Refusal wrong_kind(const Node& node) {
  if (node.kind == NodeKind::Folder) return {Error{"ws.is_folder", "'" + node.path + "' is a folder; name a file in it", Retry::Never}};
  return {Error{"ws.not_folder", "'" + node.path + "' is a file; name a folder", Retry::Never}};
}

std::string entry_text(const Node& node) { return (node.kind == NodeKind::Folder ? "d" : "f") + node.id; }

std::uint64_t tell(Space& space, Node* node, std::string type, JsonObject data, std::string old_path) {
  FileEvent event;
  event.type = std::move(type);
  event.node = node->id;
  event.path = node->path;
  event.old_path = std::move(old_path);
  event.sequence = ++node->sequence;
  event.data = std::move(data);
  event.data["kind"] = node->kind == NodeKind::Folder ? "folder" : "file";
  if (node->kind == NodeKind::File) {
    event.data["version"] = node->version;
    event.data["etag"] = node->etag;
    event.data["size"] = node->size;
    event.data["content_type"] = node->content_type;
  }
  if (node->fence > 0) event.data["fence"] = node->fence;
  return space.emit(std::move(event));
}

std::string etag_of(const std::string& node, std::uint64_t version, const std::string& hash) {
  return sha256_hex(node + ":" + std::to_string(version) + ":" + hash).substr(0, 32);
}

Outcome<Entry> entry_of(std::string name, const std::string& text) {
  if (text.size() < 2 || (text[0] != 'd' && text[0] != 'f'))
    return refuse("store.damaged", "the entry '" + name + "' of a folder cannot be read: restore a backup");
  return Entry{text.substr(1), std::move(name), text[0] == 'd' ? NodeKind::Folder : NodeKind::File};
}

void put_node(Rows rows, const Node& node) { rows.rows->put(rows.row('n', node.id), row_text(node)); }
void put_entry(Rows rows, const Node& node) { rows.rows->put(rows.row('d', node.parent + "/" + node.name), entry_text(node)); }
void erase_entry(Rows rows, const Node& node) { rows.rows->erase(rows.row('d', node.parent + "/" + node.name)); }

Task<Outcome<std::optional<Node>>> read_node(Rows rows, std::string id) {
  // An id is used in a key: what could be no id is none.
  if (id.empty() || id.size() > 40 || id.contains('/') || id.contains('\0')) co_return std::optional<Node>();
  const std::string key = rows.row('n', id);
  auto row = co_await rows.rows->get(key);
  if (!row) co_return std::unexpected(Refusal(row.error()));
  if (!*row) co_return std::optional<Node>();
  auto node = row_as<Node>(key, **row);
  if (!node) co_return std::unexpected(Refusal(node.error()));
  co_return std::optional<Node>(std::move(*node));
}

Task<Outcome<std::optional<FileVersion>>> read_version(Rows rows, std::string node, std::uint64_t version) {
  const std::string key = rows.row('v', node + "/" + keys::number(version));
  auto row = co_await rows.rows->get(key);
  if (!row) co_return std::unexpected(Refusal(row.error()));
  if (!*row) co_return std::optional<FileVersion>();
  auto out = row_as<FileVersion>(key, **row);
  if (!out) co_return std::unexpected(Refusal(out.error()));
  co_return std::optional<FileVersion>(std::move(*out));
}

Task<Outcome<Spot>> resolve(Rows rows, Place place) {
  if (!place.node.empty()) co_return co_await resolve_id(rows, place.node);
  auto path = normal_path(place.path);
  if (!path) co_return std::unexpected(path.error());
  Spot out{*path, {"root"}, {}};
  bool in_file = false;
  for (const std::string& name : split_path(*path)) {
    if (!out.missing.empty()) {
      out.missing.push_back(name);
      continue;
    }
    if (in_file) co_return refuse("ws.not_folder", "a part of '" + *path + "' is a file, not a folder; choose another path");
    auto row = co_await rows.rows->get(rows.row('d', out.chain.back() + "/" + name));
    if (!row) co_return std::unexpected(Refusal(row.error()));
    if (!*row) {
      out.missing.push_back(name);
      continue;
    }
    auto entry = entry_of(name, **row);
    if (!entry) co_return std::unexpected(entry.error());
    out.chain.push_back(entry->id);
    in_file = entry->kind == NodeKind::File;
  }
  co_return out;
}

Task<Outcome<Node>> node_at(Rows rows, Spot spot) {
  if (!spot.exists()) co_return std::unexpected(no_such(Place::at(spot.path)));
  auto node = co_await read_node(rows, spot.id());
  if (!node) co_return std::unexpected(node.error());
  // Between its entry and the row the node may have been taken away.
  if (!*node || (*node)->deleted) co_return std::unexpected(no_such(Place::at(spot.path)));
  (*node)->path = spot.path;
  co_return std::move(**node);
}

Task<Outcome<Node>> find_node(Rows rows, Place place) {
  auto spot = co_await resolve(rows, std::move(place));
  if (!spot) co_return std::unexpected(spot.error());
  co_return co_await node_at(rows, std::move(*spot));
}

Task<Outcome<std::vector<Entry>>> entries(Rows rows, std::string folder, std::string after, std::size_t limit) {
  const std::string prefix = rows.prefix('d', folder);
  KeyRange range = KeyRange::prefix(prefix);
  if (!after.empty()) range.begin = prefix + after + '\0';
  auto found = co_await rows.rows->scan(range, limit);
  if (!found) co_return std::unexpected(Refusal(found.error()));
  std::vector<Entry> out;
  for (auto& [key, text] : *found) {
    auto entry = entry_of(key.substr(prefix.size()), text);
    if (!entry) co_return std::unexpected(entry.error());
    out.push_back(std::move(*entry));
  }
  co_return out;
}

}  // namespace mayfly::workspace
