#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "jailer.h"
#include "sandbox/jail/seccomp.h"

using namespace mayfly::jail;

namespace {

constexpr int kControl = 3;

/// The first process of a zygote's child: `--first PROGRAM OWN_PID_NAMESPACE FILTER`, with descriptor 3 to the jailer. Its copy of the
/// zygote runs nobody's code until it is told that this one is guarded.
int first(const char* program, const char* own, const char* filter) {
  close_memory();
  const bool alone = std::strcmp(own, "1") == 0;
  if (::dup2(kControl, 0) < 0 || (!alone && ::dup2(kFirstChildren, 1) < 0)) return 1;
  ::close_range(2, ~0U, 0);
  if (alone) ::close(1);
  if (std::strcmp(filter, "1") == 0 && (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !install_filter(make_filter(Filter::First)))) {
    return 1;
  }
  Writer guarded;
  guarded.number(static_cast<std::uint64_t>(Report::Guarded));
  if (!send_packet(0, guarded.bytes())) return 1;
  reap_until_end(0, std::atoi(program), alone ? -1 : 1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 5 && std::strcmp(argv[1], "--first") == 0) return first(argv[2], argv[3], argv[4]);
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(kControl, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET || argc != 3) {
    std::fprintf(stderr, "mayfly-jailer is started by mayfly: there is nothing to do for people here\n");
    return 2;
  }
  // Standard descriptors must exist: what is opened next shall not land there.
  while (true) {
    const int fd = ::open("/dev/null", O_RDWR);
    if (fd < 0 || fd > 2) {
      if (fd > 2) ::close(fd);
      break;
    }
  }
  ::fcntl(kControl, F_SETFD, FD_CLOEXEC);
  ::umask(022);
  try {
    Jailer jailer(kControl, {.cgroup_root = argv[1], .zygote_library = argv[2]});
    jailer.run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mayfly-jailer: %s\n", error.what());
    return 1;
  }
}
