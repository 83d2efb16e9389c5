#include "cli/project_json.h"

#include <fmt/format.h>

namespace mayfly::cli {

Json deploy_body(const agent::Project& project) {
  JsonArray agents, providers;
  for (const auto& spec : project.agents) agents.push_back(agent::to_json(spec));
  for (std::size_t i = 0; i < project.providers.size(); ++i) {
    const auto& in = project.providers[i];
    JsonObject out{{"name", in.name}, {"kind", in.kind}};
    if (!in.base_url.empty()) out["base_url"] = in.base_url;
    if (i < project.provider_key_env.size() && !project.provider_key_env[i].empty()) out["api_key_env"] = project.provider_key_env[i];
    if (!in.script_path.empty()) out["script"] = in.script_path;
    out["concurrency_max"] = in.concurrency_max;
    if (in.requests_per_minute > 0) out["requests_per_minute"] = in.requests_per_minute;
    if (in.tokens_per_minute > 0) out["tokens_per_minute"] = in.tokens_per_minute;
    providers.push_back(std::move(out));
  }
  JsonObject body{{"agents", std::move(agents)}, {"providers", std::move(providers)}};
  for (const auto& [kind, definitions] : project.resources) body[kind] = definitions;
  return body;
}

Result<Json> agent_of_project(const Terminal& terminal, const std::string& path, const std::string& name) {
  const auto project = agent::load_project(path);
  if (!project) {
    say_problems(terminal, project.error());
    return fail(problems_error(project.error().size()));
  }
  std::string names;
  for (const auto& spec : project->agents) {
    if (spec.name == name || (name.empty() && project->agents.size() == 1)) return agent::to_json(spec);
    names += (names.empty() ? "" : ", ") + spec.name;
  }
  if (name.empty()) return fail("usage", fmt::format("the project has several agents ({}); name one with --agent", names));
  return fail("agent.not_found", fmt::format("the project has no agent `{}`; it has {}", name, names));
}

void say_problems(const Terminal& terminal, const std::vector<agent::SpecProblem>& problems) {
  for (const auto& problem : problems)
    terminal.note(fmt::format("{}: {}", terminal.note_ink(Ink::Bold, printable(problem.where)), printable(problem.message)));
}

Error problems_error(std::size_t count) {
  return {"project.invalid", fmt::format("{} problem{} in the project; correct {} and run `mayfly validate` again", count,
                                         count == 1 ? "" : "s", count == 1 ? "it" : "them")};
}

}  // namespace mayfly::cli
