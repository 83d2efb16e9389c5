#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/json.h"
#include "net/http_client.h"
#include "runtime/cancel.h"
#include "runtime/clock.h"

/// A client of A2A 1.0 (https://a2a-protocol.org): other agents, wherever they live.
namespace mayfly::a2a {

struct RemoteAgent {
  std::string url;       ///< of its card (…/agent-card.json), or what `/.well-known/agent-card.json` is added to
  net::Headers headers;  ///< credentials; sent to the origin of `url` and nowhere else
  net::EgressPolicy egress;
  std::string binding;   ///< "JSONRPC" or "HTTP+JSON"; empty: what the card names first
};

struct RemoteMessage {
  std::string id;       ///< stable over repeats
  std::string text;
  Json data;            ///< null: none
  std::string context;  ///< of an earlier answer, to go on with its conversation; or empty
  std::string task;     ///< that waits for this message; or empty
};

struct RemoteAnswer {
  enum class State { Done, Failed, Cancelled, Rejected, InputRequired, AuthRequired } state = State::Done;
  std::string text;  ///< artifacts, or what the status says
  Json data;         ///< JSON parts; null: none
  std::string context;
  std::string task;
};

/// Cards are kept for five minutes. Errors: `a2a.card` (cannot be read, or no interface of version 1), `a2a.other_origin`, `a2a.remote` (the
/// agent's own error), `a2a.invalid_answer`, `a2a.timeout` (OutcomeUnknown), and those of the HTTP client.
class Client {
 public:
  Client(net::HttpClient& http, Clock& clock) : http_(http), clock_(clock) {}

  /// Sends, then asks until the task has ended or wants something, at most `wait`. Cancelling also cancels the remote task, best effort.
  Task<Result<RemoteAnswer>> send(RemoteAgent agent, RemoteMessage message, Millis wait, CancelToken cancel);

 private:
  struct Interface {
    std::string url;
    bool rpc = true;
  };
  struct CachedCard {
    Interface interface;
    std::chrono::nanoseconds read{};
  };
  Task<Result<Interface>> interface_of(RemoteAgent agent, CancelToken cancel);
  Task<Result<JsonObject>> call(RemoteAgent agent, Interface interface, std::string method, JsonObject params, CancelToken cancel);

  net::HttpClient& http_;
  Clock& clock_;
  std::map<std::string, CachedCard> cards_;
};

}  // namespace mayfly::a2a
