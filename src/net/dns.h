#pragma once

#include <boost/asio/ip/address.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/clock.h"

namespace boost::asio {
class thread_pool;
}

namespace mayfly::net {

using Addresses = std::vector<asio::ip::address>;

/// The operating system's name lookup, on helper threads, with a small cache. Used on one loop; destroyed before it,
/// which waits for lookups under way.
class Resolver {
 public:
  Resolver(Executor executor, Clock& clock);
  ~Resolver();
  /// All addresses of the host, in the system's order. Errors: `net.dns` (Safe), `net.timeout` (Safe), `net.cancelled` (OutcomeUnknown).
  Task<Result<Addresses>> resolve(std::string host, Millis timeout, CancelToken cancel);

 private:
  struct Cached {
    Addresses addresses;
    std::chrono::nanoseconds until{0};
  };

  Executor executor_;
  Clock& clock_;
  std::map<std::string, Cached, std::less<>> cache_;
  std::shared_ptr<int> waiting_;
  std::unique_ptr<asio::thread_pool> threads_;  ///< made by the first lookup
};

}  // namespace mayfly::net
