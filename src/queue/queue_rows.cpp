#include "queue/queue_rows.h"

#include <fmt/format.h>

#include <charconv>

#include "base/hash.h"
#include "base/id.h"
#include "queue/queue_keys.h"

namespace mayfly::queue {
namespace {

constexpr std::string_view kHeadStart = "{\"h\":\"";

std::unexpected<Error> damaged(std::string_view what) {
  return fail("store.damaged", fmt::format("the row of a {} cannot be read: restore the data directory from a backup", what));
}

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c <= ' ' || c == '%' || c == '"' || c == '\\' || c == '\x7f')
      out += '%' + to_hex(std::string_view(&c, 1));
    else
      out += c;
  }
  return out;
}

std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = text[i] == '%' ? keys::parse_hex(text.substr(i + 1, 2)) : std::nullopt;
    out += byte ? static_cast<char>(*byte) : text[i];
    if (byte) i += 2;
  }
  return out;
}

/// The next word of `text`, which is cut off.
std::string_view next_word(std::string_view& text) {
  const std::size_t space = text.find(' ');
  const std::string_view word = text.substr(0, space);
  text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
  return word;
}

bool read_number(std::string_view& text, std::int64_t* out) {
  const std::string_view word = next_word(text);
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), *out);
  return error == std::errc() && end == word.data() + word.size();
}

Result<JsonObject> object_of(std::string_view row, std::string_view what) {
  auto value = parse_json(row);
  if (!value || !value->is_object()) return damaged(what);
  return std::move(value->as_object());
}

JsonObject attributes_json(const MessageAttributes& attributes) {
  JsonObject out;
  for (const auto& [name, attribute] : attributes) {
    const bool binary = attribute.data_type.starts_with("Binary");
    out[name] = JsonObject{{"type", attribute.data_type}, {binary ? "base64" : "value", binary ? to_base64(attribute.value) : attribute.value}};
  }
  return out;
}

void read_content(const JsonObject& from, MessageContent* out) {
  out->body = get_string(from, "body");
  out->trace_header = get_string(from, "trace");
  out->deduplication_id = get_string(from, "dedup");
  const JsonObject* attributes = get_object(from, "attributes");
  if (!attributes) return;
  for (const auto& member : *attributes) {
    const JsonObject* attribute = member.value().if_object();
    if (!attribute) continue;
    MessageAttribute& to = out->attributes[std::string(member.key())];
    to.data_type = get_string(*attribute, "type");
    to.value = attribute->contains("base64") ? from_base64(get_string(*attribute, "base64")).value_or("") : get_string(*attribute, "value");
  }
}

std::uint64_t get_number(const JsonObject& object, std::string_view key) { return static_cast<std::uint64_t>(get_int(object, key)); }
TimePoint get_time(const JsonObject& object, std::string_view key) { return from_unix_ms(get_int(object, key)); }

}  // namespace

std::string message_row(const MessageHead& head, std::string_view tail) {
  return fmt::format("{}{} {} {} {}\",{}", kHeadStart, to_unix_ms(head.sent), head.delay.count(), head.priority, escape(head.group), tail);
}

std::optional<MessageHead> head_of(std::string_view row) {
  if (!row.starts_with(kHeadStart)) return std::nullopt;
  row.remove_prefix(kHeadStart.size());
  const std::size_t end = row.find('"');
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view text = row.substr(0, end);
  std::int64_t sent = 0, delay = 0, priority = 0;
  if (!read_number(text, &sent) || !read_number(text, &delay) || !read_number(text, &priority)) return std::nullopt;
  return MessageHead{from_unix_ms(sent), Millis{delay}, static_cast<int>(priority), unescape(text)};
}

std::string content_text(const SendRequest& request) {
  JsonObject out{{"body", request.body}};
  if (!request.attributes.empty()) out["attributes"] = attributes_json(request.attributes);
  if (!request.trace_header.empty()) out["trace"] = request.trace_header;
  if (!request.deduplication_id.empty()) out["dedup"] = request.deduplication_id;
  return to_text(out);
}

std::string inline_tail(std::string_view id, std::string_view content) { return fmt::format(R"("id":"{}","m":{}}})", id, content); }
std::string blob_tail(std::string_view id, std::string_view hash) { return fmt::format(R"("id":"{}","blob":"{}"}})", id, hash); }

Result<MessageContent> content_of(std::string_view row) {
  auto object = object_of(row, "message");
  if (!object) return std::unexpected(object.error());
  MessageContent out;
  out.id = get_string(*object, "id");
  out.blob = get_string(*object, "blob");
  if (const JsonObject* content = get_object(*object, "m")) read_content(*content, &out);
  if (const JsonObject* dead = get_object(*object, "dead")) {
    out.dead_letter_source = get_string(*dead, "source");
    out.dead_letter_reason = get_string(*dead, "reason");
  }
  return out;
}

Result<void> add_content(MessageContent* content, std::string_view text) {
  auto object = object_of(text, "message");
  if (!object) return std::unexpected(object.error());
  read_content(*object, content);
  content->blob.clear();
  return {};
}

Result<std::string> moved_tail(std::string_view row, std::string_view source, std::string_view reason) {
  auto object = object_of(row, "message");
  if (!object) return std::unexpected(object.error());
  object->erase("h");
  object->erase("dead");
  if (!source.empty()) (*object)["dead"] = JsonObject{{"source", source}, {"reason", reason}};
  return to_text(*object).substr(1);
}

std::string state_row(const MessageState& state) {
  std::string out = fmt::format(R"({{"due":{},"receives":{},"first":{},"received":{},"issue":{})", to_unix_ms(state.due), state.receives,
                                to_unix_ms(state.first_received), to_unix_ms(state.received), state.issue);
  if (state.flying) out += R"(,"flying":true)";
  if (state.held) out += R"(,"held":true)";
  if (!state.attempt.empty()) out += fmt::format(R"(,"attempt":"{}","attempt_size":{})", state.attempt, state.attempt_size);
  if (!state.failure.empty()) out += R"(,"failure":)" + to_text(Json(state.failure));
  out += '}';
  return out;
}

Result<MessageState> state_from_row(std::string_view row) {
  auto object = object_of(row, "message's state");
  if (!object) return std::unexpected(object.error());
  MessageState out;
  out.due = get_time(*object, "due");
  out.receives = get_int(*object, "receives");
  out.first_received = get_time(*object, "first");
  out.received = get_time(*object, "received");
  out.issue = static_cast<std::uint32_t>(get_int(*object, "issue"));
  out.flying = get_bool(*object, "flying");
  out.held = get_bool(*object, "held");
  out.attempt = get_string(*object, "attempt");
  out.attempt_size = static_cast<std::uint32_t>(get_int(*object, "attempt_size"));
  out.failure = get_string(*object, "failure");
  return out;
}

std::string control_row(const ControlRow& control) {
  return fmt::format(R"({{"ceiling":{},"purged":{},"purged_at":{}}})", control.number_ceiling, control.purged, to_unix_ms(control.purged_at));
}

Result<ControlRow> control_from_row(std::string_view row) {
  auto object = object_of(row, "queue");
  if (!object) return std::unexpected(object.error());
  return ControlRow{get_number(*object, "ceiling"), get_number(*object, "purged"), get_time(*object, "purged_at")};
}

std::string move_row(const Move& move) {
  JsonObject out{{"message", move.message}, {"to", move.destination}};
  if (move.dead) out["dead"] = true;
  if (!move.reason.empty()) out["reason"] = move.reason;
  return to_text(out);
}

Result<Move> move_from_row(std::string_view row) {
  auto object = object_of(row, "message's move");
  if (!object) return std::unexpected(object.error());
  return Move{get_number(*object, "message"), get_string(*object, "to"), get_bool(*object, "dead"), get_string(*object, "reason")};
}

std::string unique_row(const UniqueRow& unique) {
  return fmt::format(R"({{"id":"{}","number":{},"expires":{}}})", unique.id, unique.number, to_unix_ms(unique.expires));
}

Result<UniqueRow> unique_from_row(std::string_view row) {
  auto object = object_of(row, "deduplication id");
  if (!object) return std::unexpected(object.error());
  return UniqueRow{get_string(*object, "id"), get_number(*object, "number"), get_time(*object, "expires")};
}

std::string_view to_string(RedriveTask::Status status) {
  switch (status) {
    case RedriveTask::Status::Running: return "running";
    case RedriveTask::Status::Completed: return "completed";
    case RedriveTask::Status::Cancelling: return "cancelling";
    case RedriveTask::Status::Cancelled: return "cancelled";
    case RedriveTask::Status::Failed: return "failed";
  }
  return "failed";
}

std::string task_row(const TaskRow& row) {
  const RedriveTask& task = row.task;
  return to_text(JsonObject{{"source", task.source},
                            {"destination", task.destination},
                            {"per_second_max", task.per_second_max},
                            {"status", to_string(task.status)},
                            {"moved", task.moved},
                            {"to_move", task.to_move},
                            {"failure", task.failure},
                            {"started", to_unix_ms(task.started)},
                            {"handle", task.handle},
                            {"up_to", row.up_to}});
}

Result<TaskRow> task_from_row(std::string_view row) {
  auto object = object_of(row, "redrive task");
  if (!object) return std::unexpected(object.error());
  TaskRow out;
  out.up_to = get_number(*object, "up_to");
  RedriveTask& task = out.task;
  task.handle = get_string(*object, "handle");
  task.source = get_string(*object, "source");
  task.destination = get_string(*object, "destination");
  task.per_second_max = get_int(*object, "per_second_max");
  task.moved = get_number(*object, "moved");
  task.to_move = get_number(*object, "to_move");
  task.failure = get_string(*object, "failure");
  task.started = get_time(*object, "started");
  task.status = RedriveTask::Status::Failed;
  using enum RedriveTask::Status;
  for (const auto status : {Running, Completed, Cancelling, Cancelled})
    if (get_string(*object, "status") == to_string(status)) task.status = status;
  return out;
}

std::string to_handle(const Receipt& receipt) {
  return to_base64url(fmt::format("1|{}|{}|{:x}", receipt.queue_id, to_hex16(receipt.number), receipt.issue));
}

Result<Receipt> receipt_from_handle(std::string_view handle) {
  const auto invalid = [] {
    return fail("queue.receipt_invalid", "that is no receipt handle: give the one that came with the message when it was received last");
  };
  if (handle.empty() || handle.size() > 1024) return invalid();
  std::string padded(handle);
  for (char& c : padded) c = c == '-' ? '+' : c == '_' ? '/' : c;
  while (padded.size() % 4 != 0) padded += '=';
  const auto text = from_base64(padded);
  if (!text || !text->starts_with("1|")) return invalid();
  const std::size_t second = text->find('|', 2);
  const std::size_t third = second == std::string::npos ? second : text->find('|', second + 1);
  if (third == std::string::npos) return invalid();
  const auto number = keys::parse_hex(std::string_view(*text).substr(second + 1, third - second - 1));
  const auto issue = keys::parse_hex(std::string_view(*text).substr(third + 1));
  if (!number || !issue || *issue > 0xffffffff) return invalid();
  return Receipt{text->substr(2, second - 2), *number, static_cast<std::uint32_t>(*issue)};
}

std::string sequence_text(std::uint64_t number) { return fmt::format("{:020}", number); }

}  // namespace mayfly::queue
