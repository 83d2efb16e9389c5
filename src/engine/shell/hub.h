#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace mayfly::engine {

/// Who watches which run. Everything in memory: a watcher that was away reads the journal first.
class Hub {
 public:
  ~Hub() { close(); }
  std::unique_ptr<Subscription> subscribe(const std::string& run, Interest interest);
  void publish(const std::string& run, const StreamItem& item);
  /// Somebody wants more of the run than its end.
  bool watched(const std::string& run) const;
  /// Ends the run's subscriptions: their readers look into the journal again.
  void end(const std::string& run);
  /// Ends every subscription.
  void close();

 private:
  static constexpr std::size_t kItemsMax = 4096;
  struct Feed;
  class Reader;
  void remove(const std::string& run, Feed* feed);

  std::map<std::string, std::vector<std::shared_ptr<Feed>>, std::less<>> feeds_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace mayfly::engine
