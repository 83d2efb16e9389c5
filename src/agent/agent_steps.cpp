#include <algorithm>
#include <cstdlib>
#include <list>
#include <unordered_map>

#include "agent/agent_input.h"
#include "agent/agent_program.h"
#include "agent/conversation.h"
#include "agent/object_of.h"
#include "agent/service.h"
#include "agent/tool_box.h"
#include "base/assert.h"

namespace mayfly::agent {
namespace {

using engine::StepCall;
using engine::StepOutcome;

constexpr std::string_view kSharedMemory = "meta/memory/";
constexpr std::size_t kMemoryListMax = 1000;
constexpr std::size_t kConversationsMax = 2000;
constexpr std::int64_t kSummaryTokensMax = 2048;
constexpr std::size_t kTranscriptBytesMax = 24 * 1024;
constexpr std::string_view kSummaryInstructions =
    "You summarise a conversation between a user and an assistant that used tools, so that the assistant can go on without it. "
    "Keep every fact, name, number, identifier, decision, promise and open question. Write plain text, nothing else.";

StepOutcome failed(Error error) { return StepOutcome{.error = std::move(error)}; }
StepOutcome text_outcome(std::string text, bool is_error) {
  return StepOutcome{.result = JsonObject{{"text", std::move(text)}, {"is_error", is_error}}};
}

Json usage_meta(const llm::GatewayAnswer& answer) {
  JsonObject meta{{"model", answer.model},
                  {"provider", answer.response.provider},
                  {"usage", llm::to_json(answer.response.usage)},
                  {"nano_usd", answer.cost},
                  {"prices", answer.price_version},
                  {"stop_reason", to_string(answer.response.stop_reason)},
                  {"first_token_ms", answer.response.time_to_first_token_us / 1000}};
  if (!answer.response.model.empty()) meta["response_model"] = answer.response.model;
  if (!answer.response.response_id.empty()) meta["response_id"] = answer.response.response_id;
  return meta;
}

/// One message as lines for the summariser.
std::string lines_of(const llm::Message& message) {
  std::string out;
  for (const llm::Content& part : message.content) {
    out += to_string(message.role);
    switch (part.kind) {
      case llm::Content::Kind::ToolCall: out += " calls " + part.name + " with " + to_text(part.arguments); break;
      case llm::Content::Kind::ToolResult: out += " result: " + part.text; break;
      case llm::Content::Kind::Image: out += ": [image]"; break;
      default: out += ": " + part.text;
    }
    out += '\n';
  }
  return out;
}

class Steps final : public AgentSteps {
 public:
  explicit Steps(ServiceDependencies deps)
      : deps_(std::move(deps)), tools_(*deps_.http, *deps_.clock, deps_.environment ? deps_.environment : process_environment) {}

  void attach(engine::Engine& engine) override { engine_ = &engine; }
  void use_functions(function::FunctionService& functions) override { tools_.use_functions(functions); }
  void use_own_tools(OwnTools& tools) override { tools_.use_own_tools(tools); }

  Task<StepOutcome> execute(StepCall call) override {
    MAYFLY_ASSERT(engine_, "attach() comes before the first step");
    const std::string kind = call.operation.kind;
    const JsonObject& input = object_of(call.operation.input);
    if (kind == kind::kRefused) co_return text_outcome(get_string(input, "text"), true);
    if (kind == kind::kFeedback) co_return text_outcome(get_string(input, "text"), false);
    if (kind == kind::kMemory) co_return co_await use_memory(std::move(call));
    if (kind == kind::kTranscript) co_return co_await write_transcript(std::move(call));
    const auto version = deps_.registry->version(call.program, call.version);
    if (!version) co_return failed({"program.not_found", "the version that this run started with is not deployed any more", Retry::Never});
    if (kind == kind::kTool) co_return co_await call_tool(std::move(call), version);
    co_return co_await call_model(std::move(call), version);
  }

  void hibernated(const std::string& session) override {
    if (const auto found = conversations_.find(session); found != conversations_.end()) {
      recent_.erase(found->second.recent);
      conversations_.erase(found);
    }
  }

 private:
  /// What was read of an active run's conversation; only new operations are read for the next call.
  struct Cached {
    std::string run;
    std::vector<llm::Message> earlier;
    std::vector<engine::Operation> operations;
    std::list<std::string>::iterator recent;
  };

  static std::optional<std::string> process_environment(std::string_view name) {
    const char* value = std::getenv(std::string(name).c_str());
    return value ? std::optional<std::string>(value) : std::nullopt;
  }

  Task<Result<std::vector<llm::Message>>> conversation(const StepCall& call) {
    const std::string session = call.session, run = call.run;
    const std::int64_t operation = call.operation.id;
    auto found = conversations_.find(session);
    if (found == conversations_.end() || found->second.run != run) {
      std::vector<llm::Message> earlier;
      if (call.keyed) {
        auto before = co_await ConversationReader(*engine_).before(session, run);
        if (!before) co_return std::unexpected(before.error());
        earlier = std::move(*before);
      }
      hibernated(session);
      if (conversations_.size() >= kConversationsMax) hibernated(recent_.back());
      recent_.push_front(session);
      found = conversations_.insert_or_assign(session, Cached{run, std::move(earlier), {}, recent_.begin()}).first;
    }
    // Operations end in another order than they start: what follows a gap is read again.
    std::vector<engine::Operation>& known = found->second.operations;
    std::int64_t after = -1;
    while (after + 1 < static_cast<std::int64_t>(known.size()) && known[static_cast<std::size_t>(after + 1)].id == after + 1) ++after;
    known.resize(static_cast<std::size_t>(after + 1));
    auto more = co_await engine_->operations(run, after);
    if (!more) co_return std::unexpected(more.error());
    found = conversations_.find(session);
    if (found == conversations_.end() || found->second.run != run) co_return co_await read_all(session, run, call.keyed, operation);
    Cached& cached = found->second;
    for (engine::Operation& op : *more) cached.operations.push_back(std::move(op));
    co_return ConversationReader::with_run(cached.earlier, cached.operations, operation);
  }

  /// Without the cache: more conversations are active than it holds.
  Task<Result<std::vector<llm::Message>>> read_all(std::string session, std::string run, bool keyed, std::int64_t operation) {
    std::vector<llm::Message> earlier;
    if (keyed) {
      auto before = co_await ConversationReader(*engine_).before(session, run);
      if (!before) co_return std::unexpected(before.error());
      earlier = std::move(*before);
    }
    auto operations = co_await engine_->operations(run, -1);
    if (!operations) co_return std::unexpected(operations.error());
    co_return ConversationReader::with_run(earlier, *operations, operation);
  }

  Task<StepOutcome> call_model(StepCall call, std::shared_ptr<const AgentVersion> version) {
    const AgentSpec& spec = version->spec;
    auto messages = co_await conversation(call);
    if (!messages) co_return failed({messages.error().code, messages.error().message, Retry::Safe});
    const bool compact = call.operation.kind == kind::kCompact;
    const std::int64_t output_max = get_int(object_of(call.operation.input), "output_tokens_max", spec.output_tokens_max);
    std::vector<llm::Message> kept;
    llm::GatewayCall gateway_call;
    gateway_call.models = spec.models;
    llm::LlmCall& llm_call = gateway_call.call;
    if (compact) {
      kept = split_for_summary(*messages, static_cast<std::size_t>(std::max<std::int64_t>(spec.context.keep_messages, 1)));
      llm_call.request = summary_request(spec, *messages, std::min(output_max, kSummaryTokensMax));
    } else {
      llm_call.request = make_request(spec, std::move(*messages), object_of(call.operation.input));
    }
    const std::string request_hash = hash_of(llm_call.request);
    llm_call.cancel = call.cancel;
    llm_call.first_token_timeout = spec.first_token_timeout;
    llm_call.between_tokens_timeout = spec.between_tokens_timeout;
    llm_call.idempotency_key = call.idempotency_key;
    llm_call.scripted_key = call.run;
    if (!compact) {
      llm_call.on_delta = [emit = call.emit](const llm::LlmDelta& delta) {
        if (delta.kind == llm::LlmDelta::Kind::Text)
          emit("text", delta.text);
        else if (delta.kind == llm::LlmDelta::Kind::Reasoning)
          emit("reasoning", delta.text);
        else if (delta.kind == llm::LlmDelta::Kind::Restart)
          emit("text", "");
      };
    }
    auto answer = co_await deps_.gateway->complete(std::move(gateway_call));
    if (!answer) co_return StepOutcome{.error = answer.error().error, .retry_after = answer.error().retry_after};
    JsonObject meta = usage_meta(*answer).get_object();
    meta["request_hash"] = request_hash;
    StepOutcome out;
    if (compact) {
      out.result = summary_result(llm::text_of(answer->response.message), kept);
    } else {
      out.result =
          JsonObject{{"message", llm::to_json(answer->response.message)}, {"stop_reason", to_string(answer->response.stop_reason)}};
    }
    out.meta = std::move(meta);
    co_return out;
  }

  /// Takes the newest messages out, as many as are kept word by word; a tool result never goes without its call.
  static std::vector<llm::Message> split_for_summary(std::vector<llm::Message>& messages, std::size_t keep) {
    std::size_t at = messages.size() > keep ? messages.size() - keep : 0;
    while (at > 0 && messages[at].role == llm::Role::Tool) --at;
    if (at == 0) at = messages.size();  // nothing older: summarise all
    std::vector<llm::Message> kept(std::make_move_iterator(messages.begin() + static_cast<std::ptrdiff_t>(at)),
                                   std::make_move_iterator(messages.end()));
    messages.resize(at);
    return kept;
  }

  static llm::LlmRequest summary_request(const AgentSpec& spec, const std::vector<llm::Message>& messages, std::int64_t output_max) {
    std::string text;
    for (const llm::Message& message : messages) text += lines_of(message);
    llm::LlmRequest request;
    request.model = spec.models.front().substr(spec.models.front().find('/') + 1);
    request.system = kSummaryInstructions;
    request.messages.push_back(llm::Message::user("Summarise this conversation:\n\n" + text));
    request.output_tokens_max = output_max;
    request.cache_prompt = false;
    return request;
  }

  static Json summary_result(std::string summary, const std::vector<llm::Message>& kept) {
    JsonArray kept_json;
    for (const llm::Message& message : kept) kept_json.push_back(llm::to_json(message));
    const auto bytes = static_cast<std::int64_t>(to_text(Json(kept_json)).size());
    return JsonObject{{"summary", std::move(summary)}, {"kept", std::move(kept_json)}, {"kept_bytes", bytes}};
  }

  /// The conversation as text for who takes it over, its end first if it is long; without the call that hands it over.
  Task<StepOutcome> write_transcript(StepCall call) {
    auto messages = co_await conversation(call);
    if (!messages) co_return failed({messages.error().code, messages.error().message, Retry::Safe});
    const std::string handing = get_string(object_of(call.operation.input), "call");
    std::string text;
    for (llm::Message& message : *messages) {
      std::erase_if(message.content, [&](const llm::Content& part) {
        const bool is_call = part.kind == llm::Content::Kind::ToolCall || part.kind == llm::Content::Kind::ToolResult;
        return part.kind == llm::Content::Kind::Reasoning || (is_call && part.id == handing);
      });
      text += lines_of(message);
    }
    if (text.size() > kTranscriptBytesMax) text = "…" + to_utf8_lossy(text.substr(text.size() - kTranscriptBytesMax));
    co_return text_outcome(std::move(text), false);
  }

  Task<StepOutcome> call_tool(StepCall call, std::shared_ptr<const AgentVersion> version) {
    const AgentSpec& spec = version->spec;
    auto tool = tools_.find(spec, call.version, call.operation.name);
    if (!tool) co_return failed(tool.error());
    const ToolSpec& declared = *spec.find_tool(call.operation.name);
    ToolCall tool_call;
    if (const Json* arguments = get(object_of(call.operation.input), "arguments")) tool_call.arguments = *arguments;
    tool_call.run_id = call.run;
    tool_call.session_id = call.keyed ? call.session : std::string();
    tool_call.agent = call.program;
    tool_call.idempotency_key = call.idempotency_key;
    tool_call.attempt = static_cast<int>(call.operation.attempt);
    tool_call.cancel = call.cancel;
    tool_call.timeout = declared.timeout;
    tool_call.traceparent = call.traceparent;
    tool_call.on_output = [emit = call.emit](std::string_view text) { emit("output", text); };
    auto output = co_await (*tool)->call(std::move(tool_call));
    if (!output) co_return failed(output.error());
    co_return text_outcome(std::move(output->text), output->is_error);
  }

  Task<StepOutcome> use_memory(StepCall call) {
    const auto version = deps_.registry->version(call.program, call.version);
    const ToolSpec* tool = version ? version->spec.find_tool(call.operation.name) : nullptr;
    const bool shared = tool && get_string(object_of(tool->config), "scope") == "shared";
    const JsonObject* given = get_object(object_of(call.operation.input), "arguments");
    const JsonObject& arguments = given ? *given : object_of(nullptr);
    const std::string action = get_string(arguments, "action"), name = get_string(arguments, "key");
    const std::string prefix =
        shared ? std::string(kSharedMemory) + call.program + "/" : engine::keys::memory_prefix(call.partition, call.session);
    const std::string key = shared ? prefix + net::percent_encode(name) : engine::keys::memory(call.partition, call.session, name);
    if (key.size() > StoreLimits{}.key_bytes_max) co_return text_outcome("The key is too long; use a shorter one.", true);
    if (action == "get") {
      auto row = co_await deps_.store->get(key);
      if (!row) co_return failed(row.error());
      co_return *row ? text_outcome(stored(**row, "value"), false) : text_outcome("There is no note '" + name + "'.", true);
    }
    if (action == "list") {
      auto rows = co_await deps_.store->scan(KeyRange::prefix(prefix), kMemoryListMax, Direction::Forward);
      if (!rows) co_return failed(rows.error());
      std::string names;
      for (const Record& row : *rows) names += (names.empty() ? "" : "\n") + stored(row, "key");
      co_return text_outcome(names.empty() ? "There are no notes." : names, false);
    }
    StepOutcome out = text_outcome(action == "set" ? "Noted." : "Deleted.", false);
    if (action == "set")
      out.writes.push_back({key, to_text(JsonObject{{"key", name}, {"value", get_string(arguments, "value")}, {"run", call.run}})});
    else
      out.deletes.push_back(key);
    if (!shared) co_return out;
    // Another partition: written at once; repeating it after a crash writes the same.
    Batch batch{{}, std::move(out.writes), std::move(out.deletes)};
    auto written = co_await deps_.store->commit(std::move(batch));
    if (!written) co_return failed(written.error());
    out.writes.clear();
    out.deletes.clear();
    co_return out;
  }

  static std::string stored(const Record& row, std::string_view field) {
    const auto value = parse_json(row.value);
    return value ? get_string(object_of(*value), field) : std::string();
  }

  ServiceDependencies deps_;
  engine::Engine* engine_ = nullptr;
  ToolBox tools_;
  std::unordered_map<std::string, Cached> conversations_;
  std::list<std::string> recent_;  // newest first; bounds the cache
};

}  // namespace

std::unique_ptr<AgentSteps> make_agent_steps(ServiceDependencies dependencies) { return std::make_unique<Steps>(std::move(dependencies)); }

}  // namespace mayfly::agent
