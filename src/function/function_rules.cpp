#include "function/function_rules.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace mayfly::function {
namespace {

constexpr std::size_t kDescriptionBytesMax = 256, kHandlerBytesMax = 128, kEnvironmentBytesMax = 4 * 1024;
constexpr std::size_t kListMax = 100, kListItemBytesMax = 253;
constexpr std::size_t kTagKeyBytesMax = 128, kTagValueBytesMax = 256, kArnBytesMax = 350;
constexpr std::size_t kToolDescriptionBytesMax = 4 * 1024, kToolParametersBytesMax = 64 * 1024;

constexpr std::array<std::string_view, 19> kReserved{"_HANDLER",
                                                     "_X_AMZN_TRACE_ID",
                                                     "AWS_ACCESS_KEY",
                                                     "AWS_ACCESS_KEY_ID",
                                                     "AWS_DEFAULT_REGION",
                                                     "AWS_EXECUTION_ENV",
                                                     "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
                                                     "AWS_LAMBDA_FUNCTION_NAME",
                                                     "AWS_LAMBDA_FUNCTION_VERSION",
                                                     "AWS_LAMBDA_INITIALIZATION_TYPE",
                                                     "AWS_LAMBDA_LOG_GROUP_NAME",
                                                     "AWS_LAMBDA_LOG_STREAM_NAME",
                                                     "AWS_LAMBDA_RUNTIME_API",
                                                     "AWS_LAMBDA_MAX_CONCURRENCY",
                                                     "AWS_REGION",
                                                     "AWS_SECRET_ACCESS_KEY",
                                                     "AWS_SESSION_TOKEN",
                                                     "LAMBDA_RUNTIME_DIR",
                                                     "LAMBDA_TASK_ROOT"};

std::unexpected<Error> invalid(std::string message) { return fail("function.invalid", std::move(message)); }

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_word(char c) { return is_digit(c) || is_letter(c) || c == '-' || c == '_'; }
bool is_name(std::string_view text, std::size_t length_max) {
  return !text.empty() && text.size() <= length_max && std::ranges::all_of(text, is_word);
}
bool all_digits(std::string_view text) { return !text.empty() && text.size() <= 18 && std::ranges::all_of(text, is_digit); }

/// In the words of Lambda's own validation.
std::unexpected<Error> out_of_range(std::string_view field, std::int64_t value, std::int64_t least, std::int64_t most) {
  const bool small = value < least;
  return invalid("1 validation error detected: Value '" + std::to_string(value) + "' at '" + std::string(field) +
                 "' failed to satisfy constraint: Member must have value " + (small ? "greater" : "less") + " than or equal to " +
                 std::to_string(small ? least : most));
}

Result<void> in_range(std::string_view field, std::int64_t value, std::int64_t least, std::int64_t most) {
  if (value < least || value > most) return out_of_range(field, value, least, most);
  return {};
}

Result<void> at_most(std::string_view field, std::string_view value, std::size_t bytes_max) {
  if (value.size() > bytes_max)
    return invalid("1 validation error detected: Value at '" + std::string(field) +
                   "' failed to satisfy constraint: Member must have length less than or equal to " + std::to_string(bytes_max));
  if (!is_utf8(value)) return invalid("the value of '" + std::string(field) + "' is not UTF-8");
  return {};
}

/// PREFIX, a whole number, SUFFIX.
bool is_numbered(std::string_view text, std::string_view prefix, std::string_view suffix) {
  if (!text.starts_with(prefix) || !text.ends_with(suffix) || text.size() <= prefix.size() + suffix.size()) return false;
  return all_digits(text.substr(prefix.size(), text.size() - prefix.size() - suffix.size()));
}

bool is_known_runtime(std::string_view text) {
  return text == "http" || text == "provided" || text == "provided.al2" || text == "provided.al2023" || is_numbered(text, "python3.", "") ||
         is_numbered(text, "nodejs", ".x");
}

bool needs_handler(std::string_view runtime) { return runtime.starts_with("python") || runtime.starts_with("nodejs"); }

Result<void> check_runtime(const FunctionConfig& config) {
  if (!is_known_runtime(config.runtime))
    return invalid("the runtime '" + config.runtime.substr(0, 60) +
                   "' is not supported; use python3.N, nodejsN.x, provided.al2023 (an executable named bootstrap) or http");
  if (needs_handler(config.runtime) && config.handler.empty())
    return invalid("the runtime " + config.runtime + " needs a Handler, such as app.handler for the function handler in the file app");
  const auto is_space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0'; };
  if (std::ranges::any_of(config.handler, is_space)) return invalid("the Handler must not hold spaces");
  return at_most("handler", config.handler, kHandlerBytesMax);
}

Result<void> check_environment(const std::map<std::string, std::string>& environment) {
  std::string reserved;
  std::size_t bytes = 0;
  for (const auto& [name, value] : environment) {
    const bool is_reserved = std::ranges::find(kReserved, std::string_view(name)) != kReserved.end();
    if (is_reserved) reserved += (reserved.empty() ? "" : ", ") + name;
    const bool good = name.size() >= 2 && is_letter(name[0]) && std::ranges::all_of(name, [](char c) { return is_word(c) && c != '-'; });
    if (!good && !is_reserved)
      return invalid("the environment variable '" + name.substr(0, 60) +
                     "' has an invalid name; it starts with a letter, has at least two characters, and only letters, digits and '_'");
    if (value.find('\0') != std::string::npos || !is_utf8(value))
      return invalid("the value of the environment variable '" + name + "' is not text");
    bytes += name.size() + value.size();
  }
  if (!reserved.empty())
    return invalid(
        "Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved "
        "keys "
        "that are currently not supported for modification. Reserved keys used in this request: " +
        reserved);
  if (bytes > kEnvironmentBytesMax)
    return invalid(
        "Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB "
        "limit: "
        "they have " +
        std::to_string(bytes) + " bytes");
  return {};
}

Result<void> check_durable(const DurableConfig& durable) {
  if (auto ok = in_range("durableConfig.executionTimeout", durable.execution_timeout.count(), 1, 31'622'400); !ok) return ok;
  return in_range("durableConfig.retentionPeriodInDays", durable.retention_days, 1, 90);
}

Result<void> check_list(std::string_view field, const std::vector<std::string>& list) {
  if (list.size() > kListMax) return invalid("'" + std::string(field) + "' has more than 100 entries");
  for (const std::string& item : list)
    if (item.empty() || item.size() > kListItemBytesMax || !is_utf8(item))
      return invalid("'" + std::string(field) + "' has an entry that is empty, not UTF-8 or longer than 253 bytes");
  return {};
}

Result<void> check_own_settings(const FunctionConfig& config) {
  if (auto ok = check_list("egress", config.egress.allow); !ok) return ok;
  if (auto ok = check_list("preload", config.preload); !ok) return ok;
  if (auto ok = in_range("per_process_max", config.per_process_max, 1, config.runtime == "http" ? 1'000 : 1); !ok) return ok;
  if (auto ok = at_most("tool.description", config.tool_description, kToolDescriptionBytesMax); !ok) return ok;
  if (!config.tool_parameters.is_null() && !config.tool_parameters.is_object())
    return invalid("'tool.parameters' must be a JSON Schema of an object");
  return at_most("tool.parameters", to_text(config.tool_parameters), kToolParametersBytesMax);
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    if (end > 0) out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string quoted(std::string_view text) { return "'" + std::string(text.substr(0, 130)) + "'"; }

}  // namespace

Error function_not_found(std::string_view name, std::string_view qualifier) {
  return {"function.not_found", "Function not found: " + function_arn(name, qualifier), Retry::Never};
}

Result<void> check_config(const FunctionConfig& config, std::chrono::seconds timeout_max) {
  if (!is_name(config.name, 64)) return invalid("a function's name has 1 to 64 letters, digits, '-' and '_'");
  if (auto ok = check_runtime(config); !ok) return ok;
  if (auto ok = at_most("description", config.description, kDescriptionBytesMax); !ok) return ok;
  if (auto ok = at_most("role", config.role, 10'000); !ok) return ok;
  if (auto ok = at_most("deadLetterConfig.targetArn", config.dead_letter_arn, kArnBytesMax); !ok) return ok;
  if (auto ok = in_range("memorySize", config.memory_mb, 128, 10'240); !ok) return ok;
  if (auto ok = in_range("timeout", config.timeout.count(), 1, timeout_max.count()); !ok) return ok;
  if (auto ok = in_range("ephemeralStorage.size", config.tmp_mb, 512, 10'240); !ok) return ok;
  if (auto ok = check_environment(config.environment); !ok) return ok;
  if (config.architectures.size() > 1 ||
      std::ranges::any_of(config.architectures, [](const std::string& name) { return name != "x86_64" && name != "arm64"; }))
    return invalid("Architectures holds one of x86_64 and arm64");
  if (config.durable)
    if (auto ok = check_durable(*config.durable); !ok) return ok;
  return check_own_settings(config);
}

Result<void> check_alias(const FunctionRecord& record, const Alias& alias) {
  if (!is_name(alias.name, 128) || all_digits(alias.name))
    return invalid("an alias' name has 1 to 128 letters, digits, '-' and '_', and is not a number");
  if (auto ok = at_most("description", alias.description, kDescriptionBytesMax); !ok) return ok;
  const auto exists = [&](const std::string& version) { return all_digits(version) && record.versions.contains(std::stoll(version)); };
  if (alias.version != kLatest && !exists(alias.version)) return fail(function_not_found(record.name, alias.version));
  if (alias.additional_weights.size() > 1) return invalid("an alias can send traffic to one additional version, not to more");
  for (const auto& [version, weight] : alias.additional_weights) {
    if (alias.version == kLatest || version == kLatest)
      return invalid("$LATEST is not supported for an alias pointing to more than 1 version");
    if (version == alias.version)
      return invalid("Invalid function version " + version + ". Function version " + version +
                     " is already included in routing configuration.");
    if (!exists(version)) return fail(function_not_found(record.name, version));
    if (!(weight >= 0 && weight <= 1)) return invalid("the weight of version " + version + " must be a number from 0 to 1");
  }
  return {};
}

Result<void> check_tags(const std::map<std::string, std::string>& tags) {
  if (tags.size() > kTagsMax) return invalid("a function has at most 50 tags");
  for (const auto& [key, value] : tags) {
    if (key.empty() || key.size() > kTagKeyBytesMax || !is_utf8(key)) return invalid("a tag's key has 1 to 128 bytes of UTF-8");
    if (value.size() > kTagValueBytesMax || !is_utf8(value))
      return invalid("the value of the tag " + quoted(key) + " has at most 256 bytes of UTF-8");
    if (key.starts_with("aws:")) return invalid("tags that start with 'aws:' are reserved");
  }
  FunctionConfig ignored;
  for (const auto& [key, value] : tags)
    if (auto applied = apply_tag(key, value, &ignored); !applied) return applied;
  return {};
}

Result<void> check_async(const AsyncConfig& config) {
  if (auto ok = in_range("maximumRetryAttempts", config.retries_max, 0, 2); !ok) return ok;
  if (auto ok = in_range("maximumEventAgeInSeconds", config.age_max.count(), 60, 21'600); !ok) return ok;
  for (const std::string* arn : {&config.on_success, &config.on_failure}) {
    if (arn->size() > kArnBytesMax || (!arn->empty() && !arn->starts_with("arn:")))
      return invalid("the destination " + quoted(*arn) + " is not an ARN; use that of a function or a queue");
  }
  return {};
}

Result<void> apply_tag(std::string_view key, std::optional<std::string_view> value, FunctionConfig* config) {
  if (!key.starts_with("mayfly:")) return {};
  const std::string_view text = value.value_or("");
  if (key == "mayfly:egress") {
    const bool is_list = !text.empty() && text != "open" && text != "none";
    config->egress.mode = text == "open" ? Egress::Mode::Open : is_list ? Egress::Mode::Allow : Egress::Mode::None;
    config->egress.allow = is_list ? words(text) : std::vector<std::string>();
  } else if (key == "mayfly:preload") {
    config->preload = words(text);
  } else if (key == "mayfly:tool") {
    config->tool_description = text;
  } else if (key == "mayfly:per-process") {
    if (value && (!all_digits(text) || text == "0" || text.size() > 4))
      return invalid("the tag mayfly:per-process holds a number of 1 to 1000");
    config->per_process_max = value ? std::stoll(std::string(text)) : 1;
  } else {
    return invalid("the tag " + quoted(key) + " is not known; there are mayfly:egress, mayfly:preload, mayfly:per-process and mayfly:tool");
  }
  return {};
}

}  // namespace mayfly::function
