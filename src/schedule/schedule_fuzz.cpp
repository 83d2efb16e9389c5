#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "schedule/schedule.h"

/// The input is an expression; and, as JSON, a schedule.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  constexpr mayfly::TimePoint kNow = mayfly::from_unix_ms(1'700'000'000'000);
  if (const auto expression = mayfly::schedule::ScheduleExpression::parse(text, "Europe/Berlin")) {
    const auto due = expression->next(kNow, kNow);
    MAYFLY_ASSERT(!due || *due > kNow, "the next due time lies ahead");
    if (due && *due > kNow + mayfly::Millis{1}) MAYFLY_ASSERT(expression->next(*due - mayfly::Millis{1}, kNow) == due, "one time, one answer");
  }
  if (const auto json = mayfly::parse_json(text)) {
    if (const auto spec = mayfly::schedule::schedule_spec_from_json("n", *json)) {
      MAYFLY_ASSERT(mayfly::schedule::schedule_spec_from_json("n", mayfly::schedule::to_json(*spec)).has_value(), "what was read is read again");
    }
  }
  return 0;
}
