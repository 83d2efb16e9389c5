#include "net/sigv4_canonical.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/hash.h"
#include "base/id.h"

namespace mayfly::net::sigv4 {
namespace {

bool is_unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~';
}

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::string encode_path(std::string_view path) {
  std::string out;
  for (const char c : path) {
    if (c == '/' || is_unreserved(c)) {
      out += c;
    } else {
      out += encode(std::string_view(&c, 1));
    }
  }
  return out;
}

std::string decode(std::string_view text) {
  auto decoded = percent_decode(text, false);
  return decoded ? std::move(*decoded) : std::string(text);
}

/// An encoded slash stays one.
std::string encode_segments(std::string_view path) {
  std::string out;
  bool is_first = true;
  for (const std::string& segment : split(path, '/')) {
    if (!std::exchange(is_first, false)) out += '/';
    out += encode(decode(segment));
  }
  return out;
}

/// RFC 3986 §5.2.4, and no empty segments.
std::string without_dot_segments(std::string_view path) {
  std::vector<std::string_view> kept;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view segment = path.substr(at, end - at);
    if (segment == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (!segment.empty() && segment != ".") {
      kept.push_back(segment);
    }
    at = end + 1;
  }
  std::string out;
  for (const auto segment : kept) out.append("/").append(segment);
  if (out.empty() || path.ends_with('/')) out += '/';
  return out;
}

/// `text` begins with digits; they are removed.
std::optional<int> take_number(std::string_view& text, std::size_t digits) {
  int number = 0;
  if (text.size() < digits) return std::nullopt;
  for (const char c : text.substr(0, digits)) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  text.remove_prefix(digits);
  return number;
}

std::optional<TimePoint> to_time(std::optional<int> year, std::optional<int> month, std::optional<int> day, std::optional<int> hour,
                                 std::optional<int> minute, std::optional<int> second) {
  if (!year || !month || !day || !hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok()) return std::nullopt;
  return TimePoint(std::chrono::sys_days(date)) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) + std::chrono::seconds(*second);
}

/// "Mon, 09 Sep 2011 23:36:00 GMT", also with -0000 or +0000 as mail libraries write it.
std::optional<TimePoint> parse_mail_date(std::string_view text) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.size() < 29 || text.substr(3, 2) != ", ") return std::nullopt;
  text.remove_prefix(5);
  const auto day = take_number(text, 2);
  if (text.size() < 5 || text[0] != ' ' || text[4] != ' ') return std::nullopt;
  const auto month = kMonths.find(text.substr(1, 3));
  if (month == std::string_view::npos || month % 3 != 0) return std::nullopt;
  text.remove_prefix(5);
  const auto year = take_number(text, 4);
  const auto skip = [&text](char c) { return text.starts_with(c) ? text.remove_prefix(1) : void(text = {}); };
  skip(' ');
  const auto hour = take_number(text, 2);
  skip(':');
  const auto minute = take_number(text, 2);
  skip(':');
  const auto second = take_number(text, 2);
  if (text != " GMT" && text != " -0000" && text != " +0000") return std::nullopt;
  return to_time(year, static_cast<int>(month / 3) + 1, day, hour, minute, second);
}

}  // namespace

std::string encode(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_unreserved(c)) {
      out += c;
    } else {
      out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return out;
}

Parameters decode_query(std::string_view query) {
  Parameters out;
  for (const std::string& part : split(query, '&')) {
    if (part.empty()) continue;
    const auto equals = std::min(part.find('='), part.size());
    out.emplace_back(decode(std::string_view(part).substr(0, equals)),
                     equals == part.size() ? std::string() : decode(std::string_view(part).substr(equals + 1)));
  }
  return out;
}

std::string canonical_path(std::string_view path, SigV4Path how, std::string_view service) {
  if (path.empty()) return "/";
  if (how == SigV4Path::ByService) how = service == "s3" ? SigV4Path::AsSent : SigV4Path::Normalized;
  switch (how) {
    case SigV4Path::AsSent: return encode_segments(path);
    case SigV4Path::Encoded: return encode_path(path);
    case SigV4Path::ByService:
    case SigV4Path::Normalized: break;
  }
  return encode_path(without_dot_segments(path));
}

std::string scope_of(std::string_view date, std::string_view region, std::string_view service) {
  return fmt::format("{}/{}/{}/{}", date, region, service, kTerminator);
}

bool is_presigned(const Parameters& parameters) {
  return std::any_of(parameters.begin(), parameters.end(), [](const auto& parameter) { return parameter.first == "X-Amz-Algorithm"; });
}

std::string canonical_query(const Parameters& parameters) {
  Parameters encoded;
  encoded.reserve(parameters.size());
  for (const auto& [name, value] : parameters) encoded.emplace_back(encode(name), encode(value));
  std::sort(encoded.begin(), encoded.end());
  std::string out;
  for (const auto& [name, value] : encoded) {
    if (!out.empty()) out += '&';
    out.append(name).append("=").append(value);
  }
  return out;
}

std::string canonical_value(const Headers& headers, std::string_view name) {
  std::string out;
  bool is_first = true;
  for (const auto& [field, value] : headers) {
    if (!equal_ignoring_case(field, name)) continue;
    if (!std::exchange(is_first, false)) out += ',';
    const std::size_t start = out.size();
    bool owes_space = false;
    for (const char c : value) {
      if (is_space(c)) {
        owes_space = out.size() > start;
        continue;
      }
      if (std::exchange(owes_space, false)) out += ' ';
      out += c;
    }
  }
  return out;
}

std::string signature_of(const Canonical& what, std::string_view secret) {
  std::string text = fmt::format("{}\n{}\n{}\n", what.method, what.path, what.query);
  for (const std::string& name : split(what.signed_headers, ';')) {
    text.append(name).append(":").append(canonical_value(what.headers, name)).append("\n");
  }
  text.append("\n").append(what.signed_headers).append("\n").append(what.payload_hash);
  const std::string to_sign = fmt::format("{}\n{}\n{}\n{}", kAlgorithm, what.timestamp, what.scope, sha256_hex(text));
  std::string key = fmt::format("AWS4{}", secret);
  for (const std::string& part : split(what.scope, '/')) key = hmac_sha256(key, part);
  return to_hex(hmac_sha256(key, to_sign));
}

std::string to_timestamp(TimePoint time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time - day).count();
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()), seconds / 3600, seconds / 60 % 60, seconds % 60);
}

std::optional<TimePoint> parse_timestamp(std::string_view text) {
  if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return parse_mail_date(text);
  const auto year = take_number(text, 4), month = take_number(text, 2), day = take_number(text, 2);
  if (!day) return std::nullopt;
  text.remove_prefix(1);
  const auto hour = take_number(text, 2), minute = take_number(text, 2), second = take_number(text, 2);
  return to_time(year, month, day, hour, minute, second);
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(separator, at), text.size());
    out.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

}  // namespace mayfly::net::sigv4
