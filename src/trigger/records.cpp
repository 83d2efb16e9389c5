#include <algorithm>

#include "trigger/policy.h"
#include "trigger/service.h"

namespace mayfly::trigger {
namespace {

constexpr std::size_t kListMax = 1'000;
constexpr std::string_view kPublishProgram = "delivery:publish";

const JsonObject& object_of(const Json& value) {
  static const JsonObject kEmpty;
  return value.is_object() ? value.get_object() : kEmpty;
}
Json value_of(const JsonObject& from, std::string_view key) {
  const Json* value = get(from, key);
  return value ? *value : Json(nullptr);
}

std::unexpected<Error> no_delivery(const std::string& id) {
  return fail("delivery.not_found", "there is no delivery '" + id + "'; list them with `mayfly deliveries list`");
}

bool is_delivery(const engine::Execution& run) { return run.program.starts_with(kDeliveryPrefix) && run.program != kPublishProgram; }

/// What a run says of itself, without its journal.
DeliveryRecord outline(const engine::Execution& run) {
  DeliveryRecord out;
  const JsonObject& summary = object_of(run.summary);
  out.id = run.id;
  out.trigger = get_string(summary, "trigger");
  if (auto target = target_from_json(value_of(summary, "target"))) out.target = *std::move(target);
  out.created = run.created;
  if (run.status == engine::ExecutionStatus::Succeeded)
    out.state = DeliveryRecord::State::Delivered;
  else if (!run.open())
    out.state = get_bool(summary, "dead") ? DeliveryRecord::State::Dead : DeliveryRecord::State::Failed;
  for (const engine::PendingOperation& op : run.pending)
    if (op.kind == kRetryKind) out.next = op.due;
  return out;
}

DeliveryAttempt attempt_of(const engine::Operation& op, std::int64_t number) {
  DeliveryAttempt out;
  out.number = number;
  out.at = op.started;
  out.took = op.ended - op.started;
  out.status = static_cast<int>(get_int(object_of(op.meta), "status"));
  if (op.status != engine::OperationStatus::Succeeded) out.error = op.error ? op.error->code + ": " + op.error->message : "it did not succeed";
  return out;
}

}  // namespace

Task<Result<std::vector<DeliveryRecord>>> TriggerServiceImpl::deliveries(std::string target_or_trigger, std::size_t limit) {
  limit = std::clamp<std::size_t>(limit, 1, kListMax);
  engine::ListFilter filter;
  filter.limit = kListMax;
  if (target_or_trigger.contains(':')) filter.program = std::string(kDeliveryPrefix) + target_or_trigger;
  auto runs = co_await engine_->list(std::move(filter));
  if (!runs) co_return std::unexpected(runs.error());
  std::vector<DeliveryRecord> out;
  for (const engine::Execution& run : *runs) {
    if (!is_delivery(run)) continue;
    DeliveryRecord record = outline(run);
    const bool hidden = record.target.kind == Target::Kind::Webhook && is_internal_endpoint(record.target.name);
    const bool asked = (target_or_trigger.empty() && !hidden) || target_or_trigger.contains(':') || record.trigger == target_or_trigger ||
                       record.target.name == target_or_trigger;
    if (!asked) continue;
    auto whole = co_await record_of(run);
    out.push_back(whole ? *std::move(whole) : std::move(record));
    if (out.size() >= limit) break;
  }
  co_return out;
}

Task<Result<DeliveryRecord>> TriggerServiceImpl::record_of(engine::Execution run) {
  DeliveryRecord out = outline(run);
  auto operations = co_await engine_->operations(run.id, -1);
  if (!operations) co_return std::unexpected(operations.error());
  for (const engine::Operation& op : *operations) {
    if (op.type == engine::OperationType::Execution) {
      auto event = co_await engine_->unspill(value_of(object_of(op.input), "event"));
      if (!event) co_return std::unexpected(event.error());
      if (auto parsed = event_from_json(*event)) out.event = *std::move(parsed);
    } else if (op.kind == kAttemptKind) {
      out.attempts.push_back(attempt_of(op, static_cast<std::int64_t>(out.attempts.size()) + 1));
    }
  }
  co_return out;
}

Task<Result<DeliveryRecord>> TriggerServiceImpl::delivery(std::string id) {
  auto run = co_await engine_->get(id);
  if (!run) {
    if (run.error().retry == Retry::Never) co_return no_delivery(id);
    co_return std::unexpected(run.error());
  }
  if (!is_delivery(*run)) co_return no_delivery(id);
  co_return co_await record_of(*std::move(run));
}

Task<Result<Accepted>> TriggerServiceImpl::redeliver(std::string id) {
  auto run = co_await engine_->get(id);
  if (!run || !is_delivery(*run)) co_return no_delivery(id);
  auto operations = co_await engine_->operations_by_id(id, {0});
  if (!operations) co_return std::unexpected(operations.error());
  const auto* first = operations->empty() ? nullptr : std::get_if<engine::Operation>(&operations->front());
  if (!first) co_return fail("run.not_found", "the delivery has no journal any more");
  auto whole = co_await engine_->unspill(first->input);
  if (!whole) co_return std::unexpected(whole.error());
  const JsonObject& input = object_of(*whole);
  auto target = target_from_json(value_of(input, "target"));
  if (!target) co_return std::unexpected(target.error());
  auto event = co_await engine_->unspill(value_of(input, "event"));
  if (!event) co_return std::unexpected(event.error());
  const bool by_step = target->kind == Target::Kind::Queue || target->kind == Target::Kind::Url || target->kind == Target::Kind::Webhook;
  auto given = by_step ? co_await engine_->unspill(value_of(input, "input")) : Result<Json>(value_of(input, "input"));
  if (!given) co_return std::unexpected(given.error());
  // A new delivery, whatever the old one's key: a person asked for it.
  Routed routed;
  routed.trigger = get_string(input, "trigger");
  routed.event = *std::move(event);
  routed.target = *std::move(target);
  routed.input = *std::move(given);
  routed.session = get_string(input, "session");
  routed.key = scoped_key("redelivery/" + id, std::to_string(to_unix_ms(deps_.clock->now())) + "/" + std::to_string(deps_.random->next()));
  if (const JsonObject* policy = get_object(input, "policy")) routed.policy = policy_from_record(*policy);
  co_return co_await start_delivery(std::move(routed));
}

}  // namespace mayfly::trigger
