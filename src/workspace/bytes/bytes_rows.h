#pragma once

#include "workspace/bytes/bytes.h"

/// How uploads, links and imports lie in their rows.
namespace mayfly::workspace {

JsonObject to_record(const WriteOptions& options);
WriteOptions options_from_record(const JsonObject& record);

JsonObject to_record(const Written& written);
Written written_from_record(const JsonObject& record);

JsonObject to_record(const UploadRequest& request);
UploadRequest request_from_record(const JsonObject& record);

struct UploadRow {
  UploadRequest request;  ///< with the captured fence
  std::string state = "open";
  std::int64_t received = 0, parts = 0;
  TimePoint expires{};
  std::optional<Written> written;
};
JsonObject to_record(const UploadRow& row);
UploadRow upload_from_record(const JsonObject& record);

struct UploadPart {
  std::int64_t from = 0, size = 0;
  std::string hash;
};
JsonObject to_record(const UploadPart& part);
UploadPart part_from_record(std::int64_t from, const JsonObject& record);

struct LinkRow {
  Actor maker;
  bool upload = false, single_use = true;
  std::string node;           ///< of a download
  std::uint64_t version = 0;  ///< 0: the newest
  UploadRequest request;      ///< of an upload
  std::string token_hash;
  TimePoint expires{};
};
JsonObject to_record(const LinkRow& row);
LinkRow link_from_record(const JsonObject& record);

struct ImportRow {
  Import import;
  Actor actor;
  WriteOptions options;
};
JsonObject to_record(const ImportRow& row);
ImportRow import_from_record(std::string id, const JsonObject& record);
bool is_under_way(const Import& import);

}  // namespace mayfly::workspace
