#include "function/durable/durable_service.h"

#include <algorithm>

#include "base/hash.h"
#include "function/durable/chained_target.h"
#include "function/durable/execution_reader.h"
#include "function/durable/invocation_outcome.h"
#include "function/durable/tokens.h"
#include "function/durable/updates.h"
#include "function/function_starts.h"

namespace mayfly::function {
namespace {

constexpr std::size_t kItemsMax = 1'000;
constexpr std::size_t kItemsDefault = 100;
constexpr std::size_t kSpillBytes = 32 * 1024;  // smaller payloads are never large
constexpr std::size_t kCallbackResultBytesMax = 1024 * 1024;
constexpr std::size_t kClientTokenBytesMax = 64;
constexpr std::size_t kSecretBytes = 16;
constexpr std::size_t kListedMax = 20;  // pages of the engine's list that one answer may read

const JsonObject& object_of(const Json& value) {
  static const JsonObject kEmpty;
  return value.is_object() ? value.get_object() : kEmpty;
}

std::unexpected<Error> invalid_token(std::string_view why) {
  return fail("checkpoint.invalid_token", "Invalid checkpoint token: " + std::string(why));
}

std::size_t items_of(const Page& page) { return page.items_max == 0 ? kItemsDefault : std::min(page.items_max, kItemsMax); }

/// Only what the API knows goes on to the program.
JsonObject known_members(const JsonObject& update) {
  JsonObject out;
  for (const std::string_view key : {"Id", "ParentId", "Name", "Type", "SubType", "Action", "Error", "ContextOptions", "StepOptions",
                                     "WaitOptions", "CallbackOptions", "ChainedInvokeOptions"})
    if (const Json* value = get(update, key)) out[key] = *value;
  return out;
}

class DurableServiceImpl final : public DurableService {
 public:
  DurableServiceImpl(FunctionServiceDependencies dependencies, engine::Engine& engine) : deps_(std::move(dependencies)), engine_(engine) {}

  Task<Result<Json>> checkpoint(std::string arn, Json request) override;
  Task<Result<Json>> state(std::string arn, std::string checkpoint_token, Page page) override;
  Task<Result<Json>> get(std::string arn, bool include_data) override;
  Task<Result<Json>> history(std::string arn, bool include_data, bool reverse, Page page) override;
  Task<Result<Json>> list(ExecutionFilter filter) override;
  Task<Result<Json>> stop(std::string arn, Json error) override;
  Task<Result<void>> callback_succeed(std::string callback_id, std::string result) override;
  Task<Result<void>> callback_fail(std::string callback_id, Json error) override;
  Task<Result<void>> callback_heartbeat(std::string callback_id) override;

 private:
  Task<Result<JsonArray>> prepare(JsonArray updates, std::string run);
  Task<Result<JsonArray>> operations(std::string run, std::vector<std::int64_t> numbers);
  Task<Result<void>> answer_callback(std::string callback_id, JsonObject body);
  std::string request_id() { return to_hex16(deps_.random->next()); }

  FunctionServiceDependencies deps_;
  engine::Engine& engine_;
};

/// Puts large payloads away, and adds what the program cannot know.
Task<Result<JsonArray>> DurableServiceImpl::prepare(JsonArray updates, std::string run) {
  auto parsed = parse_updates(updates);
  if (!parsed) co_return std::unexpected(parsed.error());
  JsonArray out;
  for (std::size_t i = 0; i < parsed->size(); ++i) {
    Update& update = (*parsed)[i];
    JsonObject ready = known_members(updates[i].get_object());
    Json payload = std::move(update.payload);
    if (payload.is_string() && payload.get_string().size() > kSpillBytes) {
      auto kept = co_await engine_.spill(std::move(payload));
      if (!kept) co_return std::unexpected(kept.error());
      payload = std::move(*kept);
    }
    const bool starts = update.action == Action::Start;
    if (starts && update.type == engine::OperationType::Callback)
      ready[kCallbackMember] = encode(CallbackId{run, update.id, to_base64url(secure_random_bytes(kSecretBytes))});
    if (starts && update.type == engine::OperationType::ChainedInvoke) {
      auto target = chained_target(deps_, update, payload);
      if (!target) co_return std::unexpected(target.error());
      if (!target->refused.is_null()) ready[kRefusedMember] = std::move(target->refused);
      ready[kInvokeMember] = std::move(target->invoke);
    }
    ready[kBytesMember] = update.payload_bytes;
    if (!payload.is_null()) ready["Payload"] = std::move(payload);
    out.push_back(std::move(ready));
  }
  co_return out;
}

Task<Result<JsonArray>> DurableServiceImpl::operations(std::string run, std::vector<std::int64_t> numbers) {
  JsonArray out;
  if (numbers.empty()) co_return out;
  auto found = co_await engine_.operations_by_id(std::move(run), std::move(numbers));
  if (!found) co_return std::unexpected(found.error());
  for (const auto& item : *found) {
    const OperationView op = view_of(item);
    if (op.hidden()) continue;
    auto payload = co_await engine_.unspill(payload_of(op));
    if (!payload) co_return std::unexpected(payload.error());
    out.push_back(operation_json(op, std::move(*payload), TimeFormat::Seconds));
  }
  co_return out;
}

Task<Result<Json>> DurableServiceImpl::checkpoint(std::string arn, Json request) {
  auto run = run_of(arn);
  if (!run) co_return std::unexpected(run.error());
  const JsonObject& from = object_of(request);
  const auto token = parse_checkpoint_token(get_string(from, "CheckpointToken"));
  if (!token) co_return invalid_token("it is none of ours");
  const std::string client_token = get_string(from, "ClientToken");
  if (client_token.size() > kClientTokenBytesMax) co_return fail("checkpoint.invalid", "ClientToken has at most 64 characters");
  const Json* updates = mayfly::get(from, "Updates");
  if (updates && !updates->is_null() && !updates->is_array()) co_return fail("checkpoint.invalid", "Updates must be a list");
  const JsonArray given = updates && updates->is_array() ? updates->get_array() : JsonArray();
  const std::string fingerprint = sha256_hex(to_text(Json(given))).substr(0, 32);
  auto ready = co_await prepare(given, *run);
  if (!ready) co_return std::unexpected(ready.error());
  auto answer = co_await engine_.command(*run, JsonObject{{"do", "checkpoint"},
                                                          {"token", to_json(*token)},
                                                          {"client_token", client_token},
                                                          {"fingerprint", fingerprint},
                                                          {"updates", std::move(*ready)}});
  if (!answer && answer.error().code == "run.ended") co_return invalid_token("the execution has ended");
  if (!answer) co_return std::unexpected(answer.error());

  const JsonObject& told = object_of(*answer);
  std::vector<std::int64_t> numbers;
  if (const JsonArray* array = get_array(told, "operations"))
    for (const Json& number : *array) numbers.push_back(number.is_int64() ? number.get_int64() : 0);
  auto changed = co_await operations(*run, std::move(numbers));
  if (!changed) co_return std::unexpected(changed.error());
  const CheckpointToken next{token->operation, token->attempt, get_int(told, "sequence"), get_int(told, "change")};
  co_return JsonObject{{"CheckpointToken", encode(next)}, {"NewExecutionState", JsonObject{{"Operations", std::move(*changed)}}}};
}

Task<Result<Json>> DurableServiceImpl::state(std::string arn, std::string checkpoint_token, Page page) {
  auto run = run_of(arn);
  if (!run) co_return std::unexpected(run.error());
  const auto token = parse_checkpoint_token(checkpoint_token);
  auto execution = co_await load_execution(engine_, *run);
  if (!execution) co_return std::unexpected(execution.error());
  if (!token || !owns(execution->run, execution->state, *token) || token->sequence != execution->state.sequence)
    co_return invalid_token("only the invocation under way may read the state, with its newest token");
  auto part = co_await state_page(engine_, *execution, page.marker, items_of(page), TimeFormat::Seconds);
  if (!part) co_return std::unexpected(part.error());
  JsonObject out{{"Operations", std::move(part->operations)}};
  if (!part->next_marker.empty()) out["NextMarker"] = part->next_marker;
  co_return out;
}

Task<Result<Json>> DurableServiceImpl::get(std::string arn, bool include_data) {
  auto run = run_of(arn);
  if (!run) co_return std::unexpected(run.error());
  auto execution = co_await load_run(engine_, *run);
  if (!execution) co_return std::unexpected(execution.error());
  const DurableState state = durable_state_from_json(execution->state);
  const std::string function = function_of_program(execution->program).value_or("");
  JsonObject out{{"DurableExecutionArn", arn_of(*execution, state)},
                 {"DurableExecutionName", state.name},
                 {"FunctionArn", function_arn(function, state.version)},
                 {"Version", state.version},
                 {"Status", engine::to_string(execution->status)},
                 {"StartTimestamp", time_json(execution->created, TimeFormat::Seconds)},
                 {"ExecutionDataIncluded", include_data}};
  if (execution->ended) out["EndTimestamp"] = time_json(*execution->ended, TimeFormat::Seconds);
  if (execution->deadline) out["ExpectedExecutionTimeoutTimestamp"] = time_json(*execution->deadline, TimeFormat::Seconds);
  if (std::string trace = trace_header_of(execution->traceparent); !trace.empty())
    out["TraceHeader"] = JsonObject{{"XAmznTraceId", std::move(trace)}};
  const bool failed = execution->ended && execution->status != engine::ExecutionStatus::Succeeded;
  if (Json error = failed ? execution_error(*execution, state) : Json(nullptr); !error.is_null()) out["Error"] = std::move(error);

  auto start = co_await engine_.operations_by_id(*run, {0});
  if (!start) co_return std::unexpected(start.error());
  auto* first = start->empty() ? nullptr : std::get_if<engine::Operation>(&start->front());
  auto input = co_await engine_.unspill(first ? std::move(first->input) : Json(nullptr));
  if (!input) co_return std::unexpected(input.error());
  const JsonObject& given = object_of(*input);
  out["DurableConfig"] = JsonObject{{"ExecutionTimeout", state.timeout}, {"RetentionPeriodInDays", get_int(given, "retention_days", 14)}};
  if (!include_data) co_return out;
  for (const auto& [from, key, name] :
       {std::tuple{&given, "payload", "InputPayload"}, std::tuple{&object_of(execution->result), "Result", "Result"}}) {
    const Json* stored = mayfly::get(*from, key);
    if (!stored || stored->is_null()) continue;
    auto whole = co_await engine_.unspill(*stored);
    if (!whole) co_return std::unexpected(whole.error());
    out[name] = std::move(*whole);
  }
  co_return out;
}

Task<Result<Json>> DurableServiceImpl::history(std::string arn, bool include_data, bool reverse, Page page) {
  auto run = run_of(arn);
  if (!run) co_return std::unexpected(run.error());
  auto execution = co_await load_execution(engine_, *run);
  if (!execution) co_return std::unexpected(execution.error());
  std::int64_t from = 0;
  for (const char c : page.marker) {
    if (c < '0' || c > '9' || from > 1'000'000'000) co_return fail("execution.invalid_marker", "Invalid marker");
    from = from * 10 + (c - '0');
  }
  std::vector<HistoryItem> items = history_items(execution->run, execution->state, execution->operations);
  if (reverse) std::ranges::reverse(items);
  // The marker is the next event's id, or, backwards, the last one given.
  if (!page.marker.empty())
    std::erase_if(items, [&](const HistoryItem& item) { return reverse ? item.event.id >= from : item.event.id < from; });
  const std::size_t count = items_of(page);
  JsonObject out;
  if (items.size() > count) {
    out["NextMarker"] = std::to_string(items[reverse ? count - 1 : count].event.id);
    items.resize(count);
  }
  const JsonObject& input = object_of(execution->input);
  const Json* payload = mayfly::get(input, "payload");
  JsonArray events;
  for (const HistoryItem& item : items) {
    Json stored = payload_of(item, execution->run, payload ? *payload : Json(nullptr));
    // Without data only whether there is any matters.
    auto whole = include_data ? co_await engine_.unspill(std::move(stored)) : Result<Json>(std::move(stored));
    if (!whole) co_return std::unexpected(whole.error());
    events.push_back(event_json(item, execution->run, execution->state, std::move(*whole), include_data));
  }
  out["Events"] = std::move(events);
  co_return out;
}

Task<Result<Json>> DurableServiceImpl::list(ExecutionFilter filter) {
  std::string version;
  if (!filter.function.qualifier.empty()) {
    auto function = lookup_of(deps_).resolve(filter.function);
    if (!function) co_return std::unexpected(function.error());
    version = function->version;
  }
  const auto wanted = [&](const engine::Execution& run, const DurableState& state) {
    return get_string(object_of(run.state), "kind") == "durable" && (version.empty() || state.version == version) &&
           (filter.name.empty() || state.name == filter.name) &&
           (filter.statuses.empty() || std::ranges::find(filter.statuses, engine::to_string(run.status)) != filter.statuses.end()) &&
           (!filter.started_after || run.created > *filter.started_after) &&
           (!filter.started_before || run.created < *filter.started_before);
  };
  // Newest first; backwards the whole list is read first. The marker is the last run given.
  const std::size_t count = items_of(filter.page);
  std::vector<engine::Execution> found;
  std::string before = filter.reverse ? std::string() : filter.page.marker;
  bool more = true;
  for (std::size_t pages = 0; more && (filter.reverse || found.size() <= count) && pages < kListedMax; ++pages) {
    auto runs = co_await engine_.list({.program = program_name(filter.function.name), .limit = kItemsMax, .before = before});
    if (!runs) co_return std::unexpected(runs.error());
    more = runs->size() == kItemsMax;
    if (more) before = runs->back().id;
    for (engine::Execution& run : *runs)
      if (wanted(run, durable_state_from_json(run.state))) found.push_back(std::move(run));
  }
  if (filter.reverse) {
    std::ranges::reverse(found);
    std::erase_if(found, [&](const engine::Execution& run) { return run.id <= filter.page.marker; });
  }
  JsonObject out;
  if (found.size() > count) {
    found.resize(count);
    out["NextMarker"] = found.back().id;
  } else if (more && !filter.reverse) {
    out["NextMarker"] = before;
  }
  JsonArray executions;
  for (const engine::Execution& run : found) {
    const DurableState state = durable_state_from_json(run.state);
    JsonObject item{{"DurableExecutionArn", arn_of(run, state)},
                    {"DurableExecutionName", state.name},
                    {"FunctionArn", function_arn(filter.function.name, state.version)},
                    {"Status", engine::to_string(run.status)},
                    {"StartTimestamp", time_json(run.created, TimeFormat::Seconds)}};
    if (run.ended) item["EndTimestamp"] = time_json(*run.ended, TimeFormat::Seconds);
    executions.push_back(std::move(item));
  }
  out["DurableExecutions"] = std::move(executions);
  co_return out;
}

Task<Result<Json>> DurableServiceImpl::stop(std::string arn, Json error) {
  auto run = run_of(arn);
  if (!run) co_return std::unexpected(run.error());
  auto execution = co_await load_run(engine_, *run);
  if (!execution) co_return std::unexpected(execution.error());
  // The request's body is the error itself.
  const Json* given = mayfly::get(object_of(error), "Error");
  Json object = given ? *given : error;
  if (!object_of(object).empty()) {
    auto checked = parse_error_object(object);
    if (!checked) co_return std::unexpected(checked.error());
    object = std::move(*checked);
  } else {
    object = nullptr;
  }
  if (execution->open()) {
    auto stopped = co_await engine_.command(*run, JsonObject{{"do", "stop"}, {"error", std::move(object)}});
    if (!stopped && stopped.error().code != "run.ended") co_return std::unexpected(stopped.error());
    execution = co_await load_run(engine_, *run);
    if (!execution) co_return std::unexpected(execution.error());
  }
  co_return JsonObject{{"StopTimestamp", time_json(execution->ended.value_or(deps_.clock->now()), TimeFormat::Seconds)}};
}

Task<Result<void>> DurableServiceImpl::answer_callback(std::string callback_id, JsonObject body) {
  const auto id = parse_callback_id(callback_id);
  if (!id) co_return fail("callback.not_found", "there is no such callback");
  body["do"] = "callback";
  body["operation"] = id->operation;
  body["id"] = callback_id;
  body["request"] = request_id();
  auto answered = co_await engine_.command(id->run, std::move(body));
  if (answered) co_return Result<void>{};
  const std::string& code = answered.error().code;
  if (code == "run.not_found") co_return fail("callback.not_found", "there is no such callback");
  if (code == "run.ended") co_return fail("callback.ended", "the callback's execution has ended");
  co_return std::unexpected(answered.error());
}

Task<Result<void>> DurableServiceImpl::callback_succeed(std::string callback_id, std::string result) {
  if (result.size() > kCallbackResultBytesMax)
    co_return fail("callback.invalid", "a callback's result has at most " + std::to_string(kCallbackResultBytesMax) + " bytes");
  JsonObject body{{"action", "succeed"}};
  if (!result.empty()) {
    auto kept = co_await engine_.spill(Json(is_utf8(result) ? std::move(result) : to_utf8_lossy(result)));
    if (!kept) co_return std::unexpected(kept.error());
    body["result"] = std::move(*kept);
  }
  co_return co_await answer_callback(std::move(callback_id), std::move(body));
}

Task<Result<void>> DurableServiceImpl::callback_fail(std::string callback_id, Json error) {
  auto checked = error.is_null() ? Result<Json>(JsonObject()) : parse_error_object(error);
  if (!checked) co_return fail("callback.invalid", checked.error().message);
  JsonObject body{{"action", "fail"}, {"error", std::move(*checked)}};
  co_return co_await answer_callback(std::move(callback_id), std::move(body));
}

Task<Result<void>> DurableServiceImpl::callback_heartbeat(std::string callback_id) {
  JsonObject body{{"action", "heartbeat"}};
  co_return co_await answer_callback(std::move(callback_id), std::move(body));
}

}  // namespace

std::unique_ptr<DurableService> make_durable_service(FunctionServiceDependencies dependencies, engine::Engine& engine) {
  return std::make_unique<DurableServiceImpl>(std::move(dependencies), engine);
}

}  // namespace mayfly::function
