#include "sandbox/jail/wire.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace mayfly::jail {

Fd::~Fd() {
  if (value_ >= 0) ::close(value_);
}

std::uint64_t Reader::number() {
  std::uint64_t value = 0;
  if (bytes_.size() < sizeof value) {
    ok_ = false;
    bytes_ = {};
    return 0;
  }
  std::memcpy(&value, bytes_.data(), sizeof value);
  bytes_.remove_prefix(sizeof value);
  return value;
}

std::string Reader::text() {
  const std::uint64_t size = number();
  if (size > bytes_.size()) {
    ok_ = false;
    bytes_ = {};
    return {};
  }
  std::string value(bytes_.substr(0, size));
  bytes_.remove_prefix(size);
  return value;
}

std::size_t Reader::count() {
  const std::uint64_t value = number();
  if (value <= bytes_.size() / sizeof(std::uint64_t)) return value;
  ok_ = false;
  return 0;
}

std::vector<std::string> Reader::texts() {
  std::vector<std::string> values(count());
  for (std::string& value : values) value = text();
  return values;
}

bool send_packet(int socket, std::string_view data, const std::vector<int>& fds) {
  if (data.size() > kPacketBytesMax || fds.size() > kPacketFdsMax) {
    errno = EMSGSIZE;
    return false;
  }
  iovec part{const_cast<char*>(data.data()), data.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kPacketFdsMax)] = {};
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
  }
  ssize_t sent = 0;
  do sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

Received receive_packet(int socket, Packet& packet) {
  // Kept: a fresh buffer of this size would be cleared for each small packet.
  static thread_local std::vector<char> buffer(kPacketBytesMax);
  iovec part{buffer.data(), buffer.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kPacketFdsMax)];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t count = 0;
  do count = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  while (count < 0 && errno == EINTR);
  if (count < 0) return errno == EAGAIN ? Received::Nothing : Received::Closed;
  packet.fds.clear();
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t fds = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < fds; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      packet.fds.emplace_back(fd);
    }
  }
  if (count == 0 || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return Received::Closed;
  packet.data.assign(buffer.data(), static_cast<std::size_t>(count));
  explicit_bzero(buffer.data(), static_cast<std::size_t>(count));  // environments hold secrets
  return Received::Packet;
}

bool make_channel(Fd& one, Fd& other) {
  int ends[2] = {};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return false;
  one = Fd(ends[0]);
  other = Fd(ends[1]);
  return true;
}

}  // namespace mayfly::jail
