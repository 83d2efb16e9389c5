#pragma once

#include <utility>

#include "workflow/workflow.h"

namespace mayfly::workflow {

class StateMachine {
 public:
  explicit StateMachine(Json definition) : definition_(std::move(definition)) {
    const std::string language = get_string(definition_.get_object(), "QueryLanguage", "JSONPath");
    inherit(definition_.get_object(), language);
  }
  const JsonObject& definition() const { return definition_.get_object(); }

 private:
  /// What nested machines do not say themselves they have from the outermost one.
  static void inherit(JsonObject& machine, const std::string& language) {
    if (!machine.contains("QueryLanguage")) machine["QueryLanguage"] = language;
    Json* states = machine.if_contains("States");
    if (!states || !states->is_object()) return;
    for (auto& member : states->get_object()) {
      JsonObject* state = member.value().if_object();
      if (!state) continue;
      for (const char* key : {"ItemProcessor", "Iterator"})
        if (Json* inner = state->if_contains(key); inner && inner->is_object()) inherit(inner->get_object(), language);
      Json* branches = state->if_contains("Branches");
      if (!branches || !branches->is_array()) continue;
      for (Json& branch : branches->get_array())
        if (branch.is_object()) inherit(branch.get_object(), language);
    }
  }
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
