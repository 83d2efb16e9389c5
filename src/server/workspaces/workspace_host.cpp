#include "server/workspaces/workspace_host.h"

#include "base/log.h"
#include "blob/fs_blob_store.h"

namespace mayfly {
namespace {

/// Half of the shortest lease that a run may take.
constexpr Millis kRenewEvery{2'500};
constexpr std::size_t kFileBytesMax = 16ULL << 30;

}  // namespace

struct WorkspaceHost::Parts {
  explicit Parts(AppContext& the_context) : context(the_context), tasks(the_context.executor) {}

  Result<void> make(engine::Engine& the_engine);
  void arm();
  Task<> look_after_runs();
  Task<> look_after(std::string run);
  Task<> release(std::string run);

  AppContext& context;
  engine::Engine* engine = nullptr;
  std::unique_ptr<BlobStore> blobs;
  std::unique_ptr<workspace::Spaces> spaces;
  std::unique_ptr<workspace::Files> files;
  std::unique_ptr<workspace::Bytes> bytes;
  std::unique_ptr<workspace::Sharing> sharing;
  std::unique_ptr<workspace::Events> events;
  std::unique_ptr<workspace::Search> search;
  std::unique_ptr<workspace::Mirrors> mirrors;
  workspace::Workspaces all;
  std::unique_ptr<Clock::Timer> timer;
  TaskGroup tasks;
  bool is_open = false;
};

WorkspaceHost::WorkspaceHost(AppContext& context) : parts_(std::make_unique<Parts>(context)) {}
WorkspaceHost::~WorkspaceHost() = default;

Result<void> WorkspaceHost::Parts::make(engine::Engine& the_engine) {
  engine = &the_engine;
  const std::string& directory = context.config->data_dir;
  auto opened = open_fs_blob_store(context.executor, {.directory = directory + "/files", .blob_bytes_max = kFileBytesMax});
  if (!opened) return fail(opened.error());
  blobs = std::move(*opened);
  workspace::SpacesDependencies deps{.executor = context.executor};
  deps.store = context.store;
  deps.blobs = blobs.get();
  deps.clock = context.clock;
  deps.random = context.random;
  deps.partitions = the_engine.partitions();
  deps.lease = [&the_engine](engine::keys::Partition partition) { return the_engine.lease(partition); };
  spaces = workspace::make_spaces(std::move(deps));
  files = workspace::make_files(*spaces);
  workspace::BytesDependencies bytes_deps{.spaces = spaces.get(), .files = files.get(), .http = context.http};
  bytes_deps.egress.allow_hosts = context.config->import_hosts;
  bytes = workspace::make_bytes(std::move(bytes_deps));
  sharing = workspace::make_sharing(*spaces, *files);
  events = workspace::make_events({.spaces = spaces.get(), .files = files.get(), .triggers = context.triggers});
  search = workspace::make_search({.spaces = spaces.get(), .files = files.get(), .file = directory + "/search.db"});
  all = {spaces.get(), files.get(), bytes.get(), sharing.get(), events.get(), search.get(), mirrors.get(), blobs.get()};
  return {};
}

Task<Result<void>> WorkspaceHost::open(engine::Engine& engine) {
  Parts& parts = *parts_;
  if (auto made = parts.make(engine); !made) co_return made;
  if (auto opened = co_await parts.spaces->open(); !opened) co_return opened;
  if (auto opened = co_await parts.files->open(); !opened) co_return opened;
  parts.is_open = true;
  if (auto opened = co_await parts.bytes->open(); !opened) co_return opened;
  if (auto opened = co_await parts.sharing->open(); !opened) co_return opened;
  if (auto opened = co_await parts.events->open(); !opened) co_return opened;
  if (auto opened = co_await parts.search->open(); !opened) co_return opened;
  parts.context.workspaces = &parts.all;
  parts.arm();
  co_return Result<void>{};
}

void WorkspaceHost::Parts::arm() {
  timer = context.clock->call_after(kRenewEvery, [this] { tasks.spawn(look_after_runs()); });
}

Task<> WorkspaceHost::Parts::look_after_runs() {
  for (const std::string& run : files->runs_with_locks()) {
    if (!is_open) co_return;
    co_await look_after(run);
  }
  if (is_open) arm();
}

/// A lease taken inside a run lives as long as the run, and no longer.
Task<> WorkspaceHost::Parts::look_after(std::string run) {
  auto found = co_await engine->get(run);
  if (!found && found.error().code != "run.not_found") co_return;
  const bool lives = found && found->status == engine::ExecutionStatus::Running;
  auto done = lives ? co_await files->renew_run(run) : co_await files->release_run(run);
  if (!done) log::warn("a run's locks could not be looked after", {{"run", run}, {"code", done.error().code}, {"error", done.error().message}});
}

Task<> WorkspaceHost::Parts::release(std::string run) {
  if (auto done = co_await files->release_run(run); !done)
    log::warn("a run's locks could not be released; they expire", {{"run", run}, {"error", done.error().message}});
}

void WorkspaceHost::run_ended(const std::string& run) {
  Parts& parts = *parts_;
  if (parts.is_open && parts.files->runs_with_locks().contains(run)) parts.tasks.spawn(parts.release(run));
}

Task<> WorkspaceHost::stop() {
  Parts& parts = *parts_;
  if (!parts.is_open) co_return;
  if (parts.mirrors) co_await parts.mirrors->stop();
  co_await parts.search->stop();
  co_await parts.events->stop();
}

Task<> WorkspaceHost::close() {
  Parts& parts = *parts_;
  if (!std::exchange(parts.is_open, false)) co_return;
  parts.timer.reset();
  co_await parts.tasks.join();
  co_await parts.sharing->stop();
  co_await parts.bytes->stop();
  co_await parts.files->stop();
  co_await parts.spaces->stop();
}

}  // namespace mayfly
