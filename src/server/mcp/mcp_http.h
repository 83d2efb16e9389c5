#pragma once

#include "mcp/server/protocol.h"
#include "mcp/server/session.h"
#include "server/mcp/mcp_calls.h"
#include "server/router.h"

namespace mayfly {

/// MCP's Streamable HTTP on one URL: requests of the stateless era (2026-07-28), sessions of those before it.
/// https://modelcontextprotocol.io/specification/2026-07-28/basic/transports, …/2025-11-25/basic/transports
class McpHttp {
 public:
  static constexpr std::string_view kPath = "/mcp";
  static constexpr std::size_t kListenersMax = 512;

  McpHttp(AppContext& app, const mcp::Offer& offer, mcp::Protocol& protocol, mcp::TaskPort* tasks, McpCalls& calls);
  ~McpHttp();

  Task<> serve(Call* call);
  /// A list has changed: sessions are told.
  void changed(mcp::Changes::List list);
  Task<> stop();
  /// The challenge names where OAuth's metadata is: the path of a route, or empty.
  void use_resource_metadata(std::string path) { metadata_path_ = std::move(path); }

 private:
  /// One request under way. It outlives the HTTP request where the client may come back for its answer.
  struct Work {
    mcp::Client client;
    mcp::RpcRequest request;
    std::shared_ptr<mcp::MessageStream> stream;
    std::shared_ptr<mcp::Session> session;  ///< null: stateless
    CancelSource cancel;
  };
  class Conversation;
  enum class Ended { Done, Cut, Gone };
  struct Writing {
    std::shared_ptr<mcp::MessageStream> stream;
    std::string name;  ///< of the stream, for event ids; empty: none
    std::int64_t after = 0;
    bool may_json = false, may_sse = true;
    bool prime = false;  ///< an empty event with an id first (SEP-1699)
    net::Headers headers;
  };

  static bool accepts_json(const net::Request& request);
  static bool accepts_events(const net::Request& request);
  std::optional<net::Response> check_request(Call* call, mcp::Client* client);
  Task<> post(Call* call, mcp::Client client);
  Task<> get(Call* call, mcp::Client client);
  Task<> remove(Call* call, mcp::Client client);
  Task<> stateless(Call* call, mcp::Client client, mcp::RpcRequest request);
  Task<> with_session(Call* call, mcp::Client client, mcp::RpcMessage message);
  Task<> initialize(Call* call, mcp::Client client, mcp::RpcRequest request);
  Task<> in_session(Call* call, std::shared_ptr<mcp::Session> session, mcp::RpcRequest request);
  Task<std::optional<mcp::Reply>> session_method(std::shared_ptr<mcp::Session> session, mcp::RpcRequest request);
  Task<> listen(Call* call, mcp::Client client, mcp::RpcRequest request);
  Task<> follow_task(mcp::Client client, std::string id, Json subscription, std::shared_ptr<mcp::MessageStream> stream, CancelToken cancel);
  Task<> perform(std::shared_ptr<Work> work);
  Task<Ended> write(Call* call, Writing what);

  AppContext& app_;
  const mcp::Offer& offer_;
  mcp::Protocol& protocol_;
  mcp::TaskPort* tasks_;
  McpCalls& calls_;
  mcp::SessionTable sessions_;
  TaskGroup work_;
  CancelSource stopping_;
  std::size_t listeners_ = 0;
  std::string metadata_path_;
};

}  // namespace mayfly
