#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "engine/core/machine.h"
#include "function/durable/durable_program.h"
#include "function/durable/history.h"
#include "function/durable/tokens.h"

namespace mayfly::function {

/// A durable execution on the bare state machine of the engine: no coroutine, no store, time by hand.
class DurableRun {
 public:
  explicit DurableRun(std::int64_t timeout = 0, std::optional<engine::ParentLink> parent = {}) {
    engine::Start start;
    start.run = "run_1";
    start.program = "function:f";
    start.input = JsonObject{{"kind", "durable"}, {"name", "order-7"}, {"version", "3"}, {"payload", "{}"}, {"timeout", timeout}};
    if (timeout > 0) start.deadline = now + Millis{timeout * 1000};
    start.parent = std::move(parent);
    apply(start);
    actor.ended_keys.emplace();
    token = fresh_token();
  }

  engine::Answer apply(const engine::Event& event) {
    engine::Machine machine(actor, now);
    engine::Answer answer = machine.apply(event, program);
    engine::Transition out = machine.finish();
    dispatched = out.dispatch;
    for (const std::string& key : out.batch.deletes) store.erase(key);
    for (const Put& put : out.batch.puts) store[put.key] = put.value;
    return answer;
  }

  engine::Execution& run() { return *actor.run; }
  DurableState state() { return durable_state_from_json(run().state); }
  CheckpointToken fresh_token() {
    const DurableState now_state = state();
    const engine::PendingOperation* op = run().find_pending(now_state.invocation);
    return {now_state.invocation, op ? op->attempt : 0, now_state.sequence, now_state.change};
  }

  /// As CheckpointDurableExecution with the newest token, which it replaces. `updates`: a JSON list.
  engine::Answer checkpoint(const std::string& updates, const std::string& client_token = "") {
    engine::Answer answer = send(token, updates, client_token);
    if (!answer.error) {
      token.sequence = get_int(answer.body.get_object(), "sequence");
      token.change = get_int(answer.body.get_object(), "change");
    }
    return answer;
  }
  engine::Answer send(const CheckpointToken& with, const std::string& updates, const std::string& client_token = "") {
    return apply(engine::Command{"run_1", JsonObject{{"do", "checkpoint"},
                                                     {"token", to_json(with)},
                                                     {"client_token", client_token},
                                                     {"fingerprint", updates},
                                                     {"updates", *parse_json(updates)}}});
  }
  /// "" or the message of the refusal.
  std::string refusal(const std::string& updates) {
    const engine::Answer answer = checkpoint(updates);
    return answer.error ? answer.error->code + ": " + answer.error->message : "";
  }

  /// The handler's invocation ends.
  void returns(const std::string& outcome) {
    Json result = *parse_json(outcome);
    if (!result.get_object().contains("seen")) result.get_object()["seen"] = first_change;
    const std::int64_t id = state().invocation;
    apply(engine::StepFinished{"run_1", id, run().find_pending(id)->attempt, {.result = std::move(result)}, 0});
    if (run().open() && state().invocation != 0) begins();
  }
  void begins() {
    token = fresh_token();
    first_change = token.change;
  }
  void suspends() { returns(R"({"Status":"PENDING"})"); }
  bool running() { return run().open() && state().invocation != 0; }

  /// Time passes; what is due happens, in order.
  void pass(std::int64_t seconds) {
    const TimePoint until = now + Millis{seconds * 1000};
    while (run().open()) {
      std::optional<TimePoint> due = run().deadline;
      std::string what = "deadline";
      for (const engine::PendingOperation& op : run().pending)
        if (op.due && (!due || *op.due < *due)) due = op.due, what = to_hex16(static_cast<std::uint64_t>(op.id)).substr(8);
      if (!due || *due > until) break;
      now = std::max(now, *due);
      const bool was_running = running();
      apply(engine::TimerFired{"run_1", what, *due});
      if (!was_running && running()) begins();
    }
    now = until;
  }

  const engine::PendingOperation* pending(const std::string& id) {
    for (const engine::PendingOperation& op : run().pending)
      if (id_of_key(op.key) == id) return &op;
    return nullptr;
  }
  std::vector<OperationView> views() {
    std::vector<OperationView> out;
    for (const auto& [key, value] : store)
      if (key.starts_with(engine::keys::operation_prefix(0, "run_1"))) {
        const engine::Operation op = *engine::operation_from_json(*engine::parse_record(value));
        if (op.id > 0) out.push_back(view_of(op));
      }
    for (const engine::PendingOperation& op : run().pending) out.push_back(view_of(op));
    return out;
  }
  OperationView view(const std::string& id) {
    for (OperationView& op : views())
      if (op.id == id) return op;
    return {};
  }
  std::vector<std::string> told(const engine::Answer& answer) {
    std::vector<std::string> out;
    for (const Json& number : *get_array(answer.body.get_object(), "operations"))
      for (const OperationView& op : views())
        if (op.number == number.get_int64()) out.push_back(op.id + " " + op.note.status);
    return out;
  }
  /// "2 StepStarted a"; fails the test when the numbers have gaps.
  std::vector<std::string> history() {
    const std::vector<OperationView> operations = views();
    std::vector<std::string> out;
    for (const HistoryItem& item : history_items(run(), state(), operations)) {
      EXPECT_EQ(item.event.id, static_cast<std::int64_t>(out.size()) + 1) << item.event.type;
      const std::string id = item.operation ? item.operation->id : "";
      out.push_back(std::to_string(item.event.id) + " " + item.event.type + (id.empty() ? "" : " " + id));
    }
    return out;
  }
  Json event(std::size_t id) {
    const std::vector<OperationView> operations = views();
    for (const HistoryItem& item : history_items(run(), state(), operations))
      if (item.event.id == static_cast<std::int64_t>(id)) return event_json(item, run(), state(), payload_of(item, run(), "{}"), true);
    return nullptr;
  }

  DurableProgram program;
  engine::ActorState actor{};
  TimePoint now = from_unix_ms(1'000'000);
  std::map<std::string, std::string> store;
  std::vector<std::int64_t> dispatched;
  CheckpointToken token;
  std::int64_t first_change = 0;
};

using Strings = std::vector<std::string>;

}  // namespace mayfly::function
