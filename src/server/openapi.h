#pragma once

#include <string>

namespace mayfly {

/// The OpenAPI 3.1 document of every route, as JSON text.
const std::string& openapi_text();

}  // namespace mayfly
