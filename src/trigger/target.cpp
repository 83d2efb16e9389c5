#include "trigger/target.h"

#include <array>

#include "trigger/http/spec_reader.h"

namespace mayfly::trigger {
namespace {

constexpr std::array<std::string_view, 6> kKinds{"agent", "function", "workflow", "queue", "url", "webhook"};
constexpr std::size_t kUrlBytesMax = 2'048;

std::unexpected<Error> invalid(std::string message) { return fail("target.invalid", std::move(message)); }

}  // namespace

Json to_json(const Target& target) {
  JsonObject out{{kKinds[static_cast<std::size_t>(target.kind)], target.name}};
  if (!target.group.empty()) out["group"] = target.group;
  return out;
}

Result<Target> target_from_json(const Json& value) {
  if (!value.is_object()) return invalid(": a target is an object with one of agent, function, workflow, queue, url, webhook");
  SpecReader reader(value, "");
  std::optional<Target> out;
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    if (!reader.member(kKinds[i])) continue;
    if (out) return invalid("/" + std::string(kKinds[i]) + ": a target is exactly one of agent, function, workflow, queue, url, webhook");
    out = Target{.kind = static_cast<Target::Kind>(i), .name = {}, .group = {}};
    reader.text(kKinds[i], &out->name, kUrlBytesMax);
    if (out->name.empty() && value.get_object().at(kKinds[i]).is_string())
      reader.refuse(kKinds[i], "must not be empty");
  }
  if (!out) return invalid(": a target needs one of agent, function, workflow, queue, url, webhook");
  if (out->kind == Target::Kind::Queue) reader.text("group", &out->group, 32 * 1'024);
  if (out->kind == Target::Kind::Url && !out->name.starts_with("http://") && !out->name.starts_with("https://"))
    reader.refuse("url", "must start with https:// or http://");
  if (auto done = reader.done(); !done) return invalid(done.error().message);
  return *std::move(out);
}

std::string_view target_schema_text() {
  static constexpr std::string_view kText = R"json({
"type":"object","description":"Where an event goes: exactly one of these",
"oneOf":[{"required":["agent"]},{"required":["function"]},{"required":["workflow"]},{"required":["queue"]},{"required":["url"]},{"required":["webhook"]}],
"properties":{
"agent":{"type":"string","minLength":1,"description":"An agent: a run of it"},
"function":{"type":"string","minLength":1,"description":"A function, NAME or NAME:QUALIFIER: an invocation"},
"workflow":{"type":"string","minLength":1,"description":"A state machine: an execution"},
"queue":{"type":"string","minLength":1,"description":"A queue: a message"},
"group":{"type":"string","description":"With `queue`: JSONata for the message group"},
"url":{"type":"string","pattern":"^https?://","maxLength":2048,"description":"An HTTP POST of the event (CloudEvents binary mode)"},
"webhook":{"type":"string","minLength":1,"description":"A registered endpoint: signed, retried over days"}},
"additionalProperties":false})json";
  return kText;
}

}  // namespace mayfly::trigger
