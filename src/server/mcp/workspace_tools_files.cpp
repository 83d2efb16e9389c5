#include <fmt/format.h>

#include "base/hash.h"
#include "server/mcp/workspace_toolkit.h"

namespace mayfly::workspace_tools {
namespace {

using workspace::Outcome;
using workspace::refuse;

constexpr std::size_t kWriteBytesMax = 4 * 1024 * 1024;

Task<Outcome<Shown>> file_list(Call call) {
  workspace::ListOptions options;
  options.recursive = call.flag("recursive");
  options.limit = static_cast<std::size_t>(std::max<std::int64_t>(1, call.number("limit", 100)));
  options.after = call.text("cursor");
  options.glob = call.text("glob");
  auto page = co_await call.all().files->list(call.actor(), call.workspace(), call.place(), std::move(options));
  if (!page) co_return std::unexpected(page.error());
  JsonArray nodes;
  std::string text;
  for (const auto& node : page->nodes) {
    text += line(node);
    nodes.push_back(view(node));
  }
  JsonObject out{{"nodes", std::move(nodes)}};
  if (!page->next.empty()) {
    out["next_cursor"] = page->next;
    text += fmt::format("More: call again with cursor \"{}\".\n", page->next);
  }
  co_return Shown{text.empty() ? "Nothing here." : std::move(text), std::move(out)};
}

Task<Outcome<Shown>> file_stat(Call call) {
  auto node = co_await call.all().files->stat(call.actor(), call.workspace(), call.place());
  if (!node) co_return std::unexpected(node.error());
  co_return Shown{fmt::format("{}etag {}", line(*node), node->etag), view(*node)};
}

Task<Outcome<Shown>> file_read(Call call) {
  workspace::ReadOptions options;
  options.line_first = call.number("first_line");
  options.line_last = call.number("last_line");
  options.byte_first = call.number("first_byte", -1);
  options.byte_last = call.number("last_byte", -1);
  options.budget = static_cast<std::size_t>(std::clamp<std::int64_t>(call.number("budget_bytes", 32 * 1024), 256, 256 * 1024));
  options.version = static_cast<std::uint64_t>(call.number("version"));
  auto read = co_await call.all().files->read_text(call.actor(), call.workspace(), call.place(), std::move(options));
  if (!read) co_return std::unexpected(read.error());
  JsonObject out = view(read->node);
  out["text"] = read->text;
  out["first_line"] = read->first_line;
  out["last_line"] = read->last_line;
  out["lines"] = read->lines;
  out["truncated"] = read->truncated;
  std::string text = fmt::format("`{}` v{}, etag {}, lines {}-{} of {}{}\n\n", read->node.path, read->node.version, read->node.etag, read->first_line, read->last_line, read->lines,
                                 read->note.empty() ? "" : " (" + read->note + ")");
  co_return Shown{text + read->text, std::move(out)};
}

Shown written(const workspace::Written& done) {
  JsonObject out = view(done.node);
  out["created"] = done.created;
  out["unchanged"] = done.unchanged;
  return {fmt::format("{} `{}`: v{}, {}, etag {}", done.unchanged ? "Unchanged" : done.created ? "Created" : "Wrote", done.node.path, done.node.version, human_bytes(done.node.size), done.node.etag), std::move(out)};
}

Task<Outcome<Shown>> file_write(Call call) {
  if (call.has("content") == call.has("content_base64")) co_return refuse("ws.invalid", "give content (text) or content_base64, one of both");
  std::string bytes = call.text("content");
  if (call.has("content_base64")) {
    auto decoded = from_base64(call.text("content_base64"));
    if (!decoded) co_return refuse("ws.invalid", "content_base64 is not base64");
    bytes = std::move(*decoded);
  }
  if (bytes.size() > kWriteBytesMax) co_return refuse("ws.too_large", "a call writes up to 4 MiB; for more use upload_create");
  auto done = co_await call.all().files->write(call.actor(), call.workspace(), call.place(), std::move(bytes), call.text("content_type"), call.write_options());
  if (!done) co_return std::unexpected(done.error());
  co_return written(*done);
}

Task<Outcome<Shown>> file_edit(Call call) {
  std::vector<workspace::Edit> edits;
  const auto edit_of = [](const JsonObject& from) {
    workspace::Edit edit;
    const std::string mode = get_string(from, "mode", "replace");
    edit.kind = mode == "insert" ? workspace::Edit::Kind::Insert : mode == "append" ? workspace::Edit::Kind::Append : workspace::Edit::Kind::Replace;
    edit.old_text = get_string(from, "old_text");
    edit.new_text = get_string(from, "new_text");
    edit.all = get_bool(from, "all");
    edit.line = get_int(from, "line");
    return edit;
  };
  if (const JsonArray* list = get_array(call.arguments(), "edits"))
    for (const Json& each : *list)
      if (each.is_object()) edits.push_back(edit_of(each.get_object()));
  if (edits.empty()) edits.push_back(edit_of(call.arguments()));
  auto done = co_await call.all().files->edit(call.actor(), call.workspace(), call.place(), std::move(edits), call.flag("dry_run"), call.write_options());
  if (!done) co_return std::unexpected(done.error());
  Shown out = written(done->written);
  out.structured["diff"] = done->diff;
  out.structured["replaced"] = done->replaced;
  out.structured["dry_run"] = call.flag("dry_run");
  if (call.flag("dry_run")) out.text = "This would change:";
  out.text += "\n```diff\n" + done->diff + "```";
  co_return out;
}

template <class Result>
Outcome<Shown> moved(Result done, std::string_view what) {
  if (!done) return std::unexpected(done.error());
  return Shown{fmt::format("{} `{}`", what, done->path), view(*done)};
}

Task<Outcome<Shown>> file_move(Call call) {
  co_return moved(co_await call.all().files->move(call.actor(), call.workspace(), call.place(), call.text("to"), call.flag("overwrite"), call.write_options()), "Moved to");
}
Task<Outcome<Shown>> file_copy(Call call) {
  co_return moved(co_await call.all().files->copy(call.actor(), call.workspace(), call.place(), call.text("to"), call.flag("overwrite"), call.write_options()), "Copied to");
}
Task<Outcome<Shown>> file_delete(Call call) {
  auto done = co_await call.all().files->remove(call.actor(), call.workspace(), call.place(), call.write_options());
  if (!done) co_return std::unexpected(done.error());
  co_return Shown{fmt::format("`{}` is in the trash; trash_restore with node_id {} brings it back", done->deleted_from, done->id), view(*done)};
}
Task<Outcome<Shown>> folder_create(Call call) {
  co_return moved(co_await call.all().files->make_folder(call.actor(), call.workspace(), call.text("path"), true, call.write_options()), "Folder");
}

Task<Outcome<Shown>> file_grep(Call call) {
  workspace::GrepOptions options;
  options.pattern = call.text("pattern");
  options.regex = call.flag("regex");
  options.ignore_case = call.flag("ignore_case");
  options.glob = call.text("glob");
  options.matches_max = static_cast<std::size_t>(std::clamp<std::int64_t>(call.number("limit", 50), 1, 500));
  options.context = static_cast<int>(std::clamp<std::int64_t>(call.number("context"), 0, 10));
  auto found = co_await call.all().files->grep(call.actor(), call.workspace(), call.place(), std::move(options));
  if (!found) co_return std::unexpected(found.error());
  JsonArray matches;
  std::string text;
  for (const auto& match : found->matches) {
    JsonObject one{{"path", match.path}, {"node_id", match.node}, {"line", match.line}, {"text", match.text}};
    for (const auto& [name, lines] : {std::pair{"before", &match.before}, {"after", &match.after}})
      if (!lines->empty()) {
        JsonArray list;
        for (const std::string& each : *lines) list.emplace_back(each);
        one[name] = std::move(list);
      }
    matches.push_back(std::move(one));
    text += fmt::format("{}:{}: {}\n", match.path, match.line, match.text);
  }
  if (found->truncated) text += "… more matches or files than were looked at; narrow it by glob or path\n";
  co_return Shown{text.empty() ? fmt::format("No match in {} files.", found->files_searched) : std::move(text),
                  {{"matches", std::move(matches)}, {"files_searched", found->files_searched}, {"files_skipped", found->files_skipped}, {"truncated", found->truncated}}};
}

Task<Outcome<Shown>> file_batch(Call call) {
  const JsonArray* operations = get_array(call.arguments(), "operations");
  auto done = co_await call.all().files->batch(call.actor(), call.workspace(), operations ? *operations : JsonArray());
  if (!done) co_return std::unexpected(done.error());
  co_return Shown{fmt::format("All {} done, in one commit.", done->size()), {{"results", std::move(*done)}}};
}

Task<Outcome<Shown>> metadata_get(Call call) {
  auto node = co_await call.all().files->stat(call.actor(), call.workspace(), call.place());
  if (!node) co_return std::unexpected(node.error());
  co_return Shown{to_text(node->metadata), {{"node_id", node->id}, {"path", node->path}, {"metadata", node->metadata}}};
}
Task<Outcome<Shown>> metadata_set(Call call) {
  const JsonObject* patch = get_object(call.arguments(), "metadata");
  auto node = co_await call.all().files->set_metadata(call.actor(), call.workspace(), call.place(), patch ? *patch : JsonObject(), call.write_options());
  if (!node) co_return std::unexpected(node.error());
  co_return Shown{"Metadata is now " + to_text(node->metadata), view(*node)};
}

}  // namespace

std::vector<Tool> file_tools() {
  using enum Tool::Hint;
  return {
      {"file_list", "List files", "What lies in a folder.", "files", true, Reads, "workspace s Name or id; path s Folder, default /; node_id s; recursive b; glob s *.md, docs/**; limit i; cursor s", file_list},
      {"file_stat", "Look at a file", "Size, version and etag of a file or folder.", "files", true, Reads, "workspace s; path s; node_id s", file_stat},
      {"file_read", "Read a file", "Text of a file, by lines or bytes. Gives the etag for if_match.", "files", true, Reads,
       "workspace s; path s; node_id s; first_line i; last_line i; first_byte i; last_byte i; budget_bytes i Default 32768; version i An older one", file_read},
      {"file_write", "Write a file", "Writes a whole file. To overwrite, give if_match (etag from file_read) or a lock_token.", "files", true, Changes,
       "workspace s; path s; node_id s; content s Text; content_base64 s Bytes; content_type s; if_match s; create_only b Fail if it exists; lock_token s; fence i; idempotency_key s", file_write},
      {"file_edit", "Edit a file", "Replaces text that occurs once (or all), inserts after a line, or appends. Shows the diff.", "files", true, Changes,
       "workspace s; path s; node_id s; mode e(replace,insert,append); old_text s; new_text s; all b; line i; edits O Several: {mode, old_text, new_text, all, line}; dry_run b; if_match s; lock_token s; fence i; "
       "idempotency_key s",
       file_edit},
      {"file_move", "Move or rename", "Moves a file or folder; its id stays.", "files", true, Changes, "workspace s; path s; node_id s; to! s New path; overwrite b; if_match s; lock_token s; fence i", file_move},
      {"file_copy", "Copy", "Copies a file or folder.", "files", true, Adds, "workspace s; path s; node_id s; to! s; overwrite b; lock_token s", file_copy},
      {"file_delete", "Delete", "Moves a file or folder to the trash.", "files", true, Destroys, "workspace s; path s; node_id s; if_match s; lock_token s; fence i", file_delete},
      {"folder_create", "Make a folder", "Makes a folder and those above it.", "files", true, Adds, "workspace s; path! s; lock_token s", folder_create},
      {"file_grep", "Search in files", "Lines that hold a text or match a regular expression (RE2).", "files", true, Reads,
       "workspace s; path s Folder or file; node_id s; pattern! s; regex b; ignore_case b; glob s; context i; limit i", file_grep},
      {"file_batch", "Several at once", "Up to 20 changes in one commit, all or none.", "files", false, Changes,
       "workspace s; operations! O {op: write|edit|move|copy|delete|folder, path, content, old_text, new_text, to, if_match, lock_token}", file_batch},
      {"metadata_get", "Read metadata", "The JSON that was attached to a node.", "metadata", true, Reads, "workspace s; path s; node_id s", metadata_get},
      {"metadata_set", "Set metadata", "Merges JSON into a node's metadata (null removes a key).", "metadata", true, Changes, "workspace s; path s; node_id s; metadata! o; if_match s; lock_token s", metadata_set},
  };
}

}  // namespace mayfly::workspace_tools
