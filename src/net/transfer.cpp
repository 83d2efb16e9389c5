#include "net/transfer.h"

#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

namespace mayfly::net {
namespace {

constexpr std::size_t kHeaderBytesMax = 256 * 1024;
constexpr long kReadBufferBytes = 16 * 1024;

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > 0x20 && c < 0x7f && std::string_view("\"(),/:;<=>?@[\\]{}").find(c) == std::string_view::npos;
  });
}

bool is_field_value(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; });
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

bool is_tls(CURLcode code) {
  switch (code) {
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED: return true;
    default: return false;
  }
}

}  // namespace

Transfer::Transfer(std::shared_ptr<CurlLoop> loop, Clock& clock, Executor executor, const ClientRequest& request, EgressTarget target,
                   Addresses addresses, std::chrono::nanoseconds deadline)
    : loop_(std::move(loop)),
      clock_(clock),
      executor_(executor),
      request_(request),
      target_(std::move(target)),
      addresses_(std::move(addresses)),
      deadline_(deadline),
      easy_(curl_easy_init()) {}

Transfer::~Transfer() {
  if (is_added_) loop_->remove(easy_);
  curl_easy_cleanup(easy_);
  curl_slist_free_all(fields_);
  curl_slist_free_all(pinned_);
}

Task<Transfer::Outcome> Transfer::run() {
  const auto self = shared_from_this();
  if (auto error = prepare()) co_return fail(std::move(*error));
  co_await suspend<bool>([self](Resume<bool> resume) { self->start(std::move(resume)); });
  timer_.reset();
  cancel_.reset();
  if (failure_) co_return fail(std::move(*failure_));
  response_.final_url = target_.url;
  co_return std::move(response_);
}

void Transfer::start(Resume<bool> resume) {
  resume_.emplace(std::move(resume));
  phase_since_ = clock_.monotonic();
  if (!loop_->add(easy_)) {
    failure_ = Error{"net.connect", "The HTTP client could not start the call to " + target_.origin() + "; try again.", Retry::Safe};
    return finish();
  }
  is_added_ = true;
  cancel_ = request_.cancel.on_cancel([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->abort({"net.cancelled", "The call was cancelled.", Retry::OutcomeUnknown});
  });
  if (!is_finished_) watch_time();
}

std::optional<Error> Transfer::prepare() {
  if (easy_ == nullptr) return Error{"net.connect", "The HTTP client is out of memory; try again later.", Retry::Safe};
  if (!is_token(request_.method)) return Error{"net.invalid_url", "The HTTP method is not a token such as GET or POST.", Retry::Never};
  const auto set = [this](CURLoption option, auto value) { curl_easy_setopt(easy_, option, value); };
  set(CURLOPT_PRIVATE, static_cast<CurlListener*>(this));
  set(CURLOPT_URL, target_.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_PROXY, "");
  set(CURLOPT_NOPROXY, "*");
  set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  if (target_.scheme == "https") set(CURLOPT_PIPEWAIT, 1L);
  set(CURLOPT_BUFFERSIZE, kReadBufferBytes);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_SSL_VERIFYPEER, 1L);
  set(CURLOPT_SSL_VERIFYHOST, 2L);
  set(CURLOPT_CONNECTTIMEOUT_MS, 24L * 3600 * 1000);  // ours counts, by the Clock
  if (const char* bundle = std::getenv("SSL_CERT_FILE"); bundle != nullptr && *bundle != '\0') set(CURLOPT_CAINFO, bundle);
  set(CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  set(CURLOPT_HEADERDATA, this);
  set(CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  set(CURLOPT_WRITEDATA, this);
  set(CURLOPT_PREREQFUNCTION, &Transfer::on_ready_to_send);
  set(CURLOPT_PREREQDATA, this);
  set(CURLOPT_OPENSOCKETFUNCTION, &Transfer::on_open);
  set(CURLOPT_OPENSOCKETDATA, this);
  if (!target_.literal) {
    std::string entry = "+" + target_.host + ":" + std::to_string(target_.port) + ":";
    for (const auto& address : addresses_) {
      if (entry.back() != ':') entry += ',';
      entry += address.is_v6() ? "[" + address.to_string() + "]" : address.to_string();
    }
    pinned_ = curl_slist_append(nullptr, entry.c_str());
    set(CURLOPT_RESOLVE, pinned_);
  }
  prepare_body();
  return prepare_headers();
}

void Transfer::prepare_body() {
  const bool has_payload = !request_.body.empty() || request_.method == "POST" || request_.method == "PUT" || request_.method == "PATCH";
  if (has_payload) {
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, request_.body.data());
  } else if (request_.method == "HEAD") {
    curl_easy_setopt(easy_, CURLOPT_NOBODY, 1L);
  }
  if (has_payload || (request_.method != "GET" && request_.method != "HEAD")) {
    curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  }
}

std::optional<Error> Transfer::prepare_headers() {
  const auto append = [this](const std::string& line) { fields_ = curl_slist_append(fields_, line.c_str()); };
  for (const auto& [name, value] : request_.headers) {
    if (!is_token(name) || !is_field_value(value)) {
      return Error{"net.invalid_header", "A request header has forbidden bytes in its name or value; remove line breaks and control bytes.",
                   Retry::Never};
    }
    if (equal_ignoring_case(name, "content-length") || equal_ignoring_case(name, "transfer-encoding")) continue;
    append(value.empty() ? name + ";" : name + ": " + value);
  }
  if (!request_.headers.find("expect")) append("Expect:");
  if (!request_.headers.find("content-type")) append("Content-Type:");
  if (!request_.headers.find("user-agent")) append("User-Agent: mayfly");
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, fields_);
  return std::nullopt;
}

curl_socket_t Transfer::on_open(void* self, curlsocktype, curl_sockaddr* address) {
  auto& transfer = *static_cast<Transfer*>(self);
  std::optional<IpAddress> peer;
  if (address->family == AF_INET) {
    asio::ip::address_v4::bytes_type bytes;
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in*>(&address->addr)->sin_addr, bytes.size());
    peer = asio::ip::address_v4(bytes);
  } else if (address->family == AF_INET6) {
    asio::ip::address_v6::bytes_type bytes;
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6*>(&address->addr)->sin6_addr, bytes.size());
    peer = asio::ip::address_v6(bytes);
  }
  // The last word, whatever libcurl resolved by itself: no socket without a checked address.
  if (!peer) return CURL_SOCKET_BAD;
  const std::array checked{*peer};
  if (const auto allowed = check_egress(transfer.request_.egress, transfer.target_.host, transfer.target_.port, checked); !allowed) {
    transfer.failure_ = allowed.error();
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

bool Transfer::may_be_sent_again() const {
  for (const auto* method : {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"}) {
    if (request_.method == method) return true;
  }
  return request_.headers.find("idempotency-key").has_value();
}

int Transfer::on_ready_to_send(void* self, char*, char*, int, int) {
  auto& transfer = *static_cast<Transfer*>(self);
  // libcurl repeats a request by itself when a kept connection turns out to be closed.
  if (transfer.was_sent_ && !transfer.may_be_sent_again()) return CURL_PREREQFUNC_ABORT;
  transfer.was_sent_ = true;
  transfer.phase_since_ = transfer.clock_.monotonic();
  transfer.watch_time();
  return CURL_PREREQFUNC_OK;
}

std::size_t Transfer::on_header(char* bytes, std::size_t size, std::size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (transfer.failure_) return 0;
  transfer.header_bytes_ += size * count;
  if (transfer.header_bytes_ > kHeaderBytesMax) {
    transfer.failure_ =
        Error{"net.too_large", "The response header of " + transfer.target_.origin() + " is larger than 256 KiB.", Retry::OutcomeUnknown};
    return 0;
  }
  transfer.header_line(std::string_view(bytes, size * count));
  return size * count;
}

void Transfer::header_line(std::string_view line) {
  if (header_done_) return;  // trailers
  if (line.starts_with("HTTP/")) {
    response_.headers = {};
    const auto space = line.find(' ');
    response_.status = 0;
    if (space != std::string_view::npos) std::from_chars(line.data() + space + 1, line.data() + line.size(), response_.status);
    return;
  }
  line = trim(line);
  if (line.empty()) {
    header_done_ = response_.status >= 200;
    return;
  }
  const auto colon = line.find(':');
  if (colon != std::string_view::npos) response_.headers.add(std::string(line.substr(0, colon)), std::string(trim(line.substr(colon + 1))));
}

std::size_t Transfer::on_body(char* bytes, std::size_t size, std::size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (transfer.is_held_back()) return CURL_WRITEFUNC_PAUSE;
  return transfer.body_bytes(std::string_view(bytes, size * count)) ? size * count : 0;
}

bool Transfer::is_held_back() {
  if (failure_ || !request_.gate || !request_.gate->is_closed() || response_.status < 200 || response_.status > 299) return false;
  is_paused_ = true;
  request_.gate->on_open([weak = weak_from_this(), executor = executor_] {
    asio::post(executor, [weak] {
      if (const auto self = weak.lock()) self->go_on();
    });
  });
  return true;
}

void Transfer::go_on() {
  if (!std::exchange(is_paused_, false) || is_finished_) return;
  phase_since_ = clock_.monotonic();
  loop_->resume(easy_);
}

bool Transfer::body_bytes(std::string_view bytes) {
  if (failure_) return false;
  body_bytes_ += bytes.size();
  if (body_bytes_ > request_.body_bytes_max) {
    failure_ = Error{"net.too_large",
                     "The response of " + target_.origin() + " is larger than " + std::to_string(request_.body_bytes_max) +
                         " bytes; raise the limit or ask for less.",
                     Retry::OutcomeUnknown};
    return false;
  }
  phase_since_ = clock_.monotonic();
  if (!std::exchange(has_body_, true)) watch_time();
  if (!request_.on_body || response_.status < 200 || response_.status > 299) {
    response_.body.append(bytes);
    return true;
  }
  try {
    request_.on_body(bytes);
  } catch (...) {
    failure_ = Error{"net.cancelled", "The receiver of the response failed.", Retry::OutcomeUnknown};
  }
  return !failure_;
}

/// One timer a transfer: it is moved forward only when it must ring earlier, else it looks again when it rings.
void Transfer::watch_time() {
  const Millis limit = !was_sent_ ? request_.connect_timeout : !has_body_ ? request_.first_byte_timeout : request_.idle_timeout;
  std::chrono::nanoseconds at = deadline_;
  if (limit > Millis{0} && (at.count() == 0 || phase_since_ + limit < at)) at = phase_since_ + limit;
  if (at.count() == 0 || (timer_ && timer_at_ <= at)) return;
  timer_at_ = at;
  const auto delay = std::chrono::ceil<Millis>(at - clock_.monotonic());
  timer_ = clock_.call_after(std::max(delay, Millis{0}), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->on_time();
  });
}

void Transfer::on_time() {
  if (is_finished_) return;
  const auto now = clock_.monotonic();
  const auto late = [&](std::string_view what) {
    abort({"net.timeout", target_.origin() + " " + std::string(what) + "; try again later or raise the timeout.", retry()});
  };
  if (deadline_.count() != 0 && now >= deadline_) return late("did not finish its answer in time");
  if (is_paused_) phase_since_ = now;
  const Millis limit = !was_sent_ ? request_.connect_timeout : !has_body_ ? request_.first_byte_timeout : request_.idle_timeout;
  if (limit > Millis{0} && now >= phase_since_ + limit) {
    return late(!was_sent_   ? "could not be connected in time"
                : !has_body_ ? "did not begin its answer in time"
                             : "stopped in the middle of its answer");
  }
  timer_at_ = std::chrono::nanoseconds::max();
  watch_time();
}

void Transfer::abort(Error error) {
  if (is_finished_ || failure_) return;
  failure_ = std::move(error);
  if (!loop_->is_busy()) return finish();
  asio::post(executor_, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->finish();
  });
}

void Transfer::on_done(CURLcode code) {
  if (code != CURLE_OK && !failure_) failure_ = explain(code);
  finish();
}

void Transfer::finish() {
  if (std::exchange(is_finished_, true)) return;
  if (std::exchange(is_added_, false)) loop_->remove(easy_);
  auto resume = std::move(*resume_);
  resume_.reset();
  resume(true);
}

Error Transfer::explain(CURLcode code) const {
  const std::string where = target_.origin(), why = std::string(" (") + curl_easy_strerror(code) + ")";
  if (code == CURLE_COULDNT_RESOLVE_HOST) return {"net.dns", "The name of " + where + " cannot be resolved; check it.", Retry::Safe};
  if (code == CURLE_COULDNT_CONNECT && !was_sent_) {
    return {"net.connect", "Cannot connect to " + where + "; check that it runs and that the port is right.", Retry::Safe};
  }
  if (is_tls(code) && !was_sent_) {
    return {"net.tls", "No trusted TLS connection to " + where + why + "; check its certificate and the machine's CA bundle.",
            Retry::Never};
  }
  if (code == CURLE_OPERATION_TIMEDOUT) return {"net.timeout", where + " did not answer in time; try again later.", retry()};
  if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) {
    return {"net.invalid_url", "The URL is malformed; give an absolute http or https URL.", Retry::Never};
  }
  return {"net.reset",
          "The connection to " + where + " broke" + why + (was_sent_ ? "; whether the request took effect is unknown." : "; try again."),
          retry()};
}

}  // namespace mayfly::net
