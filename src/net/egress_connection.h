#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "net/egress_proxy.h"
#include "net/egress_rules.h"
#include "net/proxy_request.h"

namespace mayfly::net {

/// What the connections of one proxy share.
struct EgressHost {
  Clock& clock;
  ResolveName resolve;
  EgressProxyOptions options;
  EgressRules rules;
  EgressProxyCounters counts;
};

/// A whole answer with problem details.
std::string egress_refusal(int status, std::string_view code, std::string_view detail);

/// One client of the proxy: its request, the decision, and the bytes both ways. `run` is its main coroutine; the
/// proxy's sweep enforces its deadline.
class EgressConnection {
 public:
  using Socket = asio::basic_stream_socket<asio::ip::tcp, Executor>;

  EgressConnection(EgressHost& host, Socket client, Executor executor);

  Task<> run();
  /// Ends what waits past its deadline.
  void expire(std::chrono::nanoseconds now);
  void abort();

 private:
  enum class Phase { Header, Connecting, Pumping, Lingering };

  Task<Result<ProxyRequest>> read_request();
  Task<bool> open(EgressTarget target);
  Task<Result<void>> connect(EgressTarget target);
  Task<> refuse(Error error);
  Task<> linger();
  Task<> serve(ProxyRequest request);
  /// Bytes until the end of the stream, which is passed on.
  Task<> pump(Socket* from, Socket* to, std::uint64_t* counter);
  Task<> pump_tunnel_up();
  /// Of a Forward: the answer ends the connection.
  Task<> pump_answer();
  /// Exactly the body of the request.
  Task<> pump_body(std::uint64_t content_length, bool is_chunked);
  /// False when the peer is gone.
  Task<bool> write(Socket* to, std::string bytes, std::uint64_t* counter);
  void enter(Phase phase, Millis timeout);
  void touch() { enter(Phase::Pumping, host_.options.idle_timeout); }

  EgressHost& host_;
  Executor executor_;
  Socket client_;
  Socket server_;
  std::string received_;  ///< from the client, beyond what was used
  Phase phase_ = Phase::Header;
  std::chrono::nanoseconds deadline_{0};
  bool is_expired_ = false;
  CancelSource gone_;
};

}  // namespace mayfly::net
