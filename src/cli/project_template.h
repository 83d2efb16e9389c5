#pragma once

#include <span>
#include <string_view>

namespace mayfly::cli {

struct ProjectFile {
  std::string_view path;  ///< relative
  std::string_view text;
  bool executable = false;
};

/// What `mayfly init` writes: a project that works at once and without a model, by a scripted one.
std::span<const ProjectFile> project_files();

}  // namespace mayfly::cli
