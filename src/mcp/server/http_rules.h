#pragma once

#include "mcp/server/protocol.h"
#include "net/http.h"

/// What the Streamable HTTP transport asks of headers (2026-07-28: SEP-2243, SEP-2575), apart from any server.
namespace mayfly::mcp {

/// Versions that are spoken with sessions, newest first.
std::vector<std::string_view> session_versions();
bool is_session_version(std::string_view version);

/// True for a message of the stateless era: it says so itself, or its header names a version that has no sessions.
bool is_stateless(const net::Headers& headers, const JsonObject& params, std::string_view method);

/// A header's value without white space around it; "=?base64?…?=" decoded. Nothing: broken Base64, or bytes that are no UTF-8.
std::optional<std::string> header_value(std::string_view raw);

/// Checks MCP-Protocol-Version, Mcp-Method, Mcp-Name and what `_meta` must hold, and reads version, capabilities and log level into
/// `client`. The refusal, or nothing.
std::optional<Reply> read_envelope(const net::Headers& headers, std::string_view method, const JsonObject& params, Client* client);

/// Checks Mcp-Param-NAME of a tool's parameters that are marked with `x-mcp-header`, at any depth of `properties`.
std::optional<Reply> check_param_headers(const net::Headers& headers, const Json& input_schema, const JsonObject& arguments);

/// An Origin that may use a server that answers to `host` (RFC 6454): none, the same host, this machine's names where the server
/// is on this machine, or one of `allowed`. Against DNS rebinding.
bool is_origin_allowed(const net::Headers& headers, bool is_loopback, const std::vector<std::string>& allowed);

}  // namespace mayfly::mcp
