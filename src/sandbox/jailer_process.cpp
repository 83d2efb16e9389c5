#include "sandbox/jailer_process.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>

#include "base/assert.h"

namespace mayfly::sandbox {
namespace {

constexpr std::size_t kOutputBytesMax = 64 * 1024;
static_assert(static_cast<unsigned>(Layer::CgroupPids) + 1 == jail::kWalls, "jail::Wall lists the layers in the same order");

std::uint64_t number_in(const std::string& file) {
  std::ifstream in(file);
  std::uint64_t value = 0;
  in >> value;
  return value;
}

/// "VmHWM:   1234 kB" of /proc/PID/status in bytes.
std::uint64_t status_bytes(int pid, std::string_view name) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(name)) return std::stoull("0" + line.substr(line.find_first_of("0123456789", name.size()))) * 1024;
  }
  return 0;
}

int first_child(int pid) {
  const std::string text = std::to_string(pid);
  const auto child = static_cast<int>(number_in("/proc/" + text + "/task/" + text + "/children"));
  return child > 0 ? child : pid;
}

class JailerProcess final : public SandboxProcess {
 public:
  explicit JailerProcess(std::shared_ptr<JailerProcessState> state) : state_(std::move(state)) {}
  ~JailerProcess() override {
    state_->signal(SIGKILL);
    state_->close_output();
  }
  int pid() const override { return state_->pid(); }
  std::vector<Listener> take_listeners() override { return state_->take_listeners(); }
  Task<std::string> read_output() override { return state_->read_output(state_); }
  void terminate() override { state_->signal(SIGTERM); }
  void kill() override { state_->signal(SIGKILL); }
  Task<ProcessEnd> wait() override { return state_->wait(state_); }
  Usage usage() const override { return state_->usage(); }
  const Layers& active() const override { return state_->active(); }

 private:
  std::shared_ptr<JailerProcessState> state_;
};

}  // namespace

Layers layers_of(jail::Walls walls) {
  Layers layers;
  for (const Layer layer : all_layers()) {
    if ((walls & (1U << static_cast<unsigned>(layer))) != 0) layers.insert(layer);
  }
  return layers;
}

jail::Walls walls_of(const Layers& layers) {
  jail::Walls walls = 0;
  for (const Layer layer : layers) walls |= 1U << static_cast<unsigned>(layer);
  return walls;
}

JailerProcessState::JailerProcessState(Executor executor, jail::StartedMessage started, std::string id, std::vector<jail::Fd> fds)
    : started_(std::move(started)), id_(std::move(id)), active_(layers_of(started_.active)), output_(executor) {
  pidfd_ = std::move(fds.at(0));
  output_.assign(fds.at(1).release());
  for (std::size_t i = 2; i < fds.size(); ++i) listeners_.push_back(std::move(fds[i]));
}

void JailerProcessState::signal(int number) const {
  // After its end the descriptor still names the dead process, so no other one can be hit.
  if (!end_) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), number, nullptr, 0);
}

void JailerProcessState::end(ProcessEnd end) {
  if (end_) return;
  end_ = end;
  if (!waiter_) return;
  Resume<ProcessEnd> resume = std::move(*waiter_);
  waiter_.reset();
  resume(end);
}

Task<ProcessEnd> JailerProcessState::wait(std::shared_ptr<JailerProcessState> self) {
  if (end_) co_return *end_;
  MAYFLY_ASSERT(!waiter_, "SandboxProcess::wait is called once");
  co_return co_await suspend<ProcessEnd>([self](Resume<ProcessEnd> resume) { self->waiter_.emplace(std::move(resume)); });
}

Task<std::string> JailerProcessState::read_output(std::shared_ptr<JailerProcessState> self) {
  std::string bytes;
  while (output_.is_open()) {
    bytes.resize(kOutputBytesMax);
    const ssize_t count = ::read(output_.native_handle(), bytes.data(), bytes.size());
    bytes.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    if (count > 0) co_return bytes;
    if (count == 0) break;
    if (errno == EINTR) continue;
    if (errno != EAGAIN) break;
    const bool readable = co_await suspend<bool>([self](Resume<bool> resume) {
      self->output_.async_wait(Descriptor::wait_read,
                               [resume = std::move(resume)](boost::system::error_code error) mutable { resume(!error); });
    });
    if (!readable) break;
  }
  co_return std::string();
}

void JailerProcessState::close_output() {
  boost::system::error_code ignored;
  output_.close(ignored);
}

std::vector<SandboxProcess::Listener> JailerProcessState::take_listeners() {
  std::vector<SandboxProcess::Listener> taken;
  for (std::size_t i = 0; i < listeners_.size(); ++i) taken.push_back({listeners_[i].release(), started_.addresses[i]});
  listeners_.clear();
  return taken;
}

Usage JailerProcessState::usage() const {
  if (end_) return {};
  Usage usage;
  if (!started_.memory_now.empty()) {
    usage.memory_bytes = number_in(started_.memory_now);
    usage.memory_bytes_peak = number_in(started_.memory_peak);
  } else {
    const int program = first_child(pid());
    usage.memory_bytes = status_bytes(program, "VmRSS:");
    usage.memory_bytes_peak = status_bytes(program, "VmHWM:");
  }
  usage.processes = started_.processes_now.empty() ? 1 : number_in(started_.processes_now);
  if (!started_.processes_now.empty() && usage.processes > 0) --usage.processes;  // the first one is ours
  return usage;
}

std::unique_ptr<SandboxProcess> make_jailer_process(std::shared_ptr<JailerProcessState> state) {
  return std::make_unique<JailerProcess>(std::move(state));
}

}  // namespace mayfly::sandbox
