#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "net/ssrf.h"
#include "workspace/bytes/bytes_service.h"
#include "workspace/bytes/link_token.h"

namespace mayfly::workspace {
namespace {

constexpr std::size_t kAtOnce = 4;
constexpr std::size_t kAtOnceOfOne = 2;
constexpr std::size_t kUnderWayMax = 100;
constexpr std::size_t kListed = 200;
constexpr int kAttemptsMax = 5;
constexpr Millis kDelayFirst{2'000};
constexpr Millis kDelayMax{60'000};
constexpr std::size_t kUrlBytesMax = 4'096;
constexpr std::size_t kErrorBytesMax = 500;

std::unexpected<Refusal> no_import() { return refuse("ws.not_found", "there is no such import in this workspace; list them first"); }

struct Creation {
  std::string id;
  ImportRow row;
};

Task<Outcome<Json>> create_in(Space& space, Files* files, std::shared_ptr<Creation> creation) {
  auto all = co_await space.rows().scan(KeyRange::prefix(space.prefix('x')), kUnderWayMax, Direction::Backward);
  if (!all) co_return std::unexpected(Refusal(all.error()));
  std::size_t open = 0;
  for (const auto& [key, value] : *all) {
    auto record = parse_json(value);
    if (record && record->is_object() && is_under_way(import_from_record({}, record->get_object()).import)) ++open;
  }
  if (open >= kUnderWayMax)
    co_return refuse("ws.quota", "100 imports are under way in this workspace; wait for them or cancel some", {}, Retry::Safe);
  ImportRow& row = creation->row;
  if (!row.options.when.fence) {
    auto node = co_await files->find_in(space, Place::at(row.import.path));
    if (node)
      row.options.when.fence = node->fence;
    else if (node.error().code != "ws.not_found")
      co_return std::unexpected(node.error());
  }
  row.import.created = row.import.updated = space.now();
  space.rows().put(space.row('x', creation->id), to_text(to_record(row)));
  co_return Json(nullptr);
}

struct Update {
  std::string id, state, error;
  int attempt = 0;
  bool by_person = false;
};

void tell_failed(Space& space, const ImportRow& row) {
  FileEvent event;
  event.type = "import.failed";
  event.path = row.import.path;
  event.data = {{"import", row.import.id}, {"error", row.import.error}};
  space.emit(std::move(event));
}

Task<Outcome<Json>> update_in(Space& space, std::shared_ptr<const Update> update) {
  const std::string key = space.row('x', update->id);
  auto record = co_await read_object(space.rows(), key);
  if (!record) co_return std::unexpected(record.error());
  if (!*record) co_return no_import();
  ImportRow row = import_from_record(update->id, **record);
  if (!is_under_way(row.import)) {
    if (!update->by_person || row.import.state == "cancelled") co_return Json(nullptr);
    co_return refuse("ws.conflict", "the import has " + row.import.state + " already");
  }
  row.import.state = update->state;
  if (update->attempt > 0) row.import.attempt = update->attempt;
  row.import.error = update->error;
  row.import.updated = space.now();
  space.rows().put(key, to_text(to_record(row)));
  if (update->state == "failed") tell_failed(space, row);
  co_return Json(nullptr);
}

struct Landing {
  std::string id;
  Content content;
};

Task<Outcome<Json>> land_in(Space& space, Files* files, std::shared_ptr<const Landing> landing) {
  const std::string key = space.row('x', landing->id);
  auto record = co_await read_object(space.rows(), key);
  if (!record) co_return std::unexpected(record.error());
  if (!*record) co_return no_import();
  ImportRow row = import_from_record(landing->id, **record);
  if (!is_under_way(row.import)) co_return Json(nullptr);
  WriteOptions options = row.options;
  options.idempotency_key = "import:" + landing->id;
  auto written = co_await files->put_in(space, Place::at(row.import.path), landing->content, std::move(options));
  if (!written) co_return std::unexpected(written.error());
  row.import.state = "completed";
  row.import.error.clear();
  row.import.received = row.import.size = landing->content.size;
  row.import.updated = space.now();
  row.import.written = *written;
  space.rows().put(key, to_text(to_record(row)));
  FileEvent event;
  event.type = "import.completed";
  event.node = written->node.id;
  event.path = written->node.path;
  event.sequence = written->node.sequence;
  event.data = {{"import", landing->id}, {"version", written->node.version}, {"etag", written->node.etag}, {"size", written->node.size}};
  space.emit(std::move(event));
  co_return Json(nullptr);
}

}  // namespace

Task<Outcome<Import>> BytesService::import_url(Actor actor, std::string workspace, std::string url, std::string path,
                                               WriteOptions options) {
  auto found = spaces_.find(actor, workspace, Role::Editor);
  if (!found) co_return std::unexpected(found.error());
  if (!deps_.http) co_return refuse("ws.invalid", "this server fetches nothing from the web");
  if (url.size() > kUrlBytesMax) co_return refuse("ws.invalid", "url has at most 4096 bytes");
  auto target = net::parse_target(url);
  if (!target) co_return refuse("ws.invalid", "url: " + target.error().message);
  if (auto allowed = net::check_egress(deps_.egress, target->host, target->port, {}); !allowed)
    co_return refuse("ws.invalid", "url: " + allowed.error().message);
  UploadRequest request;
  request.path = std::move(path);
  request.options = std::move(options);
  if (auto valid = co_await check_target(actor, found->id, &request); !valid) co_return std::unexpected(valid.error());
  const auto creation = std::make_shared<Creation>();
  creation->id = make_id("im_");
  ImportRow& row = creation->row;
  row.import.id = creation->id;
  row.import.url = std::move(url);
  row.import.path = std::move(request.path);
  row.import.state = "queued";
  row.options = std::move(request.options);
  row.actor = actor;
  auto done = co_await spaces_.mutate(std::move(actor), found->id, Role::Editor,
                                      [creation, files = &files_](Space& space) { return create_in(space, files, creation); });
  if (!done) co_return std::unexpected(done.error());
  queued_.emplace_back(found->id, creation->id);
  start_imports();
  co_return row.import;
}

void BytesService::start_imports() {
  for (auto at = queued_.begin(); is_open_ && at != queued_.end() && running_.size() < kAtOnce;) {
    const auto of_one = std::ranges::count_if(running_, [&](const auto& entry) { return entry.second->workspace == at->first; });
    if (static_cast<std::size_t>(of_one) >= kAtOnceOfOne || running_.contains(at->second)) {
      ++at;
      continue;
    }
    auto [workspace, id] = std::move(*at);
    at = queued_.erase(at);
    const auto running = std::make_shared<Running>();
    running->workspace = workspace;
    running_[id] = running;
    tasks_.spawn(run_import(std::move(workspace), std::move(id)));
  }
}

Task<> BytesService::run_import(std::string workspace, std::string id) {
  const std::shared_ptr<Running> running = running_.at(id);
  auto done = co_await import_once(workspace, id, running);
  if (!done && is_open_ && !running->cancel.cancelled())
    log::warn("an import stands still until the next start", {{"workspace", workspace}, {"import", id}, {"error", done.error().message}});
  running_.erase(id);
  start_imports();
}

/// Until it has ended one way or another. Error: of the store; the row then says that it is still under way.
Task<Result<void>> BytesService::import_once(std::string workspace, std::string id, std::shared_ptr<Running> running) {
  auto row = co_await read_import(workspace, id);
  if (!row) co_return std::unexpected(Error(row.error()));
  const Workspace* found = spaces_.by_id(workspace);
  if (!found || !is_under_way(row->import)) co_return Result<void>{};
  const std::int64_t bytes_max = found->quota.file_bytes;
  Error failure{"import.failed", "it was tried too often", Retry::Never};
  for (int attempt = row->import.attempt + 1; attempt <= kAttemptsMax; ++attempt) {
    if (auto noted = co_await update_import(workspace, id, "running", attempt, {}); !noted) co_return std::unexpected(Error(noted.error()));
    if (running->cancel.cancelled()) co_return Result<void>{};
    auto fetched = co_await fetch(row->import.url, bytes_max, running);
    if (running->cancel.cancelled() || !is_open_) co_return Result<void>{};
    if (fetched) {
      const auto landing =
          std::make_shared<const Landing>(Landing{id,
                                                  {fetched->blob.hash, static_cast<std::int64_t>(fetched->blob.size), fetched->content_type,
                                                   "import", "from " + net::parse_target(row->import.url)->origin()}});
      auto landed = co_await spaces_.mutate(row->actor, workspace, Role::Editor,
                                            [landing, files = &files_](Space& space) { return land_in(space, files, landing); });
      if (landed) co_return Result<void>{};
      failure = landed.error();
      if (failure.retry == Retry::Never) break;
    } else {
      failure = fetched.error();
      if (failure.retry == Retry::Never) break;
    }
    if (attempt == kAttemptsMax) break;
    Millis delay = kDelayFirst;
    for (int i = 1; i < attempt && delay < kDelayMax; ++i) delay *= 2;
    delay = std::min(delay, kDelayMax) / 2 +
            Millis{static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(std::min(delay, kDelayMax).count()) / 2 + 1))};
    if (!co_await sleep_for(clock_, delay, running->cancel.token())) co_return Result<void>{};
  }
  std::string text = failure.code + ": " + failure.message;
  if (text.size() > kErrorBytesMax) text = to_utf8_lossy(text.substr(0, kErrorBytesMax));
  auto noted = co_await update_import(workspace, id, "failed", 0, std::move(text));
  if (!noted) co_return std::unexpected(Error(noted.error()));
  co_return Result<void>{};
}

Task<Outcome<ImportRow>> BytesService::read_import(std::string workspace, std::string id) {
  if (id.contains('/')) co_return no_import();
  const auto rows = spaces_.read();
  auto record = co_await read_object(*rows, keys::row(partition_of(workspace), workspace, 'x', id));
  if (!record) co_return std::unexpected(record.error());
  if (!*record) co_return no_import();
  co_return import_from_record(id, **record);
}

Task<Outcome<Json>> BytesService::update_import(std::string workspace, std::string id, std::string state, int attempt, std::string error) {
  const Workspace* found = spaces_.by_id(workspace);
  if (!found) co_return no_import();
  const Actor actor = system_actor(*found);
  const auto update = std::make_shared<const Update>(Update{std::move(id), std::move(state), std::move(error), attempt});
  co_return co_await spaces_.mutate(actor, std::move(workspace), Role::Viewer, [update](Space& space) { return update_in(space, update); });
}

Task<Outcome<Import>> BytesService::import_status(Actor actor, std::string workspace, std::string import) {
  auto found = spaces_.find(actor, workspace, Role::Viewer);
  if (!found) co_return std::unexpected(found.error());
  auto row = co_await read_import(found->id, import);
  if (!row) co_return std::unexpected(row.error());
  if (const auto running = running_.find(import); running != running_.end() && is_under_way(row->import)) {
    row->import.received = running->second->received;
    row->import.size = running->second->size;
  }
  co_return row->import;
}

Task<Outcome<std::vector<Import>>> BytesService::imports(Actor actor, std::string workspace) {
  auto found = spaces_.find(actor, workspace, Role::Viewer);
  if (!found) co_return std::unexpected(found.error());
  const auto rows = spaces_.read();
  const std::string prefix = keys::prefix(partition_of(found->id), found->id, 'x');
  auto all = co_await rows->scan(KeyRange::prefix(prefix), kListed, Direction::Backward);
  if (!all) co_return std::unexpected(Refusal(all.error()));
  std::vector<Import> out;
  for (const auto& [key, value] : *all) {
    auto record = parse_json(value);
    if (record && record->is_object()) out.push_back(import_from_record(key.substr(prefix.size()), record->get_object()).import);
  }
  co_return out;
}

Task<Outcome<void>> BytesService::cancel_import(Actor actor, std::string workspace, std::string import) {
  if (import.contains('/')) co_return no_import();
  const auto update = std::make_shared<const Update>(Update{import, "cancelled", {}, 0, true});
  auto done = co_await spaces_.mutate(std::move(actor), std::move(workspace), Role::Editor,
                                      [update](Space& space) { return update_in(space, update); });
  if (!done) co_return std::unexpected(done.error());
  std::erase_if(queued_, [&](const auto& entry) { return entry.second == import; });
  if (const auto running = running_.find(import); running != running_.end()) running->second->cancel.cancel();
  co_return Outcome<void>{};
}

}  // namespace mayfly::workspace
