#include "function/durable/execution_reader.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

namespace mayfly::function {
namespace {

constexpr std::size_t kPageBytesMax = 5 * 1024 * 1024;  // Lambda takes events of 6 MB

/// Of the text, or about that of what a reference stands for.
std::size_t size_of(const Json& payload) {
  if (const auto* text = payload.if_string()) return text->size();
  const auto* reference = payload.if_object();
  return reference ? static_cast<std::size_t>(get_int(*reference, "bytes")) : 0;
}

std::optional<std::pair<std::int64_t, std::int64_t>> parse_marker(std::string_view text) {
  std::int64_t sequence = 0, number = 0;
  const char* const end = text.data() + text.size();
  auto [at, error] = std::from_chars(text.data(), end, sequence);
  if (error != std::errc() || at == end || *at != ':') return std::nullopt;
  auto [stop, second] = std::from_chars(at + 1, end, number);
  if (second != std::errc() || stop != end) return std::nullopt;
  return std::pair{sequence, number};
}

bool is_durable(const engine::Execution& run) {
  const JsonObject* state = run.state.if_object();
  return state && get_string(*state, "kind") == "durable";
}

/// Ids of the contexts whose children the API leaves out: they have ended, and did not ask for their children, or lie in such a one.
std::set<std::string_view> closed_contexts(const std::vector<OperationView>& operations) {
  std::set<std::string_view> out;
  for (const OperationView& op : operations) {
    if (op.type != "CONTEXT" || op.hidden()) continue;
    const bool closed = (op.note.status == "SUCCEEDED" || op.note.status == "FAILED") && !op.note.replay_children;
    if (closed || out.contains(op.note.parent)) out.insert(op.id);
  }
  return out;
}

std::unexpected<Error> not_found() { return fail("run.not_found", "there is no such durable execution"); }

}  // namespace

Result<std::string> run_of(std::string_view arn) {
  auto parsed = parse_execution_arn(arn);
  if (!parsed) return std::unexpected(parsed.error());
  return "run_" + parsed->run;
}

Task<Result<engine::Execution>> load_run(engine::Engine& engine, std::string run) {
  auto execution = co_await engine.get(std::move(run));
  if (execution && !is_durable(*execution)) co_return not_found();
  co_return execution;
}

Task<Result<LoadedExecution>> load_execution(engine::Engine& engine, std::string run) {
  auto described = co_await engine.describe(std::move(run));
  if (!described) co_return std::unexpected(described.error());
  if (!is_durable(described->run)) co_return not_found();
  LoadedExecution out{std::move(described->run), {}, nullptr, {}};
  out.state = durable_state_from_json(out.run.state);
  // What has ended between the two reads is in both.
  std::map<std::int64_t, OperationView> by_number;
  for (engine::Operation& op : described->operations) {
    if (op.id == 0) {
      auto input = co_await engine.unspill(std::move(op.input));
      if (!input) co_return std::unexpected(input.error());
      out.input = std::move(*input);
    } else {
      by_number.emplace(op.id, view_of(op));
    }
  }
  for (const engine::PendingOperation& op : out.run.pending) by_number.emplace(op.id, view_of(op));
  out.operations.reserve(by_number.size());
  for (auto& [number, view] : by_number) out.operations.push_back(std::move(view));
  co_return out;
}

Task<Result<Json>> input_payload(engine::Engine& engine, const LoadedExecution& execution) {
  const JsonObject* input = execution.input.if_object();
  const Json* payload = input ? get(*input, "payload") : nullptr;
  if (!payload) co_return Json(nullptr);
  co_return co_await engine.unspill(*payload);
}

Task<Result<StatePage>> state_page(engine::Engine& engine, const LoadedExecution& execution, std::string marker, std::size_t items_max,
                                   TimeFormat format) {
  StatePage page;
  std::int64_t from = 0;
  if (!marker.empty()) {
    const auto parsed = parse_marker(marker);
    if (!parsed || parsed->first != execution.state.sequence) co_return fail("execution.invalid_marker", "Invalid marker");
    from = parsed->second;
  }
  std::size_t bytes = 0;
  if (from == 0) {
    auto payload = co_await input_payload(engine, execution);
    if (!payload) co_return std::unexpected(payload.error());
    bytes += size_of(*payload);
    page.operations.push_back(execution_operation_json(execution.run, execution.state, std::move(*payload), format));
  }
  const std::set<std::string_view> closed = closed_contexts(execution.operations);
  for (const OperationView& op : execution.operations) {
    if (op.hidden() || op.number < from || closed.contains(op.note.parent)) continue;
    Json payload = payload_of(op);
    bytes += size_of(payload);
    if (!page.operations.empty() && (page.operations.size() >= items_max || bytes > kPageBytesMax)) {
      page.next_marker = std::to_string(execution.state.sequence) + ":" + std::to_string(op.number);
      break;
    }
    auto whole = co_await engine.unspill(std::move(payload));
    if (!whole) co_return std::unexpected(whole.error());
    page.operations.push_back(operation_json(op, std::move(*whole), format));
  }
  co_return page;
}

}  // namespace mayfly::function
