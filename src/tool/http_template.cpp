#include "tool/http_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace mayfly {
namespace {

constexpr std::size_t kFieldsMax = 64;
constexpr std::size_t kHeaderBytesMax = 16 * 1024;
constexpr std::size_t kQueryBytesMax = 16 * 1024;
constexpr std::array<std::string_view, 10> kOwnHeaders{
    "host", "content-length", "transfer-encoding", "connection", "idempotency-key", "traceparent", "upgrade", "expect", "te", "trailer"};

bool is_token(std::string_view name) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !name.empty() && name.size() <= 256 && std::ranges::all_of(name, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || kMarks.find(c) != std::string_view::npos;
  });
}

bool is_field_value(std::string_view value) {
  return std::ranges::none_of(value, [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; });
}

bool is_one_placeholder(const TextTemplate& text) { return text.parts().size() == 1 && text.parts().front().is_parameter; }

std::expected<std::string, std::string> render_text(const TextTemplate& text, const JsonObject& arguments) {
  std::string out;
  for (const TextTemplate::Part& part : text.parts()) {
    if (!part.is_parameter) {
      out += part.text;
      continue;
    }
    auto value = scalar_text(get(arguments, part.text), part.text);
    if (!value) return std::unexpected(value.error());
    if (!*value) return std::unexpected(fmt::format("The argument \"{}\" is missing; the address needs it.", part.text));
    out += **value;
  }
  return out;
}

/// The values of one query parameter: none, one, or one for each element.
std::expected<std::vector<std::string>, std::string> render_values(const TextTemplate& text, const JsonObject& arguments) {
  std::vector<std::string> out;
  if (!is_one_placeholder(text)) {
    auto value = render_text(text, arguments);
    if (!value) return std::unexpected(value.error());
    out.push_back(*std::move(value));
    return out;
  }
  const std::string& name = text.parts().front().text;
  const Json* argument = get(arguments, name);
  const JsonArray* elements = argument != nullptr ? argument->if_array() : nullptr;
  const std::size_t count = elements != nullptr ? elements->size() : 1;
  for (std::size_t i = 0; i < count; ++i) {
    auto value = scalar_text(elements != nullptr ? &(*elements)[i] : argument, name);
    if (!value) return std::unexpected(value.error());
    if (*value) out.push_back(**std::move(value));
  }
  return out;
}

}  // namespace

Result<HeaderTemplate> HeaderTemplate::parse(std::string name, std::string_view value) {
  const auto invalid = [&](std::string_view why) {
    return fail("tool.invalid", fmt::format("the header \"{}\" {}", name.substr(0, 100), why));
  };
  if (!is_token(name)) return invalid("has a name that HTTP does not allow: use letters, digits and '-'");
  if (std::ranges::any_of(kOwnHeaders, [&](std::string_view own) { return net::equal_ignoring_case(own, name); })) {
    return invalid("is set by Mayfly: take it out");
  }
  if (value.size() > kHeaderBytesMax || !is_field_value(value))
    return invalid("has a value with a control character, or one that is too long");
  HeaderTemplate out;
  while (!value.empty()) {
    const std::size_t open = std::min(value.find("${"), value.size());
    if (open > 0) out.parts_.push_back({std::string(value.substr(0, open))});
    value.remove_prefix(open);
    if (value.empty()) break;
    const std::size_t close = value.find('}');
    if (close == std::string_view::npos || !is_env_name(value.substr(2, close - 2)))
      return invalid("must name a variable like ${API_TOKEN}");
    out.parts_.push_back({std::string(value.substr(2, close - 2)), true});
    value.remove_prefix(close + 1);
  }
  out.name_ = std::move(name);
  return out;
}

Result<std::string> HeaderTemplate::render(const EnvLookup& env, Redactor& redactor) const {
  std::string out;
  for (const TextTemplate::Part& part : parts_) {
    if (!part.is_parameter) {
      out += part.text;
      continue;
    }
    auto value = env(part.text);
    if (!value) {
      return fail(
          "tool.missing_variable",
          fmt::format("the header {} wants the environment variable {}, which is not set: set it for the server", name_, part.text));
    }
    while (value->ends_with('\n') || value->ends_with('\r')) value->pop_back();
    if (!is_field_value(*value) || value->size() > kHeaderBytesMax) {
      return fail("tool.bad_variable",
                  fmt::format("the environment variable {} cannot be a part of the header {}: it holds a line break or "
                              "another control character, or is too long",
                              part.text, name_));
    }
    redactor.add(*value);
    out += *value;
  }
  return out;
}

Result<HttpTemplate> HttpTemplate::parse(const HttpToolOptions& options) {
  HttpTemplate out;
  if (options.headers.size() > kFieldsMax || options.query.size() > kFieldsMax) {
    return fail("tool.invalid", fmt::format("more than {} headers or query parameters", kFieldsMax));
  }
  auto url = UrlTemplate::parse(options.url);
  if (!url) return fail(url.error());
  out.url_ = *std::move(url);
  out.used_ = out.url_.parameters();
  for (const auto& [name, value] : options.query) {
    auto text = TextTemplate::parse(value);
    if (!text) return fail(text.error());
    out.used_.merge(text->parameters());
    out.query_.emplace_back(name, *std::move(text));
  }
  for (const auto& [name, value] : options.headers) {
    auto header = HeaderTemplate::parse(name, value);
    if (!header) return fail(header.error());
    out.headers_.push_back(*std::move(header));
  }
  if (const auto ok = out.check_parameters(options.parameters); !ok) return fail(ok.error());
  return out;
}

Result<void> HttpTemplate::check_parameters(const Json& schema) const {
  const JsonObject* object = schema.if_object();
  const JsonObject* properties = object != nullptr ? get_object(*object, "properties") : nullptr;
  if (properties == nullptr) return {};
  for (const std::string& name : used_) {
    if (!properties->contains(name)) {
      return fail("tool.invalid", fmt::format("the placeholder {{{}}} is not among the parameters: declare it or correct its name", name));
    }
  }
  return {};
}

std::expected<std::string, std::string> HttpTemplate::url(const JsonObject& arguments) const {
  auto url = url_.render(arguments);
  if (!url) return url;
  std::string query;
  for (const auto& [name, text] : query_) {
    const auto values = render_values(text, arguments);
    if (!values) return std::unexpected(values.error());
    for (const std::string& value : *values) {
      query += fmt::format("&{}={}", net::percent_encode(name), net::percent_encode(value));
      if (query.size() > kQueryBytesMax)
        return std::unexpected(fmt::format("The arguments make a query of more than {} bytes; shorten them.", kQueryBytesMax));
    }
  }
  if (query.empty()) return url;
  if (url->ends_with('?')) return *url + query.substr(1);
  if (!url_.has_query()) query.front() = '?';
  return *url + query;
}

std::string HttpTemplate::body(const JsonObject& arguments) const {
  JsonObject rest;
  for (const auto& [name, value] : arguments) {
    if (!used_.contains(std::string(name))) rest.emplace(name, value);
  }
  return to_text(rest);
}

}  // namespace mayfly
