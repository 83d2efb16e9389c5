#include <algorithm>

#include "workspace/files/files_service.h"
#include "workspace/paths.h"

/// Looking without changing.
namespace mayfly::workspace {
namespace {

constexpr std::size_t kListMax = 1'000;
constexpr std::int64_t kTextBytesMax = 32LL << 20;

/// Nodes of a folder by name; one that is taken away between its entry and its row is left out.
Task<Outcome<std::vector<Node>>> children_of(Rows rows, std::string folder, std::string after, std::size_t limit) {
  std::vector<Node> out;
  for (bool more = true; more && out.size() < limit;) {
    auto found = co_await entries(rows, folder, after, limit - out.size());
    if (!found) co_return std::unexpected(found.error());
    more = found->size() == limit - out.size();
    for (const Entry& entry : *found) {
      after = entry.name;
      auto node = co_await read_node(rows, entry.id);
      if (!node) co_return std::unexpected(node.error());
      if (*node) out.push_back(std::move(**node));
    }
  }
  co_return out;
}

}  // namespace

Task<Outcome<Node>> FilesService::stat(Actor actor, std::string workspace, Place place) {
  auto seen = view(actor, workspace);
  if (!seen) co_return std::unexpected(seen.error());
  const Rows rows = seen->rows;
  co_return co_await find_node(rows, std::move(place));
}

Task<Outcome<NodePage>> FilesService::list(Actor actor, std::string workspace, Place place, ListOptions options) {
  auto seen = view(actor, workspace);
  if (!seen) co_return std::unexpected(seen.error());
  const Rows rows = seen->rows;
  auto located = co_await find_node(rows, std::move(place));
  if (!located) co_return std::unexpected(located.error());
  if (located->kind == NodeKind::File) co_return refuse("ws.not_folder", "'" + located->path + "' is a file; list its folder, or read it");
  const std::size_t limit = std::clamp<std::size_t>(options.limit, 1, kListMax);
  NodePage page;
  if (!options.recursive) {
    std::string after = options.after;
    while (page.nodes.size() < limit) {
      auto children = co_await children_of(rows, located->id, after, limit - page.nodes.size() + 1);
      if (!children) co_return std::unexpected(children.error());
      const bool more = children->size() > limit - page.nodes.size();
      if (more) children->pop_back();
      for (Node& child : *children) {
        after = child.name;
        child.path = join_path(located->path, child.name);
        if (options.glob.empty() || matches_glob(child.path, options.glob)) page.nodes.push_back(std::move(child));
      }
      if (!more) co_return page;
      page.next = after;
    }
    co_return page;
  }
  // Depth first, in the order of names; the cursor is the path of the last one.
  const std::vector<std::string> resume = split_path(options.after);
  struct Level {
    Node folder;
    std::string after;
  };
  std::vector<Level> stack{{*located, ""}};
  if (!resume.empty()) {
    Node at = *located;
    for (std::size_t i = split_path(at.path).size(); i < resume.size(); ++i) {
      stack.back().after = resume[i];
      auto child = co_await find_node(rows, Place::at(join_path(at.path, resume[i])));
      if (!child && child.error().code == "ws.not_found") break;
      if (!child) co_return std::unexpected(child.error());
      if (child->kind == NodeKind::File) break;
      at = std::move(*child);
      stack.push_back({at, ""});
    }
  }
  std::size_t looked = 0;
  while (!stack.empty()) {
    const std::string folder = stack.back().folder.id, after = stack.back().after;
    auto children = co_await children_of(rows, folder, after, 1);
    if (!children) co_return std::unexpected(children.error());
    if (children->empty()) {
      stack.pop_back();
      continue;
    }
    Node child = std::move(children->front());
    child.path = join_path(stack.back().folder.path, child.name);
    stack.back().after = child.name;
    const std::string path = child.path;
    const bool is_folder = child.kind == NodeKind::Folder;
    if (is_folder) stack.push_back({child, ""});
    if (options.glob.empty() || matches_glob(path, options.glob)) page.nodes.push_back(std::move(child));
    if (page.nodes.size() >= limit || ++looked >= 20'000) {
      page.next = path;
      co_return page;
    }
  }
  co_return page;
}

Task<Outcome<std::pair<Node, FileVersion>>> FilesService::open(Actor actor, std::string workspace, Place place, std::uint64_t version) {
  auto seen = view(actor, workspace);
  if (!seen) co_return std::unexpected(seen.error());
  const Rows rows = seen->rows;
  auto located = co_await find_node(rows, std::move(place));
  if (!located) co_return std::unexpected(located.error());
  if (located->kind == NodeKind::Folder)
    co_return refuse("ws.is_folder", "'" + located->path + "' is a folder; list it, or read a file in it");
  auto row = co_await read_version(rows, located->id, version == 0 ? located->version : version);
  if (!row) co_return std::unexpected(row.error());
  if (!*row) co_return refuse("ws.not_found", "'" + located->path + "' has no version " + std::to_string(version) + "; see its history");
  co_return std::pair{std::move(*located), std::move(**row)};
}

Task<Outcome<std::string>> FilesService::text_of(std::string hash, std::int64_t size, std::int64_t most) {
  if (size > most) co_return refuse("ws.too_large", "the file has " + std::to_string(size) + " bytes, too many for this; download it");
  auto bytes = co_await blobs_.get(std::move(hash));
  if (!bytes) co_return std::unexpected(Refusal(bytes.error()));
  co_return std::move(*bytes);
}

Task<Outcome<ReadText>> FilesService::read_text(Actor actor, std::string workspace, Place place, ReadOptions options) {
  auto opened = co_await open(std::move(actor), std::move(workspace), std::move(place), options.version);
  if (!opened) co_return std::unexpected(opened.error());
  ReadText out;
  out.node = std::move(opened->first);
  const FileVersion& version = opened->second;
  if (version.version != out.node.version)
    out.node.version = version.version, out.node.etag = version.etag, out.node.hash = version.hash, out.node.size = version.size;
  auto bytes = co_await text_of(version.hash, version.size, kTextBytesMax);
  if (!bytes) co_return std::unexpected(bytes.error());
  if (options.byte_first >= 0) {
    const auto size = static_cast<std::int64_t>(bytes->size());
    if (options.byte_first >= size && size > 0)
      co_return refuse("ws.range", "the file has " + std::to_string(size) + " bytes; ask for a range within", {{"size", size}});
    const std::int64_t last = options.byte_last < 0 ? size - 1 : std::min(options.byte_last, size - 1);
    *bytes = bytes->substr(static_cast<std::size_t>(options.byte_first),
                           static_cast<std::size_t>(std::max<std::int64_t>(0, last - options.byte_first + 1)));
  }
  if (bytes->contains('\0') || (options.byte_first < 0 && !is_utf8(*bytes)))
    co_return refuse("ws.not_text", "'" + out.node.path + "' (" + version.content_type + ") is no text; get its bytes by a download_url",
                     {{"size", version.size}, {"content_type", version.content_type}});
  out.lines = std::ranges::count(*bytes, '\n') + (!bytes->empty() && !bytes->ends_with('\n') ? 1 : 0);
  out.first_line = std::max<std::int64_t>(1, options.line_first);
  out.last_line = options.line_last <= 0 ? out.lines : std::min(options.line_last, out.lines);
  if (options.byte_first >= 0) {
    out.text = to_utf8_lossy(*bytes);
  } else {
    std::size_t from = 0;
    for (std::int64_t line = 1; line < out.first_line && from < bytes->size(); ++line)
      from = std::min(bytes->find('\n', from), bytes->size() - 1) + 1;
    std::size_t end = from;
    for (std::int64_t line = out.first_line; line <= out.last_line && end < bytes->size(); ++line)
      end = std::min(bytes->find('\n', end), bytes->size() - 1) + 1;
    out.text = bytes->substr(from, end - from);
  }
  if (out.text.size() > options.budget) {
    std::size_t end = options.budget;
    const std::size_t line_end = out.text.rfind('\n', end > 0 ? end - 1 : 0);
    if (line_end != std::string::npos && line_end > options.budget / 2) end = line_end + 1;
    while (end > 0 && (static_cast<unsigned char>(out.text[end]) & 0xc0) == 0x80) --end;
    out.text.resize(end);
    out.truncated = true;
    out.last_line = out.first_line + std::ranges::count(out.text, '\n') - (out.text.ends_with('\n') ? 1 : 0);
    out.note = "cut at the budget; go on from line " + std::to_string(out.last_line + 1) + " of " + std::to_string(out.lines);
  }
  co_return out;
}

Task<Result<void>> FilesService::each_hash(std::function<void(std::string_view)> found) {
  for (const std::string& workspace : spaces_.ids()) {
    KeyRange range = KeyRange::prefix(keys::prefix(spaces_.partition_of(workspace), workspace, 'v'));
    for (;;) {
      auto rows = co_await spaces_.dependencies().store->scan(range, 1'000, Direction::Forward);
      if (!rows) co_return std::unexpected(rows.error());
      for (const Record& record : *rows) {
        auto version = row_as<FileVersion>(record.key, record.value);
        if (!version) co_return std::unexpected(version.error());
        found(version->hash);
      }
      if (rows->size() < 1'000) break;
      range.begin = rows->back().key + '\0';
    }
  }
  co_return Result<void>{};
}

}  // namespace mayfly::workspace
