#include "net/http_client.h"

#include <algorithm>
#include <map>

#include "base/log.h"
#include "net/transfer.h"

namespace mayfly::net {
namespace {

void init_curl_once() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_ALL);
  (void)code;
}

bool is_redirect(int status) { return status == 301 || status == 302 || status == 303 || status == 307 || status == 308; }

bool is_credential(std::string_view name) {
  for (const auto* known : {"authorization", "cookie", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "host"}) {
    if (equal_ignoring_case(name, known)) return true;
  }
  return log::is_secret_name(name);
}

/// RFC 9110 §15.4: what changes between a request and its redirected successor.
void redirect_request(ClientRequest& request, int status, const EgressTarget& from, const EgressTarget& to) {
  const bool becomes_get = (status == 303 && request.method != "HEAD") || ((status == 301 || status == 302) && request.method == "POST");
  std::vector<std::string> dropped;
  for (const auto& [name, value] : request.headers) {
    const bool is_about_body = name.size() > 8 && equal_ignoring_case(std::string_view(name).substr(0, 8), "content-");
    const bool leaves_origin = from.scheme != to.scheme || from.host != to.host || from.port != to.port;
    if ((becomes_get && is_about_body) || (leaves_origin && is_credential(name))) dropped.push_back(name);
  }
  for (const auto& name : dropped) request.headers.remove(name);
  if (becomes_get) {
    request.method = "GET";
    request.body.clear();
  }
}

class CurlHttpClient final : public HttpClient {
 public:
  CurlHttpClient(Executor executor, Clock& clock) : executor_(executor), clock_(clock), resolver_(executor, clock) {}

  Task<Result<ClientResponse>> send(ClientRequest request) override {
    auto target = parse_target(request.url);
    if (!target) co_return fail(std::move(target.error()));
    const auto deadline = request.total_timeout > Millis{0} ? clock_.monotonic() + request.total_timeout : std::chrono::nanoseconds{0};
    for (int redirects = 0;; ++redirects) {
      auto result = co_await send_once(&request, *target, deadline);
      if (!result || !is_redirect(result->status) || redirects >= request.redirects_max) co_return result;
      const auto location = result->headers.find("location");
      if (!location) co_return result;
      auto next = resolve_redirect(*target, *location);
      if (!next) co_return fail(std::move(next.error()));
      if (target->scheme == "https" && next->scheme == "http") {
        co_return fail("net.egress_denied", target->origin() + " redirects from https to " + next->origin() +
                                                ", which is not encrypted; call that URL directly if this is wanted.");
      }
      redirect_request(request, result->status, *target, *next);
      target = std::move(next);
    }
  }

 private:
  Task<Result<ClientResponse>> send_once(const ClientRequest* request, EgressTarget target, std::chrono::nanoseconds deadline) {
    if (request->cancel.cancelled()) co_return fail("net.cancelled", "The call was cancelled.", Retry::OutcomeUnknown);
    if (const auto allowed = check_egress(request->egress, target.host, target.port, {}); !allowed) co_return fail(allowed.error());
    Addresses addresses;
    if (target.literal) {
      addresses.push_back(*target.literal);
    } else {
      Millis limit = request->connect_timeout;
      if (deadline.count() != 0) {
        const Millis left = std::max(std::chrono::ceil<Millis>(deadline - clock_.monotonic()), Millis{1});
        if (limit <= Millis{0} || left < limit) limit = left;
      }
      auto found = co_await resolver_.resolve(target.host, limit, request->cancel);
      if (!found) co_return fail(std::move(found.error()));
      addresses = std::move(*found);
    }
    if (const auto allowed = check_egress(request->egress, target.host, target.port, addresses); !allowed) co_return fail(allowed.error());
    auto loop = loop_for(request->egress, target);
    const auto transfer =
        std::make_shared<Transfer>(std::move(loop), clock_, executor_, *request, std::move(target), std::move(addresses), deadline);
    co_return co_await transfer->run();
  }

  /// A kept connection is shared only by requests whose policies judge addresses alike: else a connection that one
  /// policy allowed would carry requests of a stricter one.
  std::shared_ptr<CurlLoop> loop_for(const EgressPolicy& policy, const EgressTarget& target) {
    const int key =
        (policy.allow_loopback ? 1 : 0) | (policy.allow_private ? 2 : 0) | (is_allowed_by_name(policy, target.host, target.port) ? 4 : 0);
    auto& loop = loops_[key];
    if (!loop) loop = std::make_shared<CurlLoop>(executor_, clock_);
    return loop;
  }

  Executor executor_;
  Clock& clock_;
  Resolver resolver_;
  std::map<int, std::shared_ptr<CurlLoop>> loops_;
};

}  // namespace

std::unique_ptr<HttpClient> make_http_client(Executor executor, Clock& clock) {
  init_curl_once();
  return std::make_unique<CurlHttpClient>(executor, clock);
}

}  // namespace mayfly::net
