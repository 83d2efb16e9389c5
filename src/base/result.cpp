#include "base/result.h"

namespace mayfly {

std::string_view to_string(Retry retry) {
  switch (retry) {
    case Retry::Never: return "never";
    case Retry::Safe: return "safe";
    case Retry::OutcomeUnknown: return "outcome_unknown";
  }
  return "never";
}

std::optional<Retry> retry_from_string(std::string_view text) {
  if (text == "never") return Retry::Never;
  if (text == "safe") return Retry::Safe;
  if (text == "outcome_unknown") return Retry::OutcomeUnknown;
  return std::nullopt;
}

}  // namespace mayfly
