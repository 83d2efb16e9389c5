#include "workspace/bytes/upload_steps.h"

#include <fmt/format.h>

#include <charconv>

namespace mayfly::workspace {
namespace {

constexpr std::size_t kUploadsMax = 200;
constexpr std::size_t kPartsErased = 30;

std::unexpected<Refusal> invalid(std::string message) { return refuse("ws.invalid", std::move(message)); }

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

std::unexpected<Refusal> taken(std::int64_t from, std::int64_t to) {
  return refuse("ws.conflict",
                fmt::format("bytes {} to {} are there already with other content; ask for the upload's status, or abort it", from, to - 1));
}

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

}  // namespace

std::unexpected<Refusal> no_upload() {
  return refuse("ws.not_found", "there is no such upload in this workspace, or it has expired; create a new one");
}

Task<Outcome<std::vector<UploadPart>>> read_parts(Transaction& rows, std::string prefix) {
  auto found = co_await rows.scan(KeyRange::prefix(prefix), static_cast<std::size_t>(kUploadPartsMax));
  if (!found) co_return std::unexpected(Refusal(found.error()));
  std::vector<UploadPart> out;
  for (const auto& row : *found) {
    auto part = part_of(row);
    if (!part) co_return std::unexpected(part.error());
    out.push_back(*std::move(part));
  }
  co_return out;
}

Task<Outcome<UploadRow>> read_upload(Transaction& rows, std::string key) {
  auto record = co_await read_object(rows, std::move(key));
  if (!record) co_return std::unexpected(record.error());
  if (!*record) co_return no_upload();
  co_return upload_from_record(**record);
}

Task<Outcome<Json>> create_upload_in(Space& space, Files* files, std::shared_ptr<UploadCreation> creation) {
  UploadRequest& request = creation->row.request;
  const Quota& quota = space.workspace().quota;
  if (request.size > quota.file_bytes)
    co_return refuse("ws.quota",
                     fmt::format("a file of this workspace has at most {} bytes; this one would have {}", quota.file_bytes, request.size),
                     {{"quota", "file_bytes"}, {"limit", quota.file_bytes}, {"used", 0}, {"asked", request.size}});
  if (request.size > 0 && space.usage().bytes + request.size > quota.bytes)
    co_return refuse(
        "ws.quota",
        fmt::format("the workspace may hold {} bytes and holds {}; remove versions or ask for more", quota.bytes, space.usage().bytes),
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

Task<Outcome<Json>> add_part_in(Space& space, std::shared_ptr<const PartAddition> addition) {
  const UploadPart& part = addition->part;
  const std::int64_t end = part.from + part.size;
  const std::string key = space.row('u', addition->id);
  auto row = co_await read_upload(space.rows(), key);
  if (!row) co_return std::unexpected(row.error());
  if (space.now() >= row->expires) co_return no_upload();
  if (row->state != "open") co_return refuse("ws.conflict", "the upload is " + row->state + " and takes no more parts");
  const Quota& quota = space.workspace().quota;
  if (row->request.size >= 0 && end > row->request.size)
    co_return invalid(fmt::format("the part ends at {}, but the upload has {} bytes", end, row->request.size));
  if (end > quota.file_bytes)
    co_return refuse("ws.quota", fmt::format("a file of this workspace has at most {} bytes", quota.file_bytes),
                     {{"quota", "file_bytes"}, {"limit", quota.file_bytes}, {"used", row->received}, {"asked", end}});
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
  if (row->parts >= kUploadPartsMax) co_return invalid("an upload has at most 10000 parts; send larger ones");
  if (space.usage().bytes + row->received + part.size > quota.bytes)
    co_return refuse("ws.quota", fmt::format("the workspace may hold {} bytes; remove versions or ask for more", quota.bytes),
                     {{"quota", "bytes"}, {"limit", quota.bytes}, {"used", space.usage().bytes}, {"asked", row->received + part.size}});
  row->received += part.size;
  ++row->parts;
  space.rows().put(space.row('u', part_row(addition->id, part.from)), to_text(to_record(part)));
  space.rows().put(key, to_text(to_record(*row)));
  co_return Json(nullptr);
}

Task<Outcome<Json>> complete_upload_in(Space& space, Files* files, std::shared_ptr<UploadCompletion> completion) {
  const std::string key = space.row('u', completion->id);
  auto row = co_await read_upload(space.rows(), key);
  if (!row) co_return std::unexpected(row.error());
  if (row->state == "completed" && row->written) {
    completion->written = *row->written;
    co_return Json(nullptr);
  }
  if (row->state != "open" || space.now() >= row->expires) co_return no_upload();
  if (row->parts != completion->parts)
    co_return refuse("ws.busy", "a part came while the upload was completed; complete it again", {}, Retry::Safe);
  auto written = co_await files->put_in(space, Place::at(row->request.path), completion->content,
                                        merged(row->request.options, completion->given, completion->id));
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

Task<Outcome<Json>> abort_upload_in(Space& space, std::shared_ptr<const std::string> id) {
  const std::string key = space.row('u', *id);
  auto row = co_await read_upload(space.rows(), key);
  if (!row) co_return std::unexpected(row.error());
  if (row->state == "completed")
    co_return refuse("ws.conflict", "the upload is completed; delete the file, or restore an earlier version of it");
  row->state = "aborted";
  auto parts = co_await space.rows().scan(KeyRange::prefix(space.prefix('u', *id)), kPartsErased);
  if (!parts) co_return std::unexpected(Refusal(parts.error()));
  for (const auto& [part, value] : *parts) space.rows().erase(part);
  space.rows().put(key, to_text(to_record(*row)));
  co_return Json(nullptr);
}

}  // namespace mayfly::workspace
