#pragma once

#include <map>

#include "mcp/provider.h"
#include "server/context.h"
#include "server/mcp/mcp_calls.h"

namespace mayfly {

/// What projects declare under `mcp:`: rows `meta/mcp/SECTION`, all in memory. A deploy that names a section replaces it.
class DeclaredOffer final : public mcp::ToolProvider, public mcp::ResourceProvider, public mcp::PromptProvider {
 public:
  DeclaredOffer(AppContext& app, McpCalls& calls);
  Task<Result<void>> load();
  /// Errors: `mcp.invalid` and those of the store.
  Task<Result<void>> put(std::string section, JsonObject definitions);
  /// The resource has changed, says the function that makes it.
  void updated(const std::string& uri);

  std::vector<mcp::ToolInfo> tools(const mcp::Caller& caller) override;
  std::optional<mcp::ToolInfo> tool(const mcp::Caller& caller, std::string_view name) override;
  Task<Result<mcp::CallResult>> call(mcp::CallContext context, std::string tool, JsonObject arguments) override;

  bool owns(std::string_view uri) const override;
  Task<Result<mcp::ResourcePage>> list(mcp::Caller caller, std::string after) override;
  std::vector<mcp::ResourceInfo> templates(const mcp::Caller& caller) override;
  Task<Result<JsonArray>> read(mcp::CallContext context, std::string uri) override;
  Task<Result<std::unique_ptr<Watch>>> watch(mcp::Caller caller, std::string uri, std::function<void()> changed) override;

  std::vector<mcp::PromptInfo> prompts(const mcp::Caller& caller) override;
  Task<Result<JsonObject>> get(mcp::CallContext context, std::string prompt, JsonObject arguments) override;
  /// Of prompts' arguments and templates' variables: the declared values that begin with `text`.
  Task<Result<std::vector<std::string>>> complete(mcp::Caller caller, std::string what, std::string argument, std::string text) override;

 private:
  class Watching;
  struct Source {
    const JsonObject* definition = nullptr;
    JsonObject variables;
  };
  const JsonObject* definition(std::string_view section, std::string_view name) const;
  std::optional<Source> source_of(std::string_view uri) const;
  void set(const std::string& section, JsonObject definitions);

  AppContext& app_;
  McpCalls& calls_;
  std::map<std::string, JsonObject, std::less<>> sections_;
  std::vector<mcp::ToolInfo> tools_;
  std::multimap<std::string, Watching*> watching_;
};

}  // namespace mayfly
