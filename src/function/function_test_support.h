#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <csignal>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/json.h"
#include "function/supervisor.h"
#include "testing/sim_clock.h"
#include "testing/temporary_directory.h"

/// For tests of this module: a sandbox whose "processes" are coroutines of the test, and a raw Runtime API client for them.
namespace mayfly::function {

using TestSocket = asio::basic_stream_socket<asio::ip::tcp, Executor>;
inline constexpr asio::as_tuple_t<asio::use_awaitable_t<Executor>> use_test_tuple{asio::use_awaitable_t<Executor>{}};

/// What a scripted process sees of itself. Shared by its program and the SandboxProcess.
struct FakeProcessState {
  explicit FakeProcessState(Executor the_executor) : executor(the_executor) {}
  Executor executor;
  Clock* clock = nullptr;
  sandbox::SandboxSpec spec;
  std::uint16_t port = 0, proxy_port = 0;
  CancelSource killed;
  bool terminated = false, done = false;
  sandbox::ProcessEnd end{sandbox::ProcessEnd::How::Exited, 0};
  std::string output;
  std::optional<Resume<bool>> reader, waiter;
  std::vector<Resume<bool>> sleepers;
  std::set<TestSocket*> sockets;
  std::size_t bytes_read = 0;

  std::string variable(std::string_view name) const {
    for (const auto& entry : spec.environment) {
      if (entry.starts_with(std::string(name) + "=")) return entry.substr(name.size() + 1);
    }
    return "(not set)";
  }
  void print(std::string_view text) {
    output += text;
    if (auto resume = std::exchange(reader, std::nullopt)) (*resume)(true);
  }
  void kill(sandbox::ProcessEnd how) {
    if (done) return;
    end = how;
    killed.cancel();
    for (auto& sleeper : std::exchange(sleepers, {})) sleeper(true);
    for (auto* socket : sockets) {
      boost::system::error_code ignored;
      socket->close(ignored);
    }
  }
  void finish() {
    done = true;
    if (auto resume = std::exchange(reader, std::nullopt)) (*resume)(true);
    if (auto resume = std::exchange(waiter, std::nullopt)) (*resume)(true);
  }
};
using FakeProcess = std::shared_ptr<FakeProcessState>;
using Program = std::function<Task<>(FakeProcess)>;

class FakeSandboxProcess final : public sandbox::SandboxProcess {
 public:
  FakeSandboxProcess(FakeProcess state, int listener, int proxy) : state_(std::move(state)), listener_(listener), proxy_(proxy) {}
  ~FakeSandboxProcess() override {
    kill();
    if (listener_ >= 0) ::close(listener_);
    if (proxy_ >= 0) ::close(proxy_);
  }
  int pid() const override { return 4242; }
  std::vector<Listener> take_listeners() override {
    std::vector<Listener> out;
    for (const auto& address : state_->spec.listen) {
      out.push_back({.fd = std::exchange(out.empty() ? listener_ : proxy_, -1), .address = address});
    }
    return out;
  }
  Task<std::string> read_output() override {
    const auto state = state_;
    if (state->output.empty() && !state->done) {
      co_await suspend<bool>([&](Resume<bool> resume) { state->reader = std::move(resume); });
    }
    std::string out = state->output.substr(0, 64 * 1024);
    state->output.erase(0, out.size());
    state->bytes_read += out.size();
    co_return out;
  }
  void terminate() override {
    state_->terminated = true;
    kill_as(SIGTERM);
  }
  void kill() override { kill_as(SIGKILL); }
  Task<sandbox::ProcessEnd> wait() override {
    const auto state = state_;
    if (!state->done) co_await suspend<bool>([&](Resume<bool> resume) { state->waiter = std::move(resume); });
    co_return state->end;
  }
  sandbox::Usage usage() const override { return {.memory_bytes = 10 << 20, .memory_bytes_peak = 20 << 20, .processes = 1}; }
  const sandbox::Layers& active() const override { return layers_; }

 private:
  void kill_as(int signal) { state_->kill({sandbox::ProcessEnd::How::Signalled, signal}); }
  FakeProcess state_;
  int listener_, proxy_;
  sandbox::Layers layers_;
};

class FakeSandbox final : public sandbox::Sandbox {
 public:
  FakeSandbox(Executor executor, Clock& clock) : executor_(executor), clock_(clock), tasks_(executor) {}
  /// What the next launched processes do; a copy for each.
  Program program;
  std::vector<FakeProcess> launched;
  std::optional<Error> refuses;
  /// One after another instead of `program`, while there are any.
  std::list<Program> programs;

  std::vector<sandbox::LayerState> layers() const override { return {}; }
  Task<Result<std::unique_ptr<sandbox::SandboxProcess>>> launch(sandbox::SandboxSpec spec) override {
    if (refuses) co_return fail(*refuses);
    asio::basic_socket_acceptor<asio::ip::tcp, Executor> acceptor(executor_, {asio::ip::address_v4::loopback(), 0});
    const auto state = std::make_shared<FakeProcessState>(executor_);
    state->clock = &clock_;
    state->spec = std::move(spec);
    state->port = acceptor.local_endpoint().port();
    asio::basic_socket_acceptor<asio::ip::tcp, Executor> proxy(executor_, {asio::ip::address_v4::loopback(), 0});
    state->proxy_port = proxy.local_endpoint().port();
    launched.push_back(state);
    Program next = program;
    if (!programs.empty()) {
      next = programs.front();
      programs.pop_front();
    }
    tasks_.spawn(run(std::move(next), state));
    co_return std::make_unique<FakeSandboxProcess>(state, acceptor.release(), proxy.release());
  }
  Task<Result<void>> add_zygote(sandbox::ZygoteSpec) override { co_return fail("sandbox.no_zygote", "fake"); }
  void remove_zygote(const std::string&) override {}
  Task<> stop() override { co_await tasks_.join(); }
  std::size_t alive() const { return tasks_.size(); }

 private:
  static Task<> run(Program program, FakeProcess state) {
    co_await program(state);
    state->finish();
  }
  Executor executor_;
  Clock& clock_;
  TaskGroup tasks_;
};

struct RuntimeReply {
  int status = 0;  ///< 0: the connection ended
  std::map<std::string, std::string> headers;  ///< lower case
  std::string body;
};

/// A runtime's end of the Runtime API, byte by byte.
class RawRuntime {
 public:
  explicit RawRuntime(FakeProcess process, std::uint16_t port = 0) : process_(std::move(process)), socket_(process_->executor) {
    process_->sockets.insert(&socket_);
    if (!process_->killed.cancelled()) socket_.connect({asio::ip::address_v4::loopback(), port != 0 ? port : process_->port});
  }
  ~RawRuntime() { process_->sockets.erase(&socket_); }
  RawRuntime(const RawRuntime&) = delete;
  RawRuntime& operator=(const RawRuntime&) = delete;

  Task<RuntimeReply> next() { return request("GET", "invocation/next", ""); }
  Task<RuntimeReply> respond(std::string id, std::string body) { return request("POST", "invocation/" + id + "/response", std::move(body)); }
  Task<RuntimeReply> request(std::string method, std::string path, std::string body, std::string fields = {}) {
    co_await send(method + " /2018-06-01/runtime/" + path + " HTTP/1.1\r\nHost: x\r\n" + fields + "Content-Length: " +
                  std::to_string(body.size()) + "\r\n\r\n" + body);
    co_return co_await read();
  }
  Task<bool> send(std::string bytes) {
    auto [error, count] = co_await asio::async_write(socket_, asio::buffer(bytes), use_test_tuple);
    co_return !error;
  }
  Task<RuntimeReply> read() {
    RuntimeReply reply;
    while (buffer_.find("\r\n\r\n") == std::string::npos) {
      if (!co_await more()) co_return reply;
    }
    const auto end = buffer_.find("\r\n\r\n");
    parse_head(reply, buffer_.substr(0, end));
    buffer_.erase(0, end + 4);
    const std::size_t length = reply.headers.contains("content-length") ? std::stoul(reply.headers["content-length"]) : 0;
    while (buffer_.size() < length) {
      if (!co_await more()) co_return RuntimeReply{};
    }
    reply.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
    co_return reply;
  }

 private:
  Task<bool> more() {
    std::string chunk(64 * 1024, '\0');
    auto [error, count] = co_await socket_.async_read_some(asio::buffer(chunk), use_test_tuple);
    buffer_.append(chunk, 0, count);
    co_return !error;
  }
  static void parse_head(RuntimeReply& reply, std::string head) {
    reply.status = std::stoi(head.substr(9, 3));
    for (auto at = head.find("\r\n"); at != std::string::npos;) {
      const auto next = head.find("\r\n", at + 2);
      const std::string line = head.substr(at + 2, next == std::string::npos ? next : next - at - 2);
      std::string name = line.substr(0, line.find(':'));
      for (char& c : name) c = static_cast<char>(std::tolower(c));
      reply.headers[name] = line.substr(line.find(':') + 2);
      at = next;
    }
  }
  FakeProcess process_;
  TestSocket socket_;
  std::string buffer_;
};

/// Does nothing, within the process, until it is killed.
inline Task<> hang(FakeProcess process) {
  if (process->killed.cancelled()) co_return;
  co_await suspend<bool>([&](Resume<bool> resume) { process->sleepers.push_back(std::move(resume)); });
}

}  // namespace mayfly::function
