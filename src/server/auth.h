#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "function/secret_box.h"
#include "net/http.h"
#include "runtime/clock.h"
#include "store/store.h"

namespace mayfly {

/// What a key may do. `Admin` includes all others and the handling of keys. `Files`: change workspaces as far as its member's role goes (`Read` reads them).
enum class Scope : unsigned { Read = 1, Invoke = 2, Answer = 4, Deploy = 8, Gateway = 16, Admin = 32, Files = 64 };
std::string_view to_string(Scope scope);
std::optional<Scope> scope_from_string(std::string_view text);

class Scopes {
 public:
  constexpr Scopes() = default;
  constexpr Scopes(std::initializer_list<Scope> scopes) {
    for (const Scope scope : scopes) add(scope);
  }
  constexpr void add(Scope scope) { bits_ |= static_cast<unsigned>(scope); }
  constexpr bool has(Scope scope) const { return (bits_ & static_cast<unsigned>(scope)) != 0; }
  constexpr bool intersects(Scopes other) const { return (bits_ & other.bits_) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  std::vector<std::string_view> names() const;
  bool operator==(const Scopes&) const = default;

 private:
  unsigned bits_ = 0;
};

struct ApiKey {
  std::string id;  ///< 8 hexadecimal digits
  std::string name;
  Scopes scopes;
  TimePoint created{};
  std::optional<TimePoint> expires;
  std::optional<TimePoint> last_used;  ///< to the hour
  std::string organisation = "default";
  bool is_person = false;              ///< else an agent or a program
  std::string workspace;               ///< id; empty: all that the key's owner may see
  std::string role_max;                ///< "viewer" … "owner"; empty: no bound
};

/// Who calls.
struct Principal {
  std::string key_id;  ///< empty on public routes; of an OAuth token the key that consented
  std::string name;
  Scopes scopes;
  std::string organisation = "default";
  bool is_person = false;
  std::string workspace;  ///< as in ApiKey
  std::string role_max;
};

/// The organisation of whoever runs the server: its administrators see the keys of all organisations.
inline constexpr std::string_view kOperatorOrganisation = "default";

/// The key in `Authorization: Bearer …` or `x-api-key: …`; empty when there is none.
std::string_view presented_key(const net::Headers& headers);

/// The API keys: rows `meta/key/ID` with the SHA-256 of the secret, and the key's text sealed with the data directory's key, because
/// whoever checks an AWS signature must know the secret. All of them are in memory. A key's text is `mf_<8 hexadecimal digits>_<43
/// characters base64url>`; as AWS credentials the text is the secret access key.
class KeyRing {
 public:
  /// Without `box` (it must live longer) keys cannot sign.
  KeyRing(Store& store, Clock& clock, const function::SecretBox* box = nullptr) : store_(store), clock_(clock), box_(box) {}

  Task<Result<void>> load();
  bool has_admin() const;
  std::vector<ApiKey> list() const;  ///< by creation

  /// A key that is in force, or null.
  const ApiKey* find(std::string_view id) const;

  struct Created {
    ApiKey key;
    std::string text;  ///< shown once
  };
  /// `wanted` says everything but id and times of use. Errors: `key.invalid` and those of the store.
  Task<Result<Created>> create(ApiKey wanted);
  Task<Result<Created>> create(std::string name, Scopes scopes, std::optional<TimePoint> expires);
  /// Errors: `key.not_found`, `key.last_admin` (of those that may do everything here).
  Task<Result<void>> revoke(std::string id);

  /// Reads `Authorization: Bearer KEY` or `x-api-key: KEY`. Errors: `auth.missing`, `auth.invalid`, `auth.expired`.
  Result<Principal> authenticate(const net::Headers& headers) const;
  /// The same of a key's text.
  Result<Principal> authenticate(std::string_view text) const;
  /// What a signature with the access key must have been made with. Errors: `sigv4.unknown_key`, `auth.expired`.
  struct SigningKey {
    std::string secret;
    Principal principal;
  };
  Result<SigningKey> signing_key(std::string_view access_key_id) const;
  /// "MAYFLYKEY1A2B3C4D" for the key 1a2b3c4d.
  static std::string access_key_id(std::string_view id);
  /// True when the hour of the last use changed and `store_use` should be called.
  bool note_use(const std::string& id);
  Task<> store_use(std::string id);

 private:
  struct Entry {
    ApiKey key;
    std::string secret_hash;
    std::string sealed;  ///< its text; empty: made before keys could sign
  };
  Task<Result<void>> write(Entry entry, bool is_new);

  Store& store_;
  Clock& clock_;
  const function::SecretBox* box_;
  std::map<std::string, Entry, std::less<>> keys_;
};

}  // namespace mayfly
