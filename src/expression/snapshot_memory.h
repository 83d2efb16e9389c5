#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"

namespace mayfly {

/// A heap whose whole state can be kept once and brought back any number of times, at the price of the pages that were written
/// between: what a script engine inside it did is undone, also what it broke. Not for objects with destructors.
class SnapshotMemory {
 public:
  /// `capacity` bytes of address space; memory is used as it is written. Error: `memory.unavailable`.
  static Result<std::unique_ptr<SnapshotMemory>> make(std::size_t capacity);
  ~SnapshotMemory();
  SnapshotMemory(const SnapshotMemory&) = delete;
  SnapshotMemory& operator=(const SnapshotMemory&) = delete;

  /// Null when the budget or the capacity is used up, which `exhausted` then says until `restore`. Aligned to 16.
  void* allocate(std::size_t bytes);
  void* reallocate(void* block, std::size_t bytes);
  void release(void* block);
  static std::size_t usable_size(const void* block);

  /// What may be in use at once beyond what is kept.
  void set_budget(std::size_t bytes) { budget_ = bytes; }
  bool exhausted() const { return exhausted_; }

  /// The present state becomes the one that `restore` brings back.
  void keep();
  void restore();
  /// Bytes of the kept state.
  std::size_t kept_bytes() const { return kept_; }

 private:
  struct Head;
  SnapshotMemory(char* heap, char* image, int file, std::size_t capacity);
  Head& head() const;
  bool find_written_pages();
  bool copy_written_pages_back();

  char* heap_;   ///< private view: pages written since `keep` are copies
  char* image_;  ///< the kept state
  int file_;
  int page_map_;  ///< the system's list of which pages are copies; -1 where there is none
  std::vector<std::uint64_t> pages_;
  std::vector<bool> written_;
  std::size_t capacity_;
  std::size_t kept_ = 0;
  std::size_t live_kept_ = 0;
  std::size_t budget_ = SIZE_MAX;
  bool exhausted_ = false;
};

}  // namespace mayfly
