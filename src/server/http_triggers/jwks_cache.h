#pragma once

#include <list>
#include <map>
#include <string>
#include <vector>

#include "net/http_client.h"
#include "runtime/clock.h"
#include "runtime/task.h"
#include "trigger/trigger_spec.h"

namespace mayfly::http_triggers {

/// Issuers' key sets. Fetched when first needed, again after an hour, and for an unknown key at most once a minute; a set that cannot be fetched
/// anew stays in use for a day. One fetch at a time for each URL, through the guard against server-side request forgery.
class JwksCache {
 public:
  JwksCache(net::HttpClient& http, Clock& clock) : http_(http), clock_(clock) {}

  enum class Want { Cached, Newer };
  /// Error: `jwks.unavailable` (Retry::Safe).
  Task<Result<Json>> get(std::string url, bool private_network, Want want);

 private:
  struct Entry {
    Json keys;  ///< null: none yet
    std::chrono::nanoseconds fetched{0}, tried{0};
    bool was_tried = false, is_fetching = false;
    std::string problem;
    std::vector<Resume<bool>> waiting;
    std::uint64_t used = 0;
  };
  bool is_due(const Entry& entry, Want want) const;
  Task<> fetch(std::string url, bool private_network, Entry* entry);
  void make_room();

  net::HttpClient& http_;
  Clock& clock_;
  std::map<std::string, Entry> entries_;
  std::uint64_t uses_ = 0;
};

}  // namespace mayfly::http_triggers
