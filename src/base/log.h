#pragma once

#include <string_view>

#include "base/json.h"

/// Structured logs on standard error: one JSON object a line, or a readable line on a terminal.
/// Never log a secret: values under keys that name one (see `is_secret_name`) are masked as a second net.
namespace mayfly::log {

enum class Level { Debug, Info, Warn, Error, Off };
enum class Format { Auto, Json, Text };

/// Once, before threads start.
void init(Level level, Format format);
void write(Level level, std::string_view message, JsonObject fields = {});

inline void debug(std::string_view message, JsonObject fields = {}) { write(Level::Debug, message, std::move(fields)); }
inline void info(std::string_view message, JsonObject fields = {}) { write(Level::Info, message, std::move(fields)); }
inline void warn(std::string_view message, JsonObject fields = {}) { write(Level::Warn, message, std::move(fields)); }
inline void error(std::string_view message, JsonObject fields = {}) { write(Level::Error, message, std::move(fields)); }

/// "authorization", "x-api-key", "password", "…_token", "…_secret" and the like, in any case.
bool is_secret_name(std::string_view name);

}  // namespace mayfly::log
