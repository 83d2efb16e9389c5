#pragma once

#include <map>
#include <string>

#include "base/json.h"

namespace mayfly {

struct SourcePosition {
  int line = 0;    ///< from 1; 0 when unknown
  int column = 0;  ///< from 1
};

/// A YAML 1.2 document as JSON, with the position of every value by its JSON Pointer ("" is the root).
struct YamlDocument {
  Json value;
  std::map<std::string, SourcePosition, std::less<>> positions;
  /// Of the keys in mappings: the position of the key whose value is at the pointer.
  std::map<std::string, SourcePosition, std::less<>> key_positions;
  /// Of the value at `pointer`, or of its nearest known ancestor.
  SourcePosition position_of(std::string_view pointer) const;
  /// Of the key whose value is at `pointer`; where there is none, `position_of(pointer)`.
  SourcePosition key_position_of(std::string_view pointer) const;
};

/// `token` as one step of a JSON Pointer (RFC 6901): "a/b" is "a~1b".
std::string escape_pointer_token(std::string_view token);

/// One document. Plain scalars follow the YAML 1.2 core schema (so `no` is a text, `1e3` a number, `~` null).
/// Anchors and aliases work up to limits (size 1 MiB, depth 64, 100,000 nodes after expansion); tags other than the core's, duplicate keys and
/// keys that are not scalars are errors. Error: `yaml.invalid`, the message starting with "FILE:LINE:COLUMN: ".
Result<YamlDocument> parse_yaml(std::string_view text, std::string_view file_name);

}  // namespace mayfly
