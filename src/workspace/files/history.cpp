#include <algorithm>

#include "workspace/files/diff.h"
#include "workspace/files/files_service.h"
#include "workspace/paths.h"

/// Versions and the trash.
namespace mayfly::workspace {
namespace {

constexpr std::size_t kDiffBytesMax = 64 * 1024;
constexpr std::int64_t kDiffedMax = 8 << 20;
constexpr std::size_t kVersionsLookedAt = 200, kSmallDiffBytesMax = 2'048;

}  // namespace

Task<Outcome<VersionPage>> FilesService::versions(Actor actor, std::string workspace, Place place, std::size_t limit, std::string after) {
  auto seen = view(actor, workspace);
  if (!seen) co_return std::unexpected(seen.error());
  const Rows rows = seen->rows;
  auto located = co_await find_node(rows, std::move(place));
  if (!located) co_return std::unexpected(located.error());
  if (located->kind == NodeKind::Folder) co_return std::unexpected(wrong_kind(*located));
  limit = std::clamp<std::size_t>(limit, 1, 1'000);
  const std::string prefix = rows.prefix('v', located->id);
  KeyRange range = KeyRange::prefix(prefix);
  if (!after.empty()) range.end = prefix + after;
  auto stored = co_await rows.rows->scan(range, limit, Direction::Backward);
  if (!stored) co_return std::unexpected(Refusal(stored.error()));
  VersionPage page;
  for (const auto& [key, text] : *stored) {
    auto version = row_as<FileVersion>(key, text);
    if (!version) co_return std::unexpected(Refusal(version.error()));
    page.versions.push_back(std::move(*version));
  }
  if (stored->size() == limit) page.next = stored->back().first.substr(prefix.size());
  co_return page;
}

Task<Outcome<std::string>> FilesService::diff(Actor actor, std::string workspace, Place place, std::uint64_t from, std::uint64_t to) {
  auto before = co_await open(actor, workspace, place, from);
  if (!before) co_return std::unexpected(before.error());
  auto after = co_await open(actor, workspace, Place::of(before->first.id), to);
  if (!after) co_return std::unexpected(after.error());
  auto a = co_await text_of(before->second.hash, before->second.size, kDiffedMax);
  if (!a) co_return std::unexpected(a.error());
  auto b = co_await text_of(after->second.hash, after->second.size, kDiffedMax);
  if (!b) co_return std::unexpected(b.error());
  if (!is_text(*a) || !is_text(*b))
    co_return refuse("ws.not_text", "'" + before->first.path + "' is no text; its versions can be downloaded and compared");
  co_return unified_diff(*a, *b, before->first.path + " (version " + std::to_string(before->second.version) + ")",
                         before->first.path + " (version " + std::to_string(after->second.version) + ")", kDiffBytesMax);
}

/// What has changed since the version that the caller had seen.
Task<Refusal> FilesService::with_diff(Refusal refusal, Actor actor, std::string workspace, Place place, std::string if_match) {
  if (!refusal.details.contains("etag")) co_return refusal;
  auto page = co_await versions(actor, workspace, place, kVersionsLookedAt, "");
  if (!page) co_return refusal;
  const auto base = std::ranges::find(page->versions, if_match, &FileVersion::etag);
  const auto now = std::ranges::find(page->versions, get_string(refusal.details, "etag"), &FileVersion::etag);
  if (base == page->versions.end() || now == page->versions.end()) co_return refusal;
  auto before = co_await text_of(base->hash, base->size, kDiffedMax);
  auto after = co_await text_of(now->hash, now->size, kDiffedMax);
  if (!before || !after || !is_text(*before) || !is_text(*after)) co_return refusal;
  refusal.details["diff"] = unified_diff(*before, *after, "version " + std::to_string(base->version),
                                         "version " + std::to_string(now->version), kSmallDiffBytesMax);
  co_return refusal;
}

}  // namespace mayfly::workspace
