#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "cli/api.h"
#include "runtime/clock.h"

namespace mayfly::cli {

/// One thing that happened in a run and was not known before.
struct RunUpdate {
  enum class Kind { RunStarted, OperationStarted, OperationEnded, RunEnded, Text };
  Kind kind = Kind::Text;
  JsonObject data;             ///< of a durable event: all that it says
  std::int64_t operation = 0;  ///< of Text
  std::int64_t attempt = 0;
  std::string channel;
  std::string text;
  bool repeated = false;  ///< Text that begins anew: the server was restarted in the middle of this step
};

/// Makes one gapless account of a run out of the events of any number of connections: pure, without I/O. What a resumed stream
/// repeats is left out, also within a text.
class RunFollower {
 public:
  /// `after`: events up to this number are known; empty: none.
  explicit RunFollower(std::string after = {}) : last_id_(std::move(after)) {}

  std::optional<RunUpdate> take(const net::SseEvent& event);
  /// For Last-Event-ID.
  const std::string& last_id() const { return last_id_; }
  bool ended() const { return ended_; }

 private:
  struct Said {
    std::int64_t attempt = 0;
    std::size_t bytes = 0;
  };
  std::optional<RunUpdate> take_text(const JsonObject& data);

  std::string last_id_;
  std::int64_t number_ = 0;
  std::map<std::pair<std::int64_t, std::string>, Said> said_;
  bool ended_ = false;
};

enum class Follow { On, Stop };

struct FollowHooks {
  std::function<Follow(const RunUpdate&)> on_update;
  /// The connection was lost: a sentence for the user. Once for each interruption.
  std::function<void(std::string_view)> on_interruption;
  std::function<void()> on_resumed;
};

/// Follows a run until it ended or `on_update` said Stop, over server restarts: an interrupted stream is taken up where it broke, for
/// `patience` each time. The update that said Stop is not given again by a later call with the same follower.
/// Errors: those of Api (the server refused, or did not come back in time).
Task<Result<void>> follow_run(Api& api, Clock& clock, std::string run, RunFollower& follower, FollowHooks hooks, Millis patience);

}  // namespace mayfly::cli
