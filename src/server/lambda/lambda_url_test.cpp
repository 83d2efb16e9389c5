#include "function/function_registry.h"
#include "server/lambda/lambda_api.h"
#include "server/lambda/lambda_test_support.h"
#include "server/lambda/lambda_url_event.h"

namespace mayfly::lambda {
namespace {

class UrlTest : public LambdaTest {
 protected:
  /// The path of a new URL of the function "a".
  std::string make_url(const std::string& settings) {
    start_functions();
    EXPECT_EQ(create("a").status, 201);
    const HttpAnswer made = post("/2021-10-31/functions/a/url", settings);
    EXPECT_EQ(made.status, 201) << made.body;
    const std::string url = made.text("FunctionUrl");
    EXPECT_TRUE(url.starts_with(app_->url() + "/lambda-url/") && url.ends_with("/")) << url;
    return url.substr(app_->url().size());
  }
  HttpAnswer anonymous(std::string method, const std::string& path, std::string body = {}, net::Headers headers = {}) {
    headers.add("x-api-key", "");
    return call(std::move(method), path, std::move(body), std::move(headers));
  }
  JsonObject event() { return parse_json(functions_.calls.back().payload)->get_object(); }
};

TEST_F(UrlTest, ARequestBecomesAnEventOfFormatTwo) {
  const std::string path = make_url(R"({"AuthType": "NONE"})");
  functions_.answer.result.payload =
      R"({"statusCode":201,"headers":{"X-Own":"1","Content-Length":"9","Clear-Site-Data":"*","NEL":"{}"},"cookies":["a=1","b=2; Path=/; Secure; Domain=x.org"],"body":"aGk=","isBase64Encoded":true})";
  const HttpAnswer answer =
      anonymous("POST", path + "some/path%20x?a=1&a=2&b=%C3%A4", "text", {{"Content-Type", "text/plain"}, {"Cookie", "c=3; d=4"}});
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.body, "hi");
  EXPECT_EQ(answer.headers.get("x-own"), "1");
  std::string cookies;
  for (const auto& [name, value] : answer.headers)
    if (net::equal_ignoring_case(name, "set-cookie")) cookies += value + ";";
  EXPECT_EQ(cookies, "a=1; Path=" + path + ";b=2; Secure; Path=" + path + ";") << "a cookie is this function's alone";
  EXPECT_FALSE(answer.headers.find("clear-site-data") || answer.headers.find("nel")) << "a function does not speak for the whole origin";
  EXPECT_TRUE(answer.headers.get("content-security-policy").starts_with("sandbox"));

  const JsonObject in = event();
  EXPECT_EQ(get_string(in, "version"), "2.0");
  EXPECT_EQ(get_string(in, "rawPath"), "/some/path%20x");
  EXPECT_EQ(get_string(in, "rawQueryString"), "a=1&a=2&b=%C3%A4");
  EXPECT_EQ(to_text(*mayfly::get(in, "queryStringParameters")), R"({"a":"1,2","b":"ä"})");
  EXPECT_EQ(to_text(*mayfly::get(in, "cookies")), R"(["c=3","d=4"])");
  EXPECT_EQ(get_string(in, "body"), "text");
  EXPECT_FALSE(get_bool(in, "isBase64Encoded", true));
  EXPECT_EQ(get_string(*get_object(*get_object(in, "requestContext"), "http"), "method"), "POST");
  EXPECT_EQ(get_string(*get_object(in, "requestContext"), "accountId"), "anonymous");
  (void)anonymous("PUT", path, std::string("\xff\0", 2), {{"Content-Type", "application/octet-stream"}});
  EXPECT_EQ(get_string(event(), "body"), to_base64(std::string("\xff\0", 2)));
  EXPECT_TRUE(get_bool(event(), "isBase64Encoded"));
}

TEST_F(UrlTest, AnyJsonIsAnAnswerAndAFailureIsABadGateway) {
  const std::string path = make_url(R"({"AuthType": "NONE"})");
  functions_.answer.result.payload = R"({"hello":"you"})";
  EXPECT_EQ(anonymous("GET", path).body, R"({"hello":"you"})");
  EXPECT_EQ(anonymous("GET", path.substr(0, path.size() - 1)).headers.get("content-type"), "application/json");
  for (const char* bad : {"no json", R"({"statusCode":99})", R"({"statusCode":200,"headers":{"a b":"1"}})",
                          R"({"statusCode":200,"headers":{"a":"1\r\nb: 2"}})", R"({"statusCode":200,"body":"%","isBase64Encoded":true})"}) {
    functions_.answer.result.payload = bad;
    EXPECT_EQ(anonymous("GET", path).status, 502) << bad;
  }
  functions_.answer.result.function_error = "Unhandled";
  functions_.answer.result.payload = R"({"errorMessage":"secret detail"})";
  const HttpAnswer failed = anonymous("GET", path);
  EXPECT_EQ(failed.status, 502);
  EXPECT_EQ(failed.body.find("secret"), std::string::npos);
  EXPECT_EQ(anonymous("GET", "/lambda-url/00000000000000000000000000000000/").status, 403);
}

TEST_F(UrlTest, AStreamingFunctionDecidesOverItsHead) {
  const std::string path = make_url(R"({"AuthType": "NONE", "InvokeMode": "RESPONSE_STREAM"})");
  functions_.content_type = "application/vnd.awslambda.http-integration-response";
  functions_.pieces = {R"({"statusCode":202,"headers":{"Content-Type":"text/x"}})", std::string(3, '\0'), std::string(5, '\0') + "on",
                       "e two"};
  const HttpAnswer answer = anonymous("GET", path);
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(answer.headers.get("content-type"), "text/x");
  EXPECT_EQ(answer.body, "one two");
  functions_.content_type = "text/plain";
  functions_.pieces = {"just ", "text"};
  EXPECT_EQ(anonymous("GET", path).body, "just text");
}

TEST_F(UrlTest, IamUrlsAskForAKeyAndKeepItFromTheFunction) {
  const std::string path = make_url(R"({"AuthType": "AWS_IAM"})");
  functions_.answer.result.payload = "1";
  EXPECT_EQ(anonymous("GET", path).status, 403);
  EXPECT_EQ(call("GET", path, {}, {{"Authorization", "Bearer " + make_key({Scope::Read})}}).status, 403);
  EXPECT_TRUE(functions_.calls.empty());
  EXPECT_EQ(call("GET", path, {}, {{"Authorization", "Bearer " + make_key({Scope::Invoke})}}).status, 200);
  EXPECT_EQ(functions_.calls.back().payload.find("mf_"), std::string::npos);
}

TEST_F(UrlTest, CorsIsAnsweredForTheFunction) {
  const std::string path =
      make_url(R"({"AuthType": "AWS_IAM", "Cors": {"AllowOrigins": ["https://a.example"], "AllowMethods": ["GET"], "MaxAge": 60}})");
  const HttpAnswer asked = anonymous("OPTIONS", path, {}, {{"Origin", "https://a.example"}, {"Access-Control-Request-Method", "GET"}});
  EXPECT_EQ(asked.status, 204) << "without a key: browsers send none";
  EXPECT_EQ(asked.headers.get("access-control-allow-origin"), "https://a.example");
  EXPECT_EQ(asked.headers.get("access-control-allow-methods"), "GET");
  EXPECT_EQ(asked.headers.get("access-control-max-age"), "60");
  const HttpAnswer other = anonymous("OPTIONS", path, {}, {{"Origin", "https://b.example"}, {"Access-Control-Request-Method", "GET"}});
  EXPECT_FALSE(other.headers.find("access-control-allow-origin"));
}

TEST_F(UrlTest, ConfigurationsAreMadeChangedAndDeleted) {
  (void)make_url(R"({"AuthType": "NONE"})");
  const std::string path = "/2021-10-31/functions/a/url";
  EXPECT_EQ(exception(post(path, R"({"AuthType": "NONE"})")), "ResourceConflictException");
  EXPECT_EQ(call("PUT", path, R"({"AuthType": "AWS_IAM"})").text("AuthType"), "AWS_IAM");
  EXPECT_EQ(get(path).text("InvokeMode"), "BUFFERED");
  EXPECT_EQ(get_array(get(path + "s").json, "FunctionUrlConfigs")->size(), 1u);
  EXPECT_EQ(exception(call("PUT", path, R"({"AuthType": "ANY"})")), "InvalidParameterValueException");
  EXPECT_EQ(call("DELETE", path).status, 204);
  EXPECT_EQ(exception(get(path)), "ResourceNotFoundException");
}

/// Keeps what a handler answers.
class Recorder final : public net::Responder {
 public:
  Task<bool> send(net::Response response) override {
    answer = std::move(response);
    co_return true;
  }
  Task<bool> start(int status, net::Headers headers) override {
    answer = {status, std::move(headers), {}};
    has_started = true;
    co_return true;
  }
  Task<bool> write(std::string bytes) override {
    answer.body += bytes;
    co_return true;
  }
  Task<bool> finish() override { co_return true; }
  bool started() const override { return has_started; }

  net::Response answer;
  bool has_started = false;
};

TEST_F(LambdaTest, AFunctionsProcessReachesItsOwnExecutionsInvokeAndTheGateway) {
  start_functions();
  ASSERT_EQ(create("a").status, 201);
  const auto faces = std::make_shared<faces::FaceState>(app_->context());
  const auto ask = [&](std::string method, std::string target, std::string body = "{}") {
    net::Request request;
    request.method = std::move(method);
    request.path = target.substr(0, target.find('?'));
    if (const auto query = target.find('?'); query != std::string::npos) request.query = target.substr(query + 1);
    request.target = std::move(target);
    request.body = std::move(body);
    Recorder recorder;
    run(serve_instance(&app_->context(), faces, {"a", 1, "i"}, &request, &recorder));
    return recorder.answer;
  };
  const auto arn = [](const std::string& function) {
    return net::percent_encode("arn:aws:lambda:us-east-1:000000000000:function:" + function +
                               ":1/durable-execution/n/01ARZ3NDEKTSV4RRFFQ69G5FAV");
  };
  EXPECT_EQ(ask("POST", "/2025-12-01/durable-executions/" + arn("a") + "/checkpoint").status, 200);
  EXPECT_EQ(ask("GET", "/2025-12-01/durable-executions/" + arn("a") + "/state?CheckpointToken=t").status, 200);
  EXPECT_EQ(ask("POST", "/2025-12-01/durable-executions/" + arn("b") + "/checkpoint").status, 403);
  EXPECT_EQ(ask("POST", "/2015-03-31/functions/a/invocations").status, 200);
  EXPECT_EQ(functions_.calls.size(), 1u);
  EXPECT_EQ(ask("POST", "/v1/chat/completions", R"({"model": "quick/echo", "messages": [{"role": "user", "content": "hi"}]})").status, 200);
  EXPECT_EQ(ask("GET", "/v1/models").status, 200);
  for (const char* path : {"/2015-03-31/functions", "/2015-03-31/functions/a", "/v1/keys", "/v1/agents", "/metrics", "/2017-03-31/tags/a"})
    EXPECT_EQ(ask("GET", path).status, 403) << path;
  EXPECT_EQ(ask("DELETE", "/2015-03-31/functions/a").status, 403);
  ASSERT_TRUE(run(faces->meter.flush()));
  EXPECT_NE(get("/v1/usage").body.find("function:a"), std::string::npos) << "metered under its name";
}

}  // namespace
}  // namespace mayfly::lambda
