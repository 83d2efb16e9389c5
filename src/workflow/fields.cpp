#include "workflow/fields.h"

namespace mayfly::workflow {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && std::string_view(" \t\r\n").find(text.front()) != std::string_view::npos) text.remove_prefix(1);
  while (!text.empty() && std::string_view(" \t\r\n").find(text.back()) != std::string_view::npos) text.remove_suffix(1);
  return text;
}

StateResult<Json> fill_object(const JsonObject& payload, const FieldScope& scope) {
  JsonObject out;
  for (const auto& member : payload) {
    std::string_view key = member.key();
    if (!scope.jsonata && key.ends_with(".$") && member.value().is_string()) {
      auto value = evaluate_path(member.value().get_string(), scope);
      if (!value) {
        if (value.error().error == "States.ParameterPathFailure")
          value.error().cause = "The JSONPath '" + std::string(member.value().get_string()) + "' specified for the field '" +
                                std::string(key) + "' could not be found in the input '" + to_text(*scope.input).substr(0, 1024) + "'";
        return value;
      }
      out[key.substr(0, key.size() - 2)] = std::move(*value);
      continue;
    }
    auto value = fill(member.value(), scope);
    if (!value) return value;
    out[key] = std::move(*value);
  }
  return Json(std::move(out));
}

}  // namespace

std::optional<std::string_view> jsonata_of(std::string_view text) {
  if (text.size() < 4 || !text.starts_with("{%") || !text.ends_with("%}")) return std::nullopt;
  return trim(text.substr(2, text.size() - 4));
}

StateResult<Json> evaluate_path(std::string_view text, const FieldScope& scope, std::string_view error) {
  if (text.starts_with(kIntrinsicPrefix)) return evaluate_intrinsic(text, scope.paths(), *scope.random);
  const auto path = JsonPath::parse(text);
  if (!path) return state_error("States.Runtime", path.error().message);
  auto found = path->find(scope.paths());
  if (found) return std::move(*found);
  return state_error(error, "Invalid path '" + std::string(text) + "': there is no such value in the input");
}

StateResult<Json> evaluate_jsonata(std::string_view expression, const FieldScope& scope) {
  JsonObject states{{"input", *scope.input}, {"context", *scope.context}};
  if (scope.result) states["result"] = *scope.result;
  if (scope.error_output) states["errorOutput"] = *scope.error_output;
  Variables variables = *scope.variables;
  variables["states"] = std::move(states);
  auto value = scope.expressions->evaluate(expression, nullptr, variables, {scope.now, scope.random->next()});
  const std::string which = "The JSONata expression '" + std::string(expression.substr(0, 1024)) + "'";
  if (!value) return state_error("States.QueryEvaluationError", which + " threw an error: " + value.error().message);
  if (!*value) return state_error("States.QueryEvaluationError", which + " returned nothing (undefined).");
  return std::move(**value);
}

StateResult<Json> fill(const Json& payload, const FieldScope& scope) {
  if (const JsonObject* object = payload.if_object()) return fill_object(*object, scope);
  if (const JsonArray* array = payload.if_array()) {
    JsonArray out;
    for (const Json& item : *array) {
      auto value = fill(item, scope);
      if (!value) return value;
      out.push_back(std::move(*value));
    }
    return Json(std::move(out));
  }
  if (scope.jsonata && payload.is_string())
    if (const auto expression = jsonata_of(payload.get_string())) return evaluate_jsonata(*expression, scope);
  return payload;
}

StateResult<std::optional<Json>> field(const JsonObject& state, std::string_view name, const FieldScope& scope) {
  if (const Json* constant = get(state, name)) {
    auto value = fill(*constant, scope);
    if (!value) return std::unexpected(value.error());
    return std::move(*value);
  }
  const Json* path = get(state, std::string(name) + "Path");
  if (!path || !path->is_string()) return std::optional<Json>();
  auto value = evaluate_path(path->get_string(), scope, "States.Runtime");
  if (!value) return std::unexpected(value.error());
  return std::move(*value);
}

}  // namespace mayfly::workflow
