#pragma once

#include "function/function_service.h"
#include "server/deployment.h"
#include "server/router.h"

namespace mayfly {

/// {NAME: {…, "zip": base64}}. Without `zip` the code stays empty; that is an error unless `Code::MayBeAbsent`.
/// Errors: `request.invalid`, `function.invalid` and `function.invalid_name`, naming the function.
enum class Code { Required, MayBeAbsent };
Result<std::vector<FunctionUpload>> functions_from_json(const Json& value, Code code);

JsonObject function_view(const function::FunctionRecord& record, const function::FunctionRevision& revision);
JsonObject invocation_view(const function::Invoked& invoked);

}  // namespace mayfly
