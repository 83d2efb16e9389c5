#include <algorithm>
#include <utility>

#include "workspace/files/answers.h"
#include "workspace/files/diff.h"
#include "workspace/files/files_service.h"
#include "workspace/paths.h"

/// Changing a part of a text.
namespace mayfly::workspace {
namespace {

constexpr std::int64_t kEditedMax = 8 << 20;
constexpr std::size_t kDiffBytesMax = 16 * 1024;
constexpr std::size_t kEditsMax = 100;

std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string_view::npos; at += part.size()) ++count;
  return count;
}

/// Error: says what is not so.
Outcome<std::size_t> apply(std::string* text, const Edit& edit, std::size_t number) {
  const std::string which = "edit " + std::to_string(number + 1) + ": ";
  if (edit.kind == Edit::Kind::Append) {
    if (!text->empty() && !text->ends_with('\n')) *text += '\n';
    *text += edit.new_text;
    return 1;
  }
  if (edit.kind == Edit::Kind::Insert) {
    std::size_t at = 0;
    for (std::int64_t line = 0; line < edit.line; ++line) {
      if (at >= text->size())
        return refuse("ws.invalid", which + "the file has only " + std::to_string(line) + " lines; insert after one of them, or append");
      at = std::min(text->find('\n', at), text->size() - 1) + 1;
    }
    std::string piece = edit.new_text;
    if (!piece.ends_with('\n') && at < text->size()) piece += '\n';
    if (at > 0 && (*text)[at - 1] != '\n') piece.insert(0, "\n");
    text->insert(at, piece);
    return 1;
  }
  if (edit.old_text.empty()) return refuse("ws.invalid", which + "old_text is empty; say what is to be replaced, or insert or append");
  const std::size_t count = count_of(*text, edit.old_text);
  if (count == 0)
    return refuse("ws.conflict",
                  which + "old_text does not occur in the file; read it again and copy the text exactly, with its spaces and line ends",
                  {{"occurrences", 0}});
  if (count > 1 && !edit.all)
    return refuse("ws.conflict",
                  which + "old_text occurs " + std::to_string(count) + " times; give more of the text around it, or all: true",
                  {{"occurrences", count}});
  std::string out;
  std::size_t from = 0;
  for (std::size_t at; (at = text->find(edit.old_text, from)) != std::string::npos; from = at + edit.old_text.size()) {
    out.append(*text, from, at - from);
    out += edit.new_text;
    if (std::cmp_greater(out.size(), 2 * kEditedMax)) return refuse("ws.too_large", which + "the text grows beyond what can be edited");
  }
  out.append(*text, from, std::string::npos);
  *text = std::move(out);
  return count;
}

}  // namespace

Task<Outcome<Files::Edited>> FilesService::edit_in(Space* space, Place place, std::vector<Edit> edits, WriteOptions options) {
  auto known = co_await answer_of(space, "edit", options.idempotency_key);
  if (!known) co_return std::unexpected(known.error());
  auto node = co_await find_in(*space, place);
  if (!node) co_return std::unexpected(node.error());
  if (node->kind == NodeKind::Folder) co_return refuse("ws.is_folder", "'" + node->path + "' is a folder; edit a file in it");
  if (*known) {
    Edited out;
    out.written = written_of(**known);
    out.diff = get_string(**known, "diff");
    out.replaced = static_cast<std::size_t>(get_int(**known, "replaced"));
    co_return out;
  }
  auto before = co_await text_of(node->hash, node->size, kEditedMax);
  if (!before) co_return std::unexpected(before.error());
  if (!is_text(*before)) co_return refuse("ws.not_text", "'" + node->path + "' is no text and cannot be edited; write it as a whole");
  // Locks and etags first: what does not fit may be because somebody else changed it.
  auto spot = co_await resolve(rows_of(*space), Place::of(node->id));
  if (!spot) co_return std::unexpected(spot.error());
  if (auto may = co_await guard(space, *spot, *node, options, Touch::Change); !may) co_return std::unexpected(may.error());
  std::string after = *before;
  Edited out;
  for (std::size_t i = 0; i < edits.size(); ++i) {
    auto replaced = apply(&after, edits[i], i);
    if (!replaced) co_return std::unexpected(replaced.error());
    out.replaced += *replaced;
  }
  if (!is_text(after)) co_return refuse("ws.not_text", "the new text is no valid UTF-8");
  if (std::cmp_greater(after.size(), kEditedMax))
    co_return refuse("ws.too_large", "files of up to 8 MiB can be edited; write it as a whole");
  out.diff = unified_diff(*before, after, node->path + " (version " + std::to_string(node->version) + ")", node->path, kDiffBytesMax);
  Content content;
  content.size = static_cast<std::int64_t>(after.size());
  content.content_type = node->content_type;
  content.cause = "edit";
  auto hash = co_await blobs_.put(std::move(after));
  if (!hash) co_return std::unexpected(Refusal(hash.error()));
  content.hash = std::move(*hash);
  // What it replaces was found in this very commit: nobody's work is lost.
  WriteOptions inner = options;
  inner.idempotency_key.clear();
  inner.when.if_match = node->etag;
  inner.when.if_none_match = false;
  auto written = co_await put_in(*space, Place::of(node->id), std::move(content), std::move(inner));
  if (!written) co_return std::unexpected(written.error());
  out.written = std::move(*written);
  JsonObject answer = to_record_of(out.written);
  answer["diff"] = out.diff;
  answer["replaced"] = out.replaced;
  keep_answer(space, "edit", options.idempotency_key, std::move(answer));
  co_return out;
}

Task<Outcome<Files::Edited>> FilesService::edit(Actor actor, std::string workspace, Place place, std::vector<Edit> edits, bool dry_run,
                                                WriteOptions options) {
  if (edits.empty() || edits.size() > kEditsMax) co_return refuse("ws.invalid", "give 1 to 100 edits");
  if (!dry_run) {
    std::function<Task<Outcome<Edited>>(Space&)> change = [this, place, edits, options](Space& space) {
      return edit_in(&space, place, edits, options);
    };
    auto done = co_await change_space<Edited>(&spaces_, actor, workspace, Role::Editor, std::move(change));
    if (!done && done.error().code == "ws.conflict" && options.when.if_match)
      co_return std::unexpected(co_await with_diff(done.error(), actor, workspace, place, *options.when.if_match));
    co_return done;
  }
  auto opened = co_await open(std::move(actor), std::move(workspace), std::move(place), 0);
  if (!opened) co_return std::unexpected(opened.error());
  auto before = co_await text_of(opened->second.hash, opened->second.size, kEditedMax);
  if (!before) co_return std::unexpected(before.error());
  if (!is_text(*before))
    co_return refuse("ws.not_text", "'" + opened->first.path + "' is no text and cannot be edited; write it as a whole");
  std::string after = *before;
  Edited out;
  for (std::size_t i = 0; i < edits.size(); ++i) {
    auto replaced = apply(&after, edits[i], i);
    if (!replaced) co_return std::unexpected(replaced.error());
    out.replaced += *replaced;
  }
  out.diff = unified_diff(*before, after, opened->first.path, opened->first.path + " (after)", kDiffBytesMax);
  out.written.node = std::move(opened->first);
  out.written.unchanged = true;
  co_return out;
}

}  // namespace mayfly::workspace
