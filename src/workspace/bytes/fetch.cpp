#include <fmt/format.h>

#include <algorithm>

#include "workspace/bytes/bytes_service.h"

/// One attempt of an import: the web's bytes into a blob, in bounded memory.
namespace mayfly::workspace {
namespace {

constexpr std::size_t kHeldMax = 4 << 20;
constexpr int kRedirectsMax = 5;
constexpr Millis kConnectTimeout{15'000}, kFirstByteTimeout{60'000}, kIdleTimeout{60'000}, kTotalTimeout{6LL * 3'600'000};
constexpr std::size_t kContentTypeBytesMax = 255;

/// Between the connection, which pushes, and the writer, which waits for its store.
struct Pipe {
  std::string held;
  bool ended = false;
  std::optional<Error> failed;  ///< of the writer
  bool written = false;         ///< the writer has come to its end
  std::unique_ptr<Resume<bool>> reader, waiter;
  std::unique_ptr<BlobWriter> blob;
  CancelSource cancel;
  std::shared_ptr<net::BodyGate> gate = std::make_shared<net::BodyGate>();

  void wake() {
    if (const auto waiting = std::move(reader)) (*waiting)(true);
  }
};

Task<> write_all(std::shared_ptr<Pipe> pipe) {
  while (!pipe->failed) {
    if (pipe->held.empty()) {
      if (pipe->ended) break;
      co_await suspend<bool>([pipe](Resume<bool> resume) { pipe->reader = std::make_unique<Resume<bool>>(std::move(resume)); });
      continue;
    }
    std::string bytes = std::exchange(pipe->held, {});
    pipe->gate->open();
    if (auto written = co_await pipe->blob->write(std::move(bytes)); !written) {
      pipe->failed = written.error();
      pipe->cancel.cancel();
    }
  }
  pipe->written = true;
  if (const auto waiting = std::move(pipe->waiter)) (*waiting)(true);
}

bool is_plain(std::string_view text) {
  return text.size() <= kContentTypeBytesMax && text.contains('/') &&
         std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 0x7f; });
}

/// What a server says when it knows nothing better is no news.
std::string content_type_of(const net::ClientResponse& answer) {
  std::string out = answer.headers.get("content-type");
  return is_plain(out) && !out.starts_with("application/octet-stream") ? out : std::string();
}

std::unexpected<Error> refused(const net::ClientResponse& answer) {
  const bool passes = answer.status >= 500 || answer.status == 429 || answer.status == 408;
  const std::string advice = passes                                         ? ""
                             : answer.status == 401 || answer.status == 403 ? "; give a link that needs no login"
                                                                            : "; check the address";
  return fail("import.refused", fmt::format("the server answered {}{}", answer.status, advice), passes ? Retry::Safe : Retry::Never);
}

}  // namespace

Task<Result<BytesService::Fetched>> BytesService::fetch(std::string url, std::int64_t bytes_max, std::shared_ptr<Running> running) {
  auto blob = co_await blobs_.create();
  if (!blob) co_return std::unexpected(blob.error());
  running->received = 0;
  const auto pipe = std::make_shared<Pipe>();
  pipe->blob = *std::move(blob);
  const auto cancelled = running->cancel.token().on_cancel([pipe] { pipe->cancel.cancel(); });
  net::ClientRequest request;
  request.url = std::move(url);
  request.egress = deps_.egress;
  request.redirects_max = kRedirectsMax;
  request.connect_timeout = kConnectTimeout;
  request.first_byte_timeout = kFirstByteTimeout;
  request.idle_timeout = kIdleTimeout;
  request.total_timeout = kTotalTimeout;
  request.body_bytes_max = static_cast<std::size_t>(std::max<std::int64_t>(bytes_max, 0));
  request.headers.set("accept-encoding", "identity");
  request.cancel = pipe->cancel.token();
  request.gate = pipe->gate;
  request.on_body = [pipe, running](std::string_view bytes) {
    pipe->held.append(bytes);
    running->received += static_cast<std::int64_t>(bytes.size());
    if (pipe->held.size() >= kHeldMax) pipe->gate->close();
    pipe->wake();
  };
  tasks_.spawn(write_all(pipe));
  auto answer = co_await deps_.http->send(std::move(request));
  pipe->ended = true;
  pipe->wake();
  if (!pipe->written)
    co_await suspend<bool>([pipe](Resume<bool> resume) { pipe->waiter = std::make_unique<Resume<bool>>(std::move(resume)); });
  if (pipe->failed) co_return std::unexpected(*pipe->failed);
  if (!answer) {
    Error error = answer.error();
    if (error.code == "net.too_large") {
      error = {"ws.quota", fmt::format("it is larger than the {} bytes that a file of this workspace may have", bytes_max), Retry::Never};
    } else if (error.retry == Retry::OutcomeUnknown) {
      error.retry = Retry::Safe;  // a GET
    }
    co_return std::unexpected(std::move(error));
  }
  if (answer->status < 200 || answer->status > 299) co_return refused(*answer);
  auto finished = co_await pipe->blob->finish();
  if (!finished) co_return std::unexpected(finished.error());
  running->size = static_cast<std::int64_t>(finished->size);
  co_return Fetched{*std::move(finished), content_type_of(*answer)};
}

}  // namespace mayfly::workspace
