#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "server/auth.h"
#include "store/store.h"

namespace mayfly::oauth {

inline constexpr Millis kAccessLifetime{3'600'000}, kRefreshLifetime{30LL * 24 * 3'600'000};

/// What a person allowed a client.
struct Grant {
  std::string id;   ///< 16 hexadecimal digits
  std::string key;  ///< the API key of who consented; without it the grant is worth nothing
  std::string client, client_name;
  std::string resource;  ///< what its tokens are for
  Scopes scopes;
  TimePoint created{}, expires{};  ///< of the refresh token
};

struct Tokens {
  std::string access, refresh;
  Scopes scopes;
};

/// The grants and the SHA-256 of their tokens: rows `meta/oauth/grant/ID`, all of them in memory. Tokens are `mfo_ID_SECRET`, refresh
/// tokens `mfr_ID_SECRET`. A refresh token is good once; who shows a used one ends the grant (RFC 9700 §4.14).
class Grants {
 public:
  /// Both outlive it; `clock` too.
  Grants(Store& store, Clock& clock, const KeyRing& keys) : store_(store), clock_(clock), keys_(keys) {}

  Task<Result<void>> load();
  /// `grant` says key, client, resource and scopes. Errors: `oauth.full`, those of the store.
  struct Made {
    std::string grant;
    Tokens tokens;
  };
  Task<Result<Made>> create(Grant grant);
  /// Narrowed to `scopes` where given. Error: `oauth.invalid_grant`, those of the store.
  Task<Result<Tokens>> refresh(std::string token, std::string client, std::string resource, std::optional<Scopes> scopes);
  /// Ends the grant of a token; without effect when it is unknown or another client's.
  Task<Result<void>> revoke(std::string token, std::string client);
  Task<Result<void>> end(std::string id);

  /// Errors: `auth.invalid`, `auth.expired`.
  Result<Principal> authenticate(std::string_view token, std::string_view resource) const;
  bool has_client(std::string_view client) const;
  static bool is_access_token(std::string_view text) { return text.starts_with("mfo_"); }

 private:
  struct Access {
    std::string hash;
    TimePoint expires{};
    Scopes scopes;
  };
  struct Entry {
    Grant grant;
    std::string refresh_hash;
    std::vector<std::string> used;  ///< hashes of earlier refresh tokens
    std::vector<Access> access;
  };
  static std::string row_of(const Entry& entry);
  static std::optional<Entry> entry_of(const JsonObject& row);
  const ApiKey* key_of(const Grant& grant) const;
  Tokens issue(Entry* entry, Scopes scopes) const;
  Task<Result<void>> write(std::string id);
  Task<> remove_dead();

  Store& store_;
  Clock& clock_;
  const KeyRing& keys_;
  std::map<std::string, Entry, std::less<>> grants_;
};

}  // namespace mayfly::oauth
