#include "net/proxy_request.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "net/http.h"

namespace mayfly::net {
namespace {

constexpr std::size_t kFieldsMax = 256;

struct Field {
  std::string_view name;
  std::string_view value;
};

std::unexpected<Error> malformed(std::string why) { return fail("egress.malformed", std::move(why)); }

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
  });
}

bool is_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f); });
}

std::string_view trimmed(std::string_view text) {
  const auto first = std::min(text.find_first_not_of(" \t"), text.size());
  const auto last = text.find_last_not_of(" \t");
  return last == std::string_view::npos ? std::string_view() : text.substr(first, last - first + 1);
}

std::string_view take_line(std::string_view& text) {
  const auto end = std::min(text.find("\r\n"), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 2, text.size()));
  return line;
}

Result<std::vector<Field>> parse_fields(std::string_view text) {
  std::vector<Field> fields;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (line.empty()) break;
    const auto colon = std::min(line.find(':'), line.size());
    const Field field{line.substr(0, colon), trimmed(line.substr(std::min(colon + 1, line.size())))};
    if (colon == line.size() || !is_token(field.name) || !is_value(field.value)) return malformed("A header field is malformed.");
    if (fields.size() >= kFieldsMax) return malformed("The request has more than 256 header fields; send fewer.");
    fields.push_back(field);
  }
  return fields;
}

/// Fields of one connection (RFC 9110 §7.6.1), also those that Connection names.
bool is_hop_by_hop(std::string_view name, const std::vector<Field>& fields) {
  constexpr std::array<std::string_view, 8> kNames{"connection", "proxy-connection",    "keep-alive", "te",
                                                   "upgrade",    "proxy-authorization", "host",       "trailer"};
  if (std::any_of(kNames.begin(), kNames.end(), [&](std::string_view known) { return equal_ignoring_case(name, known); })) return true;
  if (equal_ignoring_case(name, "content-length") || equal_ignoring_case(name, "transfer-encoding")) return false;
  for (const Field& field : fields) {
    if (!equal_ignoring_case(field.name, "connection")) continue;
    for (std::string_view rest = field.value; !rest.empty();) {
      const auto comma = std::min(rest.find(','), rest.size());
      if (equal_ignoring_case(trimmed(rest.substr(0, comma)), name)) return true;
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  return false;
}

Result<void> read_framing(ProxyRequest& request, const std::vector<Field>& fields, bool is_http10) {
  int lengths = 0;
  for (const Field& field : fields) {
    if (equal_ignoring_case(field.name, "transfer-encoding")) {
      if (request.is_chunked || is_http10 || !equal_ignoring_case(field.value, "chunked")) {
        return malformed("The only supported Transfer-Encoding is chunked, once, in HTTP/1.1.");
      }
      request.is_chunked = true;
    } else if (equal_ignoring_case(field.name, "content-length")) {
      const char* const end = field.value.data() + field.value.size();
      const auto [stop, error] = std::from_chars(field.value.data(), end, request.content_length);
      if (error != std::errc{} || stop != end || field.value.empty()) return malformed("Content-Length is not a number.");
      ++lengths;
    }
  }
  if (lengths > 1 || (lengths == 1 && request.is_chunked))
    return malformed("Content-Length is repeated or stands beside Transfer-Encoding.");
  return {};
}

Result<ProxyRequest> parse_tunnel(std::string_view authority) {
  const bool is_plain = authority.find_first_of("/?#@\\%") == std::string_view::npos;
  const auto colon = authority.rfind(':');
  const std::string_view port = colon == std::string_view::npos ? std::string_view() : authority.substr(colon + 1);
  if (!is_plain || port.empty() || port.find_first_not_of("0123456789") != std::string_view::npos) {
    return malformed("CONNECT needs host:port, for example CONNECT api.example.com:443.");
  }
  auto target = parse_target("http://" + std::string(authority) + "/");
  if (!target) return malformed("CONNECT needs host:port. " + target.error().message);
  ProxyRequest request;
  request.target = std::move(*target);
  return request;
}

Result<ProxyRequest> parse_forward(std::string_view method, std::string_view url, std::string_view version,
                                   const std::vector<Field>& fields) {
  if (url.starts_with('/') || url == "*") {
    return malformed(
        "This is Mayfly's egress proxy, not a web server: send it absolute http URLs or CONNECT (set HTTP_PROXY and HTTPS_PROXY).");
  }
  auto target = parse_target(url);
  if (!target) return malformed("The request target is no absolute http URL. " + target.error().message);
  if (target->scheme != "http") return malformed("https URLs go through CONNECT, so that the proxy cannot read them; set HTTPS_PROXY.");
  if (url.find('#') != std::string_view::npos) return malformed("The request target holds a fragment (#); drop it.");
  ProxyRequest request;
  request.kind = ProxyRequest::Kind::Forward;
  if (const auto framed = read_framing(request, fields, version == "HTTP/1.0"); !framed) return fail(framed.error());
  const auto path_at = std::min(url.find_first_of("/?", url.find("://") + 3), url.size());
  const std::string_view path = url.substr(path_at);
  const bool is_v6 = target->literal && target->literal->is_v6();
  std::string& head = request.head;
  head.append(method).append(path.starts_with('/') ? " " : " /").append(path).append(" ").append(version).append("\r\nHost: ");
  head.append(is_v6 ? "[" + target->host + "]" : target->host);
  if (target->port != 80) head.append(":").append(std::to_string(target->port));
  for (const Field& field : fields) {
    if (!is_hop_by_hop(field.name, fields)) head.append("\r\n").append(field.name).append(": ").append(field.value);
  }
  head += "\r\nConnection: close\r\n\r\n";
  request.target = std::move(*target);
  return request;
}

}  // namespace

Result<ProxyRequest> parse_proxy_request(std::string_view head) {
  const std::string_view line = take_line(head);
  const auto first = std::min(line.find(' '), line.size()), last = line.rfind(' ');
  const std::string_view method = line.substr(0, first);
  if (!is_token(method) || last == std::string_view::npos || last <= first) return malformed("The request line is malformed.");
  const std::string_view target = line.substr(first + 1, last - first - 1), version = line.substr(last + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return malformed("The proxy speaks HTTP/1.1 and HTTP/1.0 only.");
  if (target.empty() || std::any_of(target.begin(), target.end(), [](char c) { return c <= ' ' || c > '~'; })) {
    return malformed("The request target is missing or holds forbidden bytes; percent-encode them.");
  }
  const auto fields = parse_fields(head);
  if (!fields) return fail(fields.error());
  return method == "CONNECT" ? parse_tunnel(target) : parse_forward(method, target, version, *fields);
}

}  // namespace mayfly::net
