#include "mcp/server/http_rules.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/hash.h"

namespace mayfly::mcp {
namespace {

constexpr auto kSessionVersions = std::to_array<std::string_view>({kVersionSessions, "2025-06-18", "2025-03-26"});
constexpr std::string_view kBase64Head = "=?base64?", kBase64Tail = "?=";
constexpr int kSchemaDepthMax = 16;

Reply mismatch(std::string message) { return Reply::error(rpc_code::kHeaderMismatch, std::move(message), std::nullopt, 400); }
Reply invalid(std::string message) { return Reply::error(rpc_code::kInvalidParams, std::move(message), std::nullopt, 400); }

std::string_view trim(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

/// The name-shaped parameter that Mcp-Name repeats.
std::string_view name_key(std::string_view method) {
  if (method == "tools/call" || method == "prompts/get") return "name";
  if (method == "resources/read") return "uri";
  if (method == "tasks/get" || method == "tasks/update" || method == "tasks/cancel") return "taskId";
  return {};
}

std::optional<Reply> check_name(const net::Headers& headers, std::string_view method, const JsonObject& params) {
  const std::string_view key = name_key(method);
  if (key.empty()) return std::nullopt;
  const auto* wanted = get(params, key);
  if (!wanted || !wanted->is_string()) return std::nullopt;  // the method itself says what is missing
  const auto given = headers.find("mcp-name");
  if (!given) return mismatch(fmt::format("the header Mcp-Name is missing: it repeats params.{}", key));
  const auto value = header_value(*given);
  if (!value || *value != wanted->get_string()) return mismatch(fmt::format("the header Mcp-Name differs from params.{}", key));
  return std::nullopt;
}

/// The text of a parameter as a header shows it; nothing for what no header shows.
std::optional<std::string> shown(const Json& value) {
  if (const auto* text = value.if_string()) return std::string(*text);
  if (value.is_bool()) return value.get_bool() ? "true" : "false";
  if (value.is_number()) return to_text(value);
  return std::nullopt;
}

std::optional<Reply> check_properties(const net::Headers& headers, const JsonObject& schema, const JsonObject& arguments, int depth) {
  const auto* properties = get_object(schema, "properties");
  if (!properties || depth > kSchemaDepthMax) return std::nullopt;
  for (const auto& member : *properties) {
    const auto* property = member.value().if_object();
    if (!property) continue;
    const Json* argument = get(arguments, member.key());
    const std::string header = get_string(*property, "x-mcp-header");
    if (header.empty()) {
      const auto* inner = argument ? argument->if_object() : nullptr;
      static const JsonObject kNone;
      if (auto refused = check_properties(headers, *property, inner ? *inner : kNone, depth + 1)) return refused;
      continue;
    }
    const std::string name = "Mcp-Param-" + header;
    const auto given = headers.find(name);
    const auto wanted = argument && !argument->is_null() ? shown(*argument) : std::nullopt;
    if (!given && !wanted) continue;
    if (!given) return mismatch(fmt::format("the header {} is missing: it repeats the argument {}", name, std::string(member.key())));
    const auto value = header_value(*given);
    if (!value) return mismatch(fmt::format("the header {} is not valid Base64 of a text", name));
    if (!wanted || *value != *wanted)
      return mismatch(fmt::format("the header {} differs from the argument {}", name, std::string(member.key())));
  }
  return std::nullopt;
}

std::string_view host_of_origin(std::string_view origin) {
  const auto begin = origin.find("://");
  return begin == std::string_view::npos ? std::string_view() : origin.substr(begin + 3);
}
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, std::min(host.find(']'), host.size() - 1) + 1);
  return host.substr(0, host.find(':'));
}

}  // namespace

std::vector<std::string_view> session_versions() { return {kSessionVersions.begin(), kSessionVersions.end()}; }
bool is_session_version(std::string_view version) { return std::ranges::find(kSessionVersions, version) != kSessionVersions.end(); }

bool is_stateless(const net::Headers& headers, const JsonObject& params, std::string_view method) {
  const auto* meta = get_object(params, "_meta");
  if (meta && meta->contains(kProtocolVersionKey)) return true;
  const auto version = headers.find("mcp-protocol-version");
  if (!version) return method == "server/discover" || headers.find("mcp-method").has_value();
  if (is_session_version(trim(*version)) || headers.find("mcp-session-id")) return false;
  return method != "initialize" || trim(*version) == kVersionStateless;
}

std::optional<std::string> header_value(std::string_view raw) {
  raw = trim(raw);
  if (raw.size() < kBase64Head.size() + kBase64Tail.size() || !raw.starts_with(kBase64Head) || !raw.ends_with(kBase64Tail))
    return std::string(raw);
  raw.remove_prefix(kBase64Head.size());
  raw.remove_suffix(kBase64Tail.size());
  auto decoded = from_base64(raw);
  if (!decoded || !is_utf8(*decoded)) return std::nullopt;
  return decoded;
}

std::optional<Reply> read_envelope(const net::Headers& headers, std::string_view method, const JsonObject& params, Client* client) {
  const auto version = headers.find("mcp-protocol-version");
  if (!version) return mismatch("the header MCP-Protocol-Version is missing: it repeats the version in _meta");
  static const JsonObject kNone;
  const auto* given = get_object(params, "_meta");
  const JsonObject& meta = given ? *given : kNone;
  const auto* wanted = get(meta, kProtocolVersionKey);
  // Headers first: whoever routes by them must be able to trust them.
  const auto named = headers.find("mcp-method");
  if (!named) return mismatch("the header Mcp-Method is missing: it repeats the method");
  if (trim(*named) != method) return mismatch("the header Mcp-Method differs from the method");
  if (!wanted || !wanted->is_string()) return invalid(fmt::format("params._meta needs {}, a text", kProtocolVersionKey));
  if (std::string_view(wanted->get_string()) != trim(*version))
    return mismatch("the header MCP-Protocol-Version differs from the version in _meta");
  client->stateless = true;
  client->version = std::string(wanted->get_string());
  if (client->version != kVersionStateless)
    return Reply::error(rpc_code::kUnsupportedProtocolVersion, "this server does not speak the protocol version " + client->version,
                        JsonObject{{"supported", JsonArray{kVersionStateless}}, {"requested", client->version}}, 400);
  const auto* capabilities = get_object(meta, kClientCapabilitiesKey);
  if (!capabilities) return invalid(fmt::format("params._meta needs {}, an object", kClientCapabilitiesKey));
  client->capabilities = *capabilities;
  client->log_level = get_string(meta, kLogLevelKey);
  return check_name(headers, method, params);
}

std::optional<Reply> check_param_headers(const net::Headers& headers, const Json& input_schema, const JsonObject& arguments) {
  const auto* schema = input_schema.if_object();
  return schema ? check_properties(headers, *schema, arguments, 0) : std::nullopt;
}

bool is_origin_allowed(const net::Headers& headers, bool is_loopback, const std::vector<std::string>& allowed) {
  const auto origin = headers.find("origin");
  if (!origin) return true;
  const std::string_view host = host_of_origin(trim(*origin));
  if (host.empty()) return false;
  for (const std::string& each : allowed)
    if (net::equal_ignoring_case(each, *origin) || net::equal_ignoring_case(each, host) ||
        net::equal_ignoring_case(each, without_port(host)))
      return true;
  if (is_loopback)
    return std::ranges::any_of(std::array<std::string_view, 3>{"localhost", "127.0.0.1", "[::1]"},
                               [&](std::string_view name) { return net::equal_ignoring_case(name, without_port(host)); });
  return net::equal_ignoring_case(host, headers.get("host"));
}

}  // namespace mayfly::mcp
