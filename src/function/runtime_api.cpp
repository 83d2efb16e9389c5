#include "function/runtime_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/hash.h"
#include "base/json.h"

namespace mayfly::function {
namespace {

constexpr std::string_view kRoot = "/2018-06-01/runtime/";
constexpr std::string_view kInvocation = "invocation/";
constexpr std::string_view kErrorType = "Lambda-Runtime-Function-Error-Type";
constexpr std::string_view kErrorBody = "Lambda-Runtime-Function-Error-Body";
constexpr std::string_view kResponseMode = "Lambda-Runtime-Function-Response-Mode";
// Official clients send an X-Ray document of up to 1 MiB as a header.
constexpr std::size_t kHeaderBytesMax = 1024 * 1024 + 64 * 1024;
constexpr std::size_t kConnectionsMax = 32;
// Larger bodies are read only by who may send one now, so that a function cannot fill Mayfly's memory.
constexpr std::size_t kWholeBodyBytesMax = 64 * 1024;
constexpr std::size_t kPlatformBytesMax = 16 * 1024 * 1024;  // of all requests under way that are not the Runtime API's
constexpr std::size_t kErrorTypeMax = 256;
// What AWS allows above the payload limit, for what wraps an answer.
constexpr std::size_t kResponseSlack = 100;

net::Response json_response(int status, std::string body) {
  return {.status = status, .headers = {{"Content-Type", "application/json"}}, .body = std::move(body)};
}

net::Response accepted() { return json_response(202, R"({"status":"OK"})"); }

net::Response refusal(int status, std::string_view type, std::string_view message) {
  return json_response(status, to_text(JsonObject{{"errorMessage", message}, {"errorType", type}}));
}

net::Response invalid_transition(std::string_view from, std::string_view to) {
  return refusal(403, "InvalidStateTransition",
                 fmt::format("State transition from {} to {} failed for runtime. Error: State transition is not allowed", from, to));
}

/// It stands in log lines, which it must not be able to forge.
bool is_runtime_error_type(std::string_view type) {
  const auto allowed = [](char c) { return c > ' ' && c <= '~'; };
  return !type.empty() && type.size() <= kErrorTypeMax && std::ranges::all_of(type, allowed);
}

std::string error_type_of(std::string_view header, const RuntimeAnswer& answer) {
  if (is_runtime_error_type(header)) return std::string(header);
  if (const auto document = parse_json(answer.payload); document && document->is_object()) {
    const std::string type = get_string(document->get_object(), "errorType");
    if (is_runtime_error_type(type)) return type;
  }
  return "Runtime.Unknown";
}

/// Callers are promised a JSON document, whatever the runtime sent.
void make_document(RuntimeAnswer& answer) {
  if (!answer.payload.empty() && parse_json(answer.payload)) return;
  JsonObject document{{"errorMessage", to_utf8_lossy(answer.payload)}, {"errorType", answer.error_type}};
  answer.payload = to_text(document);
}

RuntimeAnswer too_large(std::size_t limit) {
  const std::string text = fmt::format("Response payload size exceeded maximum allowed payload size ({} bytes).", limit);
  return {.payload = to_text(JsonObject{{"errorType", "Function.ResponseSizeTooLarge"}, {"errorMessage", text}}),
          .content_type = "application/json",
          .error_type = "Function.ResponseSizeTooLarge"};
}

net::Response request_too_large(std::size_t limit) {
  return refusal(413, "RequestEntityTooLarge", fmt::format("Exceeded maximum allowed payload size ({} bytes).", limit));
}

RuntimeAnswer plain_error(std::string_view type, std::string_view message) {
  return {.payload = to_text(JsonObject{{"errorType", type}, {"errorMessage", message}}),
          .content_type = "application/json",
          .error_type = std::string(type)};
}

}  // namespace

/// The endpoints. Nothing here owns: a handler runs within the server, which the RuntimeApi stops first.
class RuntimeApi::Handlers {
 public:
  static Task<> route(RuntimeApi& api, net::Request& request, net::Responder& responder) {
    const std::string_view path = request.path;
    if (!path.starts_with(kRoot)) return elsewhere(api, request, responder);
    const std::string_view rest = path.substr(kRoot.size());
    const bool get = request.method == "GET";
    const bool post = request.method == "POST";
    if (get && rest == "invocation/next") return next(api, responder);
    if (post && rest == "init/error") return init_error(api, request, responder, "InitError");
    if (get && rest == "restore/next") return restore_next(api, responder);
    if (post && rest == "restore/error") return init_error(api, request, responder, "RestoreError");
    if (post && rest.starts_with(kInvocation)) {
      const std::string_view tail = rest.substr(kInvocation.size());
      const auto slash = tail.find('/');
      const std::string_view what = slash == std::string_view::npos ? std::string_view{} : tail.substr(slash + 1);
      if (what == "response") return response(api, request, responder, std::string(tail.substr(0, slash)));
      if (what == "error") return error(api, request, responder, std::string(tail.substr(0, slash)));
    }
    return unknown(responder);
  }

 private:
  static std::string_view name(State state) {
    switch (state) {
      case State::Init: return "Started";
      case State::Ready: return "Ready";
      case State::Busy: return "Running";
      case State::Answering: return "InvocationResponse";
      case State::Answered: return "ResponseSent";
      case State::Failed: return "InitError";
    }
    return "Started";
  }

  static Task<> elsewhere(RuntimeApi& api, net::Request& request, net::Responder& responder) {
    if (!api.platform_) {
      co_await responder.send(net::problem(404, "function.no_such_path", "Only the Lambda Runtime API is served here."));
      co_return;
    }
    const Held held(api.platform_bytes_);
    while (request.body_reader) {
      auto piece = co_await request.body_reader->next();
      if (!piece) co_return;  // the server answers for a broken body
      if (!*piece) break;
      if (api.platform_bytes_ + (*piece)->size() > kPlatformBytesMax) {
        co_await responder.send(net::problem(413, "function.too_much_in_flight",
                                             "The function's requests to Mayfly hold more than 16 MiB at a time; send less, or one after another."));
        co_return;
      }
      held.add((*piece)->size());
      request.body += **piece;
    }
    request.body_reader = nullptr;
    co_await api.platform_(request, responder);
  }

  /// Counts a body while its request is under way.
  class Held {
   public:
    explicit Held(std::size_t& total) : total_(total) {}
    ~Held() { total_ -= bytes_; }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    void add(std::size_t bytes) const {
      bytes_ += bytes;
      total_ += bytes;
    }

   private:
    std::size_t& total_;
    mutable std::size_t bytes_ = 0;
  };

  static Task<> unknown(net::Responder& responder) {
    co_await responder.send(refusal(404, "NotFound", "The Runtime API 2018-06-01 has no such operation."));
  }

  static Task<> refuse(RuntimeApi& api, net::Responder& responder, std::string_view to) {
    const auto from = name(api.state_);
    api.listener_.on_violation(fmt::format("asked for {} in state {}", to, from));
    co_await responder.send(invalid_transition(from, to));
  }

  static Task<> next(RuntimeApi& api, net::Responder& responder) {
    const bool holds_event = (api.state_ == State::Busy && api.fetched_) || api.state_ == State::Answering;
    if (holds_event || api.state_ == State::Failed) {
      co_await refuse(api, responder, "Ready");
      co_return;
    }
    // A newer request takes the place of one whose connection may be gone.
    if (auto older = std::exchange(api.parked_, std::nullopt)) (*older)(false);
    if (api.state_ != State::Busy) {
      api.state_ = State::Ready;
      api.listener_.on_next();
    }
    if (api.state_ != State::Busy && !api.stopping_) {
      const bool has_event = co_await suspend<bool>([&api](Resume<bool> resume) { api.parked_ = std::move(resume); });
      if (!has_event) {
        co_await responder.send(invalid_transition("Ready", "Ready"));
        co_return;
      }
    }
    if (api.stopping_ || !api.event_) {
      co_await responder.send(refusal(500, "InternalServerError", "The execution environment is shutting down."));
      co_return;
    }
    const auto event = api.event_;
    api.fetched_ = true;
    const bool sent = co_await responder.send({.status = 200, .headers = event->headers, .body = event->payload});
    if (!sent && api.event_ == event && api.state_ == State::Busy) api.fetched_ = false;
  }

  static Task<> restore_next(RuntimeApi& api, net::Responder& responder) {
    if (api.state_ != State::Init) {
      co_await refuse(api, responder, "RestoreReady");
      co_return;
    }
    co_await responder.send(json_response(200, ""));
  }

  static Task<> init_error(RuntimeApi& api, net::Request& request, net::Responder& responder, std::string_view to) {
    if (api.state_ != State::Init) {
      co_await refuse(api, responder, to);
      co_return;
    }
    api.state_ = State::Failed;
    auto answer = co_await read_error(api, request);
    api.listener_.on_init_error(std::move(answer));
    co_await responder.send(accepted());
  }

  /// Sends the refusal when the runtime may not answer `request_id` now.
  static Task<bool> may_answer(RuntimeApi& api, net::Responder& responder, std::string request_id, std::string_view to) {
    if (api.state_ != State::Busy || !api.fetched_) {
      co_await refuse(api, responder, to);
      co_return false;
    }
    if (api.event_->request_id != request_id) {
      api.listener_.on_violation("answered a request id that it was not given");
      co_await responder.send(refusal(400, "InvalidRequestID", "Invalid request ID"));
      co_return false;
    }
    co_return true;
  }

  static void settle(RuntimeApi& api, RuntimeAnswer answer) {
    api.state_ = State::Answered;
    api.event_.reset();
    api.fetched_ = false;
    api.listener_.on_answer(std::move(answer));
  }

  static Task<> error(RuntimeApi& api, net::Request& request, net::Responder& responder, std::string request_id) {
    if (!co_await may_answer(api, responder, request_id, "InvocationErrorResponse")) co_return;
    api.state_ = State::Answering;
    (void)api.listener_.on_stream_begin();
    auto answer = co_await read_error(api, request);
    settle(api, std::move(answer));
    co_await responder.send(accepted());
  }

  static Task<RuntimeAnswer> read_error(RuntimeApi& api, net::Request& request) {
    RuntimeAnswer answer{.payload = std::move(request.body), .content_type = "application/json", .error_type = {}};
    while (request.body_reader && answer.payload.size() < api.options_.payload_bytes_max) {
      auto piece = co_await request.body_reader->next();
      if (!piece || !*piece) break;
      answer.payload += **piece;
    }
    if (answer.payload.size() > api.options_.payload_bytes_max) answer.payload.resize(api.options_.payload_bytes_max);
    answer.error_type = error_type_of(request.headers.get(kErrorType), answer);
    make_document(answer);
    co_return answer;
  }

  static Task<> response(RuntimeApi& api, net::Request& request, net::Responder& responder, std::string request_id) {
    if (!co_await may_answer(api, responder, std::move(request_id), "InvocationResponse")) co_return;
    const auto mode = request.headers.find(kResponseMode);
    if (mode && *mode != "streaming") {
      settle(api, plain_error("Runtime.InvalidResponseModeHeader", "the runtime asked for an unknown response mode"));
      co_await responder.send(refusal(400, "InvalidFunctionResponseMode", "Invalid function response mode"));
      co_return;
    }
    std::string content_type = request.headers.get("Content-Type", "application/json");
    if (!request.body_reader) {
      if (const std::size_t limit = api.options_.payload_bytes_max + kResponseSlack; request.body.size() > limit) {
        settle(api, too_large(limit));
        co_await responder.send(request_too_large(limit));
        co_return;
      }
      settle(api, {.payload = std::move(request.body), .content_type = std::move(content_type), .error_type = {}});
      co_await responder.send(accepted());
      co_return;
    }
    api.state_ = State::Answering;
    const bool passes_on = api.listener_.on_stream_begin() && mode;
    auto [answer, reply] = co_await read_stream(api, request, std::move(content_type), passes_on);
    settle(api, std::move(answer));
    co_await responder.send(std::move(reply));
  }

  struct Streamed {
    RuntimeAnswer answer;
    net::Response reply;
  };

  static Task<Streamed> read_stream(RuntimeApi& api, net::Request& request, std::string content_type, bool passes_on) {
    const std::size_t limit = passes_on ? api.options_.stream_bytes_max : api.options_.payload_bytes_max + kResponseSlack;
    Streamed out{.answer = {.payload = {}, .content_type = content_type, .error_type = {}}, .reply = accepted()};
    bool open = !passes_on || co_await api.listener_.on_stream_start(std::move(content_type));
    std::size_t total = 0;
    while (open) {
      auto piece = co_await request.body_reader->next();
      if (!piece) {
        out.answer = plain_error("Runtime.TruncatedResponse", "the runtime stopped in the middle of its response");
        out.reply = refusal(400, "TruncatedHTTPRequest", "HTTP request detected as truncated");
        co_return out;
      }
      if (!*piece) break;
      total += (*piece)->size();
      if (total > limit) {
        out.answer = too_large(limit);
        out.reply = request_too_large(limit);
        co_return out;
      }
      if (passes_on) {
        open = co_await api.listener_.on_stream(std::move(**piece));
      } else {
        out.answer.payload += **piece;
      }
    }
    if (!open) {
      out.answer = plain_error("Runtime.ResponseAborted", "nobody reads the response any more");
    } else if (const auto type = request.body_reader->trailers().get(kErrorType); !type.empty()) {
      const auto body = from_base64(request.body_reader->trailers().get(kErrorBody));
      out.answer.payload = body.value_or("");
      out.answer.error_type = is_runtime_error_type(type) ? type : "Runtime.Unknown";
      make_document(out.answer);
    }
    co_return out;
  }
};

RuntimeApi::RuntimeApi(Executor executor, Clock& clock, int listener_fd, RuntimeApiOptions options, RuntimeApiListener& listener,
                       net::Handler platform)
    : options_(options), listener_(listener), platform_(std::move(platform)) {
  net::ServerOptions server;
  server.listener_fd = listener_fd;
  server.header_bytes_max = kHeaderBytesMax;
  server.connections_max = kConnectionsMax;
  // A runtime's connection rests while its handler works, which may take as long as the function's timeout.
  server.idle_timeout = Millis{0};
  server.sweep_every = Millis{15'000};
  server.body_policy = [this](const net::Request& head) { return body_policy(head); };
  server_ = net::make_http_server(executor, clock, std::move(server), [this](net::Request& request, net::Responder& responder) {
    return Handlers::route(*this, request, responder);
  });
}

RuntimeApi::~RuntimeApi() = default;

net::BodyPolicy RuntimeApi::body_policy(const net::Request& head) const {
  net::BodyPolicy policy;
  const std::string length = head.headers.get("Content-Length");
  std::size_t bytes = 0;
  const auto parsed = std::from_chars(length.data(), length.data() + length.size(), bytes);
  const bool is_small = parsed.ec == std::errc{} && bytes <= kWholeBodyBytesMax && !head.headers.find(kResponseMode);
  if (is_small || (length.empty() && !head.headers.find("Transfer-Encoding"))) {
    policy.bytes_max = kWholeBodyBytesMax;
    return policy;
  }
  policy.mode = net::BodyPolicy::Mode::Stream;
  policy.bytes_max = std::max(options_.stream_bytes_max, options_.payload_bytes_max) * 2;
  // The invocation's own timeout ends a slow answer.
  if (std::string_view(head.path).starts_with(kRoot)) policy.read_timeout = Millis{0};
  return policy;
}

Result<void> RuntimeApi::listen() { return server_->listen(); }

void RuntimeApi::deliver(std::shared_ptr<const RuntimeEvent> event) {
  event_ = std::move(event);
  state_ = State::Busy;
  fetched_ = false;
  if (auto parked = std::exchange(parked_, std::nullopt)) (*parked)(true);
}

Task<> RuntimeApi::stop() {
  stopping_ = true;
  if (auto parked = std::exchange(parked_, std::nullopt)) (*parked)(true);
  co_await server_->stop(Millis{0});
}

}  // namespace mayfly::function
