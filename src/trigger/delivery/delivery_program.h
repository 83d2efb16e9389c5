#pragma once

#include <functional>

#include "engine/core/program.h"
#include "trigger/target.h"

namespace mayfly::trigger {

inline constexpr std::string_view kAttemptKind = "delivery";         ///< CHAINED_INVOKE or STEP: one attempt
inline constexpr std::string_view kRetryKind = "retry";              ///< WAIT before the next
inline constexpr std::string_view kDeadLetterKind = "dead_letter";   ///< STEP: the event goes to the dead-letter queue
inline constexpr std::string_view kPublishKind = "publish";          ///< STEP: a published event goes to all who want it
/// Of an error after which no attempt is made: the endpoint is gone.
inline constexpr std::string_view kEndpointGone = "endpoint.gone";

/// What a delivery's run is given. Large values are references (Engine::spill).
struct DeliveryInput {
  Json event;
  Target target;
  Json input;
  std::string session;
  std::string trigger;
  DeliveryPolicy policy;
};
Json to_json(const DeliveryInput& input);
Json publish_input(Json event);

/// The journal of one delivery: attempts and the waits between them, then at most one dead-letter step. The run's `summary` is
/// {"kind", "trigger", "target", "attempts", "dead"}.
///
/// Agents, functions and workflows are attempted by CHAINED_INVOKEs {"target", "input", "session"}, queues and addresses by STEPs.
/// An attempt that a crash cut off is repeated, with the same idempotency key, and does not count.
class DeliveryProgram final : public engine::Program {
 public:
  /// Told of every delivery that ends, for counting; may be told twice of one. May be empty.
  using Observer = std::function<void(const std::string& trigger, bool delivered, bool dead)>;
  explicit DeliveryProgram(Observer observer = {}) : observer_(std::move(observer)) {}

  engine::Decision begin(engine::ProgramContext context, const Json& input) const override;
  engine::Decision ended(engine::ProgramContext context, const engine::Operation& operation) const override;
  engine::Decision message(engine::ProgramContext context, const engine::Operation& operation) const override;
  bool may_repeat(engine::ProgramContext context, const engine::PendingOperation& operation, const Error& error) const override;
  engine::OnUnknownOutcome on_unknown(engine::ProgramContext context, const engine::PendingOperation& operation) const override;
  void completing(engine::ProgramContext context, const engine::Completion& completion) const override;

 private:
  Observer observer_;
};

}  // namespace mayfly::trigger
