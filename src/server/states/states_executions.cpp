#include <algorithm>
#include <cmath>

#include "base/hash.h"
#include "server/api_events.h"
#include "server/states/executions.h"
#include "server/states/states_call.h"

namespace mayfly::states {
namespace {

constexpr Millis kSyncWait{5LL * 60'000 + 5'000};  // an express execution ends by itself before
constexpr std::size_t kInputBytesMax = workflow::kStateBytesMax;

struct StartInput {
  Arn arn;
  std::string name;
  Json input;
};
Result<StartInput> read_start(StatesCall* call) {
  Input input(call->input);
  StartInput out;
  out.arn = input.arn("stateMachineArn", Arn::Kind::StateMachine);
  out.name = input.text_or("name", "", 1'000);
  const std::string text = input.text_or("input", "{}", kInputBytesMax);
  if (auto read = input.done(); !read) return fail(read.error());
  if (!out.name.empty() && !workflow::is_valid_name(out.name))
    return aws_error("InvalidName", "Invalid Name: '" + to_utf8_lossy(out.name.substr(0, 300)) + "'");
  auto value = parse_json(text);
  if (!value) return aws_error("InvalidExecutionInput", "Invalid State Machine Execution Input: '" + value.error().message + "'");
  out.input = *std::move(value);
  return out;
}

/// The run behind an execution's ARN.
Task<Result<engine::Execution>> run_of(AppContext* app, Arn arn) {
  auto run = co_await find_execution(app, arn.name, arn.run.empty() ? arn.execution : arn.run);
  if (!run && run.error().code == "execution.not_found" && !arn.run.empty())
    co_return aws_error("ExecutionDoesNotExist", "Execution Does Not Exist: '" + express_arn(arn.name, arn.execution, arn.run) + "'");
  co_return run;
}

void add_version(const ExecutionDetails& of, JsonObject& to) {
  if (of.published <= 0) return;
  const std::string version = std::to_string(of.published);
  to["stateMachineVersionArn"] = state_machine_arn(of.workflow, version);
  if (of.qualifier != version) to["stateMachineAliasArn"] = state_machine_arn(of.workflow, of.qualifier);
}

/// What executions have in common wherever they are shown.
JsonObject item_view(const ExecutionDetails& of) {
  JsonObject out{{"executionArn", of.arn()},
                 {"stateMachineArn", state_machine_arn(of.workflow)},
                 {"name", of.name},
                 {"status", of.status()},
                 {"startDate", seconds(of.run.created)}};
  if (of.run.ended) out["stopDate"] = seconds(*of.run.ended);
  add_version(of, out);
  return out;
}

Task<Result<JsonObject>> execution_view(AppContext* app, ExecutionDetails of, bool with_data) {
  JsonObject out = item_view(of);
  const JsonObject included{{"included", with_data}};
  if (with_data) out["input"] = to_text(of.input);
  out["inputDetails"] = included;
  if (of.run.status == engine::ExecutionStatus::Succeeded) {
    auto output = co_await output_of(app, of.run);
    if (!output) co_return fail(output.error());
    if (with_data) out["output"] = to_text(*output);
    out["outputDetails"] = included;
  } else if (!of.run.open()) {
    if (const std::string error = of.error(); !error.empty()) out["error"] = error;
    if (const std::string cause = of.cause(); !cause.empty()) out["cause"] = cause;
  }
  co_return out;
}

Result<std::optional<engine::ExecutionStatus>> read_status(const std::string& text) {
  if (text.empty()) return std::nullopt;
  if (text == "ABORTED") return engine::ExecutionStatus::Stopped;
  const auto status = engine::execution_status_from_string(text);
  if (!status || text == "STOPPED")
    return aws_error("ValidationException", "1 validation error detected: Value '" + to_utf8_lossy(text.substr(0, 100)) +
                                                "' at 'statusFilter' failed to satisfy constraint: Member must satisfy enum value set: "
                                                "[RUNNING, SUCCEEDED, FAILED, TIMED_OUT, ABORTED, PENDING_REDRIVE]");
  return status;
}

JsonObject event_view(JsonObject event, bool with_data) {
  event["timestamp"] = static_cast<double>(get_int(event, "timestamp")) / 1000.0;
  for (auto& member : event) {
    JsonObject* details = member.value().if_object();
    if (!details) continue;
    for (const std::string_view name : {"input", "output"}) {
      const std::string about = std::string(name) + "Details";
      if (with_data && details->contains(name) && !details->contains(about)) (*details)[about] = JsonObject{{"truncated", false}};
      if (with_data) continue;
      details->erase(name);
      details->erase(about);
    }
  }
  return event;
}

}  // namespace

Answer start_execution(StatesCall* call) {
  auto input = read_start(call);
  if (!input) co_return fail(input.error());
  auto workflow = resolve(call->app, input->arn);
  if (!workflow) co_return fail(workflow.error());
  auto started = co_await start_execution(&call->app, *std::move(workflow), input->name, std::move(input->input), std::string());
  if (!started) co_return fail(started.error());
  co_return JsonObject{{"executionArn", started->arn()}, {"startDate", seconds(started->run.created)}};
}

Answer start_sync_execution(StatesCall* call) {
  auto input = read_start(call);
  if (!input) co_return fail(input.error());
  auto workflow = resolve(call->app, input->arn);
  if (!workflow) co_return fail(workflow.error());
  if (workflow->revision->type != "EXPRESS")
    co_return aws_error("StateMachineTypeNotSupported", "This operation is not supported by this type of state machine");
  const bool with_data = get_string(call->input, "includedData", "ALL_DATA") != "METADATA_ONLY";
  auto started = co_await start_execution(&call->app, *std::move(workflow), input->name, std::move(input->input), std::string());
  if (!started) co_return fail(started.error());
  auto ended = co_await wait_for_end(call->app, started->run.id, kSyncWait, call->disconnected);
  if (!ended) co_return fail(ended.error());
  if (!*ended) co_return fail("engine.stopping", "the server is stopping; the execution goes on: " + started->arn(), Retry::Safe);
  started->run = **std::move(ended);
  const Millis took = *started->run.ended - started->run.created;
  auto out = co_await execution_view(&call->app, *std::move(started), with_data);
  if (!out) co_return out;
  if (get_string(*out, "status") == "ABORTED") (*out)["status"] = "FAILED";
  (*out)["billingDetails"] = JsonObject{{"billedMemoryUsedInMB", 64}, {"billedDurationInMilliseconds", (took.count() + 99) / 100 * 100}};
  co_return out;
}

Answer describe_execution(StatesCall* call) {
  Input input(call->input);
  const Arn arn = input.arn("executionArn", Arn::Kind::Execution);
  const bool with_data = input.text_or("includedData", "ALL_DATA", 20) != "METADATA_ONLY";
  if (auto read = input.done(); !read) co_return fail(read.error());
  auto run = co_await run_of(&call->app, arn);
  if (!run) co_return fail(run.error());
  auto details = co_await details_of(&call->app, *std::move(run));
  if (!details) co_return fail(details.error());
  auto out = co_await execution_view(&call->app, *details, with_data);
  if (!out) co_return out;
  (*out)["redriveCount"] = 0;
  (*out)["redriveStatus"] = "NOT_REDRIVABLE";
  (*out)["redriveStatusReason"] = details->run.open() ? "Execution is RUNNING and cannot be redriven"
                                                      : "Mayfly does not redrive executions; start a new one with the same input";
  co_return out;
}

Answer describe_machine_of_execution(StatesCall* call) {
  Input input(call->input);
  const Arn arn = input.arn("executionArn", Arn::Kind::Execution);
  const bool with_data = input.text_or("includedData", "ALL_DATA", 20) != "METADATA_ONLY";
  if (auto read = input.done(); !read) co_return fail(read.error());
  const auto run = co_await run_of(&call->app, arn);
  if (!run) co_return fail(run.error());
  const auto revision = call->app.workflows->revision(arn.name, run->version);
  if (!revision) co_return fail(state_machine_missing({.name = arn.name}));
  JsonObject out = revision_view(*revision, with_data);
  out["updateDate"] = seconds(revision->created);
  co_return out;
}

Answer list_executions(StatesCall* call) {
  Input input(call->input);
  const Arn arn = input.arn("stateMachineArn", Arn::Kind::StateMachine);
  const auto status = read_status(input.text_or("statusFilter", "", 100));
  const std::string token = input.text_or("nextToken", "", 1'000);
  if (auto read = input.done(); !read) co_return fail(read.error());
  if (!status) co_return fail(status.error());
  const auto size = page_size(call->input);
  if (!size) co_return fail(size.error());
  const auto workflow = resolve(call->app, arn);
  if (!workflow) co_return fail(workflow.error());
  if (workflow->revision->type == "EXPRESS")
    co_return aws_error("StateMachineTypeNotSupported", "This operation is not supported by this type of state machine");
  engine::ListFilter filter{.program = std::string(workflow::kProgramPrefix) + arn.name, .status = *status, .limit = *size};
  if (!token.empty()) {
    filter.before = from_base64(token).value_or(std::string());
    if (!engine::keys::partition_of_run(filter.before)) co_return aws_error("InvalidToken", "Invalid Token: 'Invalid token'");
  }
  auto runs = co_await call->app.engine->list(filter);
  if (!runs) co_return fail(runs.error());
  JsonArray list;
  for (engine::Execution& run : *runs) {
    auto details = co_await details_of(&call->app, run);
    if (!details) co_return fail(details.error());
    const bool fits = arn.qualifier.empty() || details->qualifier == arn.qualifier || std::to_string(details->published) == arn.qualifier;
    if (fits) list.push_back(item_view(*details));
  }
  JsonObject out{{"executions", std::move(list)}};
  if (runs->size() == *size) out["nextToken"] = to_base64(runs->back().id);
  co_return out;
}

Answer get_history(StatesCall* call) {
  Input input(call->input);
  const Arn arn = input.arn("executionArn", Arn::Kind::Execution);
  const bool is_reverse = input.boolean("reverseOrder").value_or(false);
  const bool with_data = input.boolean("includeExecutionData").value_or(true);
  if (auto read = input.done(); !read) co_return fail(read.error());
  const auto run = co_await run_of(&call->app, arn);
  if (!run) co_return fail(run.error());
  auto events = co_await history_of(&call->app, run->id);
  if (!events) co_return fail(events.error());
  if (is_reverse) std::ranges::reverse(*events);
  const auto page = page_of(call->input, events->size());
  if (!page) co_return fail(page.error());
  JsonArray list;
  for (std::size_t i = page->begin; i < page->end; ++i) list.push_back(event_view(std::move((*events)[i]), with_data));
  JsonObject out{{"events", std::move(list)}};
  if (!page->next.empty()) out["nextToken"] = page->next;
  co_return out;
}

Answer stop_execution(StatesCall* call) {
  Input input(call->input);
  const Arn arn = input.arn("executionArn", Arn::Kind::Execution);
  const std::string error = input.text_or("error", "", 256 * 4), cause = input.text_or("cause", "", 32'768);
  if (auto read = input.done(); !read) co_return fail(read.error());
  const auto run = co_await run_of(&call->app, arn);
  if (!run) co_return fail(run.error());
  if (auto stopped = co_await stop_execution(&call->app, run->id, error, cause); !stopped) co_return fail(stopped.error());
  const auto after = co_await call->app.engine->get(run->id);
  if (!after) co_return fail(after.error());
  co_return JsonObject{{"stopDate", seconds(after->ended.value_or(call->app.clock->now()))}};
}

Answer redrive_execution(StatesCall* call) {
  Input input(call->input);
  const Arn arn = input.arn("executionArn", Arn::Kind::Execution);
  if (auto read = input.done(); !read) co_return fail(read.error());
  const auto run = co_await run_of(&call->app, arn);
  if (!run) co_return fail(run.error());
  co_return aws_error("ExecutionNotRedrivable",
                      "Execution is not redrivable: Mayfly does not redrive executions; start a new one with the same input");
}

Answer list_map_runs(StatesCall* call) {
  Input input(call->input);
  const Arn arn = input.arn("executionArn", Arn::Kind::Execution);
  if (auto read = input.done(); !read) co_return fail(read.error());
  const auto run = co_await run_of(&call->app, arn);
  if (!run) co_return fail(run.error());
  co_return JsonObject{{"mapRuns", JsonArray()}};
}

}  // namespace mayfly::states
