#pragma once

#include <cerrno>
#include <optional>
#include <string>
#include <utility>

#include "sandbox/jail/layers.h"

namespace mayfly::jail {

/// A step of the set-up that failed.
struct Fault {
  unsigned wall = kWalls;  ///< kWalls: belongs to none
  std::string step;        ///< completes "cannot …"
  int error = 0;
};
using MaybeFault = std::optional<Fault>;

inline MaybeFault fault(Wall wall, std::string step) {
  const int error = errno;
  return Fault{static_cast<unsigned>(wall), std::move(step), error};
}
inline MaybeFault fault(std::string step) {
  const int error = errno;
  return Fault{kWalls, std::move(step), error};
}

}  // namespace mayfly::jail
