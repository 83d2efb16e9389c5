#include "server/http_triggers/jwks_cache.h"

#include <algorithm>

#include "base/log.h"

namespace mayfly::http_triggers {
namespace {

using std::chrono::hours, std::chrono::minutes;

constexpr std::size_t kEntriesMax = 100;
constexpr std::size_t kSetBytesMax = 256 * 1024, kKeysMax = 100;
constexpr Millis kFetchMax{10'000};

Result<Json> read_set(const Result<net::ClientResponse>& answer) {
  if (!answer) return fail(answer.error());
  if (answer->status != 200) return fail("jwks.unavailable", "it answered with status " + std::to_string(answer->status));
  auto value = parse_json(answer->body, {.depth_max = 8, .bytes_max = kSetBytesMax});
  const auto* object = value ? value->if_object() : nullptr;
  const auto* keys = object ? get_array(*object, "keys") : nullptr;
  if (!keys || keys->size() > kKeysMax) return fail("jwks.unavailable", "it is no key set (RFC 7517), or one of more than 100 keys");
  return std::move(*value);
}

}  // namespace

bool JwksCache::is_due(const Entry& entry, Want want) const {
  if (entry.is_fetching) return true;
  if (!entry.was_tried) return true;
  const auto now = clock_.monotonic();
  // Whatever the reason: an issuer, or who sends tokens with made-up keys, causes one fetch a minute.
  if (now - entry.tried < minutes(1)) return false;
  return want == Want::Newer || entry.keys.is_null() || now - entry.fetched >= hours(1);
}

void JwksCache::make_room() {
  if (entries_.size() < kEntriesMax) return;
  auto oldest = entries_.end();
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry)
    if (!entry->second.is_fetching && (oldest == entries_.end() || entry->second.used < oldest->second.used)) oldest = entry;
  if (oldest != entries_.end()) entries_.erase(oldest);
}

Task<Result<Json>> JwksCache::get(std::string url, bool private_network, Want want) {
  // What one route may fetch, another with the same URL may not.
  const std::string key = (private_network ? "private " : "public ") + url;
  if (!entries_.contains(key)) make_room();
  Entry* entry = &entries_[key];
  entry->used = ++uses_;
  if (is_due(*entry, want)) {
    if (entry->is_fetching) {
      (void)co_await suspend<bool>([entry](Resume<bool> resume) { entry->waiting.push_back(std::move(resume)); });
    } else {
      co_await fetch(url, private_network, entry);
    }
    // The entry may have made room meanwhile.
    const auto found = entries_.find(key);
    if (found == entries_.end()) co_return fail("jwks.unavailable", "too many issuers are used at the same time; try again", Retry::Safe);
    entry = &found->second;
  }
  const bool is_stale = clock_.monotonic() - entry->fetched >= hours(24);
  if (entry->keys.is_null() || is_stale)
    co_return fail("jwks.unavailable", "the issuer's key set cannot be fetched: " + entry->problem, Retry::Safe);
  co_return entry->keys;
}

Task<> JwksCache::fetch(std::string url, bool private_network, Entry* entry) {
  entry->is_fetching = true;
  net::ClientRequest request;
  request.url = url;
  request.headers = {{"Accept", "application/json"}};
  if (private_network) request.egress = net::EgressPolicy::trusted();
  request.total_timeout = kFetchMax;
  request.body_bytes_max = kSetBytesMax;
  request.redirects_max = 2;
  auto set = read_set(co_await http_.send(std::move(request)));
  entry->is_fetching = false;
  entry->was_tried = true;
  entry->tried = clock_.monotonic();
  if (set) {
    entry->keys = std::move(*set);
    entry->fetched = entry->tried;
    entry->problem.clear();
  } else {
    entry->problem = set.error().message;
    log::warn("an issuer's key set cannot be fetched", {{"url", url.substr(0, url.find('?'))}, {"error", set.error().message}});
  }
  for (Resume<bool>& resume : std::exchange(entry->waiting, {})) resume(true);
}

}  // namespace mayfly::http_triggers
