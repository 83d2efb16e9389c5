#pragma once

#include <map>
#include <set>
#include <variant>

#include "mcp/json_rpc.h"
#include "mcp/provider.h"
#include "mcp/server/task_port.h"
#include "runtime/clock.h"
#include "schema/json_schema.h"

/// The methods of MCP over what an `Offer` holds, for both eras; it knows neither HTTP nor sessions.
namespace mayfly::mcp {

inline constexpr std::string_view kServerInfoKey = "io.modelcontextprotocol/serverInfo";
inline constexpr std::string_view kProtocolVersionKey = "io.modelcontextprotocol/protocolVersion";
inline constexpr std::string_view kClientCapabilitiesKey = "io.modelcontextprotocol/clientCapabilities";
inline constexpr std::string_view kClientInfoKey = "io.modelcontextprotocol/clientInfo";
inline constexpr std::string_view kLogLevelKey = "io.modelcontextprotocol/logLevel";
inline constexpr std::string_view kSubscriptionIdKey = "io.modelcontextprotocol/subscriptionId";

/// Who asks, as far as the protocol is concerned.
struct Client {
  Caller caller;
  bool stateless = true;  ///< 2026-07-28
  std::string version;
  JsonObject capabilities;
  std::string log_level;           ///< empty: no log messages
  std::set<std::string> toolsets;  ///< empty: the default profile
  std::string traceparent;
};

struct Reply {
  std::variant<JsonObject, RpcError> outcome;
  int status = 200;  ///< of HTTP, in the stateless era
  static Reply of(JsonObject result) { return {std::move(result), 200}; }
  static Reply error(int code, std::string message, std::optional<Json> data = std::nullopt, int status = 200) {
    return {RpcError{code, std::move(message), std::move(data)}, status};
  }
};

/// What a request may do before its reply. Implemented by the transport; lives as long as the request.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual void notify(std::string_view method, JsonObject params) = 0;
  /// Older era only: a request to the client. Error: what the client answered, or why it did not.
  virtual Task<std::expected<JsonObject, RpcError>> ask(std::string method, JsonObject params) = 0;
  virtual void pause() = 0;
};

/// Keeps what goes through the client from being read or changed. `context` must be the same both times.
struct StateSeal {
  std::function<std::string(std::string_view plain, std::string_view context)> seal;
  std::function<Result<std::string>(std::string_view sealed, std::string_view context)> unseal;
};

struct ProtocolOptions {
  std::string server_name = "mayfly", server_version = "0";
  std::string instructions;
  std::size_t page_items_max = 200;
  std::size_t page_bytes_max = 256 * 1024;  ///< of one page of tools: what a model's context can bear
  Millis state_ttl{3'600'000};
  Millis task_ttl{24 * 3'600'000};
  Millis task_poll{500};
};

class Protocol {
 public:
  /// All outlive it; `tasks` may be null.
  Protocol(const Offer& offer, TaskPort* tasks, Clock& clock, StateSeal seal, ProtocolOptions options);

  Task<Reply> handle(Client client, RpcRequest request, Exchange* exchange, CancelToken cancel);

  /// Of server/discover and initialize.
  JsonObject capabilities(const Client& client) const;
  JsonObject server_info() const;
  const ProtocolOptions& options() const { return options_; }

  /// A tool that this caller may call.
  struct Found {
    ToolProvider* provider = nullptr;
    ToolInfo info;
  };
  std::optional<Found> find_tool(const Caller& caller, std::string_view name) const;
  ResourceProvider* owner_of(std::string_view uri) const;
  static bool has_tasks(const JsonObject& capabilities);
  JsonObject task_view(const TaskState& task, bool detailed) const;

 private:
  struct Round;
  Task<Reply> discover(Client client);
  Task<Reply> list_tools(Client client, JsonObject params);
  Task<Reply> call_tool(Client client, JsonObject params, Exchange* exchange, CancelToken cancel);
  Task<Reply> run_tool(Client client, Found tool, CallContext context, JsonObject arguments, std::string binding, Exchange* exchange);
  Task<Reply> follow_run(Client client, Found tool, std::string run, CallContext context, std::string binding, Exchange* exchange);
  Task<Reply> list_resources(Client client, JsonObject params);
  Task<Reply> list_templates(Client client, JsonObject params);
  Task<Reply> read_resource(Client client, JsonObject params, Exchange* exchange, CancelToken cancel);
  Task<Reply> list_prompts(Client client, JsonObject params);
  Task<Reply> get_prompt(Client client, JsonObject params, Exchange* exchange, CancelToken cancel);
  Task<Reply> complete(Client client, JsonObject params);
  Task<Reply> task_method(Client client, std::string method, JsonObject params);

  CallContext context_of(const Client& client, const JsonObject& params, Exchange* exchange, CancelToken cancel) const;
  /// The answers and state of a repeated request, put into `context`; the run that was awaited, if it was one.
  std::expected<std::string, RpcError> read_round(const JsonObject& params, const std::string& binding, CallContext* context) const;
  JsonObject input_required(const JsonObject& requests, const std::string& state, const std::string& run, const std::string& binding) const;
  /// The older era: asks one after the other.
  Task<std::expected<JsonObject, RpcError>> ask_all(JsonObject requests, Exchange* exchange);
  std::optional<std::string> check_arguments(const ToolInfo& tool, const JsonObject& arguments);
  JsonObject finish(const Client& client, JsonObject result, std::optional<Millis> ttl = std::nullopt) const;
  Reply not_found(const Client& client, const std::string& uri) const;

  const Offer& offer_;
  TaskPort* tasks_;
  Clock& clock_;
  StateSeal seal_;
  ProtocolOptions options_;
  struct Compiled {
    Json schema;
    std::optional<JsonSchema> validator;
  };
  std::map<std::string, Compiled, std::less<>> compiled_;
};

/// A tool as lists show it.
JsonObject to_json(const ToolInfo& tool);
/// The capabilities that `requests` need and `capabilities` lacks, as ClientCapabilities; empty: none.
JsonObject missing_capabilities(const JsonObject& requests, const JsonObject& capabilities);

}  // namespace mayfly::mcp
