#pragma once

#include <span>
#include <string>
#include <string_view>

#include "server/auth.h"

namespace mayfly {

/// One operation of the API as the document describes it.
struct Endpoint {
  std::string_view method;
  std::string_view path;
  std::string_view id;
  std::string_view tag;
  Scopes scopes;
  std::string_view summary;
  std::string_view query;             ///< names of shared parameters, separated by spaces
  std::string_view body;              ///< name of a schema, or empty
  int status = 200;
  std::string_view result;            ///< name of a schema; "(text)", "(events)", "(lines)"; empty: no content
  std::string_view description = "";
};
std::span<const Endpoint> endpoints();

/// The schemas, parameters and responses that the operations refer to, as JSON text.
std::string_view openapi_components_text();
/// The OpenAPI 3.1 document of every route, as JSON text.
const std::string& openapi_text();

}  // namespace mayfly
