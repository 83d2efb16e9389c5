#include <re2/re2.h>

#include <algorithm>
#include <deque>

#include "workspace/files/files_service.h"
#include "workspace/paths.h"

namespace mayfly::workspace {
namespace {

constexpr std::size_t kFilesMax = 5'000;
constexpr std::int64_t kFileBytesMax = 4LL << 20;
constexpr std::int64_t kBytesMax = 128LL << 20;
constexpr std::size_t kLineBytesMax = 500;

std::string shortened(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  std::size_t end = std::min(line.size(), kLineBytesMax);
  while (end < line.size() && end > 0 && (static_cast<unsigned char>(line[end]) & 0xc0) == 0x80) --end;
  return std::string(line.substr(0, end));
}

void search(const Node& node, std::string_view text, const RE2& pattern, const GrepOptions& options, GrepResult* result) {
  std::deque<std::string_view> before;
  std::size_t unfinished = 0;  // how many of the last matches still want lines behind them
  std::int64_t number = 0;
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t end = std::min(text.find('\n', from), text.size());
    const std::string_view line = text.substr(from, end - from);
    ++number;
    for (std::size_t i = result->matches.size() - std::min(unfinished, result->matches.size()); i < result->matches.size(); ++i)
      if (result->matches[i].after.size() < static_cast<std::size_t>(options.context)) result->matches[i].after.push_back(shortened(line));
    if (RE2::PartialMatch(re2::StringPiece(line.data(), line.size()), pattern)) {
      if (result->matches.size() >= options.matches_max) {
        result->truncated = true;
        return;
      }
      GrepMatch match{node.path, node.id, number, shortened(line), {}, {}};
      for (const std::string_view& earlier : before) match.before.push_back(shortened(earlier));
      result->matches.push_back(std::move(match));
      unfinished = std::min(unfinished + 1, static_cast<std::size_t>(options.context) + 1);
    }
    before.push_back(line);
    if (before.size() > static_cast<std::size_t>(options.context)) before.pop_front();
    from = end + 1;
  }
}

}  // namespace

Task<Outcome<GrepResult>> FilesService::grep(Actor actor, std::string workspace, Place folder, GrepOptions options) {
  options.matches_max = std::clamp<std::size_t>(options.matches_max, 1, 1'000);
  options.context = std::clamp(options.context, 0, 10);
  RE2::Options settings;
  settings.set_log_errors(false);
  settings.set_case_sensitive(!options.ignore_case);
  settings.set_literal(!options.regex);
  settings.set_max_mem(8 << 20);
  if (options.pattern.empty() || options.pattern.size() > 1'000) co_return refuse("ws.invalid", "a pattern has 1 to 1,000 bytes");
  const RE2 pattern(options.pattern, settings);
  if (!pattern.ok()) co_return refuse("ws.invalid", "the pattern is no regular expression (RE2's syntax): " + pattern.error());
  auto top = co_await stat(actor, workspace, folder);
  if (!top) co_return std::unexpected(top.error());
  GrepResult result;
  std::int64_t bytes = 0;
  std::string after;
  bool last = false;
  while (!last && !result.truncated) {
    NodePage page;
    if (top->kind == NodeKind::File) {
      page.nodes.push_back(*top);
    } else {
      ListOptions listing;
      listing.recursive = true;
      listing.after = after;
      listing.glob = options.glob;
      auto listed = co_await list(actor, workspace, Place::of(top->id), listing);
      if (!listed) co_return std::unexpected(listed.error());
      page = std::move(*listed);
    }
    for (const Node& node : page.nodes) {
      if (node.kind == NodeKind::Folder) continue;
      if (result.files_searched + result.files_skipped >= kFilesMax || bytes > kBytesMax) result.truncated = true;
      if (result.truncated) break;
      if (node.size > kFileBytesMax) {
        ++result.files_skipped;
        continue;
      }
      auto text = co_await blobs_.get(node.hash);
      if (!text) co_return std::unexpected(Refusal(text.error()));
      bytes += node.size;
      if (!is_text(*text)) {
        ++result.files_skipped;
        continue;
      }
      ++result.files_searched;
      search(node, *text, pattern, options, &result);
    }
    after = page.next;
    last = after.empty();
  }
  co_return result;
}

}  // namespace mayfly::workspace
