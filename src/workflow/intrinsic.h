#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "runtime/random.h"
#include "workflow/json_path.h"

/// The intrinsic functions of JSONPath states: `States.Format('Hello {}', $.name)`.
namespace mayfly::workflow {

/// An error with the name that Retry and Catch see.
struct StateError {
  std::string error;
  std::string cause;
};
template <class T>
using StateResult = std::expected<T, StateError>;
inline std::unexpected<StateError> state_error(std::string_view error, std::string cause) {
  return std::unexpected(StateError{std::string(error), std::move(cause)});
}

inline constexpr std::string_view kIntrinsicPrefix = "States.";

/// Error: `intrinsic.invalid`, with the position: syntax, unknown functions, wrong numbers of arguments.
Result<void> check_intrinsic(std::string_view text);
/// Fails with States.IntrinsicFailure, or States.ParameterPathFailure for an argument whose path finds nothing.
StateResult<Json> evaluate_intrinsic(std::string_view text, const PathScope& scope, Random& random);

}  // namespace mayfly::workflow
