#include "cli/cli.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "agent/agent_spec.h"
#include "cli/commands.h"

#ifndef MAYFLY_VERSION
#define MAYFLY_VERSION "unknown"
#endif

namespace mayfly::cli {
namespace {

constexpr const char* kExitCodes =
    "Exit codes: 0 ok, 1 failed run or negative result, 2 wrong usage or input, 3 no server answers,\n"
    "4 not authorised, 5 not found, 6 the run waits for a person.";

/// Declares the commands; what the command line chose is in `chosen` afterwards.
class Commands {
 public:
  explicit Commands(const Terminal& terminal) : terminal_(terminal) {
    app_.require_subcommand(1);
    app_.set_version_flag("--version", MAYFLY_VERSION);
    app_.footer(
        std::string(
            "Start with:\n  mayfly init shop && cd shop\n  mayfly serve --project .\n  mayfly invoke clerk \"Where is order A-17?\"\n\n") +
        kExitCodes);
    add_server_commands();
    add_project_commands();
    add_run_commands();
    add_function_commands();
    add_queue_commands();
    add_trigger_commands();
    add_delivery_commands();
    add_schedule_commands();
    add_workflow_commands();
    add_question_commands();
    add_change_commands();
    add_key_commands();
  }

  CLI::App app_{"Mayfly: durable AI agents that exist only while they work"};
  std::function<ExitCode()> chosen_;

 private:
  using Start = std::function<Task<ExitCode>(Env&)>;

  CLI::App* command(const std::string& name, const std::string& what, const std::string& examples) {
    CLI::App* sub = app_.add_subcommand(name, what);
    sub->footer((examples.empty() ? "" : "Examples:\n" + examples + "\n\n") + kExitCodes);
    return sub;
  }
  void add_connection(CLI::App* sub) {
    sub->add_option("--url", common_.connection.url, "Where the server is")
        ->envname("MAYFLY_URL")
        ->capture_default_str()
        ->group("Connection");
    sub->add_option("--key", common_.connection.key, "API key; for a local server found in the data directory")
        ->envname("MAYFLY_API_KEY")
        ->group("Connection");
    const bool data_is_taken = sub->get_option_no_throw("--data") != nullptr;
    sub->add_option(data_is_taken ? "--data-dir" : "--data-dir,--data", common_.connection.data_dir, "The server's data directory")
        ->envname("MAYFLY_DATA")
        ->capture_default_str()
        ->group("Connection");
    sub->add_flag("--json", common_.json, "Print JSON for programs")->group("Connection");
  }
  /// A command that talks to the server.
  void runs_on_server(CLI::App* sub, Start start) {
    add_connection(sub);
    sub->callback([this, start = std::move(start)] { chosen_ = [this, start] { return with_api(terminal_, common_, start); }; });
  }
  void runs_here(CLI::App* sub, std::function<ExitCode()> start) {
    sub->callback([this, start = std::move(start)] { chosen_ = start; });
  }

  void add_server_commands() {
    auto* sub = command("serve", "Run the server",
                        "  mayfly serve                                  # on 127.0.0.1:7400, data in ./.mayfly\n"
                        "  mayfly serve --project . --listen 127.0.0.1:8080\n"
                        "  mayfly serve --data /var/lib/mayfly --log-format json");
    sub->add_option("--data-dir,--data", serve_.data_dir, "Where everything durable is kept")
        ->envname("MAYFLY_DATA")
        ->capture_default_str();
    sub->add_option("--listen", serve_.listen, "HOST:PORT; port 0 takes a free one")->envname("MAYFLY_LISTEN")->capture_default_str();
    sub->add_option("--project", serve_.project, "A mayfly.yaml or its folder, deployed at the start");
    sub->add_option("--log-format", serve_.log_format, "auto, json or text")->capture_default_str();
    sub->add_option("--log-level", serve_.log_level, "debug, info, warn or error")->capture_default_str();
    sub->add_option("--shutdown-grace", serve_.shutdown_grace, "How long running steps may take to end on SIGTERM")->capture_default_str();
    sub->add_option("--prices", serve_.price_file, "A JSON file with model prices, in front of the built-in ones");
    sub->add_option("--allow-host", serve_.allowed_hosts, "A further Host name to answer to on a loopback address");
    sub->add_option("--public-url", serve_.public_url, "Where users reach this server: https://agents.example.com");
    sub->add_option("--import-host", serve_.import_hosts, "A private host (HOST or HOST:PORT) that workspaces may import from");
    sub->add_flag("--open-mcp", serve_.open_mcp, "/mcp without a key for callers on this machine: they may read and invoke");
    sub->add_flag("--open-metrics", serve_.open_metrics, "/metrics without a key for callers on this machine");
    runs_here(sub, [this] { return serve(terminal_, serve_); });

    sub = command("demo", "Serve a project and let its first agent answer the tickets in its tickets/ folder",
                  "  mayfly demo examples/support\n  mayfly demo examples/support --yes     # answers approvals by itself");
    sub->add_option("project", demo_.directory, "Folder of a mayfly.yaml")->capture_default_str();
    sub->add_option("--data-dir,--data", demo_.data_dir, "Where everything durable is kept")->envname("MAYFLY_DATA")->capture_default_str();
    sub->add_flag("--yes,-y", demo_.yes, "Approve amounts below 200, deny others, without asking");
    sub->add_flag("--stay", demo_.stay, "Keep serving at the end also without a terminal");
    runs_here(sub, [this] { return demo(terminal_, demo_); });

    sub = command("doctor", "Check this machine, the data directory and the server",
                  "  mayfly doctor\n  mayfly doctor --data /var/lib/mayfly --json");
    add_connection(sub);
    runs_here(sub, [this] { return doctor(terminal_, common_); });

    sub = command("version", "Print the version", "");
    sub->add_flag("--json", common_.json, "Print JSON for programs");
    runs_here(sub, [this] {
      terminal_.line(common_.json ? to_text(JsonObject{{"version", MAYFLY_VERSION}}) : std::string("mayfly ") + MAYFLY_VERSION);
      return ExitCode::Ok;
    });
  }

  void add_project_commands() {
    auto* sub = command("init", "Write a small project that works at once",
                        "  mayfly init shop\n  mayfly init --schema > mayfly.schema.json     # for editors");
    sub->add_option("directory", text_, "Where to; default: here");
    sub->add_flag("--schema", flag_, "Only print the JSON Schema of mayfly.yaml");
    runs_here(sub, [this] {
      if (!flag_) return init_project(terminal_, text_);
      terminal_.print(agent::project_schema_text());
      return ExitCode::Ok;
    });

    sub = command("validate", "Check a mayfly.yaml: every problem with its place", "  mayfly validate\n  mayfly validate shop --json");
    sub->add_option("project", path_, "A mayfly.yaml or its folder")->capture_default_str();
    sub->add_flag("--json", common_.json, "Print JSON for programs");
    runs_here(sub, [this] { return validate(terminal_, path_, common_.json); });

    sub = command("deploy", "Give the server the agents and functions of a project, or one folder as a function",
                  "  mayfly deploy\n  mayfly deploy shop/mayfly.yaml\n"
                  "  mayfly deploy ./resize --name resize             # a Lambda handler; runtime and handler are found in its files\n"
                  "  mayfly deploy ./state --name agent-state --handler app.lambda_handler --env TABLE=agent-state --allow db.example.com");
    sub->add_option("project", deploy_.path, "A mayfly.yaml or its folder; with --name a folder with code")->capture_default_str();
    sub->add_option("--name", deploy_.name, "Deploy the folder as a function of this name")->group("Function");
    const auto of_function = [&](const char* option, auto& value, const char* what) {
      return sub->add_option(option, value, what)->needs("--name")->group("Function");
    };
    of_function("--runtime", deploy_.runtime, "python3, nodejs, provided or http; default: from the files");
    of_function("--handler", deploy_.handler, "FILE.FUNCTION; default: from the files");
    of_function("--memory", deploy_.memory, "MiB; default 256")->check(CLI::PositiveNumber);
    of_function("--timeout", deploy_.timeout, "Of one invocation, like 30s");
    of_function("--env", deploy_.environment, "NAME=value, or NAME with its value here; may be given several times")
        ->allow_extra_args(false);
    of_function("--egress", deploy_.egress, "none (default) or open");
    of_function("--allow", deploy_.allow, "A host that it may connect to; may be given several times")
        ->allow_extra_args(false)
        ->excludes("--egress");
    runs_on_server(sub, [this](Env& env) { return deploy(env, deploy_); });

    sub = command("agents", "List the deployed agents", "  mayfly agents");
    runs_on_server(sub, [](Env& env) { return agents(env); });

    sub = command("rollback", "Let new runs of an agent start with an earlier version",
                  "  mayfly rollback clerk\n  mayfly rollback clerk --version 3");
    sub->add_option("agent", agent_, "The agent's name")->required();
    sub->add_option("--version", number_, "Default: the one before the current")->check(CLI::PositiveNumber);
    runs_on_server(sub, [this](Env& env) { return rollback(env, agent_, number_); });
  }

  void add_run_commands() {
    auto* sub = command("invoke", "Start an agent and show what it does",
                        "  mayfly invoke clerk \"Where is order A-17?\"\n  mayfly invoke clerk @ticket.txt --session ann@example.com\n"
                        "  echo hello | mayfly invoke clerk -\n  mayfly invoke clerk --data '{\"order\": \"A-17\"}' --no-wait");
    sub->add_option("agent", invoke_.agent, "The agent's name")->required();
    sub->add_option("text", words_, "The message; - reads standard input, @FILE a file");
    sub->add_option("--session,-s", invoke_.session, "Key of the conversation (keyed agents)");
    sub->add_option("--idempotency-key", invoke_.idempotency_key, "The same key starts the same run once");
    sub->add_option("--data,-d", invoke_.data, "JSON input, alone or beside the text; @FILE reads a file");
    sub->add_option("--version", invoke_.version, "Instead of the current version")->check(CLI::PositiveNumber);
    sub->add_flag("--no-wait", invoke_.no_wait, "Print the run's id and do not wait");
    sub->add_flag("--stream", invoke_.stream, "Live text also when the output is no terminal");
    sub->add_flag("--wait", invoke_.wait_for_people, "Go on waiting while a person is asked");
    sub->add_option("--url", common_.connection.url, "Where the server is")
        ->envname("MAYFLY_URL")
        ->capture_default_str()
        ->group("Connection");
    sub->add_option("--key", common_.connection.key, "API key")->envname("MAYFLY_API_KEY")->group("Connection");
    sub->add_option("--data-dir", common_.connection.data_dir, "The server's data directory")
        ->envname("MAYFLY_DATA")
        ->capture_default_str()
        ->group("Connection");
    sub->add_flag("--json", common_.json, "Print the finished run as JSON")->group("Connection");
    sub->callback([this] {
      for (const std::string& word : words_) invoke_.text += (invoke_.text.empty() ? "" : " ") + word;
      chosen_ = [this] { return with_api(terminal_, common_, [this](Env& env) { return invoke(env, invoke_); }); };
    });

    sub = command("chat", "Talk to an agent, line by line", "  mayfly chat support --session ann@example.com");
    sub->add_option("agent", agent_, "The agent's name")->required();
    sub->add_option("--session,-s", session_, "Key of the conversation (keyed agents)");
    runs_on_server(sub, [this](Env& env) { return chat(env, agent_, session_); });

    sub = command("runs", "List runs, newest first",
                  "  mayfly runs\n  mayfly runs --waiting\n  mayfly runs --agent clerk --status failed --limit 100 --json");
    sub->add_option("--agent", runs_.agent, "Only this agent's");
    sub->add_option("--session", runs_.session, "Only this session's (with --agent)");
    sub->add_option("--status", runs_.status, "running, succeeded, failed, timed_out or stopped");
    sub->add_flag("--waiting", runs_.waiting, "Only those that wait for something");
    sub->add_option("--limit", runs_.limit, "At most so many")->check(CLI::Range(1, 1000))->capture_default_str();
    runs_on_server(sub, [this](Env& env) { return runs(env, runs_); });

    sub = command("show", "Show one run step by step", "  mayfly show RUN\n  mayfly show RUN --full\n  mayfly show RUN --transcript");
    sub->add_option("run", show_.run, "The run's id")->required();
    sub->add_flag("--full", show_.full, "Whole inputs and results");
    sub->add_flag("--transcript", show_.transcript, "The conversation as the model saw it");
    runs_on_server(sub, [this](Env& env) { return show(env, show_); });

    sub = command("logs", "Print a run's events, one a line",
                  "  mayfly logs RUN\n  mayfly logs -f RUN           # until it ends, over restarts of the server");
    sub->add_option("run", run_, "The run's id")->required();
    sub->add_flag("-f,--follow", flag_, "Go on until the run has ended");
    runs_on_server(sub, [this](Env& env) { return logs(env, run_, flag_); });
  }

  CLI::App* inner(CLI::App* outer, const std::string& name, const std::string& what, const std::string& examples) {
    CLI::App* sub = outer->add_subcommand(name, what);
    sub->footer("Examples:\n" + examples + "\n\n" + kExitCodes);
    return sub;
  }

  void add_function_commands() {
    auto* all =
        command("functions", "Look at functions and invoke them",
                "  mayfly functions list\n  mayfly fn invoke agent-state '{\"session_id\": \"ann\"}'\n  mayfly fn logs agent-state");
    all->alias("fn")->require_subcommand(1);
    auto* sub = inner(all, "list", "List the deployed functions", "  mayfly fn list\n  mayfly fn list --json");
    runs_on_server(sub, [](Env& env) { return list_functions(env); });
    sub = inner(all, "show", "Show a function: code, limits, versions, processes", "  mayfly fn show agent-state");
    sub->add_option("function", text_, "NAME or NAME:QUALIFIER")->required();
    runs_on_server(sub, [this](Env& env) { return show_function(env, text_); });
    sub = inner(all, "invoke", "Invoke a function and print what it returns",
                "  mayfly fn invoke hello '{\"name\": \"Ann\"}'\n  mayfly fn invoke hello @event.json --log\n"
                "  echo '[1, 2]' | mayfly fn invoke sum -\n  mayfly fn invoke order '{\"id\": 7}' --async --execution-name order-7");
    sub->add_option("function", function_.name, "NAME or NAME:QUALIFIER")->required();
    sub->add_option("event", function_.event, "JSON; - reads standard input, @FILE a file; default {}");
    sub->add_flag("--async", function_.async, "Do not wait; it is tried with retries");
    sub->add_flag("--log", function_.log, "Show the end of its log");
    sub->add_option("--execution-name", function_.execution_name, "Of a durable function: the same name finds the same execution");
    runs_on_server(sub, [this](Env& env) { return invoke_function(env, function_); });
    sub = inner(all, "logs", "Print the newest lines of a function's log", "  mayfly fn logs hello\n  mayfly fn logs hello -n 1000");
    sub->add_option("function", text_, "The function's name")->required();
    sub->add_option("-n,--lines", lines_, "At most so many")->check(CLI::Range(1, 10000))->capture_default_str();
    runs_on_server(sub, [this](Env& env) { return function_logs(env, text_, lines_); });
    sub = inner(all, "delete", "Delete a function with its versions; its running executions go on", "  mayfly fn delete hello");
    sub->add_option("function", text_, "The function's name")->required();
    runs_on_server(sub, [this](Env& env) { return delete_function(env, text_); });
    add_execution_commands();
  }

  void add_execution_commands() {
    auto* all =
        command("executions", "Look at executions of durable functions", "  mayfly executions list order\n  mayfly executions history ARN");
    all->require_subcommand(1);
    auto* sub = inner(all, "list", "List a function's executions, newest first", "  mayfly executions list order --status running");
    sub->add_option("function", text_, "The function's name")->required();
    sub->add_option("--status", session_, "running, succeeded, failed, timed_out or stopped");
    sub->add_option("--limit", lines_, "At most so many")->check(CLI::Range(1, 1000))->capture_default_str();
    runs_on_server(sub, [this](Env& env) { return list_executions(env, text_, session_, lines_); });
    sub = inner(all, "show", "Show one execution", "  mayfly executions show ARN");
    sub->add_option("arn", text_, "The execution's ARN")->required();
    runs_on_server(sub, [this](Env& env) { return show_execution(env, text_); });
    sub = inner(all, "history", "Show what an execution did, event by event", "  mayfly executions history ARN");
    sub->add_option("arn", text_, "The execution's ARN")->required();
    runs_on_server(sub, [this](Env& env) { return execution_history(env, text_); });
    sub = inner(all, "stop", "Stop an execution", "  mayfly executions stop ARN --reason \"no longer needed\"");
    sub->add_option("arn", text_, "The execution's ARN")->required();
    sub->add_option("--reason", session_, "Kept with the execution");
    runs_on_server(sub, [this](Env& env) { return stop_execution(env, text_, session_); });
  }

  void add_workflow_commands() {
    auto* all = command("workflows", "Deploy state machines, start them and look at their executions",
                        "  mayfly workflows deploy review.asl.json\n  mayfly workflows start review '{\"id\": 7}' --wait 30s\n"
                        "  mayfly wf history review order-7");
    all->alias("wf")->require_subcommand(1);
    const auto named = [&](const char* name, const char* what, const char* examples) {
      auto* sub = inner(all, name, what, examples);
      sub->add_option("workflow", text_, "The state machine")->required();
      return sub;
    };
    const auto of_execution = [&](const char* name, const char* what, const char* examples) {
      auto* sub = named(name, what, examples);
      sub->add_option("execution", session_, "Its name or run")->required();
      return sub;
    };
    auto* sub = inner(all, "list", "List the state machines", "  mayfly wf list");
    runs_on_server(sub, [](Env& env) { return list_workflows(env); });
    sub = named("show", "Show a state machine, or one of its executions", "  mayfly wf show review\n  mayfly wf show review order-7");
    sub->add_option("execution", session_, "An execution's name or run");
    runs_on_server(sub, [this](Env& env) { return session_.empty() ? show_workflow(env, text_) : show_workflow_execution(env, text_, session_); });
    sub = inner(all, "validate", "Check a definition: every problem with its place", "  mayfly wf validate review.asl.json");
    sub->add_option("file", text_, "A JSON file in the Amazon States Language; - reads standard input")->required();
    runs_on_server(sub, [this](Env& env) { return validate_workflow(env, text_); });
    sub = inner(all, "deploy", "Make or change a state machine", "  mayfly wf deploy review.asl.json\n  mayfly wf deploy new.json --name review");
    sub->add_option("file", workflow_.file, "A JSON file in the Amazon States Language; - reads standard input")->required();
    sub->add_option("--name", workflow_.name, "Default: the file's name up to its first dot");
    sub->add_option("--description", workflow_.description, "What it is for");
    sub->add_flag("--express", workflow_.express, "For short executions: at most five minutes, names may repeat");
    runs_on_server(sub, [this](Env& env) { return deploy_workflow(env, workflow_); });
    sub = named("delete", "Delete a state machine; its executions go on", "  mayfly wf delete review");
    runs_on_server(sub, [this](Env& env) { return delete_workflow(env, text_); });
    sub = inner(all, "start", "Start an execution and print its name",
                "  mayfly wf start review '{\"id\": 7}' --name order-7\n  mayfly wf start review @order.json --wait 30s");
    sub->add_option("workflow", workflow_start_.name, "The state machine")->required();
    sub->add_option("input", workflow_start_.input, "JSON; - reads standard input, @FILE a file; default {}");
    sub->add_option("--name", workflow_start_.execution, "Of the execution: the same name never starts twice within 90 days");
    sub->add_option("--qualifier", workflow_start_.qualifier, "A version's number or an alias");
    sub->add_option("--wait", workflow_start_.wait, "Wait so long for its end, like 30s, and show it");
    runs_on_server(sub, [this](Env& env) { return start_workflow(env, workflow_start_); });
    sub = named("executions", "List executions, newest first", "  mayfly wf executions review --status running");
    sub->add_option("--status", session_, "running, succeeded, failed, timed_out or aborted");
    sub->add_option("--limit", lines_, "At most so many")->check(CLI::Range(1, 1000))->capture_default_str();
    runs_on_server(sub, [this](Env& env) { return list_workflow_executions(env, text_, session_, lines_); });
    sub = of_execution("history", "Show what an execution did, event by event", "  mayfly wf history review order-7");
    runs_on_server(sub, [this](Env& env) { return workflow_history(env, text_, session_); });
    sub = of_execution("stop", "Stop an execution", "  mayfly wf stop review order-7 --cause \"no longer needed\"");
    add_failure_options(sub);
    runs_on_server(sub, [this](Env& env) { return stop_workflow(env, text_, session_, task_failure_); });
    add_task_commands(inner(all, "task", "Answer a task that waits with a token", "  mayfly wf task success TOKEN '{\"ok\": true}'"));
  }

  void add_failure_options(CLI::App* sub) {
    sub->add_option("--error", task_failure_.error, "The error's name");
    sub->add_option("--cause", task_failure_.cause, "Why, for people");
  }

  void add_task_commands(CLI::App* all) {
    all->require_subcommand(1);
    const auto of_task = [&](const char* name, const char* what, const char* examples) {
      auto* sub = inner(all, name, what, examples);
      sub->add_option("token", text_, "The task's token")->required();
      return sub;
    };
    auto* sub = of_task("success", "Give a waiting task its result", "  mayfly wf task success TOKEN '{\"ok\": true}'");
    sub->add_option("output", session_, "JSON; - reads standard input, @FILE a file; default {}");
    runs_on_server(sub, [this](Env& env) { return task_success(env, text_, session_); });
    sub = of_task("failure", "Let a waiting task fail", "  mayfly wf task failure TOKEN --error Refused --cause \"too dear\"");
    add_failure_options(sub);
    runs_on_server(sub, [this](Env& env) { return task_failure(env, text_, task_failure_); });
    sub = of_task("heartbeat", "Say that a task is still worked on", "  mayfly wf task heartbeat TOKEN");
    runs_on_server(sub, [this](Env& env) { return task_heartbeat(env, text_); });
  }

  void add_question_commands() {
    auto* sub = command("questions", "List what runs wait for a person to answer", "  mayfly questions\n  mayfly questions --json");
    sub->add_option("run", run_, "Only this run's");
    runs_on_server(sub, [this](Env& env) { return questions(env, run_); });

    const auto answer_options = [this](CLI::App* to) {
      to->add_option("--operation", answer_.operation, "Which question, when the run has several")->check(CLI::PositiveNumber);
      to->add_option("--comment,-m", answer_.comment, "Told to the model");
    };
    for (const std::string decision : {"approve", "deny"}) {
      sub = command(decision, decision == "approve" ? "Allow what a run asks for" : "Refuse what a run asks for",
                    "  mayfly " + decision + " RUN" + (decision == "deny" ? " --comment \"too much\"" : ""));
      sub->add_option("run", answer_.run, "The run's id")->required();
      answer_options(sub);
      runs_on_server(sub, [this, decision](Env& env) {
        answer_.decision = decision;
        return answer(env, answer_);
      });
    }
    sub = command("answer", "Answer a question of a run",
                  "  mayfly answer RUN \"the blue one\"\n  mayfly answer RUN continue --add '{\"usd\": 1.0}'");
    sub->add_option("run", answer_.run, "The run's id")->required();
    sub->add_option("decision", answer_.decision, "What is answered; `mayfly questions` says what is accepted")->required();
    sub->add_option("--add", answer_.add, "For a limit: how much more, as JSON");
    answer_options(sub);
    runs_on_server(sub, [this](Env& env) { return answer(env, answer_); });
  }

  void add_change_commands() {
    auto* sub = command("cancel", "Stop a run", "  mayfly cancel RUN --reason \"no longer needed\"");
    sub->add_option("run", run_, "The run's id")->required();
    sub->add_option("--reason", text_, "Kept with the run");
    runs_on_server(sub, [this](Env& env) { return cancel(env, run_, text_); });

    sub = command("fork", "Start a new run that shares a run's past",
                  "  mayfly fork RUN --at 5\n  mayfly fork RUN --at 5 --instructions-file prompt.md --model anthropic/claude-sonnet-4-5");
    sub->add_option("run", run_, "The run's id")->required();
    sub->add_option("--at", number_, "The model call (operation) to make anew; default: the first")->check(CLI::NonNegativeNumber);
    sub->add_option("--instructions-file", text_, "Other instructions");
    sub->add_option("--model", session_, "Another model");
    runs_on_server(sub, [this](Env& env) { return fork(env, run_, number_, text_, session_); });

    sub = command("replay", "Play a run again offline and compare",
                  "  mayfly replay RUN\n  mayfly replay RUN --with .      # as the project here would do it");
    sub->add_option("run", run_, "The run's id")->required();
    sub->add_option("--with", text_, "A mayfly.yaml or its folder: compare with this project's agent");
    sub->add_option("--agent", agent_, "Its agent; default: the run's");
    runs_on_server(sub, [this](Env& env) { return replay(env, run_, text_, agent_); });
  }

  void add_queue_commands() {
    auto* all =
        command("queues", "Look at queues, send and receive",
                "  mayfly queues create jobs --dead-letter jobs-dead --receives-max 5\n  mayfly queues send jobs '{\"order\": 17}'\n"
                "  mayfly queues receive jobs --delete\n  mayfly queues list");
    all->alias("q")->require_subcommand(1);
    auto* sub = inner(all, "list", "List the queues: depth, age, dead messages", "  mayfly queues list\n  mayfly queues list --prefix job");
    sub->add_option("--prefix", text_, "Only names that start so");
    runs_on_server(sub, [this](Env& env) { return list_queues(env, text_); });
    sub = inner(all, "show", "Show a queue", "  mayfly queues show jobs");
    sub->add_option("queue", text_, "The queue's name")->required();
    runs_on_server(sub, [this](Env& env) { return show_queue(env, text_); });
    add_queue_create_command(all);
    add_queue_message_commands(all);
    for (const auto& [name, what] : {std::pair{"purge", "Delete all messages of a queue"},
                                     std::pair{"pause", "Let a queue give out nothing"}, std::pair{"resume", "Let a paused queue go on"}}) {
      sub = inner(all, name, what, std::string("  mayfly queues ") + name + " jobs");
      sub->add_option("queue", text_, "The queue's name")->required();
      runs_on_server(sub, [this, name = std::string(name)](Env& env) { return act_on_queue(env, text_, name); });
    }
    sub = inner(all, "redrive", "Move the messages of a dead-letter queue back to where they died",
                "  mayfly queues redrive jobs-dead\n  mayfly queues redrive jobs-dead --to jobs --per-second 50\n"
                "  mayfly queues redrive jobs-dead --list\n  mayfly queues redrive jobs-dead --cancel HANDLE");
    sub->add_option("queue", redrive_.queue, "The dead-letter queue")->required();
    sub->add_option("--to", redrive_.destination, "All into this queue");
    sub->add_option("--per-second", redrive_.per_second_max, "At most so many messages a second")->check(CLI::Range(1, 100000));
    sub->add_flag("--list", redrive_.list, "Show its redrives");
    sub->add_option("--cancel", redrive_.cancel, "Handle of a redrive to stop");
    runs_on_server(sub, [this](Env& env) { return redrive_queue(env, redrive_); });
  }

  void add_queue_create_command(CLI::App* all) {
    auto* sub = inner(all, "create", "Make a queue, or change one",
                      "  mayfly queues create jobs --visibility 2m\n  mayfly queues create jobs --dead-letter jobs-dead --receives-max 5\n"
                      "  mayfly queues create orders.fifo --fifo --content-deduplication\n  mayfly queues create jobs --spec @queue.json");
    sub->add_option("queue", queue_.queue, "Letters, digits, - and _; a FIFO queue's name ends with .fifo")->required();
    sub->add_flag("--fifo", queue_.fifo, "Messages of one group in their order");
    sub->add_flag("--content-deduplication", queue_.content_deduplication, "FIFO: equal bodies are duplicates");
    sub->add_option("--visibility", queue_.visibility, "How long a received message stays invisible; default 30s");
    sub->add_option("--delay", queue_.delay, "Before a new message becomes visible; default 0s");
    sub->add_option("--retention", queue_.retention, "After which a message is gone; default 4d");
    sub->add_option("--receive-wait", queue_.receive_wait, "How long a receive waits; default 0s");
    sub->add_option("--dead-letter", queue_.dead_letter_queue, "Where messages go that were received too often");
    sub->add_option("--receives-max", queue_.receives_max, "How often is too often")->check(CLI::Range(1, 1000))->capture_default_str();
    sub->add_option("--tag", queue_.tags, "NAME=value; may be given several times")->allow_extra_args(false);
    sub->add_option("--spec", queue_.spec, "All settings as JSON, or @FILE; the options above come on top");
    runs_on_server(sub, [this](Env& env) { return create_queue(env, queue_); });
  }

  void add_queue_message_commands(CLI::App* all) {
    auto* sub = inner(all, "send", "Send a message; prints its id",
                      "  mayfly queues send jobs hello\n  mayfly queues send jobs @order.json --delay 5m --attribute kind=order\n"
                      "  echo hello | mayfly queues send jobs -\n  mayfly queues send orders.fifo paid --group order-17");
    sub->add_option("queue", send_.queue, "The queue's name")->required();
    sub->add_option("body", send_.body, "The message; - reads standard input, @FILE a file")->required();
    sub->add_option("--delay", send_.delay, "Before it becomes visible, at most 15m");
    sub->add_option("--group", send_.group, "FIFO: messages of one group stay in order");
    sub->add_option("--deduplication-id", send_.deduplication_id, "FIFO: the same within five minutes is absorbed");
    sub->add_option("--idempotency-key", send_.idempotency_key, "The same within 24 hours is absorbed");
    sub->add_option("--priority", send_.priority, "Higher first; not for FIFO")->check(CLI::Range(-100, 100));
    sub->add_option("--attribute", send_.attributes, "NAME=value; may be given several times")->allow_extra_args(false);
    runs_on_server(sub, [this](Env& env) { return send_to_queue(env, send_); });
    sub = inner(
        all, "receive", "Receive messages; they come again unless deleted",
        "  mayfly queues receive jobs\n  mayfly queues receive jobs --max 10 --wait 20s --delete\n  mayfly queues receive jobs --json");
    sub->add_option("queue", receive_.queue, "The queue's name")->required();
    sub->add_option("--max", receive_.max, "At most so many")->check(CLI::Range(1, 100))->capture_default_str();
    sub->add_option("--wait", receive_.wait, "Wait for a message, at most 20s");
    sub->add_option("--visibility", receive_.visibility, "How long they stay invisible; default the queue's");
    sub->add_flag("--delete", receive_.remove, "Delete what was printed");
    runs_on_server(sub, [this](Env& env) { return receive_from_queue(env, receive_); });
    sub = inner(all, "peek", "Look at messages without receiving them, oldest first",
                "  mayfly queues peek jobs\n  mayfly queues peek jobs-dead -n 50");
    sub->add_option("queue", text_, "The queue's name")->required();
    sub->add_option("-n,--limit", lines_, "At most so many")->check(CLI::Range(1, 1000))->capture_default_str();
    runs_on_server(sub, [this](Env& env) { return peek_queue(env, text_, lines_); });
    sub = inner(all, "delete", "Delete a queue with its messages, or received messages",
                "  mayfly queues delete jobs\n  mayfly queues delete jobs --receipt HANDLE");
    sub->add_option("queue", text_, "The queue's name")->required();
    sub->add_option("--receipt", words_, "Receipt handle of a message; may be given several times")->allow_extra_args(false);
    runs_on_server(sub, [this](Env& env) { return delete_from_queue(env, text_, words_); });
  }

  void add_trigger_commands() {
    auto* all = command("triggers", "Look at what starts agents, functions and workflows, and try it out",
                        "  mayfly triggers list\n  mayfly triggers test on-order --event @order.json\n\n"
                        "Triggers are written under `triggers:` in mayfly.yaml and come with `mayfly deploy`.");
    all->require_subcommand(1);
    auto* sub = inner(all, "list", "List the triggers and what they took since the server's start", "  mayfly triggers list");
    runs_on_server(sub, [](Env& env) { return list_triggers(env); });
    sub = inner(all, "show", "Show a trigger", "  mayfly triggers show on-order");
    sub->add_option("trigger", text_, "The trigger's name")->required();
    runs_on_server(sub, [this](Env& env) { return show_trigger(env, text_); });
    sub = inner(all, "delete", "Delete a trigger; what it has accepted goes on", "  mayfly triggers delete on-order");
    sub->add_option("trigger", text_, "The trigger's name")->required();
    runs_on_server(sub, [this](Env& env) { return delete_trigger(env, text_); });
    sub = inner(all, "test", "Show what a trigger would make of an event, starting nothing",
                "  mayfly triggers test on-order --event '{\"type\": \"shop.order.placed\", \"data\": {\"order\": \"A-17\"}}'\n"
                "  mayfly triggers test on-order --event @order.json");
    sub->add_option("trigger", text_, "The trigger's name")->required();
    sub->add_option("--event", session_, "A CloudEvent as JSON, @FILE or -; without id and source it gets some")->required();
    runs_on_server(sub, [this](Env& env) { return test_trigger(env, text_, session_); });

    all = command("events", "Publish events",
                  "  mayfly events send --type shop.order.placed --source shop --subject A-17 --data '{\"total\": 12}'");
    all->require_subcommand(1);
    sub = inner(all, "send", "Publish an event to the triggers, endpoints and waiting runs that want it; prints its id",
                "  mayfly events send --type shop.order.placed --source shop --data '{\"order\": \"A-17\"}'\n"
                "  mayfly events send --type shop.order.paid --source shop --subject A-17 --data @paid.json --id payment-99");
    sub->add_option("--type", event_.type, "What happened, like shop.order.placed")->required();
    sub->add_option("--source", event_.source, "Where it happened: a URI reference, like shop")->required();
    sub->add_option("--subject", event_.subject, "What it is about; runs that wait for it match by this");
    sub->add_option("--data", event_.data, "JSON, @FILE or -");
    sub->add_option("--id", event_.id, "The same source and id within a day is one event; default: a new one");
    runs_on_server(sub, [this](Env& env) { return send_event(env, event_); });
  }

  void add_delivery_commands() {
    auto* all = command("endpoints", "Register where signed webhooks are sent",
                        "  mayfly endpoints put crm --endpoint-url https://crm.example.com/hooks --type 'shop.order.*'\n"
                        "  mayfly endpoints secret crm\n  mayfly endpoints list");
    all->require_subcommand(1);
    auto* sub = inner(all, "list", "List the endpoints", "  mayfly endpoints list");
    runs_on_server(sub, [](Env& env) { return list_endpoints(env); });
    sub = inner(all, "put", "Register an endpoint, or change one (its own secret stays)",
                "  mayfly endpoints put crm --endpoint-url https://crm.example.com/hooks --type 'shop.order.*' --dead-letter-queue hooks-dead\n"
                "  mayfly endpoints put crm --spec @endpoint.json");
    sub->add_option("endpoint", endpoint_.endpoint, "a-z, 0-9 and -")->required();
    sub->add_option("--endpoint-url", endpoint_.url, "Where to");
    sub->add_option("--type", endpoint_.types, "Published events that it wants, like shop.order.*; may be given several times")->allow_extra_args(false);
    sub->add_option("--secret-env", endpoint_.secret_env, "The server's variable with a whsec_ secret; default: Mayfly makes one")
        ->allow_extra_args(false);
    sub->add_option("--dead-letter-queue", endpoint_.dead_letter_queue, "Where an event goes whose attempts are used up");
    sub->add_flag("--private-network", endpoint_.private_network, "The URL may lead to this machine or a private address");
    sub->add_flag("--disabled", endpoint_.disabled, "Send nothing; a put without it enables again");
    sub->add_option("--spec", endpoint_.spec, "All settings as JSON, @FILE or -; the options above come on top");
    runs_on_server(sub, [this](Env& env) { return put_endpoint(env, endpoint_); });
    sub = inner(all, "delete", "Delete an endpoint", "  mayfly endpoints delete crm");
    sub->add_option("endpoint", text_, "The endpoint's name")->required();
    runs_on_server(sub, [this](Env& env) { return delete_endpoint(env, text_); });
    sub = inner(all, "secret", "Print the secret with which the receiver verifies (Standard Webhooks)", "  mayfly endpoints secret crm");
    sub->add_option("endpoint", text_, "The endpoint's name")->required();
    runs_on_server(sub, [this](Env& env) { return endpoint_secret(env, text_); });

    all = command("deliveries", "Look at events on their way, and send them again",
                  "  mayfly deliveries list --trigger on-order\n  mayfly deliveries show ID\n  mayfly deliveries redeliver ID");
    all->require_subcommand(1);
    sub = inner(all, "list", "List deliveries, newest first",
                "  mayfly deliveries list\n  mayfly deliveries list --trigger on-order -n 20\n  mayfly deliveries list --target webhook:crm");
    sub->add_option("--trigger", deliveries_.trigger, "Only this trigger's");
    sub->add_option("--target", deliveries_.target, "Only to this target, like webhook:crm or agent:clerk")->excludes("--trigger");
    sub->add_option("-n,--limit", deliveries_.limit, "At most so many")->check(CLI::Range(1, 1000))->capture_default_str();
    runs_on_server(sub, [this](Env& env) { return list_deliveries(env, deliveries_); });
    sub = inner(all, "show", "Show a delivery with its attempts", "  mayfly deliveries show ID");
    sub->add_option("delivery", text_, "Its id")->required();
    runs_on_server(sub, [this](Env& env) { return show_delivery(env, text_); });
    sub = inner(all, "redeliver", "Send the same event to the same target again; prints the new delivery's id", "  mayfly deliveries redeliver ID");
    sub->add_option("delivery", text_, "Its id")->required();
    runs_on_server(sub, [this](Env& env) { return redeliver(env, text_); });
  }

  void add_schedule_commands() {
    auto* all = command("schedules", "Start agents, functions and state machines at fixed times",
                        "  mayfly schedules put report 'cron(0 8 ? * MON-FRI *)' --time-zone Europe/Berlin --target agent=clerk --input 'Write the report.'\n"
                        "  mayfly schedules list\n  mayfly schedules next 'rate(5 minutes)'");
    all->require_subcommand(1);
    auto* sub = inner(all, "list", "List the schedules: when they are due next, how often they fired", "  mayfly schedules list --group triggers");
    sub->add_option("--group", agent_, "Only this group");
    sub->add_option("--prefix", text_, "Only names that start so");
    runs_on_server(sub, [this](Env& env) { return list_schedules(env, agent_, text_); });
    const auto named = [&](const char* name, const char* what) {
      auto* one = inner(all, name, what, std::string("  mayfly schedules ") + name + " report");
      one->add_option("schedule", schedule_.name, "The schedule's name")->required();
      one->add_option("--group", schedule_.group, "Its group; that of triggers is \"triggers\"")->capture_default_str();
      return one;
    };
    runs_on_server(named("show", "Show a schedule"), [this](Env& env) { return show_schedule(env, schedule_.group, schedule_.name); });
    runs_on_server(named("pause", "Let a schedule start nothing"),
                   [this](Env& env) { return enable_schedule(env, schedule_.group, schedule_.name, false); });
    runs_on_server(named("resume", "Let a paused schedule go on"),
                   [this](Env& env) { return enable_schedule(env, schedule_.group, schedule_.name, true); });
    runs_on_server(named("delete", "Delete a schedule"), [this](Env& env) { return delete_schedule(env, schedule_.group, schedule_.name); });
    add_schedule_put_command(all);
    sub = inner(all, "next", "Print the next ten times of an expression; needs no server",
                "  mayfly schedules next 'cron(0 8 ? * MON-FRI *)' --time-zone Europe/Berlin");
    sub->add_option("expression", schedule_.expression, "rate(…), at(…) or cron(…)")->required();
    sub->add_option("--time-zone", schedule_.time_zone, "A name such as Europe/Berlin; default: UTC");
    sub->add_flag("--json", common_.json, "Print JSON for programs");
    runs_here(sub, [this] {
      return next_times(terminal_, common_.json, schedule_.expression, schedule_.time_zone.empty() ? "UTC" : schedule_.time_zone);
    });
  }

  void add_schedule_put_command(CLI::App* all) {
    auto* sub = inner(all, "put", "Make a schedule, or replace one",
                      "  mayfly schedules put hourly 'rate(1 hour)' --target queue=jobs\n"
                      "  mayfly schedules put once 'at(2027-01-01T09:00:00)' --time-zone Europe/Berlin --target agent=clerk --input 'Happy new year'\n"
                      "  mayfly schedules put report --spec @schedule.json");
    sub->add_option("schedule", schedule_.name, "Letters, digits, -, _ and .")->required();
    sub->add_option("expression", schedule_.expression, "rate(5 minutes), at(2027-01-01T09:00:00) or cron(0 8 ? * MON-FRI *)");
    sub->add_option("--group", schedule_.group, "Its group")->capture_default_str();
    sub->add_option("--target", schedule_.target, "KIND=NAME such as agent=clerk, function=, workflow=, queue=, url= or webhook=; or JSON");
    sub->add_option("--input", schedule_.input, "What the target is given: JSON, a text, or @FILE; default: the event of the firing");
    sub->add_option("--time-zone", schedule_.time_zone, "A name such as Europe/Berlin; default: UTC");
    sub->add_option("--start", schedule_.start, "Nothing is due before, like 2027-01-01T00:00:00Z");
    sub->add_option("--end", schedule_.end, "Nor after");
    sub->add_option("--window", schedule_.flexible_window, "Each firing comes at a moment within, like 15m");
    sub->add_option("--missed", schedule_.missed, "Times at which the server was down: skip, once or all; default: once");
    sub->add_option("--description", schedule_.description, "What it is for");
    sub->add_option("--dead-letter", schedule_.dead_letter_queue, "Queue for firings that could not be delivered");
    sub->add_flag("--delete-after", schedule_.delete_after_completion, "Gone when it is never due again");
    sub->add_option("--spec", schedule_.spec, "All settings as JSON, or @FILE; the options above come on top");
    runs_on_server(sub, [this](Env& env) { return put_schedule(env, schedule_); });
  }

  void add_key_commands() {
    auto* keys = command("keys", "Make, list and revoke API keys",
                         "  mayfly keys create ci --scope deploy --scope read\n  mayfly keys list\n  mayfly keys revoke 1a2b3c4d");
    keys->require_subcommand(1);
    auto* sub = keys->add_subcommand("create", "Make a key; it is printed once");
    sub->add_option("name", key_.name, "What it is for")->required();
    sub->add_option("--scope", key_.scopes, "admin, deploy, invoke, read, answer, files or gateway; may be given several times")
        ->required()
        ->allow_extra_args(false);
    sub->add_option("--expires-in", key_.expires_in, "Like 12h or 30d; default: never");
    sub->add_option("--organisation", key_.organisation, "Whose key it is; default: yours");
    sub->add_option("--workspace", key_.workspace, "The only workspace that it may see, by id");
    sub->add_option("--role", key_.role, "The most that it may be in a workspace: viewer, commenter, editor or owner");
    sub->add_flag("--person", key_.person, "For a person; otherwise for an agent or a program");
    runs_on_server(sub, [this](Env& env) { return create_key(env, key_); });
    sub = keys->add_subcommand("list", "List the keys, without their secrets");
    runs_on_server(sub, [](Env& env) { return list_keys(env); });
    sub = keys->add_subcommand("revoke", "Make a key worthless at once");
    sub->add_option("id", text_, "Its id")->required();
    runs_on_server(sub, [this](Env& env) { return revoke_key(env, text_); });
  }

  const Terminal& terminal_;
  CommonOptions common_;
  ServeOptions serve_;
  KeyOptions key_;
  DemoOptions demo_;
  DeployOptions deploy_;
  SchedulePutOptions schedule_;
  FunctionInvokeOptions function_;
  WorkflowDeployOptions workflow_;
  WorkflowStartOptions workflow_start_;
  TaskFailureOptions task_failure_;
  QueueCreateOptions queue_;
  QueueSendOptions send_;
  QueueReceiveOptions receive_;
  QueueRedriveOptions redrive_;
  EventSendOptions event_;
  EndpointPutOptions endpoint_;
  DeliveriesOptions deliveries_;
  InvokeOptions invoke_;
  RunsOptions runs_;
  ShowOptions show_;
  AnswerOptions answer_;
  std::string agent_, run_, session_, text_, path_ = ".";
  std::vector<std::string> words_;
  std::int64_t number_ = 0, lines_ = 100;
  bool flag_ = false;
};

}  // namespace

int run_cli(int argc, const char* const* argv) {
  const Terminal terminal;
  Commands commands(terminal);
  try {
    commands.app_.parse(argc, argv);
  } catch (const CLI::Success& asked_for_help) {
    return commands.app_.exit(asked_for_help);
  } catch (const CLI::ParseError& error) {
    std::string path = "mayfly";
    for (const CLI::App* app = &commands.app_; !app->get_subcommands().empty();) {
      app = app->get_subcommands().front();
      path += " " + app->get_name();
    }
    terminal.error({"usage", std::string(error.what()) + "; see `" + path + " --help`"});
    return static_cast<int>(ExitCode::Usage);
  }
  return static_cast<int>(commands.chosen_());
}

}  // namespace mayfly::cli
