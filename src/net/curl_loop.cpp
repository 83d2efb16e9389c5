#include "net/curl_loop.h"

#include "base/assert.h"

namespace mayfly::net {
namespace {

constexpr long kStreamsPerConnectionMax = 1'000;
constexpr long kConnectionsPerHostMax = 512;
constexpr long kIdleConnectionsMax = 512;

}  // namespace

struct CurlLoop::Watch {
  Watch(Executor executor, curl_socket_t the_socket) : socket(the_socket), descriptor(executor, the_socket) {}
  ~Watch() { let_go(); }
  /// The descriptor belongs to libcurl, which may give its number to the next connection at once.
  void let_go() {
    if (descriptor.is_open()) descriptor.release();
  }
  curl_socket_t socket;
  Descriptor descriptor;
  int wanted = 0;
  int waiting = 0;
};

CurlLoop::CurlLoop(Executor executor, Clock& clock) : executor_(executor), clock_(clock), multi_(curl_multi_init()) {
  MAYFLY_ASSERT(multi_ != nullptr, "libcurl has memory");
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &CurlLoop::on_socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &CurlLoop::on_timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
  // Without both limits libcurl opens a connection a call instead of sharing HTTP/2 connections.
  curl_multi_setopt(multi_, CURLMOPT_MAX_CONCURRENT_STREAMS, kStreamsPerConnectionMax);
  curl_multi_setopt(multi_, CURLMOPT_MAX_HOST_CONNECTIONS, kConnectionsPerHostMax);
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, kIdleConnectionsMax);
}

CurlLoop::~CurlLoop() {
  ++*timer_generation_;
  curl_multi_cleanup(multi_);
}

bool CurlLoop::add(CURL* easy) { return curl_multi_add_handle(multi_, easy) == CURLM_OK; }

void CurlLoop::remove(CURL* easy) {
  MAYFLY_ASSERT(!is_busy(), "handles are removed outside libcurl");
  curl_multi_remove_handle(multi_, easy);
}

void CurlLoop::resume(CURL* easy) {
  // libcurl may hand over what it kept within this call, and asks for a timeout of 0 for the rest.
  ++depth_;
  curl_easy_pause(easy, CURLPAUSE_CONT);
  --depth_;
}

int CurlLoop::on_timer(CURLM*, long timeout_ms, void* self) {
  auto& loop = *static_cast<CurlLoop*>(self);
  const std::uint64_t generation = ++*loop.timer_generation_;
  if (timeout_ms < 0) return 0;
  const auto fire = [&loop, generation, current = std::weak_ptr(loop.timer_generation_)] {
    const auto now = current.lock();
    if (now && *now == generation) loop.act(CURL_SOCKET_TIMEOUT, 0);
  };
  if (timeout_ms == 0) {
    asio::post(loop.executor_, fire);
  } else {
    loop.timer_ = loop.clock_.call_after(Millis{timeout_ms}, fire);
  }
  return 0;
}

int CurlLoop::on_socket(CURL*, curl_socket_t socket, int what, void* self, void*) {
  auto& loop = *static_cast<CurlLoop*>(self);
  if (what == CURL_POLL_REMOVE) {
    if (const auto known = loop.watches_.find(socket); known != loop.watches_.end()) {
      known->second->let_go();
      loop.watches_.erase(known);
    }
    return 0;
  }
  auto& watch = loop.watches_[socket];
  if (!watch) watch = std::make_shared<Watch>(loop.executor_, socket);
  watch->wanted = what;
  loop.arm(watch);
  return 0;
}

void CurlLoop::arm(const std::shared_ptr<Watch>& watch) {
  if ((watch->wanted & CURL_POLL_IN) != 0) wait(watch, Descriptor::wait_read, CURL_CSELECT_IN);
  if ((watch->wanted & CURL_POLL_OUT) != 0) wait(watch, Descriptor::wait_write, CURL_CSELECT_OUT);
}

void CurlLoop::wait(const std::shared_ptr<Watch>& watch, Descriptor::wait_type type, int event) {
  if ((watch->waiting & event) != 0) return;
  watch->waiting |= event;
  watch->descriptor.async_wait(type, [this, event, weak = std::weak_ptr(watch)](boost::system::error_code error) {
    const auto held = weak.lock();
    if (!held) return;
    held->waiting &= ~event;
    if (error) return;
    const curl_socket_t socket = held->socket;
    // What libcurl no longer wants to hear about stays unread until it asks again.
    if ((held->wanted & (event == CURL_CSELECT_IN ? CURL_POLL_IN : CURL_POLL_OUT)) != 0) act(socket, event);
    const auto still = watches_.find(socket);
    if (still != watches_.end() && still->second == held) arm(held);
  });
}

void CurlLoop::act(curl_socket_t socket, int events) {
  int running = 0, left = 0;
  ++depth_;
  curl_multi_socket_action(multi_, socket, events, &running);
  --depth_;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    CurlListener* listener = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &listener);
    listener->on_done(code);
  }
}

}  // namespace mayfly::net
