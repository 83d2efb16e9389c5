#include "telemetry/otlp.h"

#include <algorithm>
#include <charconv>
#include <ctime>

#include "base/assert.h"
#include "base/log.h"

namespace mayfly::telemetry {
namespace {

constexpr std::size_t kReplyBytesMax = 64 * 1024;
constexpr std::size_t kReasonBytesMax = 300;

/// RFC 9110 §10.2.3: seconds or an HTTP date.
std::optional<Millis> read_retry_after(std::string_view text, TimePoint now) {
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc{} && end == text.data() + text.size() && seconds >= 0)
    return Millis{std::min<std::int64_t>(seconds, 86'400) * 1000};
  std::tm date{};
  const std::string value(text);
  const char* rest = strptime(value.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date);
  if (!rest || *rest != '\0') return std::nullopt;
  return std::max(from_unix_ms(timegm(&date) * 1000LL) - now, Millis{0});
}

/// Protobuf's JSON writes 64-bit integers as texts and reads both.
std::uint64_t read_count(const Json* value) {
  if (!value) return 0;
  if (const auto* number = value->if_int64()) return *number > 0 ? static_cast<std::uint64_t>(*number) : 0;
  if (const auto* number = value->if_uint64()) return *number;
  std::uint64_t out = 0;
  if (const auto* text = value->if_string()) std::from_chars(text->data(), text->data() + text->size(), out);
  return out;
}

}  // namespace

TraceExporter::TraceExporter(Executor executor, Clock& clock, Random& random, net::HttpClient& http, OtlpOptions options)
    : executor_(executor), clock_(clock), random_(random), http_(http), options_(std::move(options)), tasks_(executor) {
  MAYFLY_ASSERT(options_.batch_max > 0 && options_.queue_max > 0, "an exporter needs room");
  resource_.emplace_back("service.name", options_.service_name);
  if (!options_.service_version.empty()) resource_.emplace_back("service.version", options_.service_version);
  resource_.insert(resource_.end(), options_.resource.begin(), options_.resource.end());
}

TraceExporter::~TraceExporter() = default;

void TraceExporter::add(std::vector<Span> spans) {
  if (!enabled()) return;
  for (Span& span : spans) {
    if (is_stopping_ || queue_.size() >= options_.queue_max) {
      ++counts_.dropped;
      continue;
    }
    queue_.push_back(std::move(span));
  }
  if (queue_.size() >= options_.batch_max) wake_.cancel();
  if (is_pumping_ || queue_.empty()) return;
  is_pumping_ = true;
  tasks_.spawn(pump());
}

ExporterCounters TraceExporter::counters() const {
  ExporterCounters out = counts_;
  out.queued = queue_.size();
  return out;
}

Task<> TraceExporter::pump() {
  while (!queue_.empty()) {
    if (queue_.size() < options_.batch_max && !is_stopping_) {
      wake_ = CancelSource();
      co_await sleep_for(clock_, options_.delay, wake_.token());
    }
    const auto count = static_cast<std::ptrdiff_t>(std::min(queue_.size(), options_.batch_max));
    std::vector<Span> batch(std::make_move_iterator(queue_.begin()), std::make_move_iterator(queue_.begin() + count));
    queue_.erase(queue_.begin(), queue_.begin() + count);
    if (abort_.cancelled())
      counts_.dropped += batch.size();
    else
      co_await deliver(std::move(batch));
  }
  is_pumping_ = false;
}

Task<> TraceExporter::deliver(std::vector<Span> batch) {
  const std::string body = to_text(to_otlp(batch, resource_, options_.service_version));
  Reply reply;
  for (int attempt = 1;; ++attempt) {
    reply = co_await post(body);
    if (reply.verdict == Verdict::Taken) {
      counts_.exported += batch.size();
      if (std::exchange(is_failing_, false)) log::info("traces are exported again");
      co_return;
    }
    if (reply.verdict == Verdict::Refused || attempt >= options_.attempts_max || abort_.cancelled()) break;
    const Millis wait = reply.retry_after ? std::min(*reply.retry_after, options_.retry_after_max) : backoff(attempt);
    if (!co_await sleep_for(clock_, wait, abort_.token())) break;
  }
  counts_.dropped += batch.size();
  if (!std::exchange(is_failing_, true))
    log::warn("traces could not be exported and were dropped; check OTEL_EXPORTER_OTLP_ENDPOINT and its receiver",
              {{"reason", reply.reason}, {"spans", batch.size()}});
}

Task<TraceExporter::Reply> TraceExporter::post(std::string body) {
  net::ClientRequest request;
  request.method = "POST";
  request.url = options_.url();
  request.headers = options_.headers;
  request.headers.set("Content-Type", "application/json");
  request.body = std::move(body);
  request.egress = net::EgressPolicy::trusted();
  request.total_timeout = options_.timeout;
  request.body_bytes_max = kReplyBytesMax;
  request.cancel = abort_.token();
  ++counts_.requests;
  const auto response = co_await http_.send(std::move(request));
  if (!response) {
    ++counts_.failures;
    const bool is_final = response.error().retry == Retry::Never;
    co_return Reply{is_final ? Verdict::Refused : Verdict::Retry, std::nullopt, response.error().code};
  }
  co_return judge(*response);
}

TraceExporter::Reply TraceExporter::judge(const net::ClientResponse& response) {
  if (response.status >= 200 && response.status < 300) {
    note_partial_success(response.body);
    return {Verdict::Taken, std::nullopt, {}};
  }
  ++counts_.failures;
  Reply out{Verdict::Refused, std::nullopt, "HTTP status " + std::to_string(response.status)};
  if (response.status != 429 && (response.status < 502 || response.status > 504)) return out;
  out.verdict = Verdict::Retry;
  if (const auto after = response.headers.find("Retry-After")) out.retry_after = read_retry_after(*after, clock_.now());
  return out;
}

void TraceExporter::note_partial_success(std::string_view body) {
  const auto parsed = parse_json(body, {.depth_max = 16, .bytes_max = kReplyBytesMax});
  const JsonObject* object = parsed ? parsed->if_object() : nullptr;
  const JsonObject* partial = object ? get_object(*object, "partialSuccess") : nullptr;
  if (!partial) return;
  const std::uint64_t rejected = read_count(get(*partial, "rejectedSpans"));
  const std::string message = get_string(*partial, "errorMessage");
  if (rejected == 0 && message.empty()) return;
  counts_.rejected += rejected;
  log::warn("the receiver of traces took a batch only in part",
            {{"rejected", rejected}, {"message", to_utf8_lossy(std::string_view(message).substr(0, kReasonBytesMax))}});
}

Millis TraceExporter::backoff(int attempt) {
  Millis delay = options_.backoff_first;
  for (int i = 1; i < attempt && delay < options_.backoff_max; ++i) delay *= 2;
  delay = std::min(delay, options_.backoff_max);
  return Millis{static_cast<std::int64_t>(static_cast<double>(delay.count()) * (0.5 + random_.unit() / 2))};
}

Task<> TraceExporter::stop(Millis grace) {
  is_stopping_ = true;
  wake_.cancel();
  const auto deadline = clock_.call_after(grace, [this] { abort_.cancel(); });
  co_await tasks_.join();
}

}  // namespace mayfly::telemetry
