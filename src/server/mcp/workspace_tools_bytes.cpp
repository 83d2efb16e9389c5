#include <fmt/format.h>

#include "server/mcp/workspace_toolkit.h"

namespace mayfly::workspace_tools {
namespace {

using workspace::Outcome;
using workspace::refuse;

JsonObject view(const workspace::Upload& upload) {
  JsonArray parts;
  for (const auto& [from, to] : upload.parts) parts.push_back(JsonArray{from, to});
  return {{"upload_id", upload.id}, {"path", upload.path}, {"state", upload.state}, {"size", upload.size}, {"received", upload.received}, {"part_bytes", upload.part_bytes}, {"parts", std::move(parts)},
          {"expires_at", to_rfc3339(upload.expires)}};
}

Task<Outcome<Shown>> upload_create(Call call) {
  workspace::UploadRequest request;
  request.path = call.text("path");
  request.size = call.number("size", -1);
  request.sha256 = call.text("sha256");
  request.content_type = call.text("content_type");
  request.options = call.write_options();
  if (call.text("mode") == "link") {
    auto link = co_await call.all().bytes->upload_link(call.actor(), call.workspace(), std::move(request));
    if (!link) co_return std::unexpected(link.error());
    const std::string url = call.url(link->path);
    co_return Shown{fmt::format("PUT the bytes to {} (once, until {}).", url, to_rfc3339(link->expires)), {{"url", url}, {"method", "PUT"}, {"expires_at", to_rfc3339(link->expires)}}};
  }
  auto upload = co_await call.all().bytes->create_upload(call.actor(), call.workspace(), std::move(request));
  if (!upload) co_return std::unexpected(upload.error());
  JsonObject out = view(*upload);
  auto found = call.all().spaces->find(call.actor(), call.workspace(), workspace::Role::Viewer);
  const std::string url = call.url(fmt::format("/v1/workspaces/{}/uploads/{}", found ? found->id : call.workspace(), upload->id));
  out["url"] = url;
  co_return Shown{fmt::format("PUT pieces to {}?offset=N with your key, then call upload_complete with upload_id {}. For a URL that needs no key use mode link.", url, upload->id), std::move(out)};
}

Task<Outcome<Shown>> upload_status(Call call) {
  auto upload = co_await call.all().bytes->upload_status(call.actor(), call.workspace(), call.text("upload_id"));
  if (!upload) co_return std::unexpected(upload.error());
  co_return Shown{fmt::format("{}: {} of {} bytes", upload->state, upload->received, upload->size), view(*upload)};
}

Task<Outcome<Shown>> upload_complete(Call call) {
  auto done = co_await call.all().bytes->complete_upload(call.actor(), call.workspace(), call.text("upload_id"), call.write_options());
  if (!done) co_return std::unexpected(done.error());
  co_return Shown{fmt::format("`{}` is there: v{}, {}", done->node.path, done->node.version, human_bytes(done->node.size)), workspace_tools::view(done->node)};
}

Task<Outcome<Shown>> upload_abort(Call call) {
  auto done = co_await call.all().bytes->abort_upload(call.actor(), call.workspace(), call.text("upload_id"));
  if (!done) co_return std::unexpected(done.error());
  co_return Shown{"Aborted.", {{"aborted", true}}};
}

Task<Outcome<Shown>> download_url(Call call) {
  const std::int64_t seconds = call.number("ttl_s", 900);
  if (seconds < 1 || seconds > 7 * 86'400) co_return refuse("ws.invalid", "ttl_s is 1 to 604800");
  auto link = co_await call.all().bytes->download_link(call.actor(), call.workspace(), call.place(), static_cast<std::uint64_t>(call.number("version")), Millis{seconds * 1'000}, !call.flag("reusable"));
  if (!link) co_return std::unexpected(link.error());
  const std::string url = call.url(link->path);
  co_return Shown{fmt::format("{} ({}until {})", url, link->single_use ? "once, " : "", to_rfc3339(link->expires)), {{"url", url}, {"expires_at", to_rfc3339(link->expires)}, {"single_use", link->single_use}}};
}

Shown shown(const workspace::Import& import) {
  JsonObject out{{"import_id", import.id}, {"url", import.url}, {"path", import.path}, {"state", import.state}, {"received", import.received}, {"size", import.size}, {"attempt", import.attempt}};
  if (!import.error.empty()) out["error"] = import.error;
  if (import.written) out["file"] = workspace_tools::view(import.written->node);
  return {fmt::format("Import {} of {}: {}{}, {}", import.id, import.path, import.state, import.error.empty() ? "" : " (" + import.error + ")", human_bytes(import.received)), std::move(out)};
}

Task<Outcome<Shown>> import_url(Call call) {
  auto import = co_await call.all().bytes->import_url(call.actor(), call.workspace(), call.text("url"), call.text("path"), call.write_options());
  if (!import) co_return std::unexpected(import.error());
  Shown out = shown(*import);
  out.text += ". Ask import_status, or wait for the event import.completed.";
  co_return out;
}

Task<Outcome<Shown>> import_status(Call call) {
  auto import = co_await call.all().bytes->import_status(call.actor(), call.workspace(), call.text("import_id"));
  if (!import) co_return std::unexpected(import.error());
  co_return shown(*import);
}

}  // namespace

std::vector<Tool> byte_tools() {
  using enum Tool::Hint;
  return {
      {"upload_create", "Start an upload", "For big files: a resumable upload, or with mode link a URL that takes one PUT without a key.", "bytes", true, Adds,
       "workspace s; path! s; size i; sha256 s; content_type s; mode e(session,link); if_match s; create_only b; lock_token s; fence i", upload_create},
      {"upload_status", "Look at an upload", "What has arrived.", "bytes", false, Reads, "workspace s; upload_id! s", upload_status},
      {"upload_complete", "Complete an upload", "Checks the pieces and makes the file.", "bytes", true, Changes, "workspace s; upload_id! s; if_match s; lock_token s; fence i", upload_complete},
      {"upload_abort", "Abort an upload", "Throws the pieces away.", "bytes", false, Destroys, "workspace s; upload_id! s", upload_abort},
      {"download_url", "Link to a file", "A URL that gives the bytes without a key, once by default.", "bytes", true, Reads, "workspace s; path s; node_id s; version i; ttl_s i Default 900; reusable b", download_url},
      {"import_url", "Import from the web", "The server fetches a URL into a file, in the background.", "bytes", true, Changes, "workspace s; url! s; path! s; if_match s; create_only b; lock_token s; fence i", import_url},
      {"import_status", "Look at an import", "How far an import is.", "bytes", true, Reads, "workspace s; import_id! s", import_status},
  };
}

}  // namespace mayfly::workspace_tools
