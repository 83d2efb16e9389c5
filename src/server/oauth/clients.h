#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "net/http_client.h"
#include "runtime/clock.h"
#include "store/store.h"

namespace mayfly::oauth {

/// A program that asks for authorization. All are public: none has a secret.
struct Client {
  std::string id;
  std::string name;  ///< as it calls itself
  std::vector<std::string> redirect_uris;
  TimePoint created{};
};

/// At most `most` in a minute.
class PerMinute {
 public:
  PerMinute(const Clock& clock, std::size_t most) : clock_(clock), most_(most) {}
  bool take();

 private:
  const Clock& clock_;
  std::size_t most_;
  std::deque<std::chrono::nanoseconds> taken_;
};

/// Clients by dynamic registration (RFC 7591): rows `meta/oauth/client/ID`, at most 1,000, the oldest unused ones make room. And clients
/// whose id is the https URL of their metadata (draft-ietf-oauth-client-id-metadata-document): fetched through the guard against
/// server-side request forgery, cached as the answer allows (a minute to a day), at most 200, twenty fetches a minute.
class Clients {
 public:
  /// All outlive it. `is_used`: whether somebody has allowed this client something.
  Clients(Store& store, Clock& clock, net::HttpClient& http, std::vector<std::string> private_hosts,
          std::function<bool(std::string_view)> is_used);

  Task<Result<void>> load();
  /// From RFC 7591 client metadata. Errors: `oauth.invalid_redirect_uri`, `oauth.invalid_client_metadata`, `oauth.slow_down`, `oauth.full`.
  Task<Result<Client>> add(JsonObject metadata);
  /// Error: `oauth.invalid_client`.
  Task<Result<Client>> find(std::string id);

 private:
  struct Cached {
    Client client;
    std::chrono::nanoseconds until{0};
  };
  Task<Result<Client>> fetch(std::string url);
  Task<Result<void>> make_room();

  Store& store_;
  Clock& clock_;
  net::HttpClient& http_;
  std::vector<std::string> private_hosts_;
  std::function<bool(std::string_view)> is_used_;
  std::map<std::string, Client, std::less<>> registered_;
  std::map<std::string, Cached, std::less<>> cached_;
  PerMinute registrations_, fetches_;
};

}  // namespace mayfly::oauth
