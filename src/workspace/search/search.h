#pragma once

#include <memory>

#include "workspace/files/files.h"

namespace mayfly::workspace {

struct SearchHit {
  std::string node, path, title, heading;
  std::string snippet;     ///< with «…» around what matched
  std::int64_t line = 0;   ///< where the chunk starts
  double score = 0;        ///< higher is better
  std::uint64_t version = 0;
};
struct SearchResult {
  std::vector<SearchHit> hits;
  std::size_t pending = 0;  ///< files whose newest content is not in the index yet
};
struct IndexState {
  std::string node, path, state, last_error;  ///< pending, in progress, ready, failed
  std::uint64_t version = 0;
  TimePoint updated{};
};
struct IndexStatus {
  bool enabled = true;
  std::size_t pending = 0, in_progress = 0, ready = 0, failed = 0;
  std::vector<IndexState> not_ready;  ///< at most 100
};

/// Full-text search (SQLite FTS5, a file beside the store that can be built again from the workspaces). Permissions and deletions are applied when asked.
class Search {
 public:
  virtual ~Search() = default;
  virtual Task<Result<void>> open() = 0;
  virtual Task<> stop() = 0;
  virtual void crash() = 0;
  virtual Task<Outcome<SearchResult>> search(Actor actor, std::string workspace, std::string query, std::string path_prefix, std::size_t limit) = 0;
  virtual Task<Outcome<IndexStatus>> status(Actor actor, std::string workspace) = 0;
  virtual Task<Outcome<void>> set_enabled(Actor actor, std::string workspace, bool enabled) = 0;
  /// One file, or all (empty place).
  virtual Task<Outcome<std::size_t>> reindex(Actor actor, std::string workspace, Place place) = 0;
};

struct SearchDependencies {
  Spaces* spaces = nullptr;
  Files* files = nullptr;
  std::string file;  ///< "…/search.db"; ":memory:" for tests
};
std::unique_ptr<Search> make_search(SearchDependencies dependencies);

}  // namespace mayfly::workspace
