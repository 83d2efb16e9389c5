#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "store/store.h"

namespace mayfly {

/// The prefix watchers of one store: who wants to know about which keys. Used on the store's loop only.
/// The cost of a key is one look-up for each distinct prefix length in use, whatever the number of watchers.
class Watchers {
 public:
  Watchers();
  /// The handle may outlive this object.
  std::unique_ptr<Store::Watch> add(std::string prefix, std::function<void()> changed);
  bool empty() const;

  /// Notes the keys of one committed batch for the next `notify`.
  void touch(const Batch& batch);
  /// Calls each watcher of a touched key once. Callbacks may add and drop watchers.
  void notify();

  struct State;

 private:
  void touch_key(std::string_view key);

  std::shared_ptr<State> state_;
};

}  // namespace mayfly
