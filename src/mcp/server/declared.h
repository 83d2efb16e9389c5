#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

/// What a project declares under `mcp:` of mayfly.yaml: sections "tools", "prompts", "resources", "templates", each an object of
/// definitions by name.
namespace mayfly::mcp {

inline constexpr std::string_view kSections[] = {"tools", "prompts", "resources", "templates"};

/// JSON Schema of one section: what all definitions have in common; `check_section` knows more.
std::string_view section_schema_text();
/// Errors: `mcp.invalid`, the message "/NAME/MEMBER: what is wrong".
Result<void> check_section(const std::string& section, const Json& definitions);

/// Names of a template's {variables}, in order. RFC 6570 level 1 only.
std::vector<std::string> template_variables(std::string_view uri_template);
/// The variables' decoded values when `uri` fits (a variable is never empty and has no '/').
std::optional<JsonObject> match_template(std::string_view uri_template, std::string_view uri);
/// `text` with each {name} of `values` filled in, in texts at any depth.
Json fill(const Json& value, const JsonObject& values);

}  // namespace mayfly::mcp
