#include "sandbox/sandbox_test_support.h"

namespace mayfly::sandbox {
namespace {

TEST_F(SandboxTest, TellsWhatThisMachineGives) {
  const auto layers = sandbox_->layers();
  ASSERT_EQ(layers.size(), all_layers().size());
  for (const LayerState& state : layers) {
    EXPECT_FALSE(state.detail.empty()) << to_string(state.layer);
    RecordProperty(std::string(to_string(state.layer)), (state.active ? "active: " : "missing: ") + state.detail);
    printf("%-18s %-8s %s\n", std::string(to_string(state.layer)).c_str(), state.active ? "active" : "missing", state.detail.c_str());
  }
}

TEST_F(SandboxTest, RunsAProgramAndTellsHowItEnded) {
  const Outcome zero = run({"exit", "0"});
  ASSERT_TRUE(zero.launched) << zero.launched.error().message;
  EXPECT_EQ(zero.end.how, ProcessEnd::How::Exited);
  EXPECT_EQ(zero.end.code, 0);
  EXPECT_EQ(run({"exit", "42"}).end.code, 42);
  const Outcome crashed = run({"crash"});
  EXPECT_EQ(crashed.end.how, ProcessEnd::How::Signalled);
  EXPECT_EQ(crashed.end.code, SIGSEGV);
}

}  // namespace
}  // namespace mayfly::sandbox
