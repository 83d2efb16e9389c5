#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "cli/commands.h"
#include "cli/project_json.h"
#include "cli/project_template.h"
#include "cli/run_view.h"

namespace mayfly::cli {
namespace fs = std::filesystem;

ExitCode init_project(const Terminal& terminal, const std::string& directory) {
  const fs::path root = directory.empty() ? "." : directory;
  std::error_code code;
  for (const ProjectFile& file : project_files()) {
    if (fs::exists(root / file.path, code))
      return terminal.error({"init.exists", fmt::format("`{}` is already there and stays as it is; give another folder: mayfly init DIR",
                                                        (root / file.path).string())});
  }
  for (const ProjectFile& file : project_files()) {
    const fs::path path = root / file.path;
    fs::create_directories(path.parent_path().empty() ? "." : path.parent_path(), code);
    std::ofstream out(path, std::ios::binary);
    out << file.text;
    out.close();
    if (!out)
      return terminal.error(
          {"init.failed", fmt::format("cannot write `{}`; check that the folder is writable and has space", path.string())});
    if (file.executable)
      fs::permissions(path, fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec, fs::perm_options::add, code);
    terminal.note(fmt::format("wrote {}", path.string()));
  }
  const bool here = root == ".";
  terminal.note(
      fmt::format("\nNext:\n{}  mayfly serve --project .      # in one terminal\n"
                  "  mayfly invoke clerk \"Where is order A-17?\"   # in another\n"
                  "  mayfly invoke clerk \"Please refund order A-17\"\n  mayfly runs",
                  here ? "" : fmt::format("  cd {}\n", root.string())));
  return ExitCode::Ok;
}

ExitCode validate(const Terminal& terminal, const std::string& path, bool json) {
  const auto project = agent::load_project(path);
  if (json) {
    JsonArray problems;
    if (!project)
      for (const auto& problem : project.error())
        problems.push_back(JsonObject{{"where", problem.where}, {"pointer", problem.pointer}, {"message", problem.message}});
    terminal.line(to_text(JsonObject{{"valid", project.has_value()}, {"problems", std::move(problems)}}));
    return project ? ExitCode::Ok : ExitCode::Failed;
  }
  if (!project) {
    say_problems(terminal, project.error());
    return terminal.error(problems_error(project.error().size()));
  }
  std::string names;
  for (const auto& spec : project->agents) names += (names.empty() ? "" : ", ") + spec.name;
  terminal.line(fmt::format("valid: {} agent{} ({})", project->agents.size(), project->agents.size() == 1 ? "" : "s", names));
  return ExitCode::Ok;
}

Task<ExitCode> deploy(Env& env, std::string path) {
  const auto project = agent::load_project(path);
  if (!project) {
    say_problems(env.terminal, project.error());
    co_return env.terminal.error(problems_error(project.error().size()));
  }
  const auto answer = co_await env.api.post("/v1/deploy", deploy_body(*project));
  if (!answer) co_return env.terminal.error(answer.error());
  if (env.json) {
    env.terminal.line(to_text(*answer));
    co_return ExitCode::Ok;
  }
  const JsonArray* list = answer->is_object() ? get_array(answer->get_object(), "agents") : answer->if_array();
  if (list) {
    for (const Json& item : *list) {
      if (!item.is_object()) continue;
      const JsonObject& agent = item.get_object();
      env.terminal.line(fmt::format("deployed {} (version {})", one_line(get_string(agent, "name"), 64), get_int(agent, "version")));
    }
  }
  co_return ExitCode::Ok;
}

Task<ExitCode> rollback(Env& env, std::string agent, std::int64_t version) {
  JsonObject body;
  if (version > 0) body["version"] = version;
  const auto answer = co_await env.api.post(path_of({"v1", "agents", agent, "rollback"}), std::move(body));
  if (!answer) co_return env.terminal.error(answer.error());
  if (env.json) {
    env.terminal.line(to_text(*answer));
  } else {
    env.terminal.line(
        fmt::format("{}: new runs get version {}", agent, answer->is_object() ? get_int(answer->get_object(), "version") : 0));
  }
  co_return ExitCode::Ok;
}

Task<ExitCode> agents(Env& env) {
  const auto answer = co_await env.api.get("/v1/agents");
  if (!answer) co_return env.terminal.error(answer.error());
  const JsonArray* list = answer->is_object() ? get_array(answer->get_object(), "agents") : answer->if_array();
  if (env.json || !list) {
    env.terminal.line(to_text(list ? Json(*list) : *answer));
    co_return ExitCode::Ok;
  }
  if (list->empty()) env.terminal.note("no agents yet; write a project with `mayfly init`, then `mayfly deploy`");
  std::vector<std::vector<Cell>> rows;
  for (const Json& item : *list) {
    if (!item.is_object()) continue;
    const JsonObject& agent = item.get_object();
    std::string models;
    if (const JsonArray* names = get_array(agent, "models"))
      for (const Json& name : *names)
        if (name.is_string()) models += (models.empty() ? "" : ", ") + one_line(name.get_string(), 60);
    const auto deployed = time_of(agent, "deployed");
    rows.push_back({{one_line(get_string(agent, "name"), 64), Ink::Bold},
                    {std::to_string(get_int(agent, "version"))},
                    {get_bool(agent, "keyed") ? "keyed" : "stateless"},
                    {deployed ? age(env.clock.now() - *deployed) : "-"},
                    {models},
                    {one_line(get_string(agent, "description"), 80)}});
  }
  if (!rows.empty())
    env.terminal.print(table({{"AGENT"}, {"VERSION", Align::Right}, {"SESSIONS"}, {"AGE", Align::Right}, {"MODELS"}, {"DESCRIPTION"}}, rows,
                             env.terminal.width(), env.terminal.out_colour()));
  co_return ExitCode::Ok;
}

}  // namespace mayfly::cli
