#pragma once

#include "workspace/events/events.h"

/// How webhooks lie in their rows, and what may be asked of them.
namespace mayfly::workspace {

inline constexpr std::size_t kWebhooksMax = 20;

JsonObject to_json(const EventFilter& filter);
/// {types, path_prefix, glob, actor}. Error: `ws.invalid`, naming the member.
Outcome<EventFilter> filter_from_json(const JsonObject& given);
Outcome<void> check_filter(const EventFilter& filter);

JsonObject to_record(const Webhook& webhook);
Webhook webhook_from_record(std::string id, const JsonObject& record);

/// The endpoint that sends for it.
std::string endpoint_name(std::string_view workspace, std::string_view webhook);
/// Ten attempts over three days: 15 s, 1 min, 4 min, 16 min, 64 min, 4.3 h, 17 h, 36 h, 36 h, each shortened by up to a half.
trigger::DeliveryPolicy webhook_policy();

}  // namespace mayfly::workspace
