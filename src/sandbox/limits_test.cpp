#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>

#include <csignal>
#include <cstring>
#include <fstream>

#include "sandbox/sandbox_test_support.h"

namespace mayfly::sandbox {
namespace {

using How = ProcessEnd::How;

class LimitsTest : public SandboxTest {
 protected:
  SandboxSpec limited(std::vector<std::string> arguments, Limits limits, Layers without = {}) {
    SandboxSpec made = spec(std::move(arguments), std::move(without));
    made.limits = limits;
    return made;
  }
  static constexpr std::uint64_t kMiB = 1 << 20;
};

TEST_F(LimitsTest, MemoryIsLimitedByACgroupAndTheEndSaysSo) {
  NEEDS(Layer::CgroupMemory);
  const Limits limits{.memory_bytes_max = 32 * kMiB};
  EXPECT_EQ(run_spec(limited({"memory", std::to_string(8 * kMiB)}, limits)).output, "done\n");
  const Outcome too_much = run_spec(limited({"memory", std::to_string(64 * kMiB)}, limits));
  EXPECT_EQ(too_much.end.how, How::OutOfMemory);
  EXPECT_EQ(too_much.output, "");
  const Outcome free = run_spec(limited({"memory", std::to_string(64 * kMiB)}, limits, {Layer::CgroupMemory, Layer::Rlimits}));
  EXPECT_EQ(free.output, "done\n");
  EXPECT_EQ(free.end.how, How::Exited);
}

TEST_F(LimitsTest, MemoryIsLimitedByProcessWithoutACgroup) {
  const Limits limits{.memory_bytes_max = 32 * kMiB};
  EXPECT_EQ(run_spec(limited({"memory", std::to_string(64 * kMiB)}, limits, {Layer::CgroupMemory})).output, "Cannot allocate memory\n");
  EXPECT_EQ(run_spec(limited({"memory", std::to_string(8 * kMiB)}, limits, {Layer::CgroupMemory})).output, "done\n");
}

TEST_F(LimitsTest, TmpIsMemoryToo) {
  NEEDS(Layer::CgroupMemory);
  NEEDS(Layer::MountNamespace);
  EXPECT_NE(run_spec(limited({"fill", "/tmp/file", std::to_string(64 * kMiB)}, {.memory_bytes_max = 32 * kMiB})).output, "done\n");
  EXPECT_EQ(run_spec(limited({"fill", "/tmp/file", std::to_string(64 * kMiB)}, {.memory_bytes_max = 96 * kMiB})).output, "done\n");
}

TEST_F(LimitsTest, UsageIsTold) {
  const auto process = start(spec({"wait"}));
  ASSERT_EQ(read(*process), "ready\n");
  const Usage usage = process->usage();
  EXPECT_GT(usage.memory_bytes, 0U);
  EXPECT_GE(usage.memory_bytes_peak, usage.memory_bytes);
  EXPECT_EQ(usage.processes, 1U);
  EXPECT_GT(process->pid(), 1);
}

TEST_F(LimitsTest, CpuQuotaIsSet) {
  NEEDS(Layer::CgroupCpu);
  const auto process = start(limited({"wait"}, {.cpu_milli_max = 250}));
  ASSERT_EQ(read(*process), "ready\n");
  std::string folder;
  for (const LayerState& state : sandbox_->layers()) {
    if (state.layer == Layer::CgroupCpu) folder = state.detail.substr(state.detail.find('/'));
  }
  std::uint64_t quota = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().filename() != "t-1") continue;
    std::ifstream v1(entry.path() / "cpu.cfs_quota_us"), v2(entry.path() / "cpu.max");
    (v1 ? v1 : v2) >> quota;
  }
  EXPECT_EQ(quota, 25'000U);
}

TEST_F(LimitsTest, ForkBombsAreContained) {
  for (const Layers& without : {Layers{Layer::Rlimits}, Layers{Layer::CgroupPids}}) {
    if (without.contains(Layer::Rlimits) && !has(Layer::CgroupPids)) continue;
    if (without.contains(Layer::CgroupPids) && !has(Layer::UserNamespace)) continue;
    const Outcome outcome = run_spec(limited({"fork", "100"}, {.processes_max = 20}, without));
    const int made = std::stoi("0" + outcome.output);
    EXPECT_GE(made, 15);
    EXPECT_LT(made, 20);
    EXPECT_EQ(outcome.end.how, How::Exited) << "its children die with it";
  }
  EXPECT_EQ(run_spec(limited({"fork", "100"}, {.processes_max = 20}, {Layer::Rlimits, Layer::CgroupPids})).output, "100\n");
}

TEST_F(LimitsTest, OpenFilesAreLimited) {
  EXPECT_EQ(run_spec(limited({"open"}, {.open_files_max = 50})).output, "47\n");
  EXPECT_NE(run_spec(limited({"open"}, {.open_files_max = 50}, {Layer::Rlimits})).output, "47\n");
}

TEST_F(LimitsTest, WhatIsChargedToTheHostsUserIsLimited) {
  EXPECT_EQ(output({"timers", "600"}), "512\n");
  EXPECT_EQ(output({"timers", "600"}, {Layer::Rlimits}), "600\n");
  NEEDS(Layer::UserNamespace);
  struct statvfs settings{};
  if (::statvfs("/proc/sys", &settings) != 0 || (settings.f_flag & ST_RDONLY) != 0) GTEST_SKIP() << "/proc/sys is read-only here";
  EXPECT_EQ(output({"watch", "20"}), "16\n");
  EXPECT_EQ(output({"watch", "20"}, {Layer::UserNamespace}), "20\n");
}

TEST_F(LimitsTest, NamespacesAreNotChargedToRoot) {
  NEEDS(Layer::UserNamespace);
  const auto process = start(spec({"wait"}));
  ASSERT_TRUE(process);
  const int space = ::open(("/proc/" + std::to_string(process->pid()) + "/ns/user").c_str(), O_RDONLY | O_CLOEXEC);
  if (space < 0 && ::geteuid() != 0) GTEST_SKIP() << "an ordinary user is the owner itself";
  uid_t owner = 0;
  ASSERT_EQ(::ioctl(space, NS_GET_OWNER_UID, &owner), 0) << std::strerror(errno);
  ::close(space);
  EXPECT_EQ(owner, ::geteuid() == 0 ? 60900 : ::geteuid());
}

TEST_F(LimitsTest, FilesAndTmpAreLimited) {
  NEEDS(Layer::MountNamespace);
  const std::vector<std::string> fill{"fill", "/tmp/file", std::to_string(4 * kMiB)};
  EXPECT_EQ(run_spec(limited(fill, {.file_bytes_max = kMiB})).output, "File too large\n");
  EXPECT_EQ(run_spec(limited(fill, {.file_bytes_max = kMiB}, {Layer::Rlimits})).output, "done\n");
  EXPECT_EQ(run_spec(limited(fill, {.tmp_bytes_max = kMiB})).output, "No space left on device\n");
  EXPECT_EQ(run_spec(limited(fill, {})).output, "done\n");
}

}  // namespace
}  // namespace mayfly::sandbox
