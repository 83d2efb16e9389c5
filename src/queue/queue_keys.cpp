#include "queue/queue_keys.h"

#include "base/id.h"

namespace mayfly::queue::keys {

QueueKeys::QueueKeys(Partition partition, std::string id)
    : partition_(partition), id_(std::move(id)), prefix_(engine::keys::partition_prefix(partition) + "Q/" + id_ + "/") {}

std::string QueueKeys::kind_prefix(char kind) const {
  std::string out;
  out.reserve(prefix_.size() + 24);
  out += prefix_;
  out += kind;
  out += '/';
  return out;
}

std::string QueueKeys::message(std::uint64_t number) const { return kind_prefix('m') + to_hex16(number); }
std::string QueueKeys::outbox(std::uint64_t number) const { return kind_prefix('o') + to_hex16(number); }
std::string QueueKeys::state(std::uint64_t number) const { return kind_prefix('v') + to_hex16(number); }
std::string QueueKeys::task(std::string_view handle) const { return kind_prefix('t').append(handle); }
std::string QueueKeys::taken_over(std::string_view source_id) const { return kind_prefix('x').append(source_id); }
std::string QueueKeys::unique_prefix(char kind) const { return kind_prefix('u') + kind; }
std::string QueueKeys::unique(char kind, std::int64_t window, std::string_view hash) const {
  return unique_prefix(kind) + to_hex16(static_cast<std::uint64_t>(window)) + "/" + std::string(hash);
}

Partition partition_of_queue(std::string_view name, Partition partitions) {
  return engine::keys::partition_of_session("queue/" + std::string(name), partitions);
}

std::string meta(std::string_view name) { return std::string(kMetaPrefix).append(name); }

std::optional<std::uint64_t> parse_hex(std::string_view text) {
  if (text.empty() || text.size() > 16) return std::nullopt;
  std::uint64_t out = 0;
  for (const char c : text) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return std::nullopt;
    out = out << 4 | static_cast<std::uint64_t>(digit);
  }
  return out;
}

std::optional<std::uint64_t> number_of(std::string_view key) {
  const std::size_t slash = key.rfind('/');
  if (slash == std::string_view::npos || key.size() - slash != 17) return std::nullopt;
  return parse_hex(key.substr(slash + 1));
}

}  // namespace mayfly::queue::keys
