#pragma once

#include <memory>
#include <optional>
#include <string>

#include "net/curl_loop.h"
#include "net/dns.h"
#include "net/http_client.h"
#include "net/ssrf.h"

namespace mayfly::net {

/// One request to one checked target, without redirects.
class Transfer final : public CurlListener, public std::enable_shared_from_this<Transfer> {
 public:
  using Outcome = Result<ClientResponse>;

  /// `request` must outlive the transfer; `deadline` is monotonic time, 0: none.
  Transfer(std::shared_ptr<CurlLoop> loop, Clock& clock, Executor executor, const ClientRequest& request, EgressTarget target,
           Addresses addresses, std::chrono::nanoseconds deadline);
  ~Transfer() override;
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  Task<Outcome> run();

 private:
  void on_done(CURLcode code) override;
  std::optional<Error> prepare();
  void prepare_body();
  std::optional<Error> prepare_headers();
  void start(Resume<bool> resume);
  /// Ends the transfer with `error`; inside libcurl as soon as it has returned.
  void abort(Error error);
  void finish();
  void watch_time();
  void on_time();
  Retry retry() const { return was_sent_ ? Retry::OutcomeUnknown : Retry::Safe; }
  Error explain(CURLcode code) const;
  bool may_be_sent_again() const;

  static std::size_t on_header(char* bytes, std::size_t size, std::size_t count, void* self);
  static std::size_t on_body(char* bytes, std::size_t size, std::size_t count, void* self);
  static int on_ready_to_send(void* self, char* peer_ip, char* own_ip, int peer_port, int own_port);
  static curl_socket_t on_open(void* self, curlsocktype purpose, curl_sockaddr* address);
  void header_line(std::string_view line);
  bool is_held_back();
  void go_on();
  bool body_bytes(std::string_view bytes);

  std::shared_ptr<CurlLoop> loop_;
  Clock& clock_;
  Executor executor_;
  const ClientRequest& request_;
  EgressTarget target_;
  Addresses addresses_;
  std::chrono::nanoseconds deadline_;
  CURL* easy_ = nullptr;
  curl_slist* fields_ = nullptr;
  curl_slist* pinned_ = nullptr;
  ClientResponse response_;
  std::size_t header_bytes_ = 0;
  std::size_t body_bytes_ = 0;
  std::optional<Error> failure_;
  std::optional<Resume<bool>> resume_;
  CancelToken::Registration cancel_;
  std::unique_ptr<Clock::Timer> timer_;
  std::chrono::nanoseconds timer_at_{0};
  std::chrono::nanoseconds phase_since_{0};  ///< connecting, waiting for the first byte, or the last byte
  bool was_sent_ = false;
  bool has_body_ = false;
  bool header_done_ = false;
  bool is_paused_ = false;
  bool is_added_ = false;
  bool is_finished_ = false;
};

}  // namespace mayfly::net
