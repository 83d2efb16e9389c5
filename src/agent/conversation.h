#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/agent_spec.h"
#include "engine/engine.h"
#include "llm/provider.h"

namespace mayfly::agent {

/// Reads conversations from the journal. Compaction never changes the journal: a summary stands for what lies before it,
/// from its operation on.
class ConversationReader {
 public:
  explicit ConversationReader(engine::Engine& engine) : engine_(engine) {}

  /// The session's conversation before `run` (empty without a session).
  Task<Result<std::vector<llm::Message>>> before(std::string session, std::string run);
  /// All of `operations`' run that is behind its newest summary, after `earlier` unless a summary replaces that too.
  static std::vector<llm::Message> with_run(std::vector<llm::Message> earlier, const std::vector<engine::Operation>& operations,
                                            std::int64_t upto = INT64_MAX);

 private:
  engine::Engine& engine_;
};

/// The request of one model call: the same function serves the call itself, replay and cassettes.
/// `model_input`: the input of the operation.
llm::LlmRequest make_request(const AgentSpec& spec, std::vector<llm::Message> messages, const JsonObject& model_input);
/// SHA-256 over all fields, whatever the order of keys in JSON values: what the journal keeps of a request. Stable.
std::string hash_of(const llm::LlmRequest& request);

}  // namespace mayfly::agent
