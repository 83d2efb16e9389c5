#pragma once

#include "function/function_service.h"
#include "server/lambda/lambda_call.h"

namespace mayfly::lambda {

inline constexpr std::size_t kPayloadBytesMax = 6'291'456;
inline constexpr std::size_t kAsyncPayloadBytesMax = 1'048'576;

/// What path, headers and body of an invocation say, checked. Errors: as Lambda's.
Result<function::Invoke> read_invoke(LambdaCall* call, std::size_t payload_bytes_max);

}  // namespace mayfly::lambda
