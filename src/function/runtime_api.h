#pragma once

#include <memory>
#include <optional>
#include <string>

#include "net/http_server.h"
#include "runtime/clock.h"

namespace mayfly::function {

/// One invocation as a runtime receives it from GET …/invocation/next.
struct RuntimeEvent {
  std::string request_id;
  net::Headers headers;
  std::string payload;
};

/// What a runtime reports. `error_type` empty: `payload` is the handler's answer; else it is an error document.
struct RuntimeAnswer {
  std::string payload;
  std::string content_type;
  std::string error_type;
};

struct RuntimeApiOptions {
  std::size_t payload_bytes_max = 6 * 1024 * 1024;
  std::size_t stream_bytes_max = 200 * 1024 * 1024;
};

/// Told what a runtime does. Called on the loop; none of the calls may destroy the RuntimeApi.
class RuntimeApiListener {
 public:
  virtual ~RuntimeApiListener() = default;
  /// The runtime asks for an event. `deliver` may be called from here.
  virtual void on_next() = 0;
  /// POST …/init/error, or a failed restore; before the first `on_next` only, once.
  virtual void on_init_error(RuntimeAnswer answer) = 0;
  /// The event's answer; exactly once after `on_stream_begin`, else at most once an event.
  virtual void on_answer(RuntimeAnswer answer) = 0;
  /// An answer begins that is read in pieces: true when its pieces are wanted as they come (`on_stream`), false to collect it.
  virtual bool on_stream_begin() = 0;
  virtual Task<bool> on_stream_start(std::string content_type) = 0;
  /// False aborts.
  virtual Task<bool> on_stream(std::string bytes) = 0;
  /// The runtime broke the protocol and was refused; `what` says how.
  virtual void on_violation(std::string_view what) = 0;
};

/// The server side of the Lambda Runtime API 2018-06-01 for one process: one event at a time, whatever the process sends.
/// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html; refusals as in AWS's Runtime Interface Emulator.
class RuntimeApi {
 public:
  /// `platform` serves everything that is not the Runtime API; may be empty (404). Owns `listener_fd`.
  RuntimeApi(Executor executor, Clock& clock, int listener_fd, RuntimeApiOptions options, RuntimeApiListener& listener, net::Handler platform);
  ~RuntimeApi();

  Result<void> listen();
  /// Hands an event to the parked `next`. Only after `on_next`, once each time.
  void deliver(std::shared_ptr<const RuntimeEvent> event);
  /// Ends all requests. Required before destruction.
  Task<> stop();

 private:
  enum class State { Init, Ready, Busy, Answering, Answered, Failed };
  class Handlers;

  net::BodyPolicy body_policy(const net::Request& head) const;

  RuntimeApiOptions options_;
  RuntimeApiListener& listener_;
  net::Handler platform_;
  State state_ = State::Init;
  std::shared_ptr<const RuntimeEvent> event_;  ///< being worked on, or waiting for `next`
  bool fetched_ = false;
  std::optional<Resume<bool>> parked_;
  bool stopping_ = false;
  std::size_t platform_bytes_ = 0;
  std::unique_ptr<net::HttpServer> server_;
};

}  // namespace mayfly::function
