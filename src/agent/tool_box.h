#pragma once

#include <map>
#include <memory>
#include <string>

#include "agent/agent_spec.h"
#include "agent/mcp_tool.h"
#include "function/function_service.h"
#include "net/http_client.h"
#include "runtime/clock.h"
#include "tool/redact.h"
#include "tool/tool.h"

namespace mayfly::agent {

/// Makes the tools that agents declare (HTTP, command and function tools; the others are the loop's own), and keeps them.
class ToolBox {
 public:
  ToolBox(net::HttpClient& http, Clock& clock, EnvLookup environment) : http_(http), clock_(clock), environment_(std::move(environment)) {}
  /// Without it function tools are `tool.invalid`. Before the first `find`; outlives the box.
  void use_functions(function::FunctionService& functions) { functions_ = &functions; }
  /// Without them tools of this server's own are `tool.invalid`; they outlive the box.
  void use_own_tools(OwnTools& tools) { own_tools_ = &tools; }
  /// Error: `tool.invalid`. The pointer lives as long as the box.
  Result<Tool*> find(const AgentSpec& spec, std::int64_t version, const std::string& name);

 private:
  Result<std::unique_ptr<Tool>> make(const AgentSpec& agent, const ToolSpec& spec);

  net::HttpClient& http_;
  Clock& clock_;
  EnvLookup environment_;
  function::FunctionService* functions_ = nullptr;
  OwnTools* own_tools_ = nullptr;
  std::map<std::string, std::unique_ptr<Tool>> tools_;
};

}  // namespace mayfly::agent
