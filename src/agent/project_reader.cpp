#include "agent/project_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <tuple>

#include "schema/json_schema.h"

namespace mayfly::agent {
namespace {

namespace fs = std::filesystem;

constexpr Millis kDurationMax{std::int64_t{3650} * 86'400'000};
constexpr std::uintmax_t kFileBytesMax = 1024 * 1024;

/// "/agents/a~1b/tools/0" → "agents.a/b.tools.0".
std::string dotted(std::string_view pointer) {
  std::string out;
  for (std::size_t i = 1; i < pointer.size(); ++i) {
    if (pointer[i] == '/') {
      out += '.';
    } else if (pointer[i] == '~' && i + 1 < pointer.size()) {
      out += pointer[++i] == '0' ? '~' : '/';
    } else {
      out += pointer[i];
    }
  }
  return out;
}

bool is_inside(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

}  // namespace

ProjectReader::ProjectReader(YamlDocument document, std::string file_name, fs::path directory)
    : document_(std::move(document)), file_name_(std::move(file_name)), directory_(std::move(directory)) {}

void ProjectReader::add(SourcePosition at, bool at_key, const std::string& pointer, std::string_view words) {
  const std::string path = dotted(pointer);
  problems_.push_back({at,
                       at_key,
                       problems_.size(),
                       {.where = fmt::format("{}:{}:{}", file_name_, at.line, at.column),
                        .pointer = pointer,
                        .message = fmt::format("{} {}", path.empty() ? "the file" : path, words)}});
}

void ProjectReader::problem(const std::string& pointer, std::string_view words) {
  add(document_.position_of(pointer), false, pointer, words);
}
void ProjectReader::key_problem(const std::string& pointer, std::string_view words) {
  add(document_.key_position_of(pointer), true, pointer, words);
}

bool ProjectReader::broken(std::string_view pointer) const {
  // A key too many does not change the form of what is around it.
  return std::ranges::any_of(problems_, [pointer](const Found& found) {
    const std::string_view other = found.problem.pointer;
    return !found.at_key && other.starts_with(pointer) && (other.size() == pointer.size() || other[pointer.size()] == '/');
  });
}

std::vector<SpecProblem> ProjectReader::take_problems() {
  std::ranges::sort(problems_, {}, [](const Found& found) { return std::tuple(found.at.line, found.at.column, found.number); });
  std::vector<SpecProblem> out;
  for (Found& found : problems_) out.push_back(std::move(found.problem));
  problems_.clear();
  return out;
}

Millis ProjectReader::duration(const JsonObject& object, const std::string& pointer, std::string_view key, Millis otherwise, Millis least) {
  const Json* value = get(object, key);
  if (value == nullptr || !value->is_string()) return otherwise;
  const std::string place = fmt::format("{}/{}", pointer, key);
  const auto parsed = parse_duration(value->get_string());
  if (!parsed) {
    problem(place, fmt::format("`{}` is not a duration; write it like 500ms, 30s, 15m, 2h, 7d or 1h30m",
                               std::string_view(value->get_string()).substr(0, 80)));
    return otherwise;
  }
  if (*parsed < least || *parsed > kDurationMax) {
    problem(place, fmt::format("must be from {} to 3650d", to_human(least)));
    return otherwise;
  }
  return *parsed;
}

std::optional<fs::path> ProjectReader::inside(const std::string& relative, const std::string& pointer) {
  std::error_code code;
  fs::path path = fs::weakly_canonical(directory_ / relative, code);
  if (!code && is_inside(path, directory_)) return path;
  problem(pointer, fmt::format("names `{}`, which is outside the project folder; move it into the folder of mayfly.yaml", relative));
  return std::nullopt;
}

std::optional<fs::path> ProjectReader::folder(const std::string& relative, const std::string& pointer) {
  auto path = inside(relative, pointer);
  if (!path) return std::nullopt;
  if (!path->has_filename()) path = path->parent_path();
  std::error_code code;
  if (fs::is_directory(*path, code)) return path;
  problem(pointer, fmt::format("names `{}`, which is no folder; paths are relative to mayfly.yaml", relative));
  return std::nullopt;
}

std::optional<fs::path> ProjectReader::file(const std::string& relative, const std::string& pointer) {
  const auto path = inside(relative, pointer);
  if (!path) return std::nullopt;
  std::error_code code;
  if (!fs::is_regular_file(*path, code)) {
    problem(pointer, fmt::format("names `{}`, which does not exist; paths are relative to mayfly.yaml", relative));
    return std::nullopt;
  }
  return path;
}

std::optional<std::string> ProjectReader::file_text(const std::string& relative, const std::string& pointer) {
  const auto path = file(relative, pointer);
  if (!path) return std::nullopt;
  std::error_code code;
  if (const auto size = fs::file_size(*path, code); code || size > kFileBytesMax) {
    problem(pointer, fmt::format("names `{}`, which is larger than 1 MiB; shorten it", relative));
    return std::nullopt;
  }
  std::ifstream in(*path, std::ios::binary);
  std::ostringstream text;
  if (in.peek() != std::ifstream::traits_type::eof()) text << in.rdbuf();
  if (!in || !is_utf8(text.view())) {
    problem(pointer, fmt::format("names `{}`, which is not readable UTF-8 text", relative));
    return std::nullopt;
  }
  return std::move(text).str();
}

std::string ProjectReader::expanded(const std::string& text, const std::string& pointer) {
  std::string out;
  std::size_t from = 0;
  for (;;) {
    const auto start = text.find("${", from);
    const auto end = start == std::string::npos ? start : text.find('}', start);
    if (end == std::string::npos) return out + text.substr(from);
    out += text.substr(from, start - from);
    std::string name = text.substr(start + 2, end - start - 2);
    std::optional<std::string> otherwise;
    if (const auto split = name.find(":-"); split != std::string::npos) {
      otherwise = name.substr(split + 2);
      name.resize(split);
    }
    const char* const value = std::getenv(name.c_str());
    if (value != nullptr && *value != '\0') {
      out += value;
    } else if (otherwise) {
      out += *otherwise;
    } else {
      problem(pointer, fmt::format("needs the environment variable `{}`; set it, or write ${{{}:-default}}", name, name));
    }
    from = end + 1;
  }
}

bool ProjectReader::schema_compiles(const Json& schema, const std::string& pointer) {
  const auto compiled = JsonSchema::compile(schema);
  if (compiled) return true;
  // "… is invalid at `/pointer`: why"
  const std::string& message = compiled.error().message;
  const auto open = message.find('`');
  const auto close = message.find("`: ", open == std::string::npos ? open : open + 1);
  if (close == std::string::npos) {
    problem(pointer, fmt::format("is not a valid JSON Schema: {}", message));
    return false;
  }
  const std::string inner = message.substr(open + 1, close - open - 1);
  problem(inner == "/" ? pointer : pointer + inner, fmt::format("is not valid in a JSON Schema: {}", message.substr(close + 3)));
  return false;
}

llm::NanoUsd read_usd(ProjectReader& reader, const JsonObject& object, const std::string& pointer) {
  if (!object.contains("usd") || reader.broken(pointer + "/usd")) return 0;
  // Exact for every amount with up to nine decimals: below 2^53 nano-dollars a double tells neighbours apart.
  const double usd = get_double(object, "usd");
  const std::int64_t nano = std::llround(usd * 1e9);
  if (nano > 0 && static_cast<double>(nano) / 1e9 == usd) return nano;
  reader.problem(pointer + "/usd", "must have at most nine decimals");
  return 0;
}

RetryPolicy read_retry(ProjectReader& reader, const JsonObject& owner, const std::string& pointer, RetryPolicy otherwise) {
  const JsonObject* retry = get_object(owner, "retry");
  if (retry == nullptr) return otherwise;
  const std::string place = pointer + "/retry";
  RetryPolicy out{.attempts_max = get_int(*retry, "attempts", otherwise.attempts_max),
                  .delay_first = reader.duration(*retry, place, "first_delay", otherwise.delay_first, Millis{0}),
                  .delay_max = reader.duration(*retry, place, "max_delay", otherwise.delay_max, Millis{0})};
  if (out.delay_max < out.delay_first) {
    if (retry->contains("max_delay")) {
      reader.problem(place + "/max_delay", "must not be shorter than first_delay");
    } else {
      out.delay_max = out.delay_first;
    }
  }
  return out;
}

}  // namespace mayfly::agent
