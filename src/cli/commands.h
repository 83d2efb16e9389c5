#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/api.h"
#include "cli/terminal.h"
#include "runtime/clock.h"

namespace mayfly::cli {

/// What every command takes.
struct CommonOptions {
  Connection connection;
  bool json = false;  ///< data as JSON instead of tables
};

/// What a command that talks to a server works with. Outlives the command.
struct Env {
  const Terminal& terminal;
  Clock& clock;
  Api& api;
  bool json = false;
};

/// Makes a client, runs the command to its end on a loop of its own, and says what went wrong.
ExitCode with_api(const Terminal& terminal, const CommonOptions& options, std::function<Task<ExitCode>(Env&)> command);

struct InvokeOptions {
  std::string agent;
  std::string text;  ///< "-": standard input; "@FILE": a file
  std::string data;  ///< JSON beside the text, or alone; "@FILE" too
  std::string session;
  std::string idempotency_key;
  std::int64_t version = 0;  ///< 0: the current one
  bool no_wait = false;
  bool stream = false;  ///< live text also without a terminal
  bool wait_for_people = false;
};
/// The body of POST /v1/agents/NAME/runs. Error: `usage`, `input.*`.
Result<JsonObject> invocation_body(const InvokeOptions& options);
Task<ExitCode> invoke(Env& env, InvokeOptions options);
Task<ExitCode> chat(Env& env, std::string agent, std::string session);

/// What is answered to a question without asking anybody.
struct Decision {
  std::string decision;
  std::string comment;
};

struct FollowOptions {
  bool show_text = true;  ///< what the model says, as it says it
  bool result_at_end = true;
  bool ask = false;              ///< questions may be put to the person at the terminal
  bool wait_for_people = false;  ///< go on waiting when a question is open and nobody can be asked
  /// Set: answers by itself what it has an answer for.
  std::function<std::optional<Decision>(const JsonObject& question)> decide;
};
/// Follows a run to its end for a person, or to its result for a script.
Task<ExitCode> follow(Env& env, std::string run, FollowOptions options);

struct AnswerOptions {
  std::string run;
  std::int64_t operation = 0;  ///< 0: the run's only open question
  std::string decision;
  std::string comment;
  std::string add;  ///< JSON
};
Task<ExitCode> answer(Env& env, AnswerOptions options);
Task<ExitCode> questions(Env& env, std::string run);

struct RunsOptions {
  std::string agent, session, status;
  bool waiting = false;
  std::int64_t limit = 20;
};
Task<ExitCode> runs(Env& env, RunsOptions options);
struct ShowOptions {
  std::string run;
  bool full = false;
  bool transcript = false;
};
Task<ExitCode> show(Env& env, ShowOptions options);
Task<ExitCode> logs(Env& env, std::string run, bool follow);
Task<ExitCode> cancel(Env& env, std::string run, std::string reason);
Task<ExitCode> fork(Env& env, std::string run, std::int64_t at, std::string instructions_file, std::string model);
Task<ExitCode> replay(Env& env, std::string run, std::string project, std::string agent);

struct DeployOptions {
  std::string path = ".";  ///< a mayfly.yaml or its folder; with `name` a folder with a function's code
  std::string name;
  std::string runtime, handler, timeout, egress;  ///< of that function; empty: guessed, or the default
  std::int64_t memory = 0;
  std::vector<std::string> environment;  ///< NAME=value, or NAME: its value here
  std::vector<std::string> allow;        ///< hosts that it may connect to
};
Task<ExitCode> deploy(Env& env, DeployOptions options);
Task<ExitCode> rollback(Env& env, std::string agent, std::int64_t version);
Task<ExitCode> agents(Env& env);

Task<ExitCode> list_functions(Env& env);
Task<ExitCode> show_function(Env& env, std::string name);
struct FunctionInvokeOptions {
  std::string name;
  std::string event;  ///< JSON; "-": standard input; "@FILE": a file; empty: {}
  std::string execution_name;
  bool async = false;
  bool log = false;  ///< the end of the invocation's log, as a note
};
Task<ExitCode> invoke_function(Env& env, FunctionInvokeOptions options);
Task<ExitCode> function_logs(Env& env, std::string name, std::int64_t lines);
Task<ExitCode> delete_function(Env& env, std::string name);

Task<ExitCode> list_executions(Env& env, std::string function, std::string status, std::int64_t limit);
Task<ExitCode> show_execution(Env& env, std::string arn);
Task<ExitCode> execution_history(Env& env, std::string arn);
Task<ExitCode> stop_execution(Env& env, std::string arn, std::string reason);

Task<ExitCode> list_queues(Env& env, std::string prefix);
Task<ExitCode> show_queue(Env& env, std::string queue);
struct QueueCreateOptions {
  std::string queue, spec;  ///< `spec`: the JSON form, or @FILE with it
  std::string visibility, delay, retention, receive_wait, dead_letter_queue;
  std::int64_t receives_max = 3;
  bool fifo = false, content_deduplication = false;
  std::vector<std::string> tags;  ///< NAME=value
};
Task<ExitCode> create_queue(Env& env, QueueCreateOptions options);
struct QueueSendOptions {
  std::string queue;
  std::string body;  ///< "-": standard input; "@FILE": a file
  std::string delay, group, deduplication_id, idempotency_key;
  std::int64_t priority = 0;
  std::vector<std::string> attributes;  ///< NAME=value
};
Task<ExitCode> send_to_queue(Env& env, QueueSendOptions options);
struct QueueReceiveOptions {
  std::string queue, wait, visibility;
  std::int64_t max = 1;
  bool remove = false;  ///< deletes what was printed
};
Task<ExitCode> receive_from_queue(Env& env, QueueReceiveOptions options);
Task<ExitCode> peek_queue(Env& env, std::string queue, std::int64_t limit);
/// Without handles the queue itself.
Task<ExitCode> delete_from_queue(Env& env, std::string queue, std::vector<std::string> handles);
/// `action`: purge, pause or resume.
Task<ExitCode> act_on_queue(Env& env, std::string queue, std::string action);
struct QueueRedriveOptions {
  std::string queue, destination, cancel;
  std::int64_t per_second_max = 0;
  bool list = false;
};
Task<ExitCode> redrive_queue(Env& env, QueueRedriveOptions options);

Task<ExitCode> list_schedules(Env& env, std::string group, std::string prefix);
Task<ExitCode> show_schedule(Env& env, std::string group, std::string name);
struct SchedulePutOptions {
  std::string name, group = "default", expression;
  std::string spec;           ///< the JSON form, or @FILE with it
  std::string target, input;  ///< `target`: KIND=NAME or JSON; `input`: JSON, a text, or @FILE
  std::string time_zone, start, end, flexible_window, missed, description, dead_letter_queue;
  bool delete_after_completion = false;
};
Task<ExitCode> put_schedule(Env& env, SchedulePutOptions options);
Task<ExitCode> enable_schedule(Env& env, std::string group, std::string name, bool enabled);
Task<ExitCode> delete_schedule(Env& env, std::string group, std::string name);
/// Needs no server.
ExitCode next_times(const Terminal& terminal, bool json, const std::string& text, const std::string& time_zone);

Task<ExitCode> list_workflows(Env& env);
Task<ExitCode> show_workflow(Env& env, std::string name);
Task<ExitCode> validate_workflow(Env& env, std::string file);
struct WorkflowDeployOptions {
  std::string file;  ///< "-": standard input
  std::string name;  ///< empty: the file's name up to its first dot
  std::string description;
  bool express = false;
};
Task<ExitCode> deploy_workflow(Env& env, WorkflowDeployOptions options);
Task<ExitCode> delete_workflow(Env& env, std::string name);
struct WorkflowStartOptions {
  std::string name;
  std::string input;      ///< JSON; "-": standard input; "@FILE": a file; empty: {}
  std::string execution;  ///< its name; empty: the run's id
  std::string qualifier;  ///< version or alias
  std::string wait;       ///< like 30s; empty: not
};
Task<ExitCode> start_workflow(Env& env, WorkflowStartOptions options);
Task<ExitCode> show_workflow_execution(Env& env, std::string name, std::string execution);
Task<ExitCode> list_workflow_executions(Env& env, std::string name, std::string status, std::int64_t limit);
Task<ExitCode> workflow_history(Env& env, std::string name, std::string execution);
struct TaskFailureOptions {
  std::string error, cause;
};
Task<ExitCode> stop_workflow(Env& env, std::string name, std::string execution, TaskFailureOptions why);
Task<ExitCode> task_success(Env& env, std::string token, std::string output);
Task<ExitCode> task_failure(Env& env, std::string token, TaskFailureOptions why);
Task<ExitCode> task_heartbeat(Env& env, std::string token);

Task<ExitCode> list_triggers(Env& env);
Task<ExitCode> show_trigger(Env& env, std::string trigger);
Task<ExitCode> delete_trigger(Env& env, std::string trigger);
/// `event`: JSON, "-" or "@FILE"; what a CloudEvent needs and it lacks is added.
Task<ExitCode> test_trigger(Env& env, std::string trigger, std::string event);
struct EventSendOptions {
  std::string type, source, subject;
  std::string id;    ///< empty: a new one
  std::string data;  ///< JSON, "-" or "@FILE"; empty: none
};
Task<ExitCode> send_event(Env& env, EventSendOptions options);
Task<ExitCode> list_endpoints(Env& env);
struct EndpointPutOptions {
  std::string endpoint, url, dead_letter_queue;
  std::string spec;  ///< all settings as JSON, "-" or "@FILE"; the rest comes on top
  std::vector<std::string> types, secret_env;
  bool private_network = false, disabled = false;
};
Task<ExitCode> put_endpoint(Env& env, EndpointPutOptions options);
Task<ExitCode> delete_endpoint(Env& env, std::string endpoint);
Task<ExitCode> endpoint_secret(Env& env, std::string endpoint);
struct DeliveriesOptions {
  std::string trigger, target;
  std::int64_t limit = 50;
};
Task<ExitCode> list_deliveries(Env& env, DeliveriesOptions options);
Task<ExitCode> show_delivery(Env& env, std::string delivery);
Task<ExitCode> redeliver(Env& env, std::string delivery);

Task<ExitCode> list_keys(Env& env);
struct KeyOptions {
  std::string name;
  std::vector<std::string> scopes;
  std::string expires_in, organisation, workspace, role;
  bool person = false;
};
Task<ExitCode> create_key(Env& env, KeyOptions options);
Task<ExitCode> revoke_key(Env& env, std::string id);

ExitCode init_project(const Terminal& terminal, const std::string& directory);
ExitCode validate(const Terminal& terminal, const std::string& path, bool json);
ExitCode doctor(const Terminal& terminal, const CommonOptions& options);

struct ServeOptions {
  std::string data_dir = ".mayfly";
  std::string listen = "127.0.0.1:7400";
  std::string project;
  std::string log_format = "auto";
  std::string log_level = "info";
  std::string shutdown_grace = "10s";
  std::string price_file;
  std::vector<std::string> allowed_hosts;
  bool open_metrics = false;
  bool open_mcp = false;
  std::string public_url;
  std::vector<std::string> mirror_roots;
  std::vector<std::string> import_hosts;
};
/// "HOST:PORT", "[::1]:PORT", ":PORT" or "PORT". Error: `usage`.
Result<std::pair<std::string, std::uint16_t>> parse_listen(const std::string& text);
ExitCode serve(const Terminal& terminal, const ServeOptions& options);

struct DemoOptions {
  std::string directory = ".";
  std::string data_dir = ".mayfly";
  bool yes = false;   ///< answers approvals by itself
  bool stay = false;  ///< keeps serving at the end also without a terminal
};
ExitCode demo(const Terminal& terminal, const DemoOptions& options);

}  // namespace mayfly::cli
