#include "server/faces/recall_store.h"

namespace mayfly::faces {
namespace {

std::string key_of(std::string_view owner, std::string_view id) {
  std::string out(owner);
  out += '/';
  out += id;
  return out;
}

std::size_t size_of(const llm::Content& content) {
  constexpr std::size_t kOverhead = 512;
  std::size_t out = kOverhead + content.text.size() + content.id.size() + content.name.size();
  if (!content.arguments.is_null()) out += to_text(content.arguments).size();
  if (!content.opaque.is_null()) out += to_text(content.opaque).size();
  return out;
}

}  // namespace

void RecallStore::keep(std::string_view owner, const Remembered& items) {
  for (const auto& [id, content] : items) {
    std::string key = key_of(owner, id);
    const std::size_t bytes = size_of(content) + 2 * key.size();
    if (bytes > bytes_max_ / 16 || by_key_.contains(key)) continue;
    by_age_.push_back({key, content, bytes});
    by_key_.emplace(std::move(key), std::prev(by_age_.end()));
    bytes_ += bytes;
    while (by_age_.size() > entries_max_ || bytes_ > bytes_max_) forget_oldest();
  }
}

void RecallStore::forget_oldest() {
  bytes_ -= by_age_.front().bytes;
  by_key_.erase(by_age_.front().key);
  by_age_.pop_front();
}

std::optional<llm::Content> RecallStore::find(std::string_view owner, std::string_view id) const {
  const auto found = by_key_.find(key_of(owner, id));
  if (found == by_key_.end()) return std::nullopt;
  return found->second->content;
}

}  // namespace mayfly::faces
