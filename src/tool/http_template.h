#pragma once

#include <expected>
#include <string>
#include <vector>

#include "tool/http_tool.h"
#include "tool/url_template.h"

namespace mayfly {

/// A header value with ${NAME} references to the environment.
class HeaderTemplate {
 public:
  /// Error: `tool.invalid`.
  static Result<HeaderTemplate> parse(std::string name, std::string_view value);
  const std::string& name() const { return name_; }
  /// The value; what came from the environment is added to `redactor`. Errors: `tool.missing_variable`, `tool.bad_variable`.
  Result<std::string> render(const EnvLookup& env, Redactor& redactor) const;

 private:
  std::string name_;
  std::vector<TextTemplate::Part> parts_;  // a "parameter" is a variable's name
};

/// The checked, parsed form of what an HTTP tool sends.
class HttpTemplate {
 public:
  /// Errors: `tool.invalid`.
  static Result<HttpTemplate> parse(const HttpToolOptions& options);
  /// The address for these arguments, or a sentence for the model.
  std::expected<std::string, std::string> url(const JsonObject& arguments) const;
  /// The JSON text of the arguments that the address does not use.
  std::string body(const JsonObject& arguments) const;
  const std::vector<HeaderTemplate>& headers() const { return headers_; }

 private:
  Result<void> check_parameters(const Json& schema) const;

  UrlTemplate url_;
  std::vector<std::pair<std::string, TextTemplate>> query_;
  std::vector<HeaderTemplate> headers_;
  std::set<std::string> used_;
};

}  // namespace mayfly
