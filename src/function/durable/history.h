#pragma once

#include <vector>

#include "engine/engine.h"
#include "function/durable/operation_json.h"

namespace mayfly::function {

/// An event of GetDurableExecutionHistory before its payloads are put back.
struct HistoryItem {
  HistoryEvent event;
  const OperationView* operation = nullptr;  ///< null: of the execution itself
};

/// Why the execution did not succeed: an ErrorObject.
Json execution_error(const engine::Execution& run, const DurableState& state);

/// All events so far, by EventId. `operations` must outlive them.
std::vector<HistoryItem> history_items(const engine::Execution& run, const DurableState& state,
                                       const std::vector<OperationView>& operations);

/// The payload that belongs into the event, null when there is none; `input` is the execution's.
Json payload_of(const HistoryItem& item, const engine::Execution& run, const Json& input);

/// An Event of the API (https://docs.aws.amazon.com/lambda/latest/api/API_Event.html). `payload`: payload_of(), put back; ignored
/// without `include_data`.
Json event_json(const HistoryItem& item, const engine::Execution& run, const DurableState& state, Json payload, bool include_data);

}  // namespace mayfly::function
