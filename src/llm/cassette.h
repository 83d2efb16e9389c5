#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "llm/gateway.h"

namespace mayfly::llm {

/// One recorded call to one model, retries included.
struct CassetteEntry {
  std::string model;     ///< "provider/model"
  Json request;          ///< to_json(LlmRequest)
  Json result;           ///< {"response": …} or {"error": …}
};

/// JSON lines, one entry each. Error of reading: `cassette.invalid` with the line. Limit: 1 GiB, 64 MiB a line.
std::string to_cassette_text(const std::vector<CassetteEntry>& entries);
Result<std::vector<CassetteEntry>> parse_cassette(std::string_view text);
Result<std::vector<CassetteEntry>> load_cassette(const std::string& path);

Json to_json(const LlmError& error);
LlmError llm_error_from_json(const Json& value);

/// "/messages/2/content/0/text: recorded \"a\", now \"b\"": the first place, in the recorded order, where two values differ.
/// Empty when they are equal.
std::string first_difference(const Json& recorded, const Json& actual);

/// Keeps every call that really went to a provider. With a path each entry is appended to the file at once; `error()` says when
/// that failed.
class RecordingTap final : public LlmTap {
 public:
  RecordingTap() = default;
  explicit RecordingTap(std::string path) : path_(std::move(path)) {}
  std::optional<LlmResult> before(const std::string& model, const LlmCall& call) override;
  void after(const std::string& model, const LlmRequest& request, const LlmResult& result) override;
  const std::vector<CassetteEntry>& entries() const { return entries_; }
  const Result<void>& error() const { return error_; }

 private:
  std::string path_;
  std::vector<CassetteEntry> entries_;   ///< stays empty with a path
  Result<void> error_;
};

/// Answers every call from a cassette and never lets one through. Calls may come in any order; equal requests get their recorded
/// answers in the recorded order. Otherwise the call fails with `llm.cassette_mismatch`, which names the first difference from the
/// next recorded request of that model.
class ReplayTap final : public LlmTap {
 public:
  explicit ReplayTap(std::vector<CassetteEntry> entries);
  std::optional<LlmResult> before(const std::string& model, const LlmCall& call) override;
  void after(const std::string&, const LlmRequest&, const LlmResult&) override {}
  /// Recorded calls that nobody made.
  std::size_t unused() const;

 private:
  LlmError mismatch(const std::string& model, const Json& request) const;

  std::vector<CassetteEntry> entries_;
  std::vector<bool> used_;
  std::map<std::string, std::vector<std::size_t>, std::less<>> by_hash_;   ///< entries in reverse order
};

}  // namespace mayfly::llm
