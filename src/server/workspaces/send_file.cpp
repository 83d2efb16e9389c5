#include "server/workspaces/send_file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

#include "base/log.h"
#include "net/response_head.h"

namespace mayfly {
namespace {

constexpr std::size_t kPieceBytes = 256 * 1024;

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size() || out < 0) return std::nullopt;
  return out;
}

std::string tag_of(const std::string& etag) { return "\"" + etag + "\""; }

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

enum class Comparison { Strong, Weak };
bool lists_tag(std::string_view list, const std::string& etag, Comparison comparison) {
  if (trimmed(list) == "*") return true;
  while (!list.empty()) {
    const auto end = std::min(list.find(','), list.size());
    std::string_view item = trimmed(list.substr(0, end));
    if (comparison == Comparison::Weak && item.starts_with("W/")) item.remove_prefix(2);
    if (item == tag_of(etag)) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

/// Dates have whole seconds.
TimePoint in_seconds(TimePoint time) { return TimePoint(std::chrono::floor<std::chrono::seconds>(time.time_since_epoch())); }

/// 0: go on (RFC 9110 §13.2.2).
int judge(const net::Headers& headers, const SentFile& file) {
  if (const auto match = headers.find("if-match")) {
    if (!lists_tag(*match, file.etag, Comparison::Strong)) return 412;
  } else if (const auto since = headers.find("if-unmodified-since")) {
    if (const auto time = parse_http_date(*since); time && in_seconds(file.modified) > *time) return 412;
  }
  if (const auto none = headers.find("if-none-match")) return lists_tag(*none, file.etag, Comparison::Weak) ? 304 : 0;
  if (const auto since = headers.find("if-modified-since"))
    if (const auto time = parse_http_date(*since); time && in_seconds(file.modified) <= *time) return 304;
  return 0;
}

std::optional<ByteRange> wanted_range(const net::Headers& headers, const SentFile& file) {
  const auto range = headers.find("range");
  if (!range) return std::nullopt;
  if (const auto condition = headers.find("if-range")) {
    const auto time = parse_http_date(*condition);
    const bool holds = time ? in_seconds(file.modified) == *time : *condition == tag_of(file.etag);
    if (!holds) return std::nullopt;
  }
  return read_range(*range, file.size);
}

net::Headers fields_of(const SentFile& file) {
  net::Headers out = file.headers;
  out.set("ETag", tag_of(file.etag));
  out.set("Last-Modified", to_http_date(file.modified));
  out.set("Accept-Ranges", "bytes");
  out.set("Cache-Control", "private, no-cache");
  out.set("Content-Security-Policy", "sandbox; default-src 'none'");
  return out;
}

}  // namespace

std::string to_http_date(TimePoint time) { return net::to_imf_date(time); }

std::optional<TimePoint> parse_http_date(std::string_view text) {
  std::tm parts{};
  const std::string terminated(text);
  const char* end = ::strptime(terminated.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (!end || *end != '\0') return std::nullopt;
  return TimePoint(std::chrono::seconds(::timegm(&parts)));
}

std::optional<ByteRange> read_range(std::string_view header, std::int64_t size) {
  constexpr std::string_view kUnit = "bytes=";
  if (!header.starts_with(kUnit)) return std::nullopt;
  header = trimmed(header.substr(kUnit.size()));
  const auto dash = header.find('-');
  if (dash == std::string_view::npos || header.find(',') != std::string_view::npos) return std::nullopt;
  const auto first = parse_number(header.substr(0, dash)), last = parse_number(header.substr(dash + 1));
  if (dash == 0) {
    if (!last) return std::nullopt;
    return ByteRange{std::max<std::int64_t>(0, size - *last), size - 1, *last > 0 && size > 0};
  }
  const bool has_end = dash + 1 < header.size();
  if (!first || (has_end && !last) || (has_end && *last < *first)) return std::nullopt;
  return ByteRange{*first, has_end ? std::min(*last, size - 1) : size - 1, *first < size};
}

Task<Result<void>> send_file(BlobStore* blobs, Call* call, SentFile file) {
  const net::Headers& asked = call->request.headers;
  net::Headers fields = fields_of(file);
  if (const int status = judge(asked, file)) {
    co_await call->responder.send({status, std::move(fields), {}});
    co_return Result<void>{};
  }
  const auto range = wanted_range(asked, file);
  if (range && !range->is_satisfiable) {
    fields.set("Content-Range", "bytes */" + std::to_string(file.size));
    co_await call->responder.send({416, std::move(fields), {}});
    co_return Result<void>{};
  }
  auto reader = co_await blobs->open(file.hash);
  if (!reader) co_return fail(reader.error());
  fields.set("Content-Type", file.content_type.empty() ? "application/octet-stream" : file.content_type);
  std::int64_t at = range ? range->first : 0;
  const std::int64_t end = range ? range->last + 1 : file.size;
  if (range) fields.set("Content-Range", "bytes " + std::to_string(at) + "-" + std::to_string(end - 1) + "/" + std::to_string(file.size));
  fields.set("Content-Length", std::to_string(end - at));
  if (call->request.method == "HEAD") {
    co_await call->responder.send({range ? 206 : 200, std::move(fields), {}});
    co_return Result<void>{};
  }
  bool goes_on = co_await call->responder.start(range ? 206 : 200, std::move(fields));
  while (goes_on && at < end) {
    auto piece = co_await (*reader)->read(static_cast<std::uint64_t>(at), static_cast<std::size_t>(std::min<std::int64_t>(kPieceBytes, end - at)));
    if (!piece || piece->empty()) {
      // Too late for an answer: the connection ends early, so that the client sees that bytes are missing.
      log::error("a file could not be read to its end", {{"hash", file.hash}, {"error", piece ? "it is too short" : piece.error().message}});
      co_return Result<void>{};
    }
    at += static_cast<std::int64_t>(piece->size());
    goes_on = co_await call->responder.write(std::move(*piece));
  }
  if (goes_on) co_await call->responder.finish();
  co_return Result<void>{};
}

}  // namespace mayfly
