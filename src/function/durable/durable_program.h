#pragma once

#include "engine/core/program.h"
#include "function/durable/state.h"

namespace mayfly::function {

/// A durable execution: invokes the function whenever something that it waits for has happened, until it says that it is done. In between
/// the function itself reports its operations by checkpoints.
///
/// Input: {"kind":"durable","name","version","payload","timeout"}. Result: {"DurableExecutionArn", "Result" | "Error"}.
/// Its hidden STEP "invocation" results in {"Status": "SUCCEEDED|FAILED|PENDING", "Result", "Error", "bytes", "seen"}, or with
/// "CRASHED" (the function failed: tried again) or "INVALID" (an answer that cannot be understood), each with "Error".
class DurableProgram final : public engine::Program {
 public:
  engine::Decision begin(engine::ProgramContext context, const Json& input) const override;
  engine::Decision ended(engine::ProgramContext context, const engine::Operation& operation) const override;
  engine::Decision message(engine::ProgramContext context, const engine::Operation& operation) const override;
  bool may_repeat(engine::ProgramContext context, const engine::PendingOperation& operation, const Error& error) const override;
  engine::OnUnknownOutcome on_unknown(engine::ProgramContext context, const engine::PendingOperation& operation) const override;
  void closing(engine::ProgramContext context, engine::Operation& operation) const override;
  void completing(engine::ProgramContext context, const engine::Completion& completion) const override;
  engine::Decision ready(engine::ProgramContext context, const engine::PendingOperation& operation) const override;
  /// {"do":"checkpoint","token","client_token","fingerprint","updates"} answers {"sequence","change","operations":[number, …]};
  /// {"do":"callback","operation","id","action":"succeed|fail|heartbeat","result","error","request"} and {"do":"stop","error","request"}
  /// null.
  Result<engine::Reaction> command(engine::ProgramContext context, const Json& body) const override;
};

}  // namespace mayfly::function
