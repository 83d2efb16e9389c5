#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "net/http_client.h"
#include "net/sse.h"
#include "server/app.h"
#include "server/auth.h"
#include "testing/temporary_directory.h"

/// For the tests of this module: a whole server in this process, and a real HTTP client on the same loop.
namespace mayfly {

struct HttpAnswer {
  int status = 0;
  net::Headers headers;
  std::string body;
  JsonObject json;                    ///< of an object body

  std::string code() const { return get_string(json, "code"); }
  std::string text(std::string_view name) const { return get_string(json, name); }
  /// What the agent said in the end.
  std::string said() const {
    const auto* result = get_object(json, "result");
    return result ? get_string(*result, "text") : std::string();
  }
};

template <class T>
Task<> keep_result(Task<T> task, std::optional<T>* out) {
  out->emplace(co_await std::move(task));
}

/// What one reader of an event stream got. It goes away after `stop_after` events; 0: never.
struct StreamReader {
  std::vector<net::SseEvent> events;
  std::size_t stop_after = 0;
  int status = 0;
  bool ended = false;                 ///< by the server
  CancelSource cancel;

  static JsonObject data_of(const net::SseEvent& event) {
    const auto value = parse_json(event.data);
    return value && value->is_object() ? value->get_object() : JsonObject();
  }
  std::string last_id() const {
    for (auto event = events.rbegin(); event != events.rend(); ++event)
      if (!event->id.empty()) return event->id;
    return {};
  }
};

constexpr std::string_view kTestProject = R"(version: 1
providers:
  quick: {kind: scripted, script: quick.yaml}
  slow: {kind: scripted, script: slow.yaml}
agents:
  echo: {model: quick/echo, instructions: Repeat., description: Repeats what it hears}
  desk: {model: quick/desk, instructions: Ask., session: keyed, tools: [ask_person]}
  talker: {model: slow/talker, instructions: Talk., tools: [memory]}
)";

constexpr std::string_view kQuickScript = R"(version: 1
conversations:
  - match: "ask me"
    turns:
      - tool_calls: [{name: ask_person, arguments: {question: "Shall I?"}}]
      - text: "The answer was: {{tool_result}}"
default: {text: "You said: {{user}}"}
)";

constexpr std::string_view kSlowScript = R"(version: 1
tokens_per_second: 400
conversations:
  - match: "talk"
    turns:
      - text: "First I take a note, which needs some words to be said."
        tool_calls: [{name: memory, arguments: {action: set, key: a, value: b}}]
      - text: "Then I say the rest of it, word by word, until all is said and done."
default: {text: "nothing"}
)";

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    project_ = directory_.path + "/project";
    std::filesystem::create_directories(project_);
    write("mayfly.yaml", kTestProject);
    write("quick.yaml", kQuickScript);
    write("slow.yaml", kSlowScript);
    config_.data_dir = directory_.path + "/data";
    config_.port = 0;
    config_.project = project_;
    config_.shutdown_grace = Millis{2'000};
    config_.environment = [](std::string_view) { return std::nullopt; };
  }
  ~ServerTest() override { stop(); }

  void write(const std::string& name, std::string_view text) { std::ofstream(project_ + "/" + name) << text; }

  template <class T>
  T run(Task<T> task) {
    std::optional<T> out;
    TaskGroup group(io_.get_executor());
    group.spawn(keep_result(std::move(task), &out));
    drive(group);
    return std::move(*out);
  }
  void run(Task<> task) {
    TaskGroup group(io_.get_executor());
    group.spawn(std::move(task));
    drive(group);
  }
  void drive(TaskGroup& group) {
    io_.restart();
    while (group.size() > 0 && io_.run_one_for(std::chrono::seconds(30)) > 0) {
    }
    if (group.size() > 0) {
      ADD_FAILURE() << "the loop has nothing to do, or hangs";
      std::abort();
    }
  }

  void start() {
    app_ = std::make_unique<App>(io_.get_executor(), config_);
    const auto started = run(app_->start());
    ASSERT_TRUE(started) << started.error().code << ": " << started.error().message;
    clock_ = std::make_unique<SystemClock>(io_.get_executor());
    client_ = net::make_http_client(io_.get_executor(), *clock_);
    std::ifstream(app_->admin_key_path()) >> admin_key_;
  }
  void stop() {
    if (!app_) return;
    run(app_->stop());
    client_.reset();
    app_.reset();
    io_.restart();
    io_.poll();
  }

  net::ClientRequest request(std::string method, const std::string& path, std::string body, net::Headers headers) {
    net::ClientRequest out;
    out.method = std::move(method);
    out.url = app_->url() + path;
    out.headers = std::move(headers);
    if (!out.headers.find("authorization") && !out.headers.find("x-api-key") && !admin_key_.empty())
      out.headers.add("Authorization", "Bearer " + admin_key_);
    out.body = std::move(body);
    out.egress = net::EgressPolicy::trusted();
    return out;
  }
  HttpAnswer call(std::string method, const std::string& path, std::string body = {}, net::Headers headers = {}) {
    auto answered = run(client_->send(request(std::move(method), path, std::move(body), std::move(headers))));
    HttpAnswer out;
    EXPECT_TRUE(answered) << answered.error().message;
    if (!answered) return out;
    out.status = answered->status;
    out.headers = std::move(answered->headers);
    out.body = std::move(answered->body);
    if (auto value = parse_json(out.body); value && value->is_object()) out.json = std::move(value->get_object());
    return out;
  }
  HttpAnswer get(const std::string& path) { return call("GET", path); }
  HttpAnswer post(const std::string& path, const std::string& body, net::Headers headers = {}) {
    return call("POST", path, body, std::move(headers));
  }

  Task<> read_stream(std::shared_ptr<StreamReader> reader, net::ClientRequest request) {
    net::SseParser parser([reader, io = &io_](net::SseEvent event) {
      if (reader->stop_after > 0 && reader->events.size() >= reader->stop_after) return;
      reader->events.push_back(std::move(event));
      // Not inside the client's own callback.
      if (reader->events.size() == reader->stop_after) asio::post(*io, [reader] { reader->cancel.cancel(); });
    });
    request.cancel = reader->cancel.token();
    request.on_body = [&parser](std::string_view bytes) { (void)parser.feed(bytes); };
    const auto answered = co_await client_->send(std::move(request));
    reader->ended = answered.has_value();
    if (answered) reader->status = answered->status;
  }
  std::shared_ptr<StreamReader> stream(const std::string& path, const std::string& last_id = {}, std::size_t stop_after = 0) {
    auto reader = std::make_shared<StreamReader>();
    reader->stop_after = stop_after;
    net::Headers headers;
    if (!last_id.empty()) headers.add("Last-Event-ID", last_id);
    run(read_stream(reader, request("GET", path, {}, std::move(headers))));
    return reader;
  }

  std::string start_run(const std::string& agent, const std::string& body) {
    const HttpAnswer answer = post("/v1/agents/" + agent + "/runs", body);
    EXPECT_TRUE(answer.status == 202 || answer.status == 200) << answer.body;
    return answer.text("run");
  }
  /// Starts a run of `desk` and returns once it waits for a person.
  std::string start_waiting_run(const std::string& session) {
    const std::string run = start_run("desk", R"({"input": "ask me", "session": ")" + session + "\"}");
    for (std::size_t events = 1; events < 20; ++events) {
      const auto reader = stream("/v1/runs/" + run + "/events", {}, events);
      const JsonObject last = reader->events.empty() ? JsonObject() : StreamReader::data_of(reader->events.back());
      if (get_string(last, "type") == "CALLBACK") return run;
    }
    ADD_FAILURE() << "the run never asked";
    return run;
  }
  std::string make_key(Scopes scopes, std::optional<TimePoint> expires = std::nullopt) {
    auto created = run(app_->context().keys->create("test", scopes, expires));
    EXPECT_TRUE(created);
    return created ? created->text : std::string();
  }

  TemporaryDirectory directory_;
  asio::io_context io_;
  std::string project_;
  ServerConfig config_;
  std::unique_ptr<SystemClock> clock_;
  std::unique_ptr<App> app_;
  std::unique_ptr<net::HttpClient> client_;
  std::string admin_key_;
};

}  // namespace mayfly
