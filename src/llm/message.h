#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

/// Mayfly's provider-neutral conversation: what a transcript stores and what every provider is translated to and from.
/// JSON forms are stable (they are journalled); `to_json`/`…_from_json` round-trip.
namespace mayfly::llm {

enum class Role { System, User, Assistant, Tool };
std::string_view to_string(Role role);

/// One piece of a message. Which fields count depends on `kind`.
struct Content {
  enum class Kind {
    Text,        ///< text
    Image,       ///< either media_type + base64 data, or url
    ToolCall,    ///< id, name, arguments (an object; when the model wrote broken JSON: null, and `text` holds what it wrote)
    ToolResult,  ///< id (of the call), text, is_error
    Reasoning,   ///< text (may be empty), opaque: what the provider wants back unchanged (signature, encrypted content)
    Refusal,     ///< text
  };
  Kind kind = Kind::Text;
  std::string text;
  std::string id;
  std::string name;
  Json arguments;
  bool is_error = false;
  std::string media_type;
  std::string data;
  std::string url;
  Json opaque;

  static Content make_text(std::string text);
  static Content make_tool_call(std::string id, std::string name, Json arguments);
  static Content make_tool_result(std::string id, std::string text, bool is_error);
};

struct Message {
  Role role = Role::User;
  std::vector<Content> content;
  static Message user(std::string text);
  static Message assistant(std::string text);
};

Json to_json(const Content& content);
Json to_json(const Message& message);
Result<Content> content_from_json(const Json& value);
Result<Message> message_from_json(const Json& value);
/// All Text parts joined.
std::string text_of(const Message& message);

/// Tokens in disjoint buckets: their sum is what was processed. Reasoning tokens are part of `output`, counted again
/// in `reasoning` for information only.
struct Usage {
  std::int64_t input = 0;         ///< uncached input
  std::int64_t cache_read = 0;
  std::int64_t cache_write = 0;
  std::int64_t output = 0;
  std::int64_t reasoning = 0;     ///< of which reasoning (information)

  Usage& operator+=(const Usage& other);
  std::int64_t total_input() const { return input + cache_read + cache_write; }
  bool operator==(const Usage&) const = default;
};
Json to_json(const Usage& usage);
Usage usage_from_json(const Json& value);

}  // namespace mayfly::llm
