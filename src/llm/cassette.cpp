#include "llm/cassette.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/hash.h"
#include "llm/llm_error.h"

namespace mayfly::llm {
namespace {

constexpr std::uintmax_t kFileBytesMax = 1024ull * 1024 * 1024;
constexpr std::size_t kShownBytesMax = 120;

std::string shown(const Json& value) {
  const std::string text = to_text(value);
  return text.size() <= kShownBytesMax ? text : to_utf8_lossy(std::string_view(text).substr(0, kShownBytesMax)) + "…";
}

/// RFC 6901 §3.
std::string escaped(std::string_view key) {
  std::string out;
  for (const char c : key) {
    if (c == '~') out += "~0";
    else if (c == '/') out += "~1";
    else out += c;
  }
  return out;
}

std::string difference(const std::string& path, const Json& recorded, const Json& actual);

std::string difference(const std::string& path, const JsonObject& recorded, const JsonObject& actual) {
  for (const auto& [key, value] : recorded) {
    const std::string at = path + "/" + escaped(key);
    const Json* other = get(actual, key);
    if (!other) return fmt::format("{}: recorded {}, now missing", at, shown(value));
    if (auto found = difference(at, value, *other); !found.empty()) return found;
  }
  for (const auto& [key, value] : actual)
    if (!get(recorded, key)) return fmt::format("{}: not recorded, now {}", path + "/" + escaped(key), shown(value));
  return {};
}

std::string difference(const std::string& path, const JsonArray& recorded, const JsonArray& actual) {
  for (std::size_t i = 0; i < std::max(recorded.size(), actual.size()); ++i) {
    const std::string at = fmt::format("{}/{}", path, i);
    if (i >= actual.size()) return fmt::format("{}: recorded {}, now missing", at, shown(recorded[i]));
    if (i >= recorded.size()) return fmt::format("{}: not recorded, now {}", at, shown(actual[i]));
    if (auto found = difference(at, recorded[i], actual[i]); !found.empty()) return found;
  }
  return {};
}

std::string difference(const std::string& path, const Json& recorded, const Json& actual) {
  if (recorded.is_object() && actual.is_object()) return difference(path, recorded.get_object(), actual.get_object());
  if (recorded.is_array() && actual.is_array()) return difference(path, recorded.get_array(), actual.get_array());
  if (recorded == actual) return {};
  return fmt::format("{}: recorded {}, now {}", path.empty() ? "/" : path, shown(recorded), shown(actual));
}

std::string hash_of(const std::string& model, const Json& request) { return sha256_hex(model + "\n" + to_canonical_text(request)); }

std::string to_line(const CassetteEntry& entry) {
  JsonObject out{{"model", entry.model}, {"request", entry.request}};
  if (const JsonObject* result = entry.result.if_object())
    for (const auto& [key, value] : *result) out[key] = value;
  return to_text(out) + "\n";
}

LlmResult result_of(const CassetteEntry& entry) {
  const JsonObject* result = entry.result.if_object();
  if (const Json* error = result ? get(*result, "error") : nullptr) return std::unexpected(llm_error_from_json(*error));
  const Json* response = result ? get(*result, "response") : nullptr;
  auto decoded = response_from_json(response ? *response : Json());
  if (!decoded) return std::unexpected(LlmError{decoded.error(), std::nullopt, 0});
  return std::move(*decoded);
}

}  // namespace

std::string first_difference(const Json& recorded, const Json& actual) { return difference("", recorded, actual); }

Json to_json(const LlmError& error) {
  JsonObject out{{"code", error.error.code},
                 {"message", error.error.message},
                 {"retry", boost::json::string_view(to_string(error.error.retry))},
                 {"status", error.status}};
  if (error.retry_after) out["retry_after_ms"] = error.retry_after->count();
  return out;
}

LlmError llm_error_from_json(const Json& value) {
  LlmError out;
  const JsonObject* object = value.if_object();
  if (!object) return make_error("llm.bad_response", "a stored error must be an object with a `code`", Retry::Never);
  out.error.code = get_string(*object, "code", "llm.bad_response");
  out.error.message = get_string(*object, "message");
  out.error.retry = retry_from_string(get_string(*object, "retry")).value_or(Retry::Never);
  out.status = static_cast<int>(std::clamp<std::int64_t>(get_int(*object, "status"), 0, 999));
  if (const Json* wait = get(*object, "retry_after_ms"); wait && wait->is_number()) out.retry_after = Millis(get_int(*object, "retry_after_ms"));
  return out;
}

std::string to_cassette_text(const std::vector<CassetteEntry>& entries) {
  std::string out;
  for (const CassetteEntry& entry : entries) out += to_line(entry);
  return out;
}

Result<std::vector<CassetteEntry>> parse_cassette(std::string_view text) {
  std::vector<CassetteEntry> out;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const auto json = parse_json(line);
    if (!json) return fail("cassette.invalid", fmt::format("line {} of the cassette is {}; record it again", number, json.error().message));
    const JsonObject* object = json->if_object();
    const Json* request = object ? get(*object, "request") : nullptr;
    const Json* response = object ? get(*object, "response") : nullptr;
    const Json* error = object ? get(*object, "error") : nullptr;
    if (!request || (!response && !error) || get_string(*object, "model").empty())
      return fail("cassette.invalid", fmt::format("line {} of the cassette needs `model`, `request` and `response` or `error`", number));
    JsonObject result;
    result[response ? "response" : "error"] = response ? *response : *error;
    out.push_back({get_string(*object, "model"), *request, std::move(result)});
  }
  return out;
}

Result<std::vector<CassetteEntry>> load_cassette(const std::string& path) {
  std::error_code unreadable;
  const auto size = std::filesystem::file_size(path, unreadable);
  std::ifstream file(path, std::ios::binary);
  if (unreadable || !file) return fail("cassette.invalid", fmt::format("cannot read the cassette `{}`; check its path", path));
  if (size > kFileBytesMax) return fail("cassette.invalid", fmt::format("the cassette `{}` is larger than {} bytes; split it", path, kFileBytesMax));
  return parse_cassette(std::string(std::istreambuf_iterator<char>(file), {}));
}

std::optional<LlmResult> RecordingTap::before(const std::string&, const LlmCall&) { return std::nullopt; }

void RecordingTap::after(const std::string& model, const LlmRequest& request, const LlmResult& result) {
  JsonObject kept;
  if (result) {
    kept["response"] = to_json(*result);
  } else {
    kept["error"] = to_json(result.error());
  }
  CassetteEntry entry{model, to_json(request), std::move(kept)};
  if (path_.empty()) {
    entries_.push_back(std::move(entry));
    return;
  }
  std::ofstream file(path_, std::ios::binary | std::ios::app);
  file << to_line(entry);
  file.flush();
  if (!file) error_ = fail("cassette.write", fmt::format("cannot write the cassette `{}`; check its path and the disk", path_));
}

ReplayTap::ReplayTap(std::vector<CassetteEntry> entries) : entries_(std::move(entries)), used_(entries_.size(), false) {
  for (std::size_t i = entries_.size(); i-- > 0;) by_hash_[hash_of(entries_[i].model, entries_[i].request)].push_back(i);
}

std::optional<LlmResult> ReplayTap::before(const std::string& model, const LlmCall& call) {
  const Json request = to_json(call.request);
  const auto found = by_hash_.find(hash_of(model, request));
  if (found == by_hash_.end() || found->second.empty()) return std::unexpected(mismatch(model, request));
  const std::size_t index = found->second.back();
  found->second.pop_back();
  used_[index] = true;
  return result_of(entries_[index]);
}

std::size_t ReplayTap::unused() const { return static_cast<std::size_t>(std::ranges::count(used_, false)); }

LlmError ReplayTap::mismatch(const std::string& model, const Json& request) const {
  const auto refuse = [](std::string message) { return make_error("llm.cassette_mismatch", std::move(message), Retry::Never); };
  std::optional<std::size_t> next;
  for (std::size_t i = 0; i < entries_.size() && !next; ++i)
    if (!used_[i] && entries_[i].model == model) next = i;
  if (!next) {
    return refuse(fmt::format("the cassette holds no further call to `{}` ({} recorded, {} unused); record it again", model,
                              entries_.size(), unused()));
  }
  const std::string place = first_difference(entries_[*next].request, request);
  return refuse(fmt::format("call to `{}` differs from recorded call {}: {}; record it again if the change is intended", model, *next + 1,
                            place.empty() ? "no difference in JSON" : place));
}

}  // namespace mayfly::llm
