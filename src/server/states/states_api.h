#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/json.h"
#include "net/http_server.h"
#include "server/auth.h"
#include "server/context.h"

/// AWS Step Functions' API (2016-11-23, AWS JSON 1.0) over Mayfly's state machines.
namespace mayfly::states {

/// One request. `operation` is what follows "AWSStepFunctions." in X-Amz-Target; the signature was checked already, the rights are checked
/// here. Errors are answers in AWS's shape. `disconnected` ends the long poll of GetActivityTask early.
Task<net::Response> handle(AppContext* app, Principal principal, std::string operation, JsonObject input, CancelToken disconnected = {});

/// {"__type", "message"}, as this API gives an error.
net::Response error_answer(const Error& error);

/// What Mayfly does with an operation of the API.
struct OperationInfo {
  std::string_view name;
  Scopes any_of;
  bool supported = true;
};
std::vector<OperationInfo> operations();

}  // namespace mayfly::states
