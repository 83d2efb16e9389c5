#include <algorithm>
#include <csignal>
#include <sys/socket.h>

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

}  // namespace
}  // namespace mayfly::sandbox
