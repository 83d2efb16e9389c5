#pragma once

#include "server/router.h"

namespace mayfly {

/// Content that is to be sent as the answer to a GET or HEAD.
struct SentFile {
  std::string hash;  ///< in the blob store
  std::string etag;  ///< without quotes
  std::string content_type;
  std::int64_t size = 0;
  TimePoint modified{};
  net::Headers headers;  ///< more fields of the answer
};

/// Answers with the file, in bounded memory: conditions (RFC 9110 §13: 304, 412), one range (206, 416; several ranges get the whole), If-Range.
/// Active content is told to run nothing (Content-Security-Policy: sandbox). An error only before anything was sent: that the bytes are not there.
Task<Result<void>> send_file(BlobStore* blobs, Call* call, SentFile file);

/// The bytes [first, last] of `Range: bytes=…`; `is_satisfiable` false: 416. Nothing: no range, several, or one to be ignored.
struct ByteRange {
  std::int64_t first = 0, last = -1;
  bool is_satisfiable = true;
};
std::optional<ByteRange> read_range(std::string_view header, std::int64_t size);
/// "Tue, 24 Nov 2026 02:00:00 GMT" and back.
std::string to_http_date(TimePoint time);
std::optional<TimePoint> parse_http_date(std::string_view text);

}  // namespace mayfly
