#pragma once

#include <quickjs.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace mayfly {

/// `$hash`'s digest in hexadecimal digits for MD5, SHA-1, SHA-256, SHA-384 and SHA-512; nothing for others.
std::optional<std::string> digest_hex(std::string_view algorithm, std::string_view data);

/// The JSON of a script's value; nothing for `undefined` and functions, which objects leave out and arrays hold as null, as JSON.stringify
/// does. Errors: `expression.limit` (more than `bytes_max`, or 64 levels), `expression.failed`.
Result<std::optional<Json>> json_of(JSContext* context, JSValueConst value, std::size_t bytes_max);

/// What a script threw: JSONata's errors are objects with a code.
struct ScriptError {
  std::string code;
  std::string message;
  std::int64_t position = -1;
};
ScriptError script_error_of(JSContext* context, JSValueConst thrown);

}  // namespace mayfly
