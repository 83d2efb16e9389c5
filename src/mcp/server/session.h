#pragma once

#include <map>
#include <memory>

#include "mcp/server/message_stream.h"
#include "mcp/server/protocol.h"
#include "runtime/clock.h"

namespace mayfly::mcp {

/// One client of the older era between `initialize` and its end. Lost with the process: a client that gets 404 begins a new one.
class Session {
 public:
  static constexpr std::size_t kStreamsKept = 32;
  static constexpr std::size_t kAskedMax = 64;
  static constexpr std::size_t kWatchesMax = 1'000;
  static constexpr std::string_view kStandalone = "0";

  Session(std::string session_id, Client who);

  const std::string id;
  Client client;  ///< its log level may change
  TimePoint used{};
  std::map<std::string, CancelSource> running;  ///< requests, by id
  std::map<std::string, std::unique_ptr<ResourceProvider::Watch>, std::less<>> watches;

  /// For one request's answer. The oldest finished ones are forgotten when there are too many.
  std::shared_ptr<MessageStream> open_stream(std::string* name);
  std::shared_ptr<MessageStream> stream(std::string_view name) const;
  void forget_stream(const std::string& name) { streams_.erase(name); }
  /// What belongs to no request.
  void notify(std::string_view method, JsonObject params);

  /// Sends a request to the client on `stream` and waits for its response. Error: the client's, or why there is none.
  Task<std::expected<JsonObject, RpcError>> ask(MessageStream* stream, std::string method, JsonObject params, Clock* clock,
                                                CancelToken cancel);
  /// False: nobody waits for it.
  bool answer(RpcResponse response);
  /// Ends its streams and everything that runs for it.
  void close();

 private:
  struct Asked {
    std::int64_t number = 0;
    std::optional<Resume<RpcResponse>> resume;
  };
  std::map<std::string, std::shared_ptr<MessageStream>, std::less<>> streams_;
  std::int64_t next_stream_ = 1;
  std::int64_t next_request_ = 1;
  std::map<std::string, Asked> asked_;
  bool closed_ = false;
};

/// The sessions, bounded: those unused for long end, and when there are too many the longest unused.
class SessionTable {
 public:
  static constexpr std::size_t kSessionsMax = 2'000;
  static constexpr Millis kIdleMax{60 * 60'000};

  explicit SessionTable(Clock& clock) : clock_(clock) {}
  std::shared_ptr<Session> open(std::string id, Client client);
  /// Null when there is none that belongs to this caller.
  std::shared_ptr<Session> find(std::string_view id, const std::string& caller);
  void close(const std::string& id);
  void close_all();
  std::size_t size() const { return sessions_.size(); }
  template <class F>
  void for_each(F call) const {
    const auto sessions = sessions_;
    for (const auto& [id, session] : sessions) call(*session);
  }

 private:
  Clock& clock_;
  std::map<std::string, std::shared_ptr<Session>, std::less<>> sessions_;
};

}  // namespace mayfly::mcp
