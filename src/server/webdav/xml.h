#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// The XML that WebDAV clients send and what is kept of it (dead properties, owners of locks).
namespace mayfly::webdav {

inline constexpr std::size_t kXmlBytesMax = 256 * 1024;
inline constexpr std::size_t kXmlDepthMax = 32;
inline constexpr std::size_t kXmlElementsMax = 5'000;
inline constexpr std::string_view kDav = "DAV:";

struct XmlName {
  std::string space, name;
  bool operator==(const XmlName&) const = default;
  auto operator<=>(const XmlName&) const = default;
  bool is_dav(std::string_view other) const { return space == kDav && name == other; }
};

struct XmlAttribute {
  XmlName name;
  std::string value;
};

/// An element, or a piece of text (then `name.name` is empty).
struct XmlNode {
  XmlName name;
  std::vector<XmlAttribute> attributes;
  std::vector<XmlNode> children;
  std::string text;

  bool is_text() const { return name.name.empty(); }
  /// The first child element of that name in DAV:, or null.
  const XmlNode* child(std::string_view dav_name) const;
  /// The elements, without text between them.
  std::vector<const XmlNode*> elements() const;
};

/// The document's element. Namespaces are resolved; comments and processing instructions are dropped. A document type is refused, so that there
/// are no entities of its own. Errors: `xml.invalid`, `xml.too_large`, `xml.too_deep`.
Result<XmlNode> parse_xml(std::string_view text);

/// Text that declares every namespace it uses: it means the same wherever it is put.
std::string to_xml(const XmlNode& node);
std::string escape_xml(std::string_view text);
/// An empty element of that name.
std::string empty_element(const XmlName& name);

}  // namespace mayfly::webdav
