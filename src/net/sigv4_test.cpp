#include "net/sigv4.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/hash.h"
#include "base/json.h"
#include "net/http_client.h"
#include "net/http_server.h"

namespace mayfly::net {
namespace {

const std::string kSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// A request with storage of its own.
struct Sent {
  std::string method = "GET";
  std::string path = "/";
  std::string query;
  Headers headers{{"Host", "example.amazonaws.com"}};
  std::string body;
  SigV4Request view() const { return {.method = method, .path = path, .query = query, .headers = headers, .body = body}; }
};

/// A raw request of AWS's suite: LF line ends, folded lines, spaces and raw UTF-8 in the target.
Sent parse_raw(std::string_view text) {
  Sent out;
  out.headers = {};
  const auto end_of_head = text.find("\n\n");
  if (end_of_head != std::string_view::npos) out.body = text.substr(end_of_head + 2);
  std::istringstream lines(std::string(text.substr(0, end_of_head)));
  std::string line;
  std::getline(lines, line);
  out.method = line.substr(0, line.find(' '));
  const std::string target = line.substr(out.method.size() + 1, line.rfind(' ') - out.method.size() - 1);
  out.path = target.substr(0, target.find('?'));
  if (target.find('?') != std::string::npos) out.query = target.substr(target.find('?') + 1);
  std::vector<std::pair<std::string, std::string>> fields;
  while (std::getline(lines, line)) {
    if (line.starts_with(' ')) {
      fields.back().second += line;
    } else if (!line.empty()) {
      fields.emplace_back(line.substr(0, line.find(':')), line.substr(line.find(':') + 1));
    }
  }
  for (auto& [name, value] : fields) out.headers.add(name, value);
  return out;
}

JsonObject load_vectors() {
  std::ifstream file(std::filesystem::path(MAYFLY_SOURCE_DIR) / "src/net/testdata/sigv4_vectors.json");
  std::stringstream text;
  text << file.rdbuf();
  const auto json = parse_json(text.str());
  return json && json->is_object() ? json->as_object() : JsonObject();
}

TimePoint at(std::string_view time) { return *parse_rfc3339(time); }
const TimePoint kThen = at("2015-08-30T12:36:00Z");

SigV4SignOptions options_of(const JsonObject& vector) {
  return {.access_key_id = "AKIDEXAMPLE",
          .secret_access_key = kSecret,
          .session_token = get_string(vector, "token"),
          .region = "us-east-1",
          .service = "service",
          .now = kThen,
          .payload = get_bool(vector, "sign_body") ? SigV4SignOptions::Payload::HashWithHeader : SigV4SignOptions::Payload::Hash,
          .path = get_bool(vector, "normalize") ? SigV4Path::Normalized : SigV4Path::Encoded};
}

std::string signature_in(std::string_view authorization) { return std::string(authorization.substr(authorization.rfind('=') + 1)); }

Result<void> verify(const Sent& sent, TimePoint now, SigV4VerifyOptions options = {}) {
  const auto claim = parse_sigv4(sent.view());
  if (!claim) return fail(claim.error());
  return verify_sigv4(sent.view(), *claim, kSecret, now, options);
}

TEST(SigV4, SignsAwsTestSuite) {
  const JsonObject data = load_vectors();
  const JsonArray* const vectors = get_array(data, "vectors");
  ASSERT_NE(vectors, nullptr);
  ASSERT_EQ(vectors->size(), 38u);
  for (const Json& json : *vectors) {
    const JsonObject& vector = json.as_object();
    SCOPED_TRACE(get_string(vector, "name"));
    const Sent sent = parse_raw(get_string(vector, "request"));
    SigV4SignOptions options = options_of(vector);
    // In this variant the token is appended after signing, which no HTTP service of ours does.
    const bool omits_token = get_bool(vector, "omit_session_token");
    if (omits_token) options.session_token.clear();
    const auto fields = sign_sigv4(sent.view(), options);
    ASSERT_TRUE(fields) << fields.error().message;
    EXPECT_EQ(signature_in(fields->get("authorization")), get_string(vector, "header_signature"));
    EXPECT_EQ(fields->get("authorization"), parse_raw(get_string(vector, "header_signed")).headers.get("authorization"));
    if (omits_token) continue;
    const auto query = presign_sigv4(sent.view(), options, std::chrono::seconds(3600));
    ASSERT_TRUE(query) << query.error().message;
    EXPECT_EQ(*query, parse_raw(get_string(vector, "query_signed")).query);
  }
}

TEST(SigV4, VerifiesAwsTestSuiteAndNoticesEveryChange) {
  const JsonObject data = load_vectors();
  for (const Json& json : *get_array(data, "vectors")) {
    const JsonObject& vector = json.as_object();
    for (const std::string_view kind : {"header_signed", "query_signed"}) {
      SCOPED_TRACE(get_string(vector, "name") + " " + std::string(kind));
      if (kind == "query_signed" && get_bool(vector, "omit_session_token")) continue;
      const Sent sent = parse_raw(get_string(vector, kind));
      const auto claim = parse_sigv4(sent.view());
      ASSERT_TRUE(claim) << claim.error().message;
      EXPECT_EQ(claim->access_key_id, "AKIDEXAMPLE");
      EXPECT_EQ(claim->region, "us-east-1");
      EXPECT_EQ(claim->service, "service");
      EXPECT_EQ(claim->signed_at, kThen);
      EXPECT_EQ(claim->security_token, get_string(vector, "token"));
      EXPECT_EQ(claim->expiry.has_value(), kind == "query_signed");
      const SigV4VerifyOptions options{.service = "service", .path = options_of(vector).path};
      const auto verified = verify_sigv4(sent.view(), *claim, kSecret, kThen + Millis{60'000}, options);
      EXPECT_TRUE(verified) << verified.error().message;

      const auto refuses = [&](std::string_view what, const Sent& changed, std::string_view secret = kSecret) {
        const auto result = verify_sigv4(changed.view(), *claim, secret, kThen, options);
        EXPECT_FALSE(result) << what << " was not noticed";
      };
      refuses("another secret", sent, "another");
      Sent changed = sent;
      changed.method = "DELETE";
      refuses("another method", changed);
      changed = sent;
      changed.path += "/x";
      refuses("another path", changed);
      changed = sent;
      changed.query += "&z=1";
      refuses("another query", changed);
      changed = sent;
      changed.headers.set("Host", "evil.example");
      refuses("another host", changed);
      changed = sent;
      changed.body += "x";
      refuses("another body", changed);
      changed = sent;
      changed.headers.add("X-Amz-Invocation-Type", "Event");
      refuses("an added unsigned field", changed);
    }
  }
}

TEST(SigV4, AgreesWithBotocore) {
  const JsonObject data = load_vectors();
  const JsonArray* const cases = get_array(data, "cross_checks");
  ASSERT_NE(cases, nullptr);
  ASSERT_GE(cases->size(), 11u);
  const TimePoint then = at("2026-11-23T19:30:01Z");
  for (const Json& json : *cases) {
    const JsonObject& one = json.as_object();
    SCOPED_TRACE(get_string(one, "name"));
    Sent sent{get_string(one, "method"), get_string(one, "path"), get_string(one, "query"), {}, get_string(one, "body")};
    for (const Json& field : *get_array(one, "headers")) {
      sent.headers.add(std::string(field.as_array()[0].as_string()), std::string(field.as_array()[1].as_string()));
    }
    const auto verified = verify(sent, then, {.service = get_string(one, "service"), .region = "eu-west-1"});
    EXPECT_TRUE(verified) << verified.error().message;

    const SigV4SignOptions options{.access_key_id = "AKIDEXAMPLE",
                                   .secret_access_key = kSecret,
                                   .session_token = get_string(one, "token"),
                                   .region = "eu-west-1",
                                   .service = get_string(one, "service"),
                                   .now = then};
    if (get_string(one, "kind") == "header") {
      Sent again = sent;
      for (const auto* name : {"X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256", "Authorization"}) again.headers.remove(name);
      const auto fields = sign_sigv4(again.view(), options);
      ASSERT_TRUE(fields) << fields.error().message;
      EXPECT_EQ(fields->get("Authorization"), sent.headers.get("Authorization"));
    } else {
      Sent again = sent;
      again.query = sent.query.substr(0, sent.query.find("X-Amz-Algorithm"));
      if (again.query.ends_with('&')) again.query.pop_back();
      const auto query = presign_sigv4(again.view(), options, std::chrono::seconds(3600));
      ASSERT_TRUE(query) << query.error().message;
      EXPECT_EQ(signature_in(*query), signature_in(sent.query));
    }
  }
}

Sent signed_request(SigV4SignOptions::Payload payload = SigV4SignOptions::Payload::Hash, std::string service = "lambda") {
  Sent sent;
  sent.method = "POST";
  sent.body = "{}";
  const auto fields = sign_sigv4(sent.view(), {.access_key_id = "AKIDEXAMPLE",
                                               .secret_access_key = kSecret,
                                               .region = "us-east-1",
                                               .service = std::move(service),
                                               .now = kThen,
                                               .payload = payload});
  EXPECT_TRUE(fields);
  for (const auto& [name, value] : *fields) sent.headers.add(name, value);
  return sent;
}

std::string code_of(const Result<void>& result) { return result ? "verified" : result.error().code; }

TEST(SigV4, AcceptsAClockThatIsOffByFifteenMinutes) {
  const Sent sent = signed_request();
  const Millis skew{15 * 60'000};
  EXPECT_EQ(code_of(verify(sent, kThen + skew)), "verified");
  EXPECT_EQ(code_of(verify(sent, kThen - skew)), "verified");
  EXPECT_EQ(code_of(verify(sent, kThen + skew + Millis{1'000})), "sigv4.expired");
  EXPECT_EQ(code_of(verify(sent, kThen - skew - Millis{1'000})), "sigv4.expired");
  const auto late = verify(sent, kThen + std::chrono::hours(1));
  EXPECT_NE(late.error().message.find("20150830T125100Z"), std::string::npos) << late.error().message;
}

TEST(SigV4, APresignedUrlLivesAsLongAsItSays) {
  Sent sent;
  const SigV4SignOptions options{
      .access_key_id = "AKIDEXAMPLE", .secret_access_key = kSecret, .region = "us-east-1", .service = "lambda", .now = kThen};
  sent.query = *presign_sigv4(sent.view(), options, std::chrono::seconds(60));
  EXPECT_EQ(code_of(verify(sent, kThen + std::chrono::seconds(60))), "verified");
  EXPECT_EQ(code_of(verify(sent, kThen + std::chrono::seconds(61))), "sigv4.expired");
  Sent longer = sent;
  longer.query.replace(longer.query.find("Expires=60"), 10, "Expires=6000");
  EXPECT_EQ(code_of(verify(longer, kThen)), "sigv4.mismatch");
  EXPECT_FALSE(presign_sigv4(sent.view(), options, std::chrono::seconds(60))) << "signed already";
  EXPECT_FALSE(presign_sigv4(Sent().view(), options, std::chrono::hours(24 * 8)));
}

TEST(SigV4, ChecksTheBodyAgainstItsHash) {
  Sent with_hash = signed_request(SigV4SignOptions::Payload::HashWithHeader);
  EXPECT_EQ(code_of(verify(with_hash, kThen)), "verified");
  with_hash.body = "{} ";
  EXPECT_EQ(code_of(verify(with_hash, kThen)), "sigv4.payload");
  Sent open = signed_request(SigV4SignOptions::Payload::Unsigned);
  EXPECT_EQ(code_of(verify(open, kThen)), "sigv4.payload");
  open.body = "anything";
  EXPECT_EQ(code_of(verify(open, kThen, {.unsigned_payload = SigV4VerifyOptions::UnsignedPayload::Accept})), "verified");
  Sent streamed = signed_request(SigV4SignOptions::Payload::HashWithHeader);
  streamed.headers.set("X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
  EXPECT_EQ(code_of(verify(streamed, kThen)), "sigv4.payload");
}

TEST(SigV4, KeepsServicesAndRegionsApart) {
  const Sent sent = signed_request();
  EXPECT_EQ(code_of(verify(sent, kThen, {.service = "lambda", .region = "us-east-1"})), "verified");
  EXPECT_EQ(code_of(verify(sent, kThen, {.service = "s3"})), "sigv4.scope");
  EXPECT_EQ(code_of(verify(sent, kThen, {.region = "eu-west-1"})), "sigv4.scope");
  Sent moved = sent;
  std::string authorization = sent.headers.get("authorization");
  moved.headers.set("Authorization", authorization.replace(authorization.find("/lambda/"), 8, "/s3/"));
  EXPECT_EQ(code_of(verify(moved, kThen)), "sigv4.mismatch");
}

TEST(SigV4, AcceptsADateFieldAndLooseSpacing) {
  Sent sent;
  sent.headers.add("Date", "Sun, 30 Aug 2015 12:36:00 GMT");
  sent.headers.add("Authorization",
                   "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/lambda/aws4_request,SignedHeaders=date;host,Signature=" +
                       std::string(64, '0'));
  const auto claim = parse_sigv4(sent.view());
  ASSERT_TRUE(claim) << claim.error().message;
  EXPECT_EQ(claim->signed_at, kThen);
  EXPECT_EQ(claim->signed_headers, (std::vector<std::string>{"date", "host"}));
  EXPECT_EQ(code_of(verify(sent, kThen)), "sigv4.mismatch");
}

TEST(SigV4, SaysWhatIsIncomplete) {
  const std::string credential = "Credential=AKIDEXAMPLE/20150830/us-east-1/lambda/aws4_request";
  const std::string names = "SignedHeaders=host;x-amz-date", signature = "Signature=" + std::string(64, 'a');
  const struct {
    std::string authorization;
    std::string date = "20150830T123600Z";
  } cases[]{
      {"AWS4-HMAC-SHA256 " + credential},
      {"AWS4-HMAC-SHA256 " + credential + ", " + names},
      {"AWS4-HMAC-SHA256 " + names + ", " + signature},
      {"AWS4-HMAC-SHA256 " + credential + ", " + names + ", Signature=zz"},
      {"AWS4-HMAC-SHA256 " + credential + ", " + credential + ", " + names + ", " + signature},
      {"AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=, " + signature},
      {"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/aws4_request, " + names + ", " + signature},
      {"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150831/us-east-1/lambda/aws4_request, " + names + ", " + signature},
      {"AWS4-ECDSA-P256-SHA256 " + credential + ", " + names + ", " + signature},
      {"AWS4-HMAC-SHA256", ""},
      {"Bearer token"},
      {"AWS4-HMAC-SHA256 " + credential + ", " + names + ", " + signature, "yesterday"},
      {"AWS4-HMAC-SHA256 " + credential + ", " + names + ", " + signature, "20151330T123600Z"},
      {"AWS4-HMAC-SHA256 " + credential + ", " + names + ", " + signature, "20150830T126000Z"},
  };
  for (const auto& one : cases) {
    Sent sent;
    sent.headers.add("Authorization", one.authorization);
    if (!one.date.empty()) sent.headers.add("X-Amz-Date", one.date);
    const auto claim = parse_sigv4(sent.view());
    ASSERT_FALSE(claim) << one.authorization;
    EXPECT_EQ(claim.error().code, "sigv4.incomplete") << one.authorization;
    EXPECT_EQ(claim.error().message.find(std::string(64, 'a')), std::string::npos);
  }
  EXPECT_EQ(parse_sigv4(Sent().view()).error().code, "sigv4.missing_token");
  Sent twice = signed_request();
  twice.headers.add("Authorization", twice.headers.get("authorization"));
  EXPECT_EQ(parse_sigv4(twice.view()).error().code, "sigv4.incomplete");
  Sent both = signed_request();
  both.query = "X-Amz-Algorithm=AWS4-HMAC-SHA256";
  EXPECT_EQ(parse_sigv4(both.view()).error().code, "sigv4.incomplete");
}

TEST(SigV4, RefusesAnUnsignedHost) {
  Sent sent = signed_request();
  std::string authorization = sent.headers.get("authorization");
  sent.headers.set("Authorization", authorization.replace(authorization.find("host;"), 5, ""));
  const auto refused = verify(sent, kThen);
  EXPECT_EQ(code_of(refused), "sigv4.unsigned_header");
  EXPECT_NE(refused.error().message.find("'host'"), std::string::npos);
}

TEST(SigV4, SignsClientRequestsAsTheyAreSent) {
  ClientRequest request;
  request.method = "POST";
  request.url = "https://Bedrock.example.com:8443/model/a%3A1/../b/invoke?z=1&a=2#x";
  request.body = "{}";
  ASSERT_TRUE(sign_sigv4(
      request, {.access_key_id = "AKIDEXAMPLE", .secret_access_key = kSecret, .region = "us-east-1", .service = "bedrock", .now = kThen}));
  EXPECT_EQ(request.url.find('#'), std::string::npos);
  Sent received{.method = "POST", .path = "/model/b/invoke", .query = "z=1&a=2", .headers = request.headers, .body = "{}"};
  received.headers.add("Host", "bedrock.example.com:8443");
  received.headers.add("User-Agent", "mayfly");
  EXPECT_EQ(code_of(verify(received, kThen)), "verified");
  EXPECT_FALSE(sign_sigv4(
      request, {.access_key_id = "AKIDEXAMPLE", .secret_access_key = kSecret, .region = "us-east-1", .service = "bedrock", .now = kThen}))
      << "signed already";
}

TEST(SigV4, KnowsSignedRequestsFromOthers) {
  EXPECT_TRUE(has_sigv4(signed_request().view()));
  Sent bearer;
  bearer.headers.add("Authorization", "Bearer abc");
  EXPECT_FALSE(has_sigv4(bearer.view()));
  Sent query;
  query.query = "X-Amz-Algorithm=AWS4-HMAC-SHA256";
  EXPECT_TRUE(has_sigv4(query.view()));
  query.query = "note=X-Amz-Algorithm";
  EXPECT_FALSE(has_sigv4(query.view()));
}

TEST(SigV4, AnswersInAwsNames) {
  EXPECT_EQ(aws_auth_exception("sigv4.missing_token").name, "MissingAuthenticationTokenException");
  EXPECT_EQ(aws_auth_exception("sigv4.incomplete").name, "IncompleteSignatureException");
  EXPECT_EQ(aws_auth_exception("sigv4.unknown_key").name, "UnrecognizedClientException");
  EXPECT_EQ(aws_auth_exception("sigv4.mismatch").name, "InvalidSignatureException");
  EXPECT_EQ(aws_auth_exception("sigv4.expired").status, 403);
}

}  // namespace
}  // namespace mayfly::net
