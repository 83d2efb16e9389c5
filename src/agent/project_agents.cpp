#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "agent/delegation_tools.h"
#include "agent/project_reader.h"
#include "schema/suggest.h"

namespace mayfly::agent {
namespace {

class DelegationReader {
 public:
  DelegationReader(ProjectReader& reader, AgentSpec& spec, std::string pointer) : reader_(reader), spec_(spec), pointer_(std::move(pointer)) {
    if (const JsonObject* agents = get_object(reader_.root().as_object(), "agents"))
      for (const auto& member : *agents) known_.emplace_back(member.key());
  }

  void read_agents(const JsonObject& agents) {
    for (const auto& member : agents) {
      const std::string name(member.key()), at = fmt::format("{}/agents/{}", pointer_, escape_pointer_token(name));
      if (reader_.broken(at) || !member.value().is_object()) continue;
      check_name(name, at);
      spec_.agents.push_back(read_one(name, member.value().get_object(), at));
    }
  }

  void read_destinations(const JsonObject& in) {
    const std::string at = pointer_ + "/destinations";
    read_targets(in, "on_success", at, spec_.destinations.on_success);
    read_targets(in, "on_failure", at, spec_.destinations.on_failure);
    const JsonArray* on_event = get_array(in, "on_event");
    std::map<std::string, int> times;
    for (std::size_t i = 0; on_event && i < on_event->size(); ++i) {
      const std::string place = fmt::format("{}/on_event/{}", at, i);
      const JsonObject& each = (*on_event)[i].as_object();
      Destinations::OnEvent out;
      for (const Json& name : each.at("events").as_array()) {
        out.events.emplace_back(name.as_string());
        // What one step of a run writes has a bound.
        if (++times[out.events.back()] > 2)
          reader_.problem(place, fmt::format("is a third target of `{}`; send it to one queue or event trigger, and on from there", out.events.back()));
      }
      if (auto target = read_target(each.at("target"), place + "/target")) {
        out.target = *std::move(target);
        spec_.destinations.on_event.push_back(std::move(out));
      }
    }
  }

 private:
  void check_name(const std::string& name, const std::string& at) {
    if (name == spec_.name) {
      reader_.key_problem(at, "is the agent itself; an agent cannot wait for itself");
      return;
    }
    if (std::ranges::find(known_, name) != known_.end()) return;
    const std::string meant = closest_name(name, known_);
    reader_.key_problem(at, meant.empty() ? std::string("is no agent of this file; add it under `agents`")
                                          : fmt::format("is no agent of this file; did you mean `{}`?", meant));
  }

  Delegation read_one(const std::string& name, const JsonObject& in, const std::string& at) {
    Delegation out;
    out.agent = name;
    out.mode = get_string(in, "mode") == "handoff" ? Delegation::Mode::Handoff : Delegation::Mode::Delegate;
    out.description = get_string(in, "description");
    if (const JsonObject* budget = get_object(in, "budget")) {
      out.budget = {get_int(*budget, "steps"), get_int(*budget, "input_tokens"), get_int(*budget, "output_tokens"),
                    read_usd(reader_, *budget, at + "/budget")};
    }
    out.deadline = reader_.duration(in, at, "deadline", Millis{0});
    out.session = get_string(in, "session") == "shared" ? Delegation::Session::Shared : Delegation::Session::Run;
    out.on_failure = get_string(in, "on_failure") == "fail" ? Delegation::OnFailure::Fail : Delegation::OnFailure::Tell;
    if (out.mode == Delegation::Mode::Handoff && in.contains("session"))
      reader_.key_problem(at + "/session", "has no meaning for mode handoff: the conversation moves as a whole; remove it");
    return out;
  }

  void read_targets(const JsonObject& in, std::string_view key, const std::string& pointer, std::vector<trigger::Target>& out) {
    const JsonArray* list = get_array(in, key);
    for (std::size_t i = 0; list && i < list->size(); ++i)
      if (auto target = read_target((*list)[i], fmt::format("{}/{}/{}", pointer, key, i))) out.push_back(*std::move(target));
  }

  std::optional<trigger::Target> read_target(const Json& source, const std::string& pointer) {
    auto target = trigger::target_from_json(source);
    if (target) return *std::move(target);
    // "/pointer: why"
    const std::string& message = target.error().message;
    const auto split = message.find(": ");
    const bool has_pointer = message.starts_with('/') && split != std::string::npos;
    reader_.problem(has_pointer && split > 1 ? pointer + message.substr(0, split) : pointer,
                    "is not usable: " + (has_pointer ? message.substr(split + 2) : message));
    return std::nullopt;
  }

  ProjectReader& reader_;
  AgentSpec& spec_;
  std::string pointer_;
  std::vector<std::string> known_;
};

}  // namespace

void read_delegation(ProjectReader& reader, AgentSpec& spec, const JsonObject& in, const std::string& pointer) {
  DelegationReader own(reader, spec, pointer);
  if (const JsonObject* agents = get_object(in, "agents"); agents && !reader.broken(pointer + "/agents")) own.read_agents(*agents);
  if (const JsonObject* fan_out = get_object(in, "fan_out")) {
    spec.fan_out = {.parallel = get_int(*fan_out, "parallel", spec.fan_out.parallel), .children = get_int(*fan_out, "children", spec.fan_out.children)};
    if (!in.contains("agents")) reader.key_problem(pointer + "/fan_out", "has no meaning without `agents`; add them, or remove it");
  }
  if (const JsonObject* destinations = get_object(in, "destinations"); destinations && !reader.broken(pointer + "/destinations"))
    own.read_destinations(*destinations);
  for (ToolSpec& tool : delegation_tools(spec)) {
    const auto same = std::ranges::find(spec.tools, tool.name, &ToolSpec::name);
    if (same == spec.tools.end()) {
      spec.tools.push_back(std::move(tool));
      continue;
    }
    reader.problem(fmt::format("{}/tools/{}", pointer, same - spec.tools.begin()),
                   fmt::format("is named `{}` like the tool that `agents` makes; choose another name", tool.name));
  }
}

}  // namespace mayfly::agent
