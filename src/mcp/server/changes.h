#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace mayfly::mcp {

/// Tells whoever listens that a list has changed.
class Changes {
 public:
  enum class List { Tools, Resources, Prompts };
  class Handle {
   public:
    Handle(std::shared_ptr<Changes*> owner, std::int64_t id) : owner_(std::move(owner)), id_(id) {}
    Handle(Handle&&) = default;
    Handle(const Handle&) = delete;
    ~Handle() {
      if (owner_ && *owner_) (*owner_)->listeners_.erase(id_);
    }

   private:
    std::shared_ptr<Changes*> owner_;
    std::int64_t id_ = 0;
  };

  ~Changes() { *self_ = nullptr; }
  [[nodiscard]] Handle listen(std::function<void(List)> listener) {
    listeners_.emplace(++last_, std::move(listener));
    return Handle(self_, last_);
  }
  void tell(List list) {
    const auto listeners = listeners_;
    for (const auto& [id, listener] : listeners)
      if (listeners_.contains(id)) listener(list);
  }
  std::size_t size() const { return listeners_.size(); }
  static std::string method_of(List list) {
    return list == List::Tools     ? "notifications/tools/list_changed"
           : list == List::Prompts ? "notifications/prompts/list_changed"
                                   : "notifications/resources/list_changed";
  }

 private:
  std::shared_ptr<Changes*> self_ = std::make_shared<Changes*>(this);
  std::map<std::int64_t, std::function<void(List)>> listeners_;
  std::int64_t last_ = 0;
};

}  // namespace mayfly::mcp
