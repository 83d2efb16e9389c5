#include "function/async/destination.h"
#include "function/function_rules.h"
#include "server/lambda/lambda_config.h"
#include "server/lambda/lambda_handlers.h"

namespace mayfly::lambda {
namespace {

using function::AsyncConfig;
using function::FunctionRecord;

/// Of the account; the supervisor enforces it.
constexpr std::int64_t kConcurrencyMax = 1'000;

std::string qualifier_or_latest(const function::FunctionRef& ref) {
  return ref.qualifier.empty() ? std::string(function::kLatest) : ref.qualifier;
}

// Concurrency

Result<std::string> name_of(const LambdaCall& call) {
  const auto ref = call.existing_function();
  if (!ref) return fail(ref.error());
  return ref->name;
}

// Provisioned concurrency

Result<function::FunctionRef> provisioned_ref(const LambdaCall& call) {
  auto ref = call.existing_function();
  if (!ref) return ref;
  if (ref->qualifier.empty()) return invalid_parameter("Qualifier is required: a version or an alias");
  if (ref->qualifier == function::kLatest)
    return invalid_parameter("Provisioned Concurrency Configs cannot be applied to unpublished function versions.");
  return ref;
}

JsonObject provisioned_view(LambdaCall& call, std::int64_t count) {
  return {{"RequestedProvisionedConcurrentExecutions", count},
          {"AvailableProvisionedConcurrentExecutions", count},
          {"AllocatedProvisionedConcurrentExecutions", count},
          {"Status", "READY"},
          {"LastModified", lambda_time(call.app.clock->now())}};
}

Task<Result<net::Response>> list_provisioned(LambdaCall* call) {
  const auto name = name_of(*call);
  if (!name) co_return fail(name.error());
  const auto& all = call->app.functions->record(*name)->concurrency.provisioned;
  const auto page = page_of(call->request, all.size(), 50, 50);
  if (!page) co_return fail(page.error());
  JsonArray configs;
  std::size_t at = 0;
  for (const auto& [qualifier, count] : all) {
    if (at >= page->begin && at < page->end) {
      JsonObject view = provisioned_view(*call, count);
      view["FunctionArn"] = function::function_arn(*name, qualifier);
      configs.push_back(std::move(view));
    }
    ++at;
  }
  JsonObject out{{"ProvisionedConcurrencyConfigs", std::move(configs)}};
  if (!page->next.empty()) out["NextMarker"] = page->next;
  co_return json_answer(200, out);
}

// EventInvokeConfig

JsonObject event_view(const std::string& name, const std::string& qualifier, const AsyncConfig& config) {
  const auto destination = [](const std::string& arn) { return arn.empty() ? JsonObject() : JsonObject{{"Destination", arn}}; };
  return {{"LastModified", static_cast<double>(to_unix_ms(config.modified)) / 1'000},
          {"FunctionArn", function::function_arn(name, qualifier)},
          {"MaximumRetryAttempts", config.retries_max},
          {"MaximumEventAgeInSeconds", config.age_max.count()},
          {"DestinationConfig", JsonObject{{"OnSuccess", destination(config.on_success)}, {"OnFailure", destination(config.on_failure)}}}};
}

Result<void> read_event_config(const JsonObject& body, AsyncConfig* config) {
  Fields in(body);
  if (const auto retries = in.integer("MaximumRetryAttempts")) config->retries_max = *retries;
  if (const auto age = in.integer("MaximumEventAgeInSeconds")) config->age_max = std::chrono::seconds{*age};
  if (const auto* destinations = in.object("DestinationConfig")) {
    Fields fields(*destinations);
    if (const auto* success = fields.object("OnSuccess")) config->on_success = get_string(*success, "Destination");
    if (const auto* failure = fields.object("OnFailure")) config->on_failure = get_string(*failure, "Destination");
    if (const auto done = fields.done(); !done) return done;
  }
  if (const auto done = in.done(); !done) return done;
  for (const std::string* arn : {&config->on_success, &config->on_failure})
    if (!arn->empty())
      if (auto ok = function::check_destination(*arn); !ok) return ok;
  return function::check_async(*config);
}

Error no_event_config(const function::FunctionRef& ref) {
  return {"aws.ResourceNotFoundException",
          "The function " + function::function_arn(ref.name, qualifier_or_latest(ref)) + " doesn't have an EventInvokeConfig",
          Retry::Never};
}

enum class From { Defaults, WhatItWas };

Task<Result<net::Response>> write_event_config(LambdaCall* call, From from) {
  const auto ref = call->existing_function();
  if (!ref) co_return fail(ref.error());
  const auto body = read_body(call->request);
  if (!body) co_return fail(body.error());
  AsyncConfig written;
  const auto change = [&](FunctionRecord& record) -> Result<void> {
    const std::string qualifier = qualifier_or_latest(*ref);
    const auto found = record.async.find(qualifier);
    if (from == From::WhatItWas && found == record.async.end()) return fail(no_event_config(*ref));
    written = from == From::WhatItWas ? found->second : AsyncConfig();
    if (auto read = read_event_config(*body, &written); !read) return read;
    written.modified = call->app.clock->now();
    record.async[qualifier] = written;
    return {};
  };
  if (auto changed = co_await call->app.functions->change(ref->name, change); !changed) co_return fail(changed.error());
  co_return json_answer(200, event_view(ref->name, qualifier_or_latest(*ref), written));
}

}  // namespace

Task<Result<net::Response>> put_concurrency(LambdaCall* call) {
  const auto name = name_of(*call);
  if (!name) co_return fail(name.error());
  const auto body = read_body(call->request);
  if (!body) co_return fail(body.error());
  Fields in(*body);
  const auto wanted = in.integer("ReservedConcurrentExecutions");
  if (const auto done = in.done(); !done) co_return fail(done.error());
  if (!wanted || *wanted < 0 || *wanted > kConcurrencyMax)
    co_return invalid_parameter("ReservedConcurrentExecutions must be a number of 0 to " + std::to_string(kConcurrencyMax));
  const auto change = [count = *wanted](FunctionRecord& record) -> Result<void> {
    record.concurrency.reserved = count;
    return {};
  };
  if (auto changed = co_await call->app.functions->change(*name, change); !changed) co_return fail(changed.error());
  co_return json_answer(200, {{"ReservedConcurrentExecutions", *wanted}});
}

Task<Result<net::Response>> get_concurrency(LambdaCall* call) {
  const auto name = name_of(*call);
  if (!name) co_return fail(name.error());
  const auto& reserved = call->app.functions->record(*name)->concurrency.reserved;
  co_return json_answer(200, reserved ? JsonObject{{"ReservedConcurrentExecutions", *reserved}} : JsonObject());
}

Task<Result<net::Response>> delete_concurrency(LambdaCall* call) {
  const auto name = name_of(*call);
  if (!name) co_return fail(name.error());
  const auto change = [](FunctionRecord& record) -> Result<void> {
    record.concurrency.reserved.reset();
    return {};
  };
  if (auto changed = co_await call->app.functions->change(*name, change); !changed) co_return fail(changed.error());
  co_return empty_answer(204);
}

Task<Result<net::Response>> put_provisioned(LambdaCall* call) {
  const auto ref = provisioned_ref(*call);
  if (!ref) co_return fail(ref.error());
  const auto body = read_body(call->request);
  if (!body) co_return fail(body.error());
  Fields in(*body);
  const auto wanted = in.integer("ProvisionedConcurrentExecutions");
  if (const auto done = in.done(); !done) co_return fail(done.error());
  if (!wanted || *wanted < 1 || *wanted > kConcurrencyMax)
    co_return invalid_parameter("ProvisionedConcurrentExecutions must be a number of 1 to " + std::to_string(kConcurrencyMax));
  const auto change = [qualifier = ref->qualifier, count = *wanted](FunctionRecord& record) -> Result<void> {
    if (record.concurrency.reserved && count > *record.concurrency.reserved)
      return invalid_parameter("Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function");
    record.concurrency.provisioned[qualifier] = count;
    return {};
  };
  if (auto changed = co_await call->app.functions->change(ref->name, change); !changed) co_return fail(changed.error());
  const auto warmed = call->app.functions->resolve(*ref);
  if (warmed && call->app.supervisor) call->app.supervisor->warm(warmed->revision, warmed->version);
  co_return json_answer(202, provisioned_view(*call, *wanted));
}

Task<Result<net::Response>> get_provisioned(LambdaCall* call) {
  if (call->query("List") == "ALL") co_return co_await list_provisioned(call);
  const auto ref = provisioned_ref(*call);
  if (!ref) co_return fail(ref.error());
  const auto& all = call->app.functions->record(ref->name)->concurrency.provisioned;
  const auto found = all.find(ref->qualifier);
  if (found == all.end())
    co_return aws_error("ProvisionedConcurrencyConfigNotFoundException", "No Provisioned Concurrency Config found for this function");
  co_return json_answer(200, provisioned_view(*call, found->second));
}

Task<Result<net::Response>> delete_provisioned(LambdaCall* call) {
  const auto ref = provisioned_ref(*call);
  if (!ref) co_return fail(ref.error());
  const auto change = [qualifier = ref->qualifier](FunctionRecord& record) -> Result<void> {
    record.concurrency.provisioned.erase(qualifier);
    return {};
  };
  if (auto changed = co_await call->app.functions->change(ref->name, change); !changed) co_return fail(changed.error());
  co_return empty_answer(204);
}

Task<Result<net::Response>> put_event_config(LambdaCall* call) { return write_event_config(call, From::Defaults); }
Task<Result<net::Response>> update_event_config(LambdaCall* call) { return write_event_config(call, From::WhatItWas); }

Task<Result<net::Response>> get_event_config(LambdaCall* call) {
  const auto ref = call->existing_function();
  if (!ref) co_return fail(ref.error());
  const auto& all = call->app.functions->record(ref->name)->async;
  const auto found = all.find(qualifier_or_latest(*ref));
  if (found == all.end()) co_return fail(no_event_config(*ref));
  co_return json_answer(200, event_view(ref->name, found->first, found->second));
}

Task<Result<net::Response>> delete_event_config(LambdaCall* call) {
  const auto ref = call->existing_function();
  if (!ref) co_return fail(ref.error());
  const auto change = [ref = *ref](FunctionRecord& record) -> Result<void> {
    if (record.async.erase(qualifier_or_latest(ref)) == 0) return fail(no_event_config(ref));
    return {};
  };
  if (auto changed = co_await call->app.functions->change(ref->name, change); !changed) co_return fail(changed.error());
  co_return empty_answer(204);
}

Task<Result<net::Response>> list_event_configs(LambdaCall* call) {
  const auto name = name_of(*call);
  if (!name) co_return fail(name.error());
  JsonArray all;
  for (const auto& [qualifier, config] : call->app.functions->record(*name)->async) all.push_back(event_view(*name, qualifier, config));
  const auto page = page_of(call->request, all.size(), 50, 50);
  if (!page) co_return fail(page.error());
  JsonArray configs(all.begin() + static_cast<std::ptrdiff_t>(page->begin), all.begin() + static_cast<std::ptrdiff_t>(page->end));
  JsonObject out{{"FunctionEventInvokeConfigs", std::move(configs)}};
  if (!page->next.empty()) out["NextMarker"] = page->next;
  co_return json_answer(200, out);
}

}  // namespace mayfly::lambda
