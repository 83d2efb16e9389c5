#include "workspace/mirror/mirror_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <cerrno>
#include <cstring>

#include "workspace/mirror/host_folder.h"
#include "workspace/paths.h"

namespace mayfly::workspace {
namespace {

constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_CREATE | IN_MODIFY | IN_DELETE_SELF | IN_ONLYDIR;
constexpr std::size_t kBufferBytes = 64 * 1024;
constexpr std::size_t kBusyMax = 10'000;

}  // namespace

struct MirrorWatch::Descriptor {
  Descriptor(Executor executor, int fd) : stream(executor, fd) {}
  asio::posix::basic_stream_descriptor<Executor> stream;
};

MirrorWatch::MirrorWatch(Executor executor, std::function<void()> changed) : executor_(executor), changed_(std::move(changed)) {}
MirrorWatch::~MirrorWatch() = default;

Result<void> MirrorWatch::open() {
  const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0)
    return fail("mirror.io", std::string("the system gives no more watches of folders: ") + std::strerror(errno) + "; raise fs.inotify.max_user_instances",
                Retry::Safe);
  descriptor_ = std::make_unique<Descriptor>(executor_, fd);
  return {};
}

Result<void> MirrorWatch::add(const std::string& path, int folder) {
  if (!descriptor_ || !descriptor_->stream.is_open()) return {};
  const std::string name = "/proc/self/fd/" + std::to_string(folder);
  const int watch = ::inotify_add_watch(descriptor_->stream.native_handle(), name.c_str(), kEvents);
  if (watch < 0)
    return fail("mirror.io", "cannot watch the folder '" + path + "': " + std::strerror(errno) + "; raise fs.inotify.max_user_watches", Retry::Safe);
  folders_[watch] = path;
  return {};
}

Task<> MirrorWatch::run() {
  std::string buffer(kBufferBytes, '\0');
  while (descriptor_ && descriptor_->stream.is_open()) {
    auto [error, count] = co_await descriptor_->stream.async_read_some(asio::buffer(buffer), asio::as_tuple(use_task));
    if (error) co_return;
    if (take(std::string_view(buffer).substr(0, count))) changed_();
  }
}

/// True when there is something to look at.
bool MirrorWatch::take(std::string_view events) {
  bool out = false;
  while (events.size() >= sizeof(inotify_event)) {
    inotify_event event{};
    std::memcpy(&event, events.data(), sizeof event);
    const std::string name(events.substr(sizeof event, event.len).data());
    events.remove_prefix(sizeof event + event.len);
    if (event.mask & IN_Q_OVERFLOW) {
      // What was missed is unknown: everything is looked at.
      busy_.clear();
      out = true;
      continue;
    }
    const auto folder = folders_.find(event.wd);
    if (folder == folders_.end() || name.starts_with(HostFolder::kTemporary)) continue;
    if (event.mask & IN_IGNORED) {
      folders_.erase(folder);
      continue;
    }
    const std::string path = join_path(folder->second, name);
    const bool is_written = !(event.mask & IN_ISDIR) && (event.mask & (IN_MODIFY | IN_CREATE));
    if (is_written && busy_.size() < kBusyMax) {
      busy_.insert(path);

      continue;
    }
    busy_.erase(path);
    out = true;
  }
  return out;
}

void MirrorWatch::close() {
  if (!descriptor_) return;
  boost::system::error_code ignored;
  descriptor_->stream.close(ignored);
}

}  // namespace mayfly::workspace
