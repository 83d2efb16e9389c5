#include <map>

#include "base/hash.h"
#include "server/mcp/workspace_toolkit.h"
#include "server/mcp/workspace_tools.h"
#include "workspace/paths.h"

namespace mayfly {
namespace {

constexpr std::string_view kScheme = "ws://";
constexpr std::int64_t kBytesMax = 1024 * 1024;
constexpr std::size_t kPage = 100;

Error not_found(const std::string& uri) {
  return {"mcp.resource_not_found", "there is no resource " + uri.substr(0, 300) + " that you may see; see resources/list", Retry::Never};
}

struct Address {
  std::string workspace, path;
};
std::optional<Address> address_of(std::string_view uri) {
  if (!uri.starts_with(kScheme)) return std::nullopt;
  uri.remove_prefix(kScheme.size());
  const std::size_t slash = std::min(uri.find('/'), uri.size());
  auto workspace = net::percent_decode(uri.substr(0, slash), false);
  std::string path;
  for (std::string_view rest = uri.substr(slash); !rest.empty();) {
    rest.remove_prefix(1);
    const std::size_t end = std::min(rest.find('/'), rest.size());
    auto name = net::percent_decode(rest.substr(0, end), false);
    if (!name || name->contains('/')) return std::nullopt;
    path += "/" + *name;
    rest.remove_prefix(end);
  }
  if (!workspace || workspace->empty()) return std::nullopt;
  return Address{*workspace, path.empty() ? "/" : path};
}

std::string uri_of(const std::string& workspace, const std::string& path) {
  std::string out = std::string(kScheme) + workspace;
  for (const std::string& name : workspace::split_path(path)) out += "/" + net::percent_encode(name);
  return out;
}

class WorkspaceResources final : public mcp::ResourceProvider {
 public:
  explicit WorkspaceResources(AppContext& app) : app_(app) {}

  bool owns(std::string_view uri) const override { return uri.starts_with(kScheme); }

  Task<Result<mcp::ResourcePage>> list(mcp::Caller caller, std::string after) override {
    mcp::ResourcePage out;
    if (!may(caller)) co_return out;
    const workspace::Actor actor = workspace_tools::actor_of(caller);
    const auto from = address_of(after);
    for (const workspace::Workspace& each : app_.workspaces->spaces->list(actor, false)) {
      if (from && each.name < from->workspace) continue;
      workspace::ListOptions options;
      options.recursive = true;
      options.limit = kPage;
      if (from && each.name == from->workspace) options.after = from->path;
      auto page = co_await app_.workspaces->files->list(actor, each.id, workspace::Place::at("/"), options);
      if (!page) continue;
      for (const workspace::Node& node : page->nodes) {
        if (node.kind == workspace::NodeKind::Folder) continue;
        mcp::ResourceInfo info;
        info.uri = uri_of(each.name, node.path);
        info.name = node.name;
        info.mime_type = node.content_type;
        info.size = node.size;
        out.resources.push_back(std::move(info));
      }
      if (!page->next.empty() || out.resources.size() >= kPage) {
        out.next = uri_of(each.name, page->next.empty() ? "/\xf4\x8f\xbf\xbd" : page->next);
        break;
      }
    }
    co_return out;
  }

  std::vector<mcp::ResourceInfo> templates(const mcp::Caller& caller) override {
    if (!may(caller)) return {};
    mcp::ResourceInfo info;
    info.uri = "ws://{workspace}/{+path}";
    info.name = "workspace file";
    info.description = "A file of a workspace";
    return {info};
  }

  Task<Result<JsonArray>> read(mcp::CallContext context, std::string uri) override {
    const auto address = address_of(uri);
    if (!address || !may(context.caller)) co_return fail(not_found(uri));
    const workspace::Actor actor = workspace_tools::actor_of(context.caller);
    auto opened = co_await app_.workspaces->files->open(actor, address->workspace, workspace::Place::at(address->path), 0);
    if (!opened && opened.error().code.starts_with("ws.")) co_return fail(not_found(uri));
    if (!opened) co_return fail(Error(opened.error()));
    if (opened->second.size > kBytesMax)
      co_return fail("mcp.invalid_params", "the file has " + std::to_string(opened->second.size) + " bytes; resources are read up to 1 MiB: use download_url or file_read with lines");
    auto bytes = co_await app_.workspaces->blobs->get(opened->second.hash);
    if (!bytes) co_return fail(bytes.error());
    JsonObject content{{"uri", uri}, {"mimeType", opened->second.content_type}};
    if (workspace::is_text(*bytes))
      content["text"] = std::move(*bytes);
    else
      content["blob"] = to_base64(*bytes);
    co_return JsonArray{std::move(content)};
  }

  Task<Result<std::unique_ptr<Watch>>> watch(mcp::Caller caller, std::string uri, std::function<void()> changed) override {
    const auto address = address_of(uri);
    if (!address || !may(caller)) co_return fail(not_found(uri));
    const workspace::Actor actor = workspace_tools::actor_of(caller);
    auto node = co_await app_.workspaces->files->stat(actor, address->workspace, workspace::Place::at(address->path));
    auto found = app_.workspaces->spaces->find(actor, address->workspace, workspace::Role::Viewer);
    if (!node || !found) co_return fail(not_found(uri));
    listen();
    const std::uint64_t number = ++last_;
    watches_.emplace(number, Watched{actor, found->id, node->id, std::move(changed)});
    co_return std::make_unique<Handle>(*this, number);
  }

  Task<Result<std::vector<std::string>>> complete(mcp::Caller caller, std::string, std::string argument, std::string text) override {
    std::vector<std::string> out;
    if (!may(caller)) co_return out;
    const workspace::Actor actor = workspace_tools::actor_of(caller);
    if (argument == "workspace")
      for (const workspace::Workspace& each : app_.workspaces->spaces->list(actor, false))
        if (each.name.starts_with(text) && out.size() < kPage) out.push_back(each.name);
    co_return out;
  }

 private:
  struct Watched {
    workspace::Actor actor;
    std::string workspace, node;
    std::function<void()> changed;
  };
  class Handle final : public Watch {
   public:
    Handle(WorkspaceResources& owner, std::uint64_t number) : owner_(owner), number_(number) {}
    ~Handle() override { owner_.watches_.erase(number_); }

   private:
    WorkspaceResources& owner_;
    std::uint64_t number_;
  };

  bool may(const mcp::Caller& caller) const { return app_.workspaces && (caller.may("read") || caller.may("files")); }
  /// Who lost the right to read is not told any more.
  void listen() {
    if (std::exchange(listening_, true)) return;
    app_.workspaces->spaces->on_event([this](const workspace::FileEvent& event) {
      if (!event.type.starts_with("file.")) return;
      std::vector<std::function<void()>> due;
      for (const auto& [number, watched] : watches_)
        if (watched.workspace == event.workspace && watched.node == event.node && app_.workspaces->spaces->find(watched.actor, event.workspace, workspace::Role::Viewer)) due.push_back(watched.changed);
      for (const auto& call : due) call();
    });
  }

  AppContext& app_;
  bool listening_ = false;
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, Watched> watches_;
};

}  // namespace

std::unique_ptr<mcp::ResourceProvider> make_workspace_resources(AppContext& context) { return std::make_unique<WorkspaceResources>(context); }

}  // namespace mayfly
