#pragma once

#include <optional>
#include <string>

#include "function/function_registry.h"
#include "function/secret_box.h"

/// How functions look in the store.
namespace mayfly::function {

/// A revision with what only the registry keeps of it.
struct StoredRevision {
  FunctionRevision revision;
  std::string blob;                ///< hash of the zip file in the blob store
  std::string source_description;  ///< of a published one: what $LATEST's was, as a version may have its own
};

/// The row `meta/function/NAME`. A deleted function keeps one, so that its revisions' numbers never come again.
struct StoredFunction {
  FunctionRecord record;
  std::int64_t revisions = 0;  ///< made so far
  bool deleted = false;
};

std::string function_key(std::string_view name);
std::string revision_key(std::string_view name, std::int64_t revision);
inline constexpr std::string_view kFunctionPrefix = "meta/function/";

std::string to_row(const StoredFunction& function);
Result<StoredFunction> function_from_row(std::string_view row);

/// The environment is sealed for the row `key`.
std::string to_row(const StoredRevision& revision, const SecretBox& box, std::string_view key);
/// Without `code_directory`. Errors: `store.damaged`, `secret.wrong_key`.
Result<StoredRevision> revision_from_row(std::string_view row, const SecretBox& box, std::string_view key);

/// Equal for equal configurations.
std::string canonical_text(const FunctionConfig& config);

}  // namespace mayfly::function
