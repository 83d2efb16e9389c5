#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "schedule/schedule.h"

namespace mayfly::schedule {
namespace {

constexpr std::size_t kInputBytesMax = 256 * 1024;
constexpr std::size_t kDescriptionBytesMax = 512;
constexpr Millis kWindowMax{24LL * 3'600'000};

std::unexpected<Error> invalid(std::string_view pointer, std::string_view what) {
  return fail("schedule.invalid", fmt::format("{}: {}", pointer, what));
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
  });
}

std::string_view to_string(Missed missed) { return missed == Missed::Skip ? "skip" : missed == Missed::RunOnce ? "once" : "all"; }

/// Durations are written as people do and exactly: 90 s is "90s".
std::string duration_text(Millis duration) {
  const auto ms = duration.count();
  return ms % 1000 == 0 ? fmt::format("{}s", ms / 1000) : fmt::format("{}ms", ms);
}

class SpecReader {
 public:
  explicit SpecReader(const JsonObject& object) : object_(object) {}

  Result<std::string> text(std::string_view key, std::string otherwise) const {
    const Json* value = get(object_, key);
    if (value == nullptr) return otherwise;
    if (!value->is_string()) return invalid("/" + std::string(key), "must be a text");
    return std::string(value->get_string());
  }
  Result<bool> truth(std::string_view key, bool otherwise) const {
    const Json* value = get(object_, key);
    if (value == nullptr) return otherwise;
    if (!value->is_bool()) return invalid("/" + std::string(key), "must be true or false");
    return value->get_bool();
  }
  Result<std::optional<TimePoint>> time(std::string_view key) const {
    const Json* value = get(object_, key);
    if (value == nullptr || value->is_null()) return std::optional<TimePoint>();
    const auto parsed = value->is_string() ? parse_rfc3339(value->get_string()) : fail("time.invalid", "");
    if (!parsed) return invalid("/" + std::string(key), "must be a time such as \"2026-11-23T15:54:25Z\"");
    return std::optional(*parsed);
  }
  Result<Millis> duration(std::string_view key, std::string_view pointer, Millis otherwise, Millis min, Millis max) const {
    const Json* value = get(object_, key);
    if (value == nullptr) return otherwise;
    const auto parsed = value->is_string() ? parse_duration(value->get_string()) : fail("duration.invalid", "");
    if (!parsed) return invalid(pointer, "must be a duration such as \"15m\"");
    if (*parsed < min || *parsed > max) return invalid(pointer, fmt::format("must lie between {} and {}", to_human(min), to_human(max)));
    return *parsed;
  }

 private:
  const JsonObject& object_;
};

template <std::size_t N>
Result<void> only(const JsonObject& object, std::string_view prefix, const std::array<std::string_view, N>& known) {
  for (const auto& [key, value] : object) {
    if (std::ranges::find(known, std::string_view(key)) == known.end()) {
      return invalid(fmt::format("{}/{}", prefix, std::string(key).substr(0, 64)), fmt::format("is unknown; there are {}", fmt::join(known, ", ")));
    }
  }
  return {};
}

Result<void> read_retry(const JsonObject& object, ScheduleSpec& spec) {
  const Json* retry = get(object, "retry");
  if (retry == nullptr) return {};
  if (!retry->is_object()) return invalid("/retry", "must be an object with attempts and max_age");
  const JsonObject& fields = retry->get_object();
  if (auto known = only(fields, "/retry", std::array<std::string_view, 2>{"attempts", "max_age"}); !known) return known;
  if (const Json* attempts = get(fields, "attempts")) {
    if (!attempts->is_int64() || attempts->get_int64() < 0 || attempts->get_int64() > 185) {
      return invalid("/retry/attempts", "must be a whole number from 0 to 185");
    }
    spec.retry_attempts_max = attempts->get_int64();
  }
  const auto age = SpecReader(fields).duration("max_age", "/retry/max_age", spec.retry_age_max, Millis{60'000}, Millis{24LL * 3'600'000});
  if (!age) return fail(age.error());
  spec.retry_age_max = *age;
  return {};
}

Result<Missed> read_missed(const SpecReader& reader) {
  const auto text = reader.text("missed", "once");
  if (!text) return fail(text.error());
  for (const Missed missed : {Missed::Skip, Missed::RunOnce, Missed::RunAll}) {
    if (to_string(missed) == *text) return missed;
  }
  return invalid("/missed", "must be skip, once or all");
}

}  // namespace

Json to_json(const ScheduleSpec& spec) {
  JsonObject object{{"name", spec.name},           {"group", spec.group},
                    {"expression", spec.expression}, {"time_zone", spec.time_zone},
                    {"missed", to_string(spec.missed)}, {"enabled", spec.enabled},
                    {"delete_after_completion", spec.delete_after_completion},
                    {"target", spec.target},
                    {"retry", {{"attempts", spec.retry_attempts_max}, {"max_age", duration_text(spec.retry_age_max)}}}};
  if (!spec.description.empty()) object["description"] = spec.description;
  if (spec.start) object["start"] = to_rfc3339(*spec.start);
  if (spec.end) object["end"] = to_rfc3339(*spec.end);
  if (spec.flexible_window > Millis{0}) object["flexible_window"] = duration_text(spec.flexible_window);
  if (!spec.input.is_null()) object["input"] = spec.input;
  if (!spec.dead_letter_queue.empty()) object["dead_letter_queue"] = spec.dead_letter_queue;
  return object;
}

Result<ScheduleSpec> schedule_spec_from_json(std::string name, const Json& value) {
  if (!value.is_object()) return invalid("", "a schedule is an object with an expression and a target");
  const JsonObject& object = value.get_object();
  constexpr std::array<std::string_view, 15> kKnown{"name", "group", "description", "expression", "time_zone", "start", "end", "flexible_window",
                                                    "missed", "enabled", "delete_after_completion", "target", "input", "retry", "dead_letter_queue"};
  if (auto known = only(object, "", kKnown); !known) return fail(known.error());
  const SpecReader reader(object);
  ScheduleSpec spec;
  for (const auto& [key, field] : {std::pair{"group", &spec.group}, {"description", &spec.description}, {"expression", &spec.expression},
                                   {"time_zone", &spec.time_zone}, {"dead_letter_queue", &spec.dead_letter_queue}}) {
    auto text = reader.text(key, *field);
    if (!text) return fail(text.error());
    *field = std::move(*text);
  }
  if (name.empty()) name = get_string(object, "name");
  if (!is_name(name)) return invalid("/name", "must have 1 to 64 letters, digits, hyphens, underscores and dots");
  if (get(object, "name") != nullptr && get_string(object, "name") != name) return invalid("/name", "differs from the name in the path; leave it out");
  if (!is_name(spec.group)) return invalid("/group", "must have 1 to 64 letters, digits, hyphens, underscores and dots");
  if (spec.description.size() > kDescriptionBytesMax) return invalid("/description", "must have at most 512 bytes");
  spec.name = std::move(name);
  if (const auto parsed = ScheduleExpression::parse(spec.expression, spec.time_zone); !parsed) {
    return invalid(parsed.error().code == "schedule.unknown_time_zone" ? "/time_zone" : "/expression", parsed.error().message);
  }
  const auto start = reader.time("start");
  if (!start) return fail(start.error());
  const auto end = reader.time("end");
  if (!end) return fail(end.error());
  if (*start && *end && **end <= **start) return invalid("/end", "must be later than start");
  spec.start = *start;
  spec.end = *end;
  const auto window = reader.duration("flexible_window", "/flexible_window", Millis{0}, Millis{0}, kWindowMax);
  if (!window) return fail(window.error());
  spec.flexible_window = *window;
  const auto missed = read_missed(reader);
  if (!missed) return fail(missed.error());
  spec.missed = *missed;
  const auto enabled = reader.truth("enabled", true);
  if (!enabled) return fail(enabled.error());
  spec.enabled = *enabled;
  const auto drop = reader.truth("delete_after_completion", false);
  if (!drop) return fail(drop.error());
  spec.delete_after_completion = *drop;
  if (const Json* target = get(object, "target"); target != nullptr && target->is_object() && !target->get_object().empty()) {
    spec.target = *target;
  } else {
    return invalid("/target", "must be an object such as {\"agent\": \"NAME\"}");
  }
  if (const Json* input = get(object, "input")) spec.input = *input;
  if (to_text(spec.target).size() + to_text(spec.input).size() > kInputBytesMax) return invalid("/input", "must have at most 256 KiB with the target");
  if (auto retry = read_retry(object, spec); !retry) return fail(retry.error());
  return spec;
}

std::string_view schedule_schema_text() {
  return R"({"type":"object","required":["expression","target"],"additionalProperties":false,"properties":{
"name":{"description":"The same as its key.","type":"string","pattern":"^[0-9a-zA-Z_.-]{1,64}$"},
"group":{"description":"For clients that group schedules. Default: default.","type":"string","pattern":"^[0-9a-zA-Z_.-]{1,64}$","default":"default"},
"description":{"description":"For people.","type":"string","maxLength":512},
"expression":{"type":"string","maxLength":256,"description":"rate(5 minutes), at(2026-11-23T15:54:25) or cron(0 8 ? * MON-FRI *), as Amazon EventBridge Scheduler writes them"},
"time_zone":{"type":"string","default":"UTC","description":"A name of the IANA database, for at and cron"},
"start":{"description":"Nothing is due before.","type":"string","format":"date-time"},
"end":{"description":"Nothing is due after.","type":"string","format":"date-time"},
"flexible_window":{"type":"string","description":"A duration such as 15m: each firing comes at a fixed moment within it"},
"missed":{"type":"string","enum":["skip","once","all"],"default":"once","description":"What becomes of times at which the server was down"},
"enabled":{"description":"Whether it fires. Default true.","type":"boolean","default":true},
"delete_after_completion":{"description":"Whether it goes when nothing more can be due. Default false.","type":"boolean","default":false},
"target":{"type":"object","description":"Where each firing goes, such as {\"agent\": NAME}"},
"input":{"description":"What the target is given; without it, the event of the firing"},
"retry":{"description":"How often a delivery that fails is tried again.","type":"object","additionalProperties":false,"properties":{"attempts":{"description":"Retries, 0 to 185. Default 3.","type":"integer","minimum":0,"maximum":185},"max_age":{"description":"How long after the firing it is tried at most. Default 24h.","type":"string"}}},
"dead_letter_queue":{"description":"A queue for what could not be delivered.","type":"string"}}})";
}

}  // namespace mayfly::schedule
