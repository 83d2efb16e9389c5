#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/http_client.h"
#include "runtime/clock.h"
#include "tool/redact.h"
#include "tool/tool.h"

namespace mayfly {

/// What a request carries besides its address.
enum class HttpBody {
  None,
  Json,  ///< an object of the arguments that no placeholder used
};

struct HttpToolOptions {
  std::string name;
  std::string description;
  Json parameters;  ///< JSON Schema of an object; must declare every placeholder where it lists `properties`
  Effect effect = Effect::AtMostOnce;
  std::string method = "GET";
  std::string url;  ///< see `UrlTemplate`: "https://api.example.com/users/{id}?lang={lang}"
  /// Values may hold ${NAME} of the environment, read at each call.
  std::vector<std::pair<std::string, std::string>> headers;
  /// Appended to the URL. Values may hold {parameter}. One that is exactly a placeholder is left out when its argument is missing,
  /// and repeated for each element of an array.
  std::vector<std::pair<std::string, std::string>> query;
  HttpBody body = HttpBody::None;
  std::vector<std::string> allow_hosts;  ///< added to `egress.allow_hosts`
  net::EgressPolicy egress;
  std::size_t response_bytes_max = 256 * 1024;
  std::size_t model_bytes_max = 64 * 1024;  ///< of the response that goes back to the model; the rest is cut with a note
  Millis timeout{60'000};                   ///< of a call with its redirects; the smaller of this and the call's counts
  std::string user_agent;                   ///< empty: mayfly/VERSION
};

/// A call of an HTTP endpoint as a tool.
///
/// Sends Idempotency-Key (unless read-only), traceparent and User-Agent. A 2xx text goes back to the model; other 3xx and 4xx too, as
/// is_error with the status and the start of the body. A GET follows up to five redirects, each checked by the egress
/// policy, never from https to http; another host does not get the declared headers.
/// Values of the environment are taken out of every text that leaves.
///
/// Errors of `call`: `tool.unavailable` (429 and 503: Safe; other 5xx: Safe when read-only, else OutcomeUnknown), `tool.timeout`,
/// `tool.cancelled`, `tool.failed`, `tool.too_large` (as the HTTP client says; Safe instead of OutcomeUnknown when read-only),
/// `net.egress_denied` (Never), `tool.missing_variable`, `tool.bad_variable` (Never).
/// Error here: `tool.invalid`. `client` and `clock` outlive the tool.
Result<std::unique_ptr<Tool>> make_http_tool(HttpToolOptions options, net::HttpClient& client, Clock& clock, EnvLookup env);

}  // namespace mayfly
