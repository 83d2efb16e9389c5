#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "jailer.h"

namespace {

constexpr int kControl = 3;

/// The first process of a zygote's child: `--first PROGRAM OWN_PID_NAMESPACE`, with descriptor 3 to the jailer.
int first(const char* program, const char* own) {
  const bool alone = std::strcmp(own, "1") == 0;
  if (::dup2(kControl, 0) < 0 || (!alone && ::dup2(mayfly::jail::kFirstChildren, 1) < 0)) return 1;
  ::close_range(2, ~0U, 0);
  if (alone) ::close(1);
  mayfly::jail::reap_until_end(0, std::atoi(program), alone ? -1 : 1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 4 && std::strcmp(argv[1], "--first") == 0) return first(argv[2], argv[3]);
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
    mayfly::jail::Jailer jailer(kControl, {.cgroup_root = argv[1], .zygote_library = argv[2]});
    jailer.run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mayfly-jailer: %s\n", error.what());
    return 1;
  }
}
