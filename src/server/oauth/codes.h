#pragma once

#include <map>
#include <optional>
#include <string>

#include "runtime/clock.h"
#include "server/oauth/clients.h"
#include "server/oauth/grants.h"

namespace mayfly::oauth {

/// An authorization request that was found good.
struct Request {
  Client client;
  std::string redirect_uri, state, challenge, resource, base;
  bool named_redirect = false;  ///< `redirect_uri` was given, so the token request has to repeat it if it names one
  Scopes scopes;
};

/// What is between an authorization request and its tokens; in memory, since it lasts minutes: pages that wait for a person (ten minutes,
/// ten tries, at most 500) and codes (one minute, good once, at most 1,000; a used one is remembered for ten).
class Codes {
 public:
  explicit Codes(const Clock& clock) : clock_(clock) {}

  struct Page {
    std::string id, cookie;  ///< the form's and the browser's half
  };
  Page open_page(Request request);
  /// Null when it has gone or the cookie is another browser's.
  const Request* page(std::string_view id, std::string_view cookie);
  void close_page(std::string_view id) { pages_.erase(std::string(id)); }

  std::string add(Request request, std::string key);

  struct Code {
    Request request;
    std::string key;
    bool used = false, abused = false;
    std::string grant;  ///< what came of it
    std::chrono::nanoseconds made{0};
  };
  /// Null when it is unknown. Stays where it is until the next `add`.
  Code* find(std::string_view code);
  static bool is_fresh(const Code& code, std::chrono::nanoseconds now);

 private:
  struct Waiting {
    Request request;
    std::string cookie_hash;
    int tries = 0;
    std::chrono::nanoseconds made{0};
  };
  const Clock& clock_;
  std::map<std::string, Waiting> pages_;  ///< by id
  std::map<std::string, Code> codes_;     ///< by hash
};

}  // namespace mayfly::oauth
