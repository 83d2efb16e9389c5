#include "llm/llm_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <ctime>

namespace mayfly::llm {
namespace {

constexpr std::size_t kMessageBytesMax = 500;
constexpr Millis kRetryAfterMax = std::chrono::hours(1);

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

bool contains_any(const std::string& text, std::initializer_list<std::string_view> needles) {
  return std::ranges::any_of(needles, [&](std::string_view needle) { return text.find(needle) != std::string::npos; });
}

std::string clipped(std::string_view text) {
  std::string out = to_utf8_lossy(text.substr(0, kMessageBytesMax));
  if (text.size() > kMessageBytesMax) out += "…";
  return out;
}

bool is_context_too_long(const ProviderFailure& failure) {
  if (failure.code == "context_length_exceeded") return true;
  const std::string text = lower(failure.message);
  return contains_any(text, {"prompt is too long", "context length", "context window", "maximum context", "context limit",
                             "input is too long", "exceeds the available context"});
}

struct Kind {
  std::string_view code;
  Retry retry;
  std::string_view remedy;
};

constexpr Kind kRateLimited{"llm.rate_limited", Retry::Safe, "wait, or lower the provider's `concurrency_max` or rates"};
constexpr Kind kNoQuota{"llm.rate_limited", Retry::Never, "check the plan and the billing of this account"};
constexpr Kind kOverloaded{"llm.overloaded", Retry::Safe, "try again later or name a second model to fail over to"};
constexpr Kind kAuthentication{"llm.authentication", Retry::Never, "check this provider's API key and its permissions"};
constexpr Kind kNotFound{"llm.not_found", Retry::Never, "check the name of the model and the provider's `base_url`"};
constexpr Kind kContext{"llm.context_too_long", Retry::Never, "shorten the conversation or choose a model with a larger context"};
constexpr Kind kTimeout{"llm.timeout", Retry::OutcomeUnknown, "try again later or raise the timeouts"};
constexpr Kind kServer{"llm.server_error", Retry::Safe, "try again later"};
constexpr Kind kInvalid{"llm.invalid_request", Retry::Never, "change the request"};

/// Both APIs name the kind of failure in `type` or `code`; the status decides where they do not.
Kind classify(int status, const ProviderFailure& failure) {
  const std::string name = lower(failure.type + " " + failure.code);
  if (contains_any(name, {"insufficient_quota", "billing_error"}) || status == 402) return kNoQuota;
  if (is_context_too_long(failure) && status < 500) return kContext;
  if (status == 429 || contains_any(name, {"rate_limit"})) return kRateLimited;
  if (status == 529 || status == 503 || contains_any(name, {"overloaded"})) return kOverloaded;
  if (status == 401 || status == 403 || contains_any(name, {"authentication", "permission", "invalid_api_key"})) return kAuthentication;
  if (status == 404 || contains_any(name, {"not_found"})) return kNotFound;
  if (status == 413 || contains_any(name, {"request_too_large"})) return kContext;
  if (status == 408 || status == 504 || status == 524 || contains_any(name, {"timeout"})) return kTimeout;
  if (status == 409 || status >= 500 || contains_any(name, {"server_error", "api_error"})) return kServer;
  if (status == 0 && !contains_any(name, {"invalid"})) return kServer;
  return kInvalid;
}

std::string describe(const std::string& provider, std::string_view what, const Kind& kind, const ProviderFailure& failure) {
  // A provider's words about a bad key may quote parts of the key.
  if (kind.code == kAuthentication.code) return fmt::format("provider `{}` {}; {}", provider, what, kind.remedy);
  return fmt::format("provider `{}` {}: {}; {}", provider, what, failure.message.empty() ? "no reason given" : clipped(failure.message),
                     kind.remedy);
}

std::optional<double> to_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value) || value < 0) return std::nullopt;
  return value;
}

Millis bounded(double ms) { return Millis(static_cast<std::int64_t>(std::ceil(std::clamp(ms, 0.0, double(kRetryAfterMax.count()))))); }

/// RFC 9110 §5.6.7, the preferred form: "Sun, 06 Nov 1994 08:49:37 GMT".
std::optional<TimePoint> parse_http_date(std::string_view text) {
  static constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  if (text.size() != 29 || text.substr(25) != " GMT") return std::nullopt;
  const auto month = std::ranges::find(kMonths, text.substr(8, 3));
  if (month == kMonths.end()) return std::nullopt;
  const auto parsed = parse_rfc3339(fmt::format("{}-{:02}-{}T{}Z", text.substr(12, 4), month - kMonths.begin() + 1, text.substr(5, 2),
                                                text.substr(17, 8)));
  if (!parsed) return std::nullopt;
  return *parsed;
}

/// The latest reset among limits of which nothing remains.
std::optional<Millis> reset_of_exhausted(const net::Headers& headers, TimePoint now) {
  static constexpr std::array<std::string_view, 4> kAnthropic{"requests", "tokens", "input-tokens", "output-tokens"};
  static constexpr std::array<std::string_view, 2> kOpenAi{"requests", "tokens"};
  std::optional<Millis> wait;
  const auto consider = [&](std::optional<Millis> candidate) {
    if (candidate && candidate->count() >= 0 && (!wait || *candidate > *wait)) wait = std::min(*candidate, kRetryAfterMax);
  };
  for (const std::string_view limit : kAnthropic) {
    if (headers.get(fmt::format("anthropic-ratelimit-{}-remaining", limit)) != "0") continue;
    if (const auto reset = parse_rfc3339(headers.get(fmt::format("anthropic-ratelimit-{}-reset", limit)))) consider(*reset - now);
  }
  for (const std::string_view limit : kOpenAi) {
    if (headers.get(fmt::format("x-ratelimit-remaining-{}", limit)) != "0") continue;
    if (const auto reset = parse_duration(headers.get(fmt::format("x-ratelimit-reset-{}", limit)))) consider(*reset);
  }
  return wait;
}

}  // namespace

LlmError make_error(std::string code, std::string message, Retry retry, int status, std::optional<Millis> retry_after) {
  return {Error{std::move(code), std::move(message), retry}, retry_after, status};
}

ProviderFailure parse_failure(std::string_view body) {
  ProviderFailure out;
  const auto json = parse_json(body);
  const JsonObject* object = json ? json->if_object() : nullptr;
  if (!object) {
    out.message = clipped(body);
    return out;
  }
  return parse_failure(*object);
}

ProviderFailure parse_failure(const JsonObject& body) {
  const JsonObject* error = get_object(body, "error");
  const JsonObject& source = error ? *error : body;
  return {get_string(source, "type"), get_string(source, "code"), get_string(source, "message", error ? "" : get_string(body, "error"))};
}

std::optional<Millis> retry_after_from(const net::Headers& headers, TimePoint now) {
  if (const auto ms = headers.find("retry-after-ms"))
    if (const auto number = to_number(*ms)) return bounded(*number);
  if (const auto text = headers.find("retry-after")) {
    if (const auto seconds = to_number(*text)) return bounded(*seconds * 1'000);
    if (const auto date = parse_http_date(*text)) return bounded(static_cast<double>((*date - now).count()));
  }
  return reset_of_exhausted(headers, now);
}

LlmError error_from_http(const std::string& provider, int status, const net::Headers& headers, std::string_view body, TimePoint now) {
  if (status < 400) {
    return make_error("llm.bad_response",
                      fmt::format("provider `{}` answered {} instead of a stream; check its `base_url`", provider, status), Retry::Never,
                      status);
  }
  const ProviderFailure failure = parse_failure(body);
  const Kind kind = classify(status, failure);
  const bool may_wait = kind.retry != Retry::Never;
  return make_error(std::string(kind.code), describe(provider, fmt::format("answered {}", status), kind, failure), kind.retry, status,
                    may_wait ? retry_after_from(headers, now) : std::nullopt);
}

LlmError error_from_stream(const std::string& provider, const ProviderFailure& failure, bool answer_began) {
  const Kind kind = classify(0, failure);
  return make_error(std::string(kind.code), describe(provider, "reported an error inside its stream", kind, failure),
                    kind.retry == Retry::Never || !answer_began ? kind.retry : Retry::OutcomeUnknown);
}

LlmError error_from_transport(const std::string& provider, const Error& error, bool answer_began) {
  const auto with = [&](std::string code, Retry retry) {
    return make_error(std::move(code), fmt::format("provider `{}`: {}", provider, error.message), retry);
  };
  if (error.code == "net.cancelled") return cancelled_error();
  if (error.code == "net.timeout") return with("llm.timeout", answer_began ? Retry::OutcomeUnknown : error.retry);
  if (error.code == "net.egress_denied") return with("llm.egress_denied", Retry::Never);
  if (error.code == "net.invalid_url") return with("llm.invalid_request", Retry::Never);
  if (error.code == "net.too_large" || answer_began) return with("llm.bad_response", Retry::OutcomeUnknown);
  return with("llm.unreachable", error.retry);
}

LlmError cancelled_error() {
  return make_error("llm.cancelled", "the call was cancelled before it was answered; start it again if it is still wanted",
                    Retry::OutcomeUnknown);
}

}  // namespace mayfly::llm
