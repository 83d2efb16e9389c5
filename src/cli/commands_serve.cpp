#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/signal_set.hpp>
#include <charconv>
#include <csignal>
#include <filesystem>

#include "base/log.h"
#include "cli/commands.h"
#include "server/app.h"

namespace mayfly::cli {
namespace {

std::optional<log::Level> level_of(const std::string& name) {
  if (name == "debug") return log::Level::Debug;
  if (name == "info") return log::Level::Info;
  if (name == "warn") return log::Level::Warn;
  if (name == "error") return log::Level::Error;
  return std::nullopt;
}

Result<ServerConfig> config_of(const ServeOptions& options) {
  ServerConfig config = config_from_environment();
  const auto listen = parse_listen(options.listen);
  if (!listen) return fail(listen.error());
  const auto grace = parse_duration(options.shutdown_grace);
  if (!grace) return fail("usage", "--shutdown-grace: " + grace.error().message);
  config.data_dir = options.data_dir;
  config.address = listen->first;
  config.port = listen->second;
  config.project = options.project;
  config.shutdown_grace = *grace;
  config.price_file = options.price_file;
  config.allowed_hosts = options.allowed_hosts;
  config.open_metrics = options.open_metrics;
  config.open_mcp = options.open_mcp;
  config.public_url = options.public_url;
  while (config.public_url.ends_with('/')) config.public_url.pop_back();
  config.mirror_roots = options.mirror_roots;
  config.import_hosts = options.import_hosts;
  return config;
}

void say_ready(const Terminal& terminal, const App& app, const ServerConfig& config) {
  terminal.line(fmt::format("Mayfly listens on {}", terminal.ink(Ink::Bold, app.url())));
  std::string where;
  if (config.data_dir != ".mayfly") where += fmt::format(" --data-dir {}", config.data_dir);
  if (app.url() != Connection{}.url) where += fmt::format(" --url {}", app.url());
  if (app.made_admin_key()) terminal.line(fmt::format("The admin key is in {} (readable by you only).", app.admin_key_path()));
  terminal.line(
      fmt::format("Sign in: the command line finds the key by itself (mayfly agents{}); others send\n"
                  "  Authorization: Bearer $(cat {})",
                  where, app.admin_key_path()));
  if (!config.is_loopback())
    terminal.note(fmt::format("{} {} is reachable from other machines without encryption; put a TLS proxy in front of it",
                              terminal.note_ink(Ink::Yellow, "warning:"), config.address));
}

struct ServerState {
  Result<void> started;
  bool listening = false;
  bool stopping = false;
};

Task<> run_server(App& app, const ServerConfig& config, const Terminal& terminal, ServerState& state) {
  state.started = co_await app.start();
  if (!state.started) co_return;
  state.listening = true;
  if (!state.stopping) say_ready(terminal, app, config);
  if (state.stopping) co_await app.stop();  // asked for while it started
}

Task<> stop_server(App& app) { co_await app.stop(); }

}  // namespace

Result<std::pair<std::string, std::uint16_t>> parse_listen(const std::string& text) {
  const auto refuse = [&] {
    return fail("usage",
                fmt::format("--listen `{}` is no HOST:PORT; give for example 127.0.0.1:7400, [::1]:7400 or :7400", one_line(text, 60)));
  };
  const auto colon = text.rfind(':');
  const bool is_bracketed = text.starts_with('[');
  std::string host = colon == std::string::npos ? "" : text.substr(0, colon);
  const std::string digits = colon == std::string::npos ? text : text.substr(colon + 1);
  if (is_bracketed) {
    if (!host.ends_with(']') || host.size() < 4) return refuse();
    host = host.substr(1, host.size() - 2);
  } else if (host.contains(':')) {
    return refuse();
  }
  unsigned port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size() || port > 65'535) return refuse();
  if (host.empty() || host == "localhost") host = "127.0.0.1";
  return std::pair{host, static_cast<std::uint16_t>(port)};
}

ExitCode serve(const Terminal& terminal, const ServeOptions& options) {
  const auto config = config_of(options);
  if (!config) return terminal.error(config.error());
  const auto level = level_of(options.log_level);
  if (!level) return terminal.error({"usage", "--log-level is debug, info, warn or error"});
  if (options.log_format != "auto" && options.log_format != "json" && options.log_format != "text")
    return terminal.error({"usage", "--log-format is auto, json or text"});
  log::init(*level, options.log_format == "json"   ? log::Format::Json
                    : options.log_format == "text" ? log::Format::Text
                                                   : log::Format::Auto);
  std::signal(SIGPIPE, SIG_IGN);

  asio::io_context io(1);
  App app(io.get_executor(), *config);
  TaskGroup tasks(io.get_executor());
  ServerState state;
  asio::signal_set signals(io, SIGINT, SIGTERM);
  const std::function<void()> wait_for_signal = [&] {
    signals.async_wait([&](const boost::system::error_code& error, int number) {
      if (error) return;
      // The second one means it: what is durable is durable, the rest resumes at the next start.
      if (state.stopping) ::_exit(128 + number);
      state.stopping = true;
      terminal.note("stopping; running steps get their time to end (again to stop at once)");
      if (state.listening) tasks.spawn(stop_server(app));
      wait_for_signal();
    });
  };
  wait_for_signal();
  tasks.spawn(run_server(app, *config, terminal, state));
  // The signal's wait never ends by itself: the loop is done when the start failed, or the stop that a signal asked for.
  while (tasks.size() > 0 || (state.listening && !state.stopping)) io.run_one();
  if (!state.started) return terminal.error(state.started.error());
  return ExitCode::Ok;
}

}  // namespace mayfly::cli
