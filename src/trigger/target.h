#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"
#include "base/time.h"

namespace mayfly::trigger {

/// Where an event goes.
struct Target {
  enum class Kind {
    Agent,     ///< a run of the agent
    Function,  ///< an invocation
    Workflow,  ///< an execution of a state machine
    Queue,     ///< a message
    Url,       ///< an HTTP POST of the event (CloudEvents binary mode), through the SSRF guard
    Webhook,   ///< a registered endpoint: signed (Standard Webhooks), retried over days, logged
  };
  Kind kind = Kind::Agent;
  std::string name;   ///< or the URL
  std::string group;  ///< Queue: JSONata for the message group; empty: the session, or else one group of the trigger's
};
/// {"agent": NAME} | {"function": NAME[:QUALIFIER]} | {"workflow": NAME} | {"queue": NAME, "group"?} | {"url": URL} | {"webhook": NAME}.
Json to_json(const Target& target);
/// Error: `target.invalid`, whose message starts with a JSON Pointer and ": ".
Result<Target> target_from_json(const Json& value);
/// JSON Schema of that form.
std::string_view target_schema_text();

/// How hard a delivery is tried.
struct DeliveryPolicy {
  std::int64_t attempts_max = 1;
  Millis delay_first{1'000};  ///< grows by `delay_factor`
  std::int64_t delay_factor = 2;
  Millis delay_max{3'600'000};
  Millis age_max{24LL * 3'600'000};
  std::string dead_letter_queue;  ///< what failed `attempts_max` times goes there with the reason; empty: it stays visible as a failed delivery
};

}  // namespace mayfly::trigger
