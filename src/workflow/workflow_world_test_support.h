#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "engine/core/machine.h"
#include "workflow/workflow.h"

/// A state machine on the engine's core, without an engine: every event is one commit, after which everything is read back from its
/// records.
namespace mayfly::workflow {

struct Reply {
  Json result;
  std::string error, cause;  ///< of a function
  bool never = false;
};

class World {
 public:
  explicit World(const std::string& definition) : definition_(parse(definition)) {
    auto machine = compile(definition_, expressions_);
    EXPECT_TRUE(machine) << machine.error().message;
    if (machine) program_ = make_workflow_program(*machine, "workflow:test", 1, expressions_);
  }
  static Json parse(const std::string& text) {
    auto out = parse_json(text);
    EXPECT_TRUE(out) << text << "\n" << (out ? "" : out.error().message);
    return out ? *out : Json(nullptr);
  }

  /// Runs until the execution has ended or only waits for somebody outside.
  void run(const std::string& input = "{}") {
    if (!program_) return;
    begin(input);
    while (step()) {
    }
  }
  void begin(const std::string& input = "{}") {
    engine::Start start;
    start.run = run_id_;
    start.program = "workflow:test";
    start.version = 1;
    start.input = execution_input({"test", 1, "one"}, parse(input));
    apply(start);
  }
  bool step() {
    if (!program_ || !run_().open() || ++steps_ > 20'000) return false;
    const auto& pending = run_().pending;
    const std::size_t first_asked = order ? order->below(pending.size()) : 0;
    for (std::size_t i = 0; i < pending.size(); ++i) {
      const engine::PendingOperation& op = pending[(first_asked + i) % pending.size()];
      if (op.type != engine::OperationType::ChainedInvoke) continue;
      const JsonObject input = op.input.as_object();
      const std::string target = to_text(input.at("target"));
      Reply reply = answer ? answer(target, input.at("input")) : Reply{};
      if (reply.never) continue;
      performed.push_back(std::to_string(op.id) + " " + target + " " + to_text(input.at("input")));
      engine::Resolved resolved;
      resolved.run = run_id_;
      resolved.operation = op.id;
      const bool is_function = op.kind == "function";
      if (!reply.error.empty()) {
        resolved.action = engine::Resolved::Action::Fail;
        resolved.error = Error{is_function ? "function.failed" : reply.error, reply.cause, Retry::Never};
        if (is_function) resolved.result = JsonObject{{"Error", JsonObject{{"ErrorType", reply.error}, {"ErrorMessage", reply.cause}}}};
      } else {
        resolved.result = is_function ? Json(JsonObject{{"Result", to_text(reply.result)}}) : reply.result;
      }
      apply(resolved);
      return true;
    }
    const engine::PendingOperation* first = nullptr;
    for (const engine::PendingOperation& op : run_().pending)
      if (op.due && (!first || *op.due < *first->due)) first = &op;
    if (!first) return false;
    now = std::max(now, *first->due);
    apply(engine::TimerFired{run_id_, to_hex16(static_cast<std::uint64_t>(first->id)).substr(8), *first->due});
    return true;
  }
  engine::Answer apply(const engine::Event& event) {
    // A crash before the commit: the same event meets the same records again, and must come to the same.
    engine::ActorState twin = state_;
    engine::Machine lost(twin, now);
    lost.apply(event, *program_);
    lost.finish();
    engine::Machine machine(state_, now);
    auto answer_given = machine.apply(event, *program_);
    const engine::Transition transition = machine.finish();
    for (const Put& put : transition.batch.puts) {
      auto value = parse_json(put.value);
      if (!value || !value->is_object()) continue;
      if (put.key.find("/o/") != std::string::npos) {
        auto op = engine::operation_from_json(*value);
        EXPECT_TRUE(op);
        if (op) operations.push_back(*op);
      }
      if (get_string(value->get_object(), "kind") == "message") sent.push_back(value->get_object().at("message"));
    }
    EXPECT_EQ(to_text(engine::to_json(*twin.run)), to_text(engine::to_json(*state_.run)));
    // The next event finds what a restart would.
    auto text = parse_json(to_text(engine::to_json(*state_.run)), {.depth_max = 500});
    EXPECT_TRUE(text);
    auto again = text ? engine::execution_from_json(*text) : fail("x", "x");
    EXPECT_TRUE(again);
    if (again) state_.run = *again;
    return answer_given;
  }
  const engine::Execution& run_() const {
    static const engine::Execution kNone;
    return state_.run ? *state_.run : kNone;
  }
  std::string output() const { return run_().error ? run_().error->code + ": " + run_().error->message : to_canonical_text(run_().result); }
  std::vector<std::string> history() const {
    std::vector<std::string> out;
    std::int64_t last = 0;
    for (const JsonObject& event : history_of(run_(), operations)) {
      EXPECT_EQ(get_int(event, "id"), ++last);
      EXPECT_LT(get_int(event, "previousEventId"), last);
      out.push_back(get_string(event, "type"));
    }
    return out;
  }
  std::int64_t pending(const std::string& kind) const {
    for (const engine::PendingOperation& op : run_().pending)
      if (op.kind == kind) return op.id;
    return 0;
  }
  const std::string& run_id() const { return run_id_; }

  std::function<Reply(const std::string& target, const Json& input)> answer;
  Random* order = nullptr;  ///< whose turn it is; null: the oldest task's
  std::vector<std::string> performed;
  std::vector<engine::Operation> operations;
  std::vector<Json> sent;
  TimePoint now = from_unix_ms(1'764'000'000'000);

 private:
  Expressions expressions_;
  Json definition_;
  std::shared_ptr<const engine::Program> program_;
  engine::ActorState state_;
  SeededRandom random_{7};
  std::string run_id_ = engine::keys::make_run_id(now, random_, 0);
  int steps_ = 0;
};

}  // namespace mayfly::workflow
