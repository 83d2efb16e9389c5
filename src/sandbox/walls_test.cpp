#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <csignal>
#include <fstream>

#include "sandbox/sandbox_test_support.h"

// Each promise twice: the probe fails inside, and succeeds once the layer that stops it is left out.

namespace mayfly::sandbox {
namespace {

using How = ProcessEnd::How;

class WallsTest : public SandboxTest {
 protected:
  bool root() const { return ::geteuid() == 0; }
};

/// A TCP listener on the host's loopback.
struct HostListener {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::string port;
  HostListener() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(fd, 8);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    port = std::to_string(ntohs(address.sin_port));
  }
  ~HostListener() { ::close(fd); }
};

TEST_F(WallsTest, FilesOutsideAreInvisible) {
  NEEDS(Layer::MountNamespace);
  std::ofstream(folder_ + ".outside") << "secret";
  EXPECT_EQ(output({"read", folder_ + ".outside"}), "No such file or directory\n");
  EXPECT_EQ(output({"read", folder_ + ".outside"}, {Layer::MountNamespace, Layer::Landlock}), "secret");
  const std::string root = output({"list", "/"});
  for (const char* hidden : {"root\n", "home\n", "boot\n", "mnt\n", "var\n", "sys\n"})
    EXPECT_EQ(root.find(std::string("\n") + hidden), std::string::npos) << hidden;
  std::filesystem::remove(folder_ + ".outside");
}

TEST_F(WallsTest, LandlockAloneHidesFilesToo) {
  NEEDS(Layer::Landlock);
  std::ofstream(folder_ + ".outside") << "secret";
  const std::string target = "/var/tmp/" + std::filesystem::path(folder_).filename().string();
  std::ofstream(target) << "secret";
  EXPECT_EQ(output({"read", target}, {Layer::MountNamespace}), "Permission denied\n");
  EXPECT_EQ(output({"read", target}, {Layer::MountNamespace, Layer::Landlock}), "secret");
  std::filesystem::remove(folder_ + ".outside");
  std::filesystem::remove(target);
}

TEST_F(WallsTest, TheRootIsReadOnlyAndTmpIsPrivate) {
  NEEDS(Layer::MountNamespace);
  for (const char* path : {"/file", "/usr/file", "/etc/passwd", "/dev/file", "/proc/sys/kernel/hostname"}) {
    EXPECT_NE(output({"write", path}, {Layer::Landlock}), "done\n") << path;
    EXPECT_NE(output({"write", path}), "done\n") << path;
  }
  EXPECT_EQ(output({"write", "/tmp/file"}), "done\n");
  EXPECT_EQ(output({"write", "/dev/shm/file"}), "done\n");
  EXPECT_EQ(output({"write", "/dev/null"}), "done\n");
  EXPECT_EQ(output({"read", "/tmp/file"}), "No such file or directory\n");
  EXPECT_FALSE(std::filesystem::exists("/tmp/file"));
  const std::string outside = "/tmp/" + std::filesystem::path(folder_).filename().string() + ".written";
  EXPECT_EQ(output({"write", outside}), "done\n");
  EXPECT_FALSE(std::filesystem::exists(outside));
  EXPECT_EQ(output({"write", outside}, {Layer::MountNamespace, Layer::Landlock}), "done\n");
  EXPECT_TRUE(std::filesystem::exists(outside));
  std::filesystem::remove(outside);
}

TEST_F(WallsTest, MountsAreReadOnlyUnlessWritable) {
  NEEDS(Layer::MountNamespace);
  std::filesystem::create_directory(folder_ + "/data");
  std::filesystem::permissions(folder_ + "/data", std::filesystem::perms::all);
  SandboxSpec wanted = spec({"write", "/data/file"});
  wanted.mounts.push_back({.source = folder_ + "/data", .target = "/data"});
  EXPECT_NE(run_spec(wanted).output, "done\n");
  wanted.without = {Layer::Landlock};
  wanted.id += "-b";
  EXPECT_EQ(run_spec(wanted).output, "Read-only file system\n");
  wanted.without = {};
  wanted.id += "-c";
  wanted.mounts.back().writable = true;
  EXPECT_EQ(run_spec(wanted).output, "done\n");
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/data/file"));
}

TEST_F(WallsTest, OtherProcessesAreInvisible) {
  NEEDS(Layer::PidNamespace);
  const std::string self = std::to_string(::getpid());
  EXPECT_EQ(output({"see", self}), "No such process\n");
  EXPECT_EQ(output({"see", self}, {Layer::PidNamespace}), "done\n");
  if (has(Layer::MountNamespace)) EXPECT_EQ(output({"read", "/proc/" + self + "/comm"}), "No such file or directory\n");
}

/// It is a copy of the jailer, and an ordinary user's has the same user.
TEST_F(WallsTest, TheFirstProcessCannotBeRead) {
  NEEDS(Layer::PidNamespace);
  NEEDS(Layer::MountNamespace);
  for (const char* file : {"/proc/1/mem", "/proc/1/maps", "/proc/1/environ"}) {
    EXPECT_EQ(output({"read", file}, {Layer::Landlock}), "No such file or directory\n") << file;
  }
  EXPECT_NE(output({"read", "/proc/self/maps"}, {Layer::Landlock}), "No such file or directory\n");
}

TEST_F(WallsTest, ThereIsNoNetwork) {
  NEEDS(Layer::NetNamespace);
  const HostListener listener;
  EXPECT_EQ(output({"connect", "127.0.0.1", listener.port, "wait"}), "Connection refused\n");
  EXPECT_EQ(output({"connect", "127.0.0.1", listener.port, "wait"}, {Layer::NetNamespace}), "done\n");
  EXPECT_EQ(output({"connect", "169.254.169.254", "80"}), "Network is unreachable\n");
  EXPECT_EQ(output({"connect", "192.0.2.1", "80"}), "Network is unreachable\n");
  SandboxSpec open = spec({"connect", "127.0.0.1", listener.port, "wait"});
  open.host_network = true;
  EXPECT_EQ(run_spec(open).output, "done\n");
}

TEST_F(WallsTest, ListenersAreReachedFromInside) {
  for (const Layers& without : {Layers{}, Layers{Layer::NetNamespace}}) {
    SandboxSpec wanted = spec({"wait"}, without);
    wanted.listen = {"127.0.0.2:9001", "127.0.0.1:9002"};
    wanted.argv = {"/usr/bin/python3",
                   "-I",
                   "-c",
                   "import socket,sys\n"
                   "print('ready', flush=True)\n"
                   "for a in sys.argv[1:]:\n"
                   "  h, p = a.rsplit(':', 1); s = socket.create_connection((h, int(p))); print(s.recv(100).decode(), flush=True)\n",
                   "127.0.0.2:9001",
                   "127.0.0.1:9002"};
    if (!has(Layer::NetNamespace) || !without.empty()) wanted.argv = {probe(), "wait"};
    const auto process = start(wanted);
    ASSERT_TRUE(process);
    auto listeners = process->take_listeners();
    ASSERT_EQ(listeners.size(), 2U);
    EXPECT_TRUE(process->take_listeners().empty());
    const bool own = process->active().contains(Layer::NetNamespace);
    EXPECT_EQ(listeners[0].address == "127.0.0.2:9001", own) << listeners[0].address;
    EXPECT_TRUE(listeners[0].address.starts_with("127.0.0.2:"));
    EXPECT_EQ(::fcntl(listeners[0].fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    std::string said;
    if (own) {
      for (const auto& listener : listeners) {
        ::fcntl(listener.fd, F_SETFL, 0);
        const int connection = ::accept(listener.fd, nullptr, nullptr);
        ASSERT_GE(connection, 0);
        EXPECT_EQ(::write(connection, "hello", 5), 5);
        ::close(connection);
      }
      EXPECT_EQ(end(*process).code, 0);
      for (std::string more; !(more = read(*process)).empty();) said += more;
      EXPECT_EQ(said, "ready\nhello\nhello\n");
    }
    for (const auto& listener : listeners) ::close(listener.fd);
  }
}

TEST_F(WallsTest, TheHostNameIsItsOwn) {
  NEEDS(Layer::UtsNamespace);
  char host[256] = {};
  ::gethostname(host, sizeof host);
  SandboxSpec wanted = spec({"hostname"});
  wanted.hostname = "a-function";
  EXPECT_EQ(run_spec(wanted).output, "a-function\n");
  EXPECT_EQ(output({"hostname"}, {Layer::UtsNamespace}), std::string(host) + "\n");
}

TEST_F(WallsTest, TheUserIsOrdinaryInsideAndOutside) {
  NEEDS(Layer::UserNamespace);
  EXPECT_EQ(output({"status", "Uid"}), "Uid:\t1000\t1000\t1000\t1000\n");
  const std::string outside = output({"status", "Uid"}, {Layer::UserNamespace});
  const std::string id = root() ? "60900" : std::to_string(::geteuid());
  EXPECT_EQ(outside, "Uid:\t" + id + "\t" + id + "\t" + id + "\t" + id + "\n");
}

TEST_F(WallsTest, PrivilegesAreGone) {
  EXPECT_EQ(output({"status", "NoNewPrivs"}), "NoNewPrivs:\t1\n");
  EXPECT_EQ(output({"status", "NoNewPrivs"}, {Layer::NoNewPrivileges}), "NoNewPrivs:\t0\n");
  for (const char* set : {"CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"}) {
    EXPECT_EQ(output({"status", set}), std::string(set) + ":\t0000000000000000\n");
  }
  EXPECT_NE(output({"status", "CapBnd"}, {Layer::Capabilities}), "CapBnd:\t0000000000000000\n");
}

TEST_F(WallsTest, SetUidProgramsGainNothing) {
  if (!root()) GTEST_SKIP() << "only root can make a set-uid program of root";
  std::filesystem::copy_file(probe(), folder_ + "/suid");
  std::filesystem::permissions(folder_ + "/suid", std::filesystem::perms(04755));
  SandboxSpec wanted = spec({});
  wanted.argv = {folder_ + "/suid", "status", "Uid"};
  EXPECT_EQ(run_spec(wanted).output, "Uid:\t1000\t1000\t1000\t1000\n");
  wanted.without = {Layer::UserNamespace, Layer::MountNamespace, Layer::NoNewPrivileges};
  wanted.id += "-b";
  EXPECT_EQ(run_spec(wanted).output, "Uid:\t60900\t0\t0\t0\n") << "the probe would show a gain";
}

TEST_F(WallsTest, SystemCallsOutsideTheListAreRefused) {
  NEEDS(Layer::Seccomp);
  // What each one does without the filter proves that nothing else stops it.
  const Layers open{Layer::Seccomp};
  EXPECT_EQ(output({"unshare"}), "Operation not permitted\n");
  EXPECT_EQ(output({"unshare"}, open), "done\n");
  EXPECT_EQ(output({"clone-user"}), "Operation not permitted\n");
  EXPECT_EQ(output({"clone-user"}, open), "done\n");
  EXPECT_EQ(output({"clone3"}), "Function not implemented\n");
  EXPECT_EQ(output({"clone3"}, open), "done\n");
  EXPECT_EQ(output({"ptrace"}), "Operation not permitted\n");
  EXPECT_EQ(output({"ptrace"}, open), "done\n");
  EXPECT_EQ(output({"key"}), "Operation not permitted\n");
  EXPECT_EQ(output({"key"}, open), "done\n");
  EXPECT_EQ(output({"personality"}), "Operation not permitted\n");
  EXPECT_EQ(output({"personality"}, open), "done\n");
  EXPECT_EQ(output({"io-uring"}), "Function not implemented\n");
  EXPECT_NE(output({"io-uring"}, open), "Function not implemented\n");
}

TEST_F(WallsTest, OnlyOrdinarySocketsAreAllowed) {
  NEEDS(Layer::Seccomp);
  for (const char* kind : {"raw", "packet", "audit", "uevent", "vsock", "alg"}) {
    EXPECT_EQ(output({"socket", kind}), "Operation not permitted\n") << kind;
  }
  EXPECT_EQ(output({"socket", "uevent"}, {Layer::Seccomp}), "done\n");
  for (const char* kind : {"unix", "route", "tcp", "tcp-by-number", "udp6"}) EXPECT_EQ(output({"socket", kind}), "done\n") << kind;
  for (const char* kind : {"mptcp", "udplite"}) EXPECT_EQ(output({"socket", kind}), "Protocol not supported\n") << kind;
  EXPECT_EQ(output({"pair", "unix"}), "done\n");
  EXPECT_EQ(output({"pair", "tipc"}), "Operation not permitted\n");
  EXPECT_NE(output({"pair", "tipc"}, {Layer::Seccomp}), "Operation not permitted\n");
}

TEST_F(WallsTest, EvenRootsProgramsMayNotMountOrMakeRawSockets) {
  EXPECT_EQ(output({"mount"}), "Operation not permitted\n");
  if (!root()) GTEST_SKIP() << "only root can make a set-uid program of root, which shows that the walls and not the user forbid it";
  std::filesystem::copy_file(probe(), folder_ + "/suid");
  std::filesystem::permissions(folder_ + "/suid", std::filesystem::perms(04755));
  const auto as_root = [this](std::vector<std::string> arguments, Layers without) {
    SandboxSpec made = spec(std::move(arguments), std::move(without));
    made.argv[0] = folder_ + "/suid";
    return run_spec(made).output;
  };
  EXPECT_EQ(as_root({"socket", "raw"}, all_layers()), "done\n");
  for (const Layer one : {Layer::UserNamespace, Layer::Seccomp, Layer::NoNewPrivileges, Layer::Capabilities}) {
    Layers without = all_layers();
    without.erase(one);
    EXPECT_EQ(as_root({"socket", "raw"}, without), "Operation not permitted\n") << "with " << to_string(one) << " alone";
    EXPECT_EQ(as_root({"mount"}, without), "Operation not permitted\n") << "with " << to_string(one) << " alone";
  }
}

TEST_F(WallsTest, EachNamespaceIsItsOwn) {
  const std::pair<Layer, const char*> kinds[] = {
      {Layer::UserNamespace, "user"}, {Layer::MountNamespace, "mnt"}, {Layer::PidNamespace, "pid"},      {Layer::NetNamespace, "net"},
      {Layer::IpcNamespace, "ipc"},   {Layer::UtsNamespace, "uts"},   {Layer::CgroupNamespace, "cgroup"}};
  for (const auto& [layer, name] : kinds) {
    if (!has(layer)) continue;
    const std::string link = "/proc/self/ns/" + std::string(name);
    const std::string host = std::filesystem::read_symlink(link).string() + "\n";
    const std::string inside = output({"link", link}, {Layer::Landlock});
    EXPECT_TRUE(inside.starts_with(std::string(name) + ":[")) << inside;
    EXPECT_NE(inside, host);
    // An ordinary user's jailer has a user and a mount namespace of its own already.
    if (!root() && (layer == Layer::UserNamespace || layer == Layer::MountNamespace)) continue;
    // The root's own /proc comes with the process namespace, and the jailer's mounts are not the host's.
    Layers without{layer, Layer::MountNamespace, Layer::Landlock};
    if (layer != Layer::MountNamespace) EXPECT_EQ(output({"link", link}, without), host) << name;
  }
}

TEST_F(WallsTest, MountsOfFoldersNeedTheMountNamespace) {
  SandboxSpec wanted = spec({"exit", "0"}, {Layer::MountNamespace});
  wanted.mounts.push_back({.source = folder_, .target = "/var/task"});
  const Outcome outcome = run_spec(wanted);
  ASSERT_FALSE(outcome.launched);
  EXPECT_EQ(outcome.launched.error().code, "sandbox.layer_missing");
}

TEST_F(WallsTest, AFolderIsShownThoughOnesAboveItAreClosed) {
  NEEDS(Layer::MountNamespace);
  if (!root()) GTEST_SKIP() << "an ordinary user has to be able to enter its folders";
  std::filesystem::create_directories(folder_ + "/closed/code");
  std::ofstream(folder_ + "/closed/code/file") << "content";
  std::filesystem::permissions(folder_ + "/closed", std::filesystem::perms::owner_all);
  EXPECT_EQ(output({"read", folder_ + "/closed/code/file"}), "Permission denied\n");
  SandboxSpec wanted = spec({"read", "/var/task/file"});
  wanted.mounts.push_back({.source = folder_ + "/closed/code", .target = "/var/task"});
  EXPECT_EQ(run_spec(wanted).output, "content");
}

TEST_F(WallsTest, AbstractSocketsOfTheHostAreOutOfReach) {
  NEEDS(Layer::Landlock);
  const std::string name = "mayfly-test-" + std::to_string(::getpid());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  name.copy(address.sun_path + 1, name.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())),
            0);
  ::listen(fd, 4);
  // They belong to a network namespace; with the host's, Landlock stops them (version 6).
  EXPECT_EQ(output({"abstract", name}, {Layer::Landlock}), "Connection refused\n");
  EXPECT_EQ(output({"abstract", name}, {Layer::NetNamespace}), "Operation not permitted\n");
  EXPECT_EQ(output({"abstract", name}, {Layer::NetNamespace, Layer::Landlock}), "done\n");
  ::close(fd);
}

}  // namespace
}  // namespace mayfly::sandbox
