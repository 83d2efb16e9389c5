#include "net/egress_proxy.h"

#include <unistd.h>

#include <list>

#include "base/log.h"
#include "net/dns.h"
#include "net/egress_connection.h"
#include "net/listener.h"

namespace mayfly::net {
namespace {

constexpr asio::as_tuple_t<asio::use_awaitable_t<Executor>> use_tuple{asio::use_awaitable_t<Executor>{}};
constexpr Millis kSweepEvery{1'000};
constexpr Millis kAcceptPause{100};

class AsioEgressProxy final : public EgressProxy, private EgressHost {
 public:
  AsioEgressProxy(Executor executor, Clock& the_clock, ResolveName the_resolve, EgressProxyOptions the_options)
      : EgressHost{the_clock, std::move(the_resolve), std::move(the_options), {}, {}},
        executor_(executor),
        acceptor_(executor),
        tasks_(executor) {}

  ~AsioEgressProxy() override {
    if (options.listener_fd >= 0) ::close(options.listener_fd);
  }

  Result<void> listen() override {
    auto parsed = EgressRules::parse(options.allow);
    if (!parsed) return fail(parsed.error());
    rules = std::move(*parsed);
    if (auto adopted = adopt_listener(acceptor_, options.listener_fd); !adopted) return adopted;
    options.listener_fd = -1;
    tasks_.spawn(accept_connections());
    return {};
  }

  EgressProxyCounters counters() const override {
    EgressProxyCounters out = counts;
    out.connections_open = connections_.size();
    return out;
  }

  Task<> stop() override {
    if (std::exchange(is_stopping_, true)) co_return;
    accept_stop_.cancel();
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    for (auto& connection : connections_) connection.abort();
    co_await tasks_.join();
    sweeper_.reset();
  }

 private:
  Task<> accept_connections() {
    bool warned = false;
    while (!is_stopping_) {
      auto [error, socket] = co_await acceptor_.async_accept(use_tuple);
      if (is_stopping_) break;
      if (error) {
        if (!std::exchange(warned, true)) {
          log::warn("the egress proxy cannot accept connections; raise the limit of open files if this lasts",
                    {{"error", error.message()}});
        }
        co_await sleep_for(clock, kAcceptPause, accept_stop_.token());
        continue;
      }
      warned = false;
      welcome(std::move(socket));
    }
  }

  void welcome(EgressConnection::Socket socket) {
    if (connections_.size() >= options.connections_max) {
      ++counts.connections_refused;
      const std::string busy = egress_refusal(503, "egress.busy", "The function has too many connections to the world; close some.");
      boost::system::error_code ignored;
      socket.non_blocking(true, ignored);
      socket.write_some(asio::buffer(busy), ignored);
      socket.shutdown(EgressConnection::Socket::shutdown_send, ignored);
      return;
    }
    ++counts.connections_accepted;
    connections_.emplace_front(static_cast<EgressHost&>(*this), std::move(socket), executor_);
    tasks_.spawn(serve(connections_.begin()));
    if (!sweeper_) sweeper_ = clock.call_after(kSweepEvery, [this] { sweep(); });
  }

  Task<> serve(std::list<EgressConnection>::iterator connection) {
    co_await connection->run();
    connections_.erase(connection);
  }

  void sweep() {
    const auto now = clock.monotonic();
    for (auto& connection : connections_) connection.expire(now);
    sweeper_ = connections_.empty() ? nullptr : clock.call_after(kSweepEvery, [this] { sweep(); });
  }

  Executor executor_;
  Acceptor acceptor_;
  bool is_stopping_ = false;
  CancelSource accept_stop_;
  std::list<EgressConnection> connections_;
  std::unique_ptr<Clock::Timer> sweeper_;
  TaskGroup tasks_;
};

}  // namespace

ResolveName make_name_resolver(Executor executor, Clock& clock) {
  return [resolver = std::make_shared<Resolver>(executor, clock)](std::string host, Millis timeout, CancelToken cancel) {
    return resolver->resolve(std::move(host), timeout, std::move(cancel));
  };
}

std::unique_ptr<EgressProxy> make_egress_proxy(Executor executor, Clock& clock, ResolveName resolve, EgressProxyOptions options) {
  return std::make_unique<AsioEgressProxy>(executor, clock, std::move(resolve), std::move(options));
}

}  // namespace mayfly::net
