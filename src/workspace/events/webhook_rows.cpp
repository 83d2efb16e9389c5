#include "workspace/events/webhook_rows.h"

#include <algorithm>

#include "workspace/bytes/link_token.h"

namespace mayfly::workspace {
namespace {

constexpr std::size_t kTypesMax = 50;
constexpr std::size_t kTextBytesMax = 2'048;

std::unexpected<Refusal> invalid(std::string message) { return refuse("ws.invalid", std::move(message)); }

bool is_type(std::string_view type) {
  if (type.ends_with(".*")) type.remove_suffix(2);
  return !type.empty() && type.size() <= 64 &&
         std::ranges::all_of(type, [](char c) { return (c >= 'a' && c <= 'z') || c == '.' || c == '_'; });
}

}  // namespace

JsonObject to_json(const EventFilter& filter) {
  JsonObject out;
  if (!filter.types.empty()) {
    JsonArray types;
    for (const std::string& type : filter.types) types.emplace_back(type);
    out["types"] = std::move(types);
  }
  if (!filter.path_prefix.empty()) out["path_prefix"] = filter.path_prefix;
  if (!filter.glob.empty()) out["glob"] = filter.glob;
  if (!filter.actor.empty()) out["actor"] = filter.actor;
  return out;
}

Outcome<void> check_filter(const EventFilter& filter) {
  if (filter.types.size() > kTypesMax) return invalid("a filter has at most 50 types; use a prefix such as \"file.*\"");
  for (const std::string& type : filter.types)
    if (!is_type(type))
      return invalid("'" + to_utf8_lossy(type.substr(0, 64)) + "' is no type of events; write \"file.updated\" or \"file.*\"");
  for (const std::string* text : {&filter.path_prefix, &filter.glob, &filter.actor})
    if (text->size() > kTextBytesMax || !is_utf8(*text))
      return invalid("path_prefix, glob and actor are UTF-8 of at most 2048 bytes; shorten them");
  if (!filter.path_prefix.empty() && !filter.path_prefix.starts_with('/')) return invalid("path_prefix starts with '/'");
  return {};
}

Outcome<EventFilter> filter_from_json(const JsonObject& given) {
  EventFilter out;
  for (const auto& [name, value] : given) {
    const std::string_view key(name.data(), name.size());
    if (key == "types") {
      if (!value.is_array()) return invalid("types is a list of texts");
      for (const Json& type : value.get_array()) {
        if (!type.is_string()) return invalid("types is a list of texts");
        out.types.emplace_back(type.get_string());
      }
      continue;
    }
    std::string* to = key == "path_prefix" ? &out.path_prefix : key == "glob" ? &out.glob : key == "actor" ? &out.actor : nullptr;
    if (!to) return invalid("a filter has types, path_prefix, glob and actor; '" + std::string(key.substr(0, 64)) + "' is none of them");
    if (!value.is_string()) return invalid(std::string(key) + " is a text");
    *to = std::string_view(value.get_string());
  }
  if (auto valid = check_filter(out); !valid) return std::unexpected(valid.error());
  return out;
}

JsonObject to_record(const Webhook& webhook) {
  JsonObject out{{"url", webhook.url},
                 {"filter", to_json(webhook.filter)},
                 {"enabled", webhook.enabled},
                 {"created_by", webhook.created_by},
                 {"created", to_unix_ms(webhook.created)}};
  if (!webhook.disabled_reason.empty()) out["disabled_reason"] = webhook.disabled_reason;
  return out;
}

Webhook webhook_from_record(std::string id, const JsonObject& record) {
  Webhook out;
  out.id = std::move(id);
  out.url = get_string(record, "url");
  if (const JsonObject* filter = get_object(record, "filter"))
    if (auto read = filter_from_json(*filter)) out.filter = *std::move(read);
  out.enabled = get_bool(record, "enabled", true);
  out.disabled_reason = get_string(record, "disabled_reason");
  out.created_by = get_string(record, "created_by");
  out.created = get_time(record, "created").value_or(TimePoint{});
  return out;
}

std::string endpoint_name(std::string_view workspace, std::string_view webhook) {
  return "ws." + std::string(workspace) + "." + std::string(webhook);
}

trigger::DeliveryPolicy webhook_policy() {
  trigger::DeliveryPolicy out;
  out.attempts_max = 10;
  out.delay_first = Millis{15'000};
  out.delay_factor = 4;
  out.delay_max = Millis{36LL * 3'600'000};
  out.age_max = Millis{4LL * 86'400'000};
  return out;
}

}  // namespace mayfly::workspace
