#include "telemetry/run_spans.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "net/net_test_support.h"
#include "telemetry/trace_context.h"

namespace mayfly::telemetry {
namespace {

using engine::ExecutionStatus;
using engine::Operation;
using engine::OperationStatus;
using engine::OperationType;

constexpr std::int64_t kStart = 1'795'000'000'000;
const std::string kTrace = "4bf92f3577b34da6a3ce929d0e0e4736", kCaller = "00f067aa0ba902b7";

Operation operation(std::int64_t id, std::string kind, std::string name, Json input, Json meta) {
  Operation out;
  out.id = id;
  out.kind = std::move(kind);
  out.name = std::move(name);
  out.input = std::move(input);
  out.meta = std::move(meta);
  out.started = from_unix_ms(kStart + id * 100);
  out.ended = from_unix_ms(kStart + id * 100 + 50);
  return out;
}

engine::RunDescription run_of_a_support_agent() {
  engine::RunDescription out;
  out.run.id = "run_1";
  out.run.program = "support";
  out.run.version = 3;
  out.run.session = "support/alice";
  out.run.status = ExecutionStatus::Succeeded;
  out.run.created = from_unix_ms(kStart);
  out.run.ended = from_unix_ms(kStart + 900);
  out.run.summary = *parse_json(R"({"steps":2,"input_tokens":170,"output_tokens":40,"nano_usd":1500000})");
  out.run.traceparent = "00-" + kTrace + "-" + kCaller + "-01";
  Operation input = operation(0, "", "input", JsonObject{{"message", "my secret"}}, nullptr);
  input.type = OperationType::Execution;
  out.operations.push_back(std::move(input));
  out.operations.push_back(
      operation(1, "llm", "model", JsonObject{{"step", 1}}, *parse_json(R"({"model":"anthropic/claude-x","provider":"anthropic",
      "usage":{"input":100,"cache_read":50,"cache_write":20,"output":40,"reasoning":8},"nano_usd":1500000,"stop_reason":"tool_calls",
      "response_id":"msg_1","first_token_ms":250})")));
  out.operations.push_back(operation(2, "tool", "get_order", *parse_json(R"({"call":"call_7","arguments":{"id":"my secret"}})"),
                                     JsonObject{{"tool", "get_order"}}));
  return out;
}

const Span& find(const std::vector<Span>& spans, std::string_view name) {
  static const Span none;
  const auto at = std::ranges::find(spans, name, &Span::name);
  if (at != spans.end()) return *at;
  ADD_FAILURE() << "no span " << name;
  return none;
}

std::string attribute(const Span& span, std::string_view key) {
  struct Text {
    std::string operator()(const std::string& value) const { return value; }
    std::string operator()(std::int64_t value) const { return std::to_string(value); }
    std::string operator()(double value) const { return to_text(Json(value)); }
    std::string operator()(bool value) const { return value ? "true" : "false"; }
    std::string operator()(const std::vector<std::string>& value) const { return value.empty() ? "[]" : "[" + value[0] + "]"; }
  };
  const auto at = std::ranges::find(span.attributes, key, &Attributes::value_type::first);
  return at == span.attributes.end() ? "(none)" : std::visit(Text{}, at->second);
}

TEST(RunSpans, FollowTheGenAiConventions) {
  const auto spans = make_run_spans(run_of_a_support_agent());
  ASSERT_EQ(spans.size(), 3u);
  const Span& agent = find(spans, "invoke_agent support");
  EXPECT_EQ(agent.trace_id, kTrace);
  EXPECT_EQ(agent.parent_id, kCaller);
  EXPECT_EQ(agent.kind, SpanKind::Internal);
  EXPECT_EQ(to_unix_ms(agent.start), kStart);
  EXPECT_EQ(to_unix_ms(agent.end), kStart + 900);
  EXPECT_EQ(agent.status, SpanStatus::Unset);
  EXPECT_EQ(attribute(agent, "gen_ai.operation.name"), "invoke_agent");
  EXPECT_EQ(attribute(agent, "gen_ai.agent.name"), "support");
  EXPECT_EQ(attribute(agent, "gen_ai.agent.version"), "3");
  EXPECT_EQ(attribute(agent, "gen_ai.conversation.id"), "support/alice");
  EXPECT_EQ(attribute(agent, "gen_ai.usage.input_tokens"), "170");

  const Span& chat = find(spans, "chat claude-x");
  EXPECT_EQ(chat.parent_id, agent.span_id);
  EXPECT_EQ(chat.kind, SpanKind::Client);
  EXPECT_EQ(attribute(chat, "gen_ai.operation.name"), "chat");
  EXPECT_EQ(attribute(chat, "gen_ai.provider.name"), "anthropic");
  EXPECT_EQ(attribute(chat, "gen_ai.request.model"), "claude-x");
  EXPECT_EQ(attribute(chat, "gen_ai.response.model"), "claude-x");
  EXPECT_EQ(attribute(chat, "gen_ai.response.id"), "msg_1");
  EXPECT_EQ(attribute(chat, "gen_ai.response.finish_reasons"), "[tool_call]");
  EXPECT_EQ(attribute(chat, "gen_ai.response.time_to_first_chunk"), to_text(Json(0.25)));
  EXPECT_EQ(attribute(chat, "gen_ai.usage.input_tokens"), "170");
  EXPECT_EQ(attribute(chat, "gen_ai.usage.cache_read.input_tokens"), "50");
  EXPECT_EQ(attribute(chat, "gen_ai.usage.cache_creation.input_tokens"), "20");
  EXPECT_EQ(attribute(chat, "gen_ai.usage.output_tokens"), "40");
  EXPECT_EQ(attribute(chat, "gen_ai.usage.reasoning.output_tokens"), "8");

  const Span& tool = find(spans, "execute_tool get_order");
  EXPECT_EQ(tool.parent_id, agent.span_id);
  EXPECT_EQ(tool.kind, SpanKind::Internal);
  EXPECT_EQ(attribute(tool, "gen_ai.operation.name"), "execute_tool");
  EXPECT_EQ(attribute(tool, "gen_ai.tool.name"), "get_order");
  EXPECT_EQ(attribute(tool, "gen_ai.tool.call.id"), "call_7");
}

TEST(RunSpans, HoldNoContents) {
  const auto spans = make_run_spans(run_of_a_support_agent());
  EXPECT_EQ(to_text(to_otlp(spans, {}, "")).find("my secret"), std::string::npos);
}

TEST(RunSpans, AreTheSameWhenExportedAgain) {
  const auto first = make_run_spans(run_of_a_support_agent()), second = make_run_spans(run_of_a_support_agent());
  ASSERT_EQ(first.size(), second.size());
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].span_id, second[i].span_id);
    EXPECT_EQ(first[i].span_id.size(), 16u);
    ids.push_back(first[i].span_id);
  }
  std::ranges::sort(ids);
  EXPECT_EQ(std::ranges::adjacent_find(ids), ids.end());
}

TEST(RunSpans, TellWhatFailed) {
  auto description = run_of_a_support_agent();
  description.run.status = ExecutionStatus::Failed;
  description.run.error = Error{"limit.exceeded", "too much", Retry::Never};
  description.operations[1].status = OperationStatus::Failed;
  description.operations[1].error = Error{"llm.rate_limited", "slow down", Retry::Safe};
  description.operations[1].attempts = 4;
  description.operations[2].result = *parse_json(R"({"text":"no such order","is_error":true})");
  const auto spans = make_run_spans(description);
  const Span& agent = find(spans, "invoke_agent support");
  EXPECT_EQ(agent.status, SpanStatus::Error);
  EXPECT_EQ(agent.status_message, "too much");
  EXPECT_EQ(attribute(agent, "error.type"), "limit.exceeded");
  const Span& chat = find(spans, "chat claude-x");
  EXPECT_EQ(chat.status, SpanStatus::Error);
  EXPECT_EQ(attribute(chat, "error.type"), "llm.rate_limited");
  EXPECT_EQ(attribute(chat, "mayfly.attempts"), "4");
  EXPECT_EQ(attribute(find(spans, "execute_tool get_order"), "error.type"), "tool_error");
}

TEST(RunSpans, PeopleAndTimersHaveSpansToo) {
  auto description = run_of_a_support_agent();
  Operation approval = operation(3, "approval", "refund", *parse_json(R"({"call":"call_8","tool":"refund"})"), nullptr);
  approval.type = OperationType::Callback;
  description.operations.push_back(approval);
  Operation sleep = operation(4, "sleep", "wait_a_day", *parse_json(R"({"call":"call_9"})"), nullptr);
  sleep.type = OperationType::Wait;
  description.operations.push_back(sleep);
  const auto spans = make_run_spans(description);
  EXPECT_EQ(attribute(find(spans, "approval refund"), "mayfly.operation.kind"), "approval");
  EXPECT_EQ(attribute(find(spans, "execute_tool wait_a_day"), "gen_ai.tool.call.id"), "call_9");
}

TEST(RunSpans, ARunOfARunHangsBelowTheOperationThatStartedIt) {
  auto description = run_of_a_support_agent();
  description.run.parent = engine::ParentLink{"run_0", 5};
  EXPECT_EQ(make_run_spans(description)[0].parent_id, span_id_of("run_0", 5));
}

TEST(RunSpans, ATraceThatBeganHereHasARoot) {
  SeededRandom random(1);
  auto description = run_of_a_support_agent();
  description.run.traceparent = to_traceparent(new_trace(random));
  EXPECT_EQ(make_run_spans(description)[0].parent_id, "");
  description.run.traceparent.clear();
  const auto spans = make_run_spans(description);
  EXPECT_EQ(spans[0].parent_id, "");
  EXPECT_EQ(spans[0].trace_id.size(), 32u);
  EXPECT_EQ(spans[0].trace_id, spans[1].trace_id);
}

TEST(RunSpans, NotForOpenRunsOrUnsampledTraces) {
  auto description = run_of_a_support_agent();
  description.run.traceparent = "00-" + kTrace + "-" + kCaller + "-00";
  EXPECT_TRUE(make_run_spans(description).empty());
  description = run_of_a_support_agent();
  description.run.status = ExecutionStatus::Running;
  EXPECT_TRUE(make_run_spans(description).empty());
}

TEST(RunSpans, AreBounded) {
  auto description = run_of_a_support_agent();
  for (std::int64_t id = 3; id < 4'000; ++id) description.operations.push_back(operation(id, "tool", "t", nullptr, nullptr));
  const auto spans = make_run_spans(description);
  EXPECT_EQ(spans.size(), kRunSpansMax);
  EXPECT_EQ(attribute(spans[0], "mayfly.operations_left_out"), std::to_string(4'000 - static_cast<std::int64_t>(kRunSpansMax)));
}

TEST(RunSpans, CallsFurtherDownCarryTheOperationsSpan) {
  const std::string sent = traceparent_of("00-" + kTrace + "-" + kCaller + "-01", "run_1", 2);
  EXPECT_EQ(sent, "00-" + kTrace + "-" + span_id_of("run_1", 2) + "-01");
  EXPECT_EQ(traceparent_of("", "run_1", 2), "");
}

/// Only `describe` is ever called.
class DescribingEngine final : public engine::Engine {
 public:
  std::vector<std::string> asked;

  Task<Result<engine::RunDescription>> describe(std::string run) override {
    asked.push_back(run);
    if (run == "run_gone") co_return fail("run.not_found", "there is no such run");
    engine::RunDescription out = run_of_a_support_agent();
    out.run.id = run;
    co_return out;
  }
  Task<Result<void>> open() override { co_return Result<void>{}; }
  Task<> stop(Millis) override { co_return; }
  void crash() override {}
  Task<Result<engine::Started>> start(engine::StartRequest) override { co_return engine::Started{}; }
  Task<Result<void>> cancel(std::string, std::string) override { co_return Result<void>{}; }
  Task<Result<void>> resolve(engine::Resolved) override { co_return Result<void>{}; }
  Task<Result<engine::Execution>> get(std::string) override { co_return engine::Execution{}; }
  Task<Result<std::vector<engine::Execution>>> list(engine::ListFilter) override { co_return std::vector<engine::Execution>{}; }
  Task<Result<std::vector<engine::Session>>> sessions(std::string, std::size_t) override { co_return std::vector<engine::Session>{}; }
  Task<Result<std::vector<Operation>>> operations(std::string, std::int64_t) override { co_return std::vector<Operation>{}; }
  Task<Result<std::vector<std::string>>> session_runs(std::string, std::size_t) override { co_return std::vector<std::string>{}; }
  Task<Result<Json>> unspill(Json value) override { co_return value; }
  Task<Result<Json>> spill(Json value) override { co_return value; }
  Task<Result<Json>> command(std::string, Json) override { co_return nullptr; }
  Task<Result<std::vector<std::variant<engine::PendingOperation, Operation>>>> operations_by_id(std::string,
                                                                                               std::vector<std::int64_t>) override {
    co_return std::vector<std::variant<engine::PendingOperation, Operation>>{};
  }
  std::unique_ptr<engine::Subscription> subscribe(const std::string&, engine::Interest) override { return nullptr; }
  std::vector<engine::Delta> said_so_far(const std::string&) override { return {}; }
  Task<Result<std::optional<std::string>>> find_by_key(std::string, std::string, std::string) override { co_return std::optional<std::string>(); }
  Task<Result<std::optional<std::string>>> invoked(std::string, std::int64_t) override { co_return std::optional<std::string>(); }
  engine::keys::Partition partitions() const override { return 1; }
  Precondition lease(engine::keys::Partition) const override { return Precondition::absent("0000/epoch"); }
  engine::EngineCounters counters() const override { return {}; }
  bool recovering() const override { return false; }
};

class SilentHttp final : public net::HttpClient {
 public:
  Task<Result<net::ClientResponse>> send(net::ClientRequest request) override {
    bodies.push_back(std::move(request.body));
    co_return net::ClientResponse{200, {}, "{}", {}};
  }
  std::vector<std::string> bodies;
};

Task<> stop_both(RunObserver* observer, TraceExporter* exporter) {
  co_await observer->stop();
  co_await exporter->stop(Millis{1'000});
}

TEST(RunObserver, ExportsEveryRunThatEnded) {
  asio::io_context io;
  net::ManualClock clock(io.get_executor());
  SeededRandom random(1);
  SilentHttp http;
  DescribingEngine engine;
  TraceExporter exporter(io.get_executor(), clock, random, http, {.endpoint = "http://127.0.0.1:1"});
  RunObserver observer(io.get_executor(), exporter, 3);
  observer.run_ended("run_before_start");
  observer.start(engine);
  for (const char* run : {"run_a", "run_gone", "run_b", "run_too_many"}) observer.run_ended(run);
  net::run_task(io, stop_both(&observer, &exporter));
  EXPECT_EQ(engine.asked, (std::vector<std::string>{"run_a", "run_gone", "run_b"}));
  EXPECT_EQ(observer.dropped(), 1u);
  EXPECT_EQ(exporter.counters().exported, 6u);
  ASSERT_EQ(http.bodies.size(), 1u);
  EXPECT_NE(http.bodies[0].find(span_id_of("run_b", 0)), std::string::npos);
}

}  // namespace
}  // namespace mayfly::telemetry
