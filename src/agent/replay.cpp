#include "agent/replay.h"

#include <algorithm>
#include <map>

#include "agent/agent_program.h"
#include "agent/conversation.h"
#include "agent/object_of.h"
#include "llm/cassette.h"

namespace mayfly::agent {
namespace {

using engine::Operation;
using engine::OperationRequest;
using engine::OperationStatus;

Json comparable(std::string_view kind, std::string_view name, const Json& input) {
  return JsonObject{{"kind", kind}, {"name", name}, {"input", input}};
}

class Replay {
 public:
  Replay(const engine::RunDescription& description, const std::vector<llm::Message>& earlier, const AgentSpec& recorded,
         const AgentSpec& spec)
      : description_(description), earlier_(earlier), recorded_(recorded), spec_(spec) {
    const engine::Execution& run = description.run;
    run_.id = run.id;
    run_.program = run.program;
    run_.session = run.session;
    run_.keyed = run.keyed;
    run_.deadline = run.deadline;
    session_.id = run.session;
    const auto first = std::ranges::find(description.operations, 1, &Operation::id);
    if (first == description.operations.end()) return;
    if (const Json* carried = get(object_of(first->input), "context_tokens")) session_.state = JsonObject{{"context_tokens", *carried}};
    if (first->kind == kind::kForward) session_.state = JsonObject{{"holder", JsonObject{{"agent", first->name}}}};
  }

  ReplayReport drive(const AgentProgram& program) {
    std::vector<const Operation*> order;
    for (const Operation& op : description_.operations) order.push_back(&op);
    std::ranges::sort(order, {}, [](const Operation* op) { return op->ended_event; });
    for (const Operation* op : order) {
      if (report_.first_difference) break;
      if (op->type == engine::OperationType::Execution) {
        take(program.begin(context(op->ended), op->input));
      } else if (op->kind == "message") {
        run_.next_operation = std::max(run_.next_operation, op->id + 1);
        take(program.message(context(op->ended), *op));
      } else if (op->status != OperationStatus::Cancelled) {
        follow(program, *op);
      }
    }
    if (!report_.first_difference) compare_ends();
    return std::move(report_);
  }

 private:
  engine::ProgramContext context(TimePoint now) { return {run_, run_.keyed ? &session_ : nullptr, now}; }

  void take(engine::Decision decision) {
    for (OperationRequest& request : decision.start) requested_[run_.next_operation++] = std::move(request);
    if (decision.complete) completion_ = std::move(decision.complete);
  }

  void differ(std::int64_t operation, std::string what) { report_.first_difference = Difference{operation, std::move(what)}; }

  void follow(const AgentProgram& program, const Operation& op) {
    const auto request = requested_.find(op.id);
    if (request == requested_.end())
      return differ(op.id, "the record has " + op.kind + " " + op.name + " here, which would not have been asked for now");
    const Json was = comparable(op.kind, op.name, op.input),
               is = comparable(request->second.kind, request->second.name, request->second.input);
    if (to_canonical_text(was) != to_canonical_text(is)) return differ(op.id, llm::first_difference(was, is));
    if (op.kind == kind::kModel && op.status == OperationStatus::Succeeded) compare_requests(op);
    if (report_.first_difference) return;
    requested_.erase(request);
    if (op.kind == kind::kFanOut || op.kind == kind::kHandBack) return;  // the program ended these itself
    repeat_unknown(program, op);
    take(program.ended(context(op.ended), op));
  }

  /// Attempts that may have been billed changed what the program takes for spent.
  void repeat_unknown(const AgentProgram& program, const Operation& op) {
    engine::PendingOperation attempt;
    attempt.id = op.id;
    attempt.kind = op.kind;
    const Error unknown{"operation.interrupted", "this attempt was cut off", Retry::OutcomeUnknown};
    for (std::int64_t i = 0; i < op.unknown_attempts; ++i) program.may_repeat(context(op.ended), attempt, unknown);
  }

  void compare_requests(const Operation& op) {
    ++report_.model_calls;
    const auto messages = ConversationReader::with_run(earlier_, description_.operations, op.id);
    const llm::LlmRequest was = make_request(recorded_, messages, object_of(op.input));
    const llm::LlmRequest is = make_request(spec_, messages, object_of(op.input));
    const std::string hash = get_string(object_of(op.meta), "request_hash");
    if (!hash.empty() && hash != hash_of(was))
      return differ(op.id, "the request that the journal tells of is not the one that was sent (" + hash.substr(0, 12) + "…)");
    if (to_canonical_text(llm::to_json(was)) != to_canonical_text(llm::to_json(is)))
      differ(op.id, llm::first_difference(llm::to_json(was), llm::to_json(is)));
    if (!report_.first_difference && recorded_.models != spec_.models)
      differ(op.id, "the model would be " + spec_.models.front() + " instead of " + recorded_.models.front());
  }

  void compare_ends() {
    const engine::Execution& run = description_.run;
    const bool by_program = run.status == engine::ExecutionStatus::Succeeded || run.status == engine::ExecutionStatus::Failed;
    if (run.open() || !by_program) return;
    if (!completion_) return differ(0, "the run ended here, but now it would go on");
    const Json was = JsonObject{{"status", to_string(run.status)}, {"result", run.result}};
    const Json is = JsonObject{{"status", to_string(completion_->status)}, {"result", completion_->result}};
    if (to_canonical_text(was) != to_canonical_text(is)) differ(0, llm::first_difference(was, is));
  }

  const engine::RunDescription& description_;
  const std::vector<llm::Message>& earlier_;
  const AgentSpec& recorded_;
  const AgentSpec& spec_;
  engine::Execution run_;
  engine::Session session_;
  std::map<std::int64_t, OperationRequest> requested_;
  std::optional<engine::Completion> completion_;
  ReplayReport report_;
};

}  // namespace

ReplayReport replay_run(const engine::RunDescription& description, const std::vector<llm::Message>& earlier, const AgentSpec& recorded,
                        const AgentSpec& spec, const llm::PriceTable& prices) {
  const auto program = AgentProgram::make(spec, prices);
  if (!program) return ReplayReport{0, Difference{0, program.error().message}};
  return Replay(description, earlier, recorded, spec).drive(**program);
}

}  // namespace mayfly::agent
