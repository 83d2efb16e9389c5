#include "schedule/time_zone.h"

#include <date/tz.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace mayfly::schedule {
namespace {

const date::time_zone& zone_of(const void* zone) { return *static_cast<const date::time_zone*>(zone); }

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return result;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row.back();
}

/// The nearest names, also by their last part: "berlin" means Europe/Berlin.
std::string close_names(std::string_view wanted) {
  const std::string name = lower(wanted.substr(0, 64));
  std::vector<std::pair<std::size_t, std::string>> near;
  for (const auto& zone : date::get_tzdb().zones) {
    const std::string known = lower(zone.name());
    const std::size_t distance = std::min(edit_distance(name, known), edit_distance(name, known.substr(known.rfind('/') + 1)));
    if (distance <= 2) near.emplace_back(distance, zone.name());
  }
  std::ranges::sort(near);
  std::string result;
  for (std::size_t i = 0; i < std::min<std::size_t>(near.size(), 3); ++i) result += (i == 0 ? "" : ", ") + near[i].second;
  return result;
}

}  // namespace

Result<TimeZone> TimeZone::find(std::string_view name) {
  try {
    return TimeZone(date::locate_zone(std::string(name)), std::string(name));
  } catch (const std::exception&) {
  }
  std::string near;
  try {
    near = close_names(name);
  } catch (const std::exception&) {
    return fail("schedule.unknown_time_zone", "the system has no time zone database; install the package tzdata");
  }
  return fail("schedule.unknown_time_zone",
              fmt::format("there is no time zone \"{}\"; {}", std::string(name.substr(0, 64)),
                          near.empty() ? "use a name of the IANA database such as Europe/Berlin or UTC" : "did you mean " + near + "?"));
}

LocalSeconds TimeZone::to_local(TimePoint time) const {
  return LocalSeconds(zone_of(zone_).to_local(std::chrono::floor<std::chrono::seconds>(time)).time_since_epoch());
}

TimeZone::Moment TimeZone::resolve(LocalSeconds local) const {
  const date::local_seconds wall(local.time_since_epoch());
  const date::local_info info = zone_of(zone_).get_info(wall);
  if (info.result == date::local_info::nonexistent) return {false, TimePoint(info.first.end)};
  return {true, TimePoint(std::chrono::sys_seconds(wall.time_since_epoch() - info.first.offset))};
}

}  // namespace mayfly::schedule
