#include <algorithm>

#include "base/glob.h"
#include "trigger/policy.h"
#include "trigger/trigger_spec.h"

namespace mayfly::trigger {
namespace {

constexpr std::string_view kTypePrefix = "dev.mayfly.workspace.";
constexpr std::string_view kNewContent[] = {"file.created", "file.updated", "file.restored", "file.moved", "file.copied"};

JsonArray texts(const std::vector<std::string>& from) {
  JsonArray out;
  for (const std::string& text : from) out.emplace_back(text);
  return out;
}

bool is_of(const FileSource& source, const JsonObject& data) {
  if (get_string(data, "workspace") == source.workspace) return true;
  const std::size_t slash = source.workspace.find('/');
  const std::string organisation = slash == std::string::npos ? "default" : source.workspace.substr(0, slash);
  return get_string(data, "organisation") == organisation && get_string(data, "workspace_name") == source.workspace.substr(slash + 1);
}

bool fits_any(const std::vector<std::string>& globs, const std::string& path) {
  return std::ranges::any_of(globs, [&](const std::string& glob) { return matches_path_glob(path, glob); });
}

}  // namespace

Result<FileSource> file_source_from_json(const Json& value) {
  FileSource out;
  if (value.is_string()) {
    out.workspace = std::string_view(value.get_string());
  } else {
    SpecReader reader(value, "");
    reader.text("workspace", &out.workspace, 200);
    reader.texts("types", &out.types, 50);
    reader.texts("paths", &out.paths, 50);
    reader.texts("ignore", &out.ignore, 50);
    for (const std::string& type : out.types)
      if (type.empty() || type.substr(0, type.size() - 1).contains('*') || (type.ends_with('*') && !type.ends_with(".*")))
        reader.refuse("types", "a type is exact (\"file.created\"), or a prefix that ends with \".*\" (\"file.*\")");
    if (auto done = reader.done(); !done) return std::unexpected(done.error());
  }
  if (out.workspace.empty()) return fail("trigger.invalid", "/workspace: the workspace's name is missing");
  return out;
}

Json to_json(const FileSource& source) {
  JsonObject out{{"workspace", source.workspace}};
  if (!source.types.empty()) out["types"] = texts(source.types);
  if (!source.paths.empty()) out["paths"] = texts(source.paths);
  if (!source.ignore.empty()) out["ignore"] = texts(source.ignore);
  return out;
}

std::string_view file_source_schema_text() {
  return R"({"description":"Changes of files in a workspace: its name, or","oneOf":[{"type":"string"},{"type":"object","required":["workspace"],"properties":{)"
         R"("workspace":{"description":"Name (ORGANISATION/NAME outside the default one) or id.","type":"string"},)"
         R"("types":{"description":"Events, as file.created or file.*; by default whatever gives a file new content or a new path.","oneOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]},)"
         R"("paths":{"description":"Globs of paths: inbox/*.json, **/*.md; default: all.","oneOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]},)"
         R"("ignore":{"description":"Globs of paths that start nothing.","oneOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]}},"additionalProperties":false}]})";
}

bool wants(const FileSource& source, const Event& event) {
  if (!event.type.starts_with(kTypePrefix) || !event.data.is_object()) return false;
  const std::string_view type = std::string_view(event.type).substr(kTypePrefix.size());
  const bool typed = source.types.empty() ? std::ranges::find(kNewContent, type) != std::end(kNewContent)
                                          : std::ranges::any_of(source.types, [&](const std::string& wanted) {
                                              return wanted == type || (wanted.ends_with(".*") && type.starts_with(wanted.substr(0, wanted.size() - 1)));
                                            });
  if (!typed || !is_of(source, event.data.get_object())) return false;
  const std::string path = get_string(event.data.get_object(), "path");
  return (source.paths.empty() || fits_any(source.paths, path)) && !fits_any(source.ignore, path);
}

}  // namespace mayfly::trigger
