#pragma once

#include <curl/curl.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>
#include <unordered_map>

#include "runtime/clock.h"

namespace mayfly::net {

/// Told, outside libcurl, that its handle is done. Set it as the handle's CURLOPT_PRIVATE.
class CurlListener {
 public:
  virtual ~CurlListener() = default;
  virtual void on_done(CURLcode code) = 0;
};

/// One libcurl multi handle (a connection pool) driven by a loop.
class CurlLoop {
 public:
  CurlLoop(Executor executor, Clock& clock);
  ~CurlLoop();
  CurlLoop(const CurlLoop&) = delete;
  CurlLoop& operator=(const CurlLoop&) = delete;

  /// False when libcurl refuses.
  bool add(CURL* easy);
  /// Aborts the transfer if it runs. Not while `is_busy`.
  void remove(CURL* easy);
  /// Goes on with a transfer whose body was held back.
  void resume(CURL* easy);
  /// True inside libcurl's callbacks, where handles must not be removed.
  bool is_busy() const { return depth_ > 0; }

 private:
  struct Watch;
  using Descriptor = asio::posix::basic_stream_descriptor<Executor>;

  static int on_socket(CURL* easy, curl_socket_t socket, int what, void* self, void* unused);
  static int on_timer(CURLM* multi, long timeout_ms, void* self);
  void arm(const std::shared_ptr<Watch>& watch);
  void wait(const std::shared_ptr<Watch>& watch, Descriptor::wait_type type, int event);
  void act(curl_socket_t socket, int events);

  Executor executor_;
  Clock& clock_;
  CURLM* multi_;
  int depth_ = 0;
  std::shared_ptr<std::uint64_t> timer_generation_ = std::make_shared<std::uint64_t>(0);
  std::unique_ptr<Clock::Timer> timer_;
  std::unordered_map<curl_socket_t, std::shared_ptr<Watch>> watches_;
};

}  // namespace mayfly::net
