#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <string>

#include "base/time.h"

namespace mayfly::log {
namespace {

std::atomic<bool> write_json{true};

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::Debug: return spdlog::level::debug;
    case Level::Info: return spdlog::level::info;
    case Level::Warn: return spdlog::level::warn;
    case Level::Error: return spdlog::level::err;
    case Level::Off: return spdlog::level::off;
  }
  return spdlog::level::info;
}

std::string_view name_of(Level level) {
  switch (level) {
    case Level::Debug: return "debug";
    case Level::Info: return "info";
    case Level::Warn: return "warn";
    case Level::Error: return "error";
    case Level::Off: return "off";
  }
  return "info";
}

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>("mayfly", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *instance;
}

void mask_secrets(JsonObject& fields) {
  for (auto& member : fields) {
    if (is_secret_name(member.key())) {
      member.value() = "***";
    } else if (auto* inner = member.value().if_object()) {
      mask_secrets(*inner);
    }
  }
}

}  // namespace

void init(Level level, Format format) {
  logger().set_level(to_spdlog(level));
  write_json = format == Format::Json || (format == Format::Auto && ::isatty(STDERR_FILENO) == 0);
}

void write(Level level, std::string_view message, JsonObject fields) {
  if (!logger().should_log(to_spdlog(level))) return;
  mask_secrets(fields);
  const auto now = std::chrono::floor<Millis>(std::chrono::system_clock::now());
  if (write_json) {
    JsonObject line;
    line["time"] = to_rfc3339(now);
    line["level"] = name_of(level);
    line["msg"] = to_utf8_lossy(message);
    for (auto& member : fields) line[member.key()] = std::move(member.value());
    logger().log(to_spdlog(level), "{}", to_text(line));
    return;
  }
  std::string line = to_rfc3339(now).substr(11, 12) + " " + std::string(name_of(level)) + "  " + std::string(message);
  for (const auto& member : fields) {
    line += "  " + std::string(member.key()) + "=";
    line += member.value().is_string() ? std::string(member.value().get_string()) : to_text(member.value());
  }
  logger().log(to_spdlog(level), "{}", line);
}

bool is_secret_name(std::string_view name) {
  static constexpr std::array<std::string_view, 10> kMarks{"authorization", "api-key", "api_key", "apikey",     "password",
                                                           "passwd",        "secret",  "cookie",  "credential", "private_key"};
  std::string lower(name);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (const std::string_view mark : kMarks)
    if (lower.find(mark) != std::string::npos) return true;
  return lower == "token" || lower.ends_with("_token") || lower.ends_with("-token");
}

}  // namespace mayfly::log
