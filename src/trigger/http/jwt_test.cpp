#include "trigger/jwt.h"

#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <array>

#include "base/hash.h"
#include "trigger/http/jws.h"

namespace mayfly::trigger {
namespace {

constexpr TimePoint kThen = from_unix_ms(1'300'819'000'000);  // before the RFC's "exp"
const std::string kClaims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const std::string kSecret = "\x03\x23\x35\x4b\x2b\x0f\xa5\xbc\x83\x7e\x06\x65\x77\x7b\xa6\x8f\x5a\xb3\x28\xe6\xf0\x54\xc9\x28\xa9\x0f\x84\xb2\xd2\x50"
                            "\x2e\xbf\xd3\xfb\x5a\x92\xd2\x06\x47\xef\x96\x8a\xb4\xc3\x77\x62\x3d\x22\x3d\x2e\x21\x72\x05\x2e\x4f\x08\xc0\xcd\x9a\xf5"
                            "\x67\xd0\x80\xa3";
const std::string kHs256 = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + kClaims + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const std::string kRs256 = "eyJhbGciOiJSUzI1NiJ9." + kClaims +
                           ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYN"
                           "X4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOP"
                           "qvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
const std::string kEs256 = "eyJhbGciOiJFUzI1NiJ9." + kClaims + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
const char* const kRsaKey =
    R"({"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"})";
const char* const kEcKey =
    R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})";
// RFC 8037 Appendix A.
const char* const kEdKey = R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})";
const std::string kEdDsa =
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

JwtRules with_key(std::string_view key) {
  JwtRules out;
  out.jwks = JsonObject{{"keys", JsonArray{*parse_json(key)}}};
  return out;
}
JwtRules with_secret() {
  JwtRules out;
  out.hs256_secret = kSecret;
  return out;
}
std::string hs256(std::string_view claims, std::string_view header = R"({"alg":"HS256"})") {
  const std::string text = to_base64url(header) + "." + to_base64url(claims);
  return text + "." + to_base64url(hmac_sha256(kSecret, text));
}
std::string code(std::string_view token, const JwtRules& rules, TimePoint now = kThen) {
  const auto claims = verify_jwt(token, rules, now);
  return claims ? "valid" : claims.error().code;
}

struct RsaPair {
  EVP_PKEY* key;
  explicit RsaPair(int bits) : key(EVP_RSA_gen(static_cast<unsigned>(bits))) {}
  ~RsaPair() { EVP_PKEY_free(key); }
  RsaPair(const RsaPair&) = delete;
  RsaPair& operator=(const RsaPair&) = delete;
  JsonObject jwk() const {
    BIGNUM* n = nullptr;
    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n);
    std::string bytes(static_cast<std::size_t>(BN_num_bytes(n)), '\0');
    BN_bn2bin(n, reinterpret_cast<unsigned char*>(bytes.data()));
    BN_free(n);
    return {{"kty", "RSA"}, {"e", "AQAB"}, {"n", to_base64url(bytes)}};
  }
  std::string sign(std::string_view header, std::string_view claims, int padding) const {
    const std::string text = to_base64url(header) + "." + to_base64url(claims);
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    EVP_PKEY_CTX* options = nullptr;
    EVP_DigestSignInit(context, &options, EVP_sha256(), nullptr, key);
    EVP_PKEY_CTX_set_rsa_padding(options, padding);
    if (padding == RSA_PKCS1_PSS_PADDING) EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST);
    std::array<unsigned char, 1024> bytes{};
    std::size_t size = bytes.size();
    EVP_DigestSign(context, bytes.data(), &size, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    EVP_MD_CTX_free(context);
    return text + "." + to_base64url({reinterpret_cast<const char*>(bytes.data()), size});
  }
};

TEST(Jwt, TheRfcsVectors) {
  EXPECT_EQ(code(kHs256, with_secret()), "valid");
  EXPECT_EQ(code(kRs256, with_key(kRsaKey)), "valid");
  EXPECT_EQ(code(kEs256, with_key(kEcKey)), "valid");
  const auto payload = verify_jws(kEdDsa, with_key(kEdKey));
  ASSERT_TRUE(payload) << payload.error().message;
  EXPECT_EQ(*payload, "Example of Ed25519 signing");
  EXPECT_EQ(code(kEdDsa, with_key(kEdKey)), "jwt.invalid");  // no claims
  EXPECT_EQ(get_string(*verify_jwt(kHs256, with_secret(), kThen), "iss"), "joe");
}

TEST(Jwt, AnyOtherSignatureIsRefused) {
  for (const auto& [token, rules] : {std::pair(kHs256, with_secret()), std::pair(kRs256, with_key(kRsaKey)), std::pair(kEs256, with_key(kEcKey))}) {
    const auto dot = token.rfind('.');
    std::string changed = token;
    changed[dot + 5] = changed[dot + 5] == 'A' ? 'B' : 'A';
    EXPECT_EQ(code(changed, rules), "jwt.invalid");
    EXPECT_EQ(code(token.substr(0, dot + 1), rules), "jwt.invalid");
    EXPECT_EQ(code(token.substr(0, dot), rules), "jwt.invalid");
    EXPECT_EQ(code(token + "=", rules), "jwt.invalid");
    EXPECT_EQ(code(token + ".a", rules), "jwt.invalid");
    EXPECT_EQ(code(token + "\n", rules), "jwt.invalid");
  }
  EXPECT_EQ(code("", with_secret()), "jwt.invalid");
  EXPECT_EQ(code(std::string(20'000, 'a'), with_secret()), "jwt.invalid");
}

TEST(Jwt, TheVerifierChoosesTheAlgorithm) {
  const std::string none = to_base64url(R"({"alg":"none"})") + "." + kClaims + ".";
  EXPECT_EQ(code(none, with_secret()), "jwt.invalid");
  EXPECT_EQ(code(none, with_key(kRsaKey)), "jwt.invalid");
  // The public key as HMAC's secret: the classic confusion.
  const std::string text = to_base64url(R"({"alg":"HS256"})") + "." + kClaims;
  EXPECT_EQ(code(text + "." + to_base64url(hmac_sha256(kRsaKey, text)), with_key(kRsaKey)), "jwt.invalid");
  JwtRules oct;
  oct.jwks = JsonObject{{"keys", JsonArray{JsonObject{{"kty", "oct"}, {"k", to_base64url(kSecret)}}}}};
  EXPECT_EQ(code(kHs256, oct), "jwt.invalid");
  EXPECT_EQ(code(kRs256, with_secret()), "jwt.invalid");
  EXPECT_EQ(code(kEs256, with_key(kRsaKey)), "jwt.invalid");
  EXPECT_EQ(code(hs256("{}", R"({"alg":"HS256","crit":["x"],"x":1})"), with_secret()), "jwt.invalid");
  JwtRules short_secret;
  short_secret.hs256_secret = "short";
  EXPECT_EQ(code(kHs256, short_secret), "jwt.invalid");
}

TEST(Jwt, Ps256AndTheKeysOwnMembers) {
  const RsaPair pair(2048);
  const std::string ps = pair.sign(R"({"alg":"PS256","kid":"k1"})", "{}", RSA_PKCS1_PSS_PADDING);
  const std::string rs = pair.sign(R"({"alg":"RS256","kid":"k1"})", "{}", RSA_PKCS1_PADDING);
  JsonObject key = pair.jwk();
  key["kid"] = "k1";
  const auto rules = [&] { return with_key(to_text(key)); };
  EXPECT_EQ(code(ps, rules()), "valid");
  EXPECT_EQ(code(rs, rules()), "valid");
  key["alg"] = "PS256";
  EXPECT_EQ(code(ps, rules()), "valid");
  EXPECT_EQ(code(rs, rules()), "jwt.invalid");
  key["use"] = "enc";
  EXPECT_EQ(code(ps, rules()), "jwt.invalid");
  key["use"] = "sig";
  key["kid"] = "k2";
  EXPECT_EQ(code(ps, rules()), "jwt.unknown_key");
  EXPECT_EQ(code(pair.sign(R"({"alg":"RS256"})", "{}", RSA_PKCS1_PSS_PADDING), with_key(to_text(pair.jwk()))), "jwt.invalid");
}

TEST(Jwt, WeakAndBrokenKeysVerifyNothing) {
  const RsaPair small(1024);
  EXPECT_EQ(code(small.sign(R"({"alg":"RS256"})", "{}", RSA_PKCS1_PADDING), with_key(to_text(small.jwk()))), "jwt.invalid");
  for (const std::string_view key :
       {R"({"kty":"RSA"})", R"({"kty":"RSA","n":"AQ","e":"AQAB"})", R"({"kty":"RSA","n":"!!","e":"AQAB"})", R"({"kty":"RSA","n":5,"e":[]})"})
    EXPECT_EQ(code(kRs256, with_key(key)), "jwt.invalid") << key;
  // A point that is not on the curve.
  EXPECT_EQ(code(kEs256, with_key(R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"})")),
            "jwt.invalid");
  for (const std::string_view set : {"null", "[]", "{}", R"({"keys":5})", R"({"keys":[null,1]})"}) {
    JwtRules rules;
    rules.jwks = *parse_json(set);
    EXPECT_EQ(code(kRs256, rules), "jwt.unknown_key") << set;
  }
}

TEST(Jwt, TimesHaveALeeway) {
  const JwtRules rules = with_secret();
  const auto when = [&](std::string_view claims, std::int64_t seconds) { return code(hs256(claims), rules, from_unix_ms(seconds * 1000)); };
  EXPECT_EQ(when(R"({"exp":1000})", 1059), "valid");
  EXPECT_EQ(when(R"({"exp":1000})", 1060), "jwt.expired");
  EXPECT_EQ(when(R"({"exp":1000.5})", 1060), "valid");
  EXPECT_EQ(when(R"({"nbf":1000})", 940), "valid");
  EXPECT_EQ(when(R"({"nbf":1000})", 939), "jwt.not_yet_valid");
  EXPECT_EQ(when(R"({"iat":1000})", 939), "jwt.not_yet_valid");
  EXPECT_EQ(when(R"({"exp":"1000"})", 1), "jwt.invalid");
  EXPECT_EQ(when(R"({"exp":1e300})", 1), "jwt.invalid");
  EXPECT_EQ(when("[]", 1), "jwt.invalid");
  EXPECT_EQ(code(kHs256, rules, from_unix_ms(1'400'000'000'000)), "jwt.expired");
}

TEST(Jwt, IssuerAndAudience) {
  JwtRules rules = with_secret();
  rules.issuer = "joe";
  rules.audience = {"a", "b"};
  EXPECT_EQ(code(hs256(R"({"iss":"joe","aud":"b"})"), rules), "valid");
  EXPECT_EQ(code(hs256(R"({"iss":"joe","aud":["x","a"]})"), rules), "valid");
  EXPECT_EQ(code(hs256(R"({"iss":"joe","aud":["x"]})"), rules), "jwt.wrong_audience");
  EXPECT_EQ(code(hs256(R"({"iss":"joe"})"), rules), "jwt.wrong_audience");
  EXPECT_EQ(code(hs256(R"({"iss":"joe","aud":5})"), rules), "jwt.invalid");
  EXPECT_EQ(code(hs256(R"({"iss":"eve","aud":"a"})"), rules), "jwt.wrong_issuer");
  EXPECT_EQ(code(hs256(R"({"aud":"a"})"), rules), "jwt.wrong_issuer");
}

}  // namespace
}  // namespace mayfly::trigger
