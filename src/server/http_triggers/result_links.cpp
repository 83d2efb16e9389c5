#include "server/http_triggers/result_links.h"

#include <charconv>

#include "base/hash.h"
#include "engine/core/keys.h"

namespace mayfly::http_triggers {
namespace {

constexpr std::string_view kRow = "meta/link_key";

std::string signature_of(std::string_view key, std::string_view text) { return to_base64url(hmac_sha256(key, "result " + std::string(text))); }

std::unexpected<Error> unknown() { return fail("result.not_found", "there is no such result; take the address from the answer that promised it"); }

}  // namespace

Task<Result<std::string>> ResultLinks::key(Store* store) {
  for (int attempt = 0; key_.empty() && attempt < 3; ++attempt) {
    auto row = co_await store->get(std::string(kRow));
    if (!row) co_return fail(row.error());
    if (*row) {
      key_ = (*row)->value;
      break;
    }
    Batch batch;
    batch.require.push_back(Precondition::absent(std::string(kRow)));
    batch.puts.push_back({std::string(kRow), to_base64url(secure_random_bytes(32))});
    // Another may have been quicker: what is there counts.
    if (auto written = co_await store->commit(std::move(batch)); !written) co_return fail(written.error());
  }
  if (key_.empty()) co_return fail("store.io", "the key of result links cannot be read", Retry::Safe);
  co_return key_;
}

Task<Result<std::string>> ResultLinks::sign(Store* store, std::string run, TimePoint expires) {
  const auto key = co_await this->key(store);
  if (!key) co_return fail(key.error());
  const std::string text = run + "." + std::to_string(to_unix_ms(expires) / 1000);
  co_return text + "." + signature_of(*key, text);
}

Task<Result<std::string>> ResultLinks::verify(Store* store, std::string token, TimePoint now) {
  const auto first = token.find('.'), second = token.rfind('.');
  if (token.size() > 200 || first == std::string::npos || first == second) co_return unknown();
  const auto key = co_await this->key(store);
  if (!key) co_return fail(key.error());
  if (!equal_constant_time(signature_of(*key, token.substr(0, second)), token.substr(second + 1))) co_return unknown();
  std::int64_t expires = 0;
  std::from_chars(token.data() + first + 1, token.data() + second, expires);
  if (to_unix_ms(now) / 1000 >= expires) co_return fail("result.expired", "this address was good for a day; ask with an API key at /v1/runs");
  co_return token.substr(0, first);
}

}  // namespace mayfly::http_triggers
