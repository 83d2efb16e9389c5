#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

/// The answers of SQS's older protocol ("query", API version 2012-11-05), made from those of the JSON protocol.
namespace mayfly::sqs {

inline constexpr std::string_view kXmlNamespace = "http://queue.amazonaws.com/doc/2012-11-05/";

/// Escaped for the content of an element; a carriage return too, which parsers would otherwise drop.
std::string xml_text(std::string_view text);

/// Whether an operation answers with more than that it was done.
enum class HasResult { No, Yes };
/// `<OPERATIONResponse>` with lists and maps flattened under the names of the query protocol.
std::string to_query_xml(std::string_view operation, HasResult has_result, const JsonObject& answer, std::string_view request_id);

}  // namespace mayfly::sqs
