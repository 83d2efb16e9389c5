#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "server/api_events.h"

namespace mayfly {

/// Sends one run's events to one reader, from its cursor on: first what the journal holds, then what running steps have said so far, then
/// what happens. Durable events are sent once each, by number; texts without gaps or repeats, by offset.
class RunStream {
 public:
  RunStream(AppContext& app, net::Responder& responder, CancelToken disconnected, std::string run, StreamCursor cursor)
      : app_(app), responder_(responder), disconnected_(std::move(disconnected)), run_(std::move(run)), cursor_(std::move(cursor)) {}

  /// Until the run has ended, the client has gone or the server stops.
  Task<> send_all();

 private:
  struct Pending {
    std::int64_t number = 0;
    std::string event;
    TimePoint time{};
    Json record;               ///< of an operation; null for the run's own events
  };
  static std::vector<Pending> journal_of(const engine::RunDescription& description, std::int64_t after);
  Task<bool> replay(engine::RunDescription description, std::vector<engine::Delta> said);
  Task<bool> follow(engine::Subscription* subscription);  ///< false when there is no more to send
  Task<bool> send_live(engine::RunEvent event);
  Task<bool> send_operation(Pending event);
  Task<bool> send_end(engine::Execution run);
  Task<bool> send_delta(engine::Delta delta);
  Task<bool> send(std::string event, std::string id, JsonObject data);
  void operation_ended(std::int64_t operation);

  AppContext& app_;
  net::Responder& responder_;
  CancelToken disconnected_;
  std::string run_;
  StreamCursor cursor_;
  std::set<std::int64_t> ended_;   ///< operations: what they said does not matter any more
  bool run_ended_ = false;
};

/// The next item; nothing after `limit` (then `*timed_out`), when the reader has gone or the server stops, or at the subscription's end.
Task<std::optional<engine::StreamItem>> next_item(AppContext* app, engine::Subscription* subscription, CancelToken disconnected,
                                                  Millis limit, bool* timed_out);

}  // namespace mayfly
