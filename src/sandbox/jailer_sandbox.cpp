#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <map>
#include <utility>

#include "sandbox/jailer_process.h"
#include "sandbox/jailer_spawn.h"
#include "sandbox/sandbox.h"
#include "sandbox/spec_check.h"

namespace mayfly::sandbox {
namespace {

constexpr Millis kStopPatience{10'000};

using Launched = Result<std::unique_ptr<SandboxProcess>>;

std::unexpected<Error> lost() {
  return fail("sandbox.jailer_lost", "the process that makes sandboxes has ended and is being restarted: try again", Retry::Safe);
}

/// The side of Mayfly: owned by its facade and by the descriptors that it waits for.
class Jail : public std::enable_shared_from_this<Jail> {
 public:
  Jail(Executor executor, Clock& clock, JailerFiles files)
      : executor_(executor), clock_(clock), files_(std::move(files)), control_(executor), exit_(executor) {}

  std::vector<LayerState> layers() const { return layers_; }

  /// Returns when the jailer has told what it can do.
  Task<Result<void>> ensure_running() {
    if (stopping_) co_return fail("sandbox.jailer_lost", "the sandbox is being stopped: start Mayfly again", Retry::Safe);
    if (ready_) co_return Result<void>();
    if (!control_.is_open()) {
      if (auto ok = start(); !ok) co_return ok;
    }
    co_return co_await suspend<Result<void>>(
        [self = shared_from_this()](Resume<Result<void>> resume) { self->starters_.push_back(std::move(resume)); });
  }

  Task<Launched> launch(SandboxSpec spec) {
    if (auto ok = check(spec); !ok) co_return fail(ok.error());
    if (auto ok = co_await ensure_running(); !ok) co_return fail(ok.error());
    const std::uint64_t generation = generation_;
    if (!spec.zygote.empty()) {
      if (auto ok = co_await ensure_zygote(spec.zygote); !ok) co_return fail(ok.error());
    }
    // Before we went on, the jailer may have been lost, and with it what it was told.
    if (!ready_ || generation != generation_) co_return lost();
    // The jailer may have been lost and come back meanwhile: the checks of who is alive come last.
    if (!ids_.emplace(spec.id, true).second) {
      co_return fail("sandbox.exec", fmt::format("a sandbox with the id {} is alive: choose another id", spec.id));
    }
    const std::uint64_t sequence = ++sequence_;
    std::string packet = encode(to_message(spec, sequence));
    if (packet.size() > jail::kPacketBytesMax) {
      ids_.erase(spec.id);
      co_return fail("sandbox.exec",
                     fmt::format("the command line, environment and mounts take more than {} bytes: pass less", jail::kPacketBytesMax));
    }
    const auto answer = co_await suspend<std::shared_ptr<Launched>>(
        [self = shared_from_this(), sequence, id = spec.id, packet = std::move(packet)](Resume<std::shared_ptr<Launched>> resume) mutable {
          self->launches_.emplace(sequence, Pending{std::move(id), std::move(resume)});
          self->send(std::move(packet));
        });
    co_return std::move(*answer);
  }

  Task<Result<void>> add_zygote(ZygoteSpec zygote) {
    if (auto ok = check(zygote); !ok) co_return fail(ok.error());
    const std::string name = zygote.name;
    zygotes_[name] = Known{std::move(zygote), false};
    if (auto ok = co_await ensure_running(); !ok) co_return fail(ok.error());
    co_return co_await ensure_zygote(name);
  }

  void remove_zygote(const std::string& name) {
    if (zygotes_.erase(name) > 0 && ready_) send(jail::encode_remove_zygote(name));
  }

  Task<> stop() {
    stopping_ = true;
    for (const auto& [sequence, process] : processes_) process->signal(SIGKILL);
    if (pid_ < 0) co_return;
    if (control_.is_open()) ::shutdown(control_.native_handle(), SHUT_WR);
    const int pid = pid_;
    auto patience = clock_.call_after(kStopPatience, [pid] { ::kill(pid, SIGKILL); });
    co_await suspend<bool>([self = shared_from_this()](Resume<bool> resume) { self->stopped_.push_back(std::move(resume)); });
  }

  /// Without `stop`: the jailer sees the end of its socket and takes everything down.
  void abandon() {
    boost::system::error_code ignored;
    control_.close(ignored);
    exit_.close(ignored);
  }

 private:
  struct Pending {
    std::string id;
    Resume<std::shared_ptr<Launched>> resume;
  };
  struct Known {
    ZygoteSpec spec;
    bool added = false;  ///< to the jailer that runs now
  };

  Result<void> start() {
    auto spawned = spawn_jailer(files_);
    if (!spawned) return fail(spawned.error());
    pid_ = spawned->pid;
    control_.assign(spawned->control.release());
    exit_.assign(spawned->pidfd.release());
    wait_control();
    exit_.async_wait(Descriptor::wait_read, [self = shared_from_this()](boost::system::error_code error) {
      if (!error) self->jailer_ended();
    });
    return {};
  }

  void wait_control() {
    control_.async_wait(Descriptor::wait_read, [self = shared_from_this()](boost::system::error_code error) {
      if (!error && self->read_control()) self->wait_control();
    });
  }

  bool read_control() {
    jail::Packet packet;
    for (;;) {
      switch (jail::receive_packet(control_.native_handle(), packet)) {
        case jail::Received::Nothing: return true;
        case jail::Received::Packet: handle(std::move(packet)); break;
        case jail::Received::Closed:
          // It is dead or about to die; its end is reaped through its pidfd.
          if (!stopping_) ::kill(pid_, SIGKILL);
          return false;
      }
    }
  }

  void handle(jail::Packet packet) {
    if (auto layers = jail::decode_layers(packet.data)) return know_layers(*layers);
    if (auto started = jail::decode_started(packet.data)) return launched(std::move(*started), std::move(packet.fds));
    if (auto failed = jail::decode_failed(packet.data)) return launch_failed(std::move(*failed));
    if (const auto ended = jail::decode_ended(packet.data)) return process_ended(*ended);
    if (const auto sequence = jail::decode_zygote_ready(packet.data)) zygote_answered(*sequence, {});
  }

  void know_layers(const jail::LayersMessage& message) {
    layers_.clear();
    for (const Layer layer : all_layers()) {
      const auto index = static_cast<std::size_t>(layer);
      const bool active = (message.active & (1U << index)) != 0;
      layers_.push_back({layer, active, index < message.details.size() ? message.details[index] : ""});
    }
    ready_ = true;
    answer_starters({});
  }

  void answer_starters(const Result<void>& result) {
    for (auto& resume : std::exchange(starters_, {})) resume(result);
  }

  void launched(jail::StartedMessage started, std::vector<jail::Fd> fds) {
    auto found = launches_.extract(started.sequence);
    if (!found || fds.size() != started.addresses.size() + 2) return;
    const std::uint64_t sequence = started.sequence;
    auto state = std::make_shared<JailerProcessState>(executor_, std::move(started), found.mapped().id, std::move(fds));
    processes_.emplace(sequence, state);
    found.mapped().resume(std::make_shared<Launched>(make_jailer_process(std::move(state))));
  }

  void launch_failed(jail::FailedMessage failed) {
    const Error error{std::move(failed.code), std::move(failed.message), failed.safe ? Retry::Safe : Retry::Never};
    if (auto found = launches_.extract(failed.sequence)) {
      ids_.erase(found.mapped().id);
      return found.mapped().resume(std::make_shared<Launched>(fail(error)));
    }
    zygote_answered(failed.sequence, fail(error));
  }

  void process_ended(const jail::EndedMessage& ended) {
    const auto found = processes_.extract(ended.sequence);
    if (!found) return;
    ProcessEnd end{.how = ended.signalled ? ProcessEnd::How::Signalled : ProcessEnd::How::Exited, .code = static_cast<int>(ended.code)};
    if (ended.out_of_memory) end.how = ProcessEnd::How::OutOfMemory;
    ids_.erase(found.mapped()->id());
    found.mapped()->end(end);
  }

  void zygote_answered(std::uint64_t sequence, Result<void> result) {
    if (auto found = zygote_waits_.extract(sequence)) found.mapped()(std::move(result));
  }

  Task<Result<void>> ensure_zygote(std::string name) {
    const auto found = zygotes_.find(name);
    if (found == zygotes_.end()) co_return fail("sandbox.no_zygote", fmt::format("there is no zygote \"{}\": add it first", name));
    if (found->second.added) co_return Result<void>();
    if (!ready_) co_return lost();
    const std::uint64_t sequence = ++sequence_, generation = generation_;
    std::string packet = encode(to_message(found->second.spec, sequence));
    if (packet.size() > jail::kPacketBytesMax)
      co_return fail("sandbox.exec", "the zygote's command line and environment are too large: pass less");
    auto result = co_await suspend<Result<void>>(
        [self = shared_from_this(), sequence, packet = std::move(packet)](Resume<Result<void>> resume) mutable {
          self->zygote_waits_.emplace(sequence, std::move(resume));
          self->send(std::move(packet));
        });
    if (result && generation != generation_) co_return lost();
    if (const auto again = zygotes_.find(name); result && again != zygotes_.end()) again->second.added = true;
    co_return result;
  }

  void send(std::string packet) {
    outbox_.push_back(std::move(packet));
    if (outbox_.size() == 1) flush();
  }

  void flush() {
    while (!outbox_.empty() && control_.is_open()) {
      if (!jail::send_packet(control_.native_handle(), outbox_.front())) {
        if (errno != EAGAIN) return;  // it is lost, and its end tells everyone
        control_.async_wait(Descriptor::wait_write, [self = shared_from_this()](boost::system::error_code error) {
          if (!error) self->flush();
        });
        return;
      }
      outbox_.pop_front();
    }
  }

  void jailer_ended() {
    if (control_.is_open()) read_control();  // what it still said
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED);
    const bool never_ready = !ready_;
    pid_ = -1;
    ready_ = false;
    ++generation_;
    outbox_.clear();
    boost::system::error_code ignored;
    control_.close(ignored);
    exit_.close(ignored);
    for (auto& [name, zygote] : zygotes_) zygote.added = false;
    for (auto& [sequence, pending] : std::exchange(launches_, {})) {
      ids_.erase(pending.id);
      pending.resume(std::make_shared<Launched>(lost()));
    }
    for (auto& [sequence, resume] : std::exchange(zygote_waits_, {})) resume(lost());
    for (auto& [sequence, process] : std::exchange(processes_, {})) {
      ids_.erase(process->id());
      process->signal(SIGKILL);
      process->end(stopping_ ? ProcessEnd{ProcessEnd::How::Signalled, SIGKILL} : ProcessEnd{ProcessEnd::How::Lost, 0});
    }
    if (never_ready) {
      answer_starters(fail("sandbox.jailer_failed",
                           fmt::format("{} ended before it could tell what this machine gives ({} {}): see its message in the log",
                                       files_.jailer, info.si_code == CLD_EXITED ? "code" : "signal", info.si_status),
                           Retry::Safe));
    }
    for (auto& resume : std::exchange(stopped_, {})) resume(true);
  }

  Executor executor_;
  Clock& clock_;
  JailerFiles files_;
  Descriptor control_, exit_;
  int pid_ = -1;
  bool ready_ = false;
  std::uint64_t generation_ = 0;  ///< how many jailers were lost
  bool stopping_ = false;
  std::uint64_t sequence_ = 0;
  std::vector<LayerState> layers_;
  std::deque<std::string> outbox_;
  std::vector<Resume<Result<void>>> starters_;
  std::vector<Resume<bool>> stopped_;
  std::map<std::uint64_t, Pending> launches_;
  std::map<std::uint64_t, Resume<Result<void>>> zygote_waits_;
  std::map<std::uint64_t, std::shared_ptr<JailerProcessState>> processes_;
  std::map<std::string, bool> ids_;
  std::map<std::string, Known> zygotes_;
};

class JailerSandbox final : public Sandbox {
 public:
  explicit JailerSandbox(std::shared_ptr<Jail> jail) : jail_(std::move(jail)) {}
  ~JailerSandbox() override { jail_->abandon(); }
  std::vector<LayerState> layers() const override { return jail_->layers(); }
  Task<Launched> launch(SandboxSpec spec) override { return jail_->launch(std::move(spec)); }
  Task<Result<void>> add_zygote(ZygoteSpec zygote) override { return jail_->add_zygote(std::move(zygote)); }
  void remove_zygote(const std::string& name) override { jail_->remove_zygote(name); }
  Task<> stop() override { return jail_->stop(); }

 private:
  std::shared_ptr<Jail> jail_;
};

}  // namespace

Task<Result<std::unique_ptr<Sandbox>>> make_jailer_sandbox(Executor executor, Clock& clock, JailerOptions options) {
  auto files = find_jailer(options);
  if (!files) co_return fail(files.error());
  auto jail = std::make_shared<Jail>(executor, clock, std::move(*files));
  if (auto ok = co_await jail->ensure_running(); !ok) co_return fail(ok.error());
  co_return std::make_unique<JailerSandbox>(std::move(jail));
}

}  // namespace mayfly::sandbox
