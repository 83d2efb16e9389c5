#pragma once

#include "server/webdav/dav.h"

namespace mayfly::webdav {

/// A resource whose properties are told.
struct Item {
  workspace::Node node;
  std::string href, display_name;
  std::vector<workspace::Lock> locks;  ///< that cover it
  std::optional<std::pair<std::int64_t, std::int64_t>> quota;  ///< of the workspace: bytes used, bytes left
};

struct AskedProperties {
  enum class Kind { All, Names, Listed } kind = Kind::All;
  std::vector<XmlName> names;  ///< Listed; or beside All (DAV:include)

  bool wants(std::string_view dav_name) const;
};
/// Of the body of a PROPFIND; an empty one asks for all.
Outcome<AskedProperties> read_propfind(std::string_view body);

/// The DAV:response element.
std::string describe(const Dav& dav, const AskedProperties& asked, const Item& item);

/// Those that the server makes and nobody sets.
bool is_live(const XmlName& name);
/// Where dead properties lie in a node's metadata: an object of elements as text, by "{namespace}name".
inline constexpr std::string_view kDeadProperties = "webdav";
std::string dead_key(const XmlName& name);

}  // namespace mayfly::webdav
