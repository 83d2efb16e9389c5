#include "expression/snapshot_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/assert.h"

namespace mayfly {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kHeader = 16;        ///< before each block: its class
constexpr std::size_t kSmallMax = 1024;    ///< classes of 16 bytes up to here, then four for each doubling
constexpr std::size_t kSmallClasses = kSmallMax / 16;
constexpr std::size_t kClasses = kSmallClasses + 4 * 30;
/// Pages above the kept state that stay mapped between evaluations: most need no more, and fresh pages cost a fault each.
constexpr std::size_t kWarm = 1024 * 1024;
/// So many copied pages stay mapped too, and are overwritten instead.
constexpr std::ptrdiff_t kCopiesMax = 512;

constexpr std::size_t round_up(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) / unit * unit; }

std::size_t class_of(std::size_t bytes) {
  if (bytes <= kSmallMax) return bytes == 0 ? 0 : (bytes - 1) / 16;
  const auto doubling = static_cast<std::size_t>(std::bit_width(bytes - 1)) - 1;  // bytes is in (2^doubling, 2^(doubling+1)]
  const std::size_t quarter = (bytes - 1 - (std::size_t{1} << doubling)) >> (doubling - 2);
  return kSmallClasses + (doubling - 10) * 4 + quarter;
}

std::size_t size_of(std::size_t size_class) {
  if (size_class < kSmallClasses) return (size_class + 1) * 16;
  const std::size_t doubling = 10 + (size_class - kSmallClasses) / 4;
  return (std::size_t{1} << doubling) + ((size_class - kSmallClasses) % 4 + 1) * (std::size_t{1} << (doubling - 2));
}

std::size_t class_in_front_of(const void* block) {
  std::uint64_t size_class = 0;
  std::memcpy(&size_class, static_cast<const char*>(block) - kHeader, sizeof size_class);
  return size_class;
}

}  // namespace

/// At the heap's first bytes, so that it is kept and restored with the rest.
struct SnapshotMemory::Head {
  std::size_t end;   ///< of what was ever handed out
  std::size_t live;  ///< bytes in use
  std::array<char*, kClasses> free;
};

Result<std::unique_ptr<SnapshotMemory>> SnapshotMemory::make(std::size_t capacity) {
  capacity = round_up(capacity, kPage);
  const int file = ::memfd_create("mayfly-expressions", MFD_CLOEXEC);
  if (file < 0 || ::ftruncate(file, static_cast<off_t>(capacity)) != 0) {
    if (file >= 0) ::close(file);
    return fail("memory.unavailable", "the system gives no memory file for expressions; raise the limits of memory and open files");
  }
  void* heap = ::mmap(nullptr, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  void* image = ::mmap(nullptr, capacity, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
  if (heap == MAP_FAILED || image == MAP_FAILED) {
    if (heap != MAP_FAILED) ::munmap(heap, capacity);
    ::close(file);
    return fail("memory.unavailable", "the system gives no address space for expressions; raise the limit of virtual memory");
  }
  return std::unique_ptr<SnapshotMemory>(new SnapshotMemory(static_cast<char*>(heap), static_cast<char*>(image), file, capacity));
}

SnapshotMemory::SnapshotMemory(char* heap, char* image, int file, std::size_t capacity)
    : heap_(heap), image_(image), file_(file), page_map_(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)), capacity_(capacity) {
  new (heap_) Head{.end = round_up(sizeof(Head), 16), .live = 0, .free = {}};
}

SnapshotMemory::~SnapshotMemory() {
  ::munmap(heap_, capacity_);
  ::munmap(image_, capacity_);
  ::close(file_);
  if (page_map_ >= 0) ::close(page_map_);
}

SnapshotMemory::Head& SnapshotMemory::head() const { return *std::launder(reinterpret_cast<Head*>(heap_)); }

void* SnapshotMemory::allocate(std::size_t bytes) {
  Head& h = head();
  if (bytes > capacity_) {
    exhausted_ = true;
    return nullptr;
  }
  const std::uint64_t size_class = class_of(bytes);
  const std::size_t size = size_of(size_class);
  if (h.live + size > live_kept_ && h.live + size - live_kept_ > budget_) {
    exhausted_ = true;
    return nullptr;
  }
  char* block = h.free[size_class];
  if (block != nullptr) {
    std::memcpy(&h.free[size_class], block, sizeof(char*));
  } else {
    if (h.end + kHeader + size > capacity_) {
      exhausted_ = true;
      return nullptr;
    }
    block = heap_ + h.end + kHeader;
    h.end += kHeader + size;
    std::memcpy(block - kHeader, &size_class, sizeof size_class);
  }
  h.live += size;
  return block;
}

void SnapshotMemory::release(void* block) {
  if (block == nullptr) return;
  Head& h = head();
  const std::size_t size_class = class_in_front_of(block);
  std::memcpy(block, &h.free[size_class], sizeof(char*));
  h.free[size_class] = static_cast<char*>(block);
  h.live -= size_of(size_class);
}

void* SnapshotMemory::reallocate(void* block, std::size_t bytes) {
  if (block == nullptr) return allocate(bytes);
  const std::size_t before = usable_size(block);
  if (bytes <= before && class_of(bytes) + 4 >= class_of(before)) return block;
  void* moved = allocate(bytes);
  if (moved == nullptr) return nullptr;
  std::memcpy(moved, block, std::min(before, bytes));
  release(block);
  return moved;
}

std::size_t SnapshotMemory::usable_size(const void* block) { return block == nullptr ? 0 : size_of(class_in_front_of(block)); }

void SnapshotMemory::keep() {
  const std::size_t end = round_up(head().end, kPage);
  const bool known = find_written_pages();
  for (std::size_t at = 0; at < end; at += kPage) {
    if (at >= kept_ || (known ? written_[at / kPage] : std::memcmp(heap_ + at, image_ + at, kPage) != 0)) {
      std::memcpy(image_ + at, heap_ + at, kPage);
    }
  }
  if (end > kept_) {
    void* mapped = ::mmap(heap_ + kept_, end - kept_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, file_,
                          static_cast<off_t>(kept_));
    MAYFLY_ASSERT(mapped != MAP_FAILED, "mapping a file over the heap's own addresses needs no more than it has");
    kept_ = end;
  }
  live_kept_ = head().live;
  exhausted_ = false;
}

bool SnapshotMemory::find_written_pages() {
  // Documentation/admin-guide/mm/pagemap.rst: a written page of a private file mapping is present or swapped, and no file page.
  constexpr std::uint64_t kPresent = std::uint64_t{3} << 62;
  constexpr std::uint64_t kFilePage = std::uint64_t{1} << 61;
  pages_.resize(kept_ / kPage);
  const std::size_t bytes = pages_.size() * sizeof(std::uint64_t);
  const auto at = static_cast<off_t>(reinterpret_cast<std::uintptr_t>(heap_) / kPage * sizeof(std::uint64_t));
  if (page_map_ < 0 || ::pread(page_map_, pages_.data(), bytes, at) != static_cast<ssize_t>(bytes)) return false;
  written_.resize(pages_.size());
  std::transform(pages_.begin(), pages_.end(), written_.begin(), [](std::uint64_t page) { return (page & kPresent) != 0 && (page & kFilePage) == 0; });
  return true;
}

/// Dropping the copies lets the system make them again, for a fault each; writing the kept bytes into them costs a tenth.
bool SnapshotMemory::copy_written_pages_back() {
  if (!find_written_pages() || std::ranges::count(written_, true) > kCopiesMax) return false;
  for (std::size_t i = 0; i < written_.size(); ++i) {
    if (written_[i]) std::memcpy(heap_ + i * kPage, image_ + i * kPage, kPage);
  }
  return true;
}

void SnapshotMemory::restore() {
  const std::size_t end = round_up(head().end, kPage);
  if (!copy_written_pages_back()) ::madvise(heap_, kept_, MADV_DONTNEED);
  if (end > kept_ + kWarm) ::madvise(heap_ + kept_ + kWarm, end - kept_ - kWarm, MADV_DONTNEED);
  exhausted_ = false;
}

}  // namespace mayfly
