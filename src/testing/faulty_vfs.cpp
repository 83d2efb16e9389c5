#include "testing/faulty_vfs.h"

#include <sqlite3.h>

#include <memory>
#include <new>

#include "base/assert.h"

namespace mayfly {
namespace {

constexpr const char* kName = "mayfly-faulty";

FileFaults* active_faults = nullptr;

/// SQLite allocates `szOsFile` bytes for it; the system's own file object follows behind.
struct alignas(8) FaultyFile {
  sqlite3_file base;
  bool is_database;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

sqlite3_file* real(sqlite3_file* file) { return reinterpret_cast<FaultyFile*>(file)->real(); }

template <auto Method, class... Args>
int forward(sqlite3_file* file, Args... args) {
  return (real(file)->pMethods->*Method)(real(file), args...);
}

int write_file(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 offset) {
  if (const int error = active_faults->write_error) return error;
  if (const int error = active_faults->checkpoint_error; error && reinterpret_cast<FaultyFile*>(file)->is_database) return error;
  return real(file)->pMethods->xWrite(real(file), bytes, count, offset);
}

int sync_file(sqlite3_file* file, int flags) {
  ++active_faults->syncs;
  if (const int error = active_faults->sync_error) return error;
  return real(file)->pMethods->xSync(real(file), flags);
}

void shm_barrier(sqlite3_file* file) { real(file)->pMethods->xShmBarrier(real(file)); }

const sqlite3_io_methods kMethods = {
    .iVersion = 2,
    .xClose = [](sqlite3_file* file) { return real(file)->pMethods ? real(file)->pMethods->xClose(real(file)) : SQLITE_OK; },
    .xRead = [](sqlite3_file* file, void* to, int count, sqlite3_int64 at) {
      return forward<&sqlite3_io_methods::xRead>(file, to, count, at);
    },
    .xWrite = write_file,
    .xTruncate = [](sqlite3_file* file, sqlite3_int64 size) { return forward<&sqlite3_io_methods::xTruncate>(file, size); },
    .xSync = sync_file,
    .xFileSize = [](sqlite3_file* file, sqlite3_int64* size) { return forward<&sqlite3_io_methods::xFileSize>(file, size); },
    .xLock = [](sqlite3_file* file, int level) { return forward<&sqlite3_io_methods::xLock>(file, level); },
    .xUnlock = [](sqlite3_file* file, int level) { return forward<&sqlite3_io_methods::xUnlock>(file, level); },
    .xCheckReservedLock = [](sqlite3_file* file, int* out) { return forward<&sqlite3_io_methods::xCheckReservedLock>(file, out); },
    .xFileControl = [](sqlite3_file* file, int what, void* with) { return forward<&sqlite3_io_methods::xFileControl>(file, what, with); },
    .xSectorSize = [](sqlite3_file* file) { return forward<&sqlite3_io_methods::xSectorSize>(file); },
    .xDeviceCharacteristics = [](sqlite3_file* file) { return forward<&sqlite3_io_methods::xDeviceCharacteristics>(file); },
    .xShmMap = [](sqlite3_file* file, int page, int size, int extend, void volatile** out) {
      return forward<&sqlite3_io_methods::xShmMap>(file, page, size, extend, out);
    },
    .xShmLock = [](sqlite3_file* file, int offset, int count, int flags) {
      return forward<&sqlite3_io_methods::xShmLock>(file, offset, count, flags);
    },
    .xShmBarrier = shm_barrier,
    .xShmUnmap = [](sqlite3_file* file, int remove) { return forward<&sqlite3_io_methods::xShmUnmap>(file, remove); },
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

int open_file(sqlite3_vfs* vfs, sqlite3_filename name, sqlite3_file* file, int flags, int* out_flags) {
  auto* system = static_cast<sqlite3_vfs*>(vfs->pAppData);
  file->pMethods = nullptr;
  reinterpret_cast<FaultyFile*>(file)->is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0;
  const int code = system->xOpen(system, name, real(file), flags, out_flags);
  if (code == SQLITE_OK) file->pMethods = &kMethods;
  return code;
}

}  // namespace

struct FaultyVfsState {
  sqlite3_vfs vfs;
  FileFaults faults;
};

namespace {
std::unique_ptr<FaultyVfsState> active;
}

FaultyVfs::FaultyVfs() {
  MAYFLY_ASSERT(!active, "one FaultyVfs at a time");
  sqlite3_vfs* system = sqlite3_vfs_find(nullptr);
  active = std::make_unique<FaultyVfsState>();
  active->vfs = *system;
  active->vfs.zName = kName;
  active->vfs.pNext = nullptr;
  active->vfs.szOsFile = static_cast<int>(sizeof(FaultyFile)) + system->szOsFile;
  active->vfs.pAppData = system;
  active->vfs.xOpen = open_file;
  active->vfs.xDelete = [](sqlite3_vfs* vfs, const char* name, int sync) {
    auto* real_vfs = static_cast<sqlite3_vfs*>(vfs->pAppData);
    return real_vfs->xDelete(real_vfs, name, sync);
  };
  active->vfs.xAccess = [](sqlite3_vfs* vfs, const char* name, int flags, int* out) {
    auto* real_vfs = static_cast<sqlite3_vfs*>(vfs->pAppData);
    return real_vfs->xAccess(real_vfs, name, flags, out);
  };
  active->vfs.xFullPathname = [](sqlite3_vfs* vfs, const char* name, int size, char* out) {
    auto* real_vfs = static_cast<sqlite3_vfs*>(vfs->pAppData);
    return real_vfs->xFullPathname(real_vfs, name, size, out);
  };
  active_faults = &active->faults;
  sqlite3_vfs_register(&active->vfs, 0);
}

FaultyVfs::~FaultyVfs() {
  sqlite3_vfs_unregister(&active->vfs);
  active_faults = nullptr;
  active.reset();
}

FileFaults& FaultyVfs::faults() { return active->faults; }

std::string FaultyVfs::name() { return kName; }

}  // namespace mayfly
