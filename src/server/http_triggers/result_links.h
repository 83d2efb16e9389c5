#pragma once

#include <optional>
#include <string>

#include "base/time.h"
#include "store/store.h"

namespace mayfly::http_triggers {

/// Addresses of results for callers without a key: "RUN.EXPIRY.SIGNATURE". The key that signs lies in the store beside the results themselves
/// (row "meta/link_key"), so that links outlive a restart.
class ResultLinks {
 public:
  /// Makes the key at the first use. Errors: those of the store.
  Task<Result<std::string>> sign(Store* store, std::string run, TimePoint expires);
  /// The run. Errors: `result.not_found` (no such link, or changed), `result.expired`.
  Task<Result<std::string>> verify(Store* store, std::string token, TimePoint now);

 private:
  Task<Result<std::string>> key(Store* store);
  std::string key_;
};

}  // namespace mayfly::http_triggers
