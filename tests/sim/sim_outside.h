#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "llm/provider.h"
#include "net/http_client.h"
#include "runtime/random.h"
#include "testing/sim_clock.h"

namespace mayfly::sim {

enum class Plant;

/// What lies outside of Mayfly and sees what it does: the receiver of tool calls and the model's meter.
struct Outside {
  SimClock& clock;
  SeededRandom random;
  bool faulty = true;
  Plant plant;
  std::vector<std::string> violations;

  std::map<std::string, std::set<std::string>> keys;  ///< by label: idempotency keys with which the effect was asked for
  std::map<std::string, int> deliveries;              ///< by label
  std::map<std::string, std::int64_t> billed;         ///< NanoUsd by run
  std::map<std::string, TimePoint> sleep_called;      ///< by tool call id
  std::uint64_t model_calls = 0, tool_calls = 0;

  bool chance(double p) { return faulty && random.unit() < p; }
  Millis delay(std::int64_t max) { return Millis{static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(max) + 1))}; }
};

inline constexpr std::int64_t kInputPrice = 1'000;  ///< NanoUsd a token
inline constexpr std::int64_t kOutputPrice = 5'000;

/// The network as one process sees it: POST http://tool.test/effect/LABEL and /once/LABEL.
class SimHttp final : public net::HttpClient {
 public:
  SimHttp(Outside& outside, ProcessClock& clock) : outside_(outside), clock_(clock) {}
  Task<Result<net::ClientResponse>> send(net::ClientRequest request) override;

 private:
  Outside& outside_;
  ProcessClock& clock_;
};

/// A model that does the tasks named in the user's messages ("task N"): two effects in parallel, one that must happen once, a sleep, a
/// note; then it says "done N". It decides from the conversation alone.
class SimModel final : public llm::LlmProvider {
 public:
  SimModel(Outside& outside, ProcessClock& clock) : outside_(outside), clock_(clock) {}
  Task<llm::LlmResult> complete(llm::LlmCall call) override;

 private:
  llm::LlmResponse answer(const llm::LlmRequest& request);
  void check_sleeps(const llm::LlmRequest& request);

  Outside& outside_;
  ProcessClock& clock_;
};

}  // namespace mayfly::sim
