#include "expression/expression.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "expression/script_engine.h"

namespace mayfly {
namespace {

constexpr std::size_t kCompiledMax = 1'000;
constexpr std::size_t kKeptBytesMax = 64 * 1024 * 1024;
constexpr std::size_t kVariableNameBytesMax = 128;

}  // namespace

struct Expressions::Impl {
  explicit Impl(ExpressionLimits l) : limits(l) {}

  ExpressionLimits limits;
  std::unique_ptr<ScriptEngine> engine;  ///< made for the first expression: most servers at rest need none
  std::unordered_map<std::string, std::uint32_t> compiled;

  /// Also throws all compiled expressions away when there are too many: to keep them apart would cost more than to parse them again.
  Result<void> prepare() {
    if (engine && compiled.size() < kCompiledMax && engine->kept_bytes() < kKeptBytesMax) return {};
    compiled.clear();
    engine.reset();
    auto made = ScriptEngine::make(limits);
    if (!made) return fail(made.error());
    engine = std::move(*made);
    return {};
  }

  Result<std::uint32_t> compile(std::string_view text) {
    std::string key(text);
    if (const auto found = compiled.find(key); found != compiled.end()) return found->second;
    if (text.size() > limits.text_bytes_max) {
      return fail("expression.limit", fmt::format("the expression has {} bytes; at most {} are allowed", text.size(), limits.text_bytes_max));
    }
    if (!is_utf8(text)) return fail("expression.invalid", "the expression is not UTF-8; write it in UTF-8");
    if (auto ready = prepare(); !ready) return fail(ready.error());
    auto index = engine->compile(text);
    if (index) compiled.emplace(std::move(key), *index);
    return index;
  }
};

Expressions::Expressions(ExpressionLimits limits) : impl_(std::make_unique<Impl>(limits)) {}
Expressions::~Expressions() = default;

Result<void> Expressions::check(std::string_view text) {
  const auto index = impl_->compile(text);
  if (!index) return fail(index.error());
  return {};
}

Result<std::optional<Json>> Expressions::evaluate(std::string_view text, const Json& input, const Variables& variables,
                                                  EvaluationContext context) {
  for (const auto& variable : variables) {
    if (variable.first.size() > kVariableNameBytesMax) return fail("expression.limit", "a variable's name has more than 128 bytes; shorten it");
  }
  const auto index = impl_->compile(text);
  if (!index) return fail(index.error());
  return impl_->engine->evaluate(*index, input, variables, context);
}

bool is_truthy(const std::optional<Json>& value) {
  if (!value) return false;
  if (const auto* array = value->if_array()) return std::ranges::any_of(*array, [](const Json& item) { return is_truthy(item); });
  if (const auto* object = value->if_object()) return !object->empty();
  if (const auto* text = value->if_string()) return !text->empty();
  if (const auto* truth = value->if_bool()) return *truth;
  if (value->is_number()) return value->to_number<double>() != 0;
  return false;
}

}  // namespace mayfly
