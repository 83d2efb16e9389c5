#include <fmt/format.h>

#include <algorithm>

#include "server/mcp/workspace_toolkit.h"
#include "workspace/paths.h"

/// One tool in the shape of Anthropic's memory tool: a folder /memories of a workspace
/// (https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/memory-tool).
namespace mayfly::workspace_tools {
namespace {

using workspace::Outcome;
using workspace::Place;
using workspace::refuse;

constexpr std::string_view kFolder = "/memories";

Outcome<std::string> memory_path(const std::string& given) {
  auto path = workspace::normal_path(given);
  if (!path) return path;
  if (*path != kFolder && !path->starts_with(std::string(kFolder) + "/")) return refuse("ws.invalid_path", "memories lie under /memories; give a path such as /memories/notes.md");
  return path;
}

workspace::WriteOptions mine() {
  workspace::WriteOptions out;
  out.when.force = true;
  return out;
}

Task<Outcome<Shown>> view_memory(Call call, std::string path) {
  auto node = co_await call.all().files->stat(call.actor(), call.workspace(), Place::at(path));
  if (!node && path == kFolder && node.error().code == "ws.not_found") co_return Shown{"Directory: /memories\n(nothing yet)", {{"paths", JsonArray()}}};
  if (!node) co_return std::unexpected(node.error());
  if (node->kind == workspace::NodeKind::Folder) {
    workspace::ListOptions options;
    options.recursive = true;
    auto page = co_await call.all().files->list(call.actor(), call.workspace(), Place::of(node->id), options);
    if (!page) co_return std::unexpected(page.error());
    std::string text = "Directory: " + path + "\n";
    JsonArray paths;
    for (const auto& each : page->nodes) {
      text += "- " + each.path + "\n";
      paths.emplace_back(each.path);
    }
    co_return Shown{std::move(text), {{"paths", std::move(paths)}}};
  }
  workspace::ReadOptions options;
  if (const JsonArray* range = get_array(call.arguments(), "view_range"); range && range->size() == 2 && (*range)[0].is_int64() && (*range)[1].is_int64()) {
    options.line_first = (*range)[0].get_int64();
    options.line_last = std::max<std::int64_t>(0, (*range)[1].get_int64());
  }
  auto read = co_await call.all().files->read_text(call.actor(), call.workspace(), Place::of(node->id), options);
  if (!read) co_return std::unexpected(read.error());
  std::string text;
  std::int64_t number = read->first_line;
  for (std::size_t from = 0; from < read->text.size();) {
    const std::size_t end = std::min(read->text.find('\n', from), read->text.size());
    text += fmt::format("{:>6}\t{}\n", number++, read->text.substr(from, end - from));
    from = end + 1;
  }
  co_return Shown{std::move(text), {{"path", path}, {"text", read->text}, {"etag", read->node.etag}}};
}

Task<Outcome<Shown>> memory(Call call) {
  const std::string command = call.text("command");
  auto path = memory_path(call.text("path", command == "rename" ? call.text("old_path") : std::string(kFolder)));
  if (!path) co_return std::unexpected(path.error());
  if (command == "view") co_return co_await view_memory(std::move(call), *path);
  workspace::Files& files = *call.all().files;
  const JsonObject done{{"path", *path}};
  if (command == "create") {
    auto written = co_await files.write(call.actor(), call.workspace(), Place::at(*path), call.text("file_text"), "", mine());
    if (!written) co_return std::unexpected(written.error());
    co_return Shown{"File created successfully at " + *path, done};
  }
  if (command == "str_replace" || command == "insert") {
    workspace::Edit edit;
    edit.kind = command == "insert" ? workspace::Edit::Kind::Insert : workspace::Edit::Kind::Replace;
    edit.old_text = call.text("old_str");
    edit.new_text = command == "insert" ? call.text("insert_text") : call.text("new_str");
    edit.line = call.number("insert_line");
    auto edited = co_await files.edit(call.actor(), call.workspace(), Place::at(*path), {edit}, false, mine());
    if (!edited) co_return std::unexpected(edited.error());
    co_return Shown{"The file " + *path + " has been edited.\n" + edited->diff, done};
  }
  if (command == "delete") {
    if (*path == kFolder) co_return refuse("ws.invalid", "the folder /memories itself stays; delete what is in it");
    auto gone = co_await files.remove(call.actor(), call.workspace(), Place::at(*path), mine());
    if (!gone) co_return std::unexpected(gone.error());
    co_return Shown{"Deleted " + *path, done};
  }
  if (command == "rename") {
    auto to = memory_path(call.text("new_path"));
    if (!to) co_return std::unexpected(to.error());
    auto moved = co_await files.move(call.actor(), call.workspace(), Place::at(*path), *to, false, mine());
    if (!moved) co_return std::unexpected(moved.error());
    co_return Shown{"Renamed " + *path + " to " + *to, {{"path", *to}}};
  }
  co_return refuse("ws.invalid", "command is one of view, create, str_replace, insert, delete, rename");
}

}  // namespace

std::vector<Tool> memory_tools() {
  return {{"memory", "Memory", "Notes that outlive the conversation, as files under /memories: view, create, str_replace, insert, delete, rename.", "memory", true, Tool::Hint::Changes,
           "workspace s; command! e(view,create,str_replace,insert,delete,rename); path s; view_range I [first, last] lines; file_text s; old_str s; new_str s; insert_line i; insert_text s; old_path s; new_path s", memory}};
}

}  // namespace mayfly::workspace_tools
