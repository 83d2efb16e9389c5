#include "net/dns.h"

#include <netdb.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstring>

namespace mayfly::net {
namespace {

constexpr std::chrono::seconds kKeepFor{30};
constexpr std::size_t kCachedMax = 1'000;
constexpr int kWaitingMax = 1'000;
constexpr std::size_t kThreads = 4;

using Answer = Result<Addresses>;

std::optional<asio::ip::address> to_address(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    asio::ip::address_v4::bytes_type bytes;
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, bytes.size());
    return asio::ip::address_v4(bytes);
  }
  if (address->sa_family == AF_INET6) {
    asio::ip::address_v6::bytes_type bytes;
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, bytes.size());
    return asio::ip::address_v6(bytes);
  }
  return std::nullopt;
}

Answer look_up(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int code = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (code != 0)
    return fail("net.dns", "The name " + host + " cannot be resolved (" + ::gai_strerror(code) + "); check it and the machine's DNS.",
                Retry::Safe);
  Addresses out;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    const auto address = to_address(entry->ai_addr);
    if (address && std::find(out.begin(), out.end(), *address) == out.end()) out.push_back(*address);
  }
  ::freeaddrinfo(list);
  if (out.empty()) return fail("net.dns", "The name " + host + " has no address; check it.", Retry::Safe);
  return out;
}

/// One caller's wait; touched on the loop only.
struct Wait {
  std::optional<Resume<Answer>> resume;
  std::unique_ptr<Clock::Timer> timer;
  CancelToken::Registration registration;

  void complete(Answer answer) {
    if (!resume) return;
    auto go_on = std::move(*resume);
    resume.reset();
    go_on(std::move(answer));
  }
};

}  // namespace

Resolver::Resolver(Executor executor, Clock& clock) : executor_(executor), clock_(clock), waiting_(std::make_shared<int>(0)) {}
Resolver::~Resolver() = default;

Task<Answer> Resolver::resolve(std::string host, Millis timeout, CancelToken cancel) {
  if (cancel.cancelled()) co_return fail("net.cancelled", "The call was cancelled.", Retry::OutcomeUnknown);
  if (const auto known = cache_.find(host); known != cache_.end()) {
    if (clock_.monotonic() < known->second.until) co_return known->second.addresses;
    cache_.erase(known);
  }
  if (*waiting_ >= kWaitingMax) co_return fail("net.dns", "Too many name lookups wait; try again later.", Retry::Safe);
  if (!threads_) threads_ = std::make_unique<asio::thread_pool>(kThreads);
  const auto wait = std::make_shared<Wait>();
  Answer answer = co_await suspend<Answer>([&, wait](Resume<Answer> resume) {
    wait->resume.emplace(std::move(resume));
    if (timeout > Millis{0}) {
      wait->timer = clock_.call_after(timeout, [wait, host] {
        wait->complete(fail("net.timeout", "Resolving " + host + " took too long; check the machine's DNS.", Retry::Safe));
      });
    }
    wait->registration =
        cancel.on_cancel([wait] { wait->complete(fail("net.cancelled", "The call was cancelled.", Retry::OutcomeUnknown)); });
    ++*waiting_;
    asio::post(*threads_, [wait, host, executor = executor_, waiting = waiting_, work = asio::make_work_guard(executor_)]() mutable {
      asio::post(executor, [wait = std::move(wait), waiting = std::move(waiting), found = look_up(host)]() mutable {
        --*waiting;
        wait->complete(std::move(found));
      });
    });
  });
  wait->timer.reset();
  wait->registration.reset();
  if (answer) {
    if (cache_.size() >= kCachedMax) cache_.clear();
    cache_[host] = {*answer, clock_.monotonic() + kKeepFor};
  }
  co_return answer;
}

}  // namespace mayfly::net
