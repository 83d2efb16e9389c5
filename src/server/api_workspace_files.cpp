#include <charconv>

#include "base/hash.h"
#include "server/api.h"
#include "server/mcp/workspace_toolkit.h"
#include "server/problem.h"
#include "server/workspaces/actor_of.h"
#include "server/workspaces/claim_page.h"
#include "server/workspaces/problem_of.h"
#include "server/workspaces/send_file.h"
#include "workspace/paths.h"

/// Bytes of files, streamed both ways, and links that work without a key.
namespace mayfly {
namespace {

namespace kit = workspace_tools;
using workspace::Outcome;
using workspace::Place;
using workspace::refuse;
using workspace::Refusal;

constexpr std::size_t kBodyMax = 16ULL << 30;

/// The rest of the path, decoded once, segment by segment.
Outcome<std::string> path_of(const Call& call, std::string_view parameter) {
  std::string out;
  std::string_view rest = call.parameter(parameter);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    auto name = net::percent_decode(rest.substr(0, end), false);
    if (!name) return refuse("ws.invalid_path", "the path is not well percent-encoded; encode its UTF-8 bytes");
    if (name->contains('/')) return refuse("ws.invalid_path", "%2F cannot be a part of a name");
    if (!name->empty()) out += "/" + *name;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return workspace::normal_path(out);
}

std::string unquoted(std::string_view etag) {
  while (etag.starts_with(' ')) etag.remove_prefix(1);
  while (etag.ends_with(' ')) etag.remove_suffix(1);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && !text.empty() ? std::optional(out) : std::nullopt;
}

/// If-Match, If-None-Match: *, Mayfly-Lock, Mayfly-Fence, Idempotency-Key.
Outcome<workspace::WriteOptions> options_of(const net::Headers& headers) {
  workspace::WriteOptions out;
  if (const auto match = headers.find("if-match")) {
    if (match->starts_with("W/")) return refuse("ws.conflict", "If-Match compares strongly: give the etag without W/");
    if (match->contains(',')) return refuse("ws.invalid", "give one etag in If-Match");
    out.when.if_match = unquoted(*match);
  }
  if (const auto none = headers.find("if-none-match")) {
    if (unquoted(*none) != "*") return refuse("ws.invalid", "If-None-Match of a write is *");
    out.when.if_none_match = true;
  }
  out.when.lock_token = headers.get("mayfly-lock");
  if (const auto fence = headers.find("mayfly-fence")) {
    out.when.fence = number_of(*fence);
    if (!out.when.fence) return refuse("ws.invalid", "Mayfly-Fence is a number");
  }
  out.idempotency_key = headers.get("idempotency-key");
  return out;
}

/// The body, put into the blob store while it arrives.
Task<Outcome<BlobWriter::Finished>> receive(AppContext* app, net::Request* request, std::int64_t bytes_max) {
  auto writer = co_await app->workspaces->blobs->create();
  if (!writer) co_return std::unexpected(Refusal(writer.error()));
  const auto too_large = [&](std::size_t more) { return (*writer)->size() + more > static_cast<std::uint64_t>(bytes_max); };
  const auto refused = [&] { return refuse("ws.too_large", "this takes up to " + std::to_string(bytes_max) + " bytes; send less, or ask for a larger quota"); };
  if (const auto length = number_of(request->headers.get("content-length")); length && *length > static_cast<std::uint64_t>(bytes_max)) co_return refused();
  if (!request->body_reader && !request->body.empty()) {
    if (too_large(request->body.size())) co_return refused();
    if (auto done = co_await (*writer)->write(request->body); !done) co_return std::unexpected(Refusal(done.error()));
  }
  while (request->body_reader) {
    auto piece = co_await request->body_reader->next();
    if (!piece) co_return std::unexpected(Refusal(piece.error()));
    if (!*piece) break;
    if (too_large((*piece)->size())) co_return refused();
    if (auto done = co_await (*writer)->write(std::move(**piece)); !done) co_return std::unexpected(Refusal(done.error()));
  }
  auto finished = co_await (*writer)->finish();
  if (!finished) co_return std::unexpected(Refusal(finished.error()));
  co_return std::move(*finished);
}

net::Response written_answer(const workspace::Written& written) {
  JsonObject body = kit::view(written.node);
  body["created"] = written.created;
  body["unchanged"] = written.unchanged;
  net::Response out = json_response(written.created ? 201 : 200, Json(std::move(body)));
  out.headers.set("ETag", "\"" + written.node.etag + "\"");
  return out;
}

bool is_ready(const AppContext& app) { return app.workspaces != nullptr; }
Refusal not_ready() { return Error{"ws.busy", "workspaces are not open yet; try again", Retry::Safe}; }

Task<> send_version(AppContext* app, Call* call, workspace::Node node, workspace::FileVersion version, bool as_attachment) {
  SentFile file;
  file.hash = version.hash;
  file.etag = version.etag;
  file.content_type = version.content_type;
  file.size = version.size;
  file.modified = version.at;
  if (as_attachment) file.headers.add("Content-Disposition", "attachment; filename*=UTF-8''" + net::percent_encode(node.name));
  file.headers.add("Mayfly-Version", std::to_string(version.version));
  file.headers.add("Mayfly-Fence", std::to_string(node.fence));
  if (auto sent = co_await send_file(app->workspaces->blobs, call, std::move(file)); !sent) co_await call->responder.send(to_problem(sent.error()));
}

Task<> get_file(AppContext& app, Call& call) {
  if (!is_ready(app)) co_return void(co_await call.responder.send(problem_of(not_ready())));
  auto path = path_of(call, "path");
  if (!path) co_return void(co_await call.responder.send(problem_of(path.error())));
  const workspace::Actor actor = actor_of(call.principal);
  const std::string& workspace = call.parameter("workspace");
  const auto version = number_of(call.request.query_parameter("version").value_or("0"));
  auto node = co_await app.workspaces->files->stat(actor, workspace, Place::at(*path));
  if (!node) co_return void(co_await call.responder.send(problem_of(node.error())));
  if (node->kind == workspace::NodeKind::Folder) {
    workspace::ListOptions options;
    options.limit = number_of(call.request.query_parameter("limit").value_or("200")).value_or(200);
    options.after = call.request.query_parameter("cursor").value_or("");
    options.recursive = call.request.query_parameter("recursive").value_or("") == "true";
    options.glob = call.request.query_parameter("glob").value_or("");
    auto page = co_await app.workspaces->files->list(actor, workspace, Place::of(node->id), std::move(options));
    if (!page) co_return void(co_await call.responder.send(problem_of(page.error())));
    JsonArray nodes;
    for (const workspace::Node& each : page->nodes) nodes.push_back(kit::view(each));
    JsonObject body{{"folder", kit::view(*node)}, {"nodes", std::move(nodes)}};
    if (!page->next.empty()) body["next_cursor"] = page->next;
    co_return void(co_await call.responder.send(json_response(200, Json(std::move(body)))));
  }
  auto opened = co_await app.workspaces->files->open(actor, workspace, Place::of(node->id), version.value_or(0));
  if (!opened) co_return void(co_await call.responder.send(problem_of(opened.error())));
  opened->first.path = node->path;
  co_await send_version(&app, &call, std::move(opened->first), std::move(opened->second), false);
}

Task<Result<net::Response>> put_file(AppContext& app, Call& call) {
  if (!is_ready(app)) co_return problem_of(not_ready());
  auto path = path_of(call, "path");
  if (!path) co_return problem_of(path.error());
  auto options = options_of(call.request.headers);
  if (!options) co_return problem_of(options.error());
  const workspace::Actor actor = actor_of(call.principal);
  auto found = app.workspaces->spaces->find(actor, call.parameter("workspace"), workspace::Role::Editor);
  if (!found) co_return problem_of(found.error());
  auto finished = co_await receive(&app, &call.request, found->quota.file_bytes);
  if (!finished) co_return problem_of(finished.error());
  if (const std::string expected = call.request.headers.get("mayfly-sha256"); !expected.empty() && expected != finished->hash)
    co_return problem_of(Error{"ws.hash_mismatch", "what arrived has the SHA-256 " + finished->hash + ", not the one announced; send it again", Retry::Safe});
  workspace::Content content{finished->hash, static_cast<std::int64_t>(finished->size), call.request.headers.get("content-type"), "write", {}};
  auto written = co_await app.workspaces->files->put(actor, found->id, Place::at(*path), std::move(content), std::move(*options));
  if (!written) co_return problem_of(written.error());
  co_return written_answer(*written);
}

Task<Result<net::Response>> delete_file(AppContext& app, Call& call) {
  if (!is_ready(app)) co_return problem_of(not_ready());
  auto path = path_of(call, "path");
  if (!path) co_return problem_of(path.error());
  auto options = options_of(call.request.headers);
  if (!options) co_return problem_of(options.error());
  auto node = co_await app.workspaces->files->remove(actor_of(call.principal), call.parameter("workspace"), Place::at(*path), std::move(*options));
  if (!node) co_return problem_of(node.error());
  co_return json_response(200, Json(kit::view(*node)));
}

Task<Result<net::Response>> put_part(AppContext& app, Call& call) {
  if (!is_ready(app)) co_return problem_of(not_ready());
  const auto offset = number_of(call.request.query_parameter("offset").value_or(""));
  if (!offset || *offset > (1ULL << 62)) co_return problem_of(Error{"ws.invalid", "say where the piece starts: ?offset=0", Retry::Never});
  const workspace::Actor actor = actor_of(call.principal);
  auto found = app.workspaces->spaces->find(actor, call.parameter("workspace"), workspace::Role::Editor);
  if (!found) co_return problem_of(found.error());
  auto finished = co_await receive(&app, &call.request, found->quota.file_bytes);
  if (!finished) co_return problem_of(finished.error());
  auto upload = co_await app.workspaces->bytes->add_part(actor, found->id, call.parameter("upload"), static_cast<std::int64_t>(*offset), std::move(*finished));
  if (!upload) co_return problem_of(upload.error());
  co_return json_response(200, JsonObject{{"upload_id", upload->id}, {"received", upload->received}, {"size", upload->size}});
}

Task<> follow_download(AppContext& app, Call& call) {
  if (!is_ready(app)) co_return void(co_await call.responder.send(problem_of(not_ready())));
  auto target = co_await app.workspaces->bytes->follow(call.parameter("token"), false);
  if (!target) co_return void(co_await call.responder.send(problem_of(target.error())));
  co_await send_version(&app, &call, std::move(target->node), std::move(target->version), true);
}

Task<Result<net::Response>> follow_upload(AppContext& app, Call& call) {
  if (!is_ready(app)) co_return problem_of(not_ready());
  auto target = co_await app.workspaces->bytes->follow(call.parameter("token"), true);
  if (!target) co_return problem_of(target.error());
  auto found = app.workspaces->spaces->find(target->actor, target->workspace, workspace::Role::Editor);
  if (!found) co_return problem_of(found.error());
  auto finished = co_await receive(&app, &call.request, found->quota.file_bytes);
  if (!finished) co_return problem_of(finished.error());
  if (!target->upload.sha256.empty() && target->upload.sha256 != finished->hash)
    co_return problem_of(Error{"ws.hash_mismatch", "what arrived has the SHA-256 " + finished->hash + ", not the one announced; ask for a new link", Retry::Never});
  workspace::Content content{finished->hash, static_cast<std::int64_t>(finished->size), target->upload.content_type, "upload", {}};
  auto written = co_await app.workspaces->files->put(target->actor, found->id, Place::at(target->upload.path), std::move(content), target->upload.options);
  if (!written) co_return problem_of(written.error());
  co_return written_answer(*written);
}

/// The share behind the token and, of a folder, what `path` names in it; nothing above it can be named.
struct Reached {
  workspace::Sharing::Opened opened;
  std::string path;
};
Task<Outcome<Reached>> reach(AppContext* app, Call* call) {
  auto opened = co_await app->workspaces->sharing->open_share(call->parameter("token"), call->request.headers.get("mayfly-share-password"));
  if (!opened) co_return std::unexpected(opened.error());
  auto below = path_of(*call, "path");
  if (!below) co_return std::unexpected(below.error());
  if (*below != "/" && opened->node.kind == workspace::NodeKind::File) co_return refuse("link.invalid", "there is nothing behind this link");
  std::string path = opened->node.path;
  if (*below != "/") path = (path == "/" ? "" : path) + *below;
  co_return Reached{std::move(*opened), std::move(path)};
}

Task<> get_share(AppContext& app, Call& call) {
  if (!is_ready(app)) co_return void(co_await call.responder.send(problem_of(not_ready())));
  auto reached = co_await reach(&app, &call);
  if (!reached) co_return void(co_await call.responder.send(problem_of(reached.error())));
  if (reached->opened.share.kind == workspace::ShareKind::Upload) co_return void(co_await call.responder.send(problem_of(Error{"ws.forbidden", "this link only takes files: PUT them below it", Retry::Never})));
  const workspace::Actor& actor = reached->opened.actor;
  auto node = co_await app.workspaces->files->stat(actor, reached->opened.workspace, Place::at(reached->path));
  if (!node) co_return void(co_await call.responder.send(problem_of(Error{"link.invalid", "there is nothing behind this link", Retry::Never})));
  if (node->kind == workspace::NodeKind::Folder) {
    workspace::ListOptions options;
    options.limit = 1'000;
    options.after = call.request.query_parameter("cursor").value_or("");
    auto page = co_await app.workspaces->files->list(actor, reached->opened.workspace, Place::of(node->id), std::move(options));
    if (!page) co_return void(co_await call.responder.send(problem_of(page.error())));
    JsonArray nodes;
    for (const workspace::Node& each : page->nodes)
      nodes.push_back(JsonObject{{"name", each.name}, {"kind", each.kind == workspace::NodeKind::Folder ? "folder" : "file"}, {"size", each.size}, {"modified_at", to_rfc3339(each.modified)}});
    JsonObject body{{"nodes", std::move(nodes)}};
    if (!page->next.empty()) body["next_cursor"] = page->next;
    co_return void(co_await call.responder.send(json_response(200, Json(std::move(body)))));
  }
  auto opened = co_await app.workspaces->files->open(actor, reached->opened.workspace, Place::of(node->id), 0);
  if (!opened) co_return void(co_await call.responder.send(problem_of(opened.error())));
  co_await send_version(&app, &call, std::move(opened->first), std::move(opened->second), true);
}

Task<Result<net::Response>> put_share(AppContext& app, Call& call) {
  if (!is_ready(app)) co_return problem_of(not_ready());
  auto reached = co_await reach(&app, &call);
  if (!reached) co_return problem_of(reached.error());
  if (reached->opened.share.kind == workspace::ShareKind::Download || reached->opened.node.kind == workspace::NodeKind::File || reached->path == reached->opened.node.path)
    co_return problem_of(Error{"ws.forbidden", "this link takes no such file", Retry::Never});
  const workspace::Workspace* found = app.workspaces->spaces->by_id(reached->opened.workspace);
  auto finished = co_await receive(&app, &call.request, found ? found->quota.file_bytes : 0);
  if (!finished) co_return problem_of(finished.error());
  workspace::Content content{finished->hash, static_cast<std::int64_t>(finished->size), call.request.headers.get("content-type"), "upload", {}};
  workspace::WriteOptions options;
  options.when.if_none_match = true;  // strangers add, they never replace
  auto written = co_await app.workspaces->files->put(reached->opened.actor, reached->opened.workspace, Place::at(reached->path), std::move(content), std::move(options));
  if (!written) co_return problem_of(written.error());
  co_return json_response(201, JsonObject{{"name", written->node.name}, {"size", written->node.size}});
}

}  // namespace

std::optional<net::BodyPolicy> workspace_body_policy(const net::Request& head) {
  const std::string_view path = head.path;
  const bool file = path.starts_with("/v1/workspaces/") && (path.contains("/files/") || path.contains("/uploads/"));
  if (head.method != "PUT" || (!file && !path.starts_with("/ul/") && !path.starts_with("/s/"))) return std::nullopt;
  return net::BodyPolicy{.mode = net::BodyPolicy::Mode::Stream, .bytes_max = kBodyMax, .read_timeout = std::nullopt};
}

void add_workspace_file_routes(Router& router) {
  const RouteOptions reads{.any_of = {Scope::Read, Scope::Files}, .described = Described::Elsewhere}, writes{.any_of = {Scope::Files}, .described = Described::Elsewhere};
  const RouteOptions open{.any_of = {}, .described = Described::Elsewhere};
  for (const std::string_view method : {"GET", "HEAD"}) {
    router.add_stream(method, "/v1/workspaces/{workspace}/files/{path*}", reads, get_file);
    router.add_stream(method, "/s/{token}/{path*}", open, get_share);
  }
  // Not HEAD: what looks at links in advance must not spend them.
  router.add_stream("GET", "/dl/{token}", open, follow_download);
  router.add("PUT", "/v1/workspaces/{workspace}/files/{path*}", writes, put_file);
  router.add("DELETE", "/v1/workspaces/{workspace}/files/{path*}", writes, delete_file);
  router.add("PUT", "/v1/workspaces/{workspace}/uploads/{upload}", writes, put_part);
  router.add("PUT", "/ul/{token}", open, follow_upload);
  router.add("PUT", "/s/{token}/{path*}", open, put_share);
  add_claim_routes(router);
}

}  // namespace mayfly
