#include "server/api_queues.h"

#include <algorithm>

#include "base/hash.h"
#include "server/api.h"
#include "server/body_reader.h"
#include "server/problem.h"

namespace mayfly {
namespace {

constexpr std::size_t kSendMax = 100, kReceiveMax = 100, kDeleteMax = 1'000, kPeekMax = 1'000, kPeekDefault = 20;
constexpr Millis kWaitMax{20'000}, kVisibilityMax{12LL * 3'600'000};

std::unexpected<Error> invalid(std::string message) { return fail("request.invalid", std::move(message)); }

/// The service and the queue that the path names.
Result<queue::QueueInfo> queue_of(const AppContext& app, const Call& call) {
  if (!app.queues) return fail("queue.stopping", "queues are not available yet; try again", Retry::Safe);
  return app.queues->info(call.parameter("queue"));
}

JsonObject counters_view(const queue::QueueCounters& counts) {
  return {{"sent", counts.sent}, {"received", counts.received}, {"deleted", counts.deleted}, {"deduplicated", counts.deduplicated},
          {"dead", counts.dead}, {"expired", counts.expired},   {"refused", counts.refused}, {"redriven", counts.redriven}};
}

JsonObject queue_view(const AppContext& app, const queue::QueueInfo& info) {
  const auto depth = app.queues->depth(info.spec.name).value_or(queue::QueueDepth{});
  JsonObject depth_view{{"visible", depth.visible}, {"in_flight", depth.in_flight}, {"delayed", depth.delayed}, {"groups", depth.groups}};
  if (depth.oldest) {
    depth_view["oldest"] = to_rfc3339(*depth.oldest);
    depth_view["oldest_age_seconds"] = std::max<std::int64_t>(0, (app.clock->now() - *depth.oldest).count() / 1'000);
  }
  return {{"name", info.spec.name},
          {"created", to_rfc3339(info.created)},
          {"modified", to_rfc3339(info.modified)},
          {"paused", info.spec.paused},
          {"depth", std::move(depth_view)},
          {"counters", counters_view(app.queues->counters(info.spec.name))},
          {"spec", queue::to_json(info.spec)}};
}

bool is_binary(std::string_view type) { return type.substr(0, type.find('.')) == "Binary"; }

JsonObject message_view(const queue::Received& message) {
  JsonObject out{{"id", message.id}, {"body", message.body}, {"sent", to_rfc3339(message.sent)}, {"receive_count", message.receive_count}};
  const auto add = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) out[name] = value;
  };
  add("receipt_handle", message.receipt_handle);
  add("group", message.group);
  add("deduplication_id", message.deduplication_id);
  add("sequence_number", message.sequence_number);
  add("trace_header", message.trace_header);
  add("dead_letter_source", message.dead_letter_source);
  add("dead_letter_reason", message.dead_letter_reason);
  if (message.priority != 0) out["priority"] = message.priority;
  JsonObject attributes;
  for (const auto& [name, attribute] : message.attributes)
    attributes[name] =
        JsonObject{{"type", attribute.data_type}, {"value", is_binary(attribute.data_type) ? to_base64(attribute.value) : attribute.value}};
  if (!attributes.empty()) out["attributes"] = std::move(attributes);
  return out;
}

JsonArray messages_view(const std::vector<queue::Received>& messages) {
  JsonArray out;
  for (const auto& message : messages) out.push_back(message_view(message));
  return out;
}

std::string_view status_text(queue::RedriveTask::Status status) {
  switch (status) {
    case queue::RedriveTask::Status::Running: return "RUNNING";
    case queue::RedriveTask::Status::Completed: return "COMPLETED";
    case queue::RedriveTask::Status::Cancelling: return "CANCELLING";
    case queue::RedriveTask::Status::Cancelled: return "CANCELLED";
    case queue::RedriveTask::Status::Failed: return "FAILED";
  }
  return "FAILED";
}

JsonObject redrive_view(const queue::RedriveTask& task) {
  JsonObject out{{"handle", task.handle}, {"source", task.source},   {"status", status_text(task.status)},
                 {"moved", task.moved},   {"to_move", task.to_move}, {"started", to_rfc3339(task.started)}};
  if (!task.destination.empty()) out["destination"] = task.destination;
  if (task.per_second_max > 0) out["per_second_max"] = task.per_second_max;
  if (!task.failure.empty()) out["failure"] = task.failure;
  return out;
}

Result<std::optional<Millis>> read_span(const JsonObject& body, std::string_view name, Millis most) {
  const auto text = read_text(body, name, 64);
  if (!text) return fail(text.error());
  if (!*text) return std::nullopt;
  const auto span = parse_duration(**text);
  if (!span || *span > most) return invalid("\"" + std::string(name) + "\" must be a duration like \"30s\", at most " + to_human(most));
  return *span;
}

Result<queue::MessageAttributes> read_attributes(const JsonObject& message) {
  queue::MessageAttributes out;
  const Json* all = get(message, "attributes");
  if (!all || all->is_null()) return out;
  const auto bad = [] {
    return invalid(
        "\"attributes\" must be an object of texts, or of {\"type\": \"Number\", \"value\": \"7\"}; the value of a Binary one is base64");
  };
  if (!all->is_object()) return bad();
  for (const auto& member : all->get_object()) {
    queue::MessageAttribute attribute{"String", {}};
    if (const auto* text = member.value().if_string()) {
      attribute.value = std::string_view(*text);
    } else if (const auto* fields = member.value().if_object()) {
      attribute.data_type = get_string(*fields, "type", "String");
      const Json* value = get(*fields, "value");
      if (!value || !value->is_string()) return bad();
      attribute.value = std::string_view(value->get_string());
      if (is_binary(attribute.data_type)) {
        auto bytes = from_base64(attribute.value);
        if (!bytes) return bad();
        attribute.value = std::move(*bytes);
      }
    } else {
      return bad();
    }
    out.emplace(member.key(), std::move(attribute));
  }
  return out;
}

Result<queue::SendRequest> read_message(const JsonObject& message) {
  static constexpr std::string_view kKnown[] = {"body",     "attributes",      "delay",       "group", "deduplication_id",
                                                "priority", "idempotency_key", "trace_header"};
  for (const auto& member : message)
    if (std::ranges::find(kKnown, std::string_view(member.key())) == std::end(kKnown))
      return invalid("a message has no member " + to_text(Json(member.key())).substr(0, 80) +
                     "; known are body, attributes, delay, group, deduplication_id, priority, idempotency_key and trace_header");
  queue::SendRequest out;
  const Json* body = get(message, "body");
  if (!body || body->is_null()) return invalid("a message needs a \"body\": a text, or any JSON value");
  out.body = body->is_string() ? std::string(std::string_view(body->get_string())) : to_text(*body);
  auto attributes = read_attributes(message);
  if (!attributes) return fail(attributes.error());
  out.attributes = std::move(*attributes);
  const auto delay = read_span(message, "delay", Millis{15 * 60'000});
  if (!delay) return fail(delay.error());
  out.delay = *delay;
  const auto priority = read_int(message, "priority", -100, 100);
  if (!priority) return fail(priority.error());
  out.priority = static_cast<int>(priority->value_or(0));
  const std::pair<std::string_view, std::string*> texts[] = {{"group", &out.group},
                                                             {"deduplication_id", &out.deduplication_id},
                                                             {"idempotency_key", &out.idempotency_key},
                                                             {"trace_header", &out.trace_header}};
  for (const auto& [name, into] : texts) {
    auto text = read_text(message, name, 1024);
    if (!text) return fail(text.error());
    if (*text) *into = std::move(**text);
  }
  return out;
}

JsonObject sent_view(const queue::Sent& sent) {
  JsonObject out{{"id", sent.id}, {"duplicate", sent.duplicate}};
  if (!sent.sequence_number.empty()) out["sequence_number"] = sent.sequence_number;
  return out;
}

JsonObject failure_view(const Error& error) { return {{"code", error.code}, {"message", error.message}}; }

Task<Result<net::Response>> list_queues(AppContext& app, Call& call) {
  if (!app.queues) co_return fail("queue.stopping", "queues are not available yet; try again", Retry::Safe);
  JsonArray out;
  for (const auto& info : app.queues->list(call.request.query_parameter("prefix").value_or(""))) out.push_back(queue_view(app, info));
  co_return json_response(200, JsonObject{{"queues", std::move(out)}});
}

Task<Result<net::Response>> get_queue(AppContext& app, Call& call) {
  const auto info = queue_of(app, call);
  if (!info) co_return fail(info.error());
  co_return json_response(200, queue_view(app, *info));
}

Task<Result<net::Response>> put_queue(AppContext& app, Call& call) {
  const auto before = queue_of(app, call);
  if (!before && before.error().code != "queue.not_found") co_return fail(before.error());
  auto body = call.request.body.empty() ? Result<Json>(JsonObject()) : parse_json(call.request.body);
  if (!body) co_return fail(body.error());
  auto spec = queue::queue_spec_from_json(call.parameter("queue"), *body);
  if (!spec) co_return fail(spec.error());
  const auto info = co_await app.queues->put(std::move(*spec));
  if (!info) co_return fail(info.error());
  co_return json_response(before ? 200 : 201, queue_view(app, *info));
}

Task<Result<net::Response>> remove_queue(AppContext& app, Call& call) {
  const auto info = queue_of(app, call);
  if (!info) co_return fail(info.error());
  const auto done = co_await app.queues->remove(info->spec.name);
  if (!done) co_return fail(done.error());
  co_return net::Response{204, {}, {}};
}

/// One message, whose failure is the answer's, or {"messages": […]}, each with its own.
Task<Result<net::Response>> send_messages(AppContext& app, Call& call) {
  const auto info = queue_of(app, call);
  if (!info) co_return fail(info.error());
  auto body = parse_json(call.request.body);
  if (!body) co_return fail(body.error());
  if (!body->is_object()) co_return invalid("the body must be a message {\"body\": …} or {\"messages\": […]}");
  const JsonObject& object = body->get_object();
  const JsonArray* batch = get_array(object, "messages");
  if (batch && (object.size() > 1 || batch->empty() || batch->size() > kSendMax))
    co_return invalid("\"messages\" must hold 1 to " + std::to_string(kSendMax) + " messages and stand alone");
  std::vector<queue::SendRequest> requests;
  for (std::size_t i = 0; i < (batch ? batch->size() : 1); ++i) {
    if (batch && !batch->at(i).is_object()) co_return invalid("/messages/" + std::to_string(i) + " must be an object");
    auto message = read_message(batch ? batch->at(i).get_object() : object);
    if (!message) co_return batch ? invalid("/messages/" + std::to_string(i) + ": " + message.error().message) : fail(message.error());
    requests.push_back(std::move(*message));
  }
  const auto key = call.request.headers.find("idempotency-key");
  if (!batch && key && requests[0].idempotency_key.empty()) requests[0].idempotency_key = std::string(*key);
  const auto sent = co_await app.queues->send(info->spec.name, std::move(requests));
  if (!batch) {
    if (!sent.at(0)) co_return fail(sent[0].error());
    co_return json_response(201, sent_view(*sent[0]));
  }
  JsonArray out;
  for (const auto& one : sent) out.push_back(one ? sent_view(*one) : JsonObject{{"error", failure_view(one.error())}});
  co_return json_response(201, JsonObject{{"messages", std::move(out)}});
}

Task<Result<net::Response>> receive_messages(AppContext& app, Call& call) {
  const auto info = queue_of(app, call);
  if (!info) co_return fail(info.error());
  const auto body = read_object(call.request, {"max", "visibility", "wait"});
  if (!body) co_return fail(body.error());
  const auto most = read_int(*body, "max", 1, kReceiveMax);
  if (!most) co_return fail(most.error());
  const auto visibility = read_span(*body, "visibility", kVisibilityMax);
  if (!visibility) co_return fail(visibility.error());
  const auto wait = read_span(*body, "wait", kWaitMax);
  if (!wait) co_return fail(wait.error());
  queue::ReceiveRequest request{.queue = info->spec.name,
                                .messages_max = static_cast<std::size_t>(most->value_or(1)),
                                .visibility = *visibility,
                                .wait = *wait,
                                .cancel = call.request.disconnected};
  const auto received = co_await app.queues->receive(std::move(request));
  if (!received) co_return fail(received.error());
  co_return json_response(200, JsonObject{{"messages", messages_view(*received)}});
}

Task<Result<net::Response>> delete_messages(AppContext& app, Call& call) {
  const auto info = queue_of(app, call);
  if (!info) co_return fail(info.error());
  const auto body = read_object(call.request, {"receipt_handles"});
  if (!body) co_return fail(body.error());
  const JsonArray* list = get_array(*body, "receipt_handles");
  if (!list || list->empty() || list->size() > kDeleteMax || !std::ranges::all_of(*list, [](const Json& item) { return item.is_string(); }))
    co_return invalid("\"receipt_handles\" must be a list of 1 to " + std::to_string(kDeleteMax) + " texts");
  std::vector<std::string> handles;
  for (const Json& item : *list) handles.emplace_back(std::string_view(item.get_string()));
  const auto results = co_await app.queues->remove_messages(info->spec.name, handles);
  std::size_t deleted = 0;
  JsonArray failed;
  for (std::size_t i = 0; i < handles.size(); ++i) {
    if (results.at(i)) {
      ++deleted;
      continue;
    }
    JsonObject failure = failure_view(results[i].error());
    failure["receipt_handle"] = handles[i];
    failed.push_back(std::move(failure));
  }
  co_return json_response(200, JsonObject{{"deleted", deleted}, {"failed", std::move(failed)}});
}

Task<Result<net::Response>> peek_messages(AppContext& app, Call& call) {
  const auto info = queue_of(app, call);
  if (!info) co_return fail(info.error());
  const auto limit = read_limit(call.request, kPeekDefault, kPeekMax);
  if (!limit) co_return fail(limit.error());
  const auto messages = co_await app.queues->peek(info->spec.name, *limit);
  if (!messages) co_return fail(messages.error());
  co_return json_response(200, JsonObject{{"messages", messages_view(*messages)}});
}

Task<Result<net::Response>> purge_queue(AppContext& app, Call& call) {
  const auto info = queue_of(app, call);
  if (!info) co_return fail(info.error());
  const auto done = co_await app.queues->purge(info->spec.name);
  if (!done) co_return fail(done.error());
  co_return json_response(200, queue_view(app, *info));
}

Task<Result<net::Response>> set_paused(AppContext* app, Call* call, bool paused) {
  auto info = queue_of(*app, *call);
  if (!info) co_return fail(info.error());
  info->spec.paused = paused;
  const auto done = co_await app->queues->put(std::move(info->spec));
  if (!done) co_return fail(done.error());
  co_return json_response(200, queue_view(*app, *done));
}
Task<Result<net::Response>> pause_queue(AppContext& app, Call& call) { return set_paused(&app, &call, true); }
Task<Result<net::Response>> resume_queue(AppContext& app, Call& call) { return set_paused(&app, &call, false); }

Task<Result<net::Response>> start_redrive(AppContext& app, Call& call) {
  const auto info = queue_of(app, call);
  if (!info) co_return fail(info.error());
  const auto body = read_object(call.request, {"destination", "per_second_max"});
  if (!body) co_return fail(body.error());
  const auto destination = read_text(*body, "destination", 100);
  if (!destination) co_return fail(destination.error());
  const auto per_second = read_int(*body, "per_second_max", 1, 100'000);
  if (!per_second) co_return fail(per_second.error());
  const auto task = co_await app.queues->start_redrive(info->spec.name, destination->value_or(""), per_second->value_or(0));
  if (!task) co_return fail(task.error());
  co_return json_response(200, redrive_view(*task));
}

Task<Result<net::Response>> list_redrives(AppContext& app, Call& call) {
  const auto info = queue_of(app, call);
  if (!info) co_return fail(info.error());
  JsonArray out;
  for (const auto& task : app.queues->redrives(info->spec.name)) out.push_back(redrive_view(task));
  co_return json_response(200, JsonObject{{"redrives", std::move(out)}});
}

Task<Result<net::Response>> cancel_redrive(AppContext& app, Call& call) {
  const auto info = queue_of(app, call);
  if (!info) co_return fail(info.error());
  const auto body = read_object(call.request, {"handle"});
  if (!body) co_return fail(body.error());
  const auto handle = read_text(*body, "handle", 1024);
  if (!handle) co_return fail(handle.error());
  if (!*handle) co_return invalid("\"handle\" is missing: the handle of the redrive to cancel");
  const auto task = co_await app.queues->cancel_redrive(**handle);
  if (!task) co_return fail(task.error());
  co_return json_response(200, redrive_view(*task));
}

}  // namespace

void add_queue_routes(Router& router) {
  router.add("GET", "/v1/queues", {{Scope::Read}}, list_queues);
  router.add("GET", "/v1/queues/{queue}", {{Scope::Read}}, get_queue);
  router.add("PUT", "/v1/queues/{queue}", {{Scope::Deploy}}, put_queue);
  router.add("DELETE", "/v1/queues/{queue}", {{Scope::Deploy}}, remove_queue);
  router.add("POST", "/v1/queues/{queue}/messages", {{Scope::Invoke}}, send_messages);
  router.add("GET", "/v1/queues/{queue}/messages", {{Scope::Read}}, peek_messages);
  router.add("POST", "/v1/queues/{queue}/messages/delete", {{Scope::Invoke}}, delete_messages);
  router.add("POST", "/v1/queues/{queue}/receive", {{Scope::Invoke}}, receive_messages);
  router.add("POST", "/v1/queues/{queue}/purge", {{Scope::Deploy}}, purge_queue);
  router.add("POST", "/v1/queues/{queue}/pause", {{Scope::Deploy}}, pause_queue);
  router.add("POST", "/v1/queues/{queue}/resume", {{Scope::Deploy}}, resume_queue);
  router.add("POST", "/v1/queues/{queue}/redrive", {{Scope::Deploy}}, start_redrive);
  router.add("GET", "/v1/queues/{queue}/redrives", {{Scope::Read}}, list_redrives);
  router.add("POST", "/v1/queues/{queue}/redrive/cancel", {{Scope::Deploy}}, cancel_redrive);
}

std::string queue_metrics(const queue::QueueService& queues, TimePoint now) {
  const auto all = queues.list("");
  std::string out;
  const auto family = [&](const std::string& name, std::string_view type, std::string_view help, const auto& value) {
    if (all.empty()) return;
    out += "# HELP " + name + " " + std::string(help) + "\n# TYPE " + name + " " + std::string(type) + "\n";
    for (const auto& info : all) out += name + "{queue=\"" + info.spec.name + "\"} " + std::to_string(value(info.spec.name)) + "\n";
  };
  const auto depth = [&](const std::string& queue) { return queues.depth(queue).value_or(queue::QueueDepth{}); };
  const auto gauge = [&](const std::string& name, std::string_view help, const auto& value) { family(name, "gauge", help, value); };
  gauge("mayfly_queue_visible", "Messages that can be received.", [&](const auto& queue) { return depth(queue).visible; });
  gauge("mayfly_queue_in_flight", "Messages received and not settled.", [&](const auto& queue) { return depth(queue).in_flight; });
  gauge("mayfly_queue_delayed", "Messages that become visible later.", [&](const auto& queue) { return depth(queue).delayed; });
  gauge("mayfly_queue_oldest_age_seconds", "Age of the oldest message; 0 without one.", [&](const auto& queue) {
    const auto oldest = depth(queue).oldest;
    return oldest ? std::max<std::int64_t>(0, (now - *oldest).count() / 1'000) : std::int64_t{0};
  });
  const auto counter = [&](const std::string& name, std::string_view help, std::uint64_t queue::QueueCounters::* member) {
    family(name, "counter", help, [&](const auto& queue) { return queues.counters(queue).*member; });
  };
  counter("mayfly_queue_sent_total", "Messages accepted.", &queue::QueueCounters::sent);
  counter("mayfly_queue_received_total", "Messages given out.", &queue::QueueCounters::received);
  counter("mayfly_queue_deleted_total", "Messages done.", &queue::QueueCounters::deleted);
  counter("mayfly_queue_deduplicated_total", "Messages absorbed as duplicates.", &queue::QueueCounters::deduplicated);
  counter("mayfly_queue_dead_total", "Messages given to a dead-letter queue, or deleted for want of one.", &queue::QueueCounters::dead);
  counter("mayfly_queue_expired_total", "Messages whose retention ended.", &queue::QueueCounters::expired);
  counter("mayfly_queue_refused_total", "Messages refused.", &queue::QueueCounters::refused);
  counter("mayfly_queue_redriven_total", "Messages moved out of this dead-letter queue.", &queue::QueueCounters::redriven);
  return out;
}

}  // namespace mayfly
