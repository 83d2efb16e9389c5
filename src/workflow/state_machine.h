#pragma once

#include <utility>

#include "workflow/workflow.h"

namespace mayfly::workflow {

class StateMachine {
 public:
  explicit StateMachine(Json definition) : definition_(std::move(definition)) {}
  const JsonObject& definition() const { return definition_.get_object(); }

 private:
  Json definition_;
};

/// The processor of a Map, in either of its names; null when it has none.
inline const JsonObject* processor_of(const JsonObject& map) {
  const JsonObject* out = get_object(map, "ItemProcessor");
  return out ? out : get_object(map, "Iterator");
}
/// Whether `state` of `machine` uses JSONata.
inline bool is_jsonata(const JsonObject& machine, const JsonObject& state) {
  return get_string(state, "QueryLanguage", get_string(machine, "QueryLanguage", "JSONPath")) == "JSONata";
}

inline constexpr std::string_view kArnPrefix = "arn:aws:states:us-east-1:000000000000:";

}  // namespace mayfly::workflow
