#pragma once

#include <boost/asio/ip/tcp.hpp>

#include "base/result.h"
#include "runtime/task.h"

namespace mayfly::net {

using Acceptor = asio::basic_socket_acceptor<asio::ip::tcp, Executor>;

/// Takes a bound and listening TCP or Unix stream socket over; the acceptor owns it after success, the caller else.
/// Error: `net.bind`.
Result<void> adopt_listener(Acceptor& acceptor, int fd);

}  // namespace mayfly::net
