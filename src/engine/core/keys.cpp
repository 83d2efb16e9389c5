#include "engine/core/keys.h"

#include "base/hash.h"
#include "base/id.h"

namespace mayfly::engine::keys {
namespace {

constexpr std::string_view kBase32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::string_view kRunPrefix = "run_";
constexpr std::size_t kUlidSize = 26;
constexpr std::size_t kUlidTimeSize = 10;

std::string hex8(std::int64_t number) { return to_hex16(static_cast<std::uint64_t>(number)).substr(8); }

std::string join(Partition partition, std::string_view kind, std::string_view rest = {}) {
  std::string out = partition_prefix(partition);
  out.reserve(out.size() + kind.size() + rest.size() + 1);
  out += kind;
  out += '/';
  out += rest;
  return out;
}

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c == '/' || c == '%' || static_cast<unsigned char>(c) < 0x21 || c == 0x7f) {
      out += '%';
      out += to_hex(std::string_view(&c, 1));
    } else {
      out += c;
    }
  }
  return out;
}

std::string numbered(std::string_view first, std::int64_t number) {
  std::string out(first);
  out += '/';
  out += hex8(number);
  return out;
}

}  // namespace

std::string partition_prefix(Partition partition) { return to_hex16(partition).substr(12) + "/"; }
std::string epoch(Partition partition) { return partition_prefix(partition) + "epoch"; }
std::string active(Partition partition, std::string_view run) { return join(partition, "a", run); }
std::string active_prefix(Partition partition) { return join(partition, "a"); }
std::string outbox(Partition partition, std::string_view run, std::int64_t operation) {
  return join(partition, "b", numbered(run, operation));
}
std::string outbox_message(Partition partition, std::string_view run, std::int64_t number) {
  return join(partition, "b", std::string(run) + "/m" + hex8(number));
}
std::string outbox_prefix(Partition partition) { return join(partition, "b"); }
std::string history(Partition partition, std::string_view session, std::int64_t number) {
  return join(partition, "h", numbered(escape(session), number));
}
std::string history_prefix(Partition partition, std::string_view session) { return join(partition, "h", escape(session) + "/"); }
std::string idempotency(Partition partition, std::string_view hash) { return join(partition, "i", hash); }
std::string memory(Partition partition, std::string_view session, std::string_view key) {
  return join(partition, "k", escape(session) + "/" + escape(key));
}
std::string memory_prefix(Partition partition, std::string_view session) { return join(partition, "k", escape(session) + "/"); }
std::string operation(Partition partition, std::string_view run, std::int64_t operation) {
  return join(partition, "o", numbered(run, operation));
}
std::string operation_prefix(Partition partition, std::string_view run) { return join(partition, "o", std::string(run) + "/"); }
std::string inbox(Partition partition, std::string_view session, std::int64_t number) {
  return join(partition, "q", numbered(escape(session), number));
}
std::string inbox_prefix(Partition partition, std::string_view session) { return join(partition, "q", escape(session) + "/"); }
std::string session(Partition partition, std::string_view session) { return join(partition, "s", escape(session)); }
std::string session_prefix(Partition partition) { return join(partition, "s"); }
std::string timer(Partition partition, TimePoint due, std::string_view run, std::string_view what) {
  std::string rest = to_hex16(static_cast<std::uint64_t>(to_unix_ms(due)));
  rest += '/';
  rest += run;
  rest += '/';
  rest += what;
  return join(partition, "t", rest);
}
std::string timer_prefix(Partition partition) { return join(partition, "t"); }
std::string run(Partition partition, std::string_view run) { return join(partition, "x", run); }
std::string run_prefix(Partition partition) { return join(partition, "x"); }

std::optional<TimerKey> parse_timer(std::string_view key) {
  constexpr std::size_t kDueAt = 7;  // after "PPPP/t/"
  if (key.size() < kDueAt + 18 || key[kDueAt + 16] != '/') return std::nullopt;
  std::uint64_t due = 0;
  for (const char c : key.substr(kDueAt, 16)) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return std::nullopt;
    due = due << 4 | static_cast<std::uint64_t>(digit);
  }
  const std::string_view rest = key.substr(kDueAt + 17);
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  return TimerKey{from_unix_ms(static_cast<std::int64_t>(due)), std::string(rest.substr(0, slash)), std::string(rest.substr(slash + 1))};
}

Partition partition_of_session(std::string_view session, Partition partitions) {
  return static_cast<Partition>(stable_hash64(session) % partitions);
}

std::string make_run_id(TimePoint now, Random& random, Partition partition) {
  std::string id = std::string(kRunPrefix) + make_ulid(now, random);
  const std::size_t at = kRunPrefix.size() + kUlidTimeSize;
  id[at] = kBase32[partition >> 5 & 31];
  id[at + 1] = kBase32[partition & 31];
  return id;
}

std::optional<Partition> partition_of_run(std::string_view run) {
  if (run.size() != kRunPrefix.size() + kUlidSize || !run.starts_with(kRunPrefix)) return std::nullopt;
  for (const char c : run.substr(kRunPrefix.size()))
    if (kBase32.find(c) == std::string_view::npos) return std::nullopt;
  const std::size_t at = kRunPrefix.size() + kUlidTimeSize;
  return static_cast<Partition>(kBase32.find(run[at]) << 5 | kBase32.find(run[at + 1]));
}

}  // namespace mayfly::engine::keys
