#include "agent/service.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "agent/agent_input.h"
#include "agent/agent_program.h"
#include "agent/conversation.h"
#include "agent/object_of.h"
#include "agent/replay.h"

namespace mayfly::agent {
namespace {

using engine::Execution;
using engine::PendingOperation;
using engine::Resolved;

std::optional<Question> question_of(const Execution& run, const PendingOperation& op) {
  Question out{run.id,   op.id,      run.program, run.keyed ? run.session.substr(run.session.find('/') + 1) : "", {}, {},
               op.input, op.started, op.due};
  const JsonObject& input = object_of(op.input);
  if (op.status == engine::OperationStatus::OutcomeUnknown) {
    out.kind = "unknown";
    out.text = "The call of " + op.name + " was cut off, and it may or may not have taken effect. Try it again, or say what became of it.";
  } else if (op.type == engine::OperationType::Callback && op.kind != kind::kEvent) {
    out.kind = op.kind;
    out.text = get_string(input, "question");
  } else {
    return std::nullopt;
  }
  return out;
}

std::unexpected<Error> invalid_answer(std::string accepted) { return fail("question.invalid_answer", "this question takes: " + accepted); }

constexpr double kCountAddedMax = 1e9;
constexpr double kUsdAddedMax = 1e6;

/// Whether `add` may extend a limit. Nothing, or nothing in it, is "as much again".
bool is_extension(const Json& add) {
  if (add.is_null()) return true;
  if (!add.is_object()) return false;
  return std::ranges::all_of(add.get_object(), [](const auto& member) {
    if (!member.value().is_number()) return false;
    const double amount = member.value().template to_number<double>();
    if (member.key() == "usd") return amount >= 0 && amount <= kUsdAddedMax;
    const bool count = member.key() == "steps" || member.key() == "input_tokens" || member.key() == "output_tokens";
    return count && amount >= 0 && amount <= kCountAddedMax && amount == std::floor(amount);
  });
}

Result<Resolved> resolution(const PendingOperation& op, const std::string& run, const PersonAnswer& answer) {
  Resolved out{run, op.id, Resolved::Action::Succeed, nullptr, nullptr, {}};
  const JsonObject& input = object_of(op.input);
  if (op.status == engine::OperationStatus::OutcomeUnknown) {
    if (answer.decision == "retry") {
      out.action = Resolved::Action::Retry;
    } else if (answer.decision == "succeeded") {
      out.result = JsonObject{{"text", answer.comment.empty() ? "It was done." : answer.comment}, {"is_error", false}, {"by", answer.by}};
    } else if (answer.decision == "failed") {
      out.action = Resolved::Action::Fail;
      out.error = Error{"tool.failed", answer.comment.empty() ? "it did not take effect" : answer.comment, Retry::Never};
    } else {
      return invalid_answer("retry, succeeded or failed");
    }
    return out;
  }
  if (op.kind == kind::kApproval) {
    if (answer.decision != "approve" && answer.decision != "deny") return invalid_answer("approve or deny");
    out.result = JsonObject{{"approved", answer.decision == "approve"}, {"comment", answer.comment}, {"by", answer.by}};
  } else if (op.kind == kind::kLimit) {
    if (answer.decision != "continue" && answer.decision != "stop") return invalid_answer("continue or stop");
    if (!is_extension(answer.add))
      return invalid_answer(
          "as `add` an object with usd (0 to 1000000), steps, input_tokens or output_tokens "
          "(whole numbers from 0 to 1000000000)");
    out.result = JsonObject{{"continue", answer.decision == "continue"}, {"add", answer.add}, {"by", answer.by}};
  } else {
    const std::string expected = get_string(input, "answer_kind");
    const JsonArray* options = get_array(input, "options");
    if (expected == "approve" && answer.decision != "approve" && answer.decision != "deny") return invalid_answer("approve or deny");
    if (expected == "choose" && options && std::ranges::find(*options, Json(answer.decision)) == options->end())
      return invalid_answer("one of " + to_text(Json(*options)));
    if (answer.decision.empty()) return invalid_answer("a text");
    out.result = JsonObject{{"answer", answer.decision}, {"comment", answer.comment}, {"by", answer.by}};
  }
  return out;
}

class Service final : public AgentService {
 public:
  Service(ServiceDependencies deps, engine::Engine& engine) : deps_(std::move(deps)), engine_(engine) {}

  Task<Result<engine::Started>> invoke(Invocation invocation) override {
    const auto agent =
        invocation.version ? deps_.registry->version(invocation.agent, *invocation.version) : deps_.registry->current(invocation.agent);
    if (!agent) co_return std::unexpected(no_agent(invocation));
    const AgentSpec& spec = agent->spec;
    if (spec.session.keyed && invocation.session.empty())
      co_return fail("session.required", "the agent '" + spec.name + "' keeps a conversation per session: say which (`session`)");
    if (!spec.session.keyed && !invocation.session.empty())
      co_return fail("session.not_keyed",
                     "the agent '" + spec.name + "' has no sessions: leave `session` out, or declare `session: keyed` in its mayfly.yaml");
    auto input = normalise_input(invocation.input);
    if (!input) co_return std::unexpected(input.error());
    engine::StartRequest request;
    request.program = spec.name;
    request.version = agent->version;
    request.session_key = invocation.session;
    request.input = std::move(*input);
    request.when_busy = static_cast<engine::BusyPolicy>(spec.session.when_busy);
    request.waiting_max = spec.session.queue_max;
    request.wall_time_max = spec.limits.wall_time;
    request.idempotency_key = std::move(invocation.idempotency_key);
    request.traceparent = std::move(invocation.traceparent);
    co_return co_await engine_.start(std::move(request));
  }

  Task<Result<std::vector<Question>>> questions(std::string run, std::size_t limit) override {
    std::vector<Execution> runs;
    if (!run.empty()) {
      auto one = co_await engine_.get(run);
      if (!one) co_return std::unexpected(one.error());
      runs.push_back(std::move(*one));
    } else {
      auto waiting = co_await engine_.list({.waiting_only = true, .limit = 1000});
      if (!waiting) co_return std::unexpected(waiting.error());
      runs = std::move(*waiting);
    }
    std::vector<Question> out;
    for (const Execution& execution : runs)
      for (const PendingOperation& op : execution.pending)
        if (auto question = question_of(execution, op)) out.push_back(std::move(*question));
    std::ranges::sort(out, {}, &Question::asked);
    if (out.size() > limit) out.resize(limit);
    co_return out;
  }

  Task<Result<void>> answer(std::string run, std::int64_t operation, PersonAnswer answer) override {
    auto execution = co_await engine_.get(run);
    if (!execution) co_return std::unexpected(execution.error());
    std::vector<const PendingOperation*> open;
    for (const PendingOperation& op : execution->pending)
      if (question_of(*execution, op) && (operation == 0 || op.id == operation)) open.push_back(&op);
    if (open.empty())
      co_return fail("question.not_found", run + (execution->open() ? " asks nothing now" : " has ended") + "; see `mayfly questions`");
    if (open.size() > 1) {
      std::string ids;
      for (const PendingOperation* op : open) ids += (ids.empty() ? "" : ", ") + std::to_string(op->id);
      co_return fail("question.ambiguous", run + " asks several things; say which operation: " + ids);
    }
    auto resolved = resolution(*open.front(), run, answer);
    if (!resolved) co_return std::unexpected(resolved.error());
    co_return co_await engine_.resolve(std::move(*resolved));
  }

  Task<Result<engine::Started>> fork(ForkRequest request) override {
    auto recorded = co_await load(request.run);
    if (!recorded) co_return std::unexpected(recorded.error());
    const auto calls_model = [&](const engine::Operation& op) {
      return op.kind == kind::kModel && (request.at == 0 || op.id == request.at);
    };
    const auto at = std::ranges::find_if(recorded->description.operations, calls_model);
    if (at == recorded->description.operations.end())
      co_return fail("fork.invalid",
                     "operation " + std::to_string(request.at) + " of " + request.run + " is not an ended model call; see `mayfly show`");
    AgentSpec spec = recorded->version.spec;
    std::int64_t version = recorded->version.version;
    if (request.instructions) spec.instructions = *request.instructions;
    if (request.model) {
      if (auto known = deps_.gateway->check_model(*request.model); !known) co_return std::unexpected(known.error());
      spec.models = {*request.model};
    }
    if (request.instructions || request.model) {
      auto added = co_await deps_.registry->add_version(std::move(spec));
      if (!added) co_return std::unexpected(added.error());
      version = added->version;
    }
    JsonArray history;
    for (const llm::Message& message : ConversationReader::with_run(recorded->earlier, recorded->description.operations, at->id))
      history.push_back(llm::to_json(message));
    engine::StartRequest start;
    start.program = recorded->version.spec.name;
    start.version = version;
    start.input = JsonObject{
        {"message", JsonArray{}}, {"history", std::move(history)}, {"fork_of", JsonObject{{"run", request.run}, {"operation", at->id}}}};
    start.wall_time_max = recorded->version.spec.limits.wall_time;
    co_return co_await engine_.start(std::move(start));
  }

  Task<Result<ReplayReport>> replay(std::string run, std::optional<AgentSpec> spec) override {
    auto recorded = co_await load(run);
    if (!recorded) co_return std::unexpected(recorded.error());
    const AgentSpec& own = recorded->version.spec;
    co_return replay_run(recorded->description, recorded->earlier, own, spec ? *spec : own, deps_.gateway->prices());
  }

  Task<Result<std::string>> cassette(std::string run) override {
    auto recorded = co_await load(run);
    if (!recorded) co_return std::unexpected(recorded.error());
    std::string out;
    for (const engine::Operation& op : recorded->description.operations) {
      if (op.kind != kind::kModel || op.status != engine::OperationStatus::Succeeded) continue;
      const auto messages = ConversationReader::with_run(recorded->earlier, recorded->description.operations, op.id);
      const auto request = make_request(recorded->version.spec, messages, object_of(op.input));
      JsonObject response = object_of(op.result);
      if (const Json* usage = get(object_of(op.meta), "usage")) response["usage"] = *usage;
      response["provider"] = get_string(object_of(op.meta), "provider");
      response["model"] = get_string(object_of(op.meta), "response_model");
      response["response_id"] = get_string(object_of(op.meta), "response_id");
      out +=
          to_text(JsonObject{
              {"model", get_string(object_of(op.meta), "model")}, {"request", llm::to_json(request)}, {"response", std::move(response)}}) +
          "\n";
    }
    co_return out;
  }

  Task<Result<std::vector<llm::Message>>> transcript(std::string run) override {
    auto recorded = co_await load(run);
    if (!recorded) co_return std::unexpected(recorded.error());
    co_return ConversationReader::with_run(recorded->earlier, recorded->description.operations);
  }

 private:
  Error no_agent(const Invocation& invocation) const {
    const auto versions = deps_.registry->versions(invocation.agent);
    if (!invocation.version || versions.empty()) return deps_.registry->not_found(invocation.agent);
    const std::int64_t newest = versions.back().version;
    return Error{"agent.no_such_version",
                 fmt::format("'{}' has no version {}; its newest is {}", invocation.agent, *invocation.version, newest), Retry::Never};
  }

  struct Recorded {
    engine::RunDescription description;
    std::vector<llm::Message> earlier;
    AgentVersion version;
  };

  Task<Result<Recorded>> load(std::string run) {
    auto execution = co_await engine_.get(run);
    if (!execution) co_return std::unexpected(execution.error());
    auto operations = co_await engine_.operations(run, -1);
    if (!operations) co_return std::unexpected(operations.error());
    auto version = deps_.registry->version(execution->program, execution->version);
    if (!version) co_return fail("program.not_found", "the version that " + run + " started with is not deployed any more");
    Recorded out{{std::move(*execution), std::move(*operations)}, {}, std::move(*version)};
    if (out.description.run.keyed) {
      auto earlier = co_await ConversationReader(engine_).before(out.description.run.session, run);
      if (!earlier) co_return std::unexpected(earlier.error());
      out.earlier = std::move(*earlier);
    }
    co_return out;
  }

  ServiceDependencies deps_;
  engine::Engine& engine_;
};

}  // namespace

std::unique_ptr<AgentService> make_agent_service(ServiceDependencies dependencies, engine::Engine& engine) {
  return std::make_unique<Service>(std::move(dependencies), engine);
}

}  // namespace mayfly::agent
