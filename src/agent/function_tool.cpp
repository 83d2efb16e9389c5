#include "agent/function_tool.h"

#include <algorithm>

#include "agent/object_of.h"
#include "base/hash.h"

namespace mayfly::agent {
namespace {

constexpr std::size_t kExecutionNameMax = 64;

/// X-Amzn-Trace-Id of a W3C traceparent: "Root=1-<8>-<24>;Parent=<16>;Sampled=1".
/// https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
std::string trace_header(const std::string& traceparent) {
  if (traceparent.size() < 55) return {};
  const std::string_view trace = std::string_view(traceparent).substr(3, 32), parent = std::string_view(traceparent).substr(36, 16);
  std::string out = "Root=1-";
  out.append(trace.substr(0, 8)).append("-").append(trace.substr(8)).append(";Parent=").append(parent);
  return out + (traceparent.ends_with("01") ? ";Sampled=1" : ";Sampled=0");
}

std::string client_context(const ToolCall& call) {
  JsonObject custom{{"mayfly_idempotency_key", call.idempotency_key},
                    {"mayfly_run_id", call.run_id},
                    {"mayfly_agent", call.agent},
                    {"mayfly_attempt", std::to_string(call.attempt)}};
  if (!call.session_id.empty()) custom["mayfly_session_id"] = call.session_id;
  return to_base64(to_text(JsonObject{{"custom", std::move(custom)}}));
}

/// [a-zA-Z0-9-_]{1,64}; the same for the same key.
std::string execution_name(const std::string& key) {
  const bool fits = !key.empty() && key.size() <= kExecutionNameMax && std::ranges::all_of(key, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
  return fits ? key : sha256_hex(key);
}

std::string readable_error(const function::InvocationResult& result) {
  std::string type = result.error_type, message;
  if (const auto document = parse_json(result.payload)) {
    message = get_string(object_of(*document), "errorMessage");
    type = get_string(object_of(*document), "errorType", type);
  }
  if (message.empty()) message = result.payload.empty() ? "it gave no reason" : result.payload;
  return "The function failed: " + (type.empty() ? "" : type + ": ") + message;
}

std::string readable_answer(const std::string& payload) {
  if (!payload.starts_with('"')) return payload.empty() ? "null" : payload;
  const auto text = parse_json(payload);
  return text && text->is_string() ? std::string(text->get_string()) : payload;
}

class FunctionTool final : public Tool {
 public:
  FunctionTool(FunctionToolOptions options, function::FunctionService& functions, Clock& clock)
      : options_(std::move(options)), functions_(functions), clock_(clock) {}

  const std::string& name() const override { return options_.name; }
  const std::string& description() const override { return options_.description; }
  const Json& parameters() const override { return options_.parameters; }
  Effect effect() const override { return options_.effect; }

  Task<Result<ToolOutput>> call(ToolCall call) override {
    CancelSource ending;
    bool timed_out = false;
    const auto cancelled = call.cancel.on_cancel([&ending] { ending.cancel(); });
    const auto timer = clock_.call_after(std::min(options_.timeout, call.timeout), [&ending, &timed_out] {
      timed_out = true;
      ending.cancel();
    });
    function::Invoke invoke;
    invoke.function = options_.function;
    invoke.payload = to_text(call.arguments);
    invoke.client_context = client_context(call);
    invoke.trace_header = trace_header(call.traceparent);
    invoke.execution_name = execution_name(call.idempotency_key);
    // Only executions of durable functions have names; what else is wrong the invocation itself will tell.
    if (!functions_.check(invoke)) invoke.execution_name.clear();
    invoke.cancel = ending.token();
    auto invoked = co_await functions_.invoke(std::move(invoke));
    if (invoked) co_return output_of(invoked->result);
    if (timed_out) co_return ended("tool.timeout", "the function did not answer in " + to_human(std::min(options_.timeout, call.timeout)));
    if (call.cancel.cancelled()) co_return ended("tool.cancelled", "the call of the function was cancelled");
    if (invoked.error().code == "function.not_found")
      co_return fail("tool.invalid",
                     "the function '" + options_.function.name + "' is not deployed; deploy it: " + invoked.error().message);
    co_return fail(invoked.error());
  }

 private:
  std::unexpected<Error> ended(std::string code, std::string message) const {
    return fail(std::move(code), std::move(message), options_.effect == Effect::ReadOnly ? Retry::Safe : Retry::OutcomeUnknown);
  }

  ToolOutput output_of(const function::InvocationResult& result) const {
    ToolOutput out{.text = result.function_error.empty() ? readable_answer(result.payload) : readable_error(result),
                   .is_error = !result.function_error.empty()};
    if (out.text.size() > options_.model_bytes_max) {
      const std::string note = "\n[cut: the answer has " + std::to_string(out.text.size()) + " bytes]";
      out.text.resize(options_.model_bytes_max);
      while (!out.text.empty() && (static_cast<unsigned char>(out.text.back()) & 0xC0) == 0x80) out.text.pop_back();
      if (!out.text.empty() && static_cast<unsigned char>(out.text.back()) >= 0xC0) out.text.pop_back();
      out.text += note;
    }
    out.text = to_utf8_lossy(out.text);
    return out;
  }

  FunctionToolOptions options_;
  function::FunctionService& functions_;
  Clock& clock_;
};

}  // namespace

std::unique_ptr<Tool> make_function_tool(FunctionToolOptions options, function::FunctionService& functions, Clock& clock) {
  return std::make_unique<FunctionTool>(std::move(options), functions, clock);
}

}  // namespace mayfly::agent
