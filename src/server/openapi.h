#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

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

/// The operations of one tag, with the schemas that only they refer to; each group has a file openapi_TAG.cpp of its own.
struct EndpointGroup {
  std::string_view tag;
  std::string_view description;
  std::span<const Endpoint> endpoints;
  std::string_view schemas;  ///< a JSON object of JSON Schemas by name
};
EndpointGroup queue_endpoints();
EndpointGroup schedule_endpoints();
EndpointGroup trigger_endpoints();
EndpointGroup workflow_endpoints();
EndpointGroup workspace_endpoints();
std::vector<EndpointGroup> endpoint_groups();

/// The schemas, parameters and responses that the operations refer to, as JSON text.
std::string_view openapi_components_text();
/// The OpenAPI 3.1 document of every route, as JSON text.
const std::string& openapi_text();

}  // namespace mayfly
