#include "server/webdav/xml.h"

#include <expat.h>

#include <algorithm>

namespace mayfly::webdav {
namespace {

constexpr char kSeparator = '\x1f';
constexpr std::string_view kXmlSpace = "http://www.w3.org/XML/1998/namespace";

XmlName name_of(const char* expanded) {
  const std::string_view text(expanded);
  const auto at = text.rfind(kSeparator);
  if (at == std::string_view::npos) return {{}, std::string(text)};
  return {std::string(text.substr(0, at)), std::string(text.substr(at + 1))};
}

/// What expat's callbacks fill in. `open` holds the elements that have not ended, outermost first.
struct Building {
  XML_Parser parser = nullptr;
  std::vector<XmlNode> open;
  XmlNode root;
  std::size_t elements = 0;
  Error error;

  void stop(std::string code, std::string message) {
    if (error.code.empty()) error = {std::move(code), std::move(message), Retry::Never};
    XML_StopParser(parser, XML_FALSE);
  }
};

Building& building_of(void* data) { return *static_cast<Building*>(data); }

void XMLCALL on_start(void* data, const XML_Char* name, const XML_Char** attributes) {
  Building& in = building_of(data);
  if (in.open.size() >= kXmlDepthMax) return in.stop("xml.too_deep", "the XML is nested more than 32 elements deep; send a flatter document");
  if (++in.elements > kXmlElementsMax) return in.stop("xml.too_large", "the XML has more than 5,000 elements; send fewer at once");
  XmlNode node;
  node.name = name_of(name);
  for (; *attributes; attributes += 2) node.attributes.push_back({name_of(attributes[0]), attributes[1]});
  in.open.push_back(std::move(node));
}

void XMLCALL on_end(void* data, const XML_Char*) {
  Building& in = building_of(data);
  if (in.open.empty()) return;
  XmlNode done = std::move(in.open.back());
  in.open.pop_back();
  if (in.open.empty()) {
    in.root = std::move(done);
  } else {
    in.open.back().children.push_back(std::move(done));
  }
}

void XMLCALL on_text(void* data, const XML_Char* text, int length) {
  Building& in = building_of(data);
  if (in.open.empty()) return;
  auto& children = in.open.back().children;
  if (children.empty() || !children.back().is_text()) children.emplace_back();
  children.back().text.append(text, static_cast<std::size_t>(length));
}

void XMLCALL on_doctype(void* data, const XML_Char*, const XML_Char*, const XML_Char*, int) {
  building_of(data).stop("xml.invalid", "the XML has a document type, which is not taken here; send it without <!DOCTYPE …>");
}

void append_xml(std::string& out, const XmlNode& node, std::string_view space_around) {
  if (node.is_text()) {
    out += escape_xml(node.text);
    return;
  }
  out += "<" + node.name.name;
  if (node.name.space != space_around) out += " xmlns=\"" + escape_xml(node.name.space) + "\"";
  std::size_t count = 0;
  for (const XmlAttribute& attribute : node.attributes) {
    std::string prefix;
    if (attribute.name.space == kXmlSpace) {
      prefix = "xml:";
    } else if (!attribute.name.space.empty()) {
      const std::string declared = "a" + std::to_string(++count);
      out += " xmlns:" + declared + "=\"" + escape_xml(attribute.name.space) + "\"";
      prefix = declared + ":";
    }
    out += " " + prefix + attribute.name.name + "=\"" + escape_xml(attribute.value) + "\"";
  }
  if (node.children.empty()) {
    out += "/>";
    return;
  }
  out += ">";
  for (const XmlNode& child : node.children) append_xml(out, child, node.name.space);
  out += "</" + node.name.name + ">";
}

/// A namespace that no document can have, so that the outermost element always declares its own.
constexpr std::string_view kNowhere = "\x1f";

}  // namespace

const XmlNode* XmlNode::child(std::string_view dav_name) const {
  const auto found = std::ranges::find_if(children, [&](const XmlNode& node) { return node.name.is_dav(dav_name); });
  return found == children.end() ? nullptr : &*found;
}

std::vector<const XmlNode*> XmlNode::elements() const {
  std::vector<const XmlNode*> out;
  for (const XmlNode& node : children)
    if (!node.is_text()) out.push_back(&node);
  return out;
}

Result<XmlNode> parse_xml(std::string_view text) {
  if (text.size() > kXmlBytesMax) return fail("xml.too_large", "the XML has more than 256 KiB; send less at once");
  Building building;
  const std::unique_ptr<std::remove_pointer_t<XML_Parser>, decltype(&XML_ParserFree)> parser(XML_ParserCreateNS(nullptr, kSeparator),
                                                                                             &XML_ParserFree);
  if (!parser) return fail("xml.invalid", "there is no memory for XML; try again later", Retry::Safe);
  building.parser = parser.get();
  XML_SetUserData(parser.get(), &building);
  XML_SetElementHandler(parser.get(), on_start, on_end);
  XML_SetCharacterDataHandler(parser.get(), on_text);
  XML_SetStartDoctypeDeclHandler(parser.get(), on_doctype);
  const auto status = XML_Parse(parser.get(), text.data(), static_cast<int>(text.size()), XML_TRUE);
  if (!building.error.code.empty()) return fail(building.error);
  if (status != XML_STATUS_OK)
    return fail("xml.invalid", std::string("the XML cannot be read: ") + XML_ErrorString(XML_GetErrorCode(parser.get())) + " in line " +
                                   std::to_string(XML_GetCurrentLineNumber(parser.get())) + "; correct it and send it again");
  return std::move(building.root);
}

std::string to_xml(const XmlNode& node) {
  std::string out;
  append_xml(out, node, kNowhere);
  return out;
}

std::string escape_xml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\r': out += "&#13;"; break;
      case '\n': out += "&#10;"; break;
      case '\t': out += "&#9;"; break;
      default:
        // XML 1.0 cannot say other control characters at all.
        if (static_cast<unsigned char>(c) >= 0x20) out += c;
    }
  }
  return out;
}

std::string empty_element(const XmlName& name) {
  XmlNode node;
  node.name = name;
  return to_xml(node);
}

}  // namespace mayfly::webdav
