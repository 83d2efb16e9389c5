#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"

namespace mayfly {

/// A compiled JSON Schema (draft 7, and what of 2020-12 means the same). Copies share the compiled form.
class JsonSchema {
 public:
  /// Error: `schema.invalid`. Remote references are refused, nothing is ever fetched.
  static Result<JsonSchema> compile(const Json& schema);
  /// Every violation as "/path/to/value: what is wrong"; empty when valid.
  std::vector<std::string> validate(const Json& value) const;
  const Json& source() const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace mayfly
