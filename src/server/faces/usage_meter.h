#pragma once

#include <map>
#include <string>
#include <tuple>

#include "llm/gateway.h"
#include "runtime/clock.h"
#include "store/store.h"

namespace mayfly::faces {

/// Calls through the model gateway, by API key, month and model: rows `meta/usage/KEY/YYYY-MM`. Added up in memory and written
/// every few seconds, so that a call costs no commit of its own. A killed server, or a store that does not say what became of a
/// commit, may lose some of it; nothing is ever counted twice.
class UsageMeter {
 public:
  UsageMeter(Store& store, Clock& clock) : store_(store), clock_(clock) {}

  struct Amount {
    std::int64_t calls = 0;
    std::int64_t failures = 0;
    llm::Usage usage;
    llm::NanoUsd cost = 0;
    Amount& operator+=(const Amount& other);
  };

  /// True when nothing was waiting to be written before: the caller sees to it that `flush` runs.
  bool add(const std::string& key_id, const std::string& model, const Amount& amount);
  /// Adds what is waiting to the rows. What cannot be written waits for the next time.
  Task<Result<void>> flush();
  /// [{key, month, models: {NAME: {calls, failures, input_tokens, …, cost_usd}}}], newest month first; flushes before.
  Task<Result<JsonArray>> report(std::size_t rows_max);

 private:
  using Row = std::map<std::string, Amount>;  ///< by model
  Task<Result<void>> write(std::string key, Row row);
  void put_back(const std::string& key, const Row& row);

  Store& store_;
  Clock& clock_;
  std::map<std::string, Row> waiting_;  ///< by the row's key
};

}  // namespace mayfly::faces
