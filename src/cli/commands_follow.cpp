#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "base/id.h"
#include "cli/commands.h"
#include "cli/run_stream.h"
#include "cli/run_view.h"

namespace mayfly::cli {
namespace {

/// How long a lost server may take to come back.
constexpr Millis kPatience{120'000};

/// Shows a run as it happens: what the model says on standard output when that is wanted, the rest as notes.
class Printer {
 public:
  Printer(const Terminal& terminal, bool show_text, bool show_steps)
      : terminal_(terminal), show_text_(show_text), show_steps_(show_steps) {}

  Follow take(const RunUpdate& update) {
    switch (update.kind) {
      case RunUpdate::Kind::Text: text(update); break;
      case RunUpdate::Kind::OperationStarted:
        started(update.data);
        if (get_string(update.data, "type") == "CALLBACK") return Follow::Stop;
        break;
      case RunUpdate::Kind::OperationEnded: ended(update.data); break;
      case RunUpdate::Kind::RunStarted:
      case RunUpdate::Kind::RunEnded: end_line(); break;
    }
    return Follow::On;
  }
  void note(std::string_view text) {
    end_line();
    terminal_.note(terminal_.note_ink(Ink::Dim, text));
  }
  void end_line() {
    if (open_line_) terminal_.print("\n");
    open_line_ = false;
  }
  /// The text of the newest model call that was shown.
  const std::string& last_text() const { return text_; }

 private:
  void text(const RunUpdate& update) {
    if (update.channel != "text" || !show_text_) return;
    if (update.repeated) note("(the step is repeated after a restart)");
    if (update.repeated || update.operation != operation_) {
      end_line();
      text_.clear();
    }
    operation_ = update.operation;
    text_ += update.text;
    const std::string shown = printable(update.text);
    terminal_.print(shown);
    open_line_ = !shown.empty() && !shown.ends_with('\n');
  }
  void started(const JsonObject& data) {
    const std::string kind = get_string(data, "kind");
    if (!show_steps_ || kind == "llm" || kind == "approval" || kind == "ask" || kind == "limit" || kind == "feedback") return;
    const JsonObject* input = get_object(data, "input");
    const Json* arguments = input ? get(*input, "arguments") : nullptr;
    note(fmt::format("→ {}({})", one_line(get_string(data, "name"), 64), arguments ? brief(*arguments, 100) : ""));
  }
  void ended(const JsonObject& data) {
    end_line();
    const std::string kind = get_string(data, "kind");
    if (!show_steps_) return;
    if (const JsonObject* error = get_object(data, "error"))
      return note(fmt::format("✗ {}: {}", one_line(get_string(data, "name"), 64), one_line(get_string(*error, "message"), 160)));
    if (kind != "tool" && kind != "memory" && kind != "refused") return;
    const JsonObject* result = get_object(data, "result");
    note(fmt::format("{} {}: {}", result && get_bool(*result, "is_error") ? "✗" : "✓", one_line(get_string(data, "name"), 64),
                     result ? brief(Json(*result), 100) : ""));
  }

  const Terminal& terminal_;
  bool show_text_;
  bool show_steps_;
  bool open_line_ = false;
  std::int64_t operation_ = 0;
  std::string text_;
};

Task<Result<JsonArray>> open_questions(Api& api, std::string run) {
  auto answer = co_await api.get("/v1/questions?limit=100" + (run.empty() ? "" : "&run=" + net::percent_encode(run)));
  if (!answer) co_return fail(answer.error());
  co_return items_of(*answer, "questions");
}

/// The decision that `typed` means: a choice, its number or its first letter; nothing when it is none.
std::optional<std::string> understood(const std::vector<std::string>& choices, const std::string& typed) {
  if (typed.empty()) return std::nullopt;
  if (choices.empty() || std::ranges::find(choices, typed) != choices.end()) return typed;
  for (std::size_t i = 0; i < choices.size(); ++i)
    if (typed == std::to_string(i + 1) || (typed.size() == 1 && choices[i].starts_with(typed))) return choices[i];
  if (choices.front() == "approve" && (typed == "y" || typed == "yes")) return "approve";
  if (choices.front() == "approve" && (typed == "n" || typed == "no")) return "deny";
  return std::nullopt;
}

/// Puts a question to the person at the terminal. False when they gave none (end of input).
Task<bool> put_question(Env& env, JsonObject question) {
  const std::string run = get_string(question, "run");
  env.terminal.note(env.terminal.note_ink(Ink::Yellow, "? ") + printable(get_string(question, "text")));
  const auto choices = choices_of(question);
  std::string prompt = "  your answer: ";
  if (!choices.empty()) {
    prompt = "  ";
    for (std::size_t i = 0; i < choices.size(); ++i) prompt += fmt::format("{}{} {}", i == 0 ? "" : ", ", i + 1, one_line(choices[i], 60));
    prompt += ": ";
  }
  for (;;) {
    const auto typed = env.terminal.ask(prompt);
    if (!typed) co_return false;
    const auto decision = understood(choices, *typed);
    if (!decision) continue;
    const auto sent = co_await env.api.post(path_of({"v1", "runs", run, "answer"}),
                                            JsonObject{{"operation", get_int(question, "operation")}, {"decision", *decision}});
    if (sent) co_return true;
    env.terminal.error(sent.error());
    if (sent.error().code == "operation.not_waiting" || sent.error().code == "question.not_found")
      co_return true;  // somebody else was faster
  }
}

Task<bool> decide(Env& env, JsonObject question, FollowOptions options) {
  const auto decision = options.decide ? options.decide(question) : std::nullopt;
  if (!decision) co_return false;
  env.terminal.note(env.terminal.note_ink(Ink::Yellow, "? ") + printable(get_string(question, "text")) + " → " +
                    env.terminal.note_ink(Ink::Bold, decision->decision));
  JsonObject body{{"operation", get_int(question, "operation")}, {"decision", decision->decision}};
  if (!decision->comment.empty()) body["comment"] = decision->comment;
  const auto sent = co_await env.api.post(path_of({"v1", "runs", get_string(question, "run"), "answer"}), std::move(body));
  if (!sent) env.terminal.error(sent.error());
  co_return sent.has_value();
}

Task<ExitCode> finish(Env& env, std::string run, Printer& printer, FollowOptions options) {
  const auto answer = co_await env.api.get(path_of({"v1", "runs", run}));
  if (!answer) co_return env.terminal.error(answer.error());
  const JsonObject empty;
  const JsonObject& view = answer->is_object() ? answer->get_object() : empty;
  const bool succeeded = get_string(view, "status") == "SUCCEEDED";
  const Json* result = get(view, "result");
  if (env.json) {
    env.terminal.line(to_text(*answer));
  } else if (result && options.result_at_end) {
    const std::string text = readable(*result);
    if (!text.empty() && (!options.show_text || text != printable(printer.last_text()))) env.terminal.line(text);
  }
  if (const JsonObject* error = get_object(view, "error"); error && !succeeded)
    env.terminal.error({get_string(*error, "code"), get_string(*error, "message")});
  if (!env.json && options.show_text) printer.note(fmt::format("{} {}", run, run_footer(view)));
  co_return succeeded ? ExitCode::Ok : ExitCode::Failed;
}

}  // namespace

Task<ExitCode> follow(Env& env, std::string run, FollowOptions options) {
  Printer printer(env.terminal, options.show_text && !env.json, options.show_text && !env.json);
  RunFollower follower;
  bool look_for_questions = false, announced = false;
  FollowHooks hooks{.on_update =
                        [&](const RunUpdate& update) {
                          const Follow next = printer.take(update);
                          look_for_questions = look_for_questions || next == Follow::Stop;
                          return announced && !options.ask ? Follow::On : next;
                        },
                    .on_interruption = [&](std::string_view text) { printer.note(text); },
                    // A call that the restart cut off may need a person now, without an event that says so.
                    .on_resumed =
                        [&] {
                          printer.note("connected again");
                          look_for_questions = true;
                        }};
  while (!follower.ended()) {
    const auto followed = co_await follow_run(env.api, env.clock, run, follower, hooks, kPatience);
    if (!followed) co_return env.terminal.error(followed.error());
    if (follower.ended() || !look_for_questions) continue;
    look_for_questions = false;
    const auto questions = co_await open_questions(env.api, run);
    if (!questions) continue;
    for (const Json& item : *questions) {
      if (!item.is_object()) continue;
      printer.end_line();
      if (co_await decide(env, item.get_object(), options)) continue;
      if (options.ask && co_await put_question(env, item.get_object())) continue;
      env.terminal.note_part(question_text(item.get_object(), {.now = env.clock.now(), .colour = false}));
      if (!options.wait_for_people) {
        env.terminal.note(fmt::format("{} waits for this answer; then follow it with: mayfly logs -f {}", run, run));
        co_return ExitCode::Waiting;
      }
      announced = true;
    }
  }
  printer.end_line();
  co_return co_await finish(env, run, printer, options);
}

Result<JsonObject> invocation_body(const InvokeOptions& options) {
  constexpr std::size_t kInputBytesMax = 6 * 1024 * 1024;
  const auto load = [](const std::string& given) -> Result<std::string> {
    if (given == "-") return read_standard_input(kInputBytesMax);
    if (given.starts_with('@')) return read_file(given.substr(1), kInputBytesMax);
    return given;
  };
  auto text = load(options.text);
  if (!text) return fail(text.error());
  if (!is_utf8(*text)) return fail("input.invalid", "the input is not UTF-8 text; convert it first");
  auto data = load(options.data);
  if (!data) return fail(data.error());
  JsonObject body;
  if (data->empty()) {
    if (text->empty()) return fail("usage", "there is no input; give a text, - for standard input, @FILE, or --data JSON");
    body["input"] = *text;
  } else {
    auto parsed = parse_json(*data);
    if (!parsed) return fail("input.invalid", fmt::format("--data is no JSON: {}", parsed.error().message));
    if (text->empty()) {
      body["input"] = std::move(*parsed);
    } else {
      body["input"] = JsonObject{{"message", *text}, {"data", std::move(*parsed)}};
    }
  }
  if (!options.session.empty()) body["session"] = options.session;
  if (options.version > 0) body["version"] = options.version;
  return body;
}

Task<ExitCode> invoke(Env& env, InvokeOptions options) {
  auto body = invocation_body(options);
  if (!body) co_return env.terminal.error(body.error());
  // A key of our own makes it safe to ask again when the connection breaks before the answer.
  const std::string key = options.idempotency_key.empty() ? "cli-" + to_hex(secure_random_bytes(16)) : options.idempotency_key;
  Result<Json> started = fail("net.reset", "not sent");
  for (int attempt = 0; attempt < 5; ++attempt) {
    if (attempt > 0) co_await sleep_for(env.clock, Millis{500});
    started = co_await env.api.call("POST", path_of({"v1", "agents", options.agent, "runs"}), Json(*body), {{"Idempotency-Key", key}});
    if (started || started.error().retry != Retry::OutcomeUnknown) break;
  }
  if (!started) co_return env.terminal.error(started.error());
  const std::string run = started->is_object() ? get_string(started->get_object(), "run") : "";
  if (run.empty())
    co_return env.terminal.error({"api.invalid_answer", "the server did not name the run; is it a Mayfly server of this version?"});
  if (options.no_wait) {
    env.terminal.line(env.json ? to_text(*started) : run);
    if (!env.json) env.terminal.note(env.terminal.note_ink(Ink::Dim, fmt::format("follow it with: mayfly logs -f {}", run)));
    co_return ExitCode::Ok;
  }
  const bool live = options.stream || env.terminal.out_is_terminal();
  if (live && !env.json) env.terminal.note(env.terminal.note_ink(Ink::Dim, run));
  co_return co_await follow(
      env, run, {.show_text = live, .ask = env.terminal.interactive() && !env.json, .wait_for_people = options.wait_for_people});
}

Task<ExitCode> chat(Env& env, std::string agent, std::string session) {
  env.terminal.note(env.terminal.note_ink(
      Ink::Dim, fmt::format("{}, session {} (end with Ctrl-D)", agent, session.empty() ? "none: every message stands alone" : session)));
  ExitCode last = ExitCode::Ok;
  for (;;) {
    const auto line = env.terminal.ask(env.terminal.interactive() ? "> " : "");
    if (!line) break;
    if (line->empty()) continue;
    InvokeOptions options;
    options.agent = agent;
    options.session = session;
    options.text = *line;
    if (line->starts_with('@') || *line == "-") options.text = " " + *line;  // a message, not a file
    options.stream = true;
    last = co_await invoke(env, options);
    if (last == ExitCode::Unreachable || last == ExitCode::NotAuthorised || last == ExitCode::NotFound) co_return last;
  }
  co_return last;
}

Task<ExitCode> answer(Env& env, AnswerOptions options) {
  JsonObject body{{"decision", options.decision}};
  if (options.operation > 0) body["operation"] = options.operation;
  if (!options.comment.empty()) body["comment"] = options.comment;
  if (!options.add.empty()) {
    auto add = parse_json(options.add);
    if (!add || !add->is_object())
      co_return env.terminal.error({"usage", "--add must be a JSON object like {\"usd\": 1.0, \"steps\": 10}"});
    body["add"] = std::move(*add);
  }
  const auto sent = co_await env.api.post(path_of({"v1", "runs", options.run, "answer"}), std::move(body));
  if (!sent) co_return env.terminal.error(sent.error());
  if (env.json) {
    env.terminal.line(to_text(*sent));
  } else {
    env.terminal.note(fmt::format("answered; {} goes on. Follow it with: mayfly logs -f {}", options.run, options.run));
  }
  co_return ExitCode::Ok;
}

Task<ExitCode> questions(Env& env, std::string run) {
  const auto found = co_await open_questions(env.api, run);
  if (!found) co_return env.terminal.error(found.error());
  if (env.json) {
    env.terminal.line(to_text(Json(*found)));
    co_return ExitCode::Ok;
  }
  if (found->empty()) env.terminal.note("no open questions");
  for (const Json& item : *found) {
    if (!item.is_object()) continue;
    const JsonObject& question = item.get_object();
    const auto asked = time_of(question, "asked");
    env.terminal.line(env.terminal.ink(
        Ink::Dim, fmt::format("{} · {}{}", one_line(get_string(question, "agent"), 64), one_line(get_string(question, "run"), 64),
                              asked ? " · " + age(env.clock.now() - *asked) : "")));
    env.terminal.print(question_text(question, {.now = env.clock.now(), .colour = env.terminal.out_colour()}));
  }
  co_return ExitCode::Ok;
}

}  // namespace mayfly::cli
