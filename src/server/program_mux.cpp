#include "server/program_mux.h"

namespace mayfly {

void ProgramMux::add(Entry entry) { entries_.push_back(std::move(entry)); }

const ProgramMux::Entry* ProgramMux::entry_of(std::string_view program) const {
  const auto colon = program.find(':');
  const std::string_view prefix = colon == std::string_view::npos ? std::string_view() : program.substr(0, colon + 1);
  for (const Entry& entry : entries_)
    if (entry.prefix == prefix) return &entry;
  return nullptr;
}

std::shared_ptr<const engine::Program> ProgramMux::find(const std::string& name, std::int64_t version) {
  const Entry* entry = entry_of(name);
  return entry ? entry->programs->find(name, version) : nullptr;
}

Result<engine::StartRequest> ProgramMux::chained(const JsonObject& invoke) {
  if (const Json* to = get(invoke, "target"); to && to->is_object() && targets_) {
    auto target = trigger::target_from_json(*to);
    if (!target) return fail(target.error());
    const Json* input = get(invoke, "input");
    return targets_->start(*target, input ? *input : Json(nullptr), get_string(invoke, "session"), trigger::TargetHost::Ask::Call);
  }
  // An agent's own form, with budget and lineage; functions write the engine's.
  const std::string program = invoke.contains("agent") ? std::string() : get_string(invoke, "program");
  if (const Entry* entry = entry_of(program)) return entry->programs->chained(invoke);
  return fail("program.not_found", "nothing here runs '" + program + "'");
}

Task<engine::StepOutcome> ProgramMux::execute(engine::StepCall call) {
  const Entry* entry = entry_of(call.program);
  if (entry && entry->steps) co_return co_await entry->steps->execute(std::move(call));
  engine::StepOutcome out;
  out.error = Error{"program.no_steps", "nothing here performs the steps of '" + call.program + "'", Retry::Never};
  co_return out;
}

void ProgramMux::hibernated(const std::string& session) {
  for (const Entry& entry : entries_)
    if (entry.steps) entry.steps->hibernated(session);
}

}  // namespace mayfly
