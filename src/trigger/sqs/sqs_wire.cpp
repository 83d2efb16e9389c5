#include "trigger/sqs/sqs_wire.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "base/assert.h"
#include "base/hash.h"
#include "base/id.h"

namespace mayfly::trigger {
namespace {

constexpr std::size_t kNameMax = 256;

void append_with_length(std::string& out, std::string_view bytes) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(static_cast<unsigned char>(size >> shift));
  out += bytes;
}

/// "Number.int" is a Number.
std::string_view logical_type(std::string_view data_type) { return data_type.substr(0, data_type.find('.')); }

bool starts_with_ignoring_case(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() && std::ranges::equal(text.substr(0, lower.size()), lower, [](char a, char b) {
           return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
         });
}

std::unexpected<Error> invalid(std::string message) { return fail("queue.invalid_attribute", std::move(message)); }

/// As texts of errors may show it.
std::string shown(std::string_view name) { return "'" + to_utf8_lossy(name.substr(0, 80)) + "'"; }

Result<void> check_name(std::string_view name) {
  const auto is_fine = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
  };
  if (name.empty() || name.size() > kNameMax)
    return invalid("The message attribute name must have 1 to 256 characters, but " + shown(name) + " has " + std::to_string(name.size()));
  if (!std::ranges::all_of(name, is_fine))
    return invalid("The message attribute name " + shown(name) +
                   " is invalid. Attribute name can contain A-Z, a-z, 0-9, underscore (_), hyphen (-), and period (.) characters.");
  if (name.front() == '.' || name.back() == '.' || name.contains(".."))
    return invalid("The message attribute name " + shown(name) + " is invalid: no period at its start or end, and not two in succession.");
  if (starts_with_ignoring_case(name, "aws.") || starts_with_ignoring_case(name, "amazon."))
    return invalid("The message attribute name " + shown(name) + " is reserved: it must not start with AWS. or Amazon.");
  return {};
}

bool is_number(std::string_view text) {
  std::size_t at = 0;
  const auto digits = [&] {
    const std::size_t from = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at - from;
  };
  const auto sign = [&] { at += at < text.size() && (text[at] == '-' || text[at] == '+') ? 1 : 0; };
  sign();
  std::size_t count = digits();
  if (at < text.size() && text[at] == '.') {
    ++at;
    count += digits();
  }
  if (count == 0) return false;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    sign();
    if (digits() == 0) return false;
  }
  return at == text.size();
}

/// The bytes of StringValue or BinaryValue, whichever the type asks for.
Result<std::string> value_of(std::string_view name, std::string_view type, const JsonObject& fields) {
  const bool is_binary = type == "Binary";
  const Json* value = get(fields, is_binary ? "BinaryValue" : "StringValue");
  const std::string must = "The message attribute " + shown(name) + " with type '" + std::string(type) + "' must use field '" +
                           (is_binary ? "Binary" : "String") + "'.";
  if (!value || !value->is_string()) return invalid(must);
  std::string text(std::string_view(value->get_string()));
  if (text.empty()) return invalid("The message attribute " + shown(name) + " must not be empty. " + must);
  if (is_binary) {
    auto bytes = from_base64(text);
    if (!bytes) return invalid("The message attribute " + shown(name) + " must hold its bytes in base64.");
    return std::move(*bytes);
  }
  if (!is_sqs_text(text)) return invalid("The message attribute " + shown(name) + " holds characters that no message may hold.");
  if (type == "Number" && !is_number(text))
    return invalid("Can't cast the value of message (user) attribute " + shown(name) + " to a number.");
  return text;
}

}  // namespace

std::string md5_hex(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  const int done = EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_md5(), nullptr);
  MAYFLY_ASSERT(done == 1, "MD5 is there");
  return to_hex({reinterpret_cast<const char*>(digest.data()), size});
}

std::string md5_of_attributes(const queue::MessageAttributes& attributes) {
  if (attributes.empty()) return {};
  std::string all;
  for (const auto& [name, attribute] : attributes) {
    append_with_length(all, name);
    append_with_length(all, attribute.data_type);
    all += logical_type(attribute.data_type) == "Binary" ? '\x02' : '\x01';
    append_with_length(all, attribute.value);
  }
  return md5_hex(all);
}

JsonObject attributes_to_json(const queue::MessageAttributes& attributes) {
  JsonObject out;
  for (const auto& [name, attribute] : attributes) {
    JsonObject fields{{"DataType", attribute.data_type}};
    if (logical_type(attribute.data_type) == "Binary")
      fields["BinaryValue"] = to_base64(attribute.value);
    else
      fields["StringValue"] = attribute.value;
    out[name] = std::move(fields);
  }
  return out;
}

Result<queue::MessageAttributes> attributes_from_json(const JsonObject& value) {
  if (value.size() > kSqsAttributesMax)
    return invalid("Number of message attributes [" + std::to_string(value.size()) + "] exceeds the allowed maximum [10].");
  queue::MessageAttributes out;
  for (const auto& member : value) {
    const std::string_view name = member.key();
    if (const auto fine = check_name(name); !fine) return fail(fine.error());
    if (!member.value().is_object()) return invalid("The message attribute " + shown(name) + " must be an object with a DataType.");
    const JsonObject& fields = member.value().get_object();
    const std::string data_type = get_string(fields, "DataType");
    const std::string_view type = logical_type(data_type);
    if (data_type.empty()) return invalid("The message attribute " + shown(name) + " must contain non-empty message attribute type.");
    if (type != "String" && type != "Number" && type != "Binary")
      return invalid("The message attribute " + shown(name) +
                     " has an invalid message attribute type, the set of supported type prefixes is "
                     "Binary, Number, and String.");
    if (data_type.size() > kNameMax || !is_sqs_text(data_type))
      return invalid("The type of the message attribute " + shown(name) + " must be at most 256 characters that a message may hold.");
    auto bytes = value_of(name, type, fields);
    if (!bytes) return fail(bytes.error());
    out.emplace(name, queue::MessageAttribute{data_type, std::move(*bytes)});
  }
  return out;
}

bool is_sqs_text(std::string_view text) {
  if (!is_utf8(text)) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 && c != '\t' && c != '\n' && c != '\r') return false;
    // U+FFFE and U+FFFF are EF BF BE and EF BF BF.
    if (c == 0xef && i + 2 < text.size() && static_cast<unsigned char>(text[i + 1]) == 0xbf &&
        static_cast<unsigned char>(text[i + 2]) >= 0xbe)
      return false;
  }
  return true;
}

std::size_t sqs_bytes(std::string_view body, const queue::MessageAttributes& attributes) {
  std::size_t out = body.size();
  for (const auto& [name, attribute] : attributes) out += name.size() + attribute.data_type.size() + attribute.value.size();
  return out;
}

}  // namespace mayfly::trigger
