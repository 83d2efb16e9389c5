#include "workspace/search/index_file.h"

#include <sqlite3.h>

#include <filesystem>

namespace mayfly::workspace {
namespace {

constexpr int kVersion = 1;

class Statement {
 public:
  Statement(sqlite3* db, const char* sql) { sqlite3_prepare_v2(db, sql, -1, &statement_, nullptr); }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  Statement& bind(const std::string& text) {
    sqlite3_bind_text64(statement_, ++bound_, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    return *this;
  }
  Statement& bind(std::int64_t number) {
    sqlite3_bind_int64(statement_, ++bound_, number);
    return *this;
  }
  bool row() { return (code_ = sqlite3_step(statement_)) == SQLITE_ROW; }
  bool done() { return sqlite3_step(statement_) == SQLITE_DONE; }
  bool failed() const { return code_ != SQLITE_ROW && code_ != SQLITE_DONE; }
  std::string text(int column) const {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return bytes ? std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))) : "";
  }
  std::int64_t number(int column) const { return sqlite3_column_int64(statement_, column); }
  double real(int column) const { return sqlite3_column_double(statement_, column); }

 private:
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0, code_ = SQLITE_DONE;
};

}  // namespace

IndexFile::~IndexFile() { sqlite3_close_v2(db_); }

Error IndexFile::error() const {
  return {"search.index", std::string("the search index cannot be used (") + sqlite3_errmsg(db_) + "); it is made anew when its file is removed", Retry::Safe};
}

Result<void> IndexFile::run(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return fail(error());
  return {};
}

Result<void> IndexFile::open() {
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (sqlite3_open_v2(file_.c_str(), &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr) == SQLITE_OK) {
      sqlite3_busy_timeout(db_, 1'000);
      // It may lose its last moments: they are read again.
      const bool settings = run("PRAGMA journal_mode=WAL").has_value() && run("PRAGMA synchronous=OFF").has_value();
      bool current = false;
      if (settings) {
        Statement version(db_, "PRAGMA user_version");
        current = version.row() && (version.number(0) == kVersion || version.number(0) == 0);
      }
      if (current && run("CREATE TABLE IF NOT EXISTS files(ws TEXT, node TEXT, version INTEGER, PRIMARY KEY(ws, node)) WITHOUT ROWID;"
                         "CREATE VIRTUAL TABLE IF NOT EXISTS chunks USING fts5(ws, node UNINDEXED, version UNINDEXED, line UNINDEXED, path, title, heading, body, "
                         "tokenize='unicode61 remove_diacritics 2');"
                         "CREATE TABLE IF NOT EXISTS rows_of(ws TEXT, node TEXT, chunk INTEGER, PRIMARY KEY(ws, node, chunk)) WITHOUT ROWID;"
                         "PRAGMA user_version=1;"))
        return {};
    }
    const Error why = error();
    sqlite3_close_v2(db_);
    db_ = nullptr;
    if (attempt == 1) return fail(why);
    for (const char* suffix : {"", "-wal", "-shm"}) {
      std::error_code ignored;
      std::filesystem::remove(file_ + suffix, ignored);
    }
  }
  return {};
}

Result<std::map<std::string, std::uint64_t>> IndexFile::known(const std::string& workspace) {
  std::map<std::string, std::uint64_t> out;
  Statement rows(db_, "SELECT node, version FROM files WHERE ws=?");
  rows.bind(workspace);
  while (rows.row()) out[rows.text(0)] = static_cast<std::uint64_t>(rows.number(1));
  if (rows.failed()) return fail(error());
  return out;
}

Result<void> IndexFile::remove(const std::string& workspace, const std::string& node) {
  if (!Statement(db_, "DELETE FROM chunks WHERE rowid IN (SELECT chunk FROM rows_of WHERE ws=? AND node=?)").bind(workspace).bind(node).done() ||
      !Statement(db_, "DELETE FROM rows_of WHERE ws=? AND node=?").bind(workspace).bind(node).done() ||
      !Statement(db_, "DELETE FROM files WHERE ws=? AND node=?").bind(workspace).bind(node).done())
    return fail(error());
  return {};
}

Result<void> IndexFile::clear(const std::string& workspace) {
  if (!Statement(db_, "DELETE FROM chunks WHERE rowid IN (SELECT chunk FROM rows_of WHERE ws=?)").bind(workspace).done() ||
      !Statement(db_, "DELETE FROM rows_of WHERE ws=?").bind(workspace).done() || !Statement(db_, "DELETE FROM files WHERE ws=?").bind(workspace).done())
    return fail(error());
  return {};
}

Result<void> IndexFile::put(const std::string& workspace, const std::string& node, std::uint64_t version, const std::string& path, const std::string& title,
                            const std::vector<Chunk>& chunks) {
  if (auto begun = run("BEGIN"); !begun) return begun;
  const auto write = [&]() -> Result<void> {
    if (auto gone = remove(workspace, node); !gone) return gone;
    for (const Chunk& chunk : chunks) {
      if (!Statement(db_, "INSERT INTO chunks(ws, node, version, line, path, title, heading, body) VALUES(?,?,?,?,?,?,?,?)")
               .bind(workspace)
               .bind(node)
               .bind(static_cast<std::int64_t>(version))
               .bind(chunk.line)
               .bind(path)
               .bind(title)
               .bind(chunk.heading)
               .bind(chunk.text)
               .done() ||
          !Statement(db_, "INSERT INTO rows_of VALUES(?,?,?)").bind(workspace).bind(node).bind(sqlite3_last_insert_rowid(db_)).done())
        return fail(error());
    }
    if (!Statement(db_, "INSERT INTO files VALUES(?,?,?)").bind(workspace).bind(node).bind(static_cast<std::int64_t>(version)).done()) return fail(error());
    return {};
  };
  auto written = write();
  auto ended = run(written ? "COMMIT" : "ROLLBACK");
  return written ? ended : written;
}

Result<std::vector<IndexFile::Hit>> IndexFile::find(const std::string& workspace, const std::string& match, std::size_t limit) {
  Statement rows(db_, "SELECT node, version, line, path, title, heading, snippet(chunks, 7, '«', '»', '…', 24), bm25(chunks, 0, 0, 0, 0, 2, 6, 4, 1) AS score "
                      "FROM chunks WHERE chunks MATCH ? ORDER BY score LIMIT ?");
  rows.bind("(ws : \"" + workspace + "\") AND ({path title heading body} : (" + match + "))").bind(static_cast<std::int64_t>(limit));
  std::vector<Hit> out;
  while (rows.row())
    out.push_back({rows.text(0), rows.text(3), rows.text(4), rows.text(5), rows.text(6), rows.number(2), static_cast<std::uint64_t>(rows.number(1)), rows.real(7)});
  if (rows.failed()) return fail(error());
  return out;
}

}  // namespace mayfly::workspace
