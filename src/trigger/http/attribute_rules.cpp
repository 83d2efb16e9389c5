#include "trigger/http/attribute_rules.h"

#include <algorithm>
#include <array>

#include "base/json.h"

namespace mayfly::trigger {
namespace {

bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_token_char(char c) { return is_alpha(c) || is_digit(c) || std::string_view("!#$%&'*+-.^_`|~").contains(c); }
bool is_token(std::string_view text) { return !text.empty() && std::ranges::all_of(text, is_token_char); }

/// RFC 3986 `pchar` without ':' and '@', percent-encodings included, and what `more` names.
bool all_allowed(std::string_view text, std::string_view more) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size() || !is_hex(text[i + 1]) || !is_hex(text[i + 2])) return false;
      i += 2;
    } else if (!is_alpha(c) && !is_digit(c) && !std::string_view("-._~!$&'()*+,;=").contains(c) && !more.contains(c)) {
      return false;
    }
  }
  return true;
}

bool is_scheme(std::string_view text) {
  return !text.empty() && is_alpha(text[0]) &&
         std::ranges::all_of(text, [](char c) { return is_alpha(c) || is_digit(c) || c == '+' || c == '-' || c == '.'; });
}

bool is_authority(std::string_view text) {
  if (const auto at = text.rfind('@'); at != std::string_view::npos) {
    if (!all_allowed(text.substr(0, at), ":")) return false;
    text.remove_prefix(at + 1);
  }
  std::string_view port;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos || end < 2 || !all_allowed(text.substr(1, end - 1), ":")) return false;
    port = text.substr(end + 1);
  } else {
    const auto colon = std::min(text.find(':'), text.size());
    if (!all_allowed(text.substr(0, colon), "")) return false;
    port = text.substr(colon);
  }
  return port.empty() || (port[0] == ':' && std::ranges::all_of(port.substr(1), is_digit));
}

/// Takes off what follows the first `mark`; nothing when there is no mark.
std::string_view take_tail(std::string_view* text, char mark) {
  const auto at = text->find(mark);
  if (at == std::string_view::npos) return {};
  const std::string_view tail = text->substr(at + 1);
  *text = text->substr(0, at);
  return tail;
}

enum class Scheme { Needed, Optional };

bool is_reference(std::string_view text, Scheme scheme) {
  const std::string_view fragment = take_tail(&text, '#'), query = take_tail(&text, '?');
  if (!all_allowed(fragment, ":@/?") || !all_allowed(query, ":@/?")) return false;
  const auto colon = text.substr(0, std::min(text.find('/'), text.size())).find(':');
  if (colon != std::string_view::npos) {
    if (!is_scheme(text.substr(0, colon))) return false;
    text.remove_prefix(colon + 1);
  } else if (scheme == Scheme::Needed) {
    return false;
  }
  if (text.starts_with("//")) {
    text.remove_prefix(2);
    const auto end = std::min(text.find('/'), text.size());
    if (!is_authority(text.substr(0, end))) return false;
    text.remove_prefix(end);
  }
  return all_allowed(text, ":@/");
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// One `name=value` from the front of what follows a ';'.
struct Parameter {
  std::string name, value;
};
bool take_parameter(std::string_view* rest, Parameter* out) {
  *rest = trimmed(*rest);
  const auto equals = rest->find('=');
  if (equals == std::string_view::npos || !is_token(rest->substr(0, equals))) return false;
  out->name = to_lower(rest->substr(0, equals));
  out->value.clear();
  rest->remove_prefix(equals + 1);
  if (!rest->starts_with('"')) {
    const auto end = std::min(rest->find(';'), rest->size());
    out->value = trimmed(rest->substr(0, end));
    rest->remove_prefix(end);
    return is_token(out->value);
  }
  std::size_t i = 1;
  for (; i < rest->size() && (*rest)[i] != '"'; ++i) {
    if ((*rest)[i] == '\\' && ++i == rest->size()) return false;
    out->value += (*rest)[i];
  }
  if (i == rest->size()) return false;
  *rest = trimmed(rest->substr(i + 1));
  return rest->empty() || rest->starts_with(';');
}

}  // namespace

bool is_uri(std::string_view text) { return !text.empty() && is_reference(text, Scheme::Needed); }
bool is_uri_reference(std::string_view text) { return is_reference(text, Scheme::Optional); }

bool is_media_type(std::string_view text) {
  const auto end = std::min(text.find(';'), text.size());
  const std::string_view name = trimmed(text.substr(0, end));
  const auto slash = name.find('/');
  if (slash == std::string_view::npos || !is_token(name.substr(0, slash)) || !is_token(name.substr(slash + 1))) return false;
  std::string_view rest = text.substr(end);
  Parameter parameter;
  while (!rest.empty()) {
    rest = trimmed(rest.substr(1));
    if (rest.empty()) return true;
    if (!take_parameter(&rest, &parameter)) return false;
  }
  return true;
}

bool is_attribute_text(std::string_view text) {
  if (!is_utf8(text)) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = [&](std::size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U; };
    const unsigned lead = byte(i);
    if (lead < 0x20 || lead == 0x7f) return false;
    if (lead == 0xc2 && byte(i + 1) < 0xa0) return false;                           // U+0080 … U+009F
    const bool ends_in_fe_ff = lead == 0xef && byte(i + 1) == 0xbf && byte(i + 2) >= 0xbe;  // U+FFFE, U+FFFF
    const bool is_arabic = lead == 0xef && byte(i + 1) == 0xb7 && byte(i + 2) >= 0x90 && byte(i + 2) <= 0xaf;  // U+FDD0 … U+FDEF
    const bool is_far = lead >= 0xf0 && (byte(i + 1) & 0x0fU) == 0x0fU && byte(i + 2) == 0xbf && byte(i + 3) >= 0xbe;  // U+nFFFE, U+nFFFF
    if (ends_in_fe_ff || is_arabic || is_far) return false;
  }
  return true;
}

bool is_extension_name(std::string_view name) {
  constexpr std::array<std::string_view, 10> kOwn{"id",   "source",          "specversion", "type",       "subject",
                                                  "time", "datacontenttype", "dataschema",  "data", "data_base64"};
  return !name.empty() && name.size() <= 20 && std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || is_digit(c); }) &&
         std::ranges::find(kOwn, name) == kOwn.end();
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::string essence_of(std::string_view media_type) { return to_lower(trimmed(media_type.substr(0, media_type.find(';')))); }

std::string charset_of(std::string_view media_type) {
  std::string_view rest = media_type.substr(std::min(media_type.find(';'), media_type.size()));
  Parameter parameter;
  while (!rest.empty()) {
    rest.remove_prefix(1);
    if (!take_parameter(&rest, &parameter)) return {};
    if (parameter.name == "charset") return to_lower(parameter.value);
  }
  return {};
}

bool is_json_type(std::string_view media_type) {
  const std::string essence = essence_of(media_type);
  return essence.ends_with("/json") || (essence.contains('/') && essence.ends_with("+json"));
}

bool is_text_type(std::string_view media_type) {
  const std::string essence = essence_of(media_type);
  return essence.starts_with("text/") || essence == "application/xml" || essence.ends_with("+xml") || essence == "application/javascript" ||
         essence == "application/yaml" || essence == "application/x-www-form-urlencoded" || essence == "application/x-ndjson";
}

}  // namespace mayfly::trigger
