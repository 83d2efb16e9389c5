#include <algorithm>

#include "workspace/bytes/link_token.h"
#include "workspace/sharing/sharing_service.h"

namespace mayfly::workspace {
namespace {

constexpr std::size_t kCommentsMax = 1'000;
constexpr std::size_t kTextBytesMax = 10'000;

std::unexpected<Refusal> no_comment() {
  return refuse("ws.not_found", "there is no such comment in this workspace; list the file's comments first");
}

Outcome<void> check_text(const std::string& text) {
  if (text.empty() || text.size() > kTextBytesMax || !is_utf8(text))
    return refuse("ws.invalid", "a comment is UTF-8 text of 1 to 10000 bytes");
  return {};
}

/// Ids start with the node's: "NODE.ULID".
std::optional<std::string> key_of(const Space& space, const std::string& id) {
  const std::size_t dot = id.find('.');
  const bool is_plain = id.size() <= 100 && std::ranges::all_of(id, [](char c) {
                          return c == '_' || c == '.' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
                        });
  if (dot == std::string::npos || !is_plain) return std::nullopt;
  return space.row('m', id.substr(0, dot) + "/" + id.substr(dot + 1));
}

struct Addition {
  Place place;
  std::string ulid;
  Comment comment;
};

Task<Outcome<Json>> add_in(Space& space, Files* files, std::shared_ptr<Addition> addition) {
  auto node = co_await files->find_in(space, addition->place);
  if (!node) co_return std::unexpected(node.error());
  Comment& comment = addition->comment;
  auto all = co_await space.rows().scan(KeyRange::prefix(space.prefix('m', node->id)), kCommentsMax);
  if (!all) co_return std::unexpected(Refusal(all.error()));
  if (all->size() >= kCommentsMax) co_return refuse("ws.quota", "a file has at most 1000 comments; remove resolved ones first");
  if (!comment.reply_to.empty()) {
    const auto key = key_of(space, comment.reply_to);
    const bool is_here = key && comment.reply_to.starts_with(node->id + ".") &&
                         std::ranges::any_of(*all, [&](const auto& row) { return row.first == *key; });
    if (!is_here) co_return no_comment();
  }
  comment.id = node->id + "." + addition->ulid;
  comment.node = node->id;
  comment.path = node->path;
  comment.author = space.actor().id;
  comment.author_label = space.actor().label;
  comment.created = comment.updated = space.now();
  space.rows().put(*key_of(space, comment.id), to_text(to_record(comment)));
  co_return Json(nullptr);
}

struct Change {
  std::string id, text;
  std::optional<bool> resolved;
  bool is_owner = false, remove = false;
  Comment comment;
};

Task<Outcome<Json>> change_in(Space& space, Files* files, std::shared_ptr<Change> change) {
  const auto key = key_of(space, change->id);
  if (!key) co_return no_comment();
  auto record = co_await read_object(space.rows(), *key);
  if (!record) co_return std::unexpected(record.error());
  if (!*record) co_return no_comment();
  Comment comment = comment_from_record(change->id, **record);
  const bool is_own = comment.author == space.actor().id;
  if (change->remove) {
    if (!is_own && !change->is_owner) co_return refuse("ws.forbidden", "only its author or an owner of the workspace can remove a comment");
    space.rows().erase(*key);
    co_return Json(nullptr);
  }
  if (!change->text.empty()) {
    if (!is_own) co_return refuse("ws.forbidden", "only its author can change a comment's text; reply to it instead");
    comment.text = change->text;
  }
  if (change->resolved) comment.resolved = *change->resolved;
  comment.updated = space.now();
  space.rows().put(*key, to_text(to_record(comment)));
  if (auto node = co_await files->find_in(space, Place::of(comment.node))) comment.path = node->path;
  change->comment = std::move(comment);
  co_return Json(nullptr);
}

}  // namespace

Task<Outcome<std::vector<Comment>>> SharingService::comments(Actor actor, std::string workspace, Place place) {
  auto found = spaces_.find(actor, workspace, Role::Viewer);
  if (!found) co_return std::unexpected(found.error());
  auto node = co_await files_.stat(std::move(actor), found->id, std::move(place));
  if (!node) co_return std::unexpected(node.error());
  const auto rows = spaces_.read();
  const std::string prefix = keys::prefix(spaces_.partition_of(found->id), found->id, 'm', node->id);
  auto all = co_await rows->scan(KeyRange::prefix(prefix), kCommentsMax);
  if (!all) co_return std::unexpected(Refusal(all.error()));
  std::vector<Comment> out;
  for (const auto& [key, value] : *all) {
    auto record = parse_json(value);
    if (!record || !record->is_object()) continue;
    out.push_back(comment_from_record(node->id + "." + key.substr(prefix.size()), record->get_object()));
    out.back().path = node->path;
  }
  co_return out;
}

Task<Outcome<Comment>> SharingService::add_comment(Actor actor, std::string workspace, Place place, Comment comment) {
  if (auto valid = check_text(comment.text); !valid) co_return std::unexpected(valid.error());
  if (comment.line < 0) co_return refuse("ws.invalid", "a comment's line is 1 or more, or 0 for the whole file");
  const auto addition = std::make_shared<Addition>();
  addition->place = std::move(place);
  addition->ulid = make_id("");
  addition->comment = std::move(comment);
  addition->comment.resolved = false;
  auto done = co_await spaces_.mutate(std::move(actor), std::move(workspace), Role::Commenter,
                                      [addition, files = &files_](Space& space) { return add_in(space, files, addition); });
  if (!done) co_return std::unexpected(done.error());
  co_return addition->comment;
}

Task<Outcome<Comment>> SharingService::change_comment(Actor actor, std::string workspace, std::string comment, std::string text,
                                                      std::optional<bool> resolved) {
  if (!text.empty())
    if (auto valid = check_text(text); !valid) co_return std::unexpected(valid.error());
  const auto change = std::make_shared<Change>();
  change->id = std::move(comment);
  change->text = std::move(text);
  change->resolved = resolved;
  auto done = co_await spaces_.mutate(std::move(actor), std::move(workspace), Role::Commenter,
                                      [change, files = &files_](Space& space) { return change_in(space, files, change); });
  if (!done) co_return std::unexpected(done.error());
  co_return change->comment;
}

Task<Outcome<void>> SharingService::remove_comment(Actor actor, std::string workspace, std::string comment) {
  const auto change = std::make_shared<Change>();
  change->id = std::move(comment);
  change->remove = true;
  change->is_owner = spaces_.find(actor, workspace, Role::Owner).has_value();
  auto done = co_await spaces_.mutate(std::move(actor), std::move(workspace), Role::Commenter,
                                      [change, files = &files_](Space& space) { return change_in(space, files, change); });
  if (!done) co_return std::unexpected(done.error());
  co_return Outcome<void>{};
}

}  // namespace mayfly::workspace
