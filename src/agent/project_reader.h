#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/agent_spec.h"
#include "agent/function_spec.h"
#include "schema/yaml.h"

namespace mayfly::agent {

/// What reading one mayfly.yaml shares: the document, the folder, and the problems found so far. Pointers are JSON Pointers.
class ProjectReader {
 public:
  ProjectReader(YamlDocument document, std::string file_name, std::filesystem::path directory);

  const Json& root() const { return document_.value; }
  const std::filesystem::path& directory() const { return directory_; }

  /// `words` continue the path of the value: "must be a number", "is not …".
  void problem(const std::string& pointer, std::string_view words);
  /// The same at the key instead of the value.
  void key_problem(const std::string& pointer, std::string_view words);
  /// In the order of the file.
  std::vector<SpecProblem> take_problems();
  bool failed() const { return !problems_.empty(); }
  /// True when something at or below `pointer` has a wrong form, so that it must not be looked into.
  bool broken(std::string_view pointer) const;

  /// `otherwise` where the key is absent or (reported) no duration of 1 ms to ten years; `least` may be 0 ms.
  Millis duration(const JsonObject& object, const std::string& pointer, std::string_view key, Millis otherwise, Millis least = Millis{1});
  /// An existing regular file inside the project folder, as an absolute path; reported when it is not.
  std::optional<std::filesystem::path> file(const std::string& relative, const std::string& pointer);
  /// An existing folder inside the project folder, or that folder itself.
  std::optional<std::filesystem::path> folder(const std::string& relative, const std::string& pointer);
  /// The UTF-8 text of such a file, at most 1 MiB.
  std::optional<std::string> file_text(const std::string& relative, const std::string& pointer);
  /// `text` with ${NAME} and ${NAME:-default} replaced from the environment; an unset variable without default is reported.
  std::string expanded(const std::string& text, const std::string& pointer);
  /// Reports what makes `schema` unusable, at the place inside it.
  bool schema_compiles(const Json& schema, const std::string& pointer);

 private:
  std::optional<std::filesystem::path> inside(const std::string& relative, const std::string& pointer);
  struct Found {
    SourcePosition at;
    bool at_key = false;
    std::size_t number = 0;
    SpecProblem problem;
  };
  void add(SourcePosition at, bool at_key, const std::string& pointer, std::string_view words);

  YamlDocument document_;
  std::string file_name_;
  std::filesystem::path directory_;
  std::vector<Found> problems_;
};

/// `usd` of `object` in nano-dollars, exact up to nine decimals, which more are reported; 0 where it is absent.
llm::NanoUsd read_usd(ProjectReader& reader, const JsonObject& object, const std::string& pointer);

/// `agents`, `fan_out` and `destinations` of the agent at `pointer`, and the tools that they make. After its own tools.
void read_delegation(ProjectReader& reader, AgentSpec& spec, const JsonObject& in, const std::string& pointer);

RetryPolicy read_retry(ProjectReader& reader, const JsonObject& owner, const std::string& pointer, RetryPolicy otherwise);

/// The tool at `pointer`, already checked against the published schema; incomplete when problems were reported. `functions`: those of the
/// project.
ToolSpec read_tool(ProjectReader& reader, const Json& source, const std::string& pointer, const std::vector<FunctionSpec>& functions);

enum class FunctionOrigin {
  Project,  ///< a mayfly.yaml: its code is a folder beside it, ${NAME} is taken from the environment
  Request,  ///< somebody else's words: neither files nor the environment are looked at
};
/// The function at `pointer`, already checked against the published schema; incomplete when problems were reported.
FunctionSpec read_function(ProjectReader& reader, const std::string& name, const JsonObject& in, const std::string& pointer,
                           FunctionOrigin origin);

/// Reports one sentence of the schema's validator ("/pointer: words") about the value at `base`.
void report_violation(ProjectReader& reader, const std::string& base, std::string_view sentence);

}  // namespace mayfly::agent
