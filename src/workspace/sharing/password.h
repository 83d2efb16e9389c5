#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "runtime/task.h"

namespace boost::asio {
class thread_pool;
}

namespace mayfly::workspace {

/// Passwords of links: scrypt (RFC 7914) with N = 2^15, r = 8, p = 1, on a thread of its own since one takes a tenth of a second and 32
/// MiB.
class Passwords {
 public:
  explicit Passwords(Executor executor);
  ~Passwords();

  /// "scrypt$SALT$KEY". Errors: `link.password` (Retry::Safe) when too many are asked for at once.
  Task<Result<std::string>> hash(std::string password);
  Task<Result<bool>> fits(std::string password, std::string stored);

 private:
  Task<Result<std::string>> derive(std::string password, std::string salt);

  Executor executor_;
  std::unique_ptr<asio::thread_pool> worker_;
  std::shared_ptr<int> waiting_ = std::make_shared<int>(0);
};

}  // namespace mayfly::workspace
