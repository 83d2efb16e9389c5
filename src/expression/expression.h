#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/time.h"

/// JSONata (https://docs.jsonata.org), by its reference implementation in an embedded JavaScript engine without I/O.
namespace mayfly {

struct ExpressionLimits {
  std::size_t text_bytes_max = 32 * 1024;
  std::size_t memory_bytes_max = 64 * 1024 * 1024;  ///< of one evaluation
  std::size_t result_bytes_max = 1024 * 1024;
  std::uint64_t work_max = 10'000'000;  ///< steps of the engine, about a second: a runaway expression ends with `expression.limit`
};

/// What makes an evaluation repeatable: the same expression, input, variables and context give the same result.
struct EvaluationContext {
  TimePoint now{};         ///< $now(), $millis()
  std::uint64_t seed = 0;  ///< $random(), $uuid(), $shuffle()
};
using Variables = std::map<std::string, Json>;  ///< by name, without `$`

/// Expressions of one loop; compiled ones are cached. Evaluations share no state: an expression cannot leave anything behind.
class Expressions {
 public:
  explicit Expressions(ExpressionLimits limits = {});
  ~Expressions();
  Expressions(const Expressions&) = delete;
  Expressions& operator=(const Expressions&) = delete;

  /// Error: `expression.invalid`, with the position and JSONata's code (S0201 …).
  Result<void> check(std::string_view text);
  /// Nothing: the expression gave JSONata's `undefined`. Errors: `expression.invalid`, `expression.failed` (JSONata's T…/D… codes in the
  /// message), `expression.limit`, all Retry::Never.
  Result<std::optional<Json>> evaluate(std::string_view text, const Json& input, const Variables& variables, EvaluationContext context);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// JSONata's idea of truth ($boolean): empty strings, arrays of false values, 0, null and nothing are false.
bool is_truthy(const std::optional<Json>& value);

}  // namespace mayfly
