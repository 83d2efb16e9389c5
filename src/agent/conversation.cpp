#include "agent/conversation.h"

#include <algorithm>
#include <type_traits>

#include "agent/agent_input.h"
#include "agent/agent_program.h"
#include "agent/delegation_tools.h"
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

/// Collects values so that different ones never give the same bytes: each is preceded by its length.
class Canonical {
 public:
  void add(std::string_view text) {
    add(static_cast<std::int64_t>(text.size()));
    bytes_ += text;
  }
  void add(std::int64_t number) {
    bytes_ += std::to_string(number);
    bytes_ += ':';
  }
  void add(const Json& value) {
    if (value.is_null()) return add(std::string_view());
    add(to_canonical_text(value));
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

/// Enumerators count by their number: new ones go to the end, so that what journals hold keeps its meaning.
template <class Enum>
  requires std::is_enum_v<Enum>
std::int64_t number_of(Enum value) {
  return static_cast<std::int64_t>(value);
}

void add(Canonical& out, const llm::Message& message) {
  out.add(number_of(message.role));
  out.add(static_cast<std::int64_t>(message.content.size()));
  for (const llm::Content& part : message.content) {
    out.add(number_of(part.kind));
    for (const std::string* text : {&part.text, &part.id, &part.name, &part.media_type, &part.data, &part.url}) out.add(*text);
    out.add(std::int64_t{part.is_error});
    out.add(part.arguments);
    out.add(part.opaque);
  }
}

}  // namespace

std::vector<llm::Message> ConversationReader::with_run(std::vector<llm::Message> earlier, const std::vector<engine::Operation>& operations,
                                                       std::int64_t upto) {
  const engine::Operation* summary = newest_summary(operations, upto);
  if (!summary) {
    append(earlier, conversation_of(operations, -1, upto));
    return earlier;
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
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) out = with_run(std::move(out), *part);
  co_return out;
}

llm::LlmRequest make_request(const AgentSpec& spec, std::vector<llm::Message> messages, const JsonObject& model_input) {
  llm::LlmRequest request;
  request.model = spec.models.front().substr(spec.models.front().find('/') + 1);
  request.system = spec.instructions;
  request.messages = std::move(messages);
  for (const ToolSpec& tool : spec.tools) request.tools.push_back({tool.name, tool.description, tool.parameters});
  if (get_bool(model_input, "hand_back")) request.tools.push_back(hand_back_tool());
  request.parallel_tool_calls = spec.limits.parallel_tool_calls > 1;
  request.output_tokens_max = get_int(model_input, "output_tokens_max", spec.output_tokens_max);
  request.temperature = spec.temperature;
  request.reasoning = spec.reasoning;
  request.output_schema = spec.output_schema;
  return request;
}

std::string hash_of(const llm::LlmRequest& request) {
  // Not the JSON form: building and sorting that for a whole conversation would cost more than all the rest of a model call.
  Canonical out;
  out.add(request.model);
  out.add(request.system);
  out.add(static_cast<std::int64_t>(request.messages.size()));
  for (const llm::Message& message : request.messages) add(out, message);
  out.add(static_cast<std::int64_t>(request.tools.size()));
  for (const llm::ToolDefinition& tool : request.tools) {
    out.add(tool.name);
    out.add(tool.description);
    out.add(tool.parameters);
  }
  out.add(number_of(request.tool_choice));
  out.add(number_of(request.reasoning));
  out.add(std::int64_t{request.parallel_tool_calls});
  out.add(std::int64_t{request.cache_prompt});
  out.add(request.output_tokens_max);
  out.add(request.temperature ? Json(*request.temperature) : Json());
  out.add(request.output_schema ? *request.output_schema : Json());
  out.add(static_cast<std::int64_t>(request.stop.size()));
  for (const std::string& text : request.stop) out.add(text);
  out.add(request.user);
  return sha256_hex(out.bytes());
}

}  // namespace mayfly::agent
