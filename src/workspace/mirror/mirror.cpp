#include "workspace/mirror/mirror.h"

#include <algorithm>
#include <filesystem>

#include "base/log.h"
#include "workspace/mirror/mirror_actor.h"
#include "workspace/paths.h"

namespace mayfly::workspace {
namespace {

constexpr std::size_t kMirrorsMax = 100, kGlobsMax = 100, kGlobBytesMax = 200;

bool is_in(const std::string& path, const std::string& folder) {
  return folder == "/" || path == folder || (path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/');
}

/// As the system knows it, without links; empty: there is no such folder.
std::string real_folder(const std::string& path) {
  std::error_code error;
  const auto real = std::filesystem::canonical(path, error);
  return error || !std::filesystem::is_directory(real, error) ? std::string() : real.string();
}

class MirrorService final : public Mirrors {
 public:
  explicit MirrorService(MirrorDependencies dependencies) : deps_(std::move(dependencies)) {}

  Task<Result<void>> open() override;
  Task<> stop() override;
  Task<Outcome<MirrorStatus>> add(Actor actor, MirrorSpec spec) override;
  Task<Outcome<void>> remove(Actor actor, std::string workspace, std::string directory) override;
  std::vector<MirrorStatus> list() const override;

 private:
  Outcome<void> check(const MirrorSpec& spec) const;
  Outcome<void> check_directory(MirrorSpec* spec) const;
  void listen();

  MirrorDependencies deps_;
  std::vector<std::unique_ptr<MirrorActor>> actors_;
  std::shared_ptr<bool> lives_ = std::make_shared<bool>(true);
  bool listens_ = false;
};

Outcome<void> may_operate(const Actor& actor) {
  if (actor.administrator || actor.kind == ActorKind::System) return {};
  return refuse("ws.forbidden", "folders of this machine are mirrored by its operators only; use a key with the scope admin");
}

Outcome<void> MirrorService::check(const MirrorSpec& spec) const {
  if (deps_.roots.empty())
    return refuse("mirror.not_allowed", "mirrors are switched off; start the server with --mirror-root and a folder that workspaces may mirror");
  const bool too_long = std::ranges::any_of(spec.ignore, [](const std::string& glob) { return glob.empty() || glob.size() > kGlobBytesMax; });
  if (spec.ignore.size() > kGlobsMax || too_long)
    return refuse("mirror.invalid", "a mirror ignores at most 100 patterns of 1 to 200 bytes each");
  if (actors_.size() >= kMirrorsMax) return refuse("mirror.invalid", "there are 100 mirrors already; remove one first");
  return {};
}

Outcome<void> MirrorService::check_directory(MirrorSpec* spec) const {
  if (!spec->directory.starts_with('/') || !is_utf8(spec->directory) || spec->directory.find('\0') != std::string::npos)
    return refuse("mirror.invalid", "the directory must be an absolute path of this machine");
  const std::string real = real_folder(spec->directory);
  const auto allows = [&](const std::string& root) {
    const std::string folder = real_folder(root);
    return !folder.empty() && is_in(real, folder);
  };
  // One answer for what is not there and what is not allowed: nobody explores the machine this way.
  if (real.empty() || std::ranges::none_of(deps_.roots, allows))
    return refuse("mirror.not_allowed", "there is no such folder under one of the server's --mirror-root folders; make it, or allow another root");
  spec->directory = real;
  for (const auto& actor : actors_) {
    const MirrorSpec& other = actor->status().spec;
    const bool same_place = spec->workspace == other.workspace && (is_in(spec->folder, other.folder) || is_in(other.folder, spec->folder));
    if (is_in(real, other.directory) || is_in(other.directory, real) || same_place)
      return refuse("mirror.exists", "a mirror of '" + other.directory + "' is in the way; remove it first, or choose another folder");
  }
  return {};
}

void MirrorService::listen() {
  if (std::exchange(listens_, true)) return;
  deps_.spaces->on_event([this, lives = std::weak_ptr<bool>(lives_)](const FileEvent& event) {
    if (!lives.lock()) return;
    for (const auto& actor : actors_)
      if (actor->status().spec.workspace == event.workspace) actor->kick();
  });
}

Task<Result<void>> MirrorService::open() {
  if (deps_.roots.empty()) co_return Result<void>{};
  auto loaded = co_await mirror_rows::load(deps_.spaces->dependencies().store);
  if (!loaded) co_return fail(loaded.error());
  listen();
  for (auto& mirror : *loaded) {
    auto actor = std::make_unique<MirrorActor>(deps_, std::move(mirror.spec), std::move(mirror.seen));
    // The rest of the server does not wait for a folder that is not there.
    if (auto opened = actor->open(); !opened) log::error("a mirror does not run", {{"error", opened.error().message}});
    actors_.push_back(std::move(actor));
  }
  co_return Result<void>{};
}

Task<> MirrorService::stop() {
  for (const auto& actor : actors_) co_await actor->stop();
  actors_.clear();
}

Task<Outcome<MirrorStatus>> MirrorService::add(Actor actor, MirrorSpec spec) {
  if (auto allowed = may_operate(actor); !allowed) co_return std::unexpected(allowed.error());
  if (auto checked = check(spec); !checked) co_return std::unexpected(checked.error());
  auto space = deps_.spaces->find(actor, spec.workspace, Role::Owner);
  if (!space) co_return std::unexpected(space.error());
  spec.workspace = space->id;
  auto folder = normal_path(spec.folder.empty() ? "/" : spec.folder);
  if (!folder) co_return std::unexpected(folder.error());
  spec.folder = *folder;
  if (auto checked = check_directory(&spec); !checked) co_return std::unexpected(checked.error());
  if (spec.folder != "/") {
    auto made = co_await deps_.files->make_folder(actor, spec.workspace, spec.folder, true, {});
    if (!made && made.error().code != "ws.exists") co_return std::unexpected(made.error());
  }
  // Again: another mirror may have come meanwhile.
  if (auto checked = check_directory(&spec); !checked) co_return std::unexpected(checked.error());
  auto mirror = std::make_unique<MirrorActor>(deps_, spec, std::map<std::string, Seen>());
  MirrorActor* added = mirror.get();
  actors_.push_back(std::move(mirror));
  Batch batch;
  batch.puts.push_back({mirror_rows::spec_key(spec), mirror_rows::to_row(spec)});
  auto written = co_await mirror_rows::commit(deps_.spaces->dependencies().store, std::move(batch));
  Result<void> opened = written ? added->open() : written;
  if (!opened) {
    std::erase_if(actors_, [&](const auto& each) { return each.get() == added; });
    if (written) (void)co_await mirror_rows::erase(deps_.spaces->dependencies().store, spec);
    co_return std::unexpected(opened.error());
  }
  listen();
  co_return added->status();
}

Task<Outcome<void>> MirrorService::remove(Actor actor, std::string workspace, std::string directory) {
  if (auto allowed = may_operate(actor); !allowed) co_return std::unexpected(allowed.error());
  auto space = deps_.spaces->find(actor, workspace, Role::Viewer);
  if (!space) co_return std::unexpected(space.error());
  const std::string real = real_folder(directory);
  const auto found = std::ranges::find_if(actors_, [&](const auto& each) {
    const MirrorSpec& spec = each->status().spec;
    return spec.workspace == space->id && (spec.directory == directory || spec.directory == real);
  });
  if (found == actors_.end()) co_return refuse("mirror.not_found", "there is no such mirror; list them first");
  const std::unique_ptr<MirrorActor> mirror = std::move(*found);
  actors_.erase(found);
  co_await mirror->stop();
  auto erased = co_await mirror_rows::erase(deps_.spaces->dependencies().store, mirror->status().spec);
  if (!erased) co_return std::unexpected(erased.error());
  co_return Outcome<void>{};
}

std::vector<MirrorStatus> MirrorService::list() const {
  std::vector<MirrorStatus> out;
  for (const auto& actor : actors_) out.push_back(actor->status());
  return out;
}

}  // namespace

std::unique_ptr<Mirrors> make_mirrors(MirrorDependencies dependencies) { return std::make_unique<MirrorService>(std::move(dependencies)); }

}  // namespace mayfly::workspace
