#include "trigger/policy.h"

#include <algorithm>

namespace mayfly::trigger {
namespace {

constexpr Millis kDelayLeast{100};
constexpr Millis kAgeMost{31LL * 86'400'000};
constexpr std::int64_t kAttemptsMost = 1'000;

}  // namespace

Result<void> read_policy(SpecReader& reader, DeliveryPolicy* policy) {
  reader.text("dead_letter_queue", &policy->dead_letter_queue, 80);
  const Json* retry = reader.member("retry");
  if (!retry) return {};
  SpecReader inner(*retry, reader.pointer("retry"));
  inner.number("attempts", &policy->attempts_max, 1, kAttemptsMost);
  inner.duration("first_delay", &policy->delay_first, kDelayLeast, kAgeMost);
  inner.number("factor", &policy->delay_factor, 1, 10);
  inner.duration("max_delay", &policy->delay_max, kDelayLeast, kAgeMost);
  inner.duration("max_age", &policy->age_max, Millis{1'000}, kAgeMost);
  return inner.done();
}

void write_policy(const DeliveryPolicy& policy, const DeliveryPolicy& usual, JsonObject* out) {
  JsonObject retry;
  if (policy.attempts_max != usual.attempts_max) retry["attempts"] = policy.attempts_max;
  if (policy.delay_first != usual.delay_first) retry["first_delay"] = to_spec_text(policy.delay_first);
  if (policy.delay_factor != usual.delay_factor) retry["factor"] = policy.delay_factor;
  if (policy.delay_max != usual.delay_max) retry["max_delay"] = to_spec_text(policy.delay_max);
  if (policy.age_max != usual.age_max) retry["max_age"] = to_spec_text(policy.age_max);
  if (!retry.empty()) (*out)["retry"] = std::move(retry);
  if (!policy.dead_letter_queue.empty()) (*out)["dead_letter_queue"] = policy.dead_letter_queue;
}

JsonObject policy_to_record(const DeliveryPolicy& policy) {
  return {{"attempts", policy.attempts_max},
          {"first_ms", policy.delay_first.count()},
          {"factor", policy.delay_factor},
          {"max_ms", policy.delay_max.count()},
          {"age_ms", policy.age_max.count()},
          {"dlq", policy.dead_letter_queue}};
}

DeliveryPolicy policy_from_record(const JsonObject& record) {
  DeliveryPolicy out;
  out.attempts_max = get_int(record, "attempts", out.attempts_max);
  out.delay_first = Millis{get_int(record, "first_ms", out.delay_first.count())};
  out.delay_factor = get_int(record, "factor", out.delay_factor);
  out.delay_max = Millis{get_int(record, "max_ms", out.delay_max.count())};
  out.age_max = Millis{get_int(record, "age_ms", out.age_max.count())};
  out.dead_letter_queue = get_string(record, "dlq");
  return out;
}

bool is_trigger_name(std::string_view name) {
  const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= 63 && is_plain(name.front()) &&
         std::ranges::all_of(name, [&](char c) { return is_plain(c) || c == '-'; });
}

}  // namespace mayfly::trigger
