#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "server/context.h"

namespace mayfly::a2a {

inline constexpr std::size_t kPushConfigsPerTaskMax = 10;

/// A client's address for news of one task.
struct PushConfig {
  std::string id;
  std::string run;
  std::string url;
  std::string token;        ///< sent as X-A2A-Notification-Token
  std::string scheme;       ///< of Authorization
  std::string credentials;
};
JsonObject to_json(const PushConfig& config);
/// Error: `a2a.invalid_push`.
Result<PushConfig> push_config_from_json(const JsonObject& value);

/// Tells clients about tasks: each change of state as a StreamResponse, in order, tried again for some minutes. Configurations are rows
/// (`meta/a2a/RUN/ID`), so that the news of a task's end also arrives when the server was down at that moment.
class PushNotifier {
 public:
  virtual ~PushNotifier() = default;
  /// Reads what is there and goes on. Once the engine is open.
  virtual Task<Result<void>> open() = 0;
  /// Errors: `a2a.push_limit`, `net.invalid_url`, and those of the store.
  virtual Task<Result<PushConfig>> put(PushConfig config) = 0;
  virtual Task<Result<void>> remove(std::string run, std::string id) = 0;
  virtual std::vector<PushConfig> list(const std::string& run) const = 0;
};

/// Its tasks are the context's. Addresses are public ones; MAYFLY_A2A_PUSH_ALLOW names hosts ("host:port", separated by commas) beside them.
std::unique_ptr<PushNotifier> make_push_notifier(AppContext& app);

}  // namespace mayfly::a2a
