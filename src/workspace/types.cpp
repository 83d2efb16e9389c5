#include "workspace/types.h"

#include <array>

namespace mayfly::workspace {
namespace {

constexpr std::array<std::string_view, 5> kRoles{"none", "viewer", "commenter", "editor", "owner"};

}  // namespace

std::string_view to_string(Role role) { return kRoles[static_cast<std::size_t>(role)]; }

std::optional<Role> role_from_string(std::string_view text) {
  for (std::size_t i = 0; i < kRoles.size(); ++i)
    if (kRoles[i] == text) return static_cast<Role>(i);
  return std::nullopt;
}

}  // namespace mayfly::workspace
