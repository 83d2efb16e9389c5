#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mayfly::jail {

/// Owns a descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int value) : value_(value) {}
  Fd(Fd&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Fd();
  int get() const { return value_; }
  int release() { return std::exchange(value_, -1); }
  bool valid() const { return value_ >= 0; }
  void reset() { *this = Fd(); }

 private:
  int value_ = -1;
};

/// One packet holds one message. Larger ones are refused by the sender.
inline constexpr std::size_t kPacketBytesMax = 160 * 1024;
inline constexpr std::size_t kPacketFdsMax = 128;

/// Numbers in the machine's byte order, texts behind their length: both ends are of one build.
class Writer {
 public:
  void number(std::uint64_t value) { bytes_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void text(std::string_view value) {
    number(value.size());
    bytes_ += value;
  }
  void texts(const std::vector<std::string>& values) {
    number(values.size());
    for (const std::string& value : values) text(value);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

/// Reads past the end give zeros and make `ok` false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  std::uint64_t number();
  std::string text();
  std::vector<std::string> texts();
  /// How many items follow, each of at least eight bytes.
  std::size_t count();
  bool ok() const { return ok_; }
  /// All was read, and nothing was missing.
  bool done() const { return ok_ && bytes_.empty(); }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

struct Packet {
  std::string data;
  std::vector<Fd> fds;
};
enum class Received { Packet, Nothing, Closed };

/// False (errno tells) when it was not sent; nothing is sent in part.
bool send_packet(int socket, std::string_view data, const std::vector<int>& fds = {});
/// `Nothing` from a non-blocking socket only. A packet that is too large or was cut closes the conversation.
Received receive_packet(int socket, Packet& packet);
/// A SOCK_SEQPACKET pair, close-on-exec.
bool make_channel(Fd& one, Fd& other);

}  // namespace mayfly::jail
