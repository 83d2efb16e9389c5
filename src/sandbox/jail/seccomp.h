#pragma once

#include <linux/filter.h>

#include <vector>

namespace mayfly::jail {

/// Program: what ordinary programs need. Zygote: also what its children need to enter their sandbox. First: what is left for a process 1.
enum class Filter { Program, Zygote, First };

/// An allow-list of system calls (seccomp(2)) for this machine's architecture. All else answers EPERM; clone3 and io_uring_setup answer
/// ENOSYS, since programs then fall back. Sockets are AF_UNIX, TCP and UDP over AF_INET and AF_INET6, and NETLINK_ROUTE.
std::vector<sock_filter> make_filter(Filter filter);
/// False with errno.
bool install_filter(const std::vector<sock_filter>& filter);

}  // namespace mayfly::jail
