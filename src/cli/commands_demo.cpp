#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <filesystem>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/project_deploy.h"
#include "cli/project_json.h"
#include "cli/run_view.h"
#include "cli/server_host.h"

namespace mayfly::cli {
namespace fs = std::filesystem;
namespace {

constexpr std::uint16_t kPort = 7400;
constexpr std::size_t kTicketBytesMax = 1024 * 1024;
/// Up to here the demonstration approves by itself.
constexpr double kApproveBelow = 200;

struct Ticket {
  std::string id, customer, subject, text;
};

Result<std::vector<Ticket>> load_tickets(const fs::path& directory) {
  std::vector<fs::path> files;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(directory, code))
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  std::ranges::sort(files);
  std::vector<Ticket> out;
  for (const fs::path& file : files) {
    const auto text = read_file(file.string(), kTicketBytesMax);
    if (!text) return fail(text.error());
    const auto parsed = parse_json(*text);
    if (!parsed || !parsed->is_object())
      return fail("input.invalid", fmt::format("`{}` is no JSON object {{id, customer, subject, text}}", file.string()));
    const JsonObject& in = parsed->get_object();
    out.push_back(
        {get_string(in, "id", file.stem().string()), get_string(in, "customer"), get_string(in, "subject"), get_string(in, "text")});
  }
  return out;
}

/// How this program is called from here.
std::string program_name() {
  std::error_code code;
  const fs::path self = fs::read_symlink("/proc/self/exe", code);
  if (code) return "mayfly";
  const std::string relative = self.lexically_relative(fs::current_path(code)).string();
  return !relative.empty() && !relative.starts_with("..") ? relative : self.string();
}

std::optional<Decision> decide(const JsonObject& question) {
  const auto choices = choices_of(question);
  const std::string kind = get_string(question, "kind");
  if (kind != "approval") {
    if (kind == "unknown") return Decision{"failed", "the demonstration does not guess"};
    return Decision{choices.empty() ? "Nobody is here; please do what you think is best." : choices.front(), ""};
  }
  const JsonObject* details = get_object(question, "details");
  const JsonObject* arguments = details ? get_object(*details, "arguments") : nullptr;
  const double amount = arguments ? get_double(*arguments, "amount") : 0;
  if (amount < kApproveBelow) return Decision{"approve", ""};
  return Decision{"deny", fmt::format("the demonstration approves amounts below {} only", kApproveBelow)};
}

struct Tally {
  std::vector<std::string> runs;
  std::size_t answered = 0;
  std::size_t failed = 0;
  ExitCode stopped = ExitCode::Ok;
};

Task<> answer_ticket(Env& env, agent::AgentSpec spec, Ticket ticket, DemoOptions options, Tally& tally) {
  JsonObject body{{"input", ticket.subject.empty() ? ticket.text : fmt::format("Subject: {}\n\n{}", ticket.subject, ticket.text)}};
  if (spec.session.keyed) body["session"] = ticket.customer.empty() ? ticket.id : ticket.customer;
  const auto started =
      co_await env.api.call("POST", path_of({"v1", "agents", spec.name, "runs"}), Json(std::move(body)), {{"Idempotency-Key", ticket.id}});
  if (!started) {
    tally.stopped = env.terminal.error(started.error());
    co_return;
  }
  const JsonObject& view = started->as_object();
  const std::string run = get_string(view, "run");
  tally.runs.push_back(run);
  env.terminal.note(fmt::format("\n{} {}", env.terminal.note_ink(Ink::Bold, one_line(ticket.id, 40)),
                                env.terminal.note_ink(Ink::Dim, one_line(fmt::format("{}: {}", ticket.customer, ticket.subject), 100))));
  if (get_string(view, "status") != "RUNNING") {
    env.terminal.note(env.terminal.note_ink(Ink::Dim, fmt::format("  was answered before: {} {}", run, status_cell(view).text)));
    get_string(view, "status") == "SUCCEEDED" ? ++tally.answered : ++tally.failed;
    co_return;
  }
  if (get_string(view, "started_as") == "duplicate") env.terminal.note(env.terminal.note_ink(Ink::Dim, "  goes on where it stood"));
  FollowOptions follow_options{.ask = env.terminal.interactive() && !options.yes, .wait_for_people = true};
  if (!follow_options.ask) follow_options.decide = decide;
  const ExitCode code = co_await follow(env, run, std::move(follow_options));
  if (code == ExitCode::Ok) ++tally.answered;
  if (code == ExitCode::Failed) ++tally.failed;
  if (code != ExitCode::Ok && code != ExitCode::Failed) tally.stopped = code;
}

Task<ExitCode> play(Env& env, agent::Project project, std::vector<Ticket> tickets, DemoOptions options) {
  const auto deployed = co_await deploy_to_server(env, project);
  if (!deployed) co_return env.terminal.error(deployed.error());
  const agent::AgentSpec& spec = project.agents.front();
  env.terminal.note(
      fmt::format("{} answers {} ticket{}", env.terminal.note_ink(Ink::Bold, spec.name), tickets.size(), tickets.size() == 1 ? "" : "s"));
  Tally tally;
  for (const Ticket& ticket : tickets) {
    co_await answer_ticket(env, spec, ticket, options, tally);
    if (tally.stopped != ExitCode::Ok) co_return tally.stopped;
  }
  env.terminal.note("");
  co_await runs(env, {.agent = spec.name, .limit = static_cast<std::int64_t>(std::clamp<std::size_t>(tickets.size(), 5, 100))});

  const std::string me = program_name();
  std::string where;
  if (options.data_dir != ".mayfly") where += fmt::format(" --data-dir {}", options.data_dir);
  if (!env.api.connection().url.ends_with(fmt::format(":{}", kPort))) where += fmt::format(" --url {}", env.api.connection().url);
  const std::string run = tally.runs.empty() ? "RUN" : tally.runs.back();
  env.terminal.note(
      fmt::format("\n{} of {} tickets answered{}. Next, in another terminal:\n"
                  "  {} runs{}\n  {} show {}{}\n  {} show {} --transcript{}\n  {} invoke {} \"...\"{}{}\n"
                  "Kill it at any moment and start it again: finished steps are not repeated, open runs go on:\n"
                  "  kill -9 {}\n  {} demo {}{}",
                  tally.answered, tickets.size(), tally.failed > 0 ? fmt::format(", {} failed", tally.failed) : "", me, where, me, run,
                  where, me, run, where, me, spec.name, spec.session.keyed ? " --session me@example.com" : "", where, ::getpid(), me,
                  options.directory, options.data_dir == ".mayfly" ? "" : fmt::format(" --data {}", options.data_dir)));
  co_return tally.answered == tickets.size() ? ExitCode::Ok : ExitCode::Failed;
}

void wait_for_signal() {
  asio::io_context io(1);
  asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([](const boost::system::error_code&, int) {});
  io.run();
}

}  // namespace

ExitCode demo(const Terminal& terminal, const DemoOptions& options) {
  log::init(log::Level::Warn, log::Format::Auto);
  std::signal(SIGPIPE, SIG_IGN);
  const auto project = agent::load_project(options.directory);
  if (!project) {
    say_problems(terminal, project.error());
    return terminal.error(problems_error(project.error().size()));
  }
  const auto tickets = load_tickets(fs::path(options.directory) / "tickets");
  if (!tickets) return terminal.error(tickets.error());

  ServerConfig config = config_from_environment();
  config.data_dir = options.data_dir;
  config.port = kPort;
  auto server = ServerHost::start(config);
  if (!server && server.error().code == "net.address_in_use") {
    config.port = 0;
    server = ServerHost::start(config);
  }
  if (!server) return terminal.error(server.error());
  terminal.note(fmt::format("Mayfly listens on {} (process {}, data in {})", terminal.note_ink(Ink::Bold, (*server)->url()), ::getpid(),
                            options.data_dir));

  CommonOptions common;
  common.connection.url = (*server)->url();
  common.connection.data_dir = options.data_dir;
  common.connection.key = find_key("", common.connection.url, options.data_dir);
  const ExitCode code = with_api(terminal, common, [&](Env& env) { return play(env, *project, *tickets, options); });
  if (code == ExitCode::Ok && (terminal.interactive() || options.stay)) {
    terminal.note("\nThe server goes on until you press Ctrl-C.");
    wait_for_signal();
  }
  return code;
}

}  // namespace mayfly::cli
