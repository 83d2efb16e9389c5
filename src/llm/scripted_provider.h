#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "llm/provider.h"
#include "runtime/clock.h"

namespace mayfly::llm {

/// A provider without a model: answers come from a YAML script, for examples, tests, benchmarks and simulation.
///
///   version: 1
///   tokens_per_second: 60        # streaming speed; 0 or absent: at once, without any timer
///   conversations:
///     - name: late parcel
///       match: "where is my order"      # in the newest user message, ignoring case; a list: all; {regex: "order ([A-Z0-9-]+)"}
///       turns:                          # turn n answers after n assistant messages that followed that user message
///         - text: "I'll look that up."
///           tool_calls: [{name: get_order, arguments: {order_id: "{{1}}"}}]
///         - cases:                      # the first whose `contains` (text or list) is in the newest tool results
///             - {contains: "denied", text: "I am sorry"}
///             - {text: "It is on its way: {{tool_result}}"}
///         - {error: {status: 429, retry_after: 1s, times: 2}, text: "after two failures"}
///   default: {text: "I have no script for that."}
///
/// An answer holds `text`, `reasoning`, `tool_calls` (with `arguments`, or `arguments_text` for malformed ones), `stop_reason`
/// (end, length, refusal, …) and `error`. Texts and text arguments may hold {{user}}, {{tool_result}}, {{turn}} and {{1}} … {{9}}.
/// The first conversation that matches answers; when none does, or its turns are used up, `default` does.
/// The position follows from the conversation alone; only the failures of `error` are counted in memory, by LlmCall::scripted_key.
/// Usage is an estimate: bytes / 4, at least 1. Error: `llm.invalid_script`, the message starting with "FILE:LINE:COLUMN: ".
/// `clock` must outlive the provider.
Result<std::unique_ptr<LlmProvider>> make_scripted_provider(Clock& clock, std::string provider_name, std::string_view yaml_text,
                                                            std::string_view file_name);

/// The same from a file.
Result<std::unique_ptr<LlmProvider>> load_scripted_provider(Clock& clock, std::string provider_name, const std::string& path);

}  // namespace mayfly::llm
