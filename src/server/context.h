#pragma once

#include "agent/registry.h"
#include "agent/service.h"
#include "blob/blob_store.h"
#include "engine/engine.h"
#include "llm/gateway.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "runtime/clock.h"
#include "runtime/random.h"
#include "server/config.h"

namespace mayfly {

namespace function {
class FunctionRegistry;
class FunctionService;
class DurableService;
class Supervisor;
}  // namespace function

namespace sandbox {
class Sandbox;
}
namespace queue {
class QueueService;
}
namespace schedule {
class ScheduleService;
}
namespace trigger {
class TriggerService;
}
namespace workflow {
class WorkflowRegistry;
}
namespace workspace {
struct Workspaces;
}
class Expressions;

class KeyRing;
class McpCalls;
class DeclaredOffer;
class ProviderSettings;
class ServerMetrics;
class TokenRealm;

/// What handlers may use. Owned by App; everything lives on one loop and longer than any request.
struct AppContext {
  Executor executor;
  const ServerConfig* config = nullptr;
  Clock* clock = nullptr;
  Random* random = nullptr;
  Store* store = nullptr;
  net::HttpClient* http = nullptr;
  llm::LlmGateway* gateway = nullptr;
  agent::AgentRegistry* registry = nullptr;
  agent::AgentService* service = nullptr;
  engine::Engine* engine = nullptr;
  function::FunctionRegistry* functions = nullptr;  ///< null: switched off
  function::FunctionService* function_service = nullptr;
  function::DurableService* durable = nullptr;
  function::Supervisor* supervisor = nullptr;
  sandbox::Sandbox* sandbox = nullptr;  ///< null: this machine gives none, or functions are switched off
  Expressions* expressions = nullptr;
  queue::QueueService* queues = nullptr;
  schedule::ScheduleService* schedules = nullptr;
  trigger::TriggerService* triggers = nullptr;
  workflow::WorkflowRegistry* workflows = nullptr;
  workspace::Workspaces* workspaces = nullptr;
  std::string download_key;  ///< signs the locations of code; new at every start
  KeyRing* keys = nullptr;
  TokenRealm* mcp_tokens = nullptr;  ///< OAuth at /mcp; null: keys only
  ProviderSettings* providers = nullptr;
  McpCalls* mcp_calls = nullptr;          ///< of functions for MCP clients, under way
  DeclaredOffer* mcp_declared = nullptr;  ///< what projects declare for the MCP server
  net::HttpServer* server = nullptr;
  ServerMetrics* metrics = nullptr;
  TaskGroup* tasks = nullptr;         ///< for work that outlives its request; joined before the store closes
  CancelToken stopping;               ///< long answers end early, so that the server can stop
  bool ready = false;
};

}  // namespace mayfly
