#include "agent/delegation_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "agent/object_of.h"

namespace mayfly::agent {
namespace {

std::unexpected<Error> bad(std::string why) { return fail("agent.invalid_spec", std::move(why)); }

JsonArray to_json(const std::vector<trigger::Target>& targets) {
  JsonArray out;
  for (const trigger::Target& target : targets) out.push_back(trigger::to_json(target));
  return out;
}

Result<std::vector<trigger::Target>> targets_from_json(const JsonObject& in, std::string_view key) {
  std::vector<trigger::Target> out;
  if (!in.contains(key)) return out;
  const JsonArray* list = get_array(in, key);
  if (!list || list->size() > Destinations::kTargetsMax)
    return bad(fmt::format("`{}` must be a list of at most {} targets", key, Destinations::kTargetsMax));
  for (const Json& each : *list) {
    auto target = trigger::target_from_json(each);
    if (!target) return bad(fmt::format("`{}`: {}", key, target.error().message));
    out.push_back(*std::move(target));
  }
  return out;
}

Result<Destinations::OnEvent> on_event_from_json(const Json& value) {
  const JsonObject& in = object_of(value);
  Destinations::OnEvent out;
  const JsonArray* events = get_array(in, "events");
  if (!events || events->empty()) return bad("`on_event` needs `events`, a list of names");
  for (const Json& each : *events) {
    const std::string name = each.is_string() ? std::string(each.get_string()) : std::string();
    if (std::ranges::find(run_event_names(), name) == run_event_names().end())
      return bad(fmt::format("`on_event` has the unknown event `{}`", name));
    out.events.push_back(name);
  }
  const Json* target = get(in, "target");
  if (!target) return bad("`on_event` needs a `target`");
  auto read = trigger::target_from_json(*target);
  if (!read) return bad("`on_event`: " + read.error().message);
  out.target = *std::move(read);
  return out;
}

}  // namespace

Amounts& Amounts::operator+=(const Amounts& other) {
  steps += other.steps;
  input_tokens += other.input_tokens;
  output_tokens += other.output_tokens;
  usd += other.usd;
  return *this;
}

Amounts& Amounts::operator-=(const Amounts& other) {
  steps -= other.steps;
  input_tokens -= other.input_tokens;
  output_tokens -= other.output_tokens;
  usd -= other.usd;
  return *this;
}

Json to_json(const Amounts& amounts) {
  JsonObject out;
  if (amounts.steps) out["steps"] = amounts.steps;
  if (amounts.input_tokens) out["input_tokens"] = amounts.input_tokens;
  if (amounts.output_tokens) out["output_tokens"] = amounts.output_tokens;
  if (amounts.usd) out["nano_usd"] = amounts.usd;
  return out;
}

Amounts amounts_from_json(const Json& value) {
  const JsonObject& in = object_of(value);
  return {get_int(in, "steps"), get_int(in, "input_tokens"), get_int(in, "output_tokens"), get_int(in, "nano_usd")};
}

const std::vector<std::string>& run_event_names() {
  static const std::vector<std::string> names{"run.started",    "model.ended",       "tool.started",  "tool.ended",
                                              "question.asked", "question.answered", "child.started", "child.ended",
                                              "wait.started",   "wait.ended"};
  return names;
}

Json to_json(const Delegation& delegation) {
  return JsonObject{{"agent", delegation.agent},
                    {"mode", delegation.mode == Delegation::Mode::Handoff ? "handoff" : "delegate"},
                    {"description", delegation.description},
                    {"budget", to_json(delegation.budget)},
                    {"deadline_ms", static_cast<std::int64_t>(delegation.deadline.count())},
                    {"session", delegation.session == Delegation::Session::Shared ? "shared" : "run"},
                    {"on_failure", delegation.on_failure == Delegation::OnFailure::Fail ? "fail" : "tell"}};
}

Result<Delegation> delegation_from_json(const Json& value) {
  const JsonObject& in = object_of(value);
  Delegation out;
  out.agent = get_string(in, "agent");
  if (out.agent.empty()) return bad("`agent` must be the name of an agent");
  const auto word = [&](std::string_view key, std::string_view first, std::string_view second) -> Result<bool> {
    const std::string text = get_string(in, key, first);
    if (text != first && text != second) return bad(fmt::format("`{}` must be {} or {}, not `{}`", key, first, second, text));
    return text == second;
  };
  const auto handoff = word("mode", "delegate", "handoff"), shared = word("session", "run", "shared"), fails = word("on_failure", "tell", "fail");
  for (const auto* each : {&handoff, &shared, &fails})
    if (!*each) return std::unexpected(each->error());
  out.mode = *handoff ? Delegation::Mode::Handoff : Delegation::Mode::Delegate;
  out.session = *shared ? Delegation::Session::Shared : Delegation::Session::Run;
  out.on_failure = *fails ? Delegation::OnFailure::Fail : Delegation::OnFailure::Tell;
  out.description = get_string(in, "description");
  if (const Json* budget = get(in, "budget")) out.budget = amounts_from_json(*budget);
  out.deadline = Millis{get_int(in, "deadline_ms")};
  if (std::min({out.budget.steps, out.budget.input_tokens, out.budget.output_tokens, out.budget.usd,
                static_cast<std::int64_t>(out.deadline.count())}) < 0)
    return bad("`budget` and `deadline_ms` must not be negative");
  return out;
}

Json to_json(const Destinations& destinations) {
  JsonArray on_event;
  for (const Destinations::OnEvent& each : destinations.on_event) {
    JsonArray events;
    for (const std::string& name : each.events) events.emplace_back(name);
    on_event.push_back(JsonObject{{"events", std::move(events)}, {"target", trigger::to_json(each.target)}});
  }
  return JsonObject{{"on_success", to_json(destinations.on_success)},
                    {"on_failure", to_json(destinations.on_failure)},
                    {"on_event", std::move(on_event)}};
}

Result<Destinations> destinations_from_json(const Json& value) {
  const JsonObject& in = object_of(value);
  Destinations out;
  auto on_success = targets_from_json(in, "on_success"), on_failure = targets_from_json(in, "on_failure");
  if (!on_success) return std::unexpected(on_success.error());
  if (!on_failure) return std::unexpected(on_failure.error());
  out.on_success = *std::move(on_success);
  out.on_failure = *std::move(on_failure);
  std::map<std::string, int> times;
  const JsonArray* on_event = get_array(in, "on_event");
  for (std::size_t i = 0; on_event && i < on_event->size(); ++i) {
    auto each = on_event_from_json((*on_event)[i]);
    if (!each) return std::unexpected(each.error());
    // What one step of a run writes has a bound.
    for (const std::string& name : each->events)
      if (++times[name] > 2) return bad(fmt::format("`on_event` tells more than two targets of `{}`; put a queue or an event trigger between", name));
    out.on_event.push_back(*std::move(each));
  }
  return out;
}

}  // namespace mayfly::agent
