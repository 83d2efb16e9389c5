#include "store/watchers.h"

namespace mayfly {

struct Watchers::State {
  struct Entry {
    std::string prefix;
    std::shared_ptr<std::function<void()>> changed;
  };
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  std::uint64_t next = 0;
  std::map<std::uint64_t, Entry> entries;
  std::unordered_map<std::string, std::set<std::uint64_t>, Hash, std::equal_to<>> by_prefix;
  std::map<std::size_t, std::size_t> lengths;  // of prefixes, with how many watchers have it
  std::set<std::uint64_t> touched;

  void remove(std::uint64_t id) {
    const auto entry = entries.find(id);
    const auto ids = by_prefix.find(entry->second.prefix);
    ids->second.erase(id);
    if (ids->second.empty()) by_prefix.erase(ids);
    const auto length = lengths.find(entry->second.prefix.size());
    if (--length->second == 0) lengths.erase(length);
    touched.erase(id);
    entries.erase(entry);
  }
};

namespace {

class Handle final : public Store::Watch {
 public:
  Handle(std::weak_ptr<Watchers::State> state, std::uint64_t id) : state_(std::move(state)), id_(id) {}
  ~Handle() override {
    if (const auto state = state_.lock()) state->remove(id_);
  }

 private:
  std::weak_ptr<Watchers::State> state_;
  std::uint64_t id_;
};

}  // namespace

Watchers::Watchers() : state_(std::make_shared<State>()) {}

std::unique_ptr<Store::Watch> Watchers::add(std::string prefix, std::function<void()> changed) {
  const std::uint64_t id = state_->next++;
  state_->by_prefix[prefix].insert(id);
  ++state_->lengths[prefix.size()];
  state_->entries.emplace(id, State::Entry{std::move(prefix), std::make_shared<std::function<void()>>(std::move(changed))});
  return std::make_unique<Handle>(state_, id);
}

bool Watchers::empty() const { return state_->entries.empty(); }

void Watchers::touch(const Batch& batch) {
  for (const Put& put : batch.puts) touch_key(put.key);
  for (const std::string& key : batch.deletes) touch_key(key);
}

void Watchers::touch_key(std::string_view key) {
  for (const auto& [length, count] : state_->lengths) {
    if (length > key.size()) return;
    const auto ids = state_->by_prefix.find(key.substr(0, length));
    if (ids != state_->by_prefix.end()) state_->touched.insert(ids->second.begin(), ids->second.end());
  }
}

void Watchers::notify() {
  const auto state = state_;  // a callback may destroy this object
  const auto touched = std::exchange(state->touched, {});
  for (const std::uint64_t id : touched) {
    const auto entry = state->entries.find(id);
    if (entry == state->entries.end()) continue;
    const auto changed = entry->second.changed;  // a callback may drop its own watcher
    (*changed)();
  }
}

}  // namespace mayfly
