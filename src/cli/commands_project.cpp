#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "cli/commands.h"
#include "cli/project_deploy.h"
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

namespace {

/// "queues" as "queue": kinds are named as in the file.
std::string_view singular(std::string_view kind) { return kind.ends_with('s') ? kind.substr(0, kind.size() - 1) : kind; }

}  // namespace

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
  std::string agents, functions;
  for (const auto& spec : project->agents) agents += (agents.empty() ? "" : ", ") + spec.name;
  for (const auto& spec : project->functions) functions += (functions.empty() ? "" : ", ") + spec.config.name;
  const auto counted = [](std::size_t count, std::string_view what, const std::string& names) {
    return count == 0 ? std::string() : fmt::format("{} {}{} ({})", count, what, count == 1 ? "" : "s", names);
  };
  std::string all;
  const auto add = [&all](const std::string& part) { all += (all.empty() || part.empty() ? "" : ", ") + part; };
  add(counted(project->agents.size(), "agent", agents));
  add(counted(project->functions.size(), "function", functions));
  for (const auto& [kind, definitions] : project->resources) {
    std::string names;
    for (const auto& definition : definitions) names += (names.empty() ? "" : ", ") + std::string(definition.key());
    add(counted(definitions.size(), singular(kind), names));
  }
  terminal.line("valid: " + all);
  return ExitCode::Ok;
}

namespace {

/// A folder with a handler, by what the command line says about it.
Result<agent::Project> project_of_folder(const DeployOptions& options) {
  JsonObject settings;
  const auto set = [&settings](std::string_view key, const std::string& value) {
    if (!value.empty()) settings[key] = value;
  };
  set("runtime", options.runtime);
  set("handler", options.handler);
  set("timeout", options.timeout);
  set("egress", options.egress);
  if (options.memory > 0) settings["memory"] = options.memory;
  if (!options.allow.empty()) {
    JsonArray hosts;
    for (const std::string& host : options.allow) hosts.emplace_back(host);
    settings["egress"] = JsonObject{{"allow", std::move(hosts)}};
  }
  JsonObject variables;
  for (const std::string& given : options.environment) {
    const auto split = given.find('=');
    const char* here = split == std::string::npos ? std::getenv(given.c_str()) : nullptr;
    if (split == std::string::npos && !here)
      return fail("usage", fmt::format("--env {}: the variable is not set here; write {}=value", given, given));
    variables[given.substr(0, split)] = here ? std::string(here) : given.substr(split + 1);
  }
  if (!variables.empty()) settings["environment"] = std::move(variables);
  auto spec = agent::function_of_folder(options.path, options.name, settings);
  if (!spec) return fail(spec.error());
  agent::Project project;
  project.functions.push_back(*std::move(spec));
  return project;
}

/// What was deployed, one line each.
void say_deployed(const Env& env, const agent::Project& project, const Json& answer) {
  for (const auto& [kind, definitions] : project.resources)
    for (const Json& name : items_of(answer, kind))
      if (name.is_string()) env.terminal.line(fmt::format("deployed {} {}", singular(kind), one_line(name.get_string(), 100)));
  for (const Json& item : items_of(answer, "functions")) {
    if (!item.is_object()) continue;
    const JsonObject& function = item.get_object();
    const std::string url = get_string(function, "url");
    env.terminal.line(fmt::format("deployed function {} (revision {}){}", one_line(get_string(function, "name"), 64),
                                  get_int(function, "revision"), url.empty() ? "" : ": " + env.api.connection().url + one_line(url, 200)));
  }
  for (const Json& item : items_of(answer, "agents")) {
    if (!item.is_object()) continue;
    const JsonObject& agent = item.get_object();
    env.terminal.line(fmt::format("deployed {} (version {})", one_line(get_string(agent, "name"), 64), get_int(agent, "version")));
  }
}

}  // namespace

Task<ExitCode> deploy(Env& env, DeployOptions options) {
  agent::Project project;
  if (!options.name.empty()) {
    auto made = project_of_folder(options);
    if (!made) co_return env.terminal.error(made.error());
    project = *std::move(made);
  } else {
    std::error_code code;
    if (fs::is_directory(options.path, code) && !fs::exists(fs::path(options.path) / "mayfly.yaml", code))
      co_return env.terminal.error(
          {"project.invalid", fmt::format("`{}` holds no mayfly.yaml; write one with `mayfly init`, or deploy the folder as a function: "
                                          "mayfly deploy {} --name NAME",
                                          options.path, options.path)});
    auto loaded = agent::load_project(options.path);
    if (!loaded) {
      say_problems(env.terminal, loaded.error());
      co_return env.terminal.error(problems_error(loaded.error().size()));
    }
    project = *std::move(loaded);
  }
  const auto answer = co_await deploy_to_server(env, project);
  if (!answer) co_return env.terminal.error(answer.error());
  if (env.json) {
    env.terminal.line(to_text(*answer));
    co_return ExitCode::Ok;
  }
  say_deployed(env, project, *answer);
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
