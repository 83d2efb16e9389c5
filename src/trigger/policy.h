#pragma once

#include "trigger/http/spec_reader.h"
#include "trigger/target.h"

namespace mayfly::trigger {

/// Reads `retry` and `dead_letter_queue` of an object. Error: what is wrong inside of `retry`, with its pointer.
Result<void> read_policy(SpecReader& reader, DeliveryPolicy* policy);
/// Adds those members that differ from `usual`.
void write_policy(const DeliveryPolicy& policy, const DeliveryPolicy& usual, JsonObject* out);
/// For the journal, in milliseconds.
JsonObject policy_to_record(const DeliveryPolicy& policy);
DeliveryPolicy policy_from_record(const JsonObject& record);
/// [a-z0-9][a-z0-9-]{0,62}
bool is_trigger_name(std::string_view name);

/// The member `retry` of schemas.
inline constexpr std::string_view kRetrySchema =
    R"({"type":"object","description":"How hard a delivery is tried","properties":{"attempts":{"description":"Tries at most.","type":"integer","minimum":1,"maximum":1000},)"
    R"("first_delay":{"type":"string","description":"Before the second attempt; grows by the factor"},"factor":{"description":"How much longer each pause is than the one before. Default 2.","type":"integer","minimum":1,"maximum":10},"max_delay":{"description":"The longest pause. Default 1h.","type":"string"},)"
    R"("max_age":{"description":"How long it may be remembered, or tried.","type":"string","description":"No attempt begins later than this after the first"}},"additionalProperties":false})";

}  // namespace mayfly::trigger
