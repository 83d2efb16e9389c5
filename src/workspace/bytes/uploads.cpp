#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "workspace/bytes/bytes_service.h"
#include "workspace/bytes/link_token.h"
#include "workspace/paths.h"

namespace mayfly::workspace {
namespace {

constexpr Millis kLifetimeMin{60'000};
constexpr Millis kLifetimeMax{7LL * 86'400'000};
constexpr std::int64_t kPartsMax = 10'000;
constexpr std::size_t kUploadsMax = 200;
constexpr std::size_t kPartsErased = 30;
constexpr std::size_t kJoinBytes = 1 << 20;
constexpr std::size_t kMissingShown = 10;

std::unexpected<Refusal> invalid(std::string message) { return refuse("ws.invalid", std::move(message)); }
std::unexpected<Refusal> no_upload() {
  return refuse("ws.not_found", "there is no such upload in this workspace, or it has expired; create a new one");
}

std::string part_row(const std::string& upload, std::int64_t from) { return upload + "/" + keys::number(static_cast<std::uint64_t>(from)); }

std::int64_t from_of_key(std::string_view key) {
  const std::string_view digits = key.substr(key.rfind('/') + 1);
  std::uint64_t out = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), out, 16);
  return static_cast<std::int64_t>(out);
}

Outcome<UploadPart> part_of(const std::pair<std::string, std::string>& row) {
  auto record = parse_json(row.second);
  if (!record || !record->is_object()) return refuse("store.damaged", "a part of this upload cannot be read; abort it and upload again");
  return part_from_record(from_of_key(row.first), record->get_object());
}

Task<Outcome<std::vector<UploadPart>>> read_parts(Transaction& rows, std::string prefix) {
  auto found = co_await rows.scan(KeyRange::prefix(prefix), static_cast<std::size_t>(kPartsMax));
  if (!found) co_return std::unexpected(Refusal(found.error()));
  std::vector<UploadPart> out;
  for (const auto& row : *found) {
    auto part = part_of(row);
    if (!part) co_return std::unexpected(part.error());
    out.push_back(*std::move(part));
  }
  co_return out;
}

Task<Outcome<UploadRow>> read_row(Transaction& rows, std::string key) {
  auto record = co_await read_object(rows, std::move(key));
  if (!record) co_return std::unexpected(record.error());
  if (!*record) co_return no_upload();
  co_return upload_from_record(**record);
}

Upload shown(std::string id, const UploadRow& row, const std::vector<UploadPart>& parts) {
  Upload out;
  out.id = std::move(id);
  out.path = row.request.path;
  out.content_type = row.request.content_type;
  out.sha256 = row.request.sha256;
  out.size = row.request.size;
  out.received = row.received;
  out.expires = row.expires;
  out.state = row.state;
  out.written = row.written;
  for (const UploadPart& part : parts) {
    if (!out.parts.empty() && out.parts.back().second == part.from)
      out.parts.back().second += part.size;
    else
      out.parts.emplace_back(part.from, part.from + part.size);
  }
  return out;
}

/// What is not there: from 0 to `size`, or, when that is not known, before the last part.
std::vector<std::pair<std::int64_t, std::int64_t>> missing(const std::vector<UploadPart>& parts, std::int64_t size) {
  std::vector<std::pair<std::int64_t, std::int64_t>> out;
  std::int64_t at = 0;
  for (const UploadPart& part : parts) {
    if (part.from > at) out.emplace_back(at, part.from);
    at = part.from + part.size;
  }
  if (size > at) out.emplace_back(at, size);
  return out;
}

std::unexpected<Refusal> incomplete(const std::vector<std::pair<std::int64_t, std::int64_t>>& gaps) {
  JsonArray list;
  std::string text;
  for (std::size_t i = 0; i < std::min(gaps.size(), kMissingShown); ++i) {
    list.emplace_back(JsonArray{gaps[i].first, gaps[i].second});
    text += fmt::format("{}{} to {}", i == 0 ? "" : ", ", gaps[i].first, gaps[i].second - 1);
  }
  if (gaps.size() > kMissingShown) text += ", and more";
  return refuse("ws.upload_incomplete", "bytes " + text + " are missing; send them, then complete the upload again", {{"missing", std::move(list)}});
}

struct Creation {
  std::string id;
  UploadRow row;
};

Task<Outcome<Json>> create_in(Space& space, Files* files, std::shared_ptr<Creation> creation) {
  UploadRequest& request = creation->row.request;
  const Quota& quota = space.workspace().quota;
  if (request.size > quota.file_bytes)
    co_return refuse("ws.quota", fmt::format("a file of this workspace has at most {} bytes; this one would have {}", quota.file_bytes, request.size),
                     {{"quota", "file_bytes"}, {"limit", quota.file_bytes}, {"used", 0}, {"asked", request.size}});
  if (request.size > 0 && space.usage().bytes + request.size > quota.bytes)
    co_return refuse("ws.quota", fmt::format("the workspace may hold {} bytes and holds {}; remove versions or ask for more", quota.bytes, space.usage().bytes),
                     {{"quota", "bytes"}, {"limit", quota.bytes}, {"used", space.usage().bytes}, {"asked", request.size}});
  // Sessions and their parts share a prefix: sessions are counted by skipping over parts.
  KeyRange range = KeyRange::prefix(space.prefix('u'));
  std::size_t open = 0;
  while (true) {
    auto row = co_await space.rows().scan(range, 1);
    if (!row) co_return std::unexpected(Refusal(row.error()));
    if (row->empty()) break;
    auto record = parse_json(row->front().second);
    if (record && record->is_object() && get_string(record->get_object(), "state") == "open" && ++open >= kUploadsMax)
      co_return refuse("ws.quota", "200 uploads are open in this workspace; complete or abort some first");
    range.begin = row->front().first + "0";  // after "ID/…"
  }
  if (!request.options.when.fence) {
    auto node = co_await files->find_in(space, Place::at(request.path));
    if (node)
      request.options.when.fence = node->fence;
    else if (node.error().code != "ws.not_found")
      co_return std::unexpected(node.error());
  }
  creation->row.expires = space.now() + request.lifetime;
  space.rows().put(space.row('u', creation->id), to_text(to_record(creation->row)));
  co_return Json(nullptr);
}

struct Addition {
  std::string id;
  UploadPart part;
  UploadRow row;
};

std::unexpected<Refusal> taken(std::int64_t from, std::int64_t to) {
  return refuse("ws.conflict", fmt::format("bytes {} to {} are there already with other content; ask for the upload's status, or abort it", from, to - 1));
}

Task<Outcome<Json>> add_in(Space& space, std::shared_ptr<Addition> addition) {
  const UploadPart& part = addition->part;
  const std::int64_t end = part.from + part.size;
  const std::string key = space.row('u', addition->id);
  auto row = co_await read_row(space.rows(), key);
  if (!row) co_return std::unexpected(row.error());
  if (space.now() >= row->expires) co_return no_upload();
  if (row->state != "open") co_return refuse("ws.conflict", "the upload is " + row->state + " and takes no more parts");
  const Quota& quota = space.workspace().quota;
  if (row->request.size >= 0 && end > row->request.size)
    co_return invalid(fmt::format("the part ends at {}, but the upload has {} bytes", end, row->request.size));
  if (end > quota.file_bytes)
    co_return refuse("ws.quota", fmt::format("a file of this workspace has at most {} bytes", quota.file_bytes),
                     {{"quota", "file_bytes"}, {"limit", quota.file_bytes}, {"used", row->received}, {"asked", end}});
  addition->row = *row;
  if (part.size == 0) co_return Json(nullptr);
  KeyRange before{space.prefix('u', addition->id), space.row('u', part_row(addition->id, part.from)) + '\0'};
  auto left = co_await space.rows().scan(before, 1, Direction::Backward);
  if (!left) co_return std::unexpected(Refusal(left.error()));
  if (!left->empty()) {
    auto other = part_of(left->front());
    if (!other) co_return std::unexpected(other.error());
    if (other->from == part.from && other->size == part.size && other->hash == part.hash) co_return Json(nullptr);
    if (other->from + other->size > part.from) co_return taken(other->from, other->from + other->size);
  }
  KeyRange after{before.end, KeyRange::prefix(before.begin).end};
  auto right = co_await space.rows().scan(after, 1);
  if (!right) co_return std::unexpected(Refusal(right.error()));
  if (!right->empty() && from_of_key(right->front().first) < end) co_return taken(from_of_key(right->front().first), end);
  if (row->parts >= kPartsMax) co_return invalid("an upload has at most 10000 parts; send larger ones");
  if (space.usage().bytes + row->received + part.size > quota.bytes)
    co_return refuse("ws.quota", fmt::format("the workspace may hold {} bytes; remove versions or ask for more", quota.bytes),
                     {{"quota", "bytes"}, {"limit", quota.bytes}, {"used", space.usage().bytes}, {"asked", row->received + part.size}});
  row->received += part.size;
  ++row->parts;
  space.rows().put(space.row('u', part_row(addition->id, part.from)), to_text(to_record(part)));
  space.rows().put(key, to_text(to_record(*row)));
  addition->row = *std::move(row);
  co_return Json(nullptr);
}

struct Completion {
  std::string id;
  Content content;
  WriteOptions given;
  std::int64_t parts = 0;
  Written written;
};

/// What was asked at the creation holds, unless it is asked anew.
WriteOptions merged(WriteOptions first, const WriteOptions& given, const std::string& upload) {
  if (given.when.if_match) first.when.if_match = given.when.if_match;
  first.when.if_none_match = first.when.if_none_match || given.when.if_none_match;
  if (!given.when.lock_token.empty()) first.when.lock_token = given.when.lock_token;
  if (given.when.fence) first.when.fence = given.when.fence;
  first.when.force = first.when.force || given.when.force;
  first.idempotency_key = "upload:" + upload;
  return first;
}

Task<Outcome<Json>> complete_in(Space& space, Files* files, std::shared_ptr<Completion> completion) {
  const std::string key = space.row('u', completion->id);
  auto row = co_await read_row(space.rows(), key);
  if (!row) co_return std::unexpected(row.error());
  if (row->state == "completed" && row->written) {
    completion->written = *row->written;
    co_return Json(nullptr);
  }
  if (row->state != "open" || space.now() >= row->expires) co_return no_upload();
  if (row->parts != completion->parts) co_return refuse("ws.busy", "a part came while the upload was completed; complete it again", {}, Retry::Safe);
  auto written = co_await files->put_in(space, Place::at(row->request.path), completion->content, merged(row->request.options, completion->given, completion->id));
  if (!written) co_return std::unexpected(written.error());
  row->state = "completed";
  row->written = *written;
  space.rows().put(key, to_text(to_record(*row)));
  // The rest goes when the upload expires.
  auto parts = co_await space.rows().scan(KeyRange::prefix(space.prefix('u', completion->id)), kPartsErased);
  if (!parts) co_return std::unexpected(Refusal(parts.error()));
  for (const auto& [part, value] : *parts) space.rows().erase(part);
  FileEvent event;
  event.type = "upload.completed";
  event.node = written->node.id;
  event.path = written->node.path;
  event.sequence = written->node.sequence;
  event.data = {{"upload", completion->id}, {"version", written->node.version}, {"etag", written->node.etag}, {"size", written->node.size}};
  space.emit(std::move(event));
  completion->written = *std::move(written);
  co_return Json(nullptr);
}

Task<Outcome<Json>> abort_in(Space& space, std::shared_ptr<const std::string> id) {
  const std::string key = space.row('u', *id);
  auto row = co_await read_row(space.rows(), key);
  if (!row) co_return std::unexpected(row.error());
  if (row->state == "completed") co_return refuse("ws.conflict", "the upload is completed; delete the file, or restore an earlier version of it");
  row->state = "aborted";
  auto parts = co_await space.rows().scan(KeyRange::prefix(space.prefix('u', *id)), kPartsErased);
  if (!parts) co_return std::unexpected(Refusal(parts.error()));
  for (const auto& [part, value] : *parts) space.rows().erase(part);
  space.rows().put(key, to_text(to_record(*row)));
  co_return Json(nullptr);
}

}  // namespace

/// What can be known now: a write that is refused already need not send its bytes first.
Task<Outcome<void>> BytesService::check_target(Actor actor, std::string workspace, UploadRequest* request) {
  auto path = normal_path(request->path);
  if (!path) co_return std::unexpected(path.error());
  if (*path == "/") co_return refuse("ws.is_folder", "the path names the workspace itself; add a file's name");
  request->path = *std::move(path);
  if (!request->sha256.empty()) {
    std::ranges::transform(request->sha256, request->sha256.begin(), [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c; });
    if (!check_blob_hash(request->sha256)) co_return invalid("sha256 is 64 hexadecimal digits");
  }
  if (request->size < -1) co_return invalid("size is a number of bytes, or left out");
  if (request->content_type.size() > 255) co_return invalid("a content type has at most 255 bytes");
  request->lifetime = std::clamp(request->lifetime, kLifetimeMin, kLifetimeMax);
  auto node = co_await files_.stat(actor, workspace, Place::at(request->path));
  if (!node) {
    if (node.error().code != "ws.not_found") co_return std::unexpected(node.error());
    if (request->options.when.if_match) co_return refuse("ws.conflict", "there is nothing at this path; leave if_match out to create it");
    co_return Outcome<void>{};
  }
  if (node->kind == NodeKind::Folder) co_return refuse("ws.is_folder", "there is a folder at this path; add a file's name");
  const Preconditions& when = request->options.when;
  if (when.if_none_match)
    co_return refuse("ws.exists", "there is a file at this path already; choose another path, or give its etag as if_match",
                     {{"etag", node->etag}, {"version", node->version}, {"node", node->id}});
  if (when.if_match && *when.if_match != "*" && *when.if_match != node->etag)
    co_return refuse("ws.conflict", "the file was changed meanwhile; read it again and give its new etag",
                     {{"etag", node->etag}, {"version", node->version}, {"author", node->modified_by}, {"modified_at", to_rfc3339(node->modified)}});
  if (when.fence && *when.fence != node->fence)
    co_return refuse("ws.lock_lost", "the file's fence has moved on; take a lock again", {{"fence", node->fence}, {"given", *when.fence}});
  if (!when.lock_token.empty()) co_return Outcome<void>{};
  auto status = co_await files_.locks(actor, workspace, Place::of(node->id));
  if (!status) co_return std::unexpected(status.error());
  for (const Lock& lock : status->locks) {
    if (lock.holder == actor.id || lock.expires <= clock_.now()) continue;
    const auto wait = std::max<std::int64_t>((lock.expires - clock_.now()).count(), 0);
    co_return refuse("ws.locked", lock.holder_label + " has locked " + lock.path + " until " + to_rfc3339(lock.expires) + "; wait, or write elsewhere",
                     {{"holder", lock.holder_label}, {"mode", lock.mode == LockMode::Shared ? "shared" : "exclusive"}, {"expires_at", to_rfc3339(lock.expires)},
                      {"retry_after_ms", wait}, {"node", lock.node}, {"path", lock.path}}, Retry::Safe);
  }
  co_return Outcome<void>{};
}

Task<Outcome<Upload>> BytesService::create_upload(Actor actor, std::string workspace, UploadRequest request) {
  auto found = spaces_.find(actor, workspace, Role::Editor);
  if (!found) co_return std::unexpected(found.error());
  if (auto valid = co_await check_target(actor, found->id, &request); !valid) co_return std::unexpected(valid.error());
  const auto creation = std::make_shared<Creation>();
  creation->id = make_id("up_");
  creation->row.request = std::move(request);
  auto done = co_await spaces_.mutate(std::move(actor), found->id, Role::Editor,
                                      [creation, files = &files_](Space& space) { return create_in(space, files, creation); });
  if (!done) co_return std::unexpected(done.error());
  co_return shown(creation->id, creation->row, {});
}

Task<Outcome<Upload>> BytesService::upload_status(Actor actor, std::string workspace, std::string upload) {
  auto found = spaces_.find(actor, workspace, Role::Viewer);
  if (!found) co_return std::unexpected(found.error());
  const auto rows = spaces_.read();
  const keys::Partition partition = partition_of(found->id);
  if (upload.contains('/')) co_return no_upload();
  auto row = co_await read_row(*rows, keys::row(partition, found->id, 'u', upload));
  if (!row) co_return std::unexpected(row.error());
  if (clock_.now() >= row->expires) co_return no_upload();
  auto parts = co_await read_parts(*rows, keys::prefix(partition, found->id, 'u', upload));
  if (!parts) co_return std::unexpected(parts.error());
  co_return shown(upload, *row, *parts);
}

Task<Outcome<Upload>> BytesService::add_part(Actor actor, std::string workspace, std::string upload, std::int64_t offset,
                                             BlobWriter::Finished part) {
  if (offset < 0 || offset > (1LL << 50) || part.size > (1ULL << 50)) co_return invalid("a part's offset is 0 or more, and within the file");
  if (upload.contains('/')) co_return no_upload();
  const auto addition = std::make_shared<Addition>();
  addition->id = upload;
  addition->part = {offset, static_cast<std::int64_t>(part.size), part.hash};
  auto done = co_await spaces_.mutate(actor, workspace, Role::Editor, [addition](Space& space) { return add_in(space, addition); });
  if (!done) co_return std::unexpected(done.error());
  co_return co_await upload_status(std::move(actor), std::move(workspace), std::move(upload));
}

Task<Outcome<BlobWriter::Finished>> BytesService::join(std::vector<UploadPart> parts, std::int64_t bytes_max) {
  if (parts.size() == 1) co_return BlobWriter::Finished{parts.front().hash, static_cast<std::uint64_t>(parts.front().size)};
  auto writer = co_await blobs_.create();
  if (!writer) co_return std::unexpected(Refusal(writer.error()));
  for (const UploadPart& part : parts) {
    auto reader = co_await blobs_.open(part.hash);
    if (!reader) co_return std::unexpected(Refusal(reader.error()));
    for (std::uint64_t at = 0; at < static_cast<std::uint64_t>(part.size);) {
      if (!is_open_) co_return refuse("ws.busy", "the server is stopping; complete the upload again", {}, Retry::Safe);
      auto bytes = co_await (*reader)->read(at, kJoinBytes);
      if (!bytes) co_return std::unexpected(Refusal(bytes.error()));
      if (bytes->empty()) break;
      at += bytes->size();
      if (auto done = co_await (*writer)->write(*std::move(bytes)); !done) co_return std::unexpected(Refusal(done.error()));
      if (static_cast<std::int64_t>((*writer)->size()) > bytes_max)
        co_return refuse("ws.too_large", fmt::format("a file of this workspace has at most {} bytes", bytes_max));
    }
  }
  auto finished = co_await (*writer)->finish();
  if (!finished) co_return std::unexpected(Refusal(finished.error()));
  co_return *std::move(finished);
}

Task<Outcome<Written>> BytesService::complete_upload(Actor actor, std::string workspace, std::string upload, WriteOptions options) {
  auto found = spaces_.find(actor, workspace, Role::Editor);
  if (!found) co_return std::unexpected(found.error());
  if (upload.contains('/')) co_return no_upload();
  const keys::Partition partition = partition_of(found->id);
  const auto rows = spaces_.read();
  auto row = co_await read_row(*rows, keys::row(partition, found->id, 'u', upload));
  if (!row) co_return std::unexpected(row.error());
  if (row->state == "completed" && row->written) co_return *row->written;
  if (row->state != "open" || clock_.now() >= row->expires) co_return no_upload();
  auto parts = co_await read_parts(*rows, keys::prefix(partition, found->id, 'u', upload));
  if (!parts) co_return std::unexpected(parts.error());
  if (const auto gaps = missing(*parts, row->request.size); !gaps.empty()) co_return incomplete(gaps);
  const auto part_count = static_cast<std::int64_t>(parts->size());
  auto joined = co_await join(*std::move(parts), found->quota.file_bytes);
  if (!joined) co_return std::unexpected(joined.error());
  if (row->request.size >= 0 && joined->size != static_cast<std::uint64_t>(row->request.size))
    co_return refuse("blob.damaged", "the parts do not have the bytes that were sent; abort the upload and send them again");
  if (!row->request.sha256.empty() && joined->hash != row->request.sha256)
    co_return refuse("ws.hash_mismatch", "the content's SHA-256 is " + joined->hash + " and not the one given; abort the upload and send it again",
                     {{"sha256", joined->hash}, {"expected", row->request.sha256}});
  const auto completion = std::make_shared<Completion>();
  completion->id = std::move(upload);
  completion->content = {joined->hash, static_cast<std::int64_t>(joined->size), row->request.content_type, "upload", {}};
  completion->given = std::move(options);
  completion->parts = part_count;
  auto done = co_await spaces_.mutate(std::move(actor), found->id, Role::Editor,
                                      [completion, files = &files_](Space& space) { return complete_in(space, files, completion); });
  if (!done) co_return std::unexpected(done.error());
  co_return completion->written;
}

Task<Outcome<void>> BytesService::abort_upload(Actor actor, std::string workspace, std::string upload) {
  if (upload.contains('/')) co_return no_upload();
  const auto id = std::make_shared<const std::string>(std::move(upload));
  auto done = co_await spaces_.mutate(std::move(actor), std::move(workspace), Role::Editor, [id](Space& space) { return abort_in(space, id); });
  if (!done) co_return std::unexpected(done.error());
  co_return Outcome<void>{};
}

}  // namespace mayfly::workspace
