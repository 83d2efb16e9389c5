#include <charconv>

#include "telemetry/otlp.h"

namespace mayfly::telemetry {
namespace {

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::unexpected<Error> invalid(std::string_view variable, std::string_view what) {
  return fail("telemetry.invalid", std::string(variable) + " " + std::string(what));
}

Result<void> check_url(std::string_view variable, const std::string& url) {
  if (url.empty() || url.starts_with("http://") || url.starts_with("https://")) return {};
  return invalid(variable, "must be a URL like http://127.0.0.1:4318");
}

}  // namespace

std::string OtlpOptions::url() const {
  if (!traces_endpoint.empty()) return traces_endpoint;
  std::string_view base = endpoint;
  while (base.ends_with('/')) base.remove_suffix(1);
  return std::string(base) + "/v1/traces";
}

Result<std::vector<std::pair<std::string, std::string>>> parse_key_values(std::string_view text, std::string_view variable) {
  std::vector<std::pair<std::string, std::string>> out;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    const std::string_view entry = trim(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (entry.empty()) continue;
    const auto equals = entry.find('=');
    const std::string_view key = trim(entry.substr(0, equals));
    if (equals == std::string_view::npos || key.empty()) return invalid(variable, "must have the form key=value,key=value");
    // A property after ';' belongs to Baggage and has no meaning here.
    const std::string_view value = trim(entry.substr(equals + 1));
    auto decoded = net::percent_decode(value, false);
    if (!decoded) return invalid(variable, "holds a value with a malformed percent-encoding");
    if (decoded->find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
      return invalid(variable, "holds a value with a line break");
    out.emplace_back(key, std::move(*decoded));
    if (out.size() > 100) return invalid(variable, "holds more than 100 entries");
  }
  return out;
}

Result<OtlpOptions> otlp_options_from(const std::function<std::optional<std::string>(std::string_view)>& environment) {
  const auto read = [&](std::string_view name) { return environment(name).value_or(""); };
  OtlpOptions out;
  if (net::equal_ignoring_case(read("OTEL_SDK_DISABLED"), "true")) return out;
  constexpr std::string_view kBase = "OTEL_EXPORTER_OTLP_ENDPOINT", kTraces = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
  out.endpoint = read(kBase);
  out.traces_endpoint = read(kTraces);
  if (auto checked = check_url(kBase, out.endpoint); !checked) return fail(checked.error());
  if (auto checked = check_url(kTraces, out.traces_endpoint); !checked) return fail(checked.error());
  for (const std::string_view name : {"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"})
    if (read(name) == "grpc" && out.enabled())
      return invalid(name,
                     "asks for grpc, which Mayfly does not speak; set it to http/json and the endpoint to the receiver's HTTP port (4318)");
  for (const std::string_view name : {"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"}) {
    auto fields = parse_key_values(read(name), name);
    if (!fields) return fail(fields.error());
    for (auto& [key, value] : *fields) out.headers.set(key, std::move(value));
  }
  const std::string timeout = read("OTEL_EXPORTER_OTLP_TIMEOUT");
  if (!timeout.empty()) {
    std::int64_t ms = 0;
    const auto [end, error] = std::from_chars(timeout.data(), timeout.data() + timeout.size(), ms);
    if (error != std::errc{} || end != timeout.data() + timeout.size() || ms < 1 || ms > 600'000)
      return invalid("OTEL_EXPORTER_OTLP_TIMEOUT", "must be a number of milliseconds from 1 to 600000");
    out.timeout = Millis{ms};
  }
  auto resource = parse_key_values(read("OTEL_RESOURCE_ATTRIBUTES"), "OTEL_RESOURCE_ATTRIBUTES");
  if (!resource) return fail(resource.error());
  for (auto& [key, value] : *resource) {
    if (key == "service.name")
      out.service_name = value;
    else if (key == "service.version")
      out.service_version = value;
    else
      out.resource.emplace_back(key, std::move(value));
  }
  if (const std::string name = read("OTEL_SERVICE_NAME"); !name.empty()) out.service_name = name;
  return out;
}

}  // namespace mayfly::telemetry
