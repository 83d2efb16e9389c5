#include "workspace/search/search.h"

#include <algorithm>
#include <boost/asio/thread_pool.hpp>
#include <deque>

#include "base/log.h"
#include "workspace/paths.h"
#include "workspace/search/index_file.h"

namespace mayfly::workspace {
namespace {

constexpr std::int64_t kTextBytesMax = 2 << 20;
constexpr std::size_t kNotReadyMax = 100;
constexpr std::size_t kErrorsMax = 10'000;

Actor system_actor() {
  Actor out;
  out.id = "system";
  out.label = "search";
  out.kind = ActorKind::System;
  return out;
}

class SearchService final : public Search {
 public:
  explicit SearchService(SearchDependencies dependencies)
      : deps_(std::move(dependencies)), kernel_(deps_.spaces->dependencies()), index_(std::make_shared<IndexFile>(deps_.file)), group_(kernel_.executor) {}
  ~SearchService() override { thread_->join(); }

  Task<Result<void>> open() override {
    auto opened = co_await on_thread<void>([index = index_] { return index->open(); });
    if (!opened) co_return opened;
    deps_.spaces->on_event([this](const FileEvent& event) { happened(event); });
    for (const std::string& workspace : deps_.spaces->ids()) group_.spawn(catch_up(workspace, false));
    co_return Result<void>{};
  }
  Task<> stop() override {
    stopping_ = true;
    co_await group_.join();
  }
  void crash() override {
    stopping_ = true;
    group_.abandon();
  }

  Task<Outcome<SearchResult>> search(Actor actor, std::string workspace, std::string query, std::string path_prefix, std::size_t limit) override {
    auto found = deps_.spaces->find(actor, workspace, Role::Viewer);
    if (!found) co_return std::unexpected(found.error());
    if (!found->index) co_return refuse("ws.invalid", "search is switched off for this workspace; an owner can switch it on (index_set)");
    const std::string match = match_of(query);
    if (match.empty() || query.size() > 4'000) co_return refuse("ws.invalid", "give a query with at least one word, of at most 4,000 bytes");
    std::string prefix;
    if (!path_prefix.empty()) {
      auto normal = normal_path(path_prefix);
      if (!normal) co_return std::unexpected(normal.error());
      prefix = *normal == "/" ? "" : *normal;
    }
    limit = std::clamp<std::size_t>(limit, 1, 100);
    auto hits = co_await on_thread<std::vector<IndexFile::Hit>>([index = index_, id = found->id, match, most = limit * 5] { return index->find(id, match, most); });
    if (!hits) co_return std::unexpected(Refusal(hits.error()));
    SearchResult out;
    for (IndexFile::Hit& hit : *hits) {
      if (out.hits.size() >= limit) break;
      // What was deleted or moved since is seen here, not in the index.
      auto node = co_await deps_.files->stat(actor, found->id, Place::of(hit.node));
      if (!node || (!prefix.empty() && node->path != prefix && !node->path.starts_with(prefix + "/"))) continue;
      out.hits.push_back({hit.node, node->path, hit.title, hit.heading, hit.snippet, hit.line, -hit.rank, hit.version});
    }
    out.pending = states_[found->id].pending.size();
    co_return out;
  }

  Task<Outcome<IndexStatus>> status(Actor actor, std::string workspace) override {
    auto found = deps_.spaces->find(actor, workspace, Role::Viewer);
    if (!found) co_return std::unexpected(found.error());
    auto known = co_await on_thread<std::map<std::string, std::uint64_t>>([index = index_, id = found->id] { return index->known(id); });
    if (!known) co_return std::unexpected(Refusal(known.error()));
    const State& state = states_[found->id];
    IndexStatus out;
    out.enabled = found->index;
    out.ready = known->size();
    out.pending = state.pending.size();
    out.in_progress = state.reading.empty() ? 0 : 1;
    out.failed = state.failed.size();
    const auto add = [&](const std::string& node, std::string_view what, const std::string& error) -> Task<> {
      if (out.not_ready.size() >= kNotReadyMax) co_return;
      auto at = co_await deps_.files->stat(actor, found->id, Place::of(node));
      if (at) out.not_ready.push_back({node, at->path, std::string(what), error, at->version, at->modified});
    };
    if (!state.reading.empty()) co_await add(state.reading, "in progress", "");
    const auto failed = state.failed;
    const auto pending = state.pending;
    for (const auto& [node, error] : failed) co_await add(node, "failed", error);
    for (const std::string& node : pending) co_await add(node, "pending", "");
    co_return out;
  }

  Task<Outcome<void>> set_enabled(Actor actor, std::string workspace, bool enabled) override {
    auto done = co_await deps_.spaces->update(actor, workspace, {{"index", enabled}});
    if (!done) co_return std::unexpected(done.error());
    if (enabled) {
      group_.spawn(catch_up(done->id, false));
    } else {
      states_.erase(done->id);
      auto cleared = co_await on_thread<void>([index = index_, id = done->id] { return index->clear(id); });
      if (!cleared) co_return std::unexpected(Refusal(cleared.error()));
    }
    co_return Outcome<void>{};
  }

  Task<Outcome<std::size_t>> reindex(Actor actor, std::string workspace, Place place) override {
    auto found = deps_.spaces->find(actor, workspace, Role::Editor);
    if (!found) co_return std::unexpected(found.error());
    if (place.path.empty() && place.node.empty()) {
      const std::size_t count = co_await catch_up_now(found->id, true);
      co_return count;
    }
    auto node = co_await deps_.files->stat(actor, found->id, place);
    if (!node) co_return std::unexpected(node.error());
    if (node->kind == NodeKind::Folder) co_return refuse("ws.is_folder", "'" + node->path + "' is a folder; name a file, or leave the path out for all");
    want(found->id, node->id);
    co_return 1;
  }

 private:
  struct State {
    std::set<std::string> pending;
    std::map<std::string, std::string> failed;
    std::string reading;
    bool running = false;
    std::size_t read = 0;
  };

  template <class T>
  Task<Result<T>> on_thread(std::move_only_function<Result<T>()> work) {
    return suspend<Result<T>>([thread = thread_, work = std::move(work)](Resume<Result<T>> resume) mutable {
      asio::post(*thread, [work = std::move(work), resume = std::move(resume)]() mutable { resume(work()); });
    });
  }

  void happened(const FileEvent& event) {
    if (stopping_ || event.node.empty() || !event.type.starts_with("file.")) return;
    const Workspace* workspace = deps_.spaces->by_id(event.workspace);
    if (workspace && workspace->index) want(event.workspace, event.node);
  }

  void want(const std::string& workspace, const std::string& node) {
    State& state = states_[workspace];
    state.pending.insert(node);
    state.failed.erase(node);
    if (!std::exchange(state.running, true)) group_.spawn(work(workspace));
  }

  Task<> catch_up(std::string workspace, bool all) { (void)co_await catch_up_now(std::move(workspace), all); }

  /// Compares what is there with what was read.
  Task<std::size_t> catch_up_now(std::string workspace, bool all) {
    const Workspace* there = deps_.spaces->by_id(workspace);
    if (!there || !there->index) co_return 0;
    auto known = co_await on_thread<std::map<std::string, std::uint64_t>>([index = index_, workspace] { return index->known(workspace); });
    if (!known) co_return 0;
    std::size_t count = 0;
    ListOptions options;
    options.recursive = true;
    options.limit = 1'000;
    do {
      auto page = co_await deps_.files->list(system_actor(), workspace, Place::at("/"), options);
      if (!page) co_return count;
      for (const Node& node : page->nodes) {
        if (node.kind == NodeKind::Folder) continue;
        const auto before = known->find(node.id);
        if (all || before == known->end() || before->second != node.version) want(workspace, node.id), ++count;
        if (before != known->end()) known->erase(before);
      }
      options.after = page->next;
    } while (!options.after.empty() && !stopping_);
    for (const auto& [node, version] : *known) want(workspace, node);  // gone
    co_return count;
  }

  Task<> work(std::string workspace) {
    while (!stopping_) {
      State& state = states_[workspace];
      if (state.pending.empty()) break;
      const std::string node = state.reading = *state.pending.begin();
      state.pending.erase(state.pending.begin());
      auto read = co_await read_one(workspace, node);
      State& now = states_[workspace];
      now.reading.clear();
      ++now.read;
      if (read) continue;
      if (read.error().code.starts_with("store.") || stopping_) break;
      if (now.failed.size() < kErrorsMax) now.failed[node] = read.error().message;
      co_await tell(workspace, "index.failed", JsonObject{{"node", node}, {"error", read.error().message}});
    }
    State& state = states_[workspace];
    state.running = false;
    const std::size_t read = std::exchange(state.read, 0);
    if (read > 0 && !stopping_) co_await tell(workspace, "index.ready", JsonObject{{"files", read}});
  }

  Task<> tell(std::string workspace, std::string type, JsonObject data) {
    auto told = co_await deps_.spaces->mutate(system_actor(), workspace, Role::Viewer, [&type, &data](Space& space) -> Task<Outcome<Json>> {
      FileEvent event;
      event.type = type;
      event.data = data;
      space.emit(std::move(event));
      co_return Json();
    });
    if (!told && told.error().code != "ws.not_found" && told.error().code != "ws.busy")
      log::warn("an event of the search index could not be written", {{"workspace", workspace}, {"error", told.error().message}});
  }

  Task<Result<void>> read_one(std::string workspace, std::string id) {
    auto opened = co_await deps_.files->open(system_actor(), workspace, Place::of(id), 0);
    const auto forget = [&] { return on_thread<void>([index = index_, workspace, id] { return index->remove(workspace, id); }); };
    if (!opened && (opened.error().code == "ws.not_found" || opened.error().code == "ws.is_folder")) co_return co_await forget();
    if (!opened) co_return std::unexpected(Error(opened.error()));
    const FileVersion& version = opened->second;
    std::vector<Chunk> chunks;
    std::string title = opened->first.name;
    if (version.size <= kTextBytesMax) {
      auto bytes = co_await kernel_.blobs->get(version.hash);
      if (!bytes) co_return std::unexpected(bytes.error());
      if (is_text(*bytes)) {
        chunks = chunks_of(*bytes);
        if (const std::string heading = title_of(*bytes); !heading.empty()) title += " " + heading;
      }
    }
    // What is no text, or too long, is found by its name.
    if (chunks.empty()) chunks.push_back({"", "", 1});
    co_return co_await on_thread<void>([index = index_, workspace, id, number = version.version, path = opened->first.path, title, chunks = std::move(chunks)] {
      return index->put(workspace, id, number, path, title, chunks);
    });
  }

  SearchDependencies deps_;
  const SpacesDependencies& kernel_;
  std::shared_ptr<IndexFile> index_;
  std::shared_ptr<asio::thread_pool> thread_ = std::make_shared<asio::thread_pool>(1);
  std::map<std::string, State> states_;
  bool stopping_ = false;
  TaskGroup group_;
};

}  // namespace

std::unique_ptr<Search> make_search(SearchDependencies dependencies) { return std::make_unique<SearchService>(std::move(dependencies)); }

}  // namespace mayfly::workspace
