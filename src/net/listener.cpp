#include "net/listener.h"

#include <sys/socket.h>

namespace mayfly::net {

Result<void> adopt_listener(Acceptor& acceptor, int fd) {
  using Tcp = asio::ip::tcp;
  const auto has = [fd](int option, int wanted) {
    int value = 0;
    socklen_t size = sizeof value;
    return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
  };
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  const bool is_known = ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) == 0;
  const int family = is_known ? name.ss_family : AF_UNSPEC;
  if ((family != AF_INET && family != AF_INET6 && family != AF_UNIX) || !has(SO_TYPE, SOCK_STREAM) || !has(SO_ACCEPTCONN, 1)) {
    return fail("net.bind", "The given descriptor is no listening TCP or Unix stream socket; bind it and call listen on it first.");
  }
  boost::system::error_code error;
  // Only a label: Asio accepts from any stream socket, and asks each accepted one itself who its peer is.
  acceptor.assign(family == AF_INET6 ? Tcp::v6() : Tcp::v4(), fd, error);
  if (error) return fail("net.bind", "The given listening socket cannot be used: " + error.message() + ". Open fewer files.");
  return {};
}

}  // namespace mayfly::net
