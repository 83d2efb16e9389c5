#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <csignal>
#include <fstream>

#include "sandbox/jail/address.h"
#include "sandbox/sandbox_test_support.h"

namespace mayfly::sandbox {
namespace {

using How = ProcessEnd::How;

TEST_F(SandboxTest, TellsWhatThisMachineGives) {
  const auto layers = sandbox_->layers();
  ASSERT_EQ(layers.size(), all_layers().size());
  for (const LayerState& state : layers) {
    EXPECT_FALSE(state.detail.empty()) << to_string(state.layer);
    EXPECT_EQ(layer_from_string(to_string(state.layer)), state.layer);
    printf("%-18s %-8s %s\n", std::string(to_string(state.layer)).c_str(), state.active ? "active" : "missing", state.detail.c_str());
  }
  EXPECT_EQ(layer_from_string("moat"), std::nullopt);
}

TEST_F(SandboxTest, RunsAProgramAndTellsHowItEnded) {
  const Outcome zero = run({"exit", "0"});
  ASSERT_TRUE(zero.launched) << zero.launched.error().message;
  EXPECT_EQ(zero.end.how, How::Exited);
  EXPECT_EQ(zero.end.code, 0);
  EXPECT_EQ(run({"exit", "42"}).end.code, 42);
  const Outcome crashed = run({"crash"});
  EXPECT_EQ(crashed.end.how, How::Signalled);
  EXPECT_EQ(crashed.end.code, SIGSEGV);
}

TEST_F(SandboxTest, SaysWhichLayersAProcessHas) {
  Layers expected;
  for (const LayerState& state : sandbox_->layers()) {
    if (state.active) expected.insert(state.layer);
  }
  EXPECT_EQ(run({"exit", "0"}).active, expected);
  expected.erase(Layer::Seccomp);
  EXPECT_EQ(run({"exit", "0"}, {Layer::Seccomp}).active, expected);
}

TEST_F(SandboxTest, RefusesWhenARequiredLayerIsMissing) {
  SandboxSpec wanted = spec({"exit", "0"}, {Layer::Seccomp});
  wanted.required = {Layer::Seccomp, Layer::Rlimits};
  const Outcome outcome = run_spec(wanted);
  ASSERT_FALSE(outcome.launched);
  EXPECT_EQ(outcome.launched.error().code, "sandbox.layer_missing");
  EXPECT_NE(outcome.launched.error().message.find("seccomp"), std::string::npos);
  EXPECT_EQ(outcome.launched.error().message.find("rlimits"), std::string::npos);
}

TEST_F(SandboxTest, EveryLayerCanBeLeftOutAlone) {
  for (const Layer layer : all_layers()) {
    const Outcome outcome = run({"exit", "7"}, {layer});
    ASSERT_TRUE(outcome.launched) << to_string(layer) << ": " << outcome.launched.error().message;
    EXPECT_EQ(outcome.end.code, 7) << to_string(layer);
    EXPECT_FALSE(outcome.active.contains(layer));
  }
  const Outcome bare = run({"exit", "7"}, all_layers());
  ASSERT_TRUE(bare.launched) << bare.launched.error().message;
  EXPECT_EQ(bare.end.code, 7);
  EXPECT_TRUE(bare.active.empty());
}

TEST_F(SandboxTest, TheEnvironmentIsExactlyTheGivenOne) {
  ::setenv("MAYFLY_TEST_SECRET", "of the host", 1);
  SandboxSpec wanted = spec({"env"});
  wanted.environment = {"A=1", "EMPTY=", "WITH=a=b c"};
  EXPECT_EQ(run_spec(wanted).output, "A=1\nEMPTY=\nWITH=a=b c\n");
  EXPECT_EQ(output({"env"}), "");
}

TEST_F(SandboxTest, PassesArgumentsAndDirectory) {
  SandboxSpec wanted = spec({"args", "one", "", "two words"});
  wanted.directory = "/tmp";
  EXPECT_EQ(run_spec(wanted).output, "/tmp|one||two words\n");
}

TEST_F(SandboxTest, FindsProgramsOfTheSystem) {
  SandboxSpec wanted = spec({});
  wanted.argv = {"sh", "-c", "echo out; echo err >&2; id -u; cat /etc/hosts | head -1"};
  EXPECT_EQ(run_spec(wanted).output,
            has(Layer::UserNamespace) ? "out\nerr\n1000\n127.0.0.1 localhost\n" : "out\nerr\n60900\n127.0.0.1 localhost\n");
}

TEST_F(SandboxTest, SaysWhyAProgramCannotBeStarted) {
  SandboxSpec missing = spec({});
  missing.argv = {"/nowhere/program"};
  const Outcome outcome = run_spec(missing);
  ASSERT_FALSE(outcome.launched);
  EXPECT_EQ(outcome.launched.error().code, "sandbox.exec");
  EXPECT_NE(outcome.launched.error().message.find("No such file"), std::string::npos) << outcome.launched.error().message;
  SandboxSpec no_source = spec({"exit", "0"});
  no_source.mounts.push_back({.source = "/nowhere/code", .target = "/var/task"});
  EXPECT_NE(run_spec(no_source).launched.error().message.find("/nowhere/code"), std::string::npos);
  SandboxSpec no_directory = spec({"exit", "0"});
  no_directory.directory = "/nowhere";
  EXPECT_NE(run_spec(no_directory).launched.error().message.find("working directory"), std::string::npos);
  std::ofstream(folder_ + "/script") << "no interpreter named\n";
  SandboxSpec plain = spec({});
  plain.argv = {folder_ + "/script"};
  EXPECT_NE(run_spec(plain).launched.error().message.find("executable for everybody"), std::string::npos);
}

TEST_F(SandboxTest, RefusesASpecThatNoJailerCanRun) {
  const auto refused = [this](auto change) {
    SandboxSpec made = spec({"exit", "0"});
    change(made);
    const Outcome outcome = run_spec(made);
    return !outcome.launched && outcome.launched.error().code == "sandbox.exec" && outcome.launched.error().retry == Retry::Never;
  };
  EXPECT_TRUE(refused([](SandboxSpec& s) { s.id = "../up"; }));
  EXPECT_TRUE(refused([](SandboxSpec& s) { s.id = std::string(65, 'a'); }));
  EXPECT_TRUE(refused([](SandboxSpec& s) { s.argv.clear(); }));
  EXPECT_TRUE(refused([](SandboxSpec& s) { s.argv.push_back(std::string("a\0b", 3)); }));
  EXPECT_TRUE(refused([](SandboxSpec& s) { s.environment = {"NO_EQUALS"}; }));
  EXPECT_TRUE(refused([](SandboxSpec& s) { s.environment = {"BIG=" + std::string(200'000, 'x')}; }));
  EXPECT_TRUE(refused([](SandboxSpec& s) { s.mounts.push_back({.source = "/usr", .target = "/a/../b"}); }));
  EXPECT_TRUE(refused([](SandboxSpec& s) { s.mounts.push_back({.source = "usr", .target = "/a"}); }));
  EXPECT_TRUE(refused([](SandboxSpec& s) { s.listen = {"localhost:80"}; }));
  EXPECT_TRUE(refused([](SandboxSpec& s) { s.limits.memory_bytes_max = 1; }));
  EXPECT_FALSE(refused([](SandboxSpec&) {}));
}

TEST_F(SandboxTest, TwoAliveCannotShareAnId) {
  SandboxSpec first = spec({"wait"});
  first.id = "twin";
  const auto process = start(first);
  ASSERT_EQ(read(*process), "ready\n");
  SandboxSpec second = spec({"exit", "0"});
  second.id = "twin";
  EXPECT_NE(run_spec(second).launched.error().message.find("twin"), std::string::npos);
  process->kill();
  EXPECT_EQ(end(*process).how, How::Signalled);
  EXPECT_TRUE(run_spec(second).launched);
}

TEST_F(SandboxTest, NoDescriptorIsInherited) {
  const int leaked = ::open("/etc/hostname", O_RDONLY);
  EXPECT_EQ(output({"fds"}), "0 1 2 \n");
  EXPECT_EQ(output({"fds"}, all_layers()), "0 1 2 \n");
  ::close(leaked);
}

TEST_F(SandboxTest, ManyAtOnce) {
  TaskGroup group(io_.get_executor());
  std::vector<Outcome> outcomes(40);
  for (std::size_t i = 0; i < outcomes.size(); ++i) group.spawn(run_one(spec({"exit", std::to_string(i)}), &outcomes[i]));
  io_.restart();
  while (group.size() > 0 && io_.run_one() > 0) {
  }
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    ASSERT_TRUE(outcomes[i].launched) << outcomes[i].launched.error().message;
    EXPECT_EQ(outcomes[i].end.code, static_cast<int>(i));
  }
}

TEST_F(SandboxTest, EndlessOutputWaitsForItsReader) {
  const auto process = start(spec({"print"}));
  const std::string first = read(*process);
  EXPECT_FALSE(first.empty());
  EXPECT_LE(first.size(), 64U * 1024);
  process->kill();
  EXPECT_EQ(end(*process).code, SIGKILL);
  // While nobody reads, no more than a pipe's content can have been written.
  std::size_t rest = 0;
  for (std::string more; !(more = read(*process)).empty();) rest += more.size();
  EXPECT_LE(rest, 64U * 1024);
}

TEST_F(SandboxTest, TerminateReachesTheProgramAndKillEndsAll) {
  const auto polite = start(spec({"term"}));
  ASSERT_EQ(read(*polite), "ready\n");
  polite->terminate();
  EXPECT_EQ(read(*polite), "terminated\n");
  const ProcessEnd ended = end(*polite);
  EXPECT_EQ(ended.how, How::Exited);
  EXPECT_EQ(ended.code, 5);
  const auto simple = start(spec({"wait"}));
  ASSERT_EQ(read(*simple), "ready\n");
  simple->terminate();  // no handler: the default ends it, which process 1 of a namespace would not notice
  EXPECT_EQ(end(*simple).code, SIGTERM);
  const auto stubborn = start(spec({"wait"}));
  ASSERT_EQ(read(*stubborn), "ready\n");
  stubborn->kill();
  EXPECT_EQ(end(*stubborn).how, How::Signalled);
}

TEST_F(SandboxTest, OrphansAreReaped) {
  NEEDS(Layer::PidNamespace);
  EXPECT_EQ(output({"orphans"}), "done\n");
}

}  // namespace
}  // namespace mayfly::sandbox
