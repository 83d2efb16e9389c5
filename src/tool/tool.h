#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/json.h"
#include "base/time.h"
#include "runtime/cancel.h"
#include "runtime/task.h"

namespace mayfly {

/// What repeating a tool call after a crash would do.
enum class Effect {
  ReadOnly,     ///< nothing: repeated freely
  Idempotent,   ///< the same as once: repeated freely
  AtLeastOnce,  ///< the receiver absorbs repeats by the idempotency key: repeated with the same key
  AtMostOnce,   ///< harm: never repeated; after a crash its outcome is unknown and a person decides
};
std::string_view to_string(Effect effect);
std::optional<Effect> effect_from_string(std::string_view text);

struct ToolCall {
  Json arguments;               ///< already validated against `parameters()`
  std::string run_id;
  std::string session_id;
  std::string agent;
  std::string idempotency_key;  ///< the same for every attempt of this call
  int attempt = 1;
  CancelToken cancel;
  Millis timeout{60'000};
  std::string traceparent;      ///< W3C, may be empty
  std::function<void(std::string_view)> on_output;  ///< progress for watchers; may be empty
};

/// What goes back to the model. A tool that fails in a way the model can react to returns is_error = true, not an Error.
struct ToolOutput {
  std::string text;
  bool is_error = false;
};

/// A function that a model may call, executed by the server. Error from `call`: `tool.timeout`, `tool.cancelled`, `tool.failed`, …;
/// its `retry` says whether the effect may have happened (OutcomeUnknown).
class Tool {
 public:
  virtual ~Tool() = default;
  virtual const std::string& name() const = 0;
  virtual const std::string& description() const = 0;
  virtual const Json& parameters() const = 0;  ///< JSON Schema of an object
  virtual Effect effect() const = 0;
  virtual Task<Result<ToolOutput>> call(ToolCall call) = 0;
};

}  // namespace mayfly
