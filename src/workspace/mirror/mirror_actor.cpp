#include "workspace/mirror/mirror_actor.h"

#include "base/glob.h"
#include "base/log.h"
#include "workspace/paths.h"

namespace mayfly::workspace {
namespace {

/// What could not be done (a lock, a full disk) is tried again after this, or when either side changes.
constexpr Millis kRetry{30'000};
constexpr std::size_t kBatchRows = 200;

Actor actor_of(const MirrorSpec& spec) {
  Actor out;
  out.id = "system";
  out.label = ("mirror of " + spec.directory).substr(0, 100);
  out.kind = ActorKind::System;
  return out;
}

}  // namespace

MirrorActor::MirrorActor(const MirrorDependencies& dependencies, MirrorSpec spec, std::map<std::string, Seen> seen)
    : spaces_(dependencies.spaces),
      files_(dependencies.files),
      actor_(actor_of(spec)),
      seen_(std::move(seen)),
      watch_(spaces_->dependencies().executor, [this] { kick(); }),
      tasks_(spaces_->dependencies().executor) {
  status_.spec = std::move(spec);
  status_.state = "scanning";
}

Result<void> MirrorActor::open() {
  auto folder = HostFolder::open(status_.spec.directory);
  if (!folder) {
    status_.state = "failed";
    status_.last_error = folder.error().message;
    return fail(folder.error());
  }
  folder_.emplace(std::move(*folder));
  if (auto opened = watch_.open(); !opened) return opened;
  tasks_.spawn(watch_.run());
  tasks_.spawn(run());
  return {};
}

Task<> MirrorActor::stop() {
  stopping_ = true;
  retry_.reset();
  watch_.close();
  kick();
  co_await tasks_.join();
}

void MirrorActor::kick() {
  kicked_ = true;
  if (waiting_) (*std::exchange(waiting_, std::nullopt))(true);
}

Task<> MirrorActor::wait() {
  if (kicked_ || stopping_) co_return;
  co_await suspend<bool>([this](Resume<bool> resume) { waiting_ = std::move(resume); });
}

Task<> MirrorActor::run() {
  while (!stopping_) {
    kicked_ = false;
    retry_.reset();
    status_.state = "scanning";
    status_.last_error.clear();
    auto done = co_await pass();
    if (!done) status_.last_error = done.error().message;
    status_.state = done ? "watching" : "failed";
    if (!status_.last_error.empty() && !stopping_) {
      log::warn("a mirror could not be brought into step; it tries again", {{"directory", status_.spec.directory}, {"error", status_.last_error}});
      retry_ = spaces_->dependencies().clock->call_after(kRetry, [this] { kick(); });
    }
    co_await wait();
  }
}

std::string MirrorActor::place_of(const std::string& path) const {
  return status_.spec.folder == "/" ? path : path == "/" ? status_.spec.folder : status_.spec.folder + path;
}

const Seen* MirrorActor::seen(const std::string& path) const {
  const auto found = seen_.find(path);
  return found == seen_.end() ? nullptr : &found->second;
}

bool MirrorActor::is_unchanged(const std::string& path, const HostEntry& entry) const {
  const Seen* before = seen(path);
  return before && before->is_folder == entry.is_folder && before->size == entry.size && before->changed_ns == entry.changed_ns;
}

bool MirrorActor::ignored(const std::string& path) const {
  for (const std::string& glob : status_.spec.ignore)
    if (matches_path_glob(std::string_view(path).substr(1), glob)) return true;
  return false;
}

void MirrorActor::note(const std::string& path, std::optional<Seen> now) {
  dirty_.insert(path);
  if (now) {
    seen_[path] = std::move(*now);
  } else {
    seen_.erase(path);
  }
}

Task<Outcome<void>> MirrorActor::save() {
  while (!dirty_.empty()) {
    Batch batch;
    batch.require.push_back(Precondition::present(mirror_rows::spec_key(status_.spec)));
    std::set<std::string> written;
    for (const std::string& path : dirty_) {
      if (written.size() >= kBatchRows) break;
      written.insert(path);
      const std::string key = mirror_rows::seen_key(status_.spec, path);
      if (const Seen* now = seen(path)) {
        batch.puts.push_back({key, mirror_rows::to_row(path, *now)});
      } else {
        batch.deletes.push_back(key);
      }
    }
    auto done = co_await mirror_rows::commit(spaces_->dependencies().store, std::move(batch));
    if (!done) co_return std::unexpected(done.error());
    for (const std::string& path : written) dirty_.erase(path);
  }
  co_return Outcome<void>{};
}

Task<Outcome<void>> MirrorActor::look_there(std::map<std::string, Node>* out) {
  std::vector<std::string> folders{"/"};
  while (!folders.empty()) {
    const std::string folder = std::move(folders.back());
    folders.pop_back();
    ListOptions options;
    options.limit = 1'000;
    do {
      auto page = co_await files_->list(actor_, status_.spec.workspace, Place::at(place_of(folder)), options);
      if (!page) co_return std::unexpected(page.error());
      for (Node& node : page->nodes) {
        const std::string path = join_path(folder, node.name);
        if (ignored(path)) continue;
        if (node.kind == NodeKind::Folder) folders.push_back(path);
        if (out->size() >= HostFolder::kEntriesMax) co_return refuse("mirror.limit", "the workspace's folder holds more than 100,000 files; mirror a smaller one");
        out->emplace(path, std::move(node));
      }
      options.after = page->next;
    } while (!options.after.empty());
  }
  co_return Outcome<void>{};
}

Task<Outcome<void>> MirrorActor::pass() {
  Sides sides;
  // The folder first: what changes there meanwhile is told afterwards.
  auto here = folder_->scan([this](const std::string& path) { return ignored(path); },
                            [this](const std::string& path, int folder) { return watch_.add(path, folder); });
  if (!here) co_return std::unexpected(here.error());
  sides.here = std::move(*here);
  if (auto looked = co_await look_there(&sides.there); !looked) co_return looked;
  co_await follow_renames(&sides);
  std::set<std::string> paths;
  for (const auto& [path, entry] : sides.here) paths.insert(path);
  for (const auto& [path, node] : sides.there) paths.insert(path);
  for (const auto& [path, before] : seen_) paths.insert(path);
  for (const std::string& path : paths) {
    if (stopping_) co_return Outcome<void>{};
    if (watch_.is_busy(path)) continue;
    auto settled = co_await settle(path, &sides);
    if (!settled && settled.error().code == "mirror.changed") kicked_ = true;
    if (!settled && settled.error().code != "mirror.changed") status_.last_error = path + ": " + settled.error().message;
  }
  for (auto path = paths.rbegin(); path != paths.rend(); ++path)
    if (auto dropped = co_await drop_folder(*path, &sides); !dropped) status_.last_error = *path + ": " + dropped.error().message;
  co_return co_await save();
}

}  // namespace mayfly::workspace
