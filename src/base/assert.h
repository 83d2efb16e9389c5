#pragma once

#include <string_view>

namespace mayfly {
/// Prints where and why to standard error, then aborts.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line, std::string_view why);
}  // namespace mayfly

/// Checks our own logic, also in release builds. Untrusted input must never reach it.
#define MAYFLY_ASSERT(expression, why)                                              \
  do {                                                                              \
    if (!(expression)) [[unlikely]]                                                 \
      ::mayfly::assertion_failed(#expression, __FILE__, __LINE__, (why));           \
  } while (false)
