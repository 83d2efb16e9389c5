#pragma once

#include "trigger/event.h"

/// What the JSON format and the HTTP binding share.
namespace mayfly::trigger {

inline constexpr std::size_t kAttributeBytesMax = 4'096;
inline constexpr std::size_t kExtensionsMax = 64;

/// Sets an attribute by its name from its text form, checked. "specversion" is only checked. Error: `event.invalid`.
Result<void> set_attribute(Event* event, std::string_view name, std::string_view value);
Result<void> check_new_extension(const Event& event, std::string_view name);
/// `id`, `source` and `type` are there.
Result<void> check_required(const Event& event);
/// The data as bytes: parsed when `data_content_type` says JSON, else kept.
Result<void> set_body(Event* event, std::string bytes);
/// As `event_from_json`, without its limit of size.
Result<Event> read_event(const Json& value);
std::unexpected<Error> event_too_large();

}  // namespace mayfly::trigger
