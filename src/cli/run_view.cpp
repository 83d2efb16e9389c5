#include "cli/run_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace mayfly::cli {
namespace {

constexpr std::size_t kBriefColumns = 60;

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c == '_' ? ' ' : c;
  return text;
}

const JsonObject& object_of(const JsonObject& owner, std::string_view key) {
  static const JsonObject kEmpty;
  const JsonObject* found = get_object(owner, key);
  return found ? *found : kEmpty;
}

/// UTC: hours and minutes today, else the date too.
std::string clock_text(TimePoint time, TimePoint now) {
  const std::string text = to_rfc3339(time);
  const bool today = text.substr(0, 10) == to_rfc3339(now).substr(0, 10);
  return (today ? "" : text.substr(5, 5) + " ") + text.substr(11, 8) + " UTC";
}

std::string wait_text(const JsonObject& wait, TimePoint now) {
  const std::string kind = get_string(wait, "kind"), name = one_line(get_string(wait, "name"), 40);
  const auto until = time_of(wait, "until");
  if (kind == "timer") return until ? "sleeps until " + clock_text(*until, now) : "sleeps";
  if (kind == "callback" && get_string(wait, "for") == "event") return until ? "waits for an event until " + clock_text(*until, now) : "waits for an event";
  if (kind == "callback") return name.empty() ? "waits for a person" : fmt::format("waits for a person ({})", name);
  if (kind == "retry") return until ? "tries again at " + clock_text(*until, now) : "tries again soon";
  if (kind == "outcome_unknown") return fmt::format("outcome of {} unknown: needs a person", name.empty() ? "a call" : name);
  if (kind == "session_busy") return "queued behind its session";
  if (kind == "chained_invoke") return name.empty() ? "waits for another agent" : "waits for " + name;
  return "waits (" + one_line(kind, 40) + ")";
}

double usd_of(const JsonObject& summary) {
  if (summary.contains("cost_usd")) return get_double(summary, "cost_usd");
  return get_double(summary, "nano_usd") / 1e9;
}

std::int64_t tokens_of(const JsonObject& summary) { return get_int(summary, "input_tokens") + get_int(summary, "output_tokens"); }

std::string duration_of(const JsonObject& object, std::string_view from, std::string_view to, TimePoint otherwise) {
  const auto begin = time_of(object, from);
  if (!begin) return "-";
  return to_human(std::max(Millis{0}, time_of(object, to).value_or(otherwise) - *begin));
}

Ink ink_of(std::string_view status) {
  if (status == "SUCCEEDED") return Ink::Green;
  if (status == "FAILED" || status == "TIMED_OUT") return Ink::Red;
  if (status == "OUTCOME_UNKNOWN" || status == "PENDING" || status == "STARTED") return Ink::Yellow;
  return Ink::Dim;
}

/// What one model call used, from its measurements.
struct Used {
  std::int64_t tokens = 0;
  double usd = 0;
};
Used used_by(const JsonObject& operation) {
  const JsonObject& meta = object_of(operation, "meta");
  const JsonObject& usage = object_of(meta, "usage");
  Used out;
  for (const std::string_view key : {"input", "cache_read", "cache_write", "output"}) out.tokens += get_int(usage, key);
  out.usd = usd_of(meta);
  return out;
}

/// What one call did, in a few words.
std::string outcome_of(const JsonObject& operation) {
  if (const JsonObject* error = get_object(operation, "error")) return get_string(*error, "message");
  const JsonObject& result = object_of(operation, "result");
  if (const JsonObject* message = get_object(result, "message")) {
    std::string text, calls;
    if (const JsonArray* parts = get_array(*message, "content")) {
      for (const Json& part : *parts) {
        if (!part.is_object()) continue;
        const JsonObject& content = part.get_object();
        const std::string name = get_string(content, "name");
        if (!name.empty())
          calls += fmt::format("{}{}({})", calls.empty() ? "→ " : ", ", name, brief(Json(object_of(content, "arguments")), 40));
        if (name.empty() && get_string(content, "kind", get_string(content, "type")) != "reasoning") text += get_string(content, "text");
      }
    }
    return calls.empty() ? text : calls;
  }
  if (result.contains("approved")) return get_bool(result, "approved") ? "approved" : "denied";
  if (result.contains("answer")) return brief(result.at("answer"), 0);
  if (result.contains("continue")) return get_bool(result, "continue") ? "continue" : "stop";
  if (const Json* value = get(operation, "result")) return brief(*value, 0);
  if (const JsonObject* input = get_object(operation, "input")) {
    if (input->contains("question")) return get_string(*input, "question");
    if (const Json* arguments = get(*input, "arguments")) return brief(*arguments, 0);
  }
  return get_string(operation, "last_error");
}

/// The rows of those below `run`; `depth` levels down already.
void add_tree_rows(const JsonObject& run, std::size_t depth, std::vector<std::vector<Cell>>& rows) {
  const JsonArray* children = get_array(run, "children");
  for (std::size_t i = 0; children && i < children->size(); ++i) {
    const JsonObject* child = (*children)[i].if_object();
    if (!child) continue;
    const JsonObject& summary = object_of(*child, "summary");
    rows.push_back({{std::to_string(get_int(*child, "operation"))},
                    {std::string(2 * depth, ' ') + "↳ " + one_line(get_string(*child, "agent"), 40)},
                    {one_line(get_string(*child, "run"), 40), Ink::Bold},
                    {std::to_string(get_int(summary, "steps"))},
                    {money(usd_of(summary))},
                    status_cell(*child)});
    if (depth < 32) add_tree_rows(*child, depth + 1, rows);
  }
}

std::string indented(std::string_view text, std::string_view indent) {
  std::string out{indent};
  for (const char c : text) {
    out += c;
    if (c == '\n') out += indent;
  }
  return out;
}

}  // namespace

std::optional<TimePoint> time_of(const JsonObject& object, std::string_view key) {
  const Json* value = get(object, key);
  if (!value) return std::nullopt;
  if (value->is_int64()) return from_unix_ms(value->get_int64());
  if (!value->is_string()) return std::nullopt;
  const auto parsed = parse_rfc3339(value->get_string());
  if (!parsed) return std::nullopt;
  return *parsed;
}

Cell status_cell(const JsonObject& run) {
  const std::string status = get_string(run, "status");
  if (status != "RUNNING") return {lower(one_line(status, 40)), ink_of(status)};
  const JsonObject* wait = get_object(run, "wait");
  if (!wait) return {"running", Ink::Cyan};
  return {wait_text(*wait, time_of(run, "updated").value_or(TimePoint{})), Ink::Yellow};
}

std::string runs_table(const JsonArray& runs, const ViewOptions& view) {
  std::vector<std::vector<Cell>> rows;
  for (const Json& item : runs) {
    if (!item.is_object()) continue;
    const JsonObject& run = item.get_object();
    const JsonObject& summary = object_of(run, "summary");
    const auto created = time_of(run, "created");
    std::string session = one_line(get_string(run, "session"), 24);
    const std::string agent = one_line(get_string(run, "agent"), 24);
    if (session.starts_with(agent + "/")) session.erase(0, agent.size() + 1);
    if (session == get_string(run, "id")) session.clear();
    rows.push_back({{one_line(get_string(run, "id"), 40), Ink::Bold},
                    {(get_object(run, "parent") ? "↳ " : "") + agent},
                    {session.empty() ? "-" : session},
                    {std::to_string(get_int(summary, "steps"))},
                    {count(tokens_of(summary))},
                    {money(usd_of(summary))},
                    {created ? age(view.now - *created) : "-"},
                    status_cell(run)});
  }
  return table({{"RUN"},
                {"AGENT"},
                {"SESSION"},
                {"STEPS", Align::Right},
                {"TOKENS", Align::Right},
                {"COST", Align::Right},
                {"AGE", Align::Right},
                {"STATUS"}},
               rows, view.width, view.colour);
}

std::string run_head(const JsonObject& run, const ViewOptions& view) {
  const Cell status = status_cell(run);
  const JsonObject& summary = object_of(run, "summary");
  const auto line = [&](std::string_view name, const std::string& value) {
    return value.empty() ? std::string() : inked(Ink::Dim, fmt::format("{:<10}", name), view.colour) + value + "\n";
  };
  std::string out = line("run", inked(Ink::Bold, one_line(get_string(run, "id"), 80), view.colour));
  out += line("agent", fmt::format("{} (version {})", one_line(get_string(run, "agent"), 80), get_int(run, "version")));
  const std::string session = one_line(get_string(run, "session"), 80);
  if (session != get_string(run, "id")) out += line("session", session);
  out += line("status", inked(status.ink, status.text, view.colour));
  out += line("started", one_line(get_string(run, "created"), 40));
  out += line("took", duration_of(run, "created", "ended", view.now));
  out +=
      line("used", fmt::format("{} model calls, {} input + {} output tokens, {}", get_int(summary, "steps"),
                               count(get_int(summary, "input_tokens")), count(get_int(summary, "output_tokens")), money(usd_of(summary))));
  if (const JsonObject* total = get_object(summary, "total"); total && get_int(summary, "children") > 0)
    out += line("in all", fmt::format("{} model calls, {} tokens, {} with the runs below it", get_int(*total, "steps"), count(tokens_of(*total)),
                                      money(usd_of(*total))));
  if (const JsonObject* parent = get_object(run, "parent")) out += line("parent", one_line(get_string(*parent, "run"), 80));
  if (const JsonObject* error = get_object(run, "error"))
    out += line("error", fmt::format("{} ({})", printable(get_string(*error, "message")), one_line(get_string(*error, "code"), 60)));
  return out;
}

std::string run_tree(const JsonObject& run, const ViewOptions& view) {
  std::vector<std::vector<Cell>> rows;
  add_tree_rows(run, 0, rows);
  if (rows.empty()) return {};
  return table({{"#", Align::Right}, {"AGENT"}, {"RUN"}, {"STEPS", Align::Right}, {"COST", Align::Right}, {"STATUS"}}, rows, view.width, view.colour);
}

std::vector<std::string> asking_runs(const JsonObject& run) {
  constexpr std::size_t kMost = 10;
  std::vector<std::string> out;
  const JsonArray* children = get_array(run, "children");
  for (std::size_t i = 0; children && i < children->size() && out.size() < kMost; ++i) {
    const JsonObject* child = (*children)[i].if_object();
    if (!child) continue;
    const std::string kind = get_string(object_of(*child, "wait"), "kind");
    if (kind == "callback" || kind == "outcome_unknown") out.push_back(get_string(*child, "run"));
    for (std::string& below : asking_runs(*child)) out.push_back(std::move(below));
  }
  if (out.size() > kMost) out.resize(kMost);
  return out;
}

std::string timeline(const JsonObject& run, const JsonArray& operations, Detail detail, const ViewOptions& view) {
  const auto begin = time_of(run, "created").value_or(view.now);
  std::vector<const JsonObject*> ordered;
  for (const Json& item : operations)
    if (item.is_object() && get_string(item.get_object(), "type") != "EXECUTION") ordered.push_back(&item.get_object());
  std::ranges::sort(ordered, {}, [](const JsonObject* operation) { return get_int(*operation, "id"); });
  const std::vector<Column> columns{
      {"#", Align::Right},      {"AT", Align::Right},   {"KIND"}, {"NAME"}, {"STATUS"}, {"TOOK", Align::Right}, {"TRIES", Align::Right},
      {"TOKENS", Align::Right}, {"COST", Align::Right}, {"WHAT"}};
  std::vector<std::vector<Cell>> rows;
  for (const JsonObject* operation : ordered) {
    const std::string status = get_string(*operation, "status");
    const Used used = used_by(*operation);
    const auto started = time_of(*operation, "started");
    rows.push_back({{std::to_string(get_int(*operation, "id"))},
                    {started ? "+" + to_human(std::max(Millis{0}, *started - begin)) : "-"},
                    {one_line(get_string(*operation, "kind", lower(get_string(*operation, "type"))), 16)},
                    {one_line(get_string(*operation, "name"), 28), Ink::Bold},
                    {lower(one_line(status, 20)), ink_of(status)},
                    {duration_of(*operation, "started", "ended", view.now)},
                    {std::to_string(std::max(get_int(*operation, "attempts"), get_int(*operation, "attempt", 1)))},
                    {used.tokens > 0 ? count(used.tokens) : "-"},
                    {money(used.usd)},
                    {one_line(outcome_of(*operation), view.width == 0 ? kBriefColumns : view.width)}});
  }
  if (detail == Detail::Brief) return table(columns, rows, view.width, view.colour);
  std::string out;
  for (std::size_t i = 0; i < ordered.size(); ++i) {
    rows[i].back().text.clear();
    const std::string lines = table(columns, {rows[i]}, 0, view.colour);
    out += lines.substr(lines.find('\n') + 1);
    for (const std::string_view key : {"input", "result", "error", "meta"}) {
      const Json* value = get(*ordered[i], key);
      if (!value || value->is_null()) continue;
      out += inked(Ink::Dim, fmt::format("    {}\n", key), view.colour) + indented(printable(to_pretty_text(*value)), "      ") + "\n";
    }
  }
  return out;
}

std::string run_footer(const JsonObject& run) {
  const JsonObject& summary = object_of(run, "summary");
  std::string out =
      status_cell(run).text + fmt::format(" · {} model calls · {} tokens", get_int(summary, "steps"), count(tokens_of(summary)));
  if (usd_of(summary) > 0) out += " · " + money(usd_of(summary));
  if (time_of(run, "ended")) out += " · " + duration_of(run, "created", "ended", TimePoint{});
  return out;
}

std::vector<std::string> choices_of(const JsonObject& question) {
  const std::string kind = get_string(question, "kind");
  const JsonObject& details = object_of(question, "details");
  if (kind == "limit") return {"continue", "stop"};
  if (kind == "unknown") return {"retry", "succeeded", "failed"};
  if (kind == "approval" || get_string(details, "answer_kind", get_string(details, "kind")) == "approve") return {"approve", "deny"};
  std::vector<std::string> out;
  if (const JsonArray* options = get_array(details, "options"))
    for (const Json& option : *options)
      if (option.is_string()) out.emplace_back(option.get_string());
  return out;
}

std::string question_text(const JsonObject& question, const ViewOptions& view) {
  const std::string run = one_line(get_string(question, "run"), 80);
  const std::int64_t operation = get_int(question, "operation");
  std::string out = inked(Ink::Yellow, "? ", view.colour) + printable(get_string(question, "text")) + "\n";
  const auto hint = [&](const std::string& command) { out += inked(Ink::Dim, "  " + command, view.colour) + "\n"; };
  const auto choices = choices_of(question);
  if (choices == std::vector<std::string>{"approve", "deny"}) {
    hint(fmt::format("mayfly approve {} --operation {}", run, operation));
    hint(fmt::format("mayfly deny {} --operation {} --comment \"why\"", run, operation));
  } else if (choices.empty()) {
    hint(fmt::format("mayfly answer {} \"your answer\" --operation {}", run, operation));
  } else {
    for (const std::string& choice : choices)
      hint(fmt::format("mayfly answer {} \"{}\" --operation {}", run, one_line(choice, 60), operation));
  }
  if (const auto until = time_of(question, "until")) hint("the answer is needed until " + clock_text(*until, view.now));
  return out;
}

std::string transcript_text(const JsonArray& messages, const ViewOptions& view) {
  std::string out;
  for (const Json& item : messages) {
    if (!item.is_object()) continue;
    const JsonObject& message = item.get_object();
    const std::string role = one_line(get_string(message, "role"), 20);
    if (!out.empty()) out += "\n";
    out += inked(role == "assistant" ? Ink::Green : role == "user" ? Ink::Cyan : Ink::Dim, role, view.colour) + "\n";
    const JsonArray* parts = get_array(message, "content");
    if (!parts) {
      out += printable(get_string(message, "content")) + "\n";
      continue;
    }
    for (const Json& part : *parts) {
      if (!part.is_object()) continue;
      const JsonObject& content = part.get_object();
      const std::string name = get_string(content, "name"), text = get_string(content, "text");
      if (!name.empty())
        out += inked(Ink::Bold, fmt::format("→ {}({})", one_line(name, 64), brief(Json(object_of(content, "arguments")), 0)), view.colour) +
               "\n";
      else if (!text.empty())
        out += printable(text) + "\n";
      else
        out += inked(Ink::Dim, "[" + one_line(get_string(content, "kind", get_string(content, "type")), 40) + "]", view.colour) + "\n";
    }
  }
  return out;
}

std::string event_line(std::string_view event, const JsonObject& data, const ViewOptions& view) {
  const std::string time = get_string(data, "time");
  const std::string stamp = inked(Ink::Dim, time.size() > 19 ? time.substr(11, 12) : one_line(time, 24), view.colour);
  if (event == "run.started") return fmt::format("{}  run started", stamp);
  if (event == "run.ended") {
    const JsonObject* error = get_object(data, "error");
    const std::string status = get_string(data, "status");
    const std::string what = error ? get_string(*error, "message") : data.contains("result") ? brief(data.at("result"), 0) : "";
    return fmt::format("{}  run {}  {}", stamp, inked(ink_of(status), lower(status), view.colour), one_line(what, 160));
  }
  const std::string head =
      fmt::format("{}  #{:<3} {} {}", stamp, get_int(data, "id", get_int(data, "operation")), one_line(get_string(data, "kind"), 16),
                  inked(Ink::Bold, one_line(get_string(data, "name"), 64), view.colour));
  if (event == "operation.started") return fmt::format("{} started  {}", head, one_line(outcome_of(data), 160));
  const std::string status = get_string(data, "status");
  return fmt::format("{} {}  {}", head, inked(ink_of(status), lower(status), view.colour), one_line(outcome_of(data), 160));
}

}  // namespace mayfly::cli
