#include "server/oauth/codes.h"

#include <algorithm>

#include "base/hash.h"

namespace mayfly::oauth {
namespace {

constexpr std::size_t kPagesMax = 500, kCodesMax = 1'000;
constexpr int kTriesMax = 10;
constexpr std::chrono::minutes kPageLifetime{10}, kCodeMemory{10}, kCodeLifetime{1};

/// Room for one more: the old ones go, and if that is not enough the oldest.
template <class Map>
void make_room(Map* map, std::size_t most, std::chrono::nanoseconds now, std::chrono::nanoseconds lifetime) {
  std::erase_if(*map, [&](const auto& item) { return now - item.second.made > lifetime; });
  if (map->size() >= most) map->erase(std::ranges::min_element(*map, {}, [](const auto& item) { return item.second.made; }));
}

}  // namespace

Codes::Page Codes::open_page(Request request) {
  make_room(&pages_, kPagesMax, clock_.monotonic(), kPageLifetime);
  Page out{to_base64url(secure_random_bytes(24)), to_base64url(secure_random_bytes(24))};
  pages_.insert_or_assign(out.id, Waiting{std::move(request), sha256_hex(out.cookie), 0, clock_.monotonic()});
  return out;
}

const Request* Codes::page(std::string_view id, std::string_view cookie) {
  const auto found = pages_.find(std::string(id));
  if (found == pages_.end() || !equal_constant_time(found->second.cookie_hash, sha256_hex(cookie))) return nullptr;
  if (++found->second.tries > kTriesMax || clock_.monotonic() - found->second.made > kPageLifetime) {
    pages_.erase(found);
    return nullptr;
  }
  return &found->second.request;
}

std::string Codes::add(Request request, std::string key) {
  make_room(&codes_, kCodesMax, clock_.monotonic(), kCodeMemory);
  std::string code = "mfa_" + to_base64url(secure_random_bytes(32));
  Code entry;
  entry.request = std::move(request);
  entry.key = std::move(key);
  entry.made = clock_.monotonic();
  codes_.insert_or_assign(sha256_hex(code), std::move(entry));
  return code;
}

Codes::Code* Codes::find(std::string_view code) {
  const auto found = codes_.find(sha256_hex(code));
  return found == codes_.end() ? nullptr : &found->second;
}

bool Codes::is_fresh(const Code& code, std::chrono::nanoseconds now) { return now - code.made <= kCodeLifetime; }

}  // namespace mayfly::oauth
