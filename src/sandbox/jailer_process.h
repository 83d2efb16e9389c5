#pragma once

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/jail/protocol.h"
#include "sandbox/jail/wire.h"
#include "sandbox/sandbox.h"

namespace mayfly::sandbox {

using Descriptor = asio::posix::basic_stream_descriptor<Executor>;

Layers layers_of(jail::Walls walls);
jail::Walls walls_of(const Layers& layers);

/// What is known of one sandbox; shared by the process that its owner holds and the jailer's messages.
class JailerProcessState {
 public:
  JailerProcessState(Executor executor, jail::StartedMessage started, std::string id, std::vector<jail::Fd> fds);

  void signal(int number) const;
  void end(ProcessEnd end);
  bool ended() const { return end_.has_value(); }
  Task<ProcessEnd> wait(std::shared_ptr<JailerProcessState> self);
  Task<std::string> read_output(std::shared_ptr<JailerProcessState> self);
  void close_output();
  std::vector<SandboxProcess::Listener> take_listeners();
  Usage usage() const;
  int pid() const { return static_cast<int>(started_.pid); }
  const Layers& active() const { return active_; }
  const std::string& id() const { return id_; }

 private:
  jail::StartedMessage started_;
  std::string id_;
  Layers active_;
  jail::Fd pidfd_;
  Descriptor output_;
  std::vector<jail::Fd> listeners_;
  std::optional<ProcessEnd> end_;
  std::optional<Resume<ProcessEnd>> waiter_;
};

/// Kills everything inside when it is destroyed.
std::unique_ptr<SandboxProcess> make_jailer_process(std::shared_ptr<JailerProcessState> state);

}  // namespace mayfly::sandbox
