#include "workspace/files/files_service.h"

#include "base/log.h"

namespace mayfly::workspace {
namespace {

constexpr Millis kCareEvery{3'600'000};
constexpr std::int64_t kAnswersKeptMs = 24 * 3'600'000;
constexpr std::size_t kErasedAtOnce = 50;

Task<Outcome<Json>> erase_in(Space* space, std::vector<std::string> keys) {
  for (std::string& key : keys) space->rows().erase(std::move(key));
  co_return Json();
}

}  // namespace

FilesService::FilesService(Spaces& spaces)
    : spaces_(spaces),
      blobs_(*spaces.dependencies().blobs),
      clock_(*spaces.dependencies().clock),
      random_(*spaces.dependencies().random),
      tasks_(spaces.dependencies().executor) {}

FilesService::~FilesService() = default;

std::string FilesService::make_id(std::string_view prefix) {
  constexpr std::string_view kDigits = "abcdefghijklmnopqrstuvwxyz234567";
  std::string out(prefix);
  std::uint64_t bits = random_.next();
  for (int i = 0; i < 16; ++i) {
    if (i == 12) bits = random_.next();
    out += kDigits[bits & 31];
    bits >>= 5;
  }
  return out;
}

Outcome<FilesService::View> FilesService::view(const Actor& actor, const std::string& workspace) const {
  auto found = spaces_.find(actor, workspace, Role::Viewer);
  if (!found) return std::unexpected(found.error());
  View out;
  out.transaction = spaces_.read();
  out.rows = {out.transaction.get(), spaces_.partition_of(found->id), found->id};
  out.workspace = std::move(*found);
  return out;
}

Task<Outcome<Node>> FilesService::find_in(Space& space, Place place) { return find_node(rows_of(space), std::move(place)); }

/// All locks are armed again: what expired while nobody ran is told now.
Task<Result<void>> FilesService::open() {
  for (const std::string& workspace : spaces_.ids()) {
    const auto transaction = spaces_.read();
    auto held = co_await all_locks({transaction.get(), spaces_.partition_of(workspace), workspace});
    if (!held) co_return fail(Error(held.error()));
    for (const StoredLock& stored : *held) {
      if (!stored.lock.run.empty() && !stored.lapsed) runs_[stored.lock.run].emplace(workspace, stored.lock.node + "/" + stored.lock.id);
      arm(workspace, stored);
    }
  }
  if (!std::exchange(is_open_, true)) tasks_.spawn(care());
  co_return Result<void>{};
}

Task<> FilesService::stop() {
  stopping_.cancel();
  timers_.clear();
  co_await tasks_.join();
  is_open_ = false;
}

void FilesService::crash() {
  timers_.clear();
  tasks_.abandon();
}

Task<> FilesService::care() {
  do {
    for (const std::string& workspace : spaces_.ids()) {
      if (stopping_.cancelled()) co_return;
      auto cleaned = co_await clean(workspace);
      if (!cleaned && !stopping_.cancelled())
        log::debug("a workspace could not be tidied up; it is tried again", {{"workspace", workspace}, {"error", cleaned.error().message}});
    }
  } while (co_await sleep_for(clock_, kCareEvery, stopping_.token()));
}

Task<Result<void>> FilesService::clean(std::string workspace) {
  const Workspace* there = spaces_.by_id(workspace);
  if (!there) co_return Result<void>{};
  Actor system;
  system.id = "system";
  system.label = "Mayfly";
  system.kind = ActorKind::System;
  system.organisation = there->organisation;
  if (auto purged = co_await purge_on(workspace, system); !purged) co_return purged;
  KeyRange range = KeyRange::prefix(keys::prefix(spaces_.partition_of(workspace), workspace, 'r'));
  for (;;) {
    auto found = co_await spaces_.dependencies().store->scan(range, 1'000, Direction::Forward);
    if (!found) co_return std::unexpected(found.error());
    std::vector<std::string> old;
    for (const Record& row : *found) {
      auto value = parse_json(row.value);
      if (value && value->is_object() && to_unix_ms(clock_.now()) - get_int(value->get_object(), "at") > kAnswersKeptMs)
        old.push_back(row.key);
    }
    for (std::size_t i = 0; i < old.size() && !stopping_.cancelled(); i += kErasedAtOnce) {
      const std::vector<std::string> some(old.begin() + static_cast<std::ptrdiff_t>(i),
                                          old.begin() + static_cast<std::ptrdiff_t>(std::min(old.size(), i + kErasedAtOnce)));
      Spaces::Change change = [some](Space& space) { return erase_in(&space, some); };
      if (auto done = co_await spaces_.mutate(system, workspace, Role::Viewer, std::move(change)); !done)
        co_return fail(Error(done.error()));
    }
    if (found->size() < 1'000) co_return Result<void>{};
    range.begin = found->back().key + '\0';
  }
}

std::unique_ptr<Files> make_files(Spaces& spaces) { return std::make_unique<FilesService>(spaces); }

}  // namespace mayfly::workspace
