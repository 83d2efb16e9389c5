#include "server/states/states_arn.h"

#include <algorithm>
#include <vector>

#include "base/json.h"

namespace mayfly::states {
namespace {

constexpr std::string_view kPrefix = "arn:aws:states:us-east-1:000000000000:";
constexpr std::size_t kArnBytesMax = 2'000;

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> out;
  for (;;) {
    const auto end = text.find(':');
    out.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

std::unexpected<Error> invalid(std::string_view text) {
  return fail("aws.InvalidArn", "Invalid Arn: '" + to_utf8_lossy(text.substr(0, 300)) + "'");
}

}  // namespace

Result<Arn> parse_arn(std::string_view text) {
  const auto parts = text.size() <= kArnBytesMax ? split(text) : std::vector<std::string>();
  if (parts.size() < 7 || parts[0] != "arn" || !parts[1].starts_with("aws") || parts[2] != "states" || parts[4].size() != 12 ||
      std::ranges::any_of(parts, &std::string::empty))
    return invalid(text);
  Arn out;
  out.name = parts[6];
  if (parts[5] == "stateMachine" && parts.size() <= 8) {
    if (parts.size() == 8) out.qualifier = parts[7];
    return out;
  }
  if (parts[5] == "activity" && parts.size() == 7) {
    out.kind = Arn::Kind::Activity;
    return out;
  }
  const bool is_express = parts[5] == "express";
  if ((!is_express && parts[5] != "execution") || parts.size() != (is_express ? 9u : 8u)) return invalid(text);
  out.kind = is_express ? Arn::Kind::Express : Arn::Kind::Execution;
  out.execution = parts[7];
  if (is_express) out.run = parts[8];
  return out;
}

Result<Arn> parse_arn(std::string_view text, Arn::Kind kind) {
  auto out = parse_arn(text);
  if (!out || out->kind == kind || (kind == Arn::Kind::Execution && out->kind == Arn::Kind::Express)) return out;
  return fail("aws.InvalidArn", "Invalid Arn: 'Resource type not valid in this context: " + std::string(text.substr(0, 300)) + "'");
}

std::string state_machine_arn(std::string_view name, std::string_view qualifier) {
  std::string out = std::string(kPrefix) + "stateMachine:" + std::string(name);
  return qualifier.empty() ? out : out + ":" + std::string(qualifier);
}
std::string execution_arn(std::string_view state_machine, std::string_view name) {
  return std::string(kPrefix) + "execution:" + std::string(state_machine) + ":" + std::string(name);
}
std::string express_arn(std::string_view state_machine, std::string_view name, std::string_view run) {
  return std::string(kPrefix) + "express:" + std::string(state_machine) + ":" + std::string(name) + ":" + std::string(run);
}
std::string activity_arn(std::string_view name) { return std::string(kPrefix) + "activity:" + std::string(name); }

}  // namespace mayfly::states
