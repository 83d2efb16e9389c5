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

class KeyRing;
class ProviderSettings;
class ServerMetrics;

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
  KeyRing* keys = nullptr;
  ProviderSettings* providers = nullptr;
  net::HttpServer* server = nullptr;
  ServerMetrics* metrics = nullptr;
  TaskGroup* tasks = nullptr;         ///< for work that outlives its request; joined before the store closes
  CancelToken stopping;               ///< long answers end early, so that the server can stop
  bool ready = false;
};

}  // namespace mayfly
