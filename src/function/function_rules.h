#pragma once

#include <optional>
#include <string_view>

#include "function/function_registry.h"

/// What Lambda accepts, with its limits. All errors are `function.invalid` and name the field.
namespace mayfly::function {

inline constexpr std::size_t kFunctionsMax = 10'000;
inline constexpr std::size_t kVersionsMax = 10'000;
inline constexpr std::size_t kAliasesMax = 200;
inline constexpr std::size_t kTagsMax = 50;

/// `timeout_max` of the server.
Result<void> check_config(const FunctionConfig& config, std::chrono::seconds timeout_max = std::chrono::seconds{900});
/// Its name, that its versions exist, and that at most one other version has a weight of 0 to 1.
Result<void> check_alias(const FunctionRecord& record, const Alias& alias);
/// Keys and values, and how many. Tags that start with "mayfly:" must be known.
Result<void> check_tags(const std::map<std::string, std::string>& tags);
Result<void> check_async(const AsyncConfig& config);

/// Sets what one of the tags "mayfly:egress" ("none", "open", or hosts separated by spaces), "mayfly:preload" (modules),
/// "mayfly:per-process" (a number) and "mayfly:tool" (a description) says; without a value, its default. Other tags mean nothing here.
Result<void> apply_tag(std::string_view key, std::optional<std::string_view> value, FunctionConfig* config);

/// "Function not found: ARN", as Lambda says it.
Error function_not_found(std::string_view name, std::string_view qualifier = {});

}  // namespace mayfly::function
