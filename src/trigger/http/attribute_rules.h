#pragma once

#include <string>
#include <string_view>

/// What CloudEvents 1.0.2 §2.4 and the RFCs that it names demand of the values of attributes.
namespace mayfly::trigger {

/// RFC 3986: an absolute URI, or one relative to something. ASCII only; percent-encodings complete.
bool is_uri(std::string_view text);
bool is_uri_reference(std::string_view text);
/// RFC 2045 §5.1: "type/subtype" with parameters.
bool is_media_type(std::string_view text);
/// UTF-8 without control characters and noncharacters.
bool is_attribute_text(std::string_view text);
/// [a-z0-9]{1,20}, and none of the envelope's own names.
bool is_extension_name(std::string_view name);

std::string to_lower(std::string_view text);
/// Without parameters and white space, in lower case: "application/json".
std::string essence_of(std::string_view media_type);
/// The value of a parameter, unquoted, in lower case; empty: none.
std::string charset_of(std::string_view media_type);
/// "*/json" and "*/*+json" (JSON event format §3.1.1).
bool is_json_type(std::string_view media_type);
/// Types whose bytes are text for a person.
bool is_text_type(std::string_view media_type);

}  // namespace mayfly::trigger
