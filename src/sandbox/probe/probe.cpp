// A program for the sandbox' tests: tries one thing and prints "done" or why not.
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

extern char** environ;

namespace {

using Arguments = std::vector<std::string>;

int answer(bool ok) {
  std::printf("%s\n", ok ? "done" : std::strerror(errno));
  return ok ? 0 : 1;
}

int exit_code(const Arguments& a) { return std::atoi(a.at(0).c_str()); }

int print_environment(const Arguments&) {
  for (char** variable = environ; *variable != nullptr; ++variable) std::printf("%s\n", *variable);
  return 0;
}

int print_arguments(const Arguments& a) {
  char folder[4096] = {};
  std::printf("%s", ::getcwd(folder, sizeof folder));
  for (const std::string& text : a) std::printf("|%s", text.c_str());
  std::printf("\n");
  return 0;
}

int list_descriptors(const Arguments&) {
  for (int fd = 0; fd < 1024; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) std::printf("%d ", fd);
  }
  std::printf("\n");
  return 0;
}

int list_folder(const Arguments& a) {
  DIR* folder = ::opendir(a.at(0).c_str());
  if (folder == nullptr) return answer(false);
  while (const dirent* entry = ::readdir(folder)) std::printf("%s\n", entry->d_name);
  return 0;
}

int read_it(const Arguments& a) {
  const int fd = ::open(a.at(0).c_str(), O_RDONLY);
  char bytes[4096] = {};
  const ssize_t count = fd < 0 ? -1 : ::read(fd, bytes, sizeof bytes);
  if (count < 0) return answer(false);
  return ::write(1, bytes, static_cast<std::size_t>(count)) == count ? 0 : 1;
}

int read_link(const Arguments& a) {
  char text[4096] = {};
  if (::readlink(a.at(0).c_str(), text, sizeof text - 1) < 0) return answer(false);
  std::printf("%s\n", text);
  return 0;
}

int write_it(const Arguments& a) {
  const int fd = ::open(a.at(0).c_str(), O_WRONLY | O_CREAT, 0644);
  return answer(fd >= 0 && ::write(fd, "x", 1) == 1);
}

/// PATH BYTES: fills a file.
int fill(const Arguments& a) {
  const int fd = ::open(a.at(0).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0) return answer(false);
  ::signal(SIGXFSZ, SIG_IGN);
  static char block[1 << 16];
  for (long left = std::atol(a.at(1).c_str()); left > 0; left -= static_cast<long>(sizeof block)) {
    if (::write(fd, block, sizeof block) != sizeof block) return answer(false);
  }
  return answer(true);
}

int status(const Arguments& a) {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(a.at(0) + ":")) std::printf("%s\n", line.c_str());
  }
  return 0;
}

/// Processes that can be signalled or seen, beside ourselves and our first process.
int see_process(const Arguments& a) { return answer(::kill(std::atoi(a.at(0).c_str()), 0) == 0 || errno == EPERM); }

int connect_to(const Arguments& a) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(a.at(1).c_str())));
  ::inet_pton(AF_INET, a.at(0).c_str(), &address.sin_addr);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return answer(true);
  // Unreachable networks say so at once; in progress means that packets leave.
  if (errno == EINPROGRESS && a.size() > 2) {
    int error = 0;
    socklen_t size = sizeof error;
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    ::select(fd + 1, nullptr, &set, nullptr, nullptr);
    ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    errno = error;
    return answer(error == 0);
  }
  return answer(false);
}

/// Blocking connect, then says what it got.
int talk(const Arguments& a) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  const std::size_t colon = a.at(0).find(':');
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(a[0].c_str() + colon + 1)));
  ::inet_pton(AF_INET, a[0].substr(0, colon).c_str(), &address.sin_addr);
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return answer(false);
  char bytes[64] = {};
  const ssize_t count = ::read(fd, bytes, sizeof bytes - 1);
  std::printf("got %s\n", count > 0 ? bytes : "nothing");
  return 0;
}

int make_socket(const Arguments& a) {
  const std::map<std::string, std::vector<int>> kinds{{"raw", {AF_INET, SOCK_RAW, IPPROTO_ICMP}},
                                                      {"packet", {AF_PACKET, SOCK_DGRAM, 0}},
                                                      {"audit", {AF_NETLINK, SOCK_RAW, NETLINK_AUDIT}},
                                                      {"uevent", {AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT}},
                                                      {"vsock", {AF_VSOCK, SOCK_STREAM, 0}},
                                                      {"alg", {AF_ALG, SOCK_SEQPACKET, 0}},
                                                      {"unix", {AF_UNIX, SOCK_STREAM, 0}},
                                                      {"route", {AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE}},
                                                      {"tcp", {AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0}},
                                                      {"tcp-by-number", {AF_INET6, SOCK_STREAM, IPPROTO_TCP}},
                                                      {"mptcp", {AF_INET, SOCK_STREAM, 262}},
                                                      {"udplite", {AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE}},
                                                      {"udp6", {AF_INET6, SOCK_DGRAM, 0}}};
  const auto& kind = kinds.at(a.at(0));
  return answer(::socket(kind[0], kind[1], kind[2]) >= 0);
}

int make_pair(const Arguments& a) {
  int ends[2] = {};
  return answer(::socketpair(a.at(0) == "unix" ? AF_UNIX : AF_TIPC, SOCK_STREAM, 0, ends) == 0);
}

int mount_it(const Arguments&) { return answer(::mount("none", "/tmp", "tmpfs", 0, nullptr) == 0); }
int unshare_user(const Arguments&) { return answer(::unshare(CLONE_NEWUSER) == 0); }
int clone_user(const Arguments&) {
  const long pid = ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid == 0) ::_exit(0);
  return answer(pid > 0);
}
int clone3_it(const Arguments&) {
  struct {
    unsigned long long flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
  } arguments{};
  arguments.exit_signal = SIGCHLD;
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == 0) ::_exit(0);
  return answer(pid > 0);
}
int trace_child(const Arguments&) {
  const int pid = ::fork();
  if (pid == 0) {
    ::pause();
    ::_exit(0);
  }
  const bool ok = ::ptrace(PTRACE_ATTACH, pid, nullptr, nullptr) == 0;
  const int error = errno;
  ::kill(pid, SIGKILL);
  errno = error;
  return answer(ok);
}
int add_key(const Arguments&) { return answer(::syscall(SYS_add_key, "user", "mayfly", "x", 1, -2 /* process keyring */) >= 0); }
int personality(const Arguments&) { return answer(::syscall(SYS_personality, 0x0040000 /* ADDR_NO_RANDOMIZE */) >= 0); }
int io_uring(const Arguments&) {
  char params[120] = {};
  return answer(::syscall(SYS_io_uring_setup, 1, params) >= 0);
}

/// The name of an abstract socket: connects to it.
int connect_abstract(const Arguments& a) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, a.at(0).data(), a[0].size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + a[0].size());
  return answer(::connect(fd, reinterpret_cast<sockaddr*>(&address), length) == 0);
}

int host_name(const Arguments&) {
  utsname name{};
  ::uname(&name);
  std::printf("%s\n", name.nodename);
  return 0;
}

int use_memory(const Arguments& a) {
  const auto bytes = static_cast<std::size_t>(std::atol(a.at(0).c_str()));
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return answer(false);
  for (std::size_t at = 0; at < bytes; at += 4096) static_cast<volatile char*>(memory)[at] = 1;
  return answer(true);
}

/// COUNT: that many children at once; prints how many there were.
int fork_many(const Arguments& a) {
  int made = 0;
  for (int i = 0; i < std::atoi(a.at(0).c_str()); ++i) {
    const int pid = ::fork();
    if (pid == 0) {
      ::pause();
      ::_exit(0);
    }
    if (pid < 0) break;
    ++made;
  }
  std::printf("%d\n", made);
  return 0;
}

int open_many(const Arguments&) {
  int made = 0;
  while (made < 100'000 && ::open("/dev/null", O_RDONLY) >= 0) ++made;
  std::printf("%d\n", made);
  return 0;
}

/// MOST: how many of them can be had.
int watch_many(const Arguments& a) {
  int made = 0;
  while (made < std::atoi(a.at(0).c_str()) && ::inotify_init1(0) >= 0) ++made;
  std::printf("%d\n", made);
  return 0;
}

int time_many(const Arguments& a) {
  int made = 0;
  timer_t timer{};
  while (made < std::atoi(a.at(0).c_str()) && ::timer_create(CLOCK_MONOTONIC, nullptr, &timer) == 0) ++made;
  std::printf("%d\n", made);
  return 0;
}

int print_forever(const Arguments&) {
  static char block[4096];
  std::memset(block, 'y', sizeof block);
  while (::write(1, block, sizeof block) > 0) {
  }
  return 0;
}

void said(const char* text) { (void)!::write(1, text, std::strlen(text)); }

int wait_for_term(const Arguments&) {
  ::signal(SIGTERM, [](int) {
    said("terminated\n");
    ::_exit(5);
  });
  said("ready\n");
  for (;;) ::pause();
}

int wait_forever(const Arguments&) {
  said("ready\n");
  for (;;) ::pause();
}

/// Leaves a grandchild in a session of its own, prints nothing of it, and ends.
int leave_daemon(const Arguments& a) {
  if (::fork() == 0) {
    ::setsid();
    if (::fork() != 0) ::_exit(0);
    for (const int fd : {1, 2}) ::close(fd);
    ::prctl(PR_SET_NAME, a.at(0).c_str());
    for (;;) ::pause();
  }
  ::wait(nullptr);
  if (a.size() > 1) return wait_forever({});
  std::printf("left\n");
  return 0;
}

int orphans(const Arguments&) {
  // A grandchild that ends after its parent: only the first process can reap it.
  int ends[2] = {};
  if (::pipe(ends) != 0) return 1;
  if (::fork() == 0) {
    if (::fork() == 0) {
      char byte = 0;
      ::close(ends[1]);
      (void)!::read(ends[0], &byte, 1);
      ::_exit(0);
    }
    ::_exit(0);
  }
  ::wait(nullptr);
  ::close(ends[0]);
  ::close(ends[1]);
  // It is gone when no process beside the first and ourselves is left.
  for (int round = 0; round < 10'000; ++round) {
    int seen = 0;
    for (int pid = 3; pid < 64; ++pid) seen += ::kill(pid, 0) == 0 ? 1 : 0;
    if (seen == 0) return answer(true);
    ::sched_yield();
  }
  std::printf("a zombie is left\n");
  return 1;
}

int crash(const Arguments&) { return ::raise(SIGSEGV); }

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, std::function<int(const Arguments&)>> probes{{"exit", exit_code},       {"env", print_environment},
                                                                           {"args", print_arguments}, {"fds", list_descriptors},
                                                                           {"list", list_folder},     {"read", read_it},
                                                                           {"write", write_it},       {"fill", fill},
                                                                           {"status", status},        {"see", see_process},
                                                                           {"connect", connect_to},   {"talk", talk},
                                                                           {"socket", make_socket},   {"mount", mount_it},
                                                                           {"unshare", unshare_user}, {"clone-user", clone_user},
                                                                           {"clone3", clone3_it},     {"ptrace", trace_child},
                                                                           {"key", add_key},          {"personality", personality},
                                                                           {"io-uring", io_uring},    {"abstract", connect_abstract},
                                                                           {"hostname", host_name},   {"memory", use_memory},
                                                                           {"fork", fork_many},       {"open", open_many},
                                                                           {"print", print_forever},  {"term", wait_for_term},
                                                                           {"wait", wait_forever},    {"daemon", leave_daemon},
                                                                           {"orphans", orphans},      {"link", read_link},
                                                                           {"crash", crash},          {"watch", watch_many},
                                                                           {"timers", time_many},     {"pair", make_pair}};
  const auto probe = argc < 2 ? probes.end() : probes.find(argv[1]);
  if (probe == probes.end()) return 99;
  const int code = probe->second(Arguments(argv + 2, argv + argc));
  std::fflush(stdout);
  return code;
}
