#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

namespace mayfly {

/// Passed down to whatever may have to stop early. Copies share one state; used on one loop only.
class CancelToken {
  struct State {
    bool cancelled = false;
    std::uint64_t next = 0;
    std::map<std::uint64_t, std::move_only_function<void()>> callbacks;
  };

 public:
  /// Unregisters its callback when destroyed.
  class Registration {
   public:
    Registration() = default;
    Registration(std::weak_ptr<State> state, std::uint64_t id) : state_(std::move(state)), id_(id) {}
    Registration(Registration&& other) noexcept : state_(std::exchange(other.state_, {})), id_(other.id_) {}
    Registration& operator=(Registration&& other) noexcept {
      if (this != &other) {
        reset();
        state_ = std::exchange(other.state_, {});
        id_ = other.id_;
      }
      return *this;
    }
    ~Registration() { reset(); }
    void reset() {
      if (const auto state = state_.lock()) state->callbacks.erase(id_);
      state_.reset();
    }

   private:
    std::weak_ptr<State> state_;
    std::uint64_t id_ = 0;
  };

  /// A token that is never cancelled.
  CancelToken() = default;

  bool cancelled() const { return state_ && state_->cancelled; }
  /// Calls `callback` once when the token is cancelled; at once if it already is.
  [[nodiscard]] Registration on_cancel(std::move_only_function<void()> callback) const {
    if (!state_) return {};
    if (state_->cancelled) {
      callback();
      return {};
    }
    const std::uint64_t id = state_->next++;
    state_->callbacks.emplace(id, std::move(callback));
    return Registration(state_, id);
  }

 private:
  friend class CancelSource;
  std::shared_ptr<State> state_;
};

/// The side that decides. Destroying it does not cancel.
class CancelSource {
 public:
  CancelSource() { token_.state_ = std::make_shared<CancelToken::State>(); }
  CancelToken token() const { return token_; }
  bool cancelled() const { return token_.cancelled(); }
  void cancel() {
    const auto state = token_.state_;
    if (state->cancelled) return;
    state->cancelled = true;
    // One at a time: a callback may destroy another's Registration, and that one must not be called then.
    while (!state->callbacks.empty()) {
      auto next = state->callbacks.extract(state->callbacks.begin());
      next.mapped()();
    }
  }

 private:
  CancelToken token_;
};

}  // namespace mayfly
