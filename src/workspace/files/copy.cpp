#include <algorithm>

#include "workspace/files/answers.h"
#include "workspace/files/files_service.h"
#include "workspace/paths.h"

namespace mayfly::workspace {
namespace {

constexpr std::size_t kCopiedMax = 10'000;
constexpr std::size_t kCopiedAtOnce = 6;

Content content_of(const Node& source) {
  return {source.hash, source.size, source.content_type, "copy",
          "copied from " + source.path + ", version " + std::to_string(source.version)};
}

/// Error: `ws.too_large` beyond what is copied at once.
Task<Outcome<std::size_t>> count_below(Rows rows, std::string top) {
  std::vector<std::string> folders{std::move(top)};
  std::size_t count = 0;
  while (!folders.empty()) {
    const std::string folder = std::move(folders.back());
    folders.pop_back();
    std::string after;
    for (bool more = true; more;) {
      auto found = co_await entries(rows, folder, after, 1'000);
      if (!found) co_return std::unexpected(found.error());
      more = found->size() == 1'000;
      count += found->size();
      if (count > kCopiedMax)
        co_return refuse("ws.too_large", "more than 10,000 nodes are not copied at once; copy its folders one by one");
      for (const Entry& entry : *found) {
        after = entry.name;
        if (entry.kind == NodeKind::Folder) folders.push_back(entry.id);
      }
    }
  }
  co_return count;
}

}  // namespace

Task<Outcome<Node>> FilesService::copy_in(Space* space, Place from, std::string to, bool overwrite, WriteOptions options) {
  const Rows rows = rows_of(*space);
  auto source = co_await find_node(rows, from);
  if (!source) co_return std::unexpected(source.error());
  if (source->kind == NodeKind::Folder) co_return std::unexpected(wrong_kind(*source));
  if (overwrite)
    options.when.force = true;
  else
    options.when.if_none_match = true;
  auto spot = co_await resolve(rows, from);
  if (!spot) co_return std::unexpected(spot.error());
  if (auto there = overwrite ? co_await find_node(rows, Place::at(to)) : Outcome<Node>(Node{}); there && there->kind == NodeKind::Folder && overwrite)
    if (auto cleared = co_await clear_target(space, *spot, to, true, options.when.lock_token); !cleared) co_return std::unexpected(cleared.error());
  auto written = co_await put_in(*space, Place::at(to), content_of(*source), options);
  if (!written) co_return std::unexpected(written.error());
  if (!source->metadata.empty() && written->node.metadata != source->metadata) {
    written->node.metadata = source->metadata;
    put_node(rows, written->node);
  }
  co_return std::move(written->node);
}

/// The folder that the copies go to. Asked again with the same idempotency key, the one that was made.
Task<Outcome<Node>> FilesService::copy_top(Space* space, Place from, std::string to, bool overwrite, WriteOptions options) {
  const Rows rows = rows_of(*space);
  auto before = co_await answer_of(space, "copy", options.idempotency_key);
  if (!before) co_return std::unexpected(before.error());
  if (*before) co_return co_await find_node(rows, Place::of(get_string(**before, "to")));
  auto spot = co_await resolve(rows, from);
  if (!spot) co_return std::unexpected(spot.error());
  auto target = co_await resolve(rows, Place::at(to));
  if (!target) co_return std::unexpected(target.error());
  if (!spot->exists()) co_return std::unexpected(no_such(Place::at(spot->path)));
  if (std::ranges::find(target->chain, spot->id()) != target->chain.end())
    co_return refuse("ws.invalid", "a folder cannot be copied into itself; choose a path outside of it");
  target = co_await clear_target(space, *spot, to, overwrite && !options.when.if_none_match, options.when.lock_token);
  if (!target) co_return std::unexpected(target.error());
  WriteOptions there;
  there.when.lock_token = (co_await token_for(rows, *target, options.when.lock_token)).lock_token;
  auto made = co_await folder_in(space, target->path, options.make_folders, there);
  if (made) keep_answer(space, "copy", options.idempotency_key, {{"to", made->id}});
  co_return made;
}

/// A few of a folder's nodes that are not there yet. Answer: the name to go on after; empty at the end.
Task<Outcome<std::string>> FilesService::copy_some(Space* space, std::string from, std::string to, std::string after, std::string token) {
  const Rows rows = rows_of(*space);
  auto spot = co_await resolve(rows, Place::of(to));
  if (!spot) co_return std::unexpected(spot.error());
  const Preconditions when = co_await token_for(rows, *spot, token);
  if (auto free = co_await guard_locks(space, *spot, std::nullopt, when, Touch::Entry); !free) co_return std::unexpected(free.error());
  auto found = co_await entries(rows, from, after, kCopiedAtOnce);
  if (!found) co_return std::unexpected(found.error());
  for (const Entry& entry : *found) {
    after = entry.name;
    auto there = co_await rows.rows->get(rows.row('d', to + "/" + entry.name));
    if (!there) co_return std::unexpected(Refusal(there.error()));
    if (*there) continue;
    auto source = co_await find_node(rows, Place::of(entry.id));
    if (!source) co_return std::unexpected(source.error());
    Spot place = *spot;
    place.path = join_path(place.path, entry.name);
    place.missing = {entry.name};
    if (entry.kind == NodeKind::Folder) {
      place.missing.push_back("x");
      place.path = join_path(place.path, "x");
      if (auto made = co_await make_parents(space, place, true); !made) co_return std::unexpected(made.error());
      continue;
    }
    auto made = co_await create_content(space, place, content_of(*source), {});
    if (!made) co_return std::unexpected(made.error());
    if (source->metadata.empty()) continue;
    made->node.metadata = source->metadata;
    put_node(rows, made->node);
  }
  co_return found->size() < kCopiedAtOnce ? std::string() : after;
}

Task<Outcome<Node>> FilesService::copy(Actor actor, std::string workspace, Place from, std::string to, bool overwrite,
                                       WriteOptions options) {
  auto source = co_await stat(actor, workspace, from);
  if (!source) co_return std::unexpected(source.error());
  if (source->kind == NodeKind::File) {
    std::function<Task<Outcome<Node>>(Space&)> change = [this, from, to, overwrite, options](Space& space) {
      return copy_in(&space, from, to, overwrite, options);
    };
    co_return co_await change_space<Node>(&spaces_, actor, workspace, Role::Editor, std::move(change));
  }
  auto seen = view(actor, workspace);
  if (!seen) co_return std::unexpected(seen.error());
  if (auto count = co_await count_below(seen->rows, source->id); !count) co_return std::unexpected(count.error());
  std::function<Task<Outcome<Node>>(Space&)> begin = [this, from, to, overwrite, options](Space& space) {
    return copy_top(&space, from, to, overwrite, options);
  };
  auto top = co_await change_space<Node>(&spaces_, actor, workspace, Role::Editor, std::move(begin));
  if (!top) co_return std::unexpected(top.error());
  std::vector<std::pair<std::string, std::string>> folders{{source->id, top->id}};
  while (!folders.empty()) {
    const auto [folder, into] = std::move(folders.back());
    folders.pop_back();
    std::string after;
    do {
      std::function<Task<Outcome<std::string>>(Space&)> some = [this, folder, into, after, token = options.when.lock_token](Space& space) {
        return copy_some(&space, folder, into, after, token);
      };
      auto next = co_await change_space<std::string>(&spaces_, actor, workspace, Role::Editor, std::move(some));
      if (!next) co_return std::unexpected(next.error());
      after = *next;
    } while (!after.empty());
    for (bool more = true; more;) {
      auto found = co_await entries(seen->rows, folder, after, 1'000);
      if (!found) co_return std::unexpected(found.error());
      more = found->size() == 1'000;
      for (const Entry& entry : *found) {
        after = entry.name;
        if (entry.kind != NodeKind::Folder) continue;
        auto row = co_await seen->rows.rows->get(seen->rows.row('d', into + "/" + entry.name));
        if (!row) co_return std::unexpected(Refusal(row.error()));
        if (!*row) continue;
        if (auto there = entry_of(entry.name, **row); there && there->kind == NodeKind::Folder) folders.emplace_back(entry.id, there->id);
      }
    }
  }
  co_return top;
}

}  // namespace mayfly::workspace
