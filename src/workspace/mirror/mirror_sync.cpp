#include <algorithm>

#include <unistd.h>

#include "base/sha256.h"
#include "workspace/mirror/mirror_actor.h"
#include "workspace/paths.h"

/// How one path is brought into step.
namespace mayfly::workspace {
namespace {

constexpr std::size_t kPieceBytes = 256 * 1024;

Outcome<void> changed(const std::string& path) {
  return refuse("mirror.changed", "'" + path + "' changed while it was read; it is looked at again", {}, Retry::Safe);
}

WriteOptions with(std::optional<std::string> etag) {
  WriteOptions out;
  out.when.if_none_match = !etag;
  out.when.if_match = std::move(etag);
  return out;
}

/// What must hold of something that goes or moves.
WriteOptions only_as(const Node& node) {
  WriteOptions out;
  if (!node.etag.empty() && node.kind == NodeKind::File) out.when.if_match = node.etag;
  out.when.force = true;
  return out;
}

Seen seen_of(const Node& node, const HostEntry& entry) { return {entry.is_folder, node.hash, node.id, entry.size, entry.changed_ns}; }

/// "report (conflict 2026-11-24 from Ann).txt"
std::string conflict_name(const std::string& path, TimePoint now, std::string label) {
  std::erase_if(label, [](char c) { return c == '/' || c == '\\' || static_cast<unsigned char>(c) < 0x20; });
  const std::string name = base_name(path);
  const auto dot = name.rfind('.');
  const bool has_end = dot != std::string::npos && dot > 0;
  const std::string stem = has_end ? name.substr(0, dot) : name, end = has_end ? name.substr(dot) : "";
  std::string mark = " (conflict " + to_rfc3339(now).substr(0, 10) + " from " + label.substr(0, 40) + ")";
  if (!is_utf8(mark)) mark = " (conflict " + to_rfc3339(now).substr(0, 10) + ")";
  return join_path(parent_path(path), stem + mark + end);
}

}  // namespace

/// The bytes of a file here, put into the blob store. A file that changes meanwhile is left for the next look.
Task<Outcome<MirrorActor::Bytes>> MirrorActor::take_in(std::string path) {
  auto file = folder_->read(path);
  if (!file) co_return std::unexpected(file.error());
  auto before = HostFolder::stat_open(*file);
  if (!before) co_return std::unexpected(before.error());
  auto writer = co_await spaces_->dependencies().blobs->create();
  if (!writer) co_return std::unexpected(writer.error());
  while (true) {
    std::string piece(kPieceBytes, '\0');
    const ssize_t count = ::read(file->get(), piece.data(), piece.size());
    if (count < 0) co_return refuse("mirror.io", "cannot read '" + path + "'; check its permissions", {}, Retry::Safe);
    if (count == 0) break;
    piece.resize(static_cast<std::size_t>(count));
    if (auto written = co_await (*writer)->write(std::move(piece)); !written) co_return std::unexpected(written.error());
    if (stopping_) co_return std::unexpected(changed(path).error());
  }
  auto finished = co_await (*writer)->finish();
  if (!finished) co_return std::unexpected(finished.error());
  auto after = HostFolder::stat_open(*file);
  if (!after || *after != *before) co_return std::unexpected(changed(path).error());
  co_return Bytes{finished->hash, static_cast<std::int64_t>(finished->size), *after};
}

Task<Outcome<void>> MirrorActor::upload(std::string path, Bytes bytes, std::optional<std::string> over, std::string note_text) {
  Content content;
  content.hash = bytes.hash;
  content.size = bytes.size;
  content.cause = "mirror";
  content.note = std::move(note_text);
  auto written = co_await files_->put(actor_, status_.spec.workspace, Place::at(place_of(path)), std::move(content), with(std::move(over)));
  if (!written) co_return std::unexpected(written.error());
  note(path, seen_of(written->node, bytes.entry));
  status_.uploaded++;
  co_return Outcome<void>{};
}

Task<Outcome<HostEntry>> MirrorActor::bring(std::string hash, std::string path, std::optional<HostEntry> over) {
  auto reader = co_await spaces_->dependencies().blobs->open(hash);
  if (!reader) co_return std::unexpected(reader.error());
  auto incoming = folder_->begin(path);
  if (!incoming) co_return std::unexpected(incoming.error());
  for (std::uint64_t at = 0; at < (*reader)->size();) {
    auto piece = co_await (*reader)->read(at, kPieceBytes);
    Result<void> written = piece ? HostFolder::write(*incoming, *piece) : fail(piece.error());
    if (written && piece->empty()) written = fail("blob.damaged", "the content of '" + path + "' is shorter than it was; restore it from a backup");
    if (!written) {
      HostFolder::give_up(*incoming);
      co_return std::unexpected(written.error());
    }
    at += piece->size();
  }
  auto finished = HostFolder::finish(std::move(*incoming), path, std::move(over));
  if (!finished) co_return std::unexpected(finished.error());
  co_return *finished;
}

Task<Outcome<void>> MirrorActor::download(std::string path, Node node, std::optional<HostEntry> over) {
  auto brought = co_await bring(node.hash, path, std::move(over));
  if (!brought) co_return std::unexpected(brought.error());
  note(path, seen_of(node, *brought));
  status_.downloaded++;
  co_return Outcome<void>{};
}

/// Both changed. The workspace's bytes get a name of their own here, then ours become its newest version: both are on both sides.
Task<Outcome<void>> MirrorActor::conflict(std::string path, Bytes here, Node there) {
  const std::string beside = conflict_name(path, spaces_->dependencies().clock->now(), there.modified_by);
  auto kept = co_await bring(there.hash, beside, std::nullopt);
  // After a crash between the two it is there already.
  if (!kept && kept.error().code != "mirror.changed") co_return std::unexpected(kept.error());
  status_.conflicts++;
  co_return co_await upload(path, std::move(here), there.etag, "changed on both sides; the version before is kept as '" + base_name(beside) + "', too");
}

Task<> MirrorActor::follow_renames(Sides* sides) {
  std::map<std::string, std::string> by_node, by_hash;
  for (const auto& [path, before] : seen_) {
    if (before.is_folder) continue;
    const auto there = sides->there.find(path);
    if (there == sides->there.end()) by_node[before.node] = path;
    if (!sides->here.contains(path) && there != sides->there.end() && there->second.hash == before.hash) by_hash[before.hash] = path;
  }
  // There: a node that we know stands at another place.
  for (const auto& [path, node] : std::map(sides->there)) {
    const auto old = by_node.find(node.id);
    if (old == by_node.end() || seen(path) || sides->here.contains(path)) continue;
    const auto entry = sides->here.find(old->second);
    if (entry == sides->here.end() || !is_unchanged(old->second, entry->second) || !folder_->rename(old->second, path)) continue;
    Seen moved = *seen(old->second);
    note(old->second, std::nullopt);
    note(path, moved);
    sides->here[path] = entry->second;
    sides->here.erase(old->second);
  }
  // Here: something new has the bytes of what is gone.
  for (const auto& [path, entry] : std::map(sides->here)) {
    if (by_hash.empty()) co_return;
    if (entry.is_folder || seen(path) || sides->there.contains(path) || watch_.is_busy(path)) continue;
    if (std::ranges::none_of(by_hash, [&](const auto& old) { return seen(old.second) && seen(old.second)->size == entry.size; })) continue;
    auto bytes = co_await take_in(path);
    if (!bytes) continue;
    const auto old = by_hash.find(bytes->hash);
    if (old == by_hash.end()) continue;
    const Node node = sides->there.at(old->second);
    auto moved = co_await files_->move(actor_, status_.spec.workspace, Place::of(node.id), place_of(path), false, only_as(node));
    if (!moved) continue;
    note(old->second, std::nullopt);
    note(path, seen_of(*moved, bytes->entry));
    sides->there.erase(old->second);
    sides->there[path] = std::move(*moved);
    by_hash.erase(old);
  }
}

Task<Outcome<void>> MirrorActor::settle(std::string path, Sides* sides) {
  const auto here = sides->here.find(path);
  const auto there = sides->there.find(path);
  const bool is_here = here != sides->here.end(), is_there = there != sides->there.end();
  if (!is_here && !is_there) {
    note(path, std::nullopt);
    co_return Outcome<void>{};
  }
  if (is_here && is_there && here->second.is_folder != (there->second.kind == NodeKind::Folder))
    co_return refuse("mirror.invalid", "this is a folder on one side and a file on the other; rename one of them");
  const bool is_folder = is_here ? here->second.is_folder : there->second.kind == NodeKind::Folder;
  if (is_folder) co_return co_await settle_folder(path, sides);
  if (is_here && is_there) co_return co_await settle_file(path, here->second, there->second);
  co_return co_await settle_gone(path, sides);
}

Task<Outcome<void>> MirrorActor::settle_folder(std::string path, Sides* sides) {
  const bool is_here = sides->here.contains(path), is_there = sides->there.contains(path);
  // What went on one side goes on the other once it is empty: drop_folder.
  if (seen(path) && is_here != is_there) co_return Outcome<void>{};
  if (!is_there) {
    WriteOptions options;
    auto made = co_await files_->make_folder(actor_, status_.spec.workspace, place_of(path), true, options);
    if (!made) co_return std::unexpected(made.error());
    sides->there[path] = std::move(*made);
  }
  if (!is_here)
    if (auto made = folder_->make_folder(path); !made) co_return std::unexpected(made.error());
  const Seen now{true, {}, sides->there.at(path).id, 0, 0};
  if (!seen(path) || *seen(path) != now) note(path, now);
  co_return Outcome<void>{};
}

Task<Outcome<void>> MirrorActor::settle_file(std::string path, HostEntry here, Node there) {
  const Seen* before = seen(path);
  const bool is_same_here = is_unchanged(path, here);
  if (is_same_here && before->hash == there.hash) {
    if (before->node != there.id) note(path, seen_of(there, here));
    co_return Outcome<void>{};
  }
  if (is_same_here) co_return co_await download(path, std::move(there), here);
  const std::string hash_before = before ? before->hash : "";
  auto bytes = co_await take_in(path);
  if (!bytes) co_return std::unexpected(bytes.error());
  if (bytes->hash == there.hash) {
    note(path, seen_of(there, bytes->entry));
    co_return Outcome<void>{};
  }
  if (bytes->hash == hash_before) co_return co_await download(path, std::move(there), bytes->entry);
  if (there.hash == hash_before) co_return co_await upload(path, std::move(*bytes), there.etag, {});
  co_return co_await conflict(path, std::move(*bytes), std::move(there));
}

/// A file that is on one side only: new there, or gone on the other.
Task<Outcome<void>> MirrorActor::settle_gone(std::string path, Sides* sides) {
  if (const auto here = sides->here.find(path); here != sides->here.end()) {
    if (is_unchanged(path, here->second)) {
      if (auto removed = folder_->remove(path, here->second); !removed) co_return std::unexpected(removed.error());
      note(path, std::nullopt);
      co_return Outcome<void>{};
    }
    auto bytes = co_await take_in(path);
    if (!bytes) co_return std::unexpected(bytes.error());
    co_return co_await upload(path, std::move(*bytes), std::nullopt, {});
  }
  const Node node = sides->there.at(path);
  const Seen* before = seen(path);
  if (!before || before->hash != node.hash) co_return co_await download(path, node, std::nullopt);
  auto removed = co_await files_->remove(actor_, status_.spec.workspace, Place::of(node.id), only_as(node));
  if (!removed) co_return std::unexpected(removed.error());
  note(path, std::nullopt);
  co_return Outcome<void>{};
}

Task<Outcome<void>> MirrorActor::drop_folder(std::string path, Sides* sides) {
  const Seen* before = seen(path);
  const auto here = sides->here.find(path);
  const auto there = sides->there.find(path);
  const bool is_here = here != sides->here.end(), is_there = there != sides->there.end();
  if (!before || !before->is_folder || is_here == is_there) co_return Outcome<void>{};
  if (is_here) {
    // Not empty: something new is in it, and the next look makes it there again.
    if (auto removed = folder_->remove(path, here->second); !removed) {
      kicked_ = true;
    }
    note(path, std::nullopt);
    co_return Outcome<void>{};
  }
  ListOptions one;
  one.limit = 1;
  auto left = co_await files_->list(actor_, status_.spec.workspace, Place::of(there->second.id), one);
  if (!left) co_return std::unexpected(left.error());
  const auto again = folder_->stat(path);
  const bool keeps = !left->nodes.empty() || (again && *again);
  if (!keeps) {
    auto removed = co_await files_->remove(actor_, status_.spec.workspace, Place::of(there->second.id), only_as(there->second));
    if (!removed) co_return std::unexpected(removed.error());
  } else {
    kicked_ = true;
  }
  note(path, std::nullopt);
  co_return Outcome<void>{};
}

}  // namespace mayfly::workspace
