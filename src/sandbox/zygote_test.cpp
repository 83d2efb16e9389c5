#include <sys/socket.h>

#include <csignal>
#include <fstream>
#include <map>

#include "sandbox/sandbox_test_support.h"

namespace mayfly::sandbox {
namespace {

/// Forks of a warmed Python.
class ZygoteTest : public SandboxTest {
 protected:
  void SetUp() override {
    if (::access("/usr/bin/python3", X_OK) != 0) GTEST_SKIP() << "there is no /usr/bin/python3 here";
    SandboxTest::SetUp();
    std::filesystem::copy_file(MAYFLY_SOURCE_DIR "/src/sandbox/zygote_test.py", folder_ + "/zygote.py");
    ASSERT_TRUE(added("python")) << added_.error().message;
  }
  bool added(const std::string& name, std::string script = {}) {
    if (script.empty()) script = folder_ + "/zygote.py";
    wait_for(add({.name = name,
                  .argv = {"/usr/bin/python3", "-I", "-S", "-B", script},
                  .environment = {"LANG=C.UTF-8", "OF_THE_ZYGOTE=1"},
                  .mounts = {{.source = folder_, .target = folder_}}},
                 &added_));
    return added_.has_value();
  }
  SandboxSpec fork_of(const std::string& code, Layers without = {}) {
    SandboxSpec made = spec({}, std::move(without));
    made.argv.clear();
    made.zygote = "python";
    made.environment = {"MAYFLY_TEST_CODE=" + code, "GREETING=hello"};
    return made;
  }
  Outcome run_code(const std::string& code, Layers without = {}) { return run_spec(fork_of(code, std::move(without))); }

  Result<void> added_;
};

TEST_F(ZygoteTest, ForksWithTheEnvironmentAndDirectoryOfTheSpec) {
  SandboxSpec wanted = fork_of("import os; print(os.getcwd(), sorted(os.environ.items()))");
  wanted.directory = "/tmp";
  const Outcome outcome = run_spec(wanted);
  ASSERT_TRUE(outcome.launched) << outcome.launched.error().message;
  EXPECT_EQ(outcome.output, "/tmp [('GREETING', 'hello')]\n");
  EXPECT_EQ(outcome.end.how, ProcessEnd::How::Exited);
  EXPECT_EQ(outcome.end.code, 0);
}

TEST_F(ZygoteTest, HasEveryLayerThatAProgramHas) {
  const Outcome forked = run_code("pass"), executed = run({"exit", "0"});
  EXPECT_EQ(forked.active, executed.active);
}

TEST_F(ZygoteTest, TheWallsHold) {
  NEEDS(Layer::UserNamespace);
  NEEDS(Layer::MountNamespace);
  EXPECT_EQ(run_code("import os; print(os.getuid(), os.getpid(), os.getppid(), os.getsid(0) == os.getpid())").output, "1000 2 1 True\n");
  EXPECT_EQ(run_code("import os; print(sorted(os.listdir('/proc/self/fd'))[:3], len(os.listdir('/proc/self/fd')))").output,
            "['0', '1', '2'] 4\n");
  EXPECT_EQ(run_code("open('/usr/x', 'w')").output, "OSError [Errno 30] Read-only file system: '/usr/x'\n");
  EXPECT_EQ(run_code("open('/tmp/x', 'w').write('1'); print('done')").output, "done\n");
  EXPECT_EQ(run_code("import os; print(os.path.exists('/run/mayfly'), os.path.exists('" + folder_ + "/probe'))").output, "False True\n");
  EXPECT_EQ(
      run_code(
          "import os; os.unshare(0x10000000) if hasattr(os, 'unshare') else 0\nimport ctypes\nprint(ctypes.CDLL(None).unshare(0x10000000))")
          .output,
      "-1\n");
  EXPECT_EQ(run_code("import ctypes\nprint(ctypes.CDLL(None).unshare(0x10000000))", {Layer::Seccomp}).output, "0\n");
  EXPECT_EQ(run_code("print([l.split()[1] for l in open('/proc/self/status') if l.startswith(('CapEff', 'CapBnd', 'NoNewPrivs'))])").output,
            "['0000000000000000', '0000000000000000', '1']\n");
  EXPECT_EQ(run_code("import socket; socket.create_connection(('169.254.169.254', 80))").output,
            "OSError [Errno 101] Network is unreachable\n");
  EXPECT_EQ(run_code("import os; print(os.uname().nodename)").output, "mayfly\n");
}

/// Both are copies of one zygote: what that one read, the later copy has.
TEST_F(ZygoteTest, KnowsNothingOfTheFunctionBefore) {
  NEEDS(Layer::MountNamespace);
  SandboxSpec before = fork_of("print('ran')");
  for (int i = 0; i < 20; ++i) {
    before.environment.push_back("KEY_" + std::to_string(i) + "=secret-" + std::string("of-another-") + std::to_string(i) +
                                 std::string(200, 'x'));
  }
  before.hostname = "secret-of-another-host";
  before.listen = {"127.0.0.2:9001"};
  before.directory = folder_ + "/secret-of-another-folder";
  std::filesystem::create_directory(before.directory);
  before.mounts = {{.source = before.directory, .target = before.directory}};
  const auto first = start(before);
  ASSERT_TRUE(first);
  EXPECT_EQ(read(*first), "ran\n");
  for (const auto& listener : first->take_listeners()) ::close(listener.fd);
  EXPECT_EQ(run_code("import re\n"
                     "found = set()\n"
                     "read = 0\n"
                     "for line in open('/proc/self/maps'):\n"
                     "  field = line.split()\n"
                     "  if 'r' not in field[1] or '[v' in line: continue\n"
                     "  begin, end = (int(x, 16) for x in field[0].split('-'))\n"
                     "  memory = open('/proc/self/mem', 'rb'); memory.seek(begin)\n"
                     "  text = memory.read(end - begin); read += len(text)\n"
                     "  found.update(re.findall(bytes([115, 101]) + b'cret-of-another-[a-z0-9]+', text))\n"
                     "print(read > 1000000, sorted(found))")
                .output,
            "True []\n");
}

/// Its filter is the zygote's until it has its own: whoever could write there would be free of the one for programs.
TEST_F(ZygoteTest, TheFirstProcessIsOutOfReach) {
  NEEDS(Layer::UserNamespace);
  NEEDS(Layer::MountNamespace);
  EXPECT_EQ(run_code("open('/proc/1/mem', 'r+b')", {Layer::Landlock}).output,
            "FileNotFoundError [Errno 2] No such file or directory: '/proc/1/mem'\n");
  const auto process = start(fork_of("print('ready', flush=True)\nwhile True: __import__('time').sleep(1000)"));
  ASSERT_TRUE(process);
  ASSERT_EQ(read(*process), "ready\n");
  std::ifstream status("/proc/" + std::to_string(process->pid()) + "/status");
  std::map<std::string, std::string> lines;
  for (std::string line; std::getline(status, line);) lines[line.substr(0, line.find(':'))] = line.substr(line.find(':') + 1);
  EXPECT_EQ(lines["CapPrm"], "\t0000000000000000");
  if (has(Layer::Seccomp)) EXPECT_EQ(lines["Seccomp_filters"], "\t2");
}

/// All sandboxes have one user outside, and the kernel counts for each user what lies unread in sockets.
TEST_F(ZygoteTest, UnreadDescriptorsOfOneStopNoOther) {
  NEEDS(Layer::UserNamespace);
  const auto greedy = start(
      fork_of("import socket, array, time\n"
              "keep = []\n"
              "try:\n"
              "  while len(keep) < 20:\n"
              "    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM); keep += pair\n"
              "    for i in range(4): pair[0].sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0] * 250))])\n"
              "except OSError as error: print('full', flush=True)\n"
              "time.sleep(1000)"));
  ASSERT_TRUE(greedy);
  ASSERT_EQ(read(*greedy), "full\n");
  SandboxSpec other = fork_of("print('runs')");
  other.listen = {"127.0.0.2:9001"};
  const auto process = start(other);
  ASSERT_TRUE(process);
  EXPECT_EQ(read(*process), "runs\n");
  for (const auto& listener : process->take_listeners()) ::close(listener.fd);
}

/// Their namespaces lie in the zygote's.
TEST_F(ZygoteTest, ForksDoNotShareTheLimitsOfTheirZygote) {
  const std::string take =
      "import ctypes, time\n"
      "c = ctypes.CDLL(None)\n"
      "timer = ctypes.c_void_p()\n"
      "made = 0\n"
      "while made < 600 and c.timer_create(1, None, ctypes.byref(timer)) == 0: made += 1\n"
      "watches = 0\n"
      "while watches < 16 and c.inotify_init1(0) >= 0: watches += 1\n"
      "print(made, watches, flush=True)\n"
      "time.sleep(1000)";
  const auto one = start(fork_of(take)), other = start(fork_of(take));
  ASSERT_TRUE(one && other);
  EXPECT_EQ(read(*one), "512 16\n");
  EXPECT_EQ(read(*other), "512 16\n");
}

TEST_F(ZygoteTest, MountsAndListenersWork) {
  NEEDS(Layer::NetNamespace);
  NEEDS(Layer::MountNamespace);
  std::filesystem::create_directory(folder_ + "/code");
  std::ofstream(folder_ + "/code/handler.py") << "VALUE = 'of the function'\n";
  SandboxSpec wanted = fork_of(
      "import sys, socket; sys.path.insert(0, '/var/task'); import handler; print(handler.VALUE, flush=True)\n"
      "print(socket.create_connection(('127.0.0.2', 9001)).recv(10).decode(), flush=True)\n");
  wanted.mounts = {{.source = folder_ + "/code", .target = "/var/task"}};
  wanted.listen = {"127.0.0.2:9001"};
  const auto process = start(wanted);
  ASSERT_TRUE(process);
  const auto listeners = process->take_listeners();
  ASSERT_EQ(listeners.size(), 1U);
  ::fcntl(listeners[0].fd, F_SETFL, 0);
  const int connection = ::accept(listeners[0].fd, nullptr, nullptr);
  EXPECT_EQ(::write(connection, "hello", 5), 5);
  ::close(connection);
  ::close(listeners[0].fd);
  EXPECT_EQ(end(*process).code, 0);
  std::string said;
  for (std::string more; !(more = read(*process)).empty();) said += more;
  EXPECT_EQ(said, "of the function\nhello\n");
}

TEST_F(ZygoteTest, EndsAreTold) {
  EXPECT_EQ(run_code("raise SystemExit(9)").end.code, 9);
  EXPECT_EQ(run_code("import os; os.kill(os.getpid(), 11)").end.code, SIGSEGV);
  SandboxSpec hungry = fork_of("x = bytearray(200 << 20)");
  hungry.limits.memory_bytes_max = 48U << 20;
  const Outcome outcome = run_spec(hungry);
  if (has(Layer::CgroupMemory)) {
    EXPECT_EQ(outcome.end.how, ProcessEnd::How::OutOfMemory);
  } else {
    EXPECT_EQ(outcome.output.substr(0, 11), "MemoryError");
  }
  const auto sleeper = start(fork_of("print('ready', flush=True)\nwhile True: __import__('time').sleep(1000)"));
  ASSERT_EQ(read(*sleeper), "ready\n");
  sleeper->terminate();
  EXPECT_EQ(end(*sleeper).code, SIGTERM);
}

TEST_F(ZygoteTest, ForksDoNotShareState) {
  const std::string code = "import sys; print(getattr(sys, 'mark', 'clean')); sys.mark = 'dirty'";
  EXPECT_EQ(run_code(code).output, "clean\n");
  EXPECT_EQ(run_code(code).output, "clean\n");
  EXPECT_NE(run_code("import threading; t = threading.Thread(target=lambda: print('in a thread')); t.start(); t.join()")
                .output.find("in a thread"),
            std::string::npos);
  EXPECT_EQ(run_code("import subprocess; print(subprocess.run(['/bin/echo', 'hi'], capture_output=True).stdout)").output, "b'hi\\n'\n");
}

TEST_F(ZygoteTest, ManyForksQueue) {
  TaskGroup group(io_.get_executor());
  std::vector<Outcome> outcomes(20);
  for (std::size_t i = 0; i < outcomes.size(); ++i) group.spawn(run_one(fork_of("print(" + std::to_string(i) + ")"), &outcomes[i]));
  io_.restart();
  while (group.size() > 0 && io_.run_one() > 0) {
  }
  for (std::size_t i = 0; i < outcomes.size(); ++i) EXPECT_EQ(outcomes[i].output, std::to_string(i) + "\n");
}

TEST_F(ZygoteTest, AZygoteThatDiesIsStartedAgain) {
  const auto process = start(fork_of("print('ready', flush=True)\nwhile True: __import__('time').sleep(1000)"));
  ASSERT_EQ(read(*process), "ready\n");
  // The zygote is the jailer's other child.
  std::ifstream status("/proc/" + std::to_string(process->pid()) + "/status");
  int jailer = 0, killed = 0;
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("PPid:")) jailer = std::stoi(line.substr(5));
  }
  std::ifstream children("/proc/" + std::to_string(jailer) + "/task/" + std::to_string(jailer) + "/children");
  for (int child = 0; children >> child;) {
    if (child == process->pid()) continue;
    ::kill(child, SIGKILL);
    ++killed;
  }
  EXPECT_EQ(killed, 1);
  EXPECT_EQ(run_code("print('again')").output, "again\n");
  process->kill();
  EXPECT_EQ(end(*process).how, ProcessEnd::How::Signalled) << "a fork outlives its zygote";
}

TEST_F(ZygoteTest, SaysWhyAZygoteCannotStart) {
  std::ofstream(folder_ + "/broken.py") << "import no_such_module\n";
  EXPECT_FALSE(added("broken", folder_ + "/broken.py"));
  EXPECT_EQ(added_.error().code, "sandbox.exec");
  EXPECT_NE(added_.error().message.find("No module named 'no_such_module'"), std::string::npos) << added_.error().message;
  SandboxSpec unknown = fork_of("pass");
  unknown.zygote = "python";
  unknown.host_network = true;
  EXPECT_EQ(run_spec(unknown).launched.error().message, "a zygote's forks cannot have the host's network: launch the program itself");
  unknown.host_network = false;
  unknown.zygote = "cobol";
  EXPECT_EQ(run_spec(unknown).launched.error().code, "sandbox.no_zygote");
  sandbox_->remove_zygote("python");
  EXPECT_EQ(run_code("pass").launched.error().code, "sandbox.no_zygote");
}

}  // namespace
}  // namespace mayfly::sandbox
