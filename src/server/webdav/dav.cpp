#include "server/webdav/dav.h"

#include <algorithm>
#include <array>

#include "base/json.h"
#include "workspace/paths.h"

namespace mayfly::webdav {
namespace {

constexpr std::size_t kTokensMax = 20'000;
constexpr std::string_view kTokenScheme = "opaquelocktoken:";

struct Rule {
  std::string_view code;
  int status;
};
constexpr auto kRules = std::to_array<Rule>({{"ws.not_found", 404},
                                             {"ws.forbidden", 403},
                                             {"ws.locked", 423},
                                             {"ws.lock_lost", 412},
                                             {"ws.conflict", 412},
                                             {"ws.exists", 412},
                                             {"ws.precondition_required", 428},
                                             {"ws.quota", 507},
                                             {"ws.invalid_path", 403},
                                             {"ws.invalid_name", 403},
                                             {"ws.invalid", 400},
                                             {"ws.not_empty", 409},
                                             {"ws.is_folder", 405},
                                             {"ws.not_folder", 409},
                                             {"ws.archived", 403},
                                             {"ws.too_large", 413},
                                             {"ws.range", 416},
                                             {"ws.busy", 503},
                                             {"blob.too_large", 413},
                                             {"blob.full", 507},
                                             {"http.body_too_large", 413},
                                             {"http.malformed", 400},
                                             {"http.truncated", 400},
                                             {"http.timeout", 408},
                                             {"auth.missing", 401},
                                             {"auth.invalid", 401},
                                             {"auth.expired", 401},
                                             {"auth.forbidden", 403},
                                             {"xml.invalid", 400},
                                             {"xml.too_deep", 400},
                                             {"xml.too_large", 413},
                                             {"dav.invalid_if", 400},
                                             {"dav.invalid", 400},
                                             {"dav.invalid_depth", 400},
                                             {"dav.other_host", 502},
                                             {"dav.precondition", 412},
                                             {"dav.forbidden", 403},
                                             {"dav.conflict", 409}});

std::string encode_path(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const auto end = std::min(path.find('/'), path.size());
    out += net::percent_encode(path.substr(0, end));
    if (end < path.size()) out += '/';
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return out;
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

}  // namespace

void KnownTokens::put(const std::string& lock, Entry entry, TimePoint now) {
  if (entries_.size() >= kTokensMax) std::erase_if(entries_, [&](const auto& item) { return item.second.expires <= now; });
  if (entries_.size() >= kTokensMax) entries_.erase(entries_.begin());
  entries_.insert_or_assign(lock, std::move(entry));
}

const KnownTokens::Entry* KnownTokens::find(const std::string& lock) const {
  const auto found = entries_.find(lock);
  return found == entries_.end() ? nullptr : &found->second;
}

std::string href_of(std::string_view workspace, std::string_view path, bool is_folder) {
  std::string out = "/dav/";
  if (workspace.empty()) return out;
  out += net::percent_encode(workspace) + encode_path(path);
  if (is_folder && !out.ends_with('/')) out += '/';
  return out;
}

Outcome<DavPath> parse_dav_path(std::string_view encoded) {
  constexpr std::string_view kRoot = "/dav";
  if (encoded != kRoot && !encoded.starts_with("/dav/")) return workspace::refuse("dav.other_host", "the URL is outside /dav/, where workspaces are");
  encoded.remove_prefix(kRoot.size());
  DavPath out;
  out.has_slash = encoded.ends_with('/');
  std::string path;
  while (!encoded.empty()) {
    encoded.remove_prefix(1);
    const auto end = std::min(encoded.find('/'), encoded.size());
    auto name = net::percent_decode(encoded.substr(0, end), false);
    encoded.remove_prefix(end);
    // An encoded slash would be taken for a border between names.
    if (!name || !is_utf8(*name) || name->find('/') != std::string::npos || std::ranges::any_of(*name, is_control))
      return workspace::refuse("ws.invalid_path", "a name in the URL is not percent-encoded UTF-8, or holds a slash or a control character; rename it");
    if (name->empty()) continue;
    if (out.workspace.empty()) {
      out.workspace = std::move(*name);
    } else {
      path += "/" + *name;
    }
  }
  auto normal = workspace::normal_path(path.empty() ? "/" : path);
  if (!normal) return std::unexpected(normal.error());
  out.path = std::move(*normal);
  return out;
}

Outcome<DavPath> parse_dav_url(std::string_view url, const net::Headers& headers) {
  const auto scheme = url.find("://");
  if (!url.starts_with('/')) {
    if (scheme == std::string_view::npos) return workspace::refuse("dav.invalid", "the URL must be absolute, like http://HOST/dav/WORKSPACE/NAME");
    url.remove_prefix(scheme + 3);
    const auto end = std::min(url.find('/'), url.size());
    const std::string_view host = url.substr(0, end);
    if (!net::equal_ignoring_case(host, headers.get("host")))
      return workspace::refuse("dav.other_host", "the URL names another host than this one; files move and are copied only within this server");
    url.remove_prefix(end);
  }
  return parse_dav_path(url.substr(0, url.find_first_of("?#")));
}

Outcome<Depth> read_depth(const net::Headers& headers, Depth otherwise) {
  const auto text = headers.find("depth");
  if (!text) return otherwise;
  if (*text == "0") return Depth::Zero;
  if (*text == "1") return Depth::One;
  if (net::equal_ignoring_case(*text, "infinity")) return Depth::Infinity;
  return workspace::refuse("dav.invalid_depth", "the header Depth must be 0, 1 or infinity");
}

std::string status_line(int status) { return "HTTP/1.1 " + std::to_string(status) + " " + std::string(net::reason_phrase(status)); }

net::Response error_answer(int status, std::string_view condition, std::string_view message, std::string_view href) {
  net::Response out;
  out.status = status;
  out.headers.add("Content-Type", "application/xml; charset=utf-8");
  out.body = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:error xmlns:D=\"DAV:\">";
  if (!condition.empty()) {
    const std::string name = "D:" + std::string(condition);
    out.body += href.empty() ? "<" + name + "/>" : "<" + name + "><D:href>" + escape_xml(href) + "</D:href></" + name + ">";
  }
  out.body += "<m:message xmlns:m=\"urn:mayfly:dav\">" + escape_xml(message) + "</m:message></D:error>\n";
  return out;
}

int dav_status(std::string_view code) {
  const auto found = std::ranges::find(kRules, code, &Rule::code);
  return found == kRules.end() ? 500 : found->status;
}

bool is_missing(const workspace::Refusal& refusal) { return refusal.code == "ws.not_found"; }

net::Response refusal_answer(const workspace::Refusal& refusal) {
  const int status = refusal.retry == Retry::Safe && dav_status(refusal.code) == 500 ? 503 : dav_status(refusal.code);
  std::string_view condition;
  if (status == 423) condition = "lock-token-submitted";
  if (refusal.code == "ws.quota") condition = "quota-not-exceeded";
  net::Response out = error_answer(status, condition, refusal.message, get_string(refusal.details, "href"));
  if (status == 401) out.headers.add("WWW-Authenticate", "Basic realm=\"Mayfly: an API key is the password\", charset=\"UTF-8\"");
  if (status == 503) out.headers.add("Retry-After", "1");
  return out;
}

std::string multistatus_begin() { return "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:multistatus xmlns:D=\"DAV:\">"; }
std::string multistatus_end() { return "</D:multistatus>\n"; }

std::string status_response(std::string_view href, int status, std::string_view condition) {
  std::string out = "<D:response><D:href>" + escape_xml(href) + "</D:href><D:status>" + status_line(status) + "</D:status>";
  if (!condition.empty()) out += "<D:error><D:" + std::string(condition) + "/></D:error>";
  return out + "</D:response>";
}

std::string token_uri(std::string_view token) { return std::string(kTokenScheme) + std::string(token); }

std::string token_of_uri(std::string_view uri) {
  if (!uri.starts_with(kTokenScheme)) return {};
  return std::string(uri.substr(kTokenScheme.size()));
}

workspace::WriteOptions write_options(std::string token) {
  workspace::WriteOptions out;
  out.when.lock_token = std::move(token);
  out.when.force = true;
  out.make_folders = false;
  return out;
}

}  // namespace mayfly::webdav
