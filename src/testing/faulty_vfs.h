#pragma once

#include <atomic>
#include <string>

namespace mayfly {

/// What the files of `FaultyVfs` do from now on; set from any thread. The numbers are SQLite result codes, 0 for none.
struct FileFaults {
  std::atomic<int> write_error = 0;       ///< writing answers this and writes nothing
  std::atomic<int> checkpoint_error = 0;  ///< the same, for the database file itself, which only checkpoints write
  std::atomic<int> sync_error = 0;        ///< syncing answers this
  std::atomic<int> syncs = 0;             ///< counts calls to sync
};

/// An SQLite VFS over the system's files that fails on demand. One at a time.
class FaultyVfs {
 public:
  FaultyVfs();
  ~FaultyVfs();
  FaultyVfs(const FaultyVfs&) = delete;
  FaultyVfs& operator=(const FaultyVfs&) = delete;

  FileFaults& faults();
  static std::string name();
};

}  // namespace mayfly
