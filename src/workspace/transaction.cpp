#include "workspace/transaction.h"

#include <algorithm>

namespace mayfly::workspace {

Task<Result<std::optional<std::string>>> Transaction::get(std::string key) {
  if (const auto changed = changes_.find(key); changed != changes_.end()) co_return changed->second;
  auto record = co_await store_.get(std::move(key));
  if (!record) co_return fail(record.error());
  if (!*record) co_return std::optional<std::string>();
  co_return std::optional(std::move((*record)->value));
}

Task<Result<std::vector<std::pair<std::string, std::string>>>> Transaction::scan(KeyRange range, std::size_t limit, Direction direction) {
  std::vector<std::pair<std::string, std::string>> out;
  if (limit == 0) co_return out;
  // A changed row may take the place of a stored one, so that many more may be needed.
  std::map<std::string, std::optional<std::string>> changed;
  for (auto at = changes_.lower_bound(range.begin); at != changes_.end() && (range.end.empty() || at->first < range.end); ++at) changed.insert(*at);
  auto records = co_await store_.scan(range, std::min(limit + changed.size(), kScanRecordsMax), direction);
  if (!records) co_return fail(records.error());
  const bool whole = records->size() < std::min(limit + changed.size(), kScanRecordsMax);
  const std::string edge = records->empty() ? std::string() : records->back().key;
  for (Record& record : *records)
    if (!changed.contains(record.key)) out.emplace_back(std::move(record.key), std::move(record.value));
  const bool forward = direction == Direction::Forward;
  for (auto& [key, value] : changed)
    if (value && (whole || (forward ? key <= edge : key >= edge))) out.emplace_back(key, std::move(*value));
  std::ranges::sort(out, [forward](const auto& a, const auto& b) { return forward ? a.first < b.first : a.first > b.first; });
  if (out.size() > limit) out.resize(limit);
  co_return out;
}

void Transaction::change(std::string key, std::optional<std::string> value) {
  const auto [at, is_new] = changes_.try_emplace(key);
  undo_.push_back({std::move(key), !is_new, is_new ? std::nullopt : std::move(at->second)});
  if (is_new) bytes_ += at->first.size();
  if (undo_.back().was_changed && undo_.back().value) bytes_ -= undo_.back().value->size();
  if (value) bytes_ += value->size();
  at->second = std::move(value);
}

void Transaction::put(std::string key, std::string value) { change(std::move(key), std::move(value)); }
void Transaction::erase(std::string key) { change(std::move(key), std::nullopt); }

void Transaction::roll_back(Mark mark) {
  while (undo_.size() > mark) {
    Undo& last = undo_.back();
    const auto at = changes_.find(last.key);
    if (at->second) bytes_ -= at->second->size();
    if (last.was_changed) {
      if (last.value) bytes_ += last.value->size();
      at->second = std::move(last.value);
    } else {
      bytes_ -= at->first.size();
      changes_.erase(at);
    }
    undo_.pop_back();
  }
}

Batch Transaction::batch() const {
  Batch out;
  for (const auto& [key, value] : changes_)
    if (value)
      out.puts.push_back({key, *value});
    else
      out.deletes.push_back(key);
  return out;
}

}  // namespace mayfly::workspace
