#include "cli/commands.h"

namespace mayfly::cli {
namespace {

Task<> run_command(std::function<Task<ExitCode>(Env&)> command, Env& env, ExitCode& code) { code = co_await command(env); }

}  // namespace

ExitCode with_api(const Terminal& terminal, const CommonOptions& options, std::function<Task<ExitCode>(Env&)> command) {
  auto url = checked_url(options.connection.url);
  if (!url) return terminal.error(url.error());
  Connection connection = options.connection;
  connection.url = *url;
  connection.key = find_key(connection.key, connection.url, connection.data_dir);

  asio::io_context io(1);
  SystemClock clock(io.get_executor());
  const auto http = net::make_http_client(io.get_executor(), clock);
  Api api(*http, std::move(connection));
  Env env{terminal, clock, api, options.json};
  ExitCode code = ExitCode::Failed;
  TaskGroup tasks(io.get_executor());
  tasks.spawn(run_command(std::move(command), env, code));
  while (tasks.size() > 0) io.run_one();
  return code;
}

}  // namespace mayfly::cli
