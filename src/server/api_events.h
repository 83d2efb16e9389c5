#pragma once

#include <optional>
#include <string>

#include "server/router.h"

namespace mayfly {

/// Sends the run's events as server-sent events until it has ended, the client has gone or the server stops. Resumes after `cursor`
/// (a Last-Event-ID of ours; empty: from the beginning). Answers with an error when there is no such run.
Task<> stream_run(AppContext& app, Call& call, std::string run, std::string cursor);

/// Waits until the run has ended; nothing when `wait` is over, the client has gone or the server stops before that.
Task<Result<std::optional<engine::Execution>>> wait_for_end(AppContext& app, std::string run, Millis wait, CancelToken disconnected);

/// The position of a reader in a run's stream: `N`, or `N:OPERATION:OFFSET:ATTEMPT:CHANNEL` with further
/// `;OPERATION:OFFSET:ATTEMPT:CHANNEL` for other texts under way.
struct StreamCursor {
  struct Text {
    std::int64_t operation = 0;
    std::string channel = "text";
    std::int64_t attempt = 0;         ///< 0: not known
    std::size_t offset = 0;           ///< bytes that the reader has
  };
  std::int64_t number = 0;            ///< the newest durable event that it has
  std::vector<Text> texts;
};
/// Lenient: what cannot be read counts as the beginning.
StreamCursor parse_cursor(std::string_view text);
std::string to_string(const StreamCursor& cursor);

}  // namespace mayfly
