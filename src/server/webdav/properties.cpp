#include "server/webdav/properties.h"

#include <algorithm>
#include <array>

#include "server/workspaces/send_file.h"

namespace mayfly::webdav {
namespace {

constexpr std::size_t kNamesMax = 1'000;
constexpr std::array<std::string_view, 11> kLive{"creationdate", "displayname",  "getcontentlength",      "getcontenttype",  "getetag", "getlastmodified",
                                                 "resourcetype", "lockdiscovery", "supportedlock", "quota-available-bytes", "quota-used-bytes"};

bool is_quota(std::string_view name) { return name.starts_with("quota-"); }

/// What stands inside the element; nothing: this resource has no such property.
std::optional<std::string> live_value(const Dav& dav, const Item& item, std::string_view name) {
  const workspace::Node& node = item.node;
  const bool is_folder = node.kind == workspace::NodeKind::Folder;
  if (name == "resourcetype") return is_folder ? "<D:collection/>" : "";
  if (name == "displayname") return escape_xml(item.display_name);
  if (name == "creationdate") return to_rfc3339(node.created);
  if (name == "getlastmodified") return to_http_date(node.modified);
  if (name == "supportedlock") return supported_lock();
  if (name == "lockdiscovery") return active_locks(dav, dav.at.workspace, item.locks);
  if (is_quota(name)) {
    if (!item.quota || !is_folder) return std::nullopt;
    return std::to_string(name == "quota-used-bytes" ? item.quota->first : item.quota->second);
  }
  if (is_folder) return std::nullopt;
  if (name == "getcontentlength") return std::to_string(node.size);
  if (name == "getcontenttype") return escape_xml(node.content_type.empty() ? "application/octet-stream" : node.content_type);
  if (name == "getetag") return escape_xml("\"" + node.etag + "\"");
  return std::nullopt;
}

std::string live_element(std::string_view name, std::string_view value) {
  const std::string tag = "D:" + std::string(name);
  return value.empty() ? "<" + tag + "/>" : "<" + tag + ">" + std::string(value) + "</" + tag + ">";
}

const JsonObject* dead_of(const Item& item) { return get_object(item.node.metadata, kDeadProperties); }

std::string names_only(const std::string& element) {
  const auto node = parse_xml(element);
  return node ? empty_element(node->name) : std::string();
}

std::string propstat(std::string_view properties, int status) {
  return "<D:propstat><D:prop>" + std::string(properties) + "</D:prop><D:status>" + status_line(status) + "</D:status></D:propstat>";
}

}  // namespace

bool is_live(const XmlName& name) { return name.space == kDav && std::ranges::find(kLive, name.name) != kLive.end(); }
std::string dead_key(const XmlName& name) { return "{" + name.space + "}" + name.name; }

bool AskedProperties::wants(std::string_view dav_name) const {
  if (kind == Kind::Names) return false;
  if (kind == Kind::All && !is_quota(dav_name)) return true;
  return std::ranges::any_of(names, [&](const XmlName& name) { return name.is_dav(dav_name); });
}

Outcome<AskedProperties> read_propfind(std::string_view body) {
  AskedProperties out;
  if (body.empty()) return out;
  const auto root = parse_xml(body);
  if (!root) return std::unexpected(root.error());
  const XmlNode* listed = root->child("prop");
  const bool is_names = root->child("propname"), is_all = root->child("allprop");
  if (!root->name.is_dav("propfind") || (listed != nullptr) + is_names + is_all != 1)
    return workspace::refuse("dav.invalid", "the body must be a DAV:propfind with one of allprop, propname and prop");
  if (is_names) out.kind = AskedProperties::Kind::Names;
  if (listed) out.kind = AskedProperties::Kind::Listed;
  if (is_all) listed = root->child("include");
  if (listed)
    for (const XmlNode* element : listed->elements()) out.names.push_back(element->name);
  if (out.names.size() > kNamesMax) return workspace::refuse("dav.invalid", "more than 1,000 properties are asked for; ask for fewer");
  return out;
}

std::string describe(const Dav& dav, const AskedProperties& asked, const Item& item) {
  std::string found, missing;
  const JsonObject* dead = dead_of(item);
  if (asked.kind != AskedProperties::Kind::Listed) {
    for (const std::string_view name : kLive) {
      if (asked.kind == AskedProperties::Kind::All && is_quota(name)) continue;
      if (const auto value = live_value(dav, item, name)) found += live_element(name, asked.kind == AskedProperties::Kind::All ? *value : "");
    }
    if (dead)
      for (const auto& member : *dead)
        if (const auto* text = member.value().if_string())
          found += asked.kind == AskedProperties::Kind::All ? std::string(*text) : names_only(std::string(*text));
  }
  for (const XmlName& name : asked.names) {
    if (is_live(name)) {
      if (asked.kind == AskedProperties::Kind::All && !is_quota(name.name)) continue;
      const auto value = live_value(dav, item, name.name);
      (value ? found : missing) += live_element(name.name, value.value_or(""));
      continue;
    }
    const std::string text = dead ? get_string(*dead, dead_key(name)) : std::string();
    (text.empty() ? missing : found) += text.empty() ? empty_element(name) : text;
  }
  std::string out = "<D:response><D:href>" + escape_xml(item.href) + "</D:href>";
  if (!found.empty() || missing.empty()) out += propstat(found, 200);
  if (!missing.empty()) out += propstat(missing, 404);
  return out + "</D:response>";
}

}  // namespace mayfly::webdav
