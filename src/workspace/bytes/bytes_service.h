#pragma once

#include <deque>
#include <map>
#include <set>

#include "workspace/bytes/bytes_rows.h"

namespace mayfly::workspace {

class BytesService final : public Bytes {
 public:
  explicit BytesService(BytesDependencies deps);
  ~BytesService() override;

  Task<Result<void>> open() override;
  Task<> stop() override;
  void crash() override;

  Task<Outcome<Upload>> create_upload(Actor actor, std::string workspace, UploadRequest request) override;
  Task<Outcome<Upload>> upload_status(Actor actor, std::string workspace, std::string upload) override;
  Task<Outcome<Upload>> add_part(Actor actor, std::string workspace, std::string upload, std::int64_t offset,
                                 BlobWriter::Finished part) override;
  Task<Outcome<Written>> complete_upload(Actor actor, std::string workspace, std::string upload, WriteOptions options) override;
  Task<Outcome<void>> abort_upload(Actor actor, std::string workspace, std::string upload) override;

  Task<Outcome<SignedLink>> download_link(Actor actor, std::string workspace, Place place, std::uint64_t version, Millis lifetime,
                                          bool single_use) override;
  Task<Outcome<SignedLink>> upload_link(Actor actor, std::string workspace, UploadRequest request) override;
  Task<Outcome<LinkTarget>> follow(std::string token, bool upload) override;

  Task<Outcome<Import>> import_url(Actor actor, std::string workspace, std::string url, std::string path, WriteOptions options) override;
  Task<Outcome<Import>> import_status(Actor actor, std::string workspace, std::string import) override;
  Task<Outcome<std::vector<Import>>> imports(Actor actor, std::string workspace) override;
  Task<Outcome<void>> cancel_import(Actor actor, std::string workspace, std::string import) override;

  Task<Result<std::int64_t>> collect(Millis grace) override;

 private:
  struct Running {
    std::string workspace;
    CancelSource cancel;
    std::int64_t received = 0, size = -1;
  };
  struct Fetched {
    BlobWriter::Finished blob;
    std::string content_type;
  };

  Task<Outcome<void>> check_target(Actor actor, std::string workspace, UploadRequest* request);
  Task<Outcome<BlobWriter::Finished>> join(std::vector<UploadPart> parts, std::int64_t bytes_max);

  // Imports (imports.cpp, fetch.cpp).
  void start_imports();
  Task<> run_import(std::string workspace, std::string id);
  Task<Result<void>> import_once(std::string workspace, std::string id, std::shared_ptr<Running> running);
  Task<Result<Fetched>> fetch(std::string url, std::int64_t bytes_max, std::shared_ptr<Running> running);
  Task<Outcome<ImportRow>> read_import(std::string workspace, std::string id);
  Task<Outcome<Json>> update_import(std::string workspace, std::string id, std::string state, int attempt, std::string error);

  // Looking after (care.cpp).
  void arm_care();
  Task<> care();
  Task<Result<void>> clean(std::string workspace);
  Task<Result<void>> gather(std::function<void(std::string_view)> found);

  std::string make_id(std::string_view prefix);
  keys::Partition partition_of(const std::string& workspace) const { return spaces_.partition_of(workspace); }

  BytesDependencies deps_;
  Spaces& spaces_;
  Files& files_;
  BlobStore& blobs_;
  Clock& clock_;
  Random& random_;
  TaskGroup tasks_;
  CancelSource stopping_;
  std::unique_ptr<Clock::Timer> timer_;
  bool is_open_ = false;
  bool is_collecting_ = false;

  std::deque<std::pair<std::string, std::string>> queued_;  ///< imports: workspace, id
  std::map<std::string, std::shared_ptr<Running>> running_;
};

}  // namespace mayfly::workspace
