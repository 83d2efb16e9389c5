#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "function/function_types.h"

namespace mayfly::agent {

struct FunctionUrlSpec {
  bool needs_iam = true;
  bool streams = false;
};

/// One function of a project: its configuration, and what is kept of it beside its revisions.
struct FunctionSpec {
  function::FunctionConfig config;
  std::optional<function::AsyncConfig> async;
  std::optional<std::int64_t> reserved;  ///< at most so many invocations at a time
  std::int64_t provisioned = 0;          ///< processes of $LATEST that are kept warm
  std::optional<FunctionUrlSpec> url;
  std::string code_folder;  ///< absolute; empty when the code came in another way
};

enum class Secrets {
  Shown,   ///< environment values as they are: only for sending to the server
  Hidden,  ///< the names with the value "***"
};
/// The form of mayfly.yaml, without `code`: what the API takes and shows. `function_from_json(name, to_json(f, Shown))` equals `f`.
JsonObject to_json(const FunctionSpec& spec, Secrets secrets);
/// Reads that form. Nothing is taken from this process' environment. Error: `function.invalid`, all problems in one sentence.
Result<FunctionSpec> function_from_json(const std::string& name, const Json& value);

/// What a folder of code looks like.
struct GuessedCode {
  std::string runtime;
  std::string handler;
};
/// Fills in what is empty, from the files: an executable `bootstrap`; lambda_function.py, handler.py, app.py, main.py; index.mjs and the
/// like. With a handler given, its file must be there. Error: `function.no_code`; the message continues the name of the folder.
Result<GuessedCode> guess_code(const std::filesystem::path& folder, std::string runtime, std::string handler);

/// A folder with code but without mayfly.yaml as a function. `settings` in the form of mayfly.yaml, without `code`.
/// Errors: `function.invalid`, `function.no_code`.
Result<FunctionSpec> function_of_folder(const std::string& folder, const std::string& name, const JsonObject& settings);

}  // namespace mayfly::agent
