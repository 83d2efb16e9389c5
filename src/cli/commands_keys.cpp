#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/run_view.h"

namespace mayfly::cli {

Task<ExitCode> list_keys(Env& env) {
  const auto answer = co_await env.api.get("/v1/keys");
  if (!answer) co_return env.terminal.error(answer.error());
  const JsonArray* list = answer->is_object() ? get_array(answer->get_object(), "keys") : answer->if_array();
  if (env.json || !list) {
    env.terminal.line(to_text(list ? Json(*list) : *answer));
    co_return ExitCode::Ok;
  }
  const auto now = env.clock.now();
  const auto ago = [now](const JsonObject& key, std::string_view name) {
    const auto time = time_of(key, name);
    return time ? age(now - *time) : std::string("-");
  };
  // The server notes uses to the hour.
  const auto used = [now](const JsonObject& key) {
    const auto time = time_of(key, "last_used");
    return !time ? std::string("never") : now - *time < Millis{3'600'000} ? std::string("<1h") : age(now - *time);
  };
  std::vector<std::vector<Cell>> rows;
  for (const Json& item : *list) {
    if (!item.is_object()) continue;
    const JsonObject& key = item.get_object();
    std::string scopes;
    if (const JsonArray* names = get_array(key, "scopes"))
      for (const Json& name : *names)
        if (name.is_string()) scopes += (scopes.empty() ? "" : ",") + one_line(name.get_string(), 20);
    rows.push_back({{one_line(get_string(key, "id"), 20), Ink::Bold},
                    {one_line(get_string(key, "name"), 40)},
                    {scopes},
                    {ago(key, "created")},
                    {used(key)},
                    {one_line(get_string(key, "expires", "never"), 30)}});
  }
  env.terminal.print(table({{"ID"}, {"NAME"}, {"SCOPES"}, {"AGE", Align::Right}, {"USED", Align::Right}, {"EXPIRES"}}, rows,
                           env.terminal.width(), env.terminal.out_colour()));
  co_return ExitCode::Ok;
}

Task<ExitCode> create_key(Env& env, KeyOptions options) {
  JsonArray list;
  for (const std::string& scope : options.scopes) list.emplace_back(scope);
  JsonObject body{{"name", options.name}, {"scopes", std::move(list)}};
  if (!options.organisation.empty()) body["organisation"] = options.organisation;
  if (!options.workspace.empty()) body["workspace"] = options.workspace;
  if (!options.role.empty()) body["role"] = options.role;
  if (options.person) body["person"] = true;
  if (!options.expires_in.empty()) {
    const auto duration = parse_duration(options.expires_in);
    if (!duration) co_return env.terminal.error({"usage", "--expires-in: " + duration.error().message});
    body["expires"] = to_rfc3339(env.clock.now() + *duration);
  }
  const auto answer = co_await env.api.post("/v1/keys", std::move(body));
  if (!answer) co_return env.terminal.error(answer.error());
  if (env.json || !answer->is_object()) {
    env.terminal.line(to_text(*answer));
    co_return ExitCode::Ok;
  }
  const JsonObject& made = answer->get_object();
  env.terminal.note("keep this key: it is shown only once");
  const std::string access_key = get_string(made, "access_key_id");
  if (!access_key.empty())
    env.terminal.note(fmt::format("for AWS tools: AWS_ACCESS_KEY_ID={}, and AWS_SECRET_ACCESS_KEY is the key itself", access_key));
  env.terminal.line(get_string(made, "key", get_string(made, "text")));
  co_return ExitCode::Ok;
}

Task<ExitCode> revoke_key(Env& env, std::string id) {
  // The id, or the whole key.
  if (id.starts_with("mf_") && id.size() > 11) id = id.substr(3, 8);
  const auto answer = co_await env.api.call("DELETE", path_of({"v1", "keys", id}));
  if (!answer) co_return env.terminal.error(answer.error());
  env.terminal.note(fmt::format("revoked {}", id));
  co_return ExitCode::Ok;
}

}  // namespace mayfly::cli
