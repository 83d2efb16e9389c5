#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "base/time.h"

namespace mayfly::schedule {

/// A time on the wall, in seconds; what moment it is depends on the zone.
using LocalSeconds = std::chrono::local_seconds;

/// A zone of the system's IANA database. Values are cheap to copy; the database is read once.
class TimeZone {
 public:
  /// Error: `schedule.unknown_time_zone`, with close names.
  static Result<TimeZone> find(std::string_view name);

  LocalSeconds to_local(TimePoint time) const;
  struct Moment {
    bool exists = true;      ///< false: the clock skips it
    TimePoint time{};        ///< the earlier one when it comes twice; the first after the gap when it is skipped
  };
  Moment resolve(LocalSeconds local) const;
  const std::string& name() const { return name_; }

 private:
  TimeZone(const void* zone, std::string name) : zone_(zone), name_(std::move(name)) {}
  const void* zone_;  ///< of the library, which keeps it for ever
  std::string name_;
};

}  // namespace mayfly::schedule
