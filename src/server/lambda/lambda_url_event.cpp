#include "server/lambda/lambda_url_event.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/hash.h"
#include "server/lambda/lambda_body.h"

namespace mayfly::lambda {
namespace {

constexpr std::size_t kHeadersMax = 100, kHeaderBytesMax = 16 * 1024;
constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

void append_joined(JsonObject& to, std::string_view name, const std::string& value) {
  if (Json* before = to.if_contains(name)) {
    *before = std::string(std::string_view(before->get_string())) + "," + value;
  } else {
    to[name] = value;
  }
}

/// "12/Mar/2020:19:03:58 +0000".
std::string log_time(TimePoint time) {
  const std::string text = to_rfc3339(time);
  const auto month = static_cast<std::size_t>(std::stoi(text.substr(5, 2)) - 1);
  return text.substr(8, 2) + "/" + std::string(kMonths.at(month)) + "/" + text.substr(0, 4) + ":" + text.substr(11, 8) + " +0000";
}

/// The caller's credentials are for Mayfly, not for the function.
bool is_private(std::string_view name, const function::FunctionUrl& url) {
  return url.needs_iam && (name == "authorization" || name == "x-api-key" || name == "x-amz-security-token");
}

void add_headers(const LambdaCall& call, const function::FunctionUrl& url, JsonObject& event) {
  JsonObject headers;
  JsonArray cookies;
  for (const auto& [given_name, given_value] : call.request.headers) {
    const std::string name = lower(given_name), value = to_utf8_lossy(given_value);
    if (is_private(name, url)) continue;
    if (name != "cookie") {
      append_joined(headers, name, value);
      continue;
    }
    for (std::string_view rest = value; !rest.empty();) {
      const auto end = std::min(rest.find(';'), rest.size());
      std::string_view cookie = rest.substr(0, end);
      while (cookie.starts_with(' ')) cookie.remove_prefix(1);
      if (!cookie.empty()) cookies.emplace_back(cookie);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  event["headers"] = std::move(headers);
  if (!cookies.empty()) event["cookies"] = std::move(cookies);
}

void add_query(const std::string& query, JsonObject& event) {
  JsonObject parameters;
  for (std::string_view rest = query; !rest.empty();) {
    const auto end = std::min(rest.find('&'), rest.size());
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const auto equals = std::min(part.find('='), part.size());
    const auto name = net::percent_decode(part.substr(0, equals), true);
    const auto value = net::percent_decode(part.substr(std::min(equals + 1, part.size())), true);
    if (name && value && !part.empty()) append_joined(parameters, to_utf8_lossy(*name), to_utf8_lossy(*value));
  }
  event["rawQueryString"] = query;
  if (!parameters.empty()) event["queryStringParameters"] = std::move(parameters);
}

bool is_text_type(std::string_view type) {
  const std::string name = lower(type.substr(0, type.find(';')));
  return name.empty() || name.starts_with("text/") || name.ends_with("json") || name.ends_with("xml") || name.ends_with("javascript");
}

void add_body(const net::Request& request, JsonObject& event) {
  const bool is_text = is_text_type(request.headers.get("content-type")) && is_utf8(request.body);
  if (!request.body.empty()) event["body"] = is_text ? request.body : to_base64(request.body);
  event["isBase64Encoded"] = !is_text && !request.body.empty();
}

JsonObject request_context(const LambdaCall& call, const function::FunctionUrl& url, const std::string& path) {
  const std::string source = call.request.remote_address.substr(0, call.request.remote_address.rfind(':'));
  JsonObject out{{"accountId", url.needs_iam ? function::kAccount : std::string_view("anonymous")},
                 {"apiId", url.id},
                 {"domainName", to_utf8_lossy(call.request.headers.get("host"))},
                 {"domainPrefix", url.id},
                 {"http", JsonObject{{"method", call.request.method},
                                     {"path", path},
                                     {"protocol", "HTTP/1.1"},
                                     {"sourceIp", source},
                                     {"userAgent", to_utf8_lossy(call.request.headers.get("user-agent"))}}},
                 {"requestId", call.request_id},
                 {"routeKey", "$default"},
                 {"stage", "$default"},
                 {"time", log_time(call.app.clock->now())},
                 {"timeEpoch", to_unix_ms(call.app.clock->now())}};
  if (url.needs_iam) {
    const std::string& id = call.principal.key_id;
    out["authorizer"] = JsonObject{{"iam", JsonObject{{"accessKey", KeyRing::access_key_id(id)},
                                                      {"accountId", function::kAccount},
                                                      {"callerId", id},
                                                      {"cognitoIdentity", nullptr},
                                                      {"principalOrgId", nullptr},
                                                      {"userArn", "arn:aws:iam::" + std::string(function::kAccount) + ":user/" + id},
                                                      {"userId", id}}}};
  }
  return out;
}

bool is_token(std::string_view name) {
  return !name.empty() && name.size() <= 256 && std::ranges::all_of(name, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || std::string_view("!#$%&'*+-.^_`|~").contains(c);
  });
}
bool is_field_value(std::string_view value) {
  return value.size() <= kHeaderBytesMax && std::ranges::none_of(value, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}
/// Ours to say: what concerns the connection, and what would speak for the whole origin, which functions share.
bool is_ours(std::string_view name) {
  constexpr std::array<std::string_view, 21> kNames{
      "connection", "keep-alive", "transfer-encoding", "content-length", "upgrade", "te", "trailer", "proxy-connection", "clear-site-data",
      "strict-transport-security", "public-key-pins", "public-key-pins-report-only", "alt-svc", "nel", "report-to", "reporting-endpoints",
      "service-worker-allowed", "origin-agent-cluster", "x-amzn-requestid", "traceparent", "set-cookie2"};
  return std::ranges::find(kNames, lower(name)) != kNames.end();
}

std::string text_of(const Json& value) { return value.is_string() ? std::string(std::string_view(value.get_string())) : to_text(value); }

/// Status, headers and cookies.
std::optional<net::Response> read_head(const JsonObject& in) {
  net::Response out;
  const Json* status = get(in, "statusCode");
  std::string digits = status ? text_of(*status) : "200";
  if (digits.size() != 3 || !std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; })) return std::nullopt;
  out.status = std::stoi(digits);
  if (out.status < 200 || out.status > 599) return std::nullopt;
  if (const auto* headers = get_object(in, "headers")) {
    if (headers->size() > kHeadersMax) return std::nullopt;
    for (const auto& member : *headers) {
      const std::string value = text_of(member.value());
      if (!is_token(member.key()) || !is_field_value(value)) return std::nullopt;
      if (!is_ours(member.key())) out.headers.add(std::string(member.key()), value);
    }
  }
  if (const auto* cookies = get_array(in, "cookies")) {
    if (cookies->size() > kHeadersMax) return std::nullopt;
    for (const Json& cookie : *cookies) {
      if (!cookie.is_string() || !is_field_value(cookie.get_string())) return std::nullopt;
      out.headers.add("Set-Cookie", std::string(std::string_view(cookie.get_string())));
    }
  }
  if (!out.headers.find("content-type")) out.headers.add("Content-Type", "application/json");
  return out;
}

const JsonObject* cors_of(const function::FunctionUrl& url) { return url.cors.if_object(); }

std::string joined(const JsonObject& cors, std::string_view name) {
  std::string out;
  if (const auto* list = get_array(cors, name))
    for (const Json& item : *list) out += (out.empty() ? "" : ",") + text_of(item);
  return out;
}

/// What to answer as the allowed origin; empty: this one is not.
std::string allowed_origin(const JsonObject& cors, const std::string& origin) {
  const auto* list = get_array(cors, "AllowOrigins");
  if (!list || origin.empty()) return {};
  for (const Json& item : *list) {
    const std::string text = text_of(item);
    if (text == origin) return origin;
    if (text == "*") return get_bool(cors, "AllowCredentials") ? origin : "*";
  }
  return {};
}

}  // namespace

std::string url_event(const LambdaCall& call, const function::FunctionUrl& url, const std::string& path) {
  JsonObject event{{"version", "2.0"}, {"routeKey", "$default"}, {"rawPath", path}};
  add_query(call.request.query, event);
  add_headers(call, url, event);
  event["requestContext"] = request_context(call, url, path);
  add_body(call.request, event);
  return to_text(event);
}

std::optional<net::Response> url_response(const std::string& payload) {
  const auto value = parse_json(payload);
  if (!value) return std::nullopt;
  const auto* object = value->if_object();
  if (!object || !get(*object, "statusCode")) return net::Response{200, {{"Content-Type", "application/json"}}, payload};
  auto out = read_head(*object);
  const Json* body = get(*object, "body");
  if (!out || !body || body->is_null()) return out;
  out->body = text_of(*body);
  if (!get_bool(*object, "isBase64Encoded")) return out;
  auto bytes = from_base64(out->body);
  if (!bytes) return std::nullopt;
  out->body = std::move(*bytes);
  return out;
}

std::optional<net::Response> url_prelude(std::string_view json) {
  const auto value = parse_json(json);
  return value && value->is_object() ? read_head(value->get_object()) : std::nullopt;
}

Result<Json> read_cors(const JsonObject& cors) {
  Fields in(cors);
  (void)in.boolean("AllowCredentials");
  const auto age = in.integer("MaxAge");
  JsonObject out;
  for (const std::string_view name : {"AllowHeaders", "AllowMethods", "AllowOrigins", "ExposeHeaders"}) {
    const auto list = in.texts(name);
    if (!list) continue;
    const bool good = list->size() <= 100 &&
                      std::ranges::all_of(*list, [](const std::string& item) { return item.size() <= 1'024 && is_field_value(item); });
    if (!good) return invalid_parameter("Cors." + std::string(name) + " holds at most 100 values of at most 1,024 characters");
  }
  if (const auto done = in.done(); !done) return fail(done.error());
  if (age && (*age < 0 || *age > 86'400)) return invalid_parameter("Cors.MaxAge must be a number of 0 to 86400");
  for (const std::string_view name : {"AllowCredentials", "AllowHeaders", "AllowMethods", "AllowOrigins", "ExposeHeaders", "MaxAge"})
    if (const Json* value = get(cors, name); value && !value->is_null()) out[name] = *value;
  return Json(std::move(out));
}

std::optional<net::Response> preflight(const net::Request& request, const function::FunctionUrl& url) {
  const auto* cors = cors_of(url);
  if (!cors || request.method != "OPTIONS" || !request.headers.find("access-control-request-method")) return std::nullopt;
  net::Response out{204, {}, {}};
  add_cors(request, url, &out.headers);
  if (!out.headers.find("access-control-allow-origin")) return out;
  if (const std::string methods = joined(*cors, "AllowMethods"); !methods.empty()) out.headers.add("Access-Control-Allow-Methods", methods);
  if (const std::string names = joined(*cors, "AllowHeaders"); !names.empty()) out.headers.add("Access-Control-Allow-Headers", names);
  if (get(*cors, "MaxAge")) out.headers.add("Access-Control-Max-Age", std::to_string(get_int(*cors, "MaxAge")));
  return out;
}

void confine_cookies(const function::FunctionUrl& url, net::Headers* headers) {
  net::Headers out;
  for (const auto& [name, value] : *headers) {
    if (!net::equal_ignoring_case(name, "set-cookie")) {
      out.add(name, value);
      continue;
    }
    std::string cookie;
    for (std::string_view rest = value; !rest.empty();) {
      const auto end = std::min(rest.find(';'), rest.size());
      std::string_view part = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      part.remove_prefix(std::min(part.find_first_not_of(' '), part.size()));
      const std::string attribute = lower(part.substr(0, part.find('=')));
      if (part.empty() || (!cookie.empty() && (attribute.starts_with("path") || attribute.starts_with("domain")))) continue;
      cookie += (cookie.empty() ? "" : "; ") + std::string(part);
    }
    if (!cookie.empty()) out.add(name, cookie + "; Path=/lambda-url/" + url.id + "/");
  }
  *headers = std::move(out);
}

void add_cors(const net::Request& request, const function::FunctionUrl& url, net::Headers* headers) {
  const auto* cors = cors_of(url);
  if (!cors) return;
  for (const std::string_view name : {"access-control-allow-origin", "access-control-allow-credentials", "access-control-expose-headers"})
    headers->remove(name);
  headers->add("Vary", "Origin");
  const std::string origin = allowed_origin(*cors, request.headers.get("origin"));
  if (origin.empty()) return;
  headers->add("Access-Control-Allow-Origin", origin);
  if (get_bool(*cors, "AllowCredentials")) headers->add("Access-Control-Allow-Credentials", "true");
  if (const std::string names = joined(*cors, "ExposeHeaders"); !names.empty()) headers->add("Access-Control-Expose-Headers", names);
}

}  // namespace mayfly::lambda
