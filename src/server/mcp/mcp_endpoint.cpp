#include "server/mcp/mcp_endpoint.h"

#include <algorithm>

#include "function/secret_box.h"
#include "server/mcp/declared_offer.h"
#include "server/mcp/mcp_http.h"
#include "server/mcp/published_tools.h"
#include "server/mcp/run_tasks.h"
#include "server/mcp/workspace_tools.h"

namespace mayfly {
namespace {

constexpr std::string_view kInstructions =
    "Mayfly runs agents and functions and keeps files for them. Tools named agent_… start an agent and give its answer; long ones run as "
    "tasks. "
    "Files live in workspaces; take a lock before you change a file that others may change. Further tools: add ?toolsets=all to the URL.";
constexpr std::string_view kMetadata = "/.well-known/oauth-protected-resource";

class Endpoint final : public McpEndpoint {
 public:
  Endpoint(Router& router, AppContext& context) : router_(router), context_(context), declared_(context, calls_) {
    context.mcp_calls = &calls_;
    context.mcp_declared = &declared_;
    calls_.updated = [this](const std::string& uri) { declared_.updated(uri); };
    RouteOptions options;
    options.described = Described::Elsewhere;
    router.add_stream("*", McpHttp::kPath, options, [this](AppContext&, Call& call) { return serve(&call); });
  }
  ~Endpoint() override {
    context_.mcp_calls = nullptr;
    context_.mcp_declared = nullptr;
  }

  Task<Result<void>> open() override {
    if (auto loaded = co_await declared_.load(); !loaded) co_return loaded;
    auto box = function::SecretBox::open(context_.config->data_dir + "/function.key", function::SecretBox::IfMissing::Fail);
    if (!box) co_return fail(box.error());
    published_ = make_published_tools(context_);
    tasks_ = make_run_tasks(context_);
    offer_.tools.insert(offer_.tools.begin(), {&declared_, published_.get()});
    offer_.resources.insert(offer_.resources.begin(), &declared_);
    offer_.prompts.insert(offer_.prompts.begin(), &declared_);
    if (context_.workspaces) {
      workspace_tools_ = make_workspace_tools(context_);
      workspace_resources_ = make_workspace_resources(context_);
      offer_.tools.push_back(workspace_tools_.get());
      offer_.resources.push_back(workspace_resources_.get());
    }
    mcp::StateSeal seal;
    seal.seal = [box = *box](std::string_view plain, std::string_view place) { return box.seal(plain, place); };
    seal.unseal = [box = *box](std::string_view sealed, std::string_view place) { return box.unseal(sealed, place); };
    mcp::ProtocolOptions options;
    options.server_version = MAYFLY_VERSION;
    options.instructions = kInstructions;
    protocol_ = std::make_unique<mcp::Protocol>(offer_, tasks_.get(), *context_.clock, std::move(seal), std::move(options));
    http_ = std::make_unique<McpHttp>(context_, offer_, *protocol_, tasks_.get(), calls_);
    for (const RouteInfo& route : router_.routes())
      if (route.path.starts_with(kMetadata)) http_->use_resource_metadata(std::string(kMetadata) + std::string(McpHttp::kPath));
    changes_.emplace(calls_.changes.listen([this](mcp::Changes::List list) { http_->changed(list); }));
    for (const std::string_view prefix : {"meta/agent/", "meta/function/"})
      watches_.push_back(context_.store->watch(std::string(prefix), [this] { calls_.changes.tell(mcp::Changes::List::Tools); }));
    co_return Result<void>{};
  }

  Task<> stop() override {
    watches_.clear();
    changes_.reset();
    if (http_) co_await http_->stop();
  }

  mcp::Offer& offer() override { return offer_; }

 private:
  Task<> serve(Call* call) {
    if (http_) co_return co_await http_->serve(call);
    co_await call->responder.send(net::problem(503, "server.starting", "the MCP server is not open yet; try again"));
  }

  Router& router_;
  AppContext& context_;
  McpCalls calls_;
  DeclaredOffer declared_;
  mcp::Offer offer_;
  std::unique_ptr<mcp::ToolProvider> published_;
  std::unique_ptr<mcp::ToolProvider> workspace_tools_;
  std::unique_ptr<mcp::ResourceProvider> workspace_resources_;
  std::unique_ptr<mcp::TaskPort> tasks_;
  std::unique_ptr<mcp::Protocol> protocol_;
  std::unique_ptr<McpHttp> http_;
  std::optional<mcp::Changes::Handle> changes_;
  std::vector<std::unique_ptr<Store::Watch>> watches_;
};

}  // namespace

std::unique_ptr<McpEndpoint> add_mcp_routes(Router& router, AppContext& context) { return std::make_unique<Endpoint>(router, context); }

}  // namespace mayfly
