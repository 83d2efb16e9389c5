#include "net/http_server.h"

#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <list>

#include "base/log.h"
#include "net/connection.h"
#include "net/listener.h"

namespace mayfly::net {
namespace {

constexpr Millis kAcceptPause{100};

class AsioHttpServer final : public HttpServer, private ConnectionHost {
 public:
  AsioHttpServer(Executor executor, Clock& clock, ServerOptions options, Handler handler)
      : ConnectionHost(clock, std::move(options), std::move(handler)), executor_(executor), acceptor_(executor), tasks_(executor) {}

  ~AsioHttpServer() override {
    if (options.listener_fd >= 0) ::close(options.listener_fd);
  }

  Result<void> listen() override {
    is_adopted = options.listener_fd >= 0;
    auto listening = is_adopted ? adopt() : bind();
    if (listening) tasks_.spawn(accept_connections());
    return listening;
  }

  std::uint16_t port() const override { return port_; }

  ServerCounters counters() const override {
    ServerCounters out = counts;
    out.connections_open = connections_.size();
    return out;
  }

  Task<> stop(Millis grace) override {
    if (stopping) co_return;
    stopping = true;
    accept_stop_.cancel();
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    for (auto& connection : connections_) connection.on_stop();
    std::unique_ptr<Clock::Timer> timer;
    if (grace <= Millis{0}) {
      close_all();
    } else {
      timer = clock.call_after(grace, [this] { close_all(); });
    }
    co_await tasks_.join();
    sweeper_.reset();
  }

 private:
  Result<void> bind() {
    boost::system::error_code error;
    const auto address = asio::ip::make_address(options.address == "localhost" ? "127.0.0.1" : options.address, error);
    if (error)
      return fail("net.bind", "\"" + options.address + "\" is not an IP address; use 127.0.0.1, 0.0.0.0 or an address of this machine.");
    const Tcp::endpoint endpoint(address, options.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(4096, error);
    if (!error) port_ = acceptor_.local_endpoint(error).port();
    if (error) {
      boost::system::error_code ignored;
      acceptor_.close(ignored);
      const std::string where = options.address + ":" + std::to_string(options.port);
      if (error == asio::error::address_in_use) {
        return fail("net.address_in_use", where + " is already in use; stop the other program or choose another port.");
      }
      return fail("net.bind", "Cannot listen on " + where + ": " + error.message() + ". Choose another address or port.");
    }
    return {};
  }

  Result<void> adopt() {
    if (auto adopted = adopt_listener(acceptor_, options.listener_fd); !adopted) return adopted;
    options.listener_fd = -1;
    boost::system::error_code error;
    const auto name = acceptor_.local_endpoint(error);
    if (!error && name.data()->sa_family != AF_UNIX) port_ = name.port();
    return {};
  }

  void close_all() {
    for (auto& connection : connections_) connection.abort();
  }

  Task<> accept_connections() {
    bool warned = false;
    while (!stopping) {
      auto [error, socket] = co_await acceptor_.async_accept(use_tuple);
      if (stopping) break;
      if (error) {
        if (!warned) log::warn("cannot accept connections; raise the limit of open files if this lasts", {{"error", error.message()}});
        warned = true;
        co_await sleep_for(clock, kAcceptPause, accept_stop_.token());
        continue;
      }
      warned = false;
      welcome(std::move(socket));
    }
  }

  void welcome(Socket socket) {
    if (connections_.size() >= options.connections_max) {
      ++counts.connections_refused;
      refuse_connection(socket);
      return;
    }
    ++counts.connections_accepted;
    connections_.emplace_front(static_cast<ConnectionHost&>(*this), std::move(socket));
    tasks_.spawn(serve(connections_.begin()));
    if (!sweeper_) sweeper_ = clock.call_after(options.sweep_every, [this] { sweep(); });
  }

  Task<> serve(std::list<Connection>::iterator connection) {
    co_await connection->run();
    connections_.erase(connection);
  }

  /// The only timer: it enforces every deadline and looks for clients that went away.
  void sweep() {
    const auto now = clock.monotonic();
    std::vector<pollfd> polled;
    std::vector<Connection*> waiting;
    for (auto& connection : connections_) {
      if (connection.expire(now) || !connection.is_answering()) continue;
      polled.push_back({connection.descriptor(), POLLRDHUP, 0});
      waiting.push_back(&connection);
    }
    if (!polled.empty() && ::poll(polled.data(), polled.size(), 0) > 0) {
      for (std::size_t i = 0; i < polled.size(); ++i) {
        if (polled[i].revents != 0) waiting[i]->on_peer_event(polled[i].revents, now);
      }
    }
    sweeper_ = connections_.empty() ? nullptr : clock.call_after(options.sweep_every, [this] { sweep(); });
  }

  Executor executor_;
  Acceptor acceptor_;
  std::uint16_t port_ = 0;
  CancelSource accept_stop_;
  std::list<Connection> connections_;
  std::unique_ptr<Clock::Timer> sweeper_;
  TaskGroup tasks_;
};

}  // namespace

std::unique_ptr<HttpServer> make_http_server(Executor executor, Clock& clock, ServerOptions options, Handler handler) {
  return std::make_unique<AsioHttpServer>(executor, clock, std::move(options), std::move(handler));
}

}  // namespace mayfly::net
