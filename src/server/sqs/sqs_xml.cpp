#include "server/sqs/sqs_xml.h"

#include <algorithm>
#include <array>

namespace mayfly::sqs {
namespace {

struct Flattened {
  std::string_view member;    ///< of the JSON protocol
  std::string_view element;   ///< each item; "*": named after the operation
  std::string_view key = {};  ///< of a map: the name of the key's element
};
constexpr auto kFlattened = std::to_array<Flattened>({
    {"QueueUrls", "QueueUrl"},
    {"queueUrls", "QueueUrl"},
    {"Messages", "Message"},
    {"Attributes", "Attribute", "Name"},
    {"MessageAttributes", "MessageAttribute", "Name"},
    {"Tags", "Tag", "Key"},
    {"Successful", "*"},
    {"Failed", "BatchResultErrorEntry"},
    {"Results", "ListMessageMoveTasksResultEntry"},
});

void append_members(std::string& out, std::string_view operation, const JsonObject& object);

void append_value(std::string& out, std::string_view operation, std::string_view element, const Json& value) {
  out += "<" + std::string(element) + ">";
  if (const auto* object = value.if_object())
    append_members(out, operation, *object);
  else if (const auto* text = value.if_string())
    out += xml_text(*text);
  else
    out += to_text(value);
  out += "</" + std::string(element) + ">";
}

void append_member(std::string& out, std::string_view operation, std::string_view name, const Json& value) {
  const auto rule = std::ranges::find(kFlattened, name, &Flattened::member);
  if (rule == kFlattened.end()) return append_value(out, operation, name, value);
  const std::string element = rule->element == "*" ? std::string(operation) + "ResultEntry" : std::string(rule->element);
  if (const auto* list = value.if_array()) {
    for (const Json& item : *list) append_value(out, operation, element, item);
  } else if (const auto* map = value.if_object()) {
    for (const auto& item : *map) {
      out += "<" + element + ">";
      append_value(out, operation, rule->key, Json(item.key()));
      append_value(out, operation, "Value", item.value());
      out += "</" + element + ">";
    }
  }
}

void append_members(std::string& out, std::string_view operation, const JsonObject& object) {
  for (const auto& member : object) append_member(out, operation, member.key(), member.value());
}

}  // namespace

std::string xml_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\r': out += "&#xD;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string to_query_xml(std::string_view operation, HasResult has_result, const JsonObject& answer, std::string_view request_id) {
  const std::string name(operation);
  std::string out = "<?xml version=\"1.0\"?><" + name + "Response xmlns=\"" + std::string(kXmlNamespace) + "\">";
  if (has_result == HasResult::Yes) {
    out += "<" + name + "Result>";
    append_members(out, operation, answer);
    out += "</" + name + "Result>";
  }
  out += "<ResponseMetadata><RequestId>" + xml_text(request_id) + "</RequestId></ResponseMetadata></" + name + "Response>";
  return out;
}

}  // namespace mayfly::sqs
