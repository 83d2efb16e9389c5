#pragma once

#include "function/function_registry.h"
#include "server/auth.h"
#include "server/lambda/lambda_body.h"

/// FunctionConfiguration and its parts: https://docs.aws.amazon.com/lambda/latest/api/API_FunctionConfiguration.html
namespace mayfly::lambda {

/// "2026-11-23T15:54:25.123+0000", as Lambda writes times in texts.
std::string lambda_time(TimePoint time);

/// The values of a function's environment are for those who may change it.
enum class EnvironmentValues { Shown, Hidden };
EnvironmentValues environment_values_for(const Principal& principal);
/// Hidden: `Environment.Error` instead of `Environment.Variables`, as AWS shows what a caller may not decrypt.
JsonObject configuration_view(const function::ResolvedFunction& function, EnvironmentValues values);
JsonObject alias_view(const std::string& function, const function::Alias& alias);

/// What a request's body says about the configuration goes over `config`; what Mayfly cannot do is refused by name.
Result<void> read_configuration(const JsonObject& body, function::FunctionConfig* config);
/// The zip file of `Code`, or of the body of UpdateFunctionCode.
Result<function::CodePackage> read_code(const JsonObject& code);

}  // namespace mayfly::lambda
