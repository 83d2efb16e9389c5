#pragma once

#include <compare>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "function/instance.h"

namespace mayfly::function {

/// Processes with one of these may stand for each other. Tenants never share a process; versions differ in their environment.
struct PoolKey {
  std::string function;
  std::int64_t revision = 0;
  std::string version;
  std::string tenant;
  auto operator<=>(const PoolKey&) const = default;
};

/// Which processes exist and who rests. It decides; the supervisor acts. Idle ones are kept in the order in which they became so.
class InstancePools {
 public:
  struct Waiter {
    std::optional<Resume<bool>> resume;
    std::shared_ptr<Instance> got;
  };
  struct Pool {
    std::vector<std::shared_ptr<Instance>> all;
    std::vector<Instance*> idle;  ///< the last one was used last
    std::deque<Waiter*> waiters;
    std::int64_t provisioned = 0;
  };

  Pool& pool(const PoolKey& key) { return pools_[key]; }
  Pool* find(const PoolKey& key);
  static PoolKey key_of(const Instance& instance);

  void add(const std::shared_ptr<Instance>& instance);
  void remove(const std::shared_ptr<Instance>& instance);
  /// Now idle, since `now`; or given to the pool's first waiter.
  void make_idle(Instance& instance, std::chrono::nanoseconds now);
  /// The one used last, or null. It is not idle any more.
  std::shared_ptr<Instance> take(const PoolKey& key);
  /// Takes it out of the idle ones, if it is among them.
  void forget_idle(Instance& instance);

  /// The one idle longest that no provisioned concurrency asks for, or null.
  Instance* oldest_idle() const;
  /// All that live, without those that are ending.
  std::size_t living() const;
  std::size_t size() const { return size_; }
  void for_each(const std::function<void(const PoolKey&, Instance&)>& visit) const;
  /// How many of a pool have an answer and will soon ask for more.
  static std::size_t finishing(const Pool& pool);

 private:
  void drop_if_empty(const PoolKey& key);

  std::map<PoolKey, Pool> pools_;
  std::list<Instance*> idle_;  ///< of all pools, oldest first
  std::map<Instance*, std::list<Instance*>::iterator> places_;
  std::size_t size_ = 0;
};

}  // namespace mayfly::function
