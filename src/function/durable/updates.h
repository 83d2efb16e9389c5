#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "engine/core/types.h"

namespace mayfly::function {

inline constexpr std::size_t kPayloadBytesMax = 6 * 1024 * 1024;
inline constexpr std::size_t kChainedPayloadBytesMax = 1024 * 1024;
inline constexpr std::size_t kErrorBytesMax = 32'768;
inline constexpr std::size_t kUpdatesMax = 1'000;  ///< of one checkpoint

enum class Action { Start, Succeed, Fail, Retry, Cancel };

/// One OperationUpdate of CheckpointDurableExecution (https://docs.aws.amazon.com/lambda/latest/api/API_OperationUpdate.html).
struct Update {
  std::string id;
  std::string parent;
  std::string name;
  std::string sub_type;
  engine::OperationType type = engine::OperationType::Step;
  Action action = Action::Start;
  Json payload;  ///< null, the text, or the reference to where it was put
  std::size_t payload_bytes = 0;
  Json error;  ///< null or an ErrorObject
  std::optional<std::int64_t> retry_delay;
  std::optional<std::int64_t> wait;
  std::int64_t timeout = 0;
  std::int64_t heartbeat = 0;
  bool replay_children = false;
  bool has_invoke_options = false;
  std::string function;  ///< of a CHAINED_INVOKE
  std::string tenant;
  // What the service adds, because the program has neither randomness nor a registry.
  std::string callback_id;
  Json invoke;   ///< the start of the invoked run, as the engine's outbox wants it
  Json refused;  ///< ErrorObject: the target cannot be invoked
};

/// Members that the service adds to an update before the program sees it.
inline constexpr std::string_view kCallbackMember = "$callback";
inline constexpr std::string_view kInvokeMember = "$invoke";
inline constexpr std::string_view kRefusedMember = "$refused";
inline constexpr std::string_view kBytesMember = "$bytes";

/// Checks the shapes and sizes of the API's document. Error: `checkpoint.invalid`, which names the update.
Result<std::vector<Update>> parse_updates(const JsonArray& updates);

/// An ErrorObject with nothing but its own members. Error: `checkpoint.invalid`.
Result<Json> parse_error_object(const Json& value);
Json make_error_object(std::string_view type, std::string_view message);
/// For people: "Type: message".
std::string describe_error_object(const Json& error);

}  // namespace mayfly::function
