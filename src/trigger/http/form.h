#pragma once

#include "base/json.h"

namespace mayfly::trigger {

/// application/x-www-form-urlencoded (WHATWG URL §5.1), and the query of a URL: an object of texts; what is there several times is an array of
/// texts. At most 1,000 fields. Error: `form.invalid`.
Result<JsonObject> read_form(std::string_view text);

}  // namespace mayfly::trigger
