#include "workspace/files/files_service.h"

/// Metadata, versions taken back, and several changes at once.
namespace mayfly::workspace {
namespace {

constexpr std::size_t kMetadataBytesMax = 16 * 1024;
constexpr std::size_t kOperationsMax = 20;
constexpr std::size_t kContentBytesMax = 4 << 20;
constexpr int kDepthOfMetadataMax = 16;

/// RFC 7396.
void merge_patch(JsonObject* into, const JsonObject& patch, int depth) {
  for (const auto& [name, value] : patch) {
    if (value.is_null()) {
      into->erase(name);
    } else if (value.is_object() && depth < kDepthOfMetadataMax) {
      Json& at = (*into)[name];
      if (!at.is_object()) at = JsonObject();
      merge_patch(&at.get_object(), value.get_object(), depth + 1);
    } else {
      (*into)[name] = value;
    }
  }
}

std::vector<Edit> edits_of(const JsonObject& operation) {
  std::vector<Edit> out;
  const auto add = [&out](const JsonObject& one) {
    Edit edit;
    edit.old_text = get_string(one, "old_text");
    edit.new_text = get_string(one, "new_text");
    edit.all = get_bool(one, "all");
    const std::string kind = get_string(one, "kind");
    edit.line = get_int(one, "line");
    if (kind == "append" || get_bool(one, "append")) edit.kind = Edit::Kind::Append;
    if (kind == "insert" || one.contains("line")) edit.kind = Edit::Kind::Insert;
    out.push_back(std::move(edit));
  };
  if (const JsonArray* edits = get_array(operation, "edits")) {
    for (const Json& one : *edits)
      if (one.is_object()) add(one.get_object());
  } else {
    add(operation);
  }
  return out;
}

WriteOptions options_of(const JsonObject& operation) {
  WriteOptions out;
  if (const std::string etag = get_string(operation, "if_match"); !etag.empty()) out.when.if_match = etag;
  out.when.if_none_match = get_bool(operation, "create_only") || get_string(operation, "if_none_match") == "*";
  out.when.lock_token = get_string(operation, "lock_token");
  out.when.force = get_bool(operation, "force");
  if (operation.contains("fence")) out.when.fence = static_cast<std::uint64_t>(get_int(operation, "fence"));
  return out;
}

}  // namespace

Task<Outcome<Node>> FilesService::metadata_in(Space* space, Place place, JsonObject patch, WriteOptions options) {
  const Rows rows = rows_of(*space);
  auto spot = co_await resolve(rows, place);
  if (!spot) co_return std::unexpected(spot.error());
  auto node = co_await node_at(rows, *spot);
  if (!node) co_return std::unexpected(node.error());
  if (auto may = co_await guard(space, *spot, *node, options, Touch::Change); !may) co_return std::unexpected(may.error());
  merge_patch(&node->metadata, patch, 0);
  if (to_text(node->metadata).size() > kMetadataBytesMax)
    co_return refuse("ws.too_large", "metadata has at most 16 KiB; put more into a file");
  tell(*space, &*node, "file.updated", {{"metadata", true}});
  put_node(rows, *node);
  co_return node;
}

Task<Outcome<Node>> FilesService::set_metadata(Actor actor, std::string workspace, Place place, JsonObject patch, WriteOptions options) {
  std::function<Task<Outcome<Node>>(Space&)> change = [this, place, patch, options](Space& space) {
    return metadata_in(&space, place, patch, options);
  };
  co_return co_await change_space<Node>(&spaces_, std::move(actor), std::move(workspace), Role::Editor, std::move(change));
}

Task<Outcome<Written>> FilesService::restore_version(Actor actor, std::string workspace, Place place, std::uint64_t version,
                                                     WriteOptions options) {
  if (version == 0) co_return refuse("ws.invalid", "say which version is to come back");
  auto old = co_await open(actor, workspace, place, version);
  if (!old) co_return std::unexpected(old.error());
  // To name a version is to know that it replaces what is there.
  options.when.force = true;
  Content content{old->second.hash, old->second.size, old->second.content_type, "restore",
                  "restored from version " + std::to_string(version)};
  co_return co_await put(std::move(actor), std::move(workspace), Place::of(old->first.id), std::move(content), std::move(options));
}

Task<Outcome<JsonObject>> FilesService::operation_in(Space* space, JsonObject operation) {
  const std::string op = get_string(operation, "op"), path = get_string(operation, "path", get_string(operation, "from"));
  const std::string to = get_string(operation, "to", get_string(operation, "destination"));
  const bool overwrite = get_bool(operation, "overwrite");
  const WriteOptions options = options_of(operation);
  const Place place = operation.contains("node_id") ? Place::of(get_string(operation, "node_id")) : Place::at(path);
  Outcome<Node> node = refuse("ws.invalid", "op is one of write, edit, move, copy, delete, folder");
  if (op == "write") {
    const std::string text = get_string(operation, "content");
    if (text.size() > kContentBytesMax) co_return refuse("ws.too_large", "a batch writes at most 4 MiB a file; write it by itself");
    auto hash = co_await blobs_.put(text);
    if (!hash) co_return std::unexpected(Refusal(hash.error()));
    auto written = co_await put_in(
        *space, place, {*hash, static_cast<std::int64_t>(text.size()), get_string(operation, "content_type"), "write", {}}, options);
    node = written ? Outcome<Node>(std::move(written->node)) : std::unexpected(written.error());
  } else if (op == "edit") {
    auto edited = co_await edit_in(space, place, edits_of(operation), options);
    node = edited ? Outcome<Node>(std::move(edited->written.node)) : std::unexpected(edited.error());
  } else if (op == "move") {
    node = co_await move_in(space, place, to, overwrite, options);
  } else if (op == "copy") {
    node = co_await copy_in(space, place, to, overwrite, options);
  } else if (op == "delete") {
    node = co_await remove_in(space, place, options);
  } else if (op == "folder") {
    node = co_await folder_in(space, path, true, options);
  }
  if (!node) co_return std::unexpected(node.error());
  co_return JsonObject{{"op", op}, {"node", node->id}, {"path", node->path}, {"etag", node->etag}, {"version", node->version}};
}

Task<Outcome<JsonArray>> FilesService::batch_in(Space* space, std::shared_ptr<const JsonArray> operations) {
  JsonArray out;
  for (std::size_t i = 0; i < operations->size(); ++i) {
    const JsonObject* operation = (*operations)[i].if_object();
    if (!operation) co_return refuse("ws.invalid", "operation " + std::to_string(i) + " is no object; give {\"op\": …}");
    auto done = co_await operation_in(space, *operation);
    if (!done) {
      Refusal refusal = std::move(done.error());
      refusal.message = "operation " + std::to_string(i) + ", and so none of them: " + refusal.message;
      refusal.details["operation"] = i;
      co_return std::unexpected(std::move(refusal));
    }
    out.push_back(std::move(*done));
  }
  co_return out;
}

Task<Outcome<JsonArray>> FilesService::batch(Actor actor, std::string workspace, JsonArray operations) {
  if (operations.empty() || operations.size() > kOperationsMax) co_return refuse("ws.invalid", "a batch has 1 to 20 operations");
  const auto shared = std::make_shared<const JsonArray>(std::move(operations));
  std::function<Task<Outcome<JsonArray>>(Space&)> change = [this, shared](Space& space) { return batch_in(&space, shared); };
  co_return co_await change_space<JsonArray>(&spaces_, std::move(actor), std::move(workspace), Role::Editor, std::move(change));
}

}  // namespace mayfly::workspace
