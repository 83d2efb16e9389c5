#pragma once

#include <expected>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace mayfly {

/// Text with {parameter} placeholders, filled with the arguments of a call.
class TextTemplate {
 public:
  struct Part {
    std::string text;  ///< literal, or the parameter's name
    bool is_parameter = false;
  };
  /// Error: `tool.invalid` (an unbalanced brace or a bad name).
  static Result<TextTemplate> parse(std::string_view text);
  const std::vector<Part>& parts() const { return parts_; }
  std::set<std::string> parameters() const;

 private:
  std::vector<Part> parts_;
};

/// The text of a scalar for a URL ("3", "true", "a b"); nothing for null and a missing one.
/// Error text (for the model): it is an object or array.
std::expected<std::optional<std::string>, std::string> scalar_text(const Json* value, std::string_view name);

/// An absolute http(s) URL with placeholders in its path and query, whose scheme and host no argument can change: each value is
/// percent-encoded (RFC 3986 §2.1, everything but unreserved characters), and a path value may not be empty, nor make a "." or ".."
/// segment, also not after a server has decoded it.
class UrlTemplate {
 public:
  /// Errors: `tool.invalid`.
  static Result<UrlTemplate> parse(std::string_view url);
  /// The URL, or a sentence for the model that says which argument is wrong.
  std::expected<std::string, std::string> render(const JsonObject& arguments) const;
  std::set<std::string> parameters() const;
  bool has_query() const { return has_query_; }

 private:
  std::expected<std::string, std::string> render_path(const JsonObject& arguments) const;

  std::string origin_;  // scheme://host[:port]
  TextTemplate path_;   // begins with '/'
  TextTemplate query_;  // without '?'
  bool has_query_ = false;
};

/// "scheme://host[:port]" in lower case; empty when `url` is not an absolute http(s) URL without user information.
std::string url_origin(std::string_view url);

/// Where a redirect leads (RFC 3986 §5.2, dot segments left to the server). Empty when it is malformed or leaves http(s).
std::string resolve_location(std::string_view base_url, std::string_view location);

}  // namespace mayfly
