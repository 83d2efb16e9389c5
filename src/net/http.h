#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "runtime/cancel.h"
#include "runtime/task.h"

/// The vocabulary shared by the HTTP server, the HTTP client and everyone who uses them. No Beast, no libcurl.
namespace mayfly::net {

/// Fields in their order; names compare without case (RFC 9110 §5.1). Values hold no CR, LF or NUL.
class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<std::pair<std::string, std::string>> fields) : fields_(fields) {}
  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  void set(std::string_view name, std::string value);
  void remove(std::string_view name);
  /// The first value, or nothing.
  std::optional<std::string_view> find(std::string_view name) const;
  std::string get(std::string_view name, std::string_view otherwise = {}) const;
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }
  std::size_t size() const { return fields_.size(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

bool equal_ignoring_case(std::string_view a, std::string_view b);

/// Percent-decoding of a path segment or query part; nothing when malformed. '+' means a space only in a query.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);
std::string percent_encode(std::string_view text);

}  // namespace mayfly::net
