#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "expression/expression.h"

namespace mayfly {

/// JSONata in a JavaScript engine whose whole memory is one SnapshotMemory: each call starts from the state after the last
/// `compile` that was kept, and leaves nothing behind. It has no files, network, clock or `eval`.
class ScriptEngine {
 public:
  /// Takes about ten milliseconds. Error: `memory.unavailable`.
  static Result<std::unique_ptr<ScriptEngine>> make(const ExpressionLimits& limits);
  ~ScriptEngine();
  ScriptEngine(const ScriptEngine&) = delete;
  ScriptEngine& operator=(const ScriptEngine&) = delete;

  /// Parses `text`; the result stays for all later calls of `evaluate`.
  Result<std::uint32_t> compile(std::string_view text);
  Result<std::optional<Json>> evaluate(std::uint32_t expression, const Json& input, const Variables& variables, EvaluationContext context);
  /// What the compiled expressions and the engine take.
  std::size_t kept_bytes() const;

 private:
  class Impl;
  explicit ScriptEngine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mayfly
