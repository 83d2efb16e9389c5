#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/time.h"

namespace mayfly::trigger {

/// Reads the members of one object of a trigger's description. Remembers the first problem, as `trigger.invalid` with a JSON Pointer in front;
/// until `done`, members that are missing or wrong keep what `out` held.
class SpecReader {
 public:
  SpecReader(const Json& value, std::string pointer);

  /// Whether the member is there, and not null; from then on it is known.
  const Json* member(std::string_view name);
  void text(std::string_view name, std::string* out, std::size_t bytes_max = 1'024);
  /// One text or a list of texts.
  void texts(std::string_view name, std::vector<std::string>* out, std::size_t count_max);
  void number(std::string_view name, std::int64_t* out, std::int64_t least, std::int64_t most);
  void flag(std::string_view name, bool* out);
  void duration(std::string_view name, Millis* out, Millis least, Millis most);
  /// The index of the text among `names`.
  std::optional<std::size_t> choice(std::string_view name, std::initializer_list<std::string_view> names);
  void refuse(std::string_view name, std::string message);
  std::string pointer(std::string_view name) const;
  /// Refuses members that nobody asked for.
  Result<void> done();

 private:
  const JsonObject* object_ = nullptr;
  std::string pointer_;
  std::vector<std::string> known_;
  std::optional<Error> problem_;
};

/// RFC 9110 §5.1.
bool is_header_name(std::string_view name);
/// [A-Za-z_][A-Za-z0-9_]*, at most 200 characters.
bool is_environment_name(std::string_view name);
/// "90s", "5m", "1h30m": what `parse_duration` reads back.
std::string to_spec_text(Millis duration);

}  // namespace mayfly::trigger
