#pragma once

#include <memory>
#include <string>

#include "base/json.h"
#include "server/a2a/a2a_push.h"
#include "server/router.h"

namespace mayfly::a2a {

/// One request, whatever its binding.
struct Request {
  AppContext* app = nullptr;
  PushNotifier* push = nullptr;
  Principal principal;
  std::string agent;
  std::string method;  ///< "SendMessage", "GetTask", …
  JsonObject params;
  std::string traceparent;
  CancelToken disconnected;
};

bool is_streaming(std::string_view method);
/// The result of a method that is not streaming. Errors: `a2a.…`, `run.…`, `agent.…`, and those of starting a run.
Task<Result<Json>> call(Request request);

/// Where a stream's payloads go: false when the client has gone.
using Emit = std::function<Task<bool>(Json payload)>;
/// SendStreamingMessage and SubscribeToTask: starts, then emits StreamResponses until the task has ended or waits for somebody. An error
/// comes before anything was emitted.
struct Stream {
  std::string run;
};
Task<Result<Stream>> open_stream(Request request);
Task<> run_stream(Request request, Stream stream, Emit emit, std::function<Task<bool>()> keep_alive);

/// The StreamResponse {"task": …} of a run now.
Task<Result<Json>> snapshot(AppContext* app, std::string run);

}  // namespace mayfly::a2a
