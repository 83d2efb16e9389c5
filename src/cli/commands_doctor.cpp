#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "cli/commands.h"

namespace mayfly::cli {
namespace fs = std::filesystem;
namespace {

enum class Verdict { Ok, Warn, Fail };

struct Check {
  Verdict verdict = Verdict::Ok;
  std::string name;
  std::string found;
  std::string remedy;  ///< when it is not ok
};

constexpr std::uintmax_t kSpaceWarn = 1ULL << 30;
constexpr std::uintmax_t kSpaceFail = 64ULL << 20;
constexpr int kSqliteWarn = 3'007'000;  // strict enough for WAL with FULL sync and JSON functions
constexpr double kSyncWarnMs = 20;

/// The folder that exists and would hold the data directory.
fs::path existing(fs::path path) {
  std::error_code code;
  path = fs::absolute(path, code);
  while (!fs::exists(path, code) && path.has_relative_path()) path = path.parent_path();
  return path;
}

/// Writes and syncs a few blocks; the median in milliseconds, or nothing when it cannot.
std::optional<double> sync_ms(const fs::path& folder) {
  const std::string path = (folder / fmt::format(".mayfly-doctor-{}", ::getpid())).string();
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return std::nullopt;
  const std::string block(4096, 'm');
  std::vector<double> times;
  for (int i = 0; i < 7; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    if (::write(file, block.data(), block.size()) != static_cast<ssize_t>(block.size()) || ::fdatasync(file) != 0) break;
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  }
  ::close(file);
  ::unlink(path.c_str());
  if (times.size() < 7) return std::nullopt;
  std::ranges::sort(times);
  return times[times.size() / 2];
}

void check_disk(std::vector<Check>& out, const std::string& data_dir) {
  const fs::path folder = existing(data_dir);
  if (const auto ms = sync_ms(folder)) {
    out.push_back({Verdict::Ok, "data directory", fmt::format("{} is writable", folder.string()), ""});
    out.push_back({*ms > kSyncWarnMs ? Verdict::Warn : Verdict::Ok, "sync", fmt::format("{:.1f} ms for each durable write", *ms),
                   "every step waits for one sync; put the data directory on a faster disk"});
  } else {
    out.push_back({Verdict::Fail, "data directory", fmt::format("{} cannot be written", folder.string()),
                   "give a writable folder with --data or MAYFLY_DATA"});
  }
  std::error_code code;
  const auto space = fs::space(folder, code);
  if (code) return;
  const Verdict verdict = space.available < kSpaceFail ? Verdict::Fail : space.available < kSpaceWarn ? Verdict::Warn : Verdict::Ok;
  out.push_back({verdict, "disk space", fmt::format("{:.1f} GiB free", static_cast<double>(space.available) / (1ULL << 30)),
                 "free some space: without it new runs are refused"});
}

void check_programs(std::vector<Check>& out) {
  out.push_back({sqlite3_libversion_number() < kSqliteWarn ? Verdict::Warn : Verdict::Ok, "sqlite", sqlite3_libversion(),
                 "install a newer libsqlite3"});
  const char* path = std::getenv("PATH");
  for (const std::string_view program : {"python3", "node"}) {
    std::string found;
    std::string_view rest = path ? path : "";
    while (!rest.empty() && found.empty()) {
      const auto colon = rest.find(':');
      const fs::path candidate = fs::path(rest.substr(0, colon)) / program;
      if (::access(candidate.c_str(), X_OK) == 0) found = candidate.string();
      rest = colon == std::string_view::npos ? "" : rest.substr(colon + 1);
    }
    out.push_back({found.empty() ? Verdict::Warn : Verdict::Ok, std::string(program), found.empty() ? "not found" : found,
                   "only needed for tools written for it; install it or leave it"});
  }
}

void check_providers(std::vector<Check>& out) {
  std::string names;
  for (const char* name : {"ANTHROPIC_API_KEY", "OPENAI_API_KEY"})
    if (const char* value = std::getenv(name); value && *value) names += (names.empty() ? "" : ", ") + std::string(name);
  out.push_back({names.empty() ? Verdict::Warn : Verdict::Ok, "provider keys", names.empty() ? "none set" : names + " set",
                 "set ANTHROPIC_API_KEY or OPENAI_API_KEY for the server, or use providers that need none (scripted, a local model)"});
}

bool port_is_free(std::uint16_t port) {
  const int handle = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (handle < 0) return false;
  const int on = 1;
  ::setsockopt(handle, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool free = ::bind(handle, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(handle);
  return free;
}

/// Which layers confine functions there.
Task<> check_sandbox(Env& env, std::vector<Check>& out) {
  const auto answer = co_await env.api.get("/v1/sandbox");
  if (!answer) {
    out.push_back({Verdict::Warn, "sandbox", answer.error().message, "the key needs the scope read"});
    co_return;
  }
  const JsonArray layers = items_of(*answer, "layers");
  const auto is_active = [](const Json& item) { return item.is_object() && get_bool(item.get_object(), "active"); };
  if (std::ranges::none_of(layers, is_active)) {
    const std::string why = layers.empty() || !layers[0].is_object() ? "" : get_string(layers[0].get_object(), "detail");
    out.push_back({Verdict::Warn, "sandbox", "none: functions cannot run there", why.empty() ? "functions are switched off" : why});
    co_return;
  }
  std::string active;
  std::size_t count = 0;
  for (const Json& item : layers) {
    if (!item.is_object()) continue;
    const JsonObject& layer = item.get_object();
    const std::string name = get_string(layer, "layer");
    if (get_bool(layer, "active")) {
      active += (active.empty() ? "" : ", ") + name;
      ++count;
      continue;
    }
    out.push_back({Verdict::Warn, "sandbox", name + " is missing", get_string(layer, "detail")});
  }
  out.push_back({Verdict::Ok, "sandbox", fmt::format("{} of {} layers active: {}", count, layers.size(), active), ""});
}

Task<ExitCode> check_server(Env& env, std::vector<Check>& out) {
  const std::string& url = env.api.connection().url;
  const auto health = co_await env.api.text("GET", "/healthz", "", {});
  if (!health && exit_code_of(health.error()) == ExitCode::Unreachable) {
    const bool is_default = url == Connection{}.url;
    const bool taken = is_default && !port_is_free(7400);
    out.push_back({taken ? Verdict::Fail : Verdict::Warn, "server",
                   taken ? "port 7400 is taken by another program" : fmt::format("none at {}", url),
                   taken ? "start it on another port: mayfly serve --listen 127.0.0.1:7401" : "start one: mayfly serve"});
    co_return ExitCode::Ok;
  }
  out.push_back({health ? Verdict::Ok : Verdict::Fail, "server", health ? fmt::format("answers at {}", url) : health.error().message,
                 "another program may have this port; name the server with --url"});
  if (!health) co_return ExitCode::Ok;
  const auto agents = co_await env.api.get("/v1/agents");
  out.push_back({agents ? Verdict::Ok : Verdict::Fail, "key", agents ? "is accepted" : agents.error().message,
                 "give a key with --key or MAYFLY_API_KEY, or --data with the server's data directory"});
  if (agents) co_await check_sandbox(env, out);
  co_return ExitCode::Ok;
}

}  // namespace

ExitCode doctor(const Terminal& terminal, const CommonOptions& options) {
  std::vector<Check> checks;
  check_disk(checks, options.connection.data_dir);
  check_programs(checks);
  check_providers(checks);
  with_api(terminal, options, [&](Env& env) { return check_server(env, checks); });

  static constexpr std::array<std::string_view, 3> kWords{"ok", "warn", "fail"};
  static constexpr std::array<Ink, 3> kInks{Ink::Green, Ink::Yellow, Ink::Red};
  const bool failed = std::ranges::any_of(checks, [](const Check& check) { return check.verdict == Verdict::Fail; });
  if (options.json) {
    JsonArray out;
    for (const Check& check : checks) {
      JsonObject entry{{"check", check.name}, {"verdict", kWords[static_cast<std::size_t>(check.verdict)]}, {"found", check.found}};
      if (check.verdict != Verdict::Ok) entry["remedy"] = check.remedy;
      out.push_back(std::move(entry));
    }
    terminal.line(to_text(Json(std::move(out))));
    return failed ? ExitCode::Failed : ExitCode::Ok;
  }
  for (const Check& check : checks) {
    const auto at = static_cast<std::size_t>(check.verdict);
    terminal.line(fmt::format("{}  {}  {}", terminal.ink(kInks[at], fmt::format("{:<4}", kWords[at])),
                              terminal.ink(Ink::Bold, fmt::format("{:<14}", check.name)), printable(check.found)));
    if (check.verdict != Verdict::Ok) terminal.line(terminal.ink(Ink::Dim, "      " + check.remedy));
  }
  return failed ? ExitCode::Failed : ExitCode::Ok;
}

}  // namespace mayfly::cli
