#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mayfly::webdav {

/// One thing that must (or must not) hold of a resource.
struct IfCondition {
  enum class Kind { Token, Etag } kind = Kind::Token;
  bool negated = false;
  std::string value;  ///< a state token's URI; an entity tag with its quotes, weak ones with W/
};

/// All of `conditions` must hold of `resource`: a URL as sent, or empty for the request's own.
struct IfList {
  std::string resource;
  std::vector<IfCondition> conditions;
};

/// The If header (RFC 4918 §10.4): one of the lists must hold. Either all are tagged with a resource or none. Error: `dav.invalid_if`.
Result<std::vector<IfList>> parse_if(std::string_view text);
/// Every state token that occurs: what the client shows it holds (§6.3), whether or not its list holds.
std::vector<std::string> submitted_tokens(const std::vector<IfList>& lists);

}  // namespace mayfly::webdav
