#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "llm/provider.h"
#include "net/http_client.h"
#include "runtime/clock.h"

/// Only for the tests of this module.
namespace mayfly::llm::testing {

/// Stands still until it is told to go to the next timer.
class FakeClock final : public Clock {
 public:
  TimePoint now() const override { return from_unix_ms(1'800'000'000'000) + elapsed_; }
  std::chrono::nanoseconds monotonic() const override { return elapsed_; }
  std::unique_ptr<Timer> call_after(Millis delay, std::move_only_function<void()> callback) override {
    const std::pair key(elapsed_ + std::max(delay, Millis{0}), timers_made++);
    timers_->emplace(key, std::move(callback));
    return std::make_unique<Entry>(timers_, key);
  }
  /// False when no timer waits.
  bool fire_next() {
    if (timers_->empty()) return false;
    auto first = timers_->begin();
    elapsed_ = std::max(elapsed_, first->first.first);
    auto callback = std::move(first->second);
    timers_->erase(first);
    callback();
    return true;
  }
  void advance(Millis by) { elapsed_ += by; }
  Millis elapsed() const { return elapsed_; }
  int timers_made = 0;

 private:
  using Timers = std::map<std::pair<Millis, int>, std::move_only_function<void()>>;
  class Entry final : public Timer {
   public:
    Entry(std::shared_ptr<Timers> timers, std::pair<Millis, int> key) : timers_(std::move(timers)), key_(key) {}
    ~Entry() override { timers_->erase(key_); }

   private:
    std::shared_ptr<Timers> timers_;
    std::pair<Millis, int> key_;
  };
  std::shared_ptr<Timers> timers_ = std::make_shared<Timers>();
  Millis elapsed_{0};
};

template <class T>
Task<> keep(Task<T> task, std::optional<T>* out) {
  out->emplace(co_await std::move(task));
}

/// A loop whose time jumps to the next timer when nothing is ready.
class Loop {
 public:
  Loop() : tasks_(io.get_executor()) {}
  ~Loop() {
    while (step()) {
    }
  }
  template <class T>
  void start(Task<T> task, std::optional<T>* out) {
    tasks_.spawn(keep(std::move(task), out));
  }
  /// Runs what is ready, without letting time pass.
  void settle() {
    io.restart();
    io.poll();
  }
  bool step() {
    io.restart();
    if (io.poll() > 0) return true;
    return clock.fire_next();
  }
  template <class T>
  T run(Task<T> task) {
    std::optional<T> out;
    start(std::move(task), &out);
    while (!out && step()) {
    }
    MAYFLY_ASSERT(out.has_value(), "the task never ended");
    return std::move(*out);
  }

  asio::io_context io;
  FakeClock clock;

 private:
  TaskGroup tasks_;
};

/// Answers every request with the next of `answers`, body in pieces of `chunk` bytes; keeps what was asked.
class FakeHttpClient final : public net::HttpClient {
 public:
  struct Answer {
    int status = 200;
    net::Headers headers;
    std::string body;
    std::optional<Error> error;     ///< after the body
  };
  Task<Result<net::ClientResponse>> send(net::ClientRequest request) override {
    requests.push_back(request);
    MAYFLY_ASSERT(!answers.empty(), "no answer prepared");
    Answer answer = std::move(answers.front());
    answers.erase(answers.begin());
    net::ClientResponse response{.status = answer.status, .headers = answer.headers};
    const bool streams = request.on_body && answer.status / 100 == 2;
    for (std::size_t at = 0; streams && at < answer.body.size(); at += chunk) request.on_body(std::string_view(answer.body).substr(at, chunk));
    if (!streams) response.body = answer.body;
    if (answer.error) co_return fail(*answer.error);
    co_return response;
  }
  std::vector<Answer> answers;
  std::vector<net::ClientRequest> requests;
  std::size_t chunk = 7;
};

inline LlmCall call_with(std::vector<Message> messages) {
  LlmCall call;
  call.request.model = "test-model";
  call.request.messages = std::move(messages);
  return call;
}

}  // namespace mayfly::llm::testing
