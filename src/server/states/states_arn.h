#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace mayfly::states {

/// What an ARN of Step Functions names. The region and the account are not looked at; ours are us-east-1 and 000000000000.
struct Arn {
  enum class Kind { StateMachine, Execution, Express, Activity } kind = Kind::StateMachine;
  std::string name;       ///< of the state machine or activity
  std::string qualifier;  ///< of a state machine: a version's number, an alias, or nothing
  std::string execution;  ///< name of the execution
  std::string run;        ///< Express: the run's id
};

/// Error: `aws.InvalidArn`.
Result<Arn> parse_arn(std::string_view text);
/// The same, but it must be of that kind.
Result<Arn> parse_arn(std::string_view text, Arn::Kind kind);

std::string state_machine_arn(std::string_view name, std::string_view qualifier = {});
std::string execution_arn(std::string_view state_machine, std::string_view name);
std::string express_arn(std::string_view state_machine, std::string_view name, std::string_view run);
std::string activity_arn(std::string_view name);

}  // namespace mayfly::states
