#pragma once

#include <optional>
#include <string>

#include "function/durable/durable_service.h"
#include "function/durable/state.h"

namespace mayfly::function {

/// Names one checkpoint of one attempt of one invocation, and how much of the changes its owner has seen.
struct CheckpointToken {
  std::int64_t operation = 0;
  std::int64_t attempt = 0;
  std::int64_t sequence = 0;
  std::int64_t change = 0;
};
/// Base64, as the API's pattern wants.
std::string encode(const CheckpointToken& token);
std::optional<CheckpointToken> parse_checkpoint_token(std::string_view text);
Json to_json(const CheckpointToken& token);
CheckpointToken checkpoint_token_from_json(const Json& value);

/// True when `token` is of the invocation that is under way (whichever its sequence).
bool owns(const engine::Execution& run, const DurableState& state, const CheckpointToken& token);

/// Where a callback's answer goes. The secret makes it unguessable.
struct CallbackId {
  std::string run;
  std::string operation;  ///< the handler's Id of it
  std::string secret;
};
std::string encode(const CallbackId& id);
std::optional<CallbackId> parse_callback_id(std::string_view text);

/// The engine's name of an operation of a handler's: CONTEXTs have a space of their own, since only they can be parents.
std::string operation_key(engine::OperationType type, std::string_view id);
/// The opposite.
std::string id_of_key(std::string_view key);

/// The Id of the EXECUTION operation: the last part of the execution's ARN.
std::string execution_operation_id(const engine::Execution& run);

}  // namespace mayfly::function
