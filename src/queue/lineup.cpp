#include "queue/lineup.h"

namespace mayfly::queue {

std::size_t StandardLineup::flying(std::uint32_t group) const {
  const auto found = flying_.find(group);
  return found == flying_.end() ? 0 : found->second;
}

void StandardLineup::count_flying(std::uint32_t group, int by) {
  const std::size_t before = flying(group);
  const std::size_t after = by > 0 ? before + 1 : before - 1;
  for (auto& [priority, level] : levels_) {
    const auto ready = level.ready.find(group);
    if (ready == level.ready.end()) continue;
    level.order.erase({before, *ready->second.begin(), group});
    level.order.emplace(after, *ready->second.begin(), group);
  }
  if (after == 0)
    flying_.erase(group);
  else
    flying_[group] = after;
}

void StandardLineup::change(std::uint64_t number, std::uint32_t group, int priority, Place from, Place to) {
  if (from == to) return;
  if (from == Place::Flying) count_flying(group, -1);
  if (from == Place::Ready || to == Place::Ready) {
    Level& level = levels_[priority];
    auto& ready = level.ready[group];
    if (!ready.empty()) level.order.erase({flying(group), *ready.begin(), group});
    if (to == Place::Ready)
      ready.insert(number);
    else
      ready.erase(number);
    if (!ready.empty())
      level.order.emplace(flying(group), *ready.begin(), group);
    else
      level.ready.erase(group);
    if (level.ready.empty()) levels_.erase(priority);
  }
  if (to == Place::Flying) count_flying(group, 1);
}

std::vector<std::uint64_t> StandardLineup::next(std::size_t max) const {
  if (levels_.empty() || max == 0) return {};
  return {std::get<1>(*levels_.begin()->second.order.begin())};
}

void FifoLineup::change(std::uint64_t number, std::uint32_t group_id, int, Place from, Place to) {
  if (from == to) return;
  Group& group = groups_[group_id];
  if (from == Place::Flying) --group.flying;
  if (to == Place::Flying) ++group.flying;
  if (to == Place::Absent)
    group.members.erase(number);
  else
    group.members[number] = to;
  if (group.offered) available_.erase(group.offered);
  group.offered = 0;
  if (group.members.empty()) {
    groups_.erase(group_id);
    return;
  }
  auto first = group.members.begin();
  if (unblocked_)
    while (first != group.members.end() && first->second != Place::Ready) ++first;
  if (first == group.members.end() || first->second != Place::Ready || (group.flying > 0 && !unblocked_)) return;
  group.offered = first->first;
  available_.emplace(group.offered, group_id);
}

std::vector<std::uint64_t> FifoLineup::next(std::size_t max) const {
  std::vector<std::uint64_t> out;
  if (available_.empty()) return out;
  const Group& group = groups_.at(available_.begin()->second);
  for (auto at = group.members.find(group.offered); at != group.members.end() && at->second == Place::Ready && out.size() < max; ++at)
    out.push_back(at->first);
  return out;
}

}  // namespace mayfly::queue
