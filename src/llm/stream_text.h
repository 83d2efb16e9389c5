#pragma once

#include <string_view>

#include "llm/provider.h"

namespace mayfly::llm {

/// Tells `on_delta` a whole message as if it had streamed: one delta for each text, reasoning and tool call.
void emit_as_deltas(const Message& message, const std::function<void(const LlmDelta&)>& on_delta);

/// What a tool call's arguments look like on the wire: their JSON text, or what the model wrote when that was no JSON.
std::string arguments_text(const Content& call);

/// The length of the longest prefix of `text` with at most `bytes` bytes that does not split a UTF-8 sequence; at least one
/// character when `text` is not empty.
std::size_t utf8_prefix(std::string_view text, std::size_t bytes);

}  // namespace mayfly::llm
