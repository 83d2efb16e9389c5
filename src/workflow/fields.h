#pragma once

#include <map>
#include <optional>
#include <string>

#include "expression/expression.h"
#include "workflow/intrinsic.h"
#include "workflow/json_path.h"

/// The values of a state's fields, in either query language.
namespace mayfly::workflow {

/// Everything that the fields of one state see at one moment.
struct FieldScope {
  bool jsonata = false;
  const Json* input = nullptr;  ///< JSONPath: what `$` means; JSONata: `$states.input`
  const Json* context = nullptr;
  const std::map<std::string, Json>* variables = nullptr;
  const Json* result = nullptr;        ///< `$states.result`
  const Json* error_output = nullptr;  ///< `$states.errorOutput`
  Expressions* expressions = nullptr;
  TimePoint now{};
  Random* random = nullptr;

  PathScope paths() const { return {input, context, variables}; }
};

/// The text between "{%" and "%}", or nothing when `text` is no expression.
std::optional<std::string_view> jsonata_of(std::string_view text);
/// One path or intrinsic function. `error`: the name of the failure when nothing is there.
StateResult<Json> evaluate_path(std::string_view text, const FieldScope& scope, std::string_view error = "States.ParameterPathFailure");
StateResult<Json> evaluate_jsonata(std::string_view expression, const FieldScope& scope);
/// A payload template: JSONPath replaces fields that end with ".$", JSONata texts in "{% %}".
StateResult<Json> fill(const Json& payload, const FieldScope& scope);
/// The field `name`, or `namePath` in JSONPath. Nothing: the state has neither.
StateResult<std::optional<Json>> field(const JsonObject& state, std::string_view name, const FieldScope& scope);

/// The first rule that holds: its index. Nothing: none.
StateResult<std::optional<std::size_t>> choose(const JsonArray& choices, const FieldScope& scope);
/// What a test of a JSONPath choice is called: "StringEquals" … Empty: the rule has none, or several.
std::string comparison_of(const JsonObject& rule);
bool is_comparison(std::string_view name);
bool matches_wildcard(std::string_view pattern, std::string_view text);

}  // namespace mayfly::workflow
