#include "store/store.h"

#include <fmt/format.h>

#include <algorithm>

namespace mayfly {
namespace {

constexpr const char* kInvalid = "store.invalid_batch";

std::string shown(std::string_view key) { return std::string(key.substr(0, 80)); }

/// Checks one key after the other: its size, and that all lie in one partition.
class KeyChecker {
 public:
  explicit KeyChecker(const StoreLimits& limits) : limits_(limits) {}

  Result<void> check(std::string_view key) {
    if (key.size() > limits_.key_bytes_max)
      return fail(kInvalid, fmt::format("A key of {} bytes is over the limit of {}: use a shorter name.", key.size(),
                                        limits_.key_bytes_max));
    const std::string_view partition = partition_of(key);
    if (partition.empty() || partition.size() == key.size())
      return fail(kInvalid, fmt::format("The key '{}' has no partition: write it as <partition>/<name>.", shown(key)));
    if (partition_.empty()) partition_ = partition;
    if (partition != partition_)
      return fail(kInvalid, fmt::format("The batch touches partition '{}' and '{}': split it, one batch for each partition.",
                                        shown(partition_), shown(partition)));
    return {};
  }

 private:
  const StoreLimits& limits_;
  std::string_view partition_;
};

/// The first key that occurs twice among puts and deletes; empty when there is none.
std::string_view repeated_key(const Batch& batch) {
  std::vector<std::string_view> keys;
  keys.reserve(batch.puts.size() + batch.deletes.size());
  for (const Put& put : batch.puts) keys.push_back(put.key);
  for (const std::string& key : batch.deletes) keys.push_back(key);
  std::ranges::sort(keys);
  const auto twice = std::ranges::adjacent_find(keys);
  return twice == keys.end() ? std::string_view{} : *twice;
}

}  // namespace

KeyRange KeyRange::prefix(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return {std::string(prefix), std::move(end)};
}

std::string_view partition_of(std::string_view key) { return key.substr(0, key.find('/')); }

std::size_t bytes_of(const Batch& batch) {
  std::size_t bytes = 0;
  for (const Precondition& precondition : batch.require) bytes += precondition.key.size();
  for (const Put& put : batch.puts) bytes += put.key.size() + put.value.size();
  for (const std::string& key : batch.deletes) bytes += key.size();
  return bytes;
}

Result<void> check_batch(const Batch& batch, const StoreLimits& limits) {
  const std::size_t operations = batch.require.size() + batch.puts.size() + batch.deletes.size();
  if (operations == 0) return fail(kInvalid, "The batch is empty: give it a put, a delete or a precondition.");
  if (operations > limits.batch_operations_max)
    return fail(kInvalid, fmt::format("The batch has {} operations, over the limit of {}: split it.", operations,
                                      limits.batch_operations_max));
  KeyChecker keys(limits);
  for (const Precondition& precondition : batch.require)
    if (auto ok = keys.check(precondition.key); !ok) return ok;
  for (const std::string& key : batch.deletes)
    if (auto ok = keys.check(key); !ok) return ok;
  for (const Put& put : batch.puts) {
    if (auto ok = keys.check(put.key); !ok) return ok;
    if (put.value.size() > limits.value_bytes_max)
      return fail(kInvalid, fmt::format("The value of '{}' has {} bytes, over the limit of {}: put it into the blob store.", shown(put.key),
                                        put.value.size(), limits.value_bytes_max));
  }
  if (const std::size_t bytes = bytes_of(batch); bytes > limits.batch_bytes_max)
    return fail(kInvalid, fmt::format("The batch has {} bytes, over the limit of {}: split it.", bytes, limits.batch_bytes_max));
  if (const std::string_view key = repeated_key(batch); !key.empty())
    return fail(kInvalid, fmt::format("The key '{}' is written twice in one batch: keep only the last write.", shown(key)));
  return {};
}

Result<void> check_scan(std::size_t limit) {
  if (limit >= 1 && limit <= kScanRecordsMax) return {};
  return fail("store.invalid_scan", fmt::format("A scan of {} records was asked for: ask for 1 to {}.", limit, kScanRecordsMax));
}

}  // namespace mayfly
