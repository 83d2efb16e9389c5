#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "blob/blob_store.h"
#include "function/code_package.h"
#include "function/function_types.h"
#include "function/supervisor.h"
#include "runtime/clock.h"
#include "runtime/random.h"
#include "store/store.h"

namespace mayfly::function {

struct Alias {
  std::string name;
  std::string version;
  std::string description;
  std::map<std::string, double> additional_weights;  ///< by version; RoutingConfig
  std::string revision_id;
};

struct FunctionUrl {
  std::string id;         ///< [a-z0-9]{32}: the path /lambda-url/ID
  std::string qualifier;  ///< alias or empty
  bool needs_iam = true;  ///< AuthType AWS_IAM; else NONE
  bool streams = false;   ///< InvokeMode RESPONSE_STREAM
  Json cors;
  TimePoint created{}, modified{};
};

/// Everything that is kept of a function beside its revisions.
struct FunctionRecord {
  std::string name;
  std::int64_t latest = 0;  ///< revision of $LATEST
  std::int64_t next_version = 1;
  std::map<std::int64_t, std::int64_t> versions;  ///< published version → revision
  std::map<std::string, Alias> aliases;
  std::map<std::string, std::string> tags;
  std::map<std::string, AsyncConfig> async;  ///< by qualifier; "$LATEST" for none
  std::map<std::string, FunctionUrl> urls;   ///< by qualifier
  ConcurrencySettings concurrency;
};

/// What a qualifier means now.
struct ResolvedFunction {
  std::shared_ptr<const FunctionRevision> revision;
  std::string version;    ///< "$LATEST" or a number
  std::string qualifier;  ///< as it was asked for
  AsyncConfig async;
};

/// All functions, in memory; rows `meta/function/NAME` and `meta/function/NAME/r/REVISION`. Environment values are encrypted in the rows
/// with the key of the data directory (`function.key`, made by the first start).
class FunctionRegistry {
 public:
  struct Dependencies {
    Store* store = nullptr;
    BlobStore* blobs = nullptr;
    Clock* clock = nullptr;
    Random* random = nullptr;
    std::string directory;                                                            ///< of unpacked code: DIRECTORY/code/SHA256
    std::function<void(const std::string& function, std::int64_t revision)> changed;  ///< → Supervisor::changed
  };
  explicit FunctionRegistry(Dependencies dependencies);
  ~FunctionRegistry();

  Task<Result<void>> load();

  /// Errors: `function.exists`, `function.invalid` (names the field), and those of the package.
  Task<Result<ResolvedFunction>> create(FunctionConfig config, CodePackage code);
  /// Changes of $LATEST. `if_revision`: only when it still has that RevisionId. Errors: `function.not_found`, `function.revision_mismatch`,
  /// as above.
  Task<Result<ResolvedFunction>> update_code(std::string name, CodePackage code, std::string if_revision);
  Task<Result<ResolvedFunction>> update_config(FunctionConfig config, std::string if_revision);
  /// Creates or updates both at once, if anything differs: `mayfly deploy`.
  Task<Result<ResolvedFunction>> deploy(FunctionConfig config, CodePackage code);
  /// Publishing what the newest version already holds gives that one. `if_sha256`, `if_revision`: or empty.
  Task<Result<ResolvedFunction>> publish(std::string name, std::string description, std::string if_sha256, std::string if_revision);
  /// The function, or with a qualifier one version.
  Task<Result<void>> remove(std::string name, std::string qualifier);
  /// Applies `change` to the record and writes it: aliases, tags, concurrency, URLs, EventInvokeConfigs. An error changes nothing.
  Task<Result<void>> change(std::string name, std::function<Result<void>(FunctionRecord&)> change);

  /// Null when there is none.
  const FunctionRecord* record(std::string_view name) const;
  std::vector<const FunctionRecord*> list() const;  ///< by name
  /// A weighted alias draws. Errors: `function.not_found` (with AWS's ARN in its message).
  Result<ResolvedFunction> resolve(const FunctionRef& ref) const;
  /// For the engine: also of versions and functions that were deleted, while executions need them.
  std::shared_ptr<const FunctionRevision> revision(const std::string& name, std::int64_t number) const;
  const FunctionUrl* url(std::string_view id, FunctionRef* owner) const;
  /// The package of a revision, as it was given. Errors: `function.not_found` and those of the blob store.
  Task<Result<std::string>> zip(std::string name, std::int64_t number) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mayfly::function
