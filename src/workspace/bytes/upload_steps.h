#pragma once

#include "workspace/bytes/bytes_rows.h"
#include "workspace/bytes/link_token.h"

/// What uploads do inside a workspace's commits.
namespace mayfly::workspace {

inline constexpr std::int64_t kUploadPartsMax = 10'000;

std::unexpected<Refusal> no_upload();
Task<Outcome<UploadRow>> read_upload(Transaction& rows, std::string key);
Task<Outcome<std::vector<UploadPart>>> read_parts(Transaction& rows, std::string prefix);

struct UploadCreation {
  std::string id;
  UploadRow row;
};
/// Captures the fence.
Task<Outcome<Json>> create_upload_in(Space& space, Files* files, std::shared_ptr<UploadCreation> creation);

struct PartAddition {
  std::string id;
  UploadPart part;
};
Task<Outcome<Json>> add_part_in(Space& space, std::shared_ptr<const PartAddition> addition);

struct UploadCompletion {
  std::string id;
  Content content;
  WriteOptions given;
  std::int64_t parts = 0;  ///< of which `content` was made
  Written written;
};
/// The version, the end of the session and the event. Done again it answers what was done.
Task<Outcome<Json>> complete_upload_in(Space& space, Files* files, std::shared_ptr<UploadCompletion> completion);
Task<Outcome<Json>> abort_upload_in(Space& space, std::shared_ptr<const std::string> id);

}  // namespace mayfly::workspace
