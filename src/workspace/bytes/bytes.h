#pragma once

#include <memory>

#include "net/http_client.h"
#include "workspace/files/files.h"

namespace mayfly::workspace {

struct UploadRequest {
  std::string path;
  std::int64_t size = -1;       ///< -1: not known
  std::string sha256;           ///< expected; empty: none
  std::string content_type;
  WriteOptions options;         ///< checked now and again when it lands; the fence is captured now
  Millis lifetime{24 * 3'600'000};
};
struct Upload {
  std::string id;
  std::string path, content_type, sha256;
  std::int64_t size = -1, received = 0;
  std::int64_t part_bytes = 8 << 20;          ///< advised
  std::vector<std::pair<std::int64_t, std::int64_t>> parts;  ///< [from, to): what is there
  TimePoint expires{};
  std::string state;                          ///< "open", "completed", "aborted"
  std::optional<Written> written;
};

/// A link that works without a key: "/dl/TOKEN" or "/ul/TOKEN". The token is 256 random bits; its hash is stored.
struct SignedLink {
  std::string token;
  std::string path;      ///< of the URL
  TimePoint expires{};
  bool single_use = true;
};

struct Import {
  std::string id, url, path, state;  ///< queued, running, completed, failed, cancelled
  std::int64_t received = 0, size = -1;
  int attempt = 0;
  std::string error;
  TimePoint created{}, updated{};
  std::optional<Written> written;
};

struct BytesDependencies {
  Spaces* spaces = nullptr;
  Files* files = nullptr;
  net::HttpClient* http = nullptr;
  net::EgressPolicy egress;        ///< of imports
  std::string public_url;          ///< for messages only
};

/// Uploads in pieces, links, imports from the web, and the collection of content that nothing names.
class Bytes {
 public:
  virtual ~Bytes() = default;
  virtual Task<Result<void>> open() = 0;  ///< resumes imports; starts the collector
  virtual Task<> stop() = 0;
  virtual void crash() = 0;

  virtual Task<Outcome<Upload>> create_upload(Actor actor, std::string workspace, UploadRequest request) = 0;
  virtual Task<Outcome<Upload>> upload_status(Actor actor, std::string workspace, std::string upload) = 0;
  /// A part that starts at `offset` and was put into the blob store by the edge (Workspaces::blobs); the same bytes again are absorbed, others at a place that is taken are refused (`ws.conflict`). Parts may come in any order.
  virtual Task<Outcome<Upload>> add_part(Actor actor, std::string workspace, std::string upload, std::int64_t offset, BlobWriter::Finished part) = 0;
  /// Joins the parts, checks size and hash, writes the version. Idempotent. Errors: `ws.upload_incomplete` (says what is missing), `ws.hash_mismatch`.
  virtual Task<Outcome<Written>> complete_upload(Actor actor, std::string workspace, std::string upload, WriteOptions options) = 0;
  virtual Task<Outcome<void>> abort_upload(Actor actor, std::string workspace, std::string upload) = 0;

  virtual Task<Outcome<SignedLink>> download_link(Actor actor, std::string workspace, Place place, std::uint64_t version, Millis lifetime, bool single_use) = 0;
  virtual Task<Outcome<SignedLink>> upload_link(Actor actor, std::string workspace, UploadRequest request) = 0;
  struct LinkTarget {
    Actor actor;              ///< acts as who made the link, for this alone
    std::string workspace;
    Node node;                ///< of a download
    FileVersion version;
    UploadRequest upload;     ///< of an upload
  };
  /// Spends a single-use link (in a commit of its own: a second caller is refused). Error: `link.invalid`.
  virtual Task<Outcome<LinkTarget>> follow(std::string token, bool upload) = 0;

  virtual Task<Outcome<Import>> import_url(Actor actor, std::string workspace, std::string url, std::string path, WriteOptions options) = 0;
  virtual Task<Outcome<Import>> import_status(Actor actor, std::string workspace, std::string import) = 0;
  virtual Task<Outcome<std::vector<Import>>> imports(Actor actor, std::string workspace) = 0;
  virtual Task<Outcome<void>> cancel_import(Actor actor, std::string workspace, std::string import) = 0;

  /// Removes blobs that nothing names and that are older than `grace`; safe beside writers. Answer: bytes freed.
  virtual Task<Result<std::int64_t>> collect(Millis grace) = 0;
};

std::unique_ptr<Bytes> make_bytes(BytesDependencies dependencies);

}  // namespace mayfly::workspace
