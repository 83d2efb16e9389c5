#include <fmt/format.h>

#include <algorithm>

#include "workspace/bytes/bytes_service.h"
#include "workspace/bytes/upload_steps.h"
#include "workspace/paths.h"

namespace mayfly::workspace {
namespace {

constexpr Millis kLifetimeMin{60'000};
constexpr Millis kLifetimeMax{7LL * 86'400'000};
constexpr std::size_t kJoinBytes = 1 << 20;
constexpr std::size_t kMissingShown = 10;

std::unexpected<Refusal> invalid(std::string message) { return refuse("ws.invalid", std::move(message)); }

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
  return refuse("ws.upload_incomplete", "bytes " + text + " are missing; send them, then complete the upload again",
                {{"missing", std::move(list)}});
}

}  // namespace

/// What can be known now: a write that is refused already need not send its bytes first.
Task<Outcome<void>> BytesService::check_target(Actor actor, std::string workspace, UploadRequest* request) {
  auto path = normal_path(request->path);
  if (!path) co_return std::unexpected(path.error());
  if (*path == "/") co_return refuse("ws.is_folder", "the path names the workspace itself; add a file's name");
  request->path = *std::move(path);
  if (!request->sha256.empty()) {
    std::ranges::transform(request->sha256, request->sha256.begin(),
                           [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c; });
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
    co_return refuse(
        "ws.conflict", "the file was changed meanwhile; read it again and give its new etag",
        {{"etag", node->etag}, {"version", node->version}, {"author", node->modified_by}, {"modified_at", to_rfc3339(node->modified)}});
  if (when.fence && *when.fence != node->fence)
    co_return refuse("ws.lock_lost", "the file's fence has moved on; take a lock again", {{"fence", node->fence}, {"given", *when.fence}});
  if (!when.lock_token.empty()) co_return Outcome<void>{};
  auto status = co_await files_.locks(actor, workspace, Place::of(node->id));
  if (!status) co_return std::unexpected(status.error());
  for (const Lock& lock : status->locks) {
    if (lock.holder == actor.id || lock.expires <= clock_.now()) continue;
    const auto wait = std::max<std::int64_t>((lock.expires - clock_.now()).count(), 0);
    co_return refuse("ws.locked",
                     lock.holder_label + " has locked " + lock.path + " until " + to_rfc3339(lock.expires) + "; wait, or write elsewhere",
                     {{"holder", lock.holder_label},
                      {"mode", lock.mode == LockMode::Shared ? "shared" : "exclusive"},
                      {"expires_at", to_rfc3339(lock.expires)},
                      {"retry_after_ms", wait},
                      {"node", lock.node},
                      {"path", lock.path}},
                     Retry::Safe);
  }
  co_return Outcome<void>{};
}

Task<Outcome<Upload>> BytesService::create_upload(Actor actor, std::string workspace, UploadRequest request) {
  auto found = spaces_.find(actor, workspace, Role::Editor);
  if (!found) co_return std::unexpected(found.error());
  if (auto valid = co_await check_target(actor, found->id, &request); !valid) co_return std::unexpected(valid.error());
  const auto creation = std::make_shared<UploadCreation>();
  creation->id = make_id("up_");
  creation->row.request = std::move(request);
  auto done = co_await spaces_.mutate(std::move(actor), found->id, Role::Editor,
                                      [creation, files = &files_](Space& space) { return create_upload_in(space, files, creation); });
  if (!done) co_return std::unexpected(done.error());
  co_return shown(creation->id, creation->row, {});
}

Task<Outcome<Upload>> BytesService::upload_status(Actor actor, std::string workspace, std::string upload) {
  auto found = spaces_.find(actor, workspace, Role::Viewer);
  if (!found) co_return std::unexpected(found.error());
  const auto rows = spaces_.read();
  const keys::Partition partition = partition_of(found->id);
  if (upload.contains('/')) co_return no_upload();
  auto row = co_await read_upload(*rows, keys::row(partition, found->id, 'u', upload));
  if (!row) co_return std::unexpected(row.error());
  if (clock_.now() >= row->expires) co_return no_upload();
  auto parts = co_await read_parts(*rows, keys::prefix(partition, found->id, 'u', upload));
  if (!parts) co_return std::unexpected(parts.error());
  co_return shown(upload, *row, *parts);
}

Task<Outcome<Upload>> BytesService::add_part(Actor actor, std::string workspace, std::string upload, std::int64_t offset,
                                             BlobWriter::Finished part) {
  if (offset < 0 || offset > (1LL << 50) || part.size > (1ULL << 50))
    co_return invalid("a part's offset is 0 or more, and within the file");
  if (upload.contains('/')) co_return no_upload();
  const auto addition = std::make_shared<PartAddition>();
  addition->id = upload;
  addition->part = {offset, static_cast<std::int64_t>(part.size), part.hash};
  auto done = co_await spaces_.mutate(actor, workspace, Role::Editor, [addition](Space& space) { return add_part_in(space, addition); });
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
  auto row = co_await read_upload(*rows, keys::row(partition, found->id, 'u', upload));
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
    co_return refuse("ws.hash_mismatch",
                     "the content's SHA-256 is " + joined->hash + " and not the one given; abort the upload and send it again",
                     {{"sha256", joined->hash}, {"expected", row->request.sha256}});
  const auto completion = std::make_shared<UploadCompletion>();
  completion->id = std::move(upload);
  completion->content = {joined->hash, static_cast<std::int64_t>(joined->size), row->request.content_type, "upload", {}};
  completion->given = std::move(options);
  completion->parts = part_count;
  auto done = co_await spaces_.mutate(std::move(actor), found->id, Role::Editor,
                                      [completion, files = &files_](Space& space) { return complete_upload_in(space, files, completion); });
  if (!done) co_return std::unexpected(done.error());
  co_return completion->written;
}

Task<Outcome<void>> BytesService::abort_upload(Actor actor, std::string workspace, std::string upload) {
  if (upload.contains('/')) co_return no_upload();
  const auto id = std::make_shared<const std::string>(std::move(upload));
  auto done = co_await spaces_.mutate(std::move(actor), std::move(workspace), Role::Editor,
                                      [id](Space& space) { return abort_upload_in(space, id); });
  if (!done) co_return std::unexpected(done.error());
  co_return Outcome<void>{};
}

}  // namespace mayfly::workspace
