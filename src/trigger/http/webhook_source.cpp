#include <algorithm>
#include <array>

#include "trigger/http/route_pattern.h"
#include "trigger/http/spec_reader.h"
#include "trigger/trigger_spec.h"

namespace mayfly::trigger {
namespace {

using Scheme = WebhookSource::Scheme;
constexpr std::array<std::string_view, 5> kSchemes{"standard", "github", "stripe", "slack", "hmac"};

struct HmacHeader {
  std::string_view name;
  std::string WebhookSource::* value;
};
constexpr std::array<HmacHeader, 3> kHmacHeaders{{{"signature_header", &WebhookSource::signature_header},
                                                 {"timestamp_header", &WebhookSource::timestamp_header},
                                                 {"id_header", &WebhookSource::id_header}}};

void read_hmac(SpecReader& in, WebhookSource* out) {
  bool has_any = false;
  for (const HmacHeader& header : kHmacHeaders) {
    std::string& value = out->*header.value;
    in.text(header.name, &value);
    has_any = has_any || !value.empty();
    if (!value.empty() && !is_header_name(value)) in.refuse(header.name, "must be the name of an HTTP header");
  }
  in.text("signature_prefix", &out->signature_prefix, 100);
  const auto encoding = in.choice("encoding", {"hex", "base64"});
  if (encoding) out->encoding = *encoding == 0 ? WebhookSource::Encoding::Hex : WebhookSource::Encoding::Base64;
  has_any = has_any || encoding || !out->signature_prefix.empty();
  if (out->scheme != Scheme::Hmac && has_any)
    in.refuse("scheme", "is " + std::string(kSchemes[static_cast<std::size_t>(out->scheme)]) +
                            ", which has headers of its own; *_header, signature_prefix and encoding are for hmac only");
  if (out->scheme == Scheme::Hmac && out->signature_header.empty())
    in.refuse("signature_header", "is missing: the header that carries the signature, such as x-signature");
}

}  // namespace

Result<WebhookSource> webhook_source_from_json(const Json& value) {
  WebhookSource out;
  SpecReader in(value, "");
  if (const auto scheme = in.choice("scheme", {"standard", "github", "stripe", "slack", "hmac"})) out.scheme = static_cast<Scheme>(*scheme);
  in.text("path", &out.path);
  in.texts("secret_env", &out.secret_env, 8);
  in.duration("tolerance", &out.tolerance, Millis{1'000}, Millis{86'400'000});
  read_hmac(in, &out);
  if (out.path.empty()) {
    in.refuse("path", "is missing: a path such as /hooks/github");
  } else if (const auto pattern = parse_route_pattern(out.path); !pattern) {
    in.refuse("path", pattern.error().message);
  }
  if (out.secret_env.empty()) in.refuse("secret_env", "is missing: it names the environment variable that holds the webhook's secret");
  if (!std::ranges::all_of(out.secret_env, is_environment_name))
    in.refuse("secret_env", "must be names of environment variables of the server, such as GITHUB_SECRET; the secret itself is never written down");
  if (auto done = in.done(); !done) return fail(done.error());
  return out;
}

Json to_json(const WebhookSource& source) {
  JsonObject out{{"scheme", kSchemes[static_cast<std::size_t>(source.scheme)]},
                 {"path", source.path},
                 {"secret_env", JsonArray(source.secret_env.begin(), source.secret_env.end())},
                 {"tolerance", to_spec_text(source.tolerance)}};
  if (source.scheme != Scheme::Hmac) return out;
  for (const HmacHeader& header : kHmacHeaders)
    if (!(source.*header.value).empty()) out[header.name] = source.*header.value;
  if (!source.signature_prefix.empty()) out["signature_prefix"] = source.signature_prefix;
  out["encoding"] = source.encoding == WebhookSource::Encoding::Hex ? "hex" : "base64";
  return out;
}

std::string_view webhook_source_schema_text() {
  return R"({
  "type": "object",
  "description": "Signed webhooks of other services",
  "required": ["path", "secret_env"],
  "additionalProperties": false,
  "properties": {
    "scheme": {"description": "Whose signatures. Default standard.", "enum": ["standard", "github", "stripe", "slack", "hmac"], "default": "standard"},
    "path": {"type": "string", "pattern": "^/", "maxLength": 512, "description": "/hooks/github"},
    "secret_env": {
      "description": "Environment variable of the server that holds the secret; several while one is replaced",
      "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 8}]
    },
    "tolerance": {"description": "How old or new a signed time may be. Default 5m.", "type": "string", "default": "5m", "description": "How far the signed time may be from now"},
    "signature_header": {"description": "Where the signature is.", "type": "string", "description": "hmac: the header with the signature"},
    "signature_prefix": {"type": "string", "description": "hmac: what stands before it, such as sha256="},
    "timestamp_header": {"type": "string", "description": "hmac: signed as \"{timestamp}.{body}\""},
    "id_header": {"type": "string", "description": "hmac: the delivery's id; without it a hash of the body"},
    "encoding": {"description": "Of the signature. Default hex.", "enum": ["hex", "base64"], "default": "hex"}
  }
})";
}

}  // namespace mayfly::trigger
