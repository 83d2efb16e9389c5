#include "tool/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

namespace mayfly {
namespace {

using Descriptor = asio::posix::basic_stream_descriptor<Executor>;
using End = ProcessResult::End;

constexpr std::size_t kArgumentsMax = 1024;
constexpr std::size_t kInputBytesMax = 16 * 1024 * 1024;
/// After the program's end a pipe holds at most its capacity (64 KiB, 1 MiB when enlarged); an escaped writer must not hold us.
constexpr std::size_t kDrainBytesMax = 1024 * 1024;

class Fd {
 public:
  Fd() = default;
  explicit Fd(int value) : value_(value) {}
  Fd(Fd&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Fd() {
    if (value_ >= 0) ::close(value_);
  }
  int get() const { return value_; }
  int release() { return std::exchange(value_, -1); }
  bool valid() const { return value_ >= 0; }

 private:
  int value_ = -1;
};

/// The child connects descriptors to 0, 1 and 2 one after the other, so none may lie there already.
Fd above_stdio(Fd fd) {
  if (!fd.valid() || fd.get() > 2) return fd;
  return Fd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
}

std::unexpected<Error> no_descriptor(const char* what) {
  return fail("tool.spawn_failed", fmt::format("could not create {}: {}", what, std::strerror(errno)), Retry::Safe);
}

/// A sealed memory file rather than a pipe: nothing has to be written while the program runs, and no SIGPIPE when it does not read.
Result<Fd> input_file(std::string_view input) {
  Fd file = above_stdio(Fd(::memfd_create("stdin", MFD_CLOEXEC | MFD_ALLOW_SEALING)));
  if (!file.valid()) return no_descriptor("its input");
  while (!input.empty()) {
    const ssize_t written = ::write(file.get(), input.data(), input.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return no_descriptor("its input");
    input.remove_prefix(static_cast<std::size_t>(written));
  }
  ::lseek(file.get(), 0, SEEK_SET);
  ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
  return file;
}

struct Pipe {
  Fd read, write;
};

/// Only our end is non-blocking: the flag belongs to the open file, and a program expects blocking output.
Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return no_descriptor("a pipe");
  Pipe pipe{Fd(ends[0]), Fd(ends[1])};
  pipe.write = above_stdio(std::move(pipe.write));
  if (!pipe.write.valid() || ::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK) != 0) return no_descriptor("a pipe");
  return pipe;
}

/// One running program. Alive as long as one of its descriptors is waited for; nothing else owns it, so that destroying the
/// loop destroys it.
class Run : public std::enable_shared_from_this<Run> {
 public:
  Run(Executor executor, Clock& clock, ProcessRequest request)
      : clock_(clock), request_(std::move(request)), exit_(executor), stdout_(executor), stderr_(executor) {}

  ~Run() {
    if (pid_ < 0) return;
    ::kill(-pid_, SIGKILL);
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED);
  }

  Result<void> launch(const std::string& program) {
    Result<Fd> input = input_file(request_.input);
    if (!input) return fail(input.error());
    Result<Pipe> out = make_pipe();
    if (!out) return fail(out.error());
    Result<Pipe> err = make_pipe();
    if (!err) return fail(err.error());
    const auto spawned = spawn({.path = program,
                                .argv = request_.argv,
                                .environment = request_.environment,
                                .directory = request_.directory,
                                .limits = request_.limits,
                                .stdin_fd = input->get(),
                                .stdout_fd = out->write.get(),
                                .stderr_fd = err->write.get()});
    if (!spawned) return fail(spawned.error());
    pid_ = spawned->pid;
    return adopt(Fd(spawned->pidfd), std::move(out->read), std::move(err->read));
  }

  void start(Resume<ProcessResult> resume) {
    resume_.emplace(std::move(resume));
    timer_ = clock_.call_after(request_.timeout, [this] { stop(End::TimedOut); });
    cancel_ = request_.cancel.on_cancel([this] { stop(End::Cancelled); });
    wait_stdout();
    wait_stderr();
    exit_.async_wait(Descriptor::wait_read, [self = shared_from_this()](boost::system::error_code) { self->ended(); });
  }

 private:
  Result<void> adopt(Fd pidfd, Fd out, Fd err) {
    for (auto [descriptor, fd] : {std::pair{&exit_, &pidfd}, std::pair{&stdout_, &out}, std::pair{&stderr_, &err}}) {
      boost::system::error_code error;
      descriptor->assign(fd->get(), error);
      // The program already runs: the destructor kills it, but what it did meanwhile is not known.
      if (error) return fail("tool.failed", fmt::format("could not watch a program: {}", error.message()), Retry::OutcomeUnknown);
      fd->release();
    }
    return {};
  }

  void stop(End why) {
    if (why_) return;
    why_ = why;
    ::kill(-pid_, SIGTERM);
    timer_ = clock_.call_after(request_.grace, [this] { ::kill(-pid_, SIGKILL); });
  }

  void wait_stdout() {
    stdout_.async_wait(Descriptor::wait_read, [self = shared_from_this()](boost::system::error_code error) {
      if (!error && !self->done_ && self->take_output()) self->wait_stdout();
    });
  }

  void wait_stderr() {
    stderr_.async_wait(Descriptor::wait_read, [self = shared_from_this()](boost::system::error_code error) {
      if (!error && !self->done_ && self->take_stderr()) self->wait_stderr();
    });
  }

  /// One read; nothing when there is no more now (`open` tells whether there may be later).
  std::string_view read_some(Descriptor& from, bool& open) {
    ssize_t count = 0;
    do count = ::read(from.native_handle(), buffer().data(), buffer().size());
    while (count < 0 && errno == EINTR);
    open = count > 0 || (count < 0 && errno == EAGAIN);
    return {buffer().data(), count > 0 ? static_cast<std::size_t>(count) : 0};
  }

  /// One buffer serves all programs of a thread: a read is used up before the next.
  static std::array<char, 64 * 1024>& buffer() {
    thread_local std::array<char, 64 * 1024> shared;
    return shared;
  }

  bool take_output(std::size_t* taken = nullptr) {
    bool open = false;
    const std::string_view bytes = read_some(stdout_, open);
    if (taken != nullptr) *taken = bytes.size();
    const std::size_t room = request_.stdout_bytes_max - result_.output.size();
    result_.output += bytes.substr(0, room);
    if (bytes.size() <= room) return open;
    if (!why_) why_ = End::TooMuchOutput;
    ::kill(-pid_, SIGKILL);
    return false;
  }

  bool take_stderr(std::size_t* taken = nullptr) {
    bool open = false;
    const std::string_view bytes = read_some(stderr_, open);
    if (taken != nullptr) *taken = bytes.size();
    if (bytes.empty()) return open;
    std::string& tail = result_.stderr_tail;
    tail += bytes;
    if (tail.size() > request_.stderr_bytes_kept) {
      tail.erase(0, tail.size() - request_.stderr_bytes_kept);
      result_.stderr_cut = true;
    }
    if (request_.on_stderr) request_.on_stderr(bytes);
    return open;
  }

  void drain() {
    for (auto take : {&Run::take_output, &Run::take_stderr}) {
      std::size_t total = 0, taken = 0;
      while ((this->*take)(&taken) && taken > 0 && (total += taken) < kDrainBytesMax) {
      }
    }
  }

  void ended() {
    done_ = true;
    timer_.reset();
    cancel_.reset();
    // While the leader is not reaped its group id cannot be given to anyone else, so this hits only its own descendants.
    ::kill(-pid_, SIGKILL);
    drain();
    siginfo_t info{};
    const bool reaped = ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED) == 0;
    pid_ = -1;
    if (why_) {
      result_.end = *why_;
    } else if (reaped) {
      result_.end = info.si_code == CLD_EXITED ? End::Exited : End::Signalled;
    }
    if (reaped && info.si_code == CLD_EXITED) result_.exit_code = info.si_status;
    if (reaped && info.si_code != CLD_EXITED) result_.signal = info.si_status;
    for (Descriptor* descriptor : {&exit_, &stdout_, &stderr_}) {
      boost::system::error_code ignored;
      descriptor->close(ignored);
    }
    Resume<ProcessResult> resume = std::move(*resume_);
    resume_.reset();
    resume(std::move(result_));
  }

  Clock& clock_;
  ProcessRequest request_;
  Descriptor exit_, stdout_, stderr_;
  pid_t pid_ = -1;  // -1 once reaped
  std::optional<End> why_;
  bool done_ = false;
  ProcessResult result_;
  std::optional<Resume<ProcessResult>> resume_;
  std::unique_ptr<Clock::Timer> timer_;
  CancelToken::Registration cancel_;
};

Result<void> check(const ProcessRequest& request) {
  const auto invalid = [](std::string why) { return fail("tool.invalid_command", std::move(why)); };
  if (request.argv.empty() || request.argv.front().empty()) return invalid("the command is empty: name a program");
  if (request.argv.size() > kArgumentsMax) return invalid(fmt::format("the command has more than {} arguments", kArgumentsMax));
  for (const auto* texts : {&request.argv, &request.environment}) {
    for (const std::string& text : *texts) {
      if (text.find('\0') != std::string::npos) return invalid("the command or its environment holds a NUL byte: remove it");
    }
  }
  if (request.input.size() > kInputBytesMax) {
    return invalid(fmt::format("the arguments are larger than {} bytes: pass a reference to the data instead", kInputBytesMax));
  }
  struct stat status{};
  if (!request.directory.starts_with('/') || ::stat(request.directory.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
    return fail("tool.bad_directory",
                fmt::format("the directory {} of the command does not exist: create it or deploy again", request.directory));
  }
  return {};
}

}  // namespace

Task<Result<ProcessResult>> run_process(Clock& clock, ProcessRequest request) {
  if (const auto ok = check(request); !ok) co_return fail(ok.error());
  if (request.cancel.cancelled()) co_return fail("tool.cancelled", "the call was cancelled before its program was started", Retry::Safe);
  const auto program = find_program(request.argv.front(), request.directory, request.path);
  if (!program) co_return fail(program.error());
  const Executor executor = co_await asio::this_coro::executor;
  auto run = std::make_shared<Run>(executor, clock, std::move(request));
  if (const auto launched = run->launch(*program); !launched) co_return fail(launched.error());
  co_return co_await suspend<ProcessResult>([run = std::move(run)](Resume<ProcessResult> resume) mutable {
    // Moved out of this coroutine's frame, which the Resume keeps alive: no cycle holds the program.
    const auto self = std::move(run);
    self->start(std::move(resume));
  });
}

}  // namespace mayfly
