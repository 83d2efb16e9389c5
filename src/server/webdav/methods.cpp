#include <algorithm>

#include "server/webdav/dav.h"
#include "server/workspaces/send_file.h"
#include "workspace/paths.h"

namespace mayfly::webdav {
namespace {

using workspace::Content;
using workspace::Node;
using workspace::NodeKind;
using workspace::Place;

constexpr std::size_t kIndexEntriesMax = 1'000;

std::string index_page(std::string_view title, const std::string& entries) {
  return "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>" + escape_xml(title) + "</title><h1>" + escape_xml(title) +
         "</h1><ul><li><a href=\"../\">..</a></li>" + entries + "</ul></html>\n";
}

std::string index_entry(std::string_view href, std::string_view name) {
  return "<li><a href=\"" + escape_xml(href) + "\">" + escape_xml(name) + "</a></li>";
}

net::Response page_answer(std::string body) {
  return {200, {{"Content-Type", "text/html; charset=utf-8"}, {"Content-Security-Policy", "sandbox; default-src 'none'"}, {"Cache-Control", "private, no-cache"}},
          std::move(body)};
}

/// For people with a browser.
Task<Outcome<Reply>> show_folder(Dav* dav) {
  std::string entries;
  if (dav->at.workspace.empty()) {
    for (const auto& space : dav->all->spaces->list(dav->actor, false)) entries += index_entry(href_of(space.name, "/", true), space.name + "/");
    co_return page_answer(index_page("Workspaces", entries));
  }
  workspace::ListOptions options;
  options.limit = kIndexEntriesMax;
  auto page = co_await dav->all->files->list(dav->actor, dav->space, Place::at(dav->at.path), options);
  if (!page) co_return std::unexpected(page.error());
  for (const Node& node : page->nodes) {
    const bool is_folder = node.kind == NodeKind::Folder;
    entries += index_entry(href_of(dav->at.workspace, workspace::join_path(dav->at.path, node.name), is_folder), node.name + (is_folder ? "/" : ""));
  }
  if (!page->next.empty()) entries += "<li>… and more</li>";
  co_return page_answer(index_page(dav->at.workspace + dav->at.path, entries));
}

/// The node, or nothing when there is none.
Task<Outcome<std::optional<Node>>> look(Dav* dav, std::string space, std::string path) {
  auto node = co_await dav->all->files->stat(dav->actor, space, Place::at(path));
  if (node) co_return std::optional(std::move(*node));
  if (is_missing(node.error()) || node.error().code == "ws.not_folder") co_return std::optional<Node>();
  co_return std::unexpected(node.error());
}

/// RFC 4918: what is made needs its folder (409).
Task<Outcome<void>> check_parent(Dav* dav, std::string space, std::string path) {
  auto parent = co_await look(dav, space, workspace::parent_path(path));
  if (!parent) co_return std::unexpected(parent.error());
  if (*parent && (*parent)->kind == NodeKind::Folder) co_return Outcome<void>{};
  co_return workspace::refuse("dav.conflict", *parent ? "what is above is a file, not a folder" : "the folder above does not exist; make it first");
}

/// The request's body, put into the blob store while it arrives.
Task<Outcome<Content>> receive(Dav* dav, std::int64_t bytes_max) {
  auto writer = co_await dav->all->blobs->create();
  if (!writer) co_return std::unexpected(writer.error());
  net::Request& request = dav->call->request;
  const auto too_large = [&](std::uint64_t bytes) { return bytes > static_cast<std::uint64_t>(bytes_max); };
  const auto refused = [&] {
    return workspace::refuse("ws.too_large", "the file is larger than the " + std::to_string(bytes_max) + " bytes that this workspace takes");
  };
  if (!request.body_reader) {
    if (too_large(request.body.size())) co_return refused();
    auto written = co_await (*writer)->write(request.body);
    if (!written) co_return std::unexpected(written.error());
  }
  while (request.body_reader) {
    auto piece = co_await request.body_reader->next();
    if (!piece) co_return std::unexpected(piece.error());
    if (!*piece) break;
    if (too_large((*writer)->size() + (*piece)->size())) co_return refused();
    auto written = co_await (*writer)->write(std::move(**piece));
    if (!written) co_return std::unexpected(written.error());
  }
  auto finished = co_await (*writer)->finish();
  if (!finished) co_return std::unexpected(finished.error());
  Content out;
  out.hash = finished->hash;
  out.size = static_cast<std::int64_t>(finished->size);
  // Desktops name no type, or application/octet-stream for all: the name tells more.
  const std::string type = dav->headers().get("content-type");
  if (!type.empty() && type.size() <= 200 && !type.starts_with("application/octet-stream")) out.content_type = type;
  co_return out;
}

/// Where COPY and MOVE lead.
struct Target {
  std::string path;
  std::string token;
  bool existed = false;
};

Task<Outcome<Target>> read_target(Dav* dav) {
  const auto text = dav->headers().find("destination");
  if (!text) co_return workspace::refuse("dav.invalid", "the header Destination must say where to");
  auto to = parse_dav_url(*text, dav->headers());
  if (!to) co_return std::unexpected(to.error());
  auto space = dav->all->spaces->find(dav->actor, to->workspace.empty() ? "-" : to->workspace, workspace::Role::Viewer);
  if (!space) co_return workspace::refuse("dav.conflict", "the destination's workspace does not exist");
  if (space->id != dav->space)
    co_return workspace::refuse("dav.other_host", "files are not moved or copied from one workspace to another; download and upload them");
  if (to->path == "/" || to->path == dav->at.path || to->path.starts_with(dav->at.path + "/"))
    co_return workspace::refuse("dav.forbidden", "the destination is the source, lies in it, or is the workspace itself; name another place");
  if (auto allowed = co_await check_parent(dav, dav->space, to->path); !allowed) co_return std::unexpected(allowed.error());
  auto there = co_await look(dav, dav->space, to->path);
  if (!there) co_return std::unexpected(there.error());
  const bool overwrite = dav->headers().get("overwrite", "T") != "F";
  if (*there && !overwrite) co_return workspace::refuse("dav.precondition", "something is at the destination, and Overwrite is F");
  auto token = co_await check_locks(dav, dav->space, to->path, Touches::Member);
  if (!token) co_return std::unexpected(token.error());
  co_return Target{to->path, std::move(*token), there->has_value()};
}

/// A folder alone, with its properties (RFC 4918 §9.8.3).
Task<Outcome<void>> copy_folder_only(Dav* dav, Node from, Target target) {
  const auto options = write_options(target.token);
  if (target.existed)
    if (auto removed = co_await dav->all->files->remove(dav->actor, dav->space, Place::at(target.path), options); !removed)
      co_return std::unexpected(removed.error());
  auto made = co_await dav->all->files->make_folder(dav->actor, dav->space, target.path, false, options);
  if (!made) co_return std::unexpected(made.error());
  if (from.metadata.empty()) co_return Outcome<void>{};
  auto told = co_await dav->all->files->set_metadata(dav->actor, dav->space, Place::at(target.path), from.metadata, options);
  if (!told) co_return std::unexpected(told.error());
  co_return Outcome<void>{};
}

/// Locks end with what they were on (RFC 4918 §9.6, §9.9); that they expire anyway makes a failure harmless.
Task<> end_locks(Dav* dav, std::vector<workspace::Lock> locks) {
  for (const auto& lock : locks) {
    const std::string token = token_for(*dav, lock);
    if (token.empty()) continue;
    (void)co_await dav->all->files->unlock(dav->actor, dav->space, Place::of(lock.node), token);
    dav->tokens->erase(lock.id);
  }
}

/// The locks whose roots go away with `path`.
Task<std::vector<workspace::Lock>> locks_in(Dav* dav, std::string path) {
  auto view = co_await look_at_locks(dav, dav->space, path);
  std::vector<workspace::Lock> out;
  if (!view) co_return out;
  for (auto& lock : view->covering)
    if (lock.path == path) out.push_back(std::move(lock));
  for (auto& lock : view->below) out.push_back(std::move(lock));
  co_return out;
}

Task<Outcome<Reply>> move(Dav* dav, Target target) {
  auto token = co_await check_locks(dav, dav->space, dav->at.path, Touches::Member);
  if (!token) co_return std::unexpected(token.error());
  auto locks = co_await locks_in(dav, dav->at.path);
  if (!target.token.empty() && token->empty()) *token = target.token;
  auto moved = co_await dav->all->files->move(dav->actor, dav->space, Place::at(dav->at.path), target.path, target.existed, write_options(*token));
  if (!moved) co_return std::unexpected(moved.error());
  co_await end_locks(dav, std::move(locks));
  co_return net::Response{target.existed ? 204 : 201, {}, {}};
}

Task<Outcome<Reply>> copy(Dav* dav, Target target, Node from, Depth depth) {
  if (from.kind == NodeKind::Folder && depth == Depth::Zero) {
    auto copied = co_await copy_folder_only(dav, std::move(from), target);
    if (!copied) co_return std::unexpected(copied.error());
  } else {
    auto copied =
        co_await dav->all->files->copy(dav->actor, dav->space, Place::at(dav->at.path), target.path, target.existed, write_options(target.token));
    if (!copied) co_return std::unexpected(copied.error());
  }
  co_return net::Response{target.existed ? 204 : 201, {}, {}};
}

}  // namespace

Task<Outcome<Reply>> do_get(Dav* dav) {
  if (dav->at.workspace.empty()) co_return co_await show_folder(dav);
  auto node = co_await dav->all->files->stat(dav->actor, dav->space, Place::at(dav->at.path));
  if (!node) co_return std::unexpected(node.error());
  if (node->kind == NodeKind::Folder) co_return co_await show_folder(dav);
  auto opened = co_await dav->all->files->open(dav->actor, dav->space, Place::of(node->id), 0);
  if (!opened) co_return std::unexpected(opened.error());
  const auto& [file, version] = *opened;
  SentFile sent{version.hash, version.etag, version.content_type, version.size, version.at, {}};
  if (sent.content_type.empty()) sent.content_type = file.content_type;
  auto done = co_await send_file(dav->all->blobs, dav->call, std::move(sent));
  if (!done) co_return std::unexpected(done.error());
  co_return Reply();
}

Task<Outcome<Reply>> do_put(Dav* dav) {
  if (dav->headers().find("content-range"))
    co_return workspace::refuse("dav.invalid", "a PUT replaces the whole file; send it without Content-Range");
  auto there = co_await look(dav, dav->space, dav->at.path);
  if (!there) co_return std::unexpected(there.error());
  if ((*there && (*there)->kind == NodeKind::Folder) || dav->at.has_slash)
    co_return workspace::refuse("ws.is_folder", "this is a folder; PUT makes files, MKCOL makes folders");
  if (auto allowed = co_await check_parent(dav, dav->space, dav->at.path); !allowed) co_return std::unexpected(allowed.error());
  auto space = dav->all->spaces->find(dav->actor, dav->space, workspace::Role::Editor);
  if (!space) co_return std::unexpected(space.error());
  auto token = co_await check_locks(dav, dav->space, dav->at.path, *there ? Touches::Content : Touches::Member);
  if (!token) co_return std::unexpected(token.error());
  auto options = write_options(*token);
  options.when.if_none_match = dav->headers().get("if-none-match") == "*";
  // What If-Match was found to hold for must still hold when the write lands.
  if (dav->headers().find("if-match") && *there) options.when.if_match = (*there)->etag;
  auto content = co_await receive(dav, space->quota.file_bytes);
  if (!content) co_return std::unexpected(content.error());
  auto written = co_await dav->all->files->put(dav->actor, dav->space, Place::at(dav->at.path), std::move(*content), options);
  if (!written) co_return std::unexpected(written.error());
  net::Response out;
  out.status = written->created ? 201 : 204;
  out.headers.add("ETag", "\"" + written->node.etag + "\"");
  co_return out;
}

Task<Outcome<Reply>> do_mkcol(Dav* dav) {
  if (!dav->call->request.body.empty()) co_return error_answer(415, {}, "a MKCOL with a body is not understood; send it without one");
  auto there = co_await look(dav, dav->space, dav->at.path);
  if (!there) co_return std::unexpected(there.error());
  if (*there) co_return error_answer(405, {}, "something is here already; choose another name");
  if (auto allowed = co_await check_parent(dav, dav->space, dav->at.path); !allowed) co_return std::unexpected(allowed.error());
  auto token = co_await check_locks(dav, dav->space, dav->at.path, Touches::Member);
  if (!token) co_return std::unexpected(token.error());
  auto made = co_await dav->all->files->make_folder(dav->actor, dav->space, dav->at.path, false, write_options(*token));
  if (!made && made.error().code == "ws.exists") co_return error_answer(405, {}, "something is here already; choose another name");
  if (!made) co_return std::unexpected(made.error());
  co_return net::Response{201, {}, {}};
}

Task<Outcome<Reply>> do_delete(Dav* dav) {
  auto depth = read_depth(dav->headers(), Depth::Infinity);
  if (!depth) co_return std::unexpected(depth.error());
  if (dav->at.path == "/") co_return workspace::refuse("dav.forbidden", "a workspace is not deleted here; archive it over the API");
  auto there = co_await dav->all->files->stat(dav->actor, dav->space, Place::at(dav->at.path));
  if (!there) co_return std::unexpected(there.error());
  if (there->kind == NodeKind::Folder && *depth != Depth::Infinity)
    co_return workspace::refuse("dav.invalid_depth", "a folder is deleted with all that is in it: Depth must be infinity");
  auto token = co_await check_locks(dav, dav->space, dav->at.path, Touches::Member);
  if (!token) {
    const std::string href = get_string(token.error().details, "href");
    const bool is_below = token.error().code == "ws.locked" && href.starts_with(href_of(dav->at.workspace, dav->at.path, true));
    if (!is_below) co_return std::unexpected(token.error());
    // RFC 4918 §9.6.1: what stands in the way is named.
    co_return net::Response{207, {{"Content-Type", "application/xml; charset=utf-8"}},
                            multistatus_begin() + status_response(href, 423, "lock-token-submitted") + multistatus_end()};
  }
  auto locks = co_await locks_in(dav, dav->at.path);
  auto removed = co_await dav->all->files->remove(dav->actor, dav->space, Place::of(there->id), write_options(*token));
  if (!removed) co_return std::unexpected(removed.error());
  co_await end_locks(dav, std::move(locks));
  co_return net::Response{204, {}, {}};
}

Task<Outcome<Reply>> do_copy_or_move(Dav* dav) {
  const bool is_move = dav->call->request.method == "MOVE";
  auto depth = read_depth(dav->headers(), Depth::Infinity);
  if (!depth) co_return std::unexpected(depth.error());
  if (*depth == Depth::One) co_return workspace::refuse("dav.invalid_depth", "Depth must be infinity, or 0 to copy a folder alone");
  if (dav->at.path == "/") co_return workspace::refuse("dav.forbidden", "a workspace is neither moved nor copied here");
  auto from = co_await dav->all->files->stat(dav->actor, dav->space, Place::at(dav->at.path));
  if (!from) co_return std::unexpected(from.error());
  auto target = co_await read_target(dav);
  if (!target) co_return std::unexpected(target.error());
  if (is_move) co_return co_await move(dav, std::move(*target));
  co_return co_await copy(dav, std::move(*target), std::move(*from), *depth);
}

}  // namespace mayfly::webdav
