#include "telemetry/run_spans.h"

#include <algorithm>

#include "base/hash.h"
#include "base/log.h"
#include "telemetry/trace_context.h"

namespace mayfly::telemetry {
namespace {

using engine::Execution;
using engine::ExecutionStatus;
using engine::Operation;
using engine::OperationStatus;

const JsonObject& object_of(const Json& value) {
  static const JsonObject empty;
  const JsonObject* object = value.if_object();
  return object ? *object : empty;
}

void put(Attributes& out, std::string_view key, std::string value) {
  if (!value.empty()) out.emplace_back(key, std::move(value));
}
void put_count(Attributes& out, std::string_view key, std::int64_t value) {
  if (value > 0) out.emplace_back(key, value);
}

bool is_model_call(const Operation& operation) { return operation.kind == "llm" || operation.kind == "compact"; }
/// Tool calls of every kind name the model's call; an approval does too, but the call itself comes after it.
bool is_tool_call(const Operation& operation) {
  return operation.kind == "tool" || (operation.kind != "approval" && get(object_of(operation.input), "call"));
}

/// "provider/model" without its provider.
std::string bare_model(std::string model, std::string_view provider) {
  if (!provider.empty() && model.size() > provider.size() && model.starts_with(provider) && model[provider.size()] == '/')
    model.erase(0, provider.size() + 1);
  return model;
}

/// The finish reasons of the conventions: stop, length, content_filter, tool_call, error.
std::string finish_reason(std::string reason) {
  std::ranges::transform(reason, reason.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (reason == "end" || reason == "stop_sequence") return "stop";
  if (reason == "tool_calls") return "tool_call";
  if (reason == "refusal") return "content_filter";
  return reason;
}

void put_error(Span& span, const std::optional<Error>& error, std::string_view otherwise) {
  span.status = SpanStatus::Error;
  span.attributes.emplace_back("error.type", error && !error->code.empty() ? error->code : std::string(otherwise));
  if (error) span.status_message = error->message;
}

void describe_model_call(Span& span, const Operation& operation, const Execution& run) {
  const JsonObject& meta = object_of(operation.meta);
  const JsonObject* reported = get_object(meta, "usage");
  const JsonObject& usage = reported ? *reported : object_of(nullptr);
  const std::string provider = get_string(meta, "provider"), model = bare_model(get_string(meta, "model"), provider);
  span.name = model.empty() ? "chat" : "chat " + model;
  span.kind = SpanKind::Client;
  Attributes& out = span.attributes;
  out.emplace_back("gen_ai.operation.name", "chat");
  out.emplace_back("gen_ai.provider.name", provider.empty() ? std::string("mayfly") : provider);
  put(out, "gen_ai.request.model", model);
  put(out, "gen_ai.response.model", model);
  put(out, "gen_ai.response.id", get_string(meta, "response_id"));
  put(out, "gen_ai.conversation.id", run.session);
  out.emplace_back("gen_ai.request.stream", true);
  if (const std::string reason = get_string(meta, "stop_reason"); !reason.empty())
    out.emplace_back("gen_ai.response.finish_reasons", std::vector<std::string>{finish_reason(reason)});
  if (const double first = get_double(meta, "first_token_ms"); first > 0)
    out.emplace_back("gen_ai.response.time_to_first_chunk", first / 1000);
  if (reported) {
    // The convention's input tokens include cached ones, ours do not.
    const std::int64_t cache_read = get_int(usage, "cache_read"), cache_write = get_int(usage, "cache_write");
    out.emplace_back("gen_ai.usage.input_tokens", get_int(usage, "input") + cache_read + cache_write);
    out.emplace_back("gen_ai.usage.output_tokens", get_int(usage, "output"));
    put_count(out, "gen_ai.usage.cache_read.input_tokens", cache_read);
    put_count(out, "gen_ai.usage.cache_creation.input_tokens", cache_write);
    put_count(out, "gen_ai.usage.reasoning.output_tokens", get_int(usage, "reasoning"));
  }
  if (const std::int64_t cost = get_int(meta, "nano_usd"); cost > 0) out.emplace_back("mayfly.cost.usd", static_cast<double>(cost) / 1e9);
  if (operation.kind == "compact") out.emplace_back("mayfly.purpose", "compact");
}

void describe_tool_call(Span& span, const Operation& operation, const Execution& run) {
  span.name = "execute_tool " + operation.name;
  Attributes& out = span.attributes;
  out.emplace_back("gen_ai.operation.name", "execute_tool");
  out.emplace_back("gen_ai.tool.name", operation.name);
  out.emplace_back("gen_ai.tool.type", "function");
  put(out, "gen_ai.tool.call.id", get_string(object_of(operation.input), "call"));
  put(out, "gen_ai.conversation.id", run.session);
}

Span make_operation_span(const Operation& operation, const Execution& run, const std::string& trace, const std::string& parent) {
  Span span{.trace_id = trace, .span_id = span_id_of(run.id, operation.id), .parent_id = parent};
  span.start = operation.started;
  span.end = operation.ended;
  if (is_model_call(operation))
    describe_model_call(span, operation, run);
  else if (is_tool_call(operation))
    describe_tool_call(span, operation, run);
  else
    span.name = operation.kind == operation.name || operation.name.empty() ? operation.kind : operation.kind + " " + operation.name;
  if (span.name.empty()) span.name = std::string(to_string(operation.type));
  span.attributes.emplace_back("mayfly.operation.id", operation.id);
  put(span.attributes, "mayfly.operation.kind", operation.kind);
  if (operation.attempts > 1) span.attributes.emplace_back("mayfly.attempts", operation.attempts);
  if (operation.status == OperationStatus::Failed || operation.status == OperationStatus::TimedOut) {
    put_error(span, operation.error, operation.status == OperationStatus::TimedOut ? "timeout" : "_OTHER");
  } else if (is_tool_call(operation) && get_bool(object_of(operation.result), "is_error")) {
    // The step succeeded: it is the model that was told of a failure.
    put_error(span, std::nullopt, operation.kind == "refused" ? "refused" : "tool_error");
  }
  return span;
}

Span make_run_span(const engine::RunDescription& description, const std::string& trace, std::string parent) {
  const Execution& run = description.run;
  Span span{.trace_id = trace, .span_id = span_id_of(run.id, 0), .parent_id = std::move(parent)};
  span.name = "invoke_agent " + run.program;
  span.start = run.created;
  span.end = run.ended.value_or(run.updated);
  const auto first_call = std::ranges::find_if(description.operations, is_model_call);
  const JsonObject& meta = first_call == description.operations.end() ? object_of(nullptr) : object_of(first_call->meta);
  const std::string provider = get_string(meta, "provider");
  const JsonObject& summary = object_of(run.summary);
  Attributes& out = span.attributes;
  out.emplace_back("gen_ai.operation.name", "invoke_agent");
  out.emplace_back("gen_ai.provider.name", provider.empty() ? std::string("mayfly") : provider);
  out.emplace_back("gen_ai.agent.name", run.program);
  out.emplace_back("gen_ai.agent.version", std::to_string(run.version));
  put(out, "gen_ai.conversation.id", run.session);
  put(out, "gen_ai.request.model", bare_model(get_string(meta, "model"), provider));
  out.emplace_back("gen_ai.usage.input_tokens", get_int(summary, "input_tokens"));
  out.emplace_back("gen_ai.usage.output_tokens", get_int(summary, "output_tokens"));
  if (const std::int64_t cost = get_int(summary, "nano_usd"); cost > 0)
    out.emplace_back("mayfly.cost.usd", static_cast<double>(cost) / 1e9);
  out.emplace_back("mayfly.run.id", run.id);
  out.emplace_back("mayfly.run.status", std::string(to_string(run.status)));
  put_count(out, "mayfly.run.steps", get_int(summary, "steps"));
  if (run.status == ExecutionStatus::Failed) put_error(span, run.error, "_OTHER");
  if (run.status == ExecutionStatus::TimedOut) put_error(span, run.error, "timeout");
  return span;
}

}  // namespace

std::string span_id_of(std::string_view run, std::int64_t operation) {
  std::string id = sha256_hex("span " + std::string(run) + "/" + std::to_string(operation)).substr(0, 16);
  if (id.find_first_not_of('0') == std::string::npos) id.back() = '1';
  return id;
}

std::string traceparent_of(std::string_view traceparent, std::string_view run, std::int64_t operation) {
  const auto context = parse_traceparent(traceparent);
  if (!context) return {};
  return to_traceparent({context->trace_id, span_id_of(run, operation), context->flags});
}

std::vector<Span> make_run_spans(const engine::RunDescription& description) {
  const Execution& run = description.run;
  if (run.open()) return {};
  const auto context = parse_traceparent(run.traceparent);
  if (context && !context->sampled()) return {};
  const std::string trace = context ? context->trace_id : sha256_hex(run.id).substr(0, 32);
  std::string parent;
  if (run.parent)
    parent = span_id_of(run.parent->run, run.parent->operation);
  else if (context && !is_made_here(*context))
    parent = context->span_id;
  std::vector<Span> out{make_run_span(description, trace, std::move(parent))};
  const std::string run_span = out.front().span_id;
  std::int64_t left_out = 0;
  for (const Operation& operation : description.operations) {
    if (operation.type == engine::OperationType::Execution) continue;
    if (out.size() >= kRunSpansMax)
      ++left_out;
    else
      out.push_back(make_operation_span(operation, run, trace, run_span));
  }
  if (left_out > 0) out.front().attributes.emplace_back("mayfly.operations_left_out", left_out);
  return out;
}

void TraceExporter::export_run(const engine::RunDescription& description) {
  if (enabled()) add(make_run_spans(description));
}

void RunObserver::run_ended(std::string run) {
  if (!engine_ || !exporter_.enabled()) return;
  if (ended_.size() >= queue_max_) {
    ++dropped_;
    return;
  }
  ended_.push_back(std::move(run));
  if (is_working_) return;
  is_working_ = true;
  tasks_.spawn(work());
}

Task<> RunObserver::work() {
  while (!ended_.empty()) {
    std::string run = std::move(ended_.front());
    ended_.pop_front();
    const auto description = co_await engine_->describe(run);
    if (description)
      exporter_.export_run(*description);
    else
      log::debug("a run could not be read for its trace", {{"run", run}, {"code", description.error().code}});
  }
  is_working_ = false;
}

Task<> RunObserver::stop() {
  co_await tasks_.join();
  engine_ = nullptr;
}

}  // namespace mayfly::telemetry
