#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "base/json.h"

namespace mayfly {

/// The value of a scalar under the YAML 1.2 core schema (YAML 1.2.2, section 10.3.2). `tag` is yaml-cpp's: "?" for a plain scalar,
/// "!" for a quoted one, else the full tag. The error is a sentence without position.
std::expected<Json, std::string> resolve_yaml_scalar(std::string_view tag, std::string_view text);

}  // namespace mayfly
