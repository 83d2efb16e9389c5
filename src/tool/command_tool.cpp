#include "tool/command_tool.h"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <array>
#include <csignal>

namespace mayfly {
namespace {

using End = ProcessResult::End;

constexpr std::size_t kStderrBytes = 4096;
constexpr int kExitTemporary = 75;  // EX_TEMPFAIL of sysexits.h
constexpr std::string_view kPathDefault = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr std::array<std::string_view, 7> kOwnVariables{
    "HOME", "MAYFLY_RUN_ID", "MAYFLY_SESSION_ID", "MAYFLY_IDEMPOTENCY_KEY", "MAYFLY_ATTEMPT", "TRACEPARENT", "TMPDIR"};

/// Passes progress on line by line, so that a secret is found even when it comes in two reads.
class ProgressLines {
 public:
  ProgressLines(const Redactor& redactor, const std::function<void(std::string_view)>& out) : redactor_(redactor), out_(out) {}
  void add(std::string_view bytes) {
    pending_ += bytes;
    std::size_t end = pending_.rfind('\n');
    if (end == std::string::npos) {
      if (pending_.size() <= kLineBytesMax + redactor_.longest()) return;
      end = pending_.size() - 1;
    }
    emit(pending_.substr(0, end + 1));
    pending_.erase(0, end + 1);
  }
  void finish() {
    if (!pending_.empty()) emit(std::exchange(pending_, {}));
  }

 private:
  static constexpr std::size_t kLineBytesMax = 16 * 1024;
  void emit(std::string_view text) { out_(to_utf8_lossy(redactor_.apply(text))); }

  const Redactor& redactor_;
  const std::function<void(std::string_view)>& out_;
  std::string pending_;
};

class CommandTool final : public Tool {
 public:
  CommandTool(CommandToolOptions options, Clock& clock, EnvLookup env)
      : options_(std::move(options)), clock_(clock), env_(std::move(env)) {}

  const std::string& name() const override { return options_.name; }
  const std::string& description() const override { return options_.description; }
  const Json& parameters() const override { return options_.parameters; }
  Effect effect() const override { return options_.effect; }

  Task<Result<ToolOutput>> call(ToolCall call) override {
    Redactor redactor;
    auto request = make_request(call, redactor);
    if (!request) co_return fail(request.error());
    ProgressLines progress(redactor, call.on_output);
    if (call.on_output) request->on_stderr = [&progress](std::string_view bytes) { progress.add(bytes); };
    auto result = co_await run_process(clock_, *std::move(request));
    if (call.on_output) progress.finish();
    if (!result) co_return fail(result.error());
    co_return conclude(*std::move(result), redactor);
  }

 private:
  std::string variable(std::string_view name, std::string_view otherwise) const { return env_(name).value_or(std::string(otherwise)); }

  Result<ProcessRequest> make_request(const ToolCall& call, Redactor& redactor) const {
    ProcessRequest request{.argv = options_.argv,
                           .directory = options_.directory,
                           .path = variable("PATH", kPathDefault),
                           .input = to_text(call.arguments) + "\n",
                           .limits = options_.limits,
                           .stdout_bytes_max = options_.stdout_bytes_max,
                           .timeout = std::min(options_.timeout, call.timeout),
                           .cancel = call.cancel};
    request.environment = {"PATH=" + request.path,
                           "LANG=" + variable("LANG", "C.UTF-8"),
                           "HOME=" + options_.directory,
                           "TMPDIR=" + variable("TMPDIR", "/tmp"),
                           "MAYFLY_RUN_ID=" + call.run_id,
                           "MAYFLY_SESSION_ID=" + call.session_id,
                           "MAYFLY_IDEMPOTENCY_KEY=" + call.idempotency_key,
                           "MAYFLY_ATTEMPT=" + std::to_string(call.attempt),
                           "TRACEPARENT=" + call.traceparent};
    for (const std::string& name : options_.env) {
      const auto value = env_(name);
      if (!value) {
        return fail("tool.missing_variable",
                    fmt::format("tool {} wants the environment variable {}, which is not set: set it for the server "
                                "or take it out of the tool's env",
                                options_.name, name));
      }
      redactor.add(*value);
      request.environment.push_back(name + "=" + *value);
    }
    request.stderr_bytes_kept = kStderrBytes + redactor.longest();
    return request;
  }

  Result<ToolOutput> conclude(ProcessResult result, const Redactor& redactor) const {
    const std::string log = stderr_text(result, redactor);
    switch (result.end) {
      case End::Exited:
        return exited(result, log, redactor);
      case End::Signalled:
        return killed(result, log);
      case End::TimedOut:
        return failed("tool.timeout", fmt::format("did not end in time and was stopped; raise its timeout or make it faster{}", log));
      case End::Cancelled:
        return failed("tool.cancelled", "was cancelled and its program stopped");
      case End::TooMuchOutput: {
        auto error = failed("tool.output_too_large",
                            fmt::format("printed more than {} bytes and was stopped; let it print less", options_.stdout_bytes_max));
        if (options_.effect == Effect::ReadOnly) error.error().retry = Retry::Never;
        return error;
      }
      case End::Lost:
        break;
    }
    return failed("tool.failed", "ended, but how is not known: something else in the server waits for its child processes");
  }

  Result<ToolOutput> exited(ProcessResult& result, const std::string& log, const Redactor& redactor) const {
    if (result.exit_code == kExitTemporary) {
      return fail("tool.temporary", fmt::format("tool {} asks to be called again later (exit status 75){}", options_.name, log),
                  Retry::Safe);
    }
    std::string text = redactor.apply(result.output);
    while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
    if (result.exit_code == 0) {
      return ToolOutput{text.empty() ? "(no output)" : text_for_model(std::move(text), options_.model_bytes_max)};
    }
    std::string message = fmt::format("The command failed with exit status {}{}", result.exit_code, log);
    if (!text.empty()) message += "\nstdout:\n" + text_for_model(std::move(text), kStderrBytes);
    return ToolOutput{std::move(message), true};
  }

  Result<ToolOutput> killed(const ProcessResult& result, const std::string& log) const {
    const char* abbreviation = ::sigabbrev_np(result.signal);
    std::string remedy;
    if (result.signal == SIGXCPU) remedy = fmt::format("; it used its {} s of CPU time, raise that limit", options_.limits.cpu_seconds);
    if (result.signal == SIGXFSZ) remedy = "; it wrote a larger file than its limit allows, raise that limit";
    if (result.signal == SIGKILL) remedy = "; the machine may be out of memory";
    return failed("tool.failed", fmt::format("was killed by signal {} (SIG{}){}{}", result.signal,
                                             abbreviation != nullptr ? abbreviation : "?", remedy, log));
  }

  std::unexpected<Error> failed(std::string code, std::string_view what) const {
    const Retry retry = options_.effect == Effect::ReadOnly ? Retry::Safe : Retry::OutcomeUnknown;
    return fail(std::move(code), fmt::format("tool {} {}", options_.name, what), retry);
  }

  /// The last bytes of standard error on lines of their own, or nothing. Cut in raw bytes first, so that no half of a secret stays.
  static std::string stderr_text(const ProcessResult& result, const Redactor& redactor) {
    const std::string& raw = result.stderr_tail;
    std::size_t from = raw.size() > kStderrBytes ? raw.size() - kStderrBytes : 0;
    while (from > 0 && from < raw.size() && (static_cast<unsigned char>(raw[from]) & 0xc0) == 0x80) ++from;
    std::string text = to_utf8_lossy(redactor.apply(raw, from));
    while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
    if (text.empty()) return {};
    return fmt::format("\nstderr{}:\n{}", from > 0 || result.stderr_cut ? " (its end)" : "", text);
  }

  CommandToolOptions options_;
  Clock& clock_;
  EnvLookup env_;
};

}  // namespace

Result<std::unique_ptr<Tool>> make_command_tool(CommandToolOptions options, Clock& clock, EnvLookup env) {
  const auto invalid = [&](std::string_view why) { return fail("tool.invalid", fmt::format("tool {}: {}", options.name, why)); };
  if (options.argv.empty() || options.argv.front().empty()) return invalid("the command is empty: name a program and its arguments");
  if (!options.directory.starts_with('/')) return invalid("the directory of a command must be an absolute path");
  for (const std::string& name : options.env) {
    if (!is_env_name(name)) return invalid(fmt::format("\"{}\" is not the name of an environment variable", name));
    if (std::ranges::find(kOwnVariables, name) != kOwnVariables.end())
      return invalid(fmt::format("{} is set by Mayfly: take it out of env", name));
  }
  std::ranges::sort(options.env);
  options.env.erase(std::unique(options.env.begin(), options.env.end()), options.env.end());
  std::erase_if(options.env, [](const std::string& name) { return name == "PATH" || name == "LANG"; });
  return std::make_unique<CommandTool>(std::move(options), clock, std::move(env));
}

}  // namespace mayfly
