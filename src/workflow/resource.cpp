#include "workflow/resource.h"

#include <vector>

namespace mayfly::workflow {
namespace {

constexpr std::string_view kSupported =
    "supported are arn:aws:lambda:REGION:ACCOUNT:function:NAME, arn:aws:states:::lambda:invoke, arn:mayfly:agent:NAME, "
    "arn:aws:states:::mayfly:agent.invoke, arn:aws:states:::states:startExecution (also .sync, .sync:2), arn:aws:states:::sqs:sendMessage, "
    "each "
    "of the last four and lambda:invoke also with .waitForTaskToken, and arn:aws:states:REGION:ACCOUNT:activity:NAME";

std::vector<std::string_view> parts_of(std::string_view text, std::size_t most) {
  std::vector<std::string_view> out;
  while (out.size() + 1 < most) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) break;
    out.push_back(text.substr(0, colon));
    text.remove_prefix(colon + 1);
  }
  out.push_back(text);
  return out;
}

}  // namespace

std::string name_of_arn(std::string_view text, std::string_view kind) {
  if (!text.starts_with("arn:")) return std::string(text);
  const std::string marker = ":" + std::string(kind) + ":";
  const std::size_t at = text.find(marker);
  return std::string(at == std::string_view::npos ? text : text.substr(at + marker.size()));
}

Result<Resource> parse_resource(std::string_view arn) {
  Resource out;
  out.arn = arn;
  const auto refuse = [&](const std::string& why) -> Result<Resource> {
    return fail("workflow.invalid_resource",
                "the resource '" + std::string(arn.substr(0, 200)) + "' " + why + "; " + std::string(kSupported));
  };
  constexpr std::string_view kAgent = "arn:mayfly:agent:";
  if (arn.starts_with(kAgent)) {
    out.kind = Resource::Kind::Agent;
    out.name = arn.substr(kAgent.size());
    out.resource_type = "mayfly";
    out.resource = "agent";
    return out.name.empty() ? refuse("names no agent") : out;
  }
  const auto parts = parts_of(arn, 7);
  if (parts.size() != 7 || parts[0] != "arn") return refuse("is unknown");
  if (parts[2] == "lambda" && parts[5] == "function" && !parts[6].empty()) {
    out.kind = Resource::Kind::Function;
    out.name = parts[6];
    return out;
  }
  if (parts[2] != "states") return refuse("is unknown");
  if (parts[5] == "activity" && !parts[6].empty()) {
    out.kind = Resource::Kind::Activity;
    out.name = parts[6];
    return out;
  }
  if (!parts[3].empty() || !parts[4].empty()) return refuse("is unknown");
  out.resource_type = parts[5];
  out.resource = parts[6];
  std::string action = out.resource;
  const auto ends = [&](std::string_view suffix, Resource::Pattern pattern) {
    if (!action.ends_with(suffix)) return;
    action.resize(action.size() - suffix.size());
    out.pattern = pattern;
  };
  ends(".sync:2", Resource::Pattern::Sync2);
  if (out.pattern == Resource::Pattern::RequestResponse) ends(".sync", Resource::Pattern::Sync);
  if (out.pattern == Resource::Pattern::RequestResponse) ends(".waitForTaskToken", Resource::Pattern::WaitForTaskToken);
  const bool sync = out.pattern == Resource::Pattern::Sync || out.pattern == Resource::Pattern::Sync2;
  if (out.resource_type == "states" && action == "startExecution")
    out.kind = Resource::Kind::Workflow;
  else if (sync)
    return refuse("cannot be waited for with .sync");
  else if (out.resource_type == "lambda" && action == "invoke")
    out.kind = Resource::Kind::FunctionInvoke;
  else if (out.resource_type == "mayfly" && action == "agent.invoke")
    out.kind = Resource::Kind::AgentInvoke;
  else if (out.resource_type == "sqs" && action == "sendMessage")
    out.kind = Resource::Kind::Queue;
  else
    return refuse("is not supported");
  return out;
}

}  // namespace mayfly::workflow
