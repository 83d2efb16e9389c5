#include "function/instance_pools.h"

#include <algorithm>

namespace mayfly::function {

PoolKey InstancePools::key_of(const Instance& instance) {
  const auto& place = instance.place();
  return {place.revision->config.name, place.revision->number, place.version, instance.tenant()};
}

InstancePools::Pool* InstancePools::find(const PoolKey& key) {
  const auto found = pools_.find(key);
  return found == pools_.end() ? nullptr : &found->second;
}

void InstancePools::add(const std::shared_ptr<Instance>& instance) {
  pools_[key_of(*instance)].all.push_back(instance);
  ++size_;
}

void InstancePools::remove(const std::shared_ptr<Instance>& instance) {
  forget_idle(*instance);
  const PoolKey key = key_of(*instance);
  if (Pool* pool = find(key)) size_ -= std::erase(pool->all, instance);
  drop_if_empty(key);
}

void InstancePools::drop_if_empty(const PoolKey& key) {
  const auto found = pools_.find(key);
  if (found != pools_.end() && found->second.all.empty() && found->second.waiters.empty()) pools_.erase(found);
}

void InstancePools::make_idle(Instance& instance, std::chrono::nanoseconds now) {
  Pool& pool = pools_[key_of(instance)];
  if (!pool.waiters.empty()) {
    Waiter* waiter = pool.waiters.front();
    pool.waiters.pop_front();
    waiter->got = instance.shared_from_this();
    if (auto resume = std::exchange(waiter->resume, std::nullopt)) (*resume)(true);
    return;
  }
  instance.idle_since = now;
  pool.idle.push_back(&instance);
  places_[&instance] = idle_.insert(idle_.end(), &instance);
}

std::shared_ptr<Instance> InstancePools::take(const PoolKey& key) {
  Pool* pool = find(key);
  while (pool && !pool->idle.empty()) {
    const auto instance = pool->idle.back()->shared_from_this();
    forget_idle(*instance);
    if (instance->can_take()) return instance;
  }
  return nullptr;
}

void InstancePools::forget_idle(Instance& instance) {
  const auto place = places_.find(&instance);
  if (place == places_.end()) return;
  idle_.erase(place->second);
  places_.erase(place);
  if (Pool* pool = find(key_of(instance))) std::erase(pool->idle, &instance);
}

Instance* InstancePools::oldest_idle() const {
  for (Instance* instance : idle_) {
    const auto pool = pools_.find(key_of(*instance));
    const auto kept = pool == pools_.end() ? 0 : pool->second.provisioned;
    if (kept <= 0 || std::cmp_greater(pool->second.all.size(), kept)) return instance;
  }
  return nullptr;
}

std::size_t InstancePools::living() const {
  std::size_t count = 0;
  for_each([&](const PoolKey&, Instance& instance) {
    const auto state = instance.state();
    if (state != Instance::State::Ending && state != Instance::State::Gone) ++count;
  });
  return count;
}

void InstancePools::for_each(const std::function<void(const PoolKey&, Instance&)>& visit) const {
  for (const auto& [key, pool] : pools_) {
    for (const auto& instance : pool.all) visit(key, *instance);
  }
}

std::size_t InstancePools::finishing(const Pool& pool) {
  return static_cast<std::size_t>(
      std::ranges::count_if(pool.all, [](const auto& instance) { return instance->state() == Instance::State::Finishing; }));
}

}  // namespace mayfly::function
