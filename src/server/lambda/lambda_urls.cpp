#include "base/hash.h"
#include "base/id.h"
#include "function/function_rules.h"
#include "server/lambda/lambda_config.h"
#include "server/lambda/lambda_handlers.h"
#include "server/lambda/lambda_url_event.h"

namespace mayfly::lambda {
namespace {

using function::FunctionRecord;
using function::FunctionUrl;

/// A URL belongs to the function or to an alias.
Result<function::FunctionRef> url_ref(const LambdaCall& call) {
  auto ref = call.existing_function();
  if (!ref) return ref;
  if (ref->qualifier == function::kLatest) ref->qualifier.clear();
  if (!ref->qualifier.empty() && !call.app.functions->record(ref->name)->aliases.contains(ref->qualifier))
    return invalid_parameter("a function URL can be had for an alias or without a qualifier, not for a version");
  return ref;
}

JsonObject url_view(const LambdaCall& call, const std::string& function, const FunctionUrl& url) {
  JsonObject out{{"FunctionUrl", call.base_url() + "/lambda-url/" + url.id + "/"},
                 {"FunctionArn", function::function_arn(function, url.qualifier)},
                 {"AuthType", url.needs_iam ? "AWS_IAM" : "NONE"},
                 {"InvokeMode", url.streams ? "RESPONSE_STREAM" : "BUFFERED"},
                 {"CreationTime", lambda_time(url.created)},
                 {"LastModifiedTime", lambda_time(url.modified)}};
  if (url.cors.is_object()) out["Cors"] = url.cors;
  return out;
}

enum class AuthType { Required, AsItWas };

Result<void> read_url(const JsonObject& body, AuthType auth, FunctionUrl* url) {
  Fields in(body);
  const auto auth_type = in.text("AuthType"), mode = in.text("InvokeMode");
  const auto* cors = in.object("Cors");
  if (const auto done = in.done(); !done) return done;
  if ((auth == AuthType::Required && !auth_type) || (auth_type && *auth_type != "NONE" && *auth_type != "AWS_IAM"))
    return invalid_parameter("AuthType must be NONE or AWS_IAM");
  if (mode && *mode != "BUFFERED" && *mode != "RESPONSE_STREAM") return invalid_parameter("InvokeMode must be BUFFERED or RESPONSE_STREAM");
  if (auth_type) url->needs_iam = *auth_type == "AWS_IAM";
  if (mode) url->streams = *mode == "RESPONSE_STREAM";
  if (!cors) return {};
  auto checked = read_cors(*cors);
  if (!checked) return fail(checked.error());
  url->cors = std::move(*checked);
  return {};
}

Error no_url(const function::FunctionRef& ref) {
  return {"aws.ResourceNotFoundException",
          "The resource you requested does not exist: " + function::function_arn(ref.name, ref.qualifier) + " has no function URL",
          Retry::Never};
}

Task<Result<net::Response>> write_url(LambdaCall* call, AuthType auth) {
  const auto ref = url_ref(*call);
  if (!ref) co_return fail(ref.error());
  const auto body = read_body(call->request);
  if (!body) co_return fail(body.error());
  const bool is_new = auth == AuthType::Required;
  FunctionUrl written;
  const auto change = [&](FunctionRecord& record) -> Result<void> {
    const auto found = record.urls.find(ref->qualifier);
    if (is_new && found != record.urls.end())
      return aws_error("ResourceConflictException",
                       "Failed to create function url config for [functionArn = " + function::function_arn(record.name, ref->qualifier) +
                           "]. Error message:  FunctionUrlConfig exists for this Lambda function");
    if (!is_new && found == record.urls.end()) return fail(no_url(*ref));
    written = is_new ? FunctionUrl() : found->second;
    if (auto read = read_url(*body, auth, &written); !read) return read;
    written.qualifier = ref->qualifier;
    written.modified = call->app.clock->now();
    if (is_new) {
      written.id = to_hex(secure_random_bytes(16));
      written.created = written.modified;
    }
    record.urls[ref->qualifier] = written;
    return {};
  };
  if (auto changed = co_await call->app.functions->change(ref->name, change); !changed) co_return fail(changed.error());
  co_return json_answer(is_new ? 201 : 200, url_view(*call, ref->name, written));
}

}  // namespace

Task<Result<net::Response>> create_url(LambdaCall* call) { return write_url(call, AuthType::Required); }
Task<Result<net::Response>> update_url(LambdaCall* call) { return write_url(call, AuthType::AsItWas); }

Task<Result<net::Response>> get_url(LambdaCall* call) {
  const auto ref = url_ref(*call);
  if (!ref) co_return fail(ref.error());
  const auto& urls = call->app.functions->record(ref->name)->urls;
  const auto found = urls.find(ref->qualifier);
  if (found == urls.end()) co_return fail(no_url(*ref));
  co_return json_answer(200, url_view(*call, ref->name, found->second));
}

Task<Result<net::Response>> delete_url(LambdaCall* call) {
  const auto ref = url_ref(*call);
  if (!ref) co_return fail(ref.error());
  const auto change = [ref = *ref](FunctionRecord& record) -> Result<void> {
    if (record.urls.erase(ref.qualifier) == 0) return fail(no_url(ref));
    return {};
  };
  if (auto changed = co_await call->app.functions->change(ref->name, change); !changed) co_return fail(changed.error());
  co_return empty_answer(204);
}

Task<Result<net::Response>> list_urls(LambdaCall* call) {
  const auto ref = call->existing_function();
  if (!ref) co_return fail(ref.error());
  JsonArray all;
  for (const auto& [qualifier, url] : call->app.functions->record(ref->name)->urls) all.push_back(url_view(*call, ref->name, url));
  const auto page = page_of(call->request, all.size(), 50, 50);
  if (!page) co_return fail(page.error());
  JsonObject out{{"FunctionUrlConfigs",
                  JsonArray(all.begin() + static_cast<std::ptrdiff_t>(page->begin), all.begin() + static_cast<std::ptrdiff_t>(page->end))}};
  if (!page->next.empty()) out["NextMarker"] = page->next;
  co_return json_answer(200, out);
}

}  // namespace mayfly::lambda
