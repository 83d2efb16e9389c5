#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mayfly {

/// What a caller may do after a failure.
enum class Retry {
  Never,           ///< the same request fails again
  Safe,            ///< nothing happened: the same request may be sent again
  OutcomeUnknown,  ///< it may have happened: repeat only with an idempotency key or after reconciling
};

std::string_view to_string(Retry retry);
std::optional<Retry> retry_from_string(std::string_view text);

/// A failure that a person or a program can act on.
struct Error {
  std::string code;     ///< stable, dotted, lower case: "store.full", "agent.not_found"
  std::string message;  ///< one sentence that names the problem and what to do
  Retry retry = Retry::Never;
  bool operator==(const Error&) const = default;
};

template <class T>
using Result = std::expected<T, Error>;

/// `return fail("agent.not_found", "…")` from any function that returns a Result.
inline std::unexpected<Error> fail(std::string code, std::string message, Retry retry = Retry::Never) {
  return std::unexpected(Error{std::move(code), std::move(message), retry});
}
inline std::unexpected<Error> fail(Error error) { return std::unexpected(std::move(error)); }

}  // namespace mayfly
