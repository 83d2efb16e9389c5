#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "queue/queue.h"

namespace mayfly::queue {
namespace {

constexpr std::string_view kSchema = R"({
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "A queue",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "fifo": {"type": "boolean", "default": false, "description": "Messages of one group in their order; the name ends with .fifo."},
    "content_deduplication": {"type": "boolean", "default": false, "description": "FIFO: the body's SHA-256 stands in for a missing deduplication id."},
    "deduplication_scope": {"enum": ["queue", "message_group"], "default": "queue", "description": "FIFO: where a deduplication id counts."},
    "throughput_limit": {"enum": ["per_queue", "per_message_group"], "default": "per_queue", "description": "FIFO; kept for clients of SQS."},
    "visibility_timeout": {"type": "string", "default": "30s", "description": "How long a received message stays invisible; 0s to 12h."},
    "delay": {"type": "string", "default": "0s", "description": "How long a new message stays invisible; 0s to 15m."},
    "retention": {"type": "string", "default": "4d", "description": "After that a message is gone; 1m to 14d."},
    "receive_wait": {"type": "string", "default": "0s", "description": "How long a receive waits for a first message; 0s to 20s."},
    "message_bytes_max": {"description": "The longest message. Default 1 MiB.", "type": "integer", "minimum": 1024, "maximum": 1048576, "default": 1048576},
    "messages_max": {"type": "integer", "minimum": 1, "maximum": 10000000, "default": 1000000, "description": "More are refused."},
    "dead_letter": {"description": "Where messages go that were received too often.", 
      "type": "object",
      "additionalProperties": false,
      "required": ["queue", "receives_max"],
      "properties": {
        "queue": {"type": "string", "description": "Name of the queue that takes the messages that fail."},
        "receives_max": {"type": "integer", "minimum": 1, "maximum": 1000, "description": "So many receives without a delete, and a message is dead."},
        "expired": {"type": "boolean", "default": false, "description": "Also messages whose retention ends."}
      }
    },
    "redrive_allow_policy": {"type": "string", "description": "JSON text as SQS has it: which queues may name this one."},
    "paused": {"type": "boolean", "default": false, "description": "Nothing is received; sending works."},
    "tags": {"description": "For people and clients.", "type": "object", "additionalProperties": {"type": "string"}},
    "attributes": {"type": "object", "additionalProperties": {"type": "string"}, "description": "Kept for clients of SQS."}
  }
})";

std::unexpected<Error> wrong(std::string_view pointer, std::string_view what) {
  return fail("queue.invalid", fmt::format("{}: {}", pointer, what));
}

std::string duration_text(Millis value) {
  return value.count() % 1000 == 0 ? fmt::format("{}s", value.count() / 1000) : fmt::format("{}ms", value.count());
}

/// Reads members one after the other and remembers the first mistake.
class Reader {
 public:
  Reader(const JsonObject& object, std::string path) : object_(object), path_(std::move(path)) {}

  const Json* member(std::string_view key) {
    known_.insert(std::string(key));
    const Json* value = mayfly::get(object_, key);
    return value && !value->is_null() ? value : nullptr;
  }
  void flag(std::string_view key, bool* out) {
    if (const Json* value = member(key)) value->is_bool() ? void(*out = value->get_bool()) : mistake(key, "is true or false");
  }
  void text(std::string_view key, std::string* out) {
    if (const Json* value = member(key)) value->is_string() ? void(*out = value->get_string().c_str()) : mistake(key, "is a text");
  }
  void number(std::string_view key, std::int64_t low, std::int64_t high, std::int64_t* out) {
    const Json* value = member(key);
    if (!value) return;
    if (value->is_int64() && value->get_int64() >= low && value->get_int64() <= high)
      *out = value->get_int64();
    else
      mistake(key, fmt::format("is a whole number from {} to {}", low, high));
  }
  void duration(std::string_view key, Millis* out) {
    const Json* value = member(key);
    if (!value) return;
    const auto parsed = value->is_string() ? parse_duration(value->get_string().c_str()) : Result<Millis>(fail("", ""));
    if (parsed)
      *out = *parsed;
    else
      mistake(key, "is a duration such as \"30s\", \"15m\" or \"4d\"");
  }
  /// True: the second choice.
  bool choice(std::string_view key, std::string_view first, std::string_view second) {
    std::string value(first);
    text(key, &value);
    if (value != first && value != second) mistake(key, fmt::format("is \"{}\" or \"{}\"", first, second));
    return value == second;
  }
  void texts(std::string_view key, std::map<std::string, std::string>* out) {
    const Json* value = member(key);
    if (!value) return;
    if (!value->is_object()) return mistake(key, "is an object of texts");
    for (const auto& entry : value->get_object()) {
      if (!entry.value().is_string()) return mistake(fmt::format("{}/{}", key, std::string_view(entry.key())), "is a text");
      (*out)[std::string(entry.key())] = entry.value().get_string().c_str();
    }
  }
  void mistake(std::string_view key, std::string_view what) {
    if (!error_) error_ = Error{"queue.invalid", fmt::format("{}/{}: {}", path_, key, what), Retry::Never};
  }
  Result<void> done() {
    for (const auto& entry : object_)
      if (!known_.contains(std::string(entry.key())))
        mistake(entry.key(), fmt::format("is not known here; there are {}", fmt::to_string(fmt::join(known_, ", "))));
    if (error_) return fail(*error_);
    return {};
  }

 private:
  const JsonObject& object_;
  std::string path_;
  std::set<std::string> known_;
  std::optional<Error> error_;
};

Result<void> check_name(std::string_view name, bool fifo) {
  constexpr std::string_view kFifo = ".fifo";
  constexpr std::size_t kNameMax = 80;
  const std::string shown = fmt::format("queue name '{}'", name.substr(0, kNameMax));
  if (name.ends_with(kFifo) != fifo)
    return wrong("/name", fmt::format("{}: the name of a FIFO queue ends with '.fifo', and only that", shown));
  if (name.empty() || name.size() > kNameMax) return wrong("/name", fmt::format("{}: a name has 1 to {} characters", shown, kNameMax));
  if (fifo) name.remove_suffix(kFifo.size());
  const bool good = !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  if (!good) return wrong("/name", fmt::format("{}: use letters, digits, '-' and '_'", shown));
  return {};
}

Result<void> check_range(std::string_view pointer, Millis value, Millis low, Millis high) {
  if (value >= low && value <= high) return {};
  return wrong(pointer, fmt::format("is {} to {}, not {}", to_human(low), to_human(high), to_human(value)));
}

}  // namespace

std::string_view queue_schema_text() { return kSchema; }

Json to_json(const QueueSpec& spec) {
  JsonObject out;
  const bool fifo = spec.kind == QueueKind::Fifo;
  out["fifo"] = fifo;
  if (fifo) {
    out["content_deduplication"] = spec.content_deduplication;
    out["deduplication_scope"] = spec.deduplication_scope == QueueSpec::DeduplicationScope::MessageGroup ? "message_group" : "queue";
    out["throughput_limit"] =
        spec.throughput_limit == QueueSpec::ThroughputLimit::PerMessageGroupId ? "per_message_group" : "per_queue";
  }
  out["visibility_timeout"] = duration_text(spec.visibility_timeout);
  out["delay"] = duration_text(spec.delay);
  out["retention"] = duration_text(spec.retention);
  out["receive_wait"] = duration_text(spec.receive_wait);
  out["message_bytes_max"] = spec.message_bytes_max;
  out["messages_max"] = spec.messages_max;
  if (!spec.dead_letter_queue.empty()) {
    JsonObject dead{{"queue", spec.dead_letter_queue}, {"receives_max", spec.receives_max}};
    if (spec.expired_die) dead["expired"] = true;
    out["dead_letter"] = std::move(dead);
  }
  if (!spec.redrive_allow_policy.empty()) out["redrive_allow_policy"] = spec.redrive_allow_policy;
  out["paused"] = spec.paused;
  const auto texts = [](const std::map<std::string, std::string>& from) {
    JsonObject object;
    for (const auto& [key, value] : from) object[key] = value;
    return object;
  };
  if (!spec.tags.empty()) out["tags"] = texts(spec.tags);
  if (!spec.other_attributes.empty()) out["attributes"] = texts(spec.other_attributes);
  return out;
}

Result<QueueSpec> queue_spec_from_json(std::string name, const Json& value) {
  QueueSpec spec;
  spec.name = std::move(name);
  if (!value.is_null() && !value.is_object()) return wrong("", "is an object");
  const JsonObject empty;
  Reader reader(value.is_object() ? value.get_object() : empty, "");
  bool fifo = spec.name.ends_with(".fifo");
  reader.flag("fifo", &fifo);
  spec.kind = fifo ? QueueKind::Fifo : QueueKind::Standard;
  reader.flag("content_deduplication", &spec.content_deduplication);
  if (reader.choice("deduplication_scope", "queue", "message_group"))
    spec.deduplication_scope = QueueSpec::DeduplicationScope::MessageGroup;
  if (reader.choice("throughput_limit", "per_queue", "per_message_group"))
    spec.throughput_limit = QueueSpec::ThroughputLimit::PerMessageGroupId;
  reader.duration("visibility_timeout", &spec.visibility_timeout);
  reader.duration("delay", &spec.delay);
  reader.duration("retention", &spec.retention);
  reader.duration("receive_wait", &spec.receive_wait);
  auto bytes = static_cast<std::int64_t>(spec.message_bytes_max), messages = static_cast<std::int64_t>(spec.messages_max);
  reader.number("message_bytes_max", 1024, 1024 * 1024, &bytes);
  reader.number("messages_max", 1, 10'000'000, &messages);
  spec.message_bytes_max = static_cast<std::size_t>(bytes);
  spec.messages_max = static_cast<std::size_t>(messages);
  if (const Json* dead = reader.member("dead_letter")) {
    if (!dead->is_object()) return wrong("/dead_letter", "is an object with queue and receives_max");
    Reader inner(dead->get_object(), "/dead_letter");
    inner.text("queue", &spec.dead_letter_queue);
    inner.number("receives_max", 1, 1000, &spec.receives_max);
    inner.flag("expired", &spec.expired_die);
    if (auto ok = inner.done(); !ok) return std::unexpected(ok.error());
    if (spec.dead_letter_queue.empty()) return wrong("/dead_letter/queue", "is required: the name of the queue that takes dead messages");
    if (spec.receives_max == 0) return wrong("/dead_letter/receives_max", "is required: after how many receives a message is dead");
  }
  reader.text("redrive_allow_policy", &spec.redrive_allow_policy);
  reader.flag("paused", &spec.paused);
  reader.texts("tags", &spec.tags);
  reader.texts("attributes", &spec.other_attributes);
  if (auto ok = reader.done(); !ok) return std::unexpected(ok.error());
  if (auto ok = check(spec); !ok) return std::unexpected(ok.error());
  return spec;
}

Result<void> check(const QueueSpec& spec) {
  constexpr Millis kMinute{60'000}, kHour{3'600'000}, kDay{24 * 3'600'000};
  const bool fifo = spec.kind == QueueKind::Fifo;
  if (auto ok = check_name(spec.name, fifo); !ok) return ok;
  if (auto ok = check_range("/visibility_timeout", spec.visibility_timeout, Millis{0}, 12 * kHour); !ok) return ok;
  if (auto ok = check_range("/delay", spec.delay, Millis{0}, 15 * kMinute); !ok) return ok;
  if (auto ok = check_range("/retention", spec.retention, kMinute, 14 * kDay); !ok) return ok;
  if (auto ok = check_range("/receive_wait", spec.receive_wait, Millis{0}, Millis{20'000}); !ok) return ok;
  if (spec.message_bytes_max < 1024 || spec.message_bytes_max > 1024 * 1024)
    return wrong("/message_bytes_max", "is 1,024 to 1,048,576 bytes");
  if (spec.messages_max < 1 || spec.messages_max > 10'000'000) return wrong("/messages_max", "is 1 to 10,000,000");
  if (!fifo && (spec.content_deduplication || spec.deduplication_scope == QueueSpec::DeduplicationScope::MessageGroup ||
                spec.throughput_limit == QueueSpec::ThroughputLimit::PerMessageGroupId))
    return wrong("/content_deduplication", "deduplication and throughput limits are for FIFO queues: remove them, or name the queue NAME.fifo");
  if (spec.throughput_limit == QueueSpec::ThroughputLimit::PerMessageGroupId &&
      spec.deduplication_scope == QueueSpec::DeduplicationScope::Queue)
    return wrong("/throughput_limit", "per message group needs deduplication_scope message_group too");
  if (spec.dead_letter_queue.empty()) {
    if (spec.receives_max != 0) return wrong("/dead_letter/queue", "is required with receives_max");
  } else {
    if (spec.receives_max < 1 || spec.receives_max > 1000) return wrong("/dead_letter/receives_max", "is 1 to 1,000");
    if (spec.dead_letter_queue == spec.name) return wrong("/dead_letter/queue", "is another queue, not this one");
    if (auto ok = check_name(spec.dead_letter_queue, fifo); !ok)
      return wrong("/dead_letter/queue", "names a queue of the same kind: a FIFO queue's ends with '.fifo' too");
  }
  if (!spec.redrive_allow_policy.empty()) {
    const auto policy = parse_json(spec.redrive_allow_policy);
    if (!policy || !policy->is_object()) return wrong("/redrive_allow_policy", "is the text of a JSON object");
  }
  constexpr std::size_t kTagsMax = 50, kTextMax = 64 * 1024;
  if (spec.tags.size() > kTagsMax) return wrong("/tags", "has at most 50 entries");
  std::size_t bytes = spec.redrive_allow_policy.size();
  for (const auto* texts : {&spec.tags, &spec.other_attributes})
    for (const auto& [key, value] : *texts) bytes += key.size() + value.size();
  if (bytes > kTextMax) return wrong("/attributes", "tags and attributes have at most 64 KiB together");
  return {};
}

}  // namespace mayfly::queue
