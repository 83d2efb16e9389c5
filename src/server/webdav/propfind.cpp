#include <algorithm>

#include "server/webdav/properties.h"
#include "workspace/paths.h"

namespace mayfly::webdav {
namespace {

using workspace::Node;
using workspace::NodeKind;
using workspace::Place;

constexpr std::size_t kPage = 500;

/// Folders with much in them are sent in pieces.
class Listing {
 public:
  explicit Listing(Dav* dav) : dav_(dav) {}
  Task<> begin() {
    text_ = multistatus_begin();
    net::Headers headers{{"Content-Type", "application/xml; charset=utf-8"}};
    co_await dav_->call->responder.start(207, std::move(headers));
  }
  void add(std::string response) { text_ += response; }
  Task<bool> flush() { co_return co_await dav_->call->responder.write(std::exchange(text_, {})); }
  Task<> end() {
    text_ += multistatus_end();
    if (co_await flush()) co_await dav_->call->responder.finish();
  }

 private:
  Dav* dav_;
  std::string text_;
};

Item workspace_item(const workspace::Workspace& space, std::string href) {
  Item out;
  out.node.kind = NodeKind::Folder;
  out.node.created = space.created;
  out.node.modified = space.updated;
  out.display_name = space.title.empty() ? space.name : space.title;
  out.href = std::move(href);
  return out;
}

/// /dav/ itself: the workspaces.
Task<Outcome<Reply>> list_workspaces(Dav* dav, AskedProperties asked, Depth depth) {
  Listing listing(dav);
  co_await listing.begin();
  Item root;
  root.node.kind = NodeKind::Folder;
  root.display_name = "Mayfly";
  root.href = "/dav/";
  listing.add(describe(*dav, asked, root));
  if (depth == Depth::One)
    for (const auto& space : dav->all->spaces->list(dav->actor, false))
      listing.add(describe(*dav, asked, workspace_item(space, href_of(space.name, "/", true))));
  co_await listing.end();
  co_return Reply();
}

std::vector<workspace::Lock> covering(const LockView& view, const std::string& path) {
  std::vector<workspace::Lock> out;
  for (const auto& lock : view.covering)
    if (lock.deep) out.push_back(lock);
  for (const auto& lock : view.below)
    if (lock.path == path) out.push_back(lock);
  return out;
}

using Quota = std::optional<std::pair<std::int64_t, std::int64_t>>;
Task<Outcome<Quota>> quota_of(Dav* dav, AskedProperties asked) {
  if (!asked.wants("quota-used-bytes") && !asked.wants("quota-available-bytes")) co_return Quota();
  auto found = dav->all->spaces->find(dav->actor, dav->space, workspace::Role::Viewer);
  if (!found) co_return std::unexpected(found.error());
  auto usage = co_await dav->all->spaces->usage(dav->actor, dav->space);
  if (!usage) co_return std::unexpected(usage.error());
  co_return Quota({usage->bytes, std::max<std::int64_t>(0, found->quota.bytes - usage->bytes)});
}

Item item_of(const Dav& dav, Node node, const std::string& path, Quota quota) {
  Item out;
  const bool is_folder = node.kind == NodeKind::Folder;
  out.href = href_of(dav.at.workspace, path, is_folder);
  out.display_name = path == "/" ? dav.at.workspace : node.name;
  out.node = std::move(node);
  out.quota = quota;
  return out;
}

/// Adds what a folder holds; an error after the beginning ends the answer early.
Task<Outcome<void>> list_children(Dav* dav, Listing* listing, const AskedProperties* asked, const LockView* view, Quota quota) {
  workspace::ListOptions options;
  options.limit = kPage;
  do {
    auto page = co_await dav->all->files->list(dav->actor, dav->space, Place::at(dav->at.path), options);
    if (!page) co_return std::unexpected(page.error());
    for (Node& node : page->nodes) {
      const std::string path = workspace::join_path(dav->at.path, node.name);
      Item item = item_of(*dav, std::move(node), path, quota);
      item.locks = covering(*view, path);
      listing->add(describe(*dav, *asked, item));
    }
    if (!co_await listing->flush()) co_return Outcome<void>{};
    options.after = page->next;
  } while (!options.after.empty());
  co_return Outcome<void>{};
}

struct Change {
  XmlName name;
  std::optional<std::string> value;  ///< nothing: removed
};

Outcome<std::vector<Change>> read_propertyupdate(std::string_view body) {
  const auto root = parse_xml(body);
  if (!root) return std::unexpected(root.error());
  std::vector<Change> out;
  for (const XmlNode* step : root->elements()) {
    const bool is_set = step->name.is_dav("set");
    const XmlNode* properties = is_set || step->name.is_dav("remove") ? step->child("prop") : nullptr;
    if (!properties) continue;
    for (const XmlNode* element : properties->elements()) {
      XmlNode kept = *element;
      // The language that the client's document says around it belongs to the value (RFC 4918 §4.3).
      for (const XmlNode* around : {properties, step, &*root})
        for (const XmlAttribute& attribute : around->attributes)
          if (attribute.name.name == "lang" && attribute.name.space.ends_with("/XML/1998/namespace") &&
              std::ranges::find(kept.attributes, attribute.name, &XmlAttribute::name) == kept.attributes.end())
            kept.attributes.push_back(attribute);
      out.push_back({element->name, is_set ? std::optional(to_xml(kept)) : std::nullopt});
    }
  }
  if (!root->name.is_dav("propertyupdate") || out.empty())
    return workspace::refuse("dav.invalid", "the body must be a DAV:propertyupdate that sets or removes at least one property");
  return out;
}

std::string propstat_of(const std::vector<Change>& changes, bool live, int status, std::string_view error) {
  std::string names;
  for (const Change& change : changes)
    if (is_live(change.name) == live) names += empty_element(change.name);
  if (names.empty()) return {};
  return "<D:propstat><D:prop>" + names + "</D:prop><D:status>" + status_line(status) + "</D:status>" + std::string(error) + "</D:propstat>";
}

}  // namespace

Task<Outcome<Reply>> do_propfind(Dav* dav) {
  auto depth = read_depth(dav->headers(), Depth::Infinity);
  if (!depth) co_return std::unexpected(depth.error());
  auto asked = read_propfind(dav->call->request.body);
  if (!asked) co_return std::unexpected(asked.error());
  if (*depth == Depth::Infinity)
    co_return error_answer(403, "propfind-finite-depth", "whole trees are not told at once; ask for each folder with Depth: 1");
  if (dav->at.workspace.empty()) co_return co_await list_workspaces(dav, std::move(*asked), *depth);
  auto node = co_await dav->all->files->stat(dav->actor, dav->space, Place::at(dav->at.path));
  if (!node) co_return std::unexpected(node.error());
  LockView view;
  if (asked->wants("lockdiscovery")) {
    auto looked = co_await look_at_locks(dav, dav->space, dav->at.path);
    if (!looked) co_return std::unexpected(looked.error());
    view = std::move(*looked);
  }
  auto quota = co_await quota_of(dav, *asked);
  if (!quota) co_return std::unexpected(quota.error());
  const bool is_folder = node->kind == NodeKind::Folder;
  Item item = item_of(*dav, std::move(*node), dav->at.path, *quota);
  item.locks = view.covering;
  Listing listing(dav);
  co_await listing.begin();
  listing.add(describe(*dav, *asked, item));
  if (is_folder && *depth == Depth::One) {
    auto listed = co_await list_children(dav, &listing, &*asked, &view, *quota);
    if (!listed) co_return std::unexpected(listed.error());
  }
  co_await listing.end();
  co_return Reply();
}

Task<Outcome<Reply>> do_proppatch(Dav* dav) {
  auto changes = read_propertyupdate(dav->call->request.body);
  if (!changes) co_return std::unexpected(changes.error());
  auto token = co_await check_locks(dav, dav->space, dav->at.path, Touches::Content);
  if (!token) co_return std::unexpected(token.error());
  auto node = co_await dav->all->files->stat(dav->actor, dav->space, Place::at(dav->at.path));
  if (!node) co_return std::unexpected(node.error());
  const bool has_live = std::ranges::any_of(*changes, [](const Change& change) { return is_live(change.name); });
  if (!has_live) {
    JsonObject patch;
    for (const Change& change : *changes) patch[dead_key(change.name)] = change.value ? Json(*change.value) : Json(nullptr);
    JsonObject metadata;
    metadata[kDeadProperties] = std::move(patch);
    auto written = co_await dav->all->files->set_metadata(dav->actor, dav->space, Place::at(dav->at.path), std::move(metadata), write_options(*token));
    if (!written) co_return std::unexpected(written.error());
  }
  net::Response out;
  out.status = 207;
  out.headers.add("Content-Type", "application/xml; charset=utf-8");
  out.body = multistatus_begin() + "<D:response><D:href>" + escape_xml(href_of(dav->at.workspace, dav->at.path, node->kind == NodeKind::Folder)) +
             "</D:href>" + propstat_of(*changes, true, 403, "<D:error><D:cannot-modify-protected-property/></D:error>") +
             propstat_of(*changes, false, has_live ? 424 : 200, "") + "</D:response>" + multistatus_end();
  co_return out;
}

}  // namespace mayfly::webdav
