#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "workspace/search/chunks.h"

struct sqlite3;

namespace mayfly::workspace {

/// The index as an SQLite file. Blocking: for a thread of its own, one call at a time. What is damaged or of another version is made anew: all that it holds can be read again.
class IndexFile {
 public:
  explicit IndexFile(std::string file) : file_(std::move(file)) {}
  ~IndexFile();
  IndexFile(const IndexFile&) = delete;
  IndexFile& operator=(const IndexFile&) = delete;

  Result<void> open();
  /// node → version that was read last.
  Result<std::map<std::string, std::uint64_t>> known(const std::string& workspace);
  Result<void> put(const std::string& workspace, const std::string& node, std::uint64_t version, const std::string& path, const std::string& title, const std::vector<Chunk>& chunks);
  Result<void> remove(const std::string& workspace, const std::string& node);
  Result<void> clear(const std::string& workspace);
  struct Hit {
    std::string node, path, title, heading, snippet;
    std::int64_t line = 0;
    std::uint64_t version = 0;
    double rank = 0;
  };
  Result<std::vector<Hit>> find(const std::string& workspace, const std::string& match, std::size_t limit);

 private:
  Result<void> run(const char* sql);
  Error error() const;
  std::string file_;
  sqlite3* db_ = nullptr;
};

}  // namespace mayfly::workspace
