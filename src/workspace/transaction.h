#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "store/store.h"
#include "workspace/outcome.h"

namespace mayfly::workspace {

/// Reads and changes rows of one partition; what was changed is seen by later reads and becomes one batch. Several requests share one transaction:
/// each sets a mark first and goes back to it when it fails.
class Transaction {
 public:
  explicit Transaction(Store& store) : store_(store) {}

  Task<Result<std::optional<std::string>>> get(std::string key);
  /// Rows of the range in key order, changes merged in.
  Task<Result<std::vector<std::pair<std::string, std::string>>>> scan(KeyRange range, std::size_t limit, Direction direction = Direction::Forward);
  void put(std::string key, std::string value);
  void erase(std::string key);

  using Mark = std::size_t;
  Mark mark() const { return undo_.size(); }
  void roll_back(Mark mark);

  bool empty() const { return changes_.empty(); }
  std::size_t operations() const { return changes_.size(); }
  std::size_t bytes() const { return bytes_; }
  /// Everything since the start, without preconditions.
  Batch batch() const;

 private:
  struct Undo {
    std::string key;
    bool was_changed = false;
    std::optional<std::string> value;
  };
  void change(std::string key, std::optional<std::string> value);

  Store& store_;
  std::map<std::string, std::optional<std::string>> changes_;
  std::vector<Undo> undo_;
  std::size_t bytes_ = 0;
};

}  // namespace mayfly::workspace
