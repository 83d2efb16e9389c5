#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "runtime/cancel.h"
#include "runtime/clock.h"
#include "runtime/task.h"

namespace mayfly::mcp {

/// Messages on their way to one reader, in order. They are kept while the stream is, within bounds, so that a reader that was cut off
/// finds what it missed.
class MessageStream {
 public:
  struct Item {
    std::int64_t number = 0;  ///< from 1
    std::string text;
  };
  static constexpr std::size_t kBytesMax = 4 * 1024 * 1024;

  /// Beyond `kBytesMax` the oldest are dropped.
  void push(std::string text);
  /// Nothing follows. `status`: of an answer that is the only message.
  void finish(int status = 200);
  bool finished() const { return finished_; }
  int status() const { return status_; }
  /// Ends the reader's answer but not the stream: it comes back for the rest.
  void cut();

  const std::deque<Item>& items() const { return items_; }
  std::int64_t newest() const { return newest_; }
  std::size_t bytes() const { return bytes_; }
  const Item* after(std::int64_t number) const;

  enum class Wake {
    More,  ///< there is a further message, or the end
    TimedOut,
    Cut,
    Gone,  ///< cancelled, or another reader took over
  };
  /// Until there is more than `number`. One reader at a time: a newer one sends the older away. The stream outlives the call.
  Task<Wake> wait_beyond(Clock* clock, std::int64_t number, Millis limit, CancelToken cancel);

 private:
  struct Parked {
    std::int64_t ticket = 0;
    Resume<Wake> resume;
  };
  void wake(std::int64_t ticket, Wake why);

  std::deque<Item> items_;
  std::int64_t newest_ = 0;
  std::size_t bytes_ = 0;
  bool finished_ = false;
  int status_ = 200;
  std::int64_t tickets_ = 0;
  std::optional<Parked> parked_;
};

}  // namespace mayfly::mcp
