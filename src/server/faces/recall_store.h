#pragma once

#include <cstddef>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "server/faces/stream_encoder.h"

namespace mayfly::faces {

/// Remembers parts of recent answers under the ids that clients send back instead of them, separately for each API key. In memory
/// and bounded: the oldest are forgotten, and all are when the server stops. A forgotten thought costs quality, not correctness;
/// a forgotten item reference is answered with a clear error.
class RecallStore {
 public:
  explicit RecallStore(std::size_t entries_max = 20'000, std::size_t bytes_max = 32 * 1024 * 1024)
      : entries_max_(entries_max), bytes_max_(bytes_max) {}

  void keep(std::string_view owner, const Remembered& items);
  std::optional<llm::Content> find(std::string_view owner, std::string_view id) const;
  std::size_t size() const { return by_age_.size(); }

 private:
  struct Entry {
    std::string key;
    llm::Content content;
    std::size_t bytes = 0;
  };
  void forget_oldest();

  std::size_t entries_max_;
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::list<Entry> by_age_;
  std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;
};

}  // namespace mayfly::faces
