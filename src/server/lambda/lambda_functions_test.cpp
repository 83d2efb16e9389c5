#include "function/function_registry.h"
#include "net/sigv4.h"
#include "server/lambda/lambda_api.h"
#include "server/lambda/lambda_test_support.h"

namespace mayfly::lambda {
namespace {

TEST_F(LambdaTest, AReaderSeesNeitherSecretsNorCode) {
  start_functions();
  ASSERT_EQ(create("mailer", {{"Environment", JsonObject{{"Variables", JsonObject{{"TOKEN", "hunter2-secret"}}}}}}).status, 201);
  const std::string reader = make_key({Scope::Read});
  for (const char* path : {"/2015-03-31/functions/mailer", "/2015-03-31/functions/mailer/configuration", "/2015-03-31/functions",
                           "/2015-03-31/functions/mailer/versions"}) {
    const HttpAnswer shown = call("GET", path, {}, {{"x-api-key", reader}});
    EXPECT_EQ(shown.status, 200) << path;
    EXPECT_EQ(shown.body.find("hunter2-secret"), std::string::npos) << path;
    EXPECT_NE(shown.body.find("AccessDeniedException"), std::string::npos) << path;
    EXPECT_EQ(shown.body.find("/lambda-code/"), std::string::npos) << path;
    EXPECT_NE(get(path).body.find("hunter2-secret"), std::string::npos) << "who may deploy sees it: " << path;
  }
}

TEST_F(LambdaTest, AFunctionIsCreatedShownChangedAndDeleted) {
  start_functions();
  const HttpAnswer made = create("mailer", {{"Environment", JsonObject{{"Variables", JsonObject{{"MODE", "fast"}}}}},
                                            {"Timeout", 10},
                                            {"Tags", JsonObject{{"team", "x"}, {"mayfly:egress", "api.example.com"}}},
                                            {"DurableConfig", JsonObject{{"ExecutionTimeout", 60}}}});
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.text("FunctionArn"), "arn:aws:lambda:us-east-1:000000000000:function:mailer");
  EXPECT_EQ(made.text("State"), "Active");
  EXPECT_EQ(made.text("LastUpdateStatus"), "Successful");
  EXPECT_EQ(made.text("Version"), "$LATEST");
  EXPECT_EQ(get_int(made.json, "Timeout"), 10);
  EXPECT_EQ(get_string(*get_object(*get_object(made.json, "Environment"), "Variables"), "MODE"), "fast");
  EXPECT_EQ(get_int(*get_object(made.json, "DurableConfig"), "RetentionPeriodInDays"), 14);
  EXPECT_EQ(made.headers.get("x-amzn-requestid").size(), 36u);
  EXPECT_EQ(app_->context().functions->resolve({"mailer", ""})->revision->config.egress.allow, std::vector<std::string>{"api.example.com"});
  EXPECT_EQ(exception(create("mailer")), "ResourceConflictException");

  const HttpAnswer shown = get("/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Amailer");
  ASSERT_EQ(shown.status, 200) << shown.body;
  EXPECT_EQ(get_string(*get_object(shown.json, "Tags"), "team"), "x");
  const std::string location = get_string(*get_object(shown.json, "Code"), "Location");
  ASSERT_TRUE(location.starts_with(app_->url() + "/lambda-code/"));
  const std::string path = location.substr(app_->url().size());
  const HttpAnswer code = call("GET", path, {}, {{"x-api-key", ""}});
  EXPECT_EQ(code.body, zip("v1"));
  EXPECT_EQ(exception(call("GET", path.substr(0, path.size() - 1) + "x", {}, {{"x-api-key", ""}})), "AccessDeniedException");

  const HttpAnswer updated = update_code("mailer", "v2");
  ASSERT_EQ(updated.status, 200) << updated.body;
  EXPECT_NE(updated.text("RevisionId"), made.text("RevisionId"));
  EXPECT_NE(updated.text("CodeSha256"), made.text("CodeSha256"));
  const HttpAnswer same = update_code("mailer", "v3", {{"DryRun", true}});
  EXPECT_EQ(same.status, 200);
  EXPECT_EQ(get("/2015-03-31/functions/mailer/configuration").text("CodeSha256"), updated.text("CodeSha256"));
  EXPECT_EQ(exception(update_code("mailer", "v3", {{"RevisionId", made.text("RevisionId")}})), "PreconditionFailedException");
  const HttpAnswer bigger = call("PUT", "/2015-03-31/functions/mailer/configuration", R"({"MemorySize": 256})");
  EXPECT_EQ(get_int(bigger.json, "MemorySize"), 256);
  EXPECT_EQ(get_int(bigger.json, "Timeout"), 10) << "what was not named stays";

  EXPECT_EQ(call("DELETE", "/2015-03-31/functions/mailer").status, 204);
  EXPECT_EQ(exception(get("/2015-03-31/functions/mailer")), "ResourceNotFoundException");
  EXPECT_NE(get("/2015-03-31/functions/mailer").text("Message").find("function:mailer"), std::string::npos);
}

TEST_F(LambdaTest, WhatCannotBeDoneIsRefusedByName) {
  start_functions();
  const auto message = [&](JsonObject more) {
    const HttpAnswer answer = create("a", std::move(more));
    EXPECT_EQ(exception(answer), "InvalidParameterValueException") << answer.body;
    return answer.text("message");
  };
  EXPECT_NE(message({{"Code", JsonObject{{"S3Bucket", "b"}, {"S3Key", "k"}}}}).find("S3Bucket"), std::string::npos);
  EXPECT_NE(message({{"Code", JsonObject{{"ImageUri", "x"}}}}).find("ImageUri"), std::string::npos);
  EXPECT_NE(message({{"Layers", JsonArray{"arn:x"}}}).find("Layers"), std::string::npos);
  EXPECT_NE(message({{"VpcConfig", JsonObject{{"SubnetIds", JsonArray{"s"}}}}}).find("VpcConfig"), std::string::npos);
  EXPECT_NE(message({{"MemorySize", 64}}).find("memorySize"), std::string::npos);
  EXPECT_NE(message({{"Runtime", "java21"}}).find("java21"), std::string::npos);
  EXPECT_NE(message({{"Code", JsonObject{{"ZipFile", to_base64("no zip")}}}}).find("Could not unzip"), std::string::npos);
  EXPECT_EQ(exception(create("a", {{"Timeout", "ten"}})), "SerializationException");
  EXPECT_EQ(exception(post("/2015-03-31/functions", "{")), "SerializationException");
  EXPECT_EQ(create("a", {{"VpcConfig", JsonObject{{"SubnetIds", JsonArray{}}}}, {"Layers", JsonArray{}}}).status, 201)
      << "nothing is asked for";
  for (const Operation& operation : operations()) {
    if (operation.handler) continue;
    std::string path(operation.path);
    for (auto open = path.find('{'); open != std::string::npos; open = path.find('{')) path.replace(open, path.find('}') - open + 1, "a");
    const HttpAnswer answer = call(std::string(operation.method), path, "{}");
    EXPECT_EQ(answer.status, 501) << operation.name;
    EXPECT_EQ(exception(answer), "UnsupportedOperationException");
    EXPECT_NE(answer.text("message").find(operation.name), std::string::npos);
  }
}

TEST_F(LambdaTest, VersionsAndAliases) {
  start_functions();
  ASSERT_EQ(create("a", {{"Publish", true}}).text("Version"), "1");
  EXPECT_EQ(update_code("a", "v2", {{"Publish", true}}).text("FunctionArn"), "arn:aws:lambda:us-east-1:000000000000:function:a:2");
  EXPECT_EQ(post("/2015-03-31/functions/a/versions", "{}").text("Version"), "2") << "nothing changed";
  EXPECT_EQ(get_array(get("/2015-03-31/functions/a/versions").json, "Versions")->size(), 3u);

  const HttpAnswer made = post("/2015-03-31/functions/a/aliases", R"({"Name": "prod", "FunctionVersion": "1", "Description": "live"})");
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.text("AliasArn"), "arn:aws:lambda:us-east-1:000000000000:function:a:prod");
  EXPECT_EQ(exception(post("/2015-03-31/functions/a/aliases", R"({"Name": "prod", "FunctionVersion": "1"})")), "ResourceConflictException");
  EXPECT_EQ(exception(post("/2015-03-31/functions/a/aliases", R"({"Name": "x", "FunctionVersion": "9"})")), "ResourceNotFoundException");
  const std::string path = "/2015-03-31/functions/a/aliases/prod";
  const HttpAnswer changed = call("PUT", path, R"({"RoutingConfig": {"AdditionalVersionWeights": {"2": 0.1}}})");
  EXPECT_NE(changed.text("RevisionId"), made.text("RevisionId"));
  EXPECT_EQ(changed.text("Description"), "live");
  EXPECT_EQ(to_text(*mayfly::get(changed.json, "RoutingConfig")), R"({"AdditionalVersionWeights":{"2":0.1}})");
  EXPECT_EQ(exception(call("PUT", path, R"({"RevisionId": "old"})")), "PreconditionFailedException");
  EXPECT_EQ(get("/2015-03-31/functions/a?Qualifier=prod").status, 200);
  EXPECT_EQ(get_array(get("/2015-03-31/functions/a/aliases?FunctionVersion=2").json, "Aliases")->size(), 1u);
  EXPECT_EQ(exception(call("DELETE", "/2015-03-31/functions/a?Qualifier=1")), "ResourceConflictException");
  EXPECT_EQ(call("DELETE", path).status, 204);
  EXPECT_EQ(exception(get(path)), "ResourceNotFoundException");
  EXPECT_EQ(call("DELETE", "/2015-03-31/functions/a?Qualifier=1").status, 204);
}

TEST_F(LambdaTest, ListsComeInPages) {
  start_functions();
  for (const char* name : {"a", "b", "c"}) ASSERT_EQ(create(name).status, 201);
  const HttpAnswer first = get("/2015-03-31/functions/?MaxItems=2");
  EXPECT_EQ(get_array(first.json, "Functions")->size(), 2u);
  const HttpAnswer rest = get("/2015-03-31/functions?Marker=" + net::percent_encode(first.text("NextMarker")));
  EXPECT_EQ(get_array(rest.json, "Functions")->size(), 1u);
  EXPECT_FALSE(rest.json.contains("NextMarker"));
  EXPECT_EQ(exception(get("/2015-03-31/functions?Marker=%21")), "InvalidParameterValueException");
  EXPECT_EQ(exception(get("/2015-03-31/functions?MaxItems=0")), "InvalidParameterValueException");
  post("/2015-03-31/functions/a/versions", "{}");
  EXPECT_EQ(get_array(get("/2015-03-31/functions?FunctionVersion=ALL").json, "Functions")->size(), 4u);
}

TEST_F(LambdaTest, SettingsAreKeptAndForgotten) {
  start_functions();
  ASSERT_EQ(create("a", {{"Publish", true}}).status, 201);
  EXPECT_EQ(get_int(call("PUT", "/2017-10-31/functions/a/concurrency", R"({"ReservedConcurrentExecutions": 3})").json,
                    "ReservedConcurrentExecutions"),
            3);
  EXPECT_EQ(get_int(get("/2019-09-30/functions/a/concurrency").json, "ReservedConcurrentExecutions", -1), 3);
  EXPECT_EQ(call("DELETE", "/2017-10-31/functions/a/concurrency").status, 204);
  EXPECT_EQ(get("/2019-09-30/functions/a/concurrency").body, "{}");

  const std::string provisioned = "/2019-09-30/functions/a/provisioned-concurrency";
  EXPECT_EQ(call("PUT", provisioned + "?Qualifier=1", R"({"ProvisionedConcurrentExecutions": 2})").status, 202);
  EXPECT_EQ(get(provisioned + "?Qualifier=1").text("Status"), "READY");
  EXPECT_EQ(get_array(get(provisioned + "?List=ALL").json, "ProvisionedConcurrencyConfigs")->size(), 1u);
  EXPECT_EQ(exception(call("PUT", provisioned + "?Qualifier=$LATEST", R"({"ProvisionedConcurrentExecutions": 2})")),
            "InvalidParameterValueException");
  EXPECT_EQ(call("DELETE", provisioned + "?Qualifier=1").status, 204);
  EXPECT_EQ(exception(get(provisioned + "?Qualifier=1")), "ProvisionedConcurrencyConfigNotFoundException");

  const std::string event = "/2019-09-25/functions/a/event-invoke-config";
  EXPECT_EQ(exception(get(event)), "ResourceNotFoundException");
  EXPECT_EQ(exception(post(event, R"({"MaximumRetryAttempts": 1})")), "ResourceNotFoundException");
  const HttpAnswer put = call("PUT", event,
                              R"({"MaximumRetryAttempts": 0, "DestinationConfig": {"OnFailure": {)"
                              R"("Destination": "arn:aws:lambda:us-east-1:000000000000:function:b"}}})");
  EXPECT_EQ(put.status, 200) << put.body;
  EXPECT_EQ(put.text("FunctionArn"), "arn:aws:lambda:us-east-1:000000000000:function:a:$LATEST");
  EXPECT_EQ(get_int(post(event, R"({"MaximumEventAgeInSeconds": 100})").json, "MaximumRetryAttempts", -1), 0) << "the rest stays";
  EXPECT_EQ(get_array(get(event + "/list").json, "FunctionEventInvokeConfigs")->size(), 1u);
  EXPECT_EQ(exception(call("PUT", event, R"({"MaximumRetryAttempts": 3})")), "InvalidParameterValueException");
  EXPECT_EQ(call("DELETE", event).status, 204);

  const std::string tags = "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Aa";
  EXPECT_EQ(post(tags, R"({"Tags": {"team": "x", "mayfly:egress": "open"}})").status, 204);
  EXPECT_EQ(to_text(*mayfly::get(get(tags).json, "Tags")), R"({"mayfly:egress":"open","team":"x"})");
  EXPECT_EQ(app_->context().functions->resolve({"a", ""})->revision->config.egress.mode, function::Egress::Mode::Open);
  EXPECT_EQ(call("DELETE", tags + "?tagKeys=mayfly%3Aegress&tagKeys=none").status, 204);
  EXPECT_EQ(app_->context().functions->resolve({"a", ""})->revision->config.egress.mode, function::Egress::Mode::None);
  EXPECT_EQ(exception(post(tags, R"({"Tags": {"mayfly:egres": "open"}})")), "InvalidParameterValueException");

  EXPECT_EQ(get_int(*get_object(get("/2016-08-19/account-settings").json, "AccountUsage"), "FunctionCount"), 1);
}

TEST_F(LambdaTest, EveryOperationAsksForItsScope) {
  start_functions();
  const std::vector<Scope> all = {Scope::Read, Scope::Invoke, Scope::Answer, Scope::Deploy, Scope::Gateway, Scope::Admin};
  std::map<Scope, std::string> keys;
  for (const Scope scope : all) keys[scope] = make_key({scope});
  for (const Operation& operation : operations()) {
    std::string path(operation.path);
    for (auto open = path.find('{'); open != std::string::npos; open = path.find('{'))
      path.replace(open, path.find('}') - open + 1, "none");
    for (const Scope scope : all) {
      const HttpAnswer answer = call(std::string(operation.method), path, {}, {{"Authorization", "Bearer " + keys[scope]}});
      const bool allowed = scope == Scope::Admin || scope == operation.scope;
      EXPECT_EQ(answer.status == 403, !allowed) << operation.name << " with " << to_string(scope) << ": " << answer.body;
      if (!allowed) EXPECT_EQ(exception(answer), "AccessDeniedException");
    }
    EXPECT_EQ(exception(call(std::string(operation.method), path, {}, {{"x-api-key", ""}})), "MissingAuthenticationTokenException");
  }
}

TEST_F(LambdaTest, ASignedRequestIsAsGoodAsAKey) {
  start_functions();
  const std::string key = make_key({Scope::Read});
  const auto signed_call = [&](std::string secret, std::string id, TimePoint now) {
    auto wanted = request("GET", "/2015-03-31/functions?MaxItems=5", {}, {{"x-api-key", "ignored"}});
    wanted.headers.remove("x-api-key");
    net::SigV4SignOptions options{
        .access_key_id = std::move(id), .secret_access_key = std::move(secret), .region = "eu-west-1", .service = "lambda"};
    options.now = now;
    EXPECT_TRUE(net::sign_sigv4(wanted, options));
    auto answered = run(client_->send(std::move(wanted)));
    HttpAnswer out;
    out.status = answered->status;
    out.headers = std::move(answered->headers);
    out.body = std::move(answered->body);
    if (auto value = parse_json(out.body); value && value->is_object()) out.json = value->get_object();
    return out;
  };
  const std::string id = KeyRing::access_key_id(key.substr(3, 8));
  const TimePoint now = clock_->now();
  EXPECT_EQ(signed_call(key, id, now).status, 200);
  EXPECT_EQ(exception(signed_call(key + "x", id, now)), "InvalidSignatureException");
  EXPECT_EQ(exception(signed_call(key, "MAYFLYKEY00000000", now)), "UnrecognizedClientException");
  EXPECT_EQ(exception(signed_call(key, "AKIDEXAMPLEAKIDEXAMPLE", now)), "UnrecognizedClientException");
  EXPECT_EQ(exception(signed_call(key, id, now - std::chrono::hours(1))), "InvalidSignatureException");
  stop();
  start_functions();
  EXPECT_EQ(signed_call(key, id, now).status, 200) << "after a restart";
  stop();
  std::filesystem::remove(config_.data_dir + "/function.key");
  start_functions();
  EXPECT_EQ(exception(signed_call(key, id, now)), "UnrecognizedClientException") << "without the key file nothing can be checked";
  EXPECT_EQ(get("/2015-03-31/functions").status, 200);
}

}  // namespace
}  // namespace mayfly::lambda
