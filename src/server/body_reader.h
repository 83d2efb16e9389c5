#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "net/http_server.h"

/// Reading what callers send: every error is `request.invalid` or `json.…` and names the field.
namespace mayfly {

/// The request's body as an object with no other members than `known`; an empty body is an empty object.
Result<JsonObject> read_object(const net::Request& request, std::initializer_list<std::string_view> known);
Result<JsonObject> read_object(const net::Request& request, std::span<const std::string_view> known);
/// A member that may be absent or null.
Result<std::optional<std::string>> read_text(const JsonObject& body, std::string_view name, std::size_t bytes_max = 64 * 1024);
Result<std::optional<std::int64_t>> read_int(const JsonObject& body, std::string_view name, std::int64_t least, std::int64_t most);

/// A query parameter.
Result<std::size_t> read_limit(const net::Request& request, std::size_t otherwise, std::size_t most);
/// The values of `Prefer: wait=SECONDS` (RFC 7240 §4.3) or `?wait=30s` (also bare seconds); nothing when absent. At most ten minutes.
Result<std::optional<Millis>> read_wait(const net::Request& request);

}  // namespace mayfly
