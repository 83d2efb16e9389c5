#include "agent/conversation.h"

#include <algorithm>

#include "agent/agent_input.h"
#include "agent/agent_program.h"
#include "base/hash.h"

namespace mayfly::agent {
namespace {

constexpr std::size_t kSessionRunsMax = 500;

const engine::Operation* newest_summary(const std::vector<engine::Operation>& operations, std::int64_t upto) {
  const engine::Operation* out = nullptr;
  for (const engine::Operation& op : operations)
    if (op.id < upto && op.kind == kind::kCompact && op.status == engine::OperationStatus::Succeeded) out = &op;
  return out;
}

void append(std::vector<llm::Message>& to, std::vector<llm::Message> more) {
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

}  // namespace

std::vector<llm::Message> ConversationReader::with_run(const std::vector<llm::Message>& earlier,
                                                       const std::vector<engine::Operation>& operations, std::int64_t upto) {
  const engine::Operation* summary = newest_summary(operations, upto);
  if (!summary) {
    std::vector<llm::Message> out = earlier;
    append(out, conversation_of(operations, -1, upto));
    return out;
  }
  std::vector<llm::Message> out;
  const JsonObject* result = summary->result.if_object();
  out.push_back(llm::Message::user("Summary of the conversation so far:\n" + (result ? get_string(*result, "summary") : std::string())));
  if (const JsonArray* kept = result ? get_array(*result, "kept") : nullptr)
    for (const Json& entry : *kept)
      if (auto message = llm::message_from_json(entry)) out.push_back(std::move(*message));
  append(out, conversation_of(operations, summary->id, upto));
  return out;
}

Task<Result<std::vector<llm::Message>>> ConversationReader::before(std::string session, std::string run) {
  auto runs = co_await engine_.session_runs(session, kSessionRunsMax);
  if (!runs) co_return std::unexpected(runs.error());
  const auto own = std::ranges::find(*runs, run);
  // From the newest run back to the one whose summary stands for all before it.
  std::vector<std::vector<engine::Operation>> parts;
  for (auto at = own; at != runs->begin();) {
    auto operations = co_await engine_.operations(*--at, -1);
    if (!operations) co_return std::unexpected(operations.error());
    const bool summarised = newest_summary(*operations, INT64_MAX) != nullptr;
    parts.push_back(std::move(*operations));
    if (summarised) break;
  }
  std::vector<llm::Message> out;
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) out = with_run(out, *part);
  co_return out;
}

llm::LlmRequest make_request(const AgentSpec& spec, std::vector<llm::Message> messages, std::int64_t output_tokens_max) {
  llm::LlmRequest request;
  request.model = spec.models.front().substr(spec.models.front().find('/') + 1);
  request.system = spec.instructions;
  request.messages = std::move(messages);
  for (const ToolSpec& tool : spec.tools) request.tools.push_back({tool.name, tool.description, tool.parameters});
  request.parallel_tool_calls = spec.limits.parallel_tool_calls > 1;
  request.output_tokens_max = output_tokens_max;
  request.temperature = spec.temperature;
  request.reasoning = spec.reasoning;
  request.output_schema = spec.output_schema;
  return request;
}

std::string hash_of(const llm::LlmRequest& request) { return sha256_hex(to_canonical_text(llm::to_json(request))); }

}  // namespace mayfly::agent
