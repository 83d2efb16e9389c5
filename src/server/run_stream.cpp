#include "server/run_stream.h"

#include <algorithm>

#include "net/sse.h"
#include "server/json_views.h"
#include "server/problem.h"

namespace mayfly {
namespace {

constexpr Millis kHeartbeat{15'000};
constexpr std::size_t kResultsBytesMax = 32 * 1024 * 1024;

net::Headers stream_headers(const std::string& run) {
  return {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}, {"Mayfly-Run", run}};
}

/// An ended operation as it was when it started.
Json as_started(const engine::Operation& operation) {
  engine::Operation out = operation;
  out.result = nullptr;
  out.error.reset();
  out.meta = nullptr;
  out.attempts = 1;
  JsonObject record = engine::to_json(out).get_object();
  record["status"] = "STARTED";
  record.erase("ended");
  record.erase("ended_event");
  return record;
}

}  // namespace

Task<std::optional<engine::StreamItem>> next_item(AppContext* app, engine::Subscription* subscription, CancelToken disconnected,
                                                  Millis limit, bool* timed_out) {
  CancelSource source;
  const auto gone = disconnected.on_cancel([source]() mutable { source.cancel(); });
  const auto stops = app->stopping.on_cancel([source]() mutable { source.cancel(); });
  const auto timer = app->clock->call_after(limit, [source, timed_out]() mutable {
    *timed_out = true;
    source.cancel();
  });
  co_return co_await subscription->next(source.token());
}

Task<> RunStream::send_all() {
  while (!disconnected_.cancelled() && !app_.stopping.cancelled()) {
    // In this order nothing is missed: what is said and published from here on is in the subscription, what was committed before
    // is in the journal.
    const auto subscription = app_.engine->subscribe(run_);
    std::vector<engine::Delta> said = app_.engine->said_so_far(run_);
    auto description = co_await app_.engine->describe(run_);
    if (!description) {
      if (!responder_.started()) co_await responder_.send(to_problem(description.error()));
      break;
    }
    const bool has_all = !description->run.open() && cursor_.number >= description->run.events;
    if (has_all && !responder_.started()) {
      // 204 tells an EventSource to stop reconnecting.
      co_await responder_.send({204, {{"Mayfly-Run", run_}}, {}});
      co_return;
    }
    if (!responder_.started() && !co_await responder_.start(200, stream_headers(run_))) co_return;
    if (!co_await replay(std::move(*description), std::move(said)) || run_ended_) break;
    if (!co_await follow(subscription.get())) break;
  }
  if (responder_.started()) co_await responder_.finish();
}

std::vector<RunStream::Pending> RunStream::journal_of(const engine::RunDescription& description, std::int64_t after) {
  std::vector<Pending> out;
  const auto add = [&](std::int64_t number, std::string event, TimePoint time, auto&& record) {
    if (number > after) out.push_back({number, std::move(event), time, record()});
  };
  for (const engine::Operation& op : description.operations) {
    if (op.type == engine::OperationType::Execution) {
      add(op.started_event, "run.started", op.started, [&] { return engine::to_json(op); });
      continue;
    }
    if (op.started_event != op.ended_event) add(op.started_event, "operation.started", op.started, [&] { return as_started(op); });
    add(op.ended_event, "operation.ended", op.ended, [&] { return engine::to_json(op); });
  }
  for (const engine::PendingOperation& op : description.run.pending) {
    // The moment in which an outcome became unknown has a number of its own, which the journal does not hold.
    const bool changed = op.status == engine::OperationStatus::OutcomeUnknown && op.started_event <= after;
    add(changed ? description.run.events : op.started_event, "operation.started", op.started, [&] { return engine::to_json(op); });
  }
  std::ranges::sort(out, {}, &Pending::number);
  return out;
}

Task<bool> RunStream::replay(engine::RunDescription description, std::vector<engine::Delta> said) {
  for (const engine::Operation& op : description.operations) operation_ended(op.id);
  for (Pending& event : journal_of(description, cursor_.number))
    if (!co_await send_operation(std::move(event))) co_return false;
  if (!description.run.open()) {
    if (description.run.events > cursor_.number) co_return co_await send_end(std::move(description.run));
    run_ended_ = true;
    co_return true;
  }
  for (engine::Delta& delta : said) {
    // Less than the reader has: the channel began anew while it was away.
    for (StreamCursor::Text& text : cursor_.texts)
      if (text.operation == delta.operation && text.channel == delta.channel && text.offset > delta.text.size()) text.attempt = -1;
    if (!co_await send_delta(std::move(delta))) co_return false;
  }
  co_return true;
}

Task<bool> RunStream::follow(engine::Subscription* subscription) {
  for (;;) {
    bool is_time = false;
    auto item = co_await next_item(&app_, subscription, disconnected_, kHeartbeat, &is_time);
    if (disconnected_.cancelled() || app_.stopping.cancelled()) co_return false;
    if (!item && !is_time) co_return true;
    bool sent = true;
    if (!item) sent = co_await responder_.write(": still here\n\n");
    else if (auto* delta = std::get_if<engine::Delta>(&*item)) sent = co_await send_delta(std::move(*delta));
    else sent = co_await send_live(std::get<engine::RunEvent>(std::move(*item)));
    if (!sent || run_ended_) co_return false;
  }
}

Task<bool> RunStream::send_live(engine::RunEvent event) {
  using Kind = engine::RunEvent::Kind;
  if (event.number <= cursor_.number) co_return true;
  if (event.kind == Kind::RunEnded) {
    auto run = co_await app_.engine->get(run_);
    if (!run) co_return false;
    co_return co_await send_end(std::move(*run));
  }
  if (event.kind == Kind::OperationEnded && event.body.is_object()) operation_ended(get_int(event.body.get_object(), "id"));
  const char* name = event.kind == Kind::RunStarted         ? "run.started"
                     : event.kind == Kind::OperationStarted ? "operation.started"
                                                            : "operation.ended";
  co_return co_await send_operation({event.number, name, event.time, std::move(event.body)});
}

Task<bool> RunStream::send_operation(Pending event) {
  cursor_.number = event.number;
  JsonObject data{{"run", run_}, {"number", event.number}, {"time", to_rfc3339(event.time)}};
  if (event.event == "run.started") {
    auto run = co_await app_.engine->get(run_);
    if (!run) co_return false;
    data["agent"] = run->program;
    data["version"] = run->version;
    data["session"] = session_key_of(*run);
    const Json* input = get(event.record.get_object(), "input");
    auto whole = co_await app_.engine->unspill(input ? *input : Json());
    if (!whole) co_return false;
    data["input"] = std::move(*whole);
  } else {
    std::size_t budget = kResultsBytesMax;
    auto view = co_await operation_view(*app_.engine, std::move(event.record), &budget);
    if (!view) co_return false;
    for (auto& member : *view) data[member.key()] = std::move(member.value());
  }
  co_return co_await send(std::move(event.event), to_string(cursor_), std::move(data));
}

Task<bool> RunStream::send_end(engine::Execution run) {
  run_ended_ = true;
  cursor_ = {run.events, {}};
  JsonObject data{{"run", run_}, {"number", run.events}, {"time", to_rfc3339(run.ended.value_or(run.updated))}};
  auto view = co_await run_view(*app_.engine, std::move(run), Detail::Full);
  if (!view) co_return false;
  for (const std::string_view name : {"status", "result", "error", "summary"}) data[name] = (*view)[name];
  co_return co_await send("run.ended", to_string(cursor_), std::move(data));
}

Task<bool> RunStream::send_delta(engine::Delta delta) {
  if (ended_.contains(delta.operation)) co_return true;
  auto& texts = cursor_.texts;
  const auto of_operation = [&](const StreamCursor::Text& text) { return text.operation == delta.operation; };
  if (std::ranges::any_of(texts, [&](const auto& text) { return of_operation(text) && text.attempt > delta.attempt; })) co_return true;
  const auto is_older = [&](const auto& text) { return of_operation(text) && text.attempt != 0 && text.attempt < delta.attempt; };
  bool restart = std::erase_if(texts, is_older) > 0;

  auto known = std::ranges::find_if(texts, [&](const auto& text) { return of_operation(text) && text.channel == delta.channel; });
  if (known == texts.end()) known = texts.insert(texts.end(), {delta.operation, delta.channel, delta.attempt, 0});
  known->attempt = delta.attempt;
  const std::size_t end = delta.offset + delta.text.size();
  if (delta.text.empty()) {
    if (known->offset == 0 && !restart) co_return true;
    restart = true;
  } else if (end <= known->offset) {
    co_return true;
  } else if (delta.offset < known->offset) {
    delta.text.erase(0, known->offset - delta.offset);
    delta.offset = known->offset;
  }
  known->offset = end;
  // The text that just grew comes first in the cursor.
  std::rotate(texts.begin(), known, known + 1);
  JsonObject data{{"run", run_},         {"operation", delta.operation}, {"attempt", delta.attempt}, {"channel", delta.channel},
                  {"offset", delta.offset}, {"text", to_utf8_lossy(delta.text)}};
  if (restart) data["restart"] = true;
  co_return co_await send("delta", to_string(cursor_), std::move(data));
}

Task<bool> RunStream::send(std::string event, std::string id, JsonObject data) {
  co_return co_await responder_.write(net::to_sse({std::move(event), to_text(data), std::move(id)}));
}

void RunStream::operation_ended(std::int64_t operation) {
  ended_.insert(operation);
  std::erase_if(cursor_.texts, [&](const auto& text) { return text.operation == operation; });
}

}  // namespace mayfly
