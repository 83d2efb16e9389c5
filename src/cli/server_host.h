#pragma once

#include <memory>
#include <string>

#include "server/config.h"

namespace mayfly::cli {

/// A server on a thread of its own, so that a program can talk to it and wait for its user meanwhile.
class ServerHost {
 public:
  /// Returns once it listens, with the errors of App::start.
  static Result<std::unique_ptr<ServerHost>> start(ServerConfig config);
  /// Stops it gracefully.
  ~ServerHost();
  const std::string& url() const;

 private:
  struct Parts;
  explicit ServerHost(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace mayfly::cli
