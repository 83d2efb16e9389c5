#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace mayfly::workflow {

/// What a Task's Resource means.
struct Resource {
  enum class Kind {
    Function,        ///< a Lambda function's ARN: its answer is the result
    FunctionInvoke,  ///< states:::lambda:invoke
    Agent,           ///< arn:mayfly:agent:NAME: the state's input is the agent's
    AgentInvoke,     ///< states:::mayfly:agent.invoke {"Agent", "Input", "Session"?}
    Workflow,        ///< states:::states:startExecution
    Queue,           ///< states:::sqs:sendMessage
    Activity,
  } kind = Kind::Function;
  enum class Pattern { RequestResponse, Sync, Sync2, WaitForTaskToken } pattern = Pattern::RequestResponse;
  std::string name;           ///< of the function, agent or activity, where the Resource says it
  std::string arn;            ///< as written
  std::string resource_type;  ///< of history events: "lambda", "states", …
  std::string resource;       ///< "invoke", "startExecution.sync:2", …
};
/// Error: `workflow.invalid_resource`, naming what is supported.
Result<Resource> parse_resource(std::string_view arn);
/// A name from a name or an ARN: the part after the last "function:", "stateMachine:" and so on.
std::string name_of_arn(std::string_view text, std::string_view kind);

}  // namespace mayfly::workflow
