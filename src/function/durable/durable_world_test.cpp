#include "function/durable/durable_world_test_support.h"

#include "function/durable/tokens.h"

namespace mayfly::function {
namespace {

constexpr Millis kWorkTime{7};
constexpr Millis kRetryTime{40};
constexpr int kTries = 8;
constexpr Millis kZombieTime{20};

const JsonObject& object_of(const Json& value) {
  static const JsonObject kEmpty;
  return value.is_object() ? value.get_object() : kEmpty;
}

/// One invocation of a durable script: what an SDK does.
class Handler {
 public:
  Handler(Outside& outside, Clock& clock, DurableService& service, const JsonObject& event)
      : outside_(outside),
        clock_(clock),
        service_(service),
        arn_(get_string(event, "DurableExecutionArn")),
        token_(get_string(event, "CheckpointToken")) {
    execution_ = parse_execution_arn(arn_)->name;
    if (const JsonObject* state = get_object(event, "InitialExecutionState")) learn(*state);
    for (const auto& [id, value] : outside_.recorded)
      if (id.starts_with(execution_ + "/")) check_recorded(id, value);
  }

  enum class Went { On, Pending, Crashed };
  Task<Went> run(const Script& script) {
    for (const Line& line : script) {
      co_await sleep_for(clock_, kWorkTime);
      const Went went = co_await perform(line);
      if (went != Went::On) co_return went;
    }
    co_return Went::On;
  }
  std::string answer() const { return answer_; }
  const std::string& execution() const { return execution_; }

 private:
  using What = Line::What;

  void learn(const JsonObject& state) {
    if (const JsonArray* operations = get_array(state, "Operations"))
      for (const Json& op : *operations) known_[get_string(op.as_object(), "Id")] = op.as_object();
  }
  std::string status(const std::string& id) const {
    const auto at = known_.find(id);
    return at == known_.end() ? "" : get_string(at->second, "Status");
  }
  const JsonObject& details(const std::string& id, std::string_view name) const {
    const auto at = known_.find(id);
    const JsonObject* found = at == known_.end() ? nullptr : get_object(at->second, name);
    return found ? *found : object_of(nullptr);
  }
  void check_recorded(const std::string& id, const std::string& value) {
    const std::string told = get_string(details(id.substr(execution_.size() + 1), "StepDetails"), "Result");
    if (told != value) outside_.violations.push_back("the recorded result of " + id + " was " + value + " and is now '" + told + "'");
  }

  /// False: this invocation is over.
  Task<bool> checkpoint(JsonArray updates) {
    const JsonObject request{{"CheckpointToken", token_}, {"Updates", updates}};
    auto answer = co_await service_.checkpoint(arn_, request);
    for (int i = 0; i < kTries && !answer && !answer.error().code.starts_with("checkpoint."); ++i) {
      co_await sleep_for(clock_, kRetryTime);
      answer = co_await service_.checkpoint(arn_, request);
    }
    if (!answer) co_return outside_.acknowledge_refused;
    const JsonObject& object = answer->as_object();
    token_ = get_string(object, "CheckpointToken");
    if (const JsonObject* state = get_object(object, "NewExecutionState")) learn(*state);
    co_return true;
  }
  static JsonObject update(const Line& line, std::string_view type, std::string_view action) {
    return {{"Id", line.id}, {"Type", type}, {"Action", action}};
  }

  Task<Went> perform(const Line& line) {
    switch (line.what) {
      case What::Step:
      case What::RetriedStep: co_return co_await step(line);
      case What::Wait: co_return co_await started(line, "WAIT", "WaitOptions", JsonObject{{"WaitSeconds", line.number}});
      case What::Callback: co_return co_await started(line, "CALLBACK", "CallbackOptions", JsonObject());
      case What::Invoke:
        co_return co_await started(line, "CHAINED_INVOKE", "ChainedInvokeOptions", JsonObject{{"FunctionName", line.function}});
      case What::Crash:
        if (outside_.crashed[execution_ + "/" + line.id]++ < line.number) co_return Went::Crashed;
        co_return Went::On;
    }
    co_return Went::On;
  }

  Task<Went> step(const Line& line) {
    if (status(line.id) == "PENDING") co_return Went::Pending;
    if (status(line.id) != "SUCCEEDED") {
      if (status(line.id) != "STARTED") {
        JsonArray start{update(line, "STEP", "START")};
        if (!co_await checkpoint(std::move(start))) co_return Went::Crashed;
      }
      const std::string name = execution_ + "/" + line.id;
      ++outside_.executed[name];
      co_await sleep_for(clock_, kWorkTime);
      if (line.what == What::RetriedStep && get_int(details(line.id, "StepDetails"), "Attempt") < line.number) {
        JsonObject retry = update(line, "STEP", "RETRY");
        retry["Error"] = JsonObject{{"ErrorType", "Flaky"}};
        retry["StepOptions"] = JsonObject{{"NextAttemptDelaySeconds", 1}};
        JsonArray updates{std::move(retry)};
        co_return co_await checkpoint(std::move(updates)) ? Went::Pending : Went::Crashed;
      }
      JsonObject succeed = update(line, "STEP", "SUCCEED");
      const std::string value = line.id + "#" + std::to_string(++outside_.values);
      succeed["Payload"] = value;
      JsonArray updates{std::move(succeed)};
      if (!co_await checkpoint(std::move(updates))) co_return Went::Crashed;
      if (const auto [at, fresh] = outside_.recorded.emplace(name, value); !fresh)
        outside_.violations.push_back("two results of " + name + " were recorded: " + at->second + " and " + value);
    }
    say(get_string(details(line.id, "StepDetails"), "Result"));
    co_return Went::On;
  }

  Task<Went> started(const Line& line, std::string_view type, std::string_view options_name, JsonObject options) {
    if (status(line.id).empty()) {
      JsonObject start = update(line, type, "START");
      start[options_name] = std::move(options);
      if (type == "CHAINED_INVOKE") start["Payload"] = "\"" + line.id + "\"";
      JsonArray updates{std::move(start)};
      if (!co_await checkpoint(std::move(updates))) co_return Went::Crashed;
    }
    if (type == "CALLBACK") outside_.callbacks[execution_ + "/" + line.id] = get_string(details(line.id, "CallbackDetails"), "CallbackId");
    if (status(line.id) == "STARTED" || status(line.id).empty()) co_return Went::Pending;
    if (type == "WAIT") check_wait(line);
    if (status(line.id) != "SUCCEEDED") outside_.violations.push_back(line.id + " ended as " + status(line.id));
    std::string result = get_string(details(line.id, type == "CALLBACK" ? "CallbackDetails" : "ChainedInvokeDetails"), "Result");
    say(result.empty() ? line.id : line.id + "=" + result);
    co_return Went::On;
  }

  void check_wait(const Line& line) {
    const JsonObject& op = known_[line.id];
    // Seconds in an answer of the API, milliseconds in the invocation's event.
    const auto lasted = [&](double unit) { return (get_double(op, "EndTimestamp") - get_double(op, "StartTimestamp")) * unit; };
    const double seconds = get_double(op, "StartTimestamp") > 1e11 ? lasted(0.001) : lasted(1);
    if (seconds < static_cast<double>(line.number) - 0.0005) outside_.violations.push_back(line.id + " ended before its time");
  }

  void say(const std::string& text) { answer_ += (answer_.empty() ? "" : " ") + text; }

  Outside& outside_;
  Clock& clock_;
  DurableService& service_;
  std::string arn_, token_, execution_, answer_;
  std::map<std::string, JsonObject> known_;
};

Task<> haunt(std::shared_ptr<Handler> handler, Script script) { (void)co_await handler->run(std::move(script)); }

}  // namespace

Task<Result<InvocationResult>> ScriptedSupervisor::invoke(InvocationRequest request) {
  co_await sleep_for(clock_, kWorkTime);
  const std::string& name = request.function->config.name;
  InvocationResult out;
  out.request_id = request.request_id;
  if (outside_.throttled[name] > 0) {
    --outside_.throttled[name];
    co_return fail("function.throttled", "too many at a time", Retry::Safe);
  }
  if (!request.function->config.durable) {
    outside_.received[name].push_back(request.payload);
    if (outside_.failing[name] > 0) {
      --outside_.failing[name];
      out.function_error = out.error_type = "Unhandled";
      out.payload = R"({"errorType":"ValueError","errorMessage":"made to fail"})";
      co_return out;
    }
    out.payload = to_text(Json("echo " + request.payload + (name == "plain-large" ? std::string(300'000, 'x') : "")));
    co_return out;
  }
  const Json event = *parse_json(request.payload);
  const auto handler = std::make_shared<Handler>(outside_, clock_, *service_, event.as_object());
  const auto found = outside_.scripts.find(name);
  const Script script = found == outside_.scripts.end() ? Script{} : found->second;
  Handler::Went went = Handler::Went::Crashed;
  if (int& left = outside_.zombies[handler->execution()]; left > 0) {
    --left;
    tasks_.spawn(haunt(handler, script));
    co_await sleep_for(clock_, kZombieTime);
  } else {
    went = co_await handler->run(script);
  }
  if (went == Handler::Went::Crashed) {
    out.function_error = "Unhandled";
    out.error_type = "Runtime.ExitError";
    out.payload = R"({"errorType":"Runtime.ExitError","errorMessage":"the process ended"})";
  } else if (went == Handler::Went::Pending) {
    out.payload = R"({"Status":"PENDING"})";
  } else {
    out.payload = to_text(Json(JsonObject{{"Status", "SUCCEEDED"}, {"Result", to_text(Json(handler->answer()))}}));
  }
  co_return out;
}

ResolvedFunction simulated_function(const std::string& name, AsyncConfig async) {
  auto revision = std::make_shared<FunctionRevision>();
  revision->number = 1;
  revision->config.name = name;
  if (name.starts_with("durable-")) revision->config.durable = DurableConfig{.execution_timeout = std::chrono::hours(24)};
  return {.revision = revision, .version = std::string(kLatest), .qualifier = "", .async = std::move(async)};
}

DurableServer::DurableServer(asio::io_context& io, SimClock& world_clock, SimDisk& disk, MemoryBlobStore& blobs, Outside& outside,
                             std::uint64_t seed, SimStoreFaults faults)
    : clock(world_clock),
      random(seed),
      store(disk, io.get_executor(), clock, random, faults),
      tasks(io.get_executor()),
      supervisor(outside, clock, tasks) {
  FunctionServiceDependencies deps{.executor = io.get_executor(), .clock = &clock, .random = &random, .supervisor = &supervisor};
  deps.lookup.resolve = [&outside](const FunctionRef& ref) -> Result<ResolvedFunction> {
    if (ref.name == "missing") return fail("function.not_found", "Function not found");
    return simulated_function(ref.name, outside.async[ref.name]);
  };
  deps.lookup.revision = [](const std::string& name, std::int64_t) { return simulated_function(name).revision; };
  programs = make_function_programs(deps);
  engine = engine::make_engine({.executor = io.get_executor(),
                                .store = &store,
                                .blobs = &blobs,
                                .clock = &clock,
                                .random = &random,
                                .programs = programs.get(),
                                .steps = programs.get()},
                               {.partitions = 4});
  programs->attach(*engine);
  functions = make_function_service(deps, *engine);
  durable = make_durable_service(deps, *engine);
  supervisor.attach(*durable);
}

Task<> DurableServer::open() {
  while (!ready) {
    ready = static_cast<bool>(co_await engine->open());
    if (!ready) co_await sleep_for(clock, Millis{50});
  }
}

void DurableServer::die() {
  clock.die();
  if (!store.crashed()) store.crash();
  engine->crash();
  tasks.abandon();
}

}  // namespace mayfly::function
