#include "cli/run_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace mayfly::cli {
namespace {

constexpr Millis kRetryFirst{200};
constexpr Millis kRetryMax{2'000};

std::optional<RunUpdate::Kind> kind_of(std::string_view event) {
  if (event == "run.started") return RunUpdate::Kind::RunStarted;
  if (event == "operation.started") return RunUpdate::Kind::OperationStarted;
  if (event == "operation.ended") return RunUpdate::Kind::OperationEnded;
  if (event == "run.ended") return RunUpdate::Kind::RunEnded;
  if (event == "delta") return RunUpdate::Kind::Text;
  return std::nullopt;
}

/// The event number that an id begins with; 0 when there is none.
std::int64_t number_of(std::string_view id) {
  std::int64_t number = 0;
  std::from_chars(id.data(), id.data() + id.size(), number);
  return number;
}

/// A refusal that repeating does not change.
bool is_final(const Error& error) {
  return !error.code.starts_with("net.") && error.code != "http.502" && error.code != "http.503" && error.code != "http.504" &&
         error.retry != Retry::Safe;
}

}  // namespace

std::optional<RunUpdate> RunFollower::take(const net::SseEvent& event) {
  const auto kind = kind_of(event.event);
  if (!kind) return std::nullopt;
  const auto parsed = parse_json(event.data);
  if (!parsed || !parsed->is_object()) return std::nullopt;
  const JsonObject& data = parsed->get_object();
  if (number_ == 0) number_ = number_of(last_id_);
  if (*kind == RunUpdate::Kind::Text) {
    auto update = take_text(data);
    if (!event.id.empty() && number_of(event.id) >= number_) last_id_ = event.id;
    return update;
  }
  const std::int64_t number = get_int(data, "number", number_of(event.id));
  if (number <= number_) return std::nullopt;
  number_ = number;
  last_id_ = event.id.empty() ? std::to_string(number) : event.id;
  ended_ = ended_ || *kind == RunUpdate::Kind::RunEnded;
  RunUpdate update;
  update.kind = *kind;
  update.data = data;
  return update;
}

std::optional<RunUpdate> RunFollower::take_text(const JsonObject& data) {
  RunUpdate update;
  update.operation = get_int(data, "operation");
  update.attempt = get_int(data, "attempt", 1);
  update.channel = get_string(data, "channel");
  update.text = get_string(data, "text");
  const auto offset = static_cast<std::size_t>(std::max<std::int64_t>(0, get_int(data, "offset")));
  Said& said = said_[{update.operation, update.channel}];
  if (update.attempt < said.attempt) return std::nullopt;
  const bool anew = update.attempt > said.attempt || get_bool(data, "restart");
  if (anew) {
    update.repeated = said.bytes > 0;
    said = {update.attempt, 0};
  }
  const std::size_t known = said.bytes > offset ? said.bytes - offset : 0;
  if (known >= update.text.size()) return std::nullopt;
  update.text.erase(0, known);
  said.bytes = std::max(said.bytes, offset) + update.text.size();
  return update;
}

Task<Result<void>> follow_run(Api& api, Clock& clock, std::string run, RunFollower& follower, FollowHooks hooks, Millis patience) {
  const std::string path = path_of({"v1", "runs", run, "events"});
  Millis pause = kRetryFirst;
  auto alive = clock.monotonic();
  bool interrupted = false;
  while (!follower.ended()) {
    CancelSource stop;
    bool stopped = false;
    const auto on_bytes = [&] {
      alive = clock.monotonic();
      if (interrupted && hooks.on_resumed) hooks.on_resumed();
      interrupted = false;
    };
    const auto on_event = [&](net::SseEvent event) {
      pause = kRetryFirst;
      if (stopped) return;
      const auto update = follower.take(event);
      if (!update || hooks.on_update(*update) == Follow::On) return;
      stopped = true;
      stop.cancel();
    };
    const auto streamed = co_await api.events(path, follower.last_id(), on_event, on_bytes, stop.token());
    if (stopped) co_return Result<void>{};
    if (follower.ended()) break;
    if (!streamed && is_final(streamed.error())) co_return fail(streamed.error());
    if (clock.monotonic() - alive > patience) {
      co_return fail(streamed ? Error{"net.reset", "the event stream ended early each time; look at the server's log", Retry::Safe}
                              : streamed.error());
    }
    if (!interrupted && !streamed && hooks.on_interruption)
      hooks.on_interruption(
          fmt::format("connection lost; trying again for {} (the run is durable and goes on by itself)", to_human(patience)));
    interrupted = interrupted || !streamed;
    co_await sleep_for(clock, pause);
    pause = std::min(pause * 2, kRetryMax);
  }
  co_return Result<void>{};
}

}  // namespace mayfly::cli
