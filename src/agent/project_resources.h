#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "agent/project_reader.h"

/// The parts of a mayfly.yaml that belong to other modules: each has a schema and a reader of its own.
namespace mayfly::agent {

/// One kind of resource: a top-level key of mayfly.yaml that maps names to definitions, and a path of the API.
struct ResourceKind {
  std::string_view key;          ///< "queues"
  std::string_view description;  ///< of the key, for the schema
  std::string_view name_pattern;
  std::string_view (*schema)();  ///< of one definition, without references to outside
  /// Error: its message starts with the JSON Pointer of what is wrong and ": ".
  Result<void> (*check)(const std::string& name, const Json& definition);
};
/// In the order in which they are deployed: what another kind may name comes first.
std::span<const ResourceKind> resource_kinds();

/// All definitions of the file, by kind and name; problems are reported at their place.
std::map<std::string, JsonObject> read_resources(ProjectReader& reader);

/// The schema without resources (project_schema.cpp); `project_schema_text` is the whole.
std::string_view project_schema_base_text();

}  // namespace mayfly::agent
