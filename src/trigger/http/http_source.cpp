#include <algorithm>
#include <array>

#include "trigger/http/route_pattern.h"
#include "trigger/http/spec_reader.h"
#include "trigger/trigger_spec.h"

namespace mayfly::trigger {
namespace {

constexpr std::array<std::string_view, 5> kMethods{"GET", "POST", "PUT", "PATCH", "DELETE"};
constexpr std::array<std::string_view, 3> kAnswers{"wait", "accepted", "stream"};
constexpr std::int64_t kBodyBytesMax = 1024 * 1024;

void check_environment_name(SpecReader& in, std::string_view name, const std::string& value) {
  if (!value.empty() && !is_environment_name(value))
    in.refuse(name, "must be the name of an environment variable of the server, such as WEBHOOK_SECRET; the secret itself is never written down");
}

void check_header(SpecReader& in, std::string_view name, const std::string& value) {
  if (!value.empty() && !is_header_name(value)) in.refuse(name, "must be the name of an HTTP header");
}

Result<RouteAuth> read_hmac(const Json& value) {
  RouteAuth out{.kind = RouteAuth::Kind::Hmac};
  SpecReader in(value, "/auth/hmac");
  in.text("secret_env", &out.secret_env);
  in.text("signature_header", &out.signature_header);
  in.text("timestamp_header", &out.timestamp_header);
  in.duration("tolerance", &out.tolerance, Millis{1'000}, Millis{86'400'000});
  if (out.secret_env.empty()) in.refuse("secret_env", "is missing: it names the environment variable that holds the secret");
  check_environment_name(in, "secret_env", out.secret_env);
  if (out.signature_header.empty()) in.refuse("signature_header", "must not be empty");
  check_header(in, "signature_header", out.signature_header);
  check_header(in, "timestamp_header", out.timestamp_header);
  if (auto done = in.done(); !done) return fail(done.error());
  return out;
}

Result<RouteAuth> read_jwt(const Json& value) {
  RouteAuth out{.kind = RouteAuth::Kind::Jwt};
  SpecReader in(value, "/auth/jwt");
  in.text("issuer", &out.issuer);
  in.texts("audience", &out.audience, 20);
  in.text("jwks_url", &out.jwks_url, 2'000);
  in.flag("private_network", &out.private_network);
  in.text("secret_env", &out.secret_env);
  check_environment_name(in, "secret_env", out.secret_env);
  if (out.jwks_url.empty() == out.secret_env.empty())
    in.refuse("jwks_url", "give either \"jwks_url\" (RS256, PS256, ES256, EdDSA) or \"secret_env\" (HS256)");
  if (!out.jwks_url.empty() && !out.jwks_url.starts_with("https://") && !out.jwks_url.starts_with("http://"))
    in.refuse("jwks_url", "must be an absolute http or https URL");
  if (auto done = in.done(); !done) return fail(done.error());
  return out;
}

Result<RouteAuth> read_auth(const Json& value) {
  if (value.is_string()) {
    if (value.get_string() == "key") return RouteAuth{.kind = RouteAuth::Kind::Key};
    if (value.get_string() == "none") return RouteAuth{.kind = RouteAuth::Kind::None};
  }
  const auto* object = value.if_object();
  if (object && object->size() == 1) {
    if (const Json* hmac = get(*object, "hmac")) return read_hmac(*hmac);
    if (const Json* jwt = get(*object, "jwt")) return read_jwt(*jwt);
  }
  return fail("trigger.invalid", "/auth: must be key, none, {\"hmac\": {…}} or {\"jwt\": {…}}");
}

bool is_origin(std::string_view text) {
  const auto host = text.find("://");
  return text == "*" || text == "null" ||
         (host != std::string_view::npos && host > 0 && text.find_first_of("/?# *", host + 3) == std::string_view::npos && text.size() > host + 3);
}

Result<Cors> read_cors(const Json& value) {
  Cors out;
  SpecReader in(value, "/cors");
  in.texts("origins", &out.origins, 100);
  in.texts("headers", &out.headers, 100);
  in.duration("max_age", &out.age_max, Millis{0}, Millis{86'400'000});
  if (out.origins.empty()) in.refuse("origins", "is missing: name the origins that may call, such as https://app.example.com");
  if (!std::ranges::all_of(out.origins, is_origin)) in.refuse("origins", "must be origins such as https://app.example.com, or *");
  if (!std::ranges::all_of(out.headers, is_header_name)) in.refuse("headers", "must be names of HTTP headers");
  if (auto done = in.done(); !done) return fail(done.error());
  return out;
}

Result<RateLimit> read_rate_limit(const Json& value) {
  RateLimit out;
  SpecReader in(value, "/rate_limit");
  in.number("requests", &out.requests, 1, 1'000'000);
  in.duration("per", &out.per, Millis{1'000}, Millis{86'400'000});
  if (const auto by = in.choice("by", {"route", "caller"})) out.by = *by == 0 ? RateLimit::By::Route : RateLimit::By::Caller;
  if (out.requests == 0) in.refuse("requests", "is missing: how many requests are let through per \"per\"");
  if (auto done = in.done(); !done) return fail(done.error());
  return out;
}

template <class T>
void read_part(SpecReader& in, std::string_view name, Result<T> (*read)(const Json&), T* out, std::optional<Error>* problem) {
  const Json* value = in.member(name);
  if (!value || *problem) return;
  auto part = read(*value);
  if (part) *out = std::move(*part);
  else *problem = part.error();
}

Json auth_json(const RouteAuth& auth) {
  if (auth.kind == RouteAuth::Kind::Key) return "key";
  if (auth.kind == RouteAuth::Kind::None) return "none";
  JsonObject out;
  if (!auth.secret_env.empty()) out["secret_env"] = auth.secret_env;
  if (auth.kind == RouteAuth::Kind::Hmac) {
    out["signature_header"] = auth.signature_header;
    if (!auth.timestamp_header.empty()) out["timestamp_header"] = auth.timestamp_header;
    out["tolerance"] = to_spec_text(auth.tolerance);
    return JsonObject{{"hmac", std::move(out)}};
  }
  if (!auth.issuer.empty()) out["issuer"] = auth.issuer;
  if (!auth.audience.empty()) out["audience"] = JsonArray(auth.audience.begin(), auth.audience.end());
  if (!auth.jwks_url.empty()) out["jwks_url"] = auth.jwks_url;
  if (auth.private_network) out["private_network"] = true;
  return JsonObject{{"jwt", std::move(out)}};
}

}  // namespace

Result<HttpSource> http_source_from_json(const Json& value) {
  HttpSource out;
  SpecReader in(value, "");
  std::optional<Error> problem;
  in.text("method", &out.method);
  in.text("path", &out.path);
  read_part(in, "auth", read_auth, &out.auth, &problem);
  if (const auto answer = in.choice("answer", {"wait", "accepted", "stream"})) out.answer = static_cast<HttpSource::Answer>(*answer);
  in.duration("wait_max", &out.wait_max, Millis{1'000}, Millis{600'000});
  Cors cors;
  read_part(in, "cors", read_cors, &cors, &problem);
  if (!cors.origins.empty()) out.cors = std::move(cors);
  read_part(in, "rate_limit", read_rate_limit, &out.rate_limit, &problem);
  auto body_bytes_max = static_cast<std::int64_t>(out.body_bytes_max);
  in.number("body_bytes_max", &body_bytes_max, 1, kBodyBytesMax);
  out.body_bytes_max = static_cast<std::size_t>(body_bytes_max);
  if (std::ranges::find(kMethods, std::string_view(out.method)) == kMethods.end())
    in.refuse("method", "must be GET, POST, PUT, PATCH or DELETE");
  if (out.path.empty()) in.refuse("path", "is missing: a path such as /tickets/{customer}");
  else if (const auto pattern = parse_route_pattern(out.path); !pattern) in.refuse("path", pattern.error().message);
  if (auto done = in.done(); !done) return fail(done.error());
  if (problem) return fail(*problem);
  return out;
}

Json to_json(const HttpSource& source) {
  JsonObject out{{"method", source.method},
                 {"path", source.path},
                 {"auth", auth_json(source.auth)},
                 {"answer", kAnswers[static_cast<std::size_t>(source.answer)]},
                 {"wait_max", to_spec_text(source.wait_max)},
                 {"body_bytes_max", source.body_bytes_max}};
  if (source.cors) {
    JsonObject cors{{"origins", JsonArray(source.cors->origins.begin(), source.cors->origins.end())}};
    if (!source.cors->headers.empty()) cors["headers"] = JsonArray(source.cors->headers.begin(), source.cors->headers.end());
    cors["max_age"] = to_spec_text(source.cors->age_max);
    out["cors"] = std::move(cors);
  }
  if (source.rate_limit.requests > 0)
    out["rate_limit"] = JsonObject{{"requests", source.rate_limit.requests},
                                   {"per", to_spec_text(source.rate_limit.per)},
                                   {"by", source.rate_limit.by == RateLimit::By::Route ? "route" : "caller"}};
  return out;
}

std::string_view http_source_schema_text() {
  return R"({
  "type": "object",
  "description": "An HTTP route of your own",
  "required": ["path"],
  "additionalProperties": false,
  "properties": {
    "method": {"description": "Default POST.", "enum": ["GET", "POST", "PUT", "PATCH", "DELETE"], "default": "POST"},
    "path": {"type": "string", "pattern": "^/", "maxLength": 512, "description": "/tickets/{customer}: {name} stands for one segment"},
    "auth": {
      "default": "key",
      "description": "Who may call: holders of an API key with the scope invoke, signers of the body, holders of a token, or everybody",
      "oneOf": [
        {"enum": ["key", "none"]},
        {"type": "object", "required": ["hmac"], "additionalProperties": false, "properties": {"hmac": {"description": "An HMAC-SHA256 of the body.", 
          "type": "object", "required": ["secret_env"], "additionalProperties": false, "properties": {
            "secret_env": {"type": "string", "description": "Environment variable of the server that holds the secret"},
            "signature_header": {"description": "Where the signature is.", "type": "string", "default": "x-signature"},
            "timestamp_header": {"type": "string", "description": "Signed as \"{timestamp}.{body}\""},
            "tolerance": {"description": "How old or new a signed time may be. Default 5m.", "type": "string", "default": "5m"}}}}},
        {"type": "object", "required": ["jwt"], "additionalProperties": false, "properties": {"jwt": {"description": "A JSON Web Token.", 
          "type": "object", "additionalProperties": false, "properties": {
            "issuer": {"description": "Who must have issued it.", "type": "string"},
            "audience": {"description": "One of these must be its audience.", "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "maxItems": 20}]},
            "jwks_url": {"type": "string", "description": "Key set of the issuer: RS256, PS256, ES256, EdDSA"},
            "private_network": {"description": "Whether private and loopback addresses may be reached. Default false.", "type": "boolean", "default": false, "description": "jwks_url may lead to loopback and private addresses"},
            "secret_env": {"type": "string", "description": "Instead: environment variable with the secret of HS256"}}}}}
      ]
    },
    "answer": {"description": "accepted: 202 at once; wait: the answer of the target; stream: its events. Default accepted.", "enum": ["wait", "accepted", "stream"], "default": "accepted"},
    "wait_max": {"type": "string", "default": "30s", "description": "With answer: wait; then 202"},
    "cors": {"description": "Which pages of other origins may call it.", "type": "object", "required": ["origins"], "additionalProperties": false, "properties": {
      "origins": {"description": "Exact origins, or *.", "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "maxItems": 100}]},
      "headers": {"description": "Header fields that pages may send.", "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "maxItems": 100}]},
      "max_age": {"description": "How long it may be remembered, or tried.", "type": "string", "default": "1h"}}},
    "rate_limit": {"description": "How many requests are taken.", "type": "object", "required": ["requests"], "additionalProperties": false, "properties": {
      "requests": {"description": "So many in each period.", "type": "integer", "minimum": 1, "maximum": 1000000},
      "per": {"description": "The period. Default 1m.", "type": "string", "default": "1m"},
      "by": {"description": "Whether each caller has a limit of its own, or all together. Default caller.", "enum": ["route", "caller"], "default": "caller"}}},
    "body_bytes_max": {"description": "The largest body. Default 1 MiB.", "type": "integer", "minimum": 1, "maximum": 1048576, "default": 1048576}
  }
})";
}

}  // namespace mayfly::trigger
