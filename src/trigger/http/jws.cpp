#include "trigger/http/jws.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <array>
#include <memory>

#include "base/hash.h"
#include "trigger/http/encoding.h"

namespace mayfly::trigger {
namespace {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* value) const {
    Free(value);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freer<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Freer<EVP_MD_CTX_free>>;
using Number = std::unique_ptr<BIGNUM, Freer<BN_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Freer<OSSL_PARAM_BLD_free>>;
using Parameters = std::unique_ptr<OSSL_PARAM, Freer<OSSL_PARAM_free>>;
using Signature = std::unique_ptr<ECDSA_SIG, Freer<ECDSA_SIG_free>>;

constexpr int kRsaBitsMin = 2048, kRsaBitsMax = 8192;
constexpr std::size_t kKeysTriedMax = 8;

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
Number number_of(std::string_view big_endian) { return Number(BN_bin2bn(bytes_of(big_endian), static_cast<int>(big_endian.size()), nullptr)); }
std::optional<std::string> member_bytes(const JsonObject& jwk, std::string_view name) { return decode_base64url(get_string(jwk, name)); }

Key make_key(const char* type, OSSL_PARAM_BLD* builder) {
  const Parameters parameters(OSSL_PARAM_BLD_to_param(builder));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1)
    return nullptr;
  return Key(key);
}

Key rsa_key(const JsonObject& jwk) {
  const auto n = member_bytes(jwk, "n"), e = member_bytes(jwk, "e");
  if (!n || !e || n->size() > kRsaBitsMax / 8 || e->empty() || e->size() > 8) return nullptr;
  const Number modulus = number_of(*n), exponent = number_of(*e);
  const Builder builder(OSSL_PARAM_BLD_new());
  if (!modulus || !exponent || !builder || BN_num_bits(modulus.get()) < kRsaBitsMin || !BN_is_odd(modulus.get()) || !BN_is_odd(exponent.get()) ||
      BN_is_one(exponent.get()) || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1)
    return nullptr;
  return make_key("RSA", builder.get());
}

Key p256_key(const JsonObject& jwk) {
  const auto x = member_bytes(jwk, "x"), y = member_bytes(jwk, "y");
  if (!x || !y || x->size() != 32 || y->size() != 32) return nullptr;
  const std::string point = "\x04" + *x + *y;
  const Builder builder(OSSL_PARAM_BLD_new());
  if (!builder || OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) != 1)
    return nullptr;
  Key key = make_key("EC", builder.get());
  // A point beside the curve is refused here, whatever the import checked.
  const KeyContext check(key ? EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr) : nullptr);
  return check && EVP_PKEY_public_check(check.get()) == 1 ? std::move(key) : nullptr;
}

Key ed25519_key(const JsonObject& jwk) {
  const auto x = member_bytes(jwk, "x");
  if (!x || x->size() != 32) return nullptr;
  return Key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes_of(*x), x->size()));
}

std::optional<JwsAlgorithm> algorithm_of(std::string_view name) {
  if (name == "HS256") return JwsAlgorithm::Hs256;
  if (name == "RS256") return JwsAlgorithm::Rs256;
  if (name == "PS256") return JwsAlgorithm::Ps256;
  if (name == "ES256") return JwsAlgorithm::Es256;
  if (name == "EdDSA" || name == "Ed25519") return JwsAlgorithm::EdDsa;
  return std::nullopt;
}

/// Whether the key may verify signatures of this algorithm: its own members decide (RFC 8725 §3.1), never the token alone.
bool fits(const JsonObject& jwk, JwsAlgorithm algorithm, std::string_view name) {
  const std::string type = get_string(jwk, "kty"), curve = get_string(jwk, "crv"), use = get_string(jwk, "use"), own = get_string(jwk, "alg");
  if (!use.empty() && use != "sig") return false;
  if (!own.empty() && own != name && !(algorithm_of(own) == JwsAlgorithm::EdDsa && algorithm == JwsAlgorithm::EdDsa)) return false;
  if (const auto* operations = get_array(jwk, "key_ops")) {
    bool verifies = false;
    for (const Json& operation : *operations) verifies = verifies || (operation.is_string() && operation.get_string() == "verify");
    if (!verifies) return false;
  }
  switch (algorithm) {
    case JwsAlgorithm::Rs256:
    case JwsAlgorithm::Ps256: return type == "RSA";
    case JwsAlgorithm::Es256: return type == "EC" && curve == "P-256";
    case JwsAlgorithm::EdDsa: return type == "OKP" && curve == "Ed25519";
    case JwsAlgorithm::Hs256: return false;  // a set is public: no secret comes from it
  }
  return false;
}

/// ES256 signatures are R and S beside each other (RFC 7518 §3.4); OpenSSL wants DER.
std::optional<std::string> der_of(std::string_view raw) {
  if (raw.size() != 64) return std::nullopt;
  const Signature signature(ECDSA_SIG_new());
  Number r = number_of(raw.substr(0, 32)), s = number_of(raw.substr(32));
  if (!signature || !r || !s || ECDSA_SIG_set0(signature.get(), r.get(), s.get()) != 1) return std::nullopt;
  (void)r.release();
  (void)s.release();
  std::array<unsigned char, 80> der{};
  unsigned char* end = der.data();
  const int size = i2d_ECDSA_SIG(signature.get(), nullptr);
  if (size <= 0 || static_cast<std::size_t>(size) > der.size() || i2d_ECDSA_SIG(signature.get(), &end) != size) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(der.data()), static_cast<std::size_t>(size));
}

bool verifies(const JsonObject& jwk, JwsAlgorithm algorithm, std::string_view signed_text, std::string_view given) {
  const bool is_rsa = algorithm == JwsAlgorithm::Rs256 || algorithm == JwsAlgorithm::Ps256;
  const Key key = is_rsa ? rsa_key(jwk) : algorithm == JwsAlgorithm::Es256 ? p256_key(jwk) : ed25519_key(jwk);
  std::string signature(given);
  if (algorithm == JwsAlgorithm::Es256) {
    auto der = der_of(given);
    if (!der) return false;
    signature = std::move(*der);
  }
  const DigestContext context(EVP_MD_CTX_new());
  const EVP_MD* digest = algorithm == JwsAlgorithm::EdDsa ? nullptr : EVP_sha256();
  EVP_PKEY_CTX* options = nullptr;
  bool good = key && context && EVP_DigestVerifyInit(context.get(), &options, digest, nullptr, key.get()) == 1;
  if (good && algorithm == JwsAlgorithm::Ps256)
    good = EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1;
  good = good && EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(signed_text), signed_text.size()) == 1;
  ERR_clear_error();
  return good;
}

std::unexpected<Error> invalid(std::string message) { return fail("jwt.invalid", std::move(message)); }

struct Token {
  JsonObject header;
  std::string_view signed_text;
  std::string payload, signature;
};

Result<Token> split(std::string_view text) {
  if (text.size() > kTokenBytesMax) return invalid("the token has more than 16 KiB");
  const auto first = text.find('.'), second = text.find('.', first == std::string_view::npos ? first : first + 1);
  if (second == std::string_view::npos || text.find('.', second + 1) != std::string_view::npos)
    return invalid("the token is no signed JWT: it must have three parts with dots between them");
  const auto header = decode_base64url(text.substr(0, first));
  auto payload = decode_base64url(text.substr(first + 1, second - first - 1)), signature = decode_base64url(text.substr(second + 1));
  if (!header || !payload || !signature) return invalid("the token's parts are not base64url");
  const auto parsed = parse_json(*header, {.depth_max = 8, .bytes_max = kTokenBytesMax});
  if (!parsed || !parsed->is_object()) return invalid("the token's header is no JSON object");
  return Token{parsed->get_object(), text.substr(0, second), std::move(*payload), std::move(*signature)};
}

}  // namespace

Result<std::string> verify_jws(std::string_view token, const JwtRules& rules) {
  auto parts = split(token);
  if (!parts) return fail(parts.error());
  if (parts->header.contains("crit")) return invalid("the token's header has \"crit\", and no extension is known here");
  const std::string name = get_string(parts->header, "alg");
  const auto algorithm = algorithm_of(name);
  const auto not_accepted = [] { return invalid("the token's algorithm is not accepted here; sign with one that the route's keys allow"); };
  if (!algorithm) return not_accepted();
  if (!rules.hs256_secret.empty()) {
    if (*algorithm != JwsAlgorithm::Hs256) return not_accepted();
    if (rules.hs256_secret.size() < kHs256SecretBytesMin) return invalid("the server's secret for HS256 has less than 32 bytes; set a longer one");
    if (!equal_constant_time(hmac_sha256(rules.hs256_secret, parts->signed_text), parts->signature)) return invalid("the token's signature is wrong");
    return std::move(parts->payload);
  }
  const auto* set = rules.jwks.if_object();
  const auto* keys = set ? get_array(*set, "keys") : nullptr;
  if (*algorithm == JwsAlgorithm::Hs256) return not_accepted();
  const Json* kid = get(parts->header, "kid");
  if (kid && !kid->is_string()) return invalid("the token's \"kid\" is no text");
  std::size_t known = 0, tried = 0;
  for (const Json& key : keys ? *keys : JsonArray()) {
    const auto* jwk = key.if_object();
    if (!jwk || (kid && get_string(*jwk, "kid") != std::string_view(kid->get_string()))) continue;
    ++known;
    if (!fits(*jwk, *algorithm, name)) continue;
    if (++tried > kKeysTriedMax) break;
    if (verifies(*jwk, *algorithm, parts->signed_text, parts->signature)) return std::move(parts->payload);
  }
  if (known == 0) return fail("jwt.unknown_key", "the key that signed the token is not in the issuer's key set");
  return tried == 0 ? not_accepted() : invalid("the token's signature is wrong");
}

}  // namespace mayfly::trigger
