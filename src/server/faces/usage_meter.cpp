#include "server/faces/usage_meter.h"

#include <algorithm>

#include "server/faces/openai_common.h"

namespace mayfly::faces {
namespace {

constexpr std::string_view kPrefix = "meta/usage/";
constexpr std::size_t kModelsMax = 500;  // of one row; further ones are counted together
constexpr std::string_view kOtherModels = "(others)";
constexpr int kAttempts = 5;

JsonObject to_row(const UsageMeter::Amount& amount) {
  return {{"calls", amount.calls}, {"failures", amount.failures}, {"usage", llm::to_json(amount.usage)}, {"cost", amount.cost}};
}

UsageMeter::Amount from_row(const JsonObject& object) {
  UsageMeter::Amount out{get_int(object, "calls"), get_int(object, "failures"), {}, get_int(object, "cost")};
  if (const Json* usage = get(object, "usage")) out.usage = llm::usage_from_json(*usage);
  return out;
}

JsonObject view(const UsageMeter::Amount& amount) {
  return {{"calls", amount.calls},
          {"failures", amount.failures},
          {"input_tokens", amount.usage.input},
          {"cache_read_tokens", amount.usage.cache_read},
          {"cache_write_tokens", amount.usage.cache_write},
          {"output_tokens", amount.usage.output},
          {"cost_usd", static_cast<double>(amount.cost) / 1e9}};
}

}  // namespace

UsageMeter::Amount& UsageMeter::Amount::operator+=(const Amount& other) {
  calls += other.calls;
  failures += other.failures;
  usage += other.usage;
  cost += other.cost;
  return *this;
}

bool UsageMeter::add(const std::string& key_id, const std::string& model, const Amount& amount) {
  const bool was_empty = waiting_.empty();
  const std::string month = to_rfc3339(clock_.now()).substr(0, 7);
  Row& row = waiting_[std::string(kPrefix) + key_id + "/" + month];
  const bool fits = row.contains(model) || row.size() < kModelsMax;
  row[fits ? model : std::string(kOtherModels)] += amount;
  return was_empty;
}

void UsageMeter::put_back(const std::string& key, const Row& row) {
  for (const auto& [model, amount] : row) waiting_[key][model] += amount;
}

Task<Result<void>> UsageMeter::flush() {
  auto rows = std::exchange(waiting_, {});
  Result<void> out;
  for (auto& [key, row] : rows) {
    if (out) out = co_await write(key, row);
    // What may have been written is not added twice.
    if (!out && out.error().retry != Retry::OutcomeUnknown) put_back(key, row);
  }
  co_return out;
}

Task<Result<void>> UsageMeter::write(std::string key, Row row) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    auto found = co_await store_.get(key);
    if (!found) co_return fail(found.error());
    JsonObject stored;
    if (*found)
      if (auto parsed = parse_json((*found)->value); parsed && parsed->is_object()) stored = std::move(parsed->as_object());
    for (const auto& [model, amount] : row) {
      const bool fits = stored.contains(model) || stored.size() < kModelsMax;
      Json& entry = stored[fits ? boost::json::string_view(model) : boost::json::string_view(kOtherModels)];
      Amount sum = entry.is_object() ? from_row(entry.get_object()) : Amount{};
      sum += amount;
      entry = to_row(sum);
    }
    Batch batch;
    batch.require.push_back(*found ? Precondition::version_equals(key, (*found)->version) : Precondition::absent(key));
    batch.puts.push_back({key, to_text(stored)});
    auto committed = co_await store_.commit(std::move(batch));
    if (!committed) co_return fail(committed.error());
    if (committed->committed()) co_return Result<void>{};
  }
  co_return fail("store.conflict", "the usage of a key is written by too many at once; it is kept and written later", Retry::Safe);
}

Task<Result<JsonArray>> UsageMeter::report(std::size_t rows_max) {
  if (auto written = co_await flush(); !written) co_return fail(written.error());
  auto records = co_await store_.scan(KeyRange::prefix(kPrefix), std::min(rows_max, kScanRecordsMax), Direction::Forward);
  if (!records) co_return fail(records.error());
  const auto month_of = [](const Record& record) { return std::string_view(record.key).substr(record.key.rfind('/') + 1); };
  std::ranges::sort(
      *records, [&](const Record& a, const Record& b) { return month_of(a) != month_of(b) ? month_of(a) > month_of(b) : a.key < b.key; });
  JsonArray out;
  for (const Record& record : *records) {
    const std::string_view rest = std::string_view(record.key).substr(kPrefix.size());
    const auto slash = rest.find('/');
    auto parsed = parse_json(record.value);
    if (slash == std::string_view::npos || !parsed || !parsed->is_object()) continue;
    JsonObject models;
    for (const auto& member : parsed->get_object())
      if (member.value().is_object()) models[member.key()] = view(from_row(member.value().get_object()));
    out.push_back(JsonObject{
        {"key", to_json_text(rest.substr(0, slash))}, {"month", to_json_text(rest.substr(slash + 1))}, {"models", std::move(models)}});
  }
  co_return out;
}

}  // namespace mayfly::faces
