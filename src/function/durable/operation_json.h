#pragma once

#include <optional>
#include <string>
#include <variant>

#include "engine/core/types.h"
#include "function/durable/state.h"

namespace mayfly::function {

/// How a document writes timestamps: the API's answers in epoch seconds, the event of an invocation in milliseconds.
enum class TimeFormat { Seconds, Millis };
Json time_json(TimePoint time, TimeFormat format);

/// One operation as the durable API tells it, pending or ended. Payloads may still be references.
struct OperationView {
  std::int64_t number = 0;  ///< the engine's id: the order of starting
  std::string id;
  std::string type;
  std::string kind;
  std::string name;
  TimePoint started{};
  std::optional<TimePoint> ended;
  Json input;
  Json result;
  Json meta;
  OperationNote note;
  bool hidden() const { return id.empty(); }
};
OperationView view_of(const engine::PendingOperation& operation);
OperationView view_of(const engine::Operation& operation);
OperationView view_of(const std::variant<engine::PendingOperation, engine::Operation>& operation);

/// The text that the handler gets as this operation's result, null when there is none. An agent's answer becomes its JSON text.
Json payload_of(const OperationView& operation);

/// An Operation of the API (https://docs.aws.amazon.com/lambda/latest/api/API_Operation.html). `payload`: payload_of(), put back.
Json operation_json(const OperationView& operation, Json payload, TimeFormat format);
/// The EXECUTION operation; `payload`: the input.
Json execution_operation_json(const engine::Execution& run, const DurableState& state, Json payload, TimeFormat format);

}  // namespace mayfly::function
