#include "cli/server_host.h"

#include <boost/asio/executor_work_guard.hpp>
#include <future>
#include <optional>
#include <thread>

#include "runtime/task.h"
#include "server/app.h"

namespace mayfly::cli {

struct ServerHost::Parts {
  asio::io_context io{1};
  std::optional<App> app;
  std::string url;
  bool listening = false;  // of the server's thread
  std::thread thread;
};

namespace {

Task<> start_app(App& app, bool& listening, std::promise<Result<void>>& started) {
  auto result = co_await app.start();
  listening = result.has_value();
  started.set_value(std::move(result));
}

Task<> stop_app(App& app) { co_await app.stop(); }

}  // namespace

ServerHost::ServerHost(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Result<std::unique_ptr<ServerHost>> ServerHost::start(ServerConfig config) {
  auto parts = std::make_unique<Parts>();
  std::promise<Result<void>> promise;
  auto started = promise.get_future();
  // The App is made, used and destroyed on its own thread: tools end with the thread that started them.
  parts->thread = std::thread([&parts = *parts, &promise, config = std::move(config)] {
    const auto work = asio::make_work_guard(parts.io);
    parts.app.emplace(parts.io.get_executor(), config);
    TaskGroup tasks(parts.io.get_executor());
    tasks.spawn(start_app(*parts.app, parts.listening, promise));
    parts.io.run();
    parts.io.restart();
    if (parts.listening) tasks.spawn(stop_app(*parts.app));
    while (tasks.size() > 0) parts.io.run_one();
    parts.app.reset();
  });
  const Result<void> result = started.get();
  if (!result) {
    parts->io.stop();
    parts->thread.join();
    return fail(result.error());
  }
  parts->url = parts->app->url();
  return std::unique_ptr<ServerHost>(new ServerHost(std::move(parts)));
}

ServerHost::~ServerHost() {
  parts_->io.stop();
  parts_->thread.join();
}

const std::string& ServerHost::url() const { return parts_->url; }

}  // namespace mayfly::cli
