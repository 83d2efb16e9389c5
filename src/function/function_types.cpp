#include "function/function_types.h"

#include <algorithm>

namespace mayfly::function {
namespace {

constexpr std::size_t kNameMax = 64;
constexpr std::size_t kQualifierMax = 128;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_'; }

bool is_name(std::string_view text, std::size_t length_max) {
  return !text.empty() && text.size() <= length_max && std::ranges::all_of(text, is_word);
}

std::string_view take_part(std::string_view& text) {
  const auto colon = text.find(':');
  const std::string_view part = text.substr(0, colon);
  text = colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
  return part;
}

bool is_account(std::string_view text) { return text.size() == 12 && std::ranges::all_of(text, is_digit); }

// Leaves NAME or NAME:QUALIFIER; nothing when the prefix itself is malformed.
std::optional<std::string_view> without_prefix(std::string_view text) {
  if (text.starts_with("arn:")) {
    text.remove_prefix(4);
    const bool ours = take_part(text).starts_with("aws") && take_part(text) == "lambda";
    const bool placed = is_name(take_part(text), kNameMax) && is_account(take_part(text));
    if (!ours || !placed || take_part(text) != "function") return std::nullopt;
    return text;
  }
  std::string_view rest = text;
  if (is_account(take_part(rest)) && rest.starts_with(kProgramPrefix)) return rest.substr(kProgramPrefix.size());
  if (text.starts_with(kProgramPrefix)) return text.substr(kProgramPrefix.size());
  return text;
}

}  // namespace

std::string function_arn(std::string_view name, std::string_view qualifier) {
  std::string arn = "arn:aws:lambda:";
  arn.append(kRegion).append(":").append(kAccount).append(":function:").append(name);
  if (!qualifier.empty()) arn.append(":").append(qualifier);
  return arn;
}

Result<FunctionRef> parse_function_ref(std::string_view text) {
  const auto invalid = [] {
    return fail("function.invalid_name",
                "this is not a function: write a name of up to 64 letters, digits, '-' and '_', NAME:QUALIFIER, or an ARN "
                "(arn:aws:lambda:REGION:ACCOUNT:function:NAME)");
  };
  const auto rest = without_prefix(text);
  if (!rest) return invalid();
  std::string_view left = *rest;
  const bool qualified = left.find(':') != std::string_view::npos;
  const std::string_view name = take_part(left);
  if (!is_name(name, kNameMax)) return invalid();
  if (qualified && left != kLatest && !is_name(left, kQualifierMax)) return invalid();
  return FunctionRef{.name = std::string(name), .qualifier = std::string(left)};
}

std::string program_name(std::string_view function) { return std::string(kProgramPrefix).append(function); }

std::optional<std::string> function_of_program(std::string_view program) {
  if (!program.starts_with(kProgramPrefix)) return std::nullopt;
  return std::string(program.substr(kProgramPrefix.size()));
}

}  // namespace mayfly::function
