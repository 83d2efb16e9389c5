#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <memory>
#include <string>
#include <string_view>

namespace mayfly::function {

struct ArchiveFree {
  void operator()(struct archive* a) const { archive_free(a); }
  void operator()(struct archive_entry* e) const { archive_entry_free(e); }
};
using Archive = std::unique_ptr<struct archive, ArchiveFree>;
using ArchiveEntry = std::unique_ptr<struct archive_entry, ArchiveFree>;

/// What libarchive says about its last failure.
inline std::string why(struct archive* a) {
  const char* text = archive_error_string(a);
  return text ? text : "it is damaged";
}

/// True when a symbolic link in `folder_depth` folders below the top stays inside whatever other links do: any number of ".." no deeper
/// than where it stands, then only names. A ".." after a name could climb out through another link.
bool link_stays_inside(std::string_view target, std::size_t folder_depth);

}  // namespace mayfly::function
