#include "function/function_rules.h"
#include "server/lambda/lambda_body.h"
#include "server/lambda/lambda_handlers.h"

namespace mayfly::lambda {
namespace {

using function::FunctionConfig;
using function::FunctionRecord;

constexpr std::int64_t kConcurrencyMax = 1'000;
constexpr std::int64_t kCodeBytesMax = 80'530'636'800, kZippedMax = 52'428'800, kUnzippedMax = 262'144'000;
constexpr int kTriesMax = 5;

/// Tags belong to a function, not to a version.
Result<std::string> tagged_function(const LambdaCall& call) {
  const auto ref = function::parse_function_ref(call.parameter("Resource"));
  if (!ref) return fail(ref.error());
  if (!ref->qualifier.empty())
    return invalid_parameter("Tags on function aliases and versions are not supported. Please specify a function ARN.");
  if (!call.app.functions->record(ref->name)) return fail(function::function_not_found(ref->name));
  return ref->name;
}

/// What tags of Mayfly's own mean goes into the configuration, for which there is a new revision.
Task<Result<void>> apply_own_tags(AppContext* app, std::string name, std::map<std::string, std::optional<std::string>> changes) {
  std::erase_if(changes, [](const auto& item) { return !item.first.starts_with("mayfly:"); });
  for (int tries = 1; !changes.empty(); ++tries) {
    const auto now = app->functions->resolve({name, {}});
    if (!now) co_return fail(now.error());
    FunctionConfig config = now->revision->config;
    for (const auto& [key, value] : changes)
      if (auto applied = function::apply_tag(key, value, &config); !applied) co_return applied;
    const auto updated = co_await app->functions->update_config(std::move(config), now->revision->revision_id);
    if (updated) break;
    if (updated.error().code != "function.revision_mismatch" || tries == kTriesMax) co_return fail(updated.error());
  }
  co_return Result<void>{};
}

/// A value is set, nothing removes the tag.
Task<Result<net::Response>> change_tags(LambdaCall* call, std::map<std::string, std::optional<std::string>> changes) {
  const auto name = tagged_function(*call);
  if (!name) co_return fail(name.error());
  const auto change = [&changes](FunctionRecord& record) -> Result<void> {
    for (const auto& [key, value] : changes) {
      if (value) record.tags[key] = *value;
      if (!value) record.tags.erase(key);
    }
    return function::check_tags(record.tags);
  };
  if (auto changed = co_await call->app.functions->change(*name, change); !changed) co_return fail(changed.error());
  if (auto applied = co_await apply_own_tags(&call->app, *name, changes); !applied) co_return fail(applied.error());
  co_return empty_answer(204);
}

/// A parameter that may come several times.
std::vector<std::string> all_values(std::string_view query, std::string_view wanted) {
  std::vector<std::string> out;
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const std::string_view part = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const auto equals = std::min(part.find('='), part.size());
    if (net::percent_decode(part.substr(0, equals), true) != std::string(wanted)) continue;
    if (auto value = net::percent_decode(part.substr(std::min(equals + 1, part.size())), true)) out.push_back(std::move(*value));
  }
  return out;
}

}  // namespace

Task<Result<net::Response>> tag_resource(LambdaCall* call) {
  const auto body = read_body(call->request);
  if (!body) co_return fail(body.error());
  Fields in(*body);
  const auto tags = in.map("Tags");
  if (const auto done = in.done(); !done) co_return fail(done.error());
  if (!tags) co_return invalid_parameter("Tags is required");
  if (auto ok = function::check_tags(*tags); !ok) co_return fail(ok.error());
  std::map<std::string, std::optional<std::string>> changes;
  for (const auto& [key, value] : *tags) changes[key] = value;
  co_return co_await change_tags(call, std::move(changes));
}

Task<Result<net::Response>> untag_resource(LambdaCall* call) {
  std::map<std::string, std::optional<std::string>> changes;
  for (std::string& key : all_values(call->request.query, "tagKeys")) changes[std::move(key)] = std::nullopt;
  if (changes.empty()) co_return invalid_parameter("tagKeys is required");
  co_return co_await change_tags(call, std::move(changes));
}

Task<Result<net::Response>> list_tags(LambdaCall* call) {
  const auto name = tagged_function(*call);
  if (!name) co_return fail(name.error());
  JsonObject tags;
  for (const auto& [key, value] : call->app.functions->record(*name)->tags) tags[key] = value;
  co_return json_answer(200, {{"Tags", std::move(tags)}});
}

Task<Result<net::Response>> get_account_settings(LambdaCall* call) {
  std::int64_t reserved = 0;
  std::uint64_t code_bytes = 0;
  const auto records = call->app.functions->list();
  for (const FunctionRecord* record : records) {
    reserved += record->concurrency.reserved.value_or(0);
    if (const auto latest = call->app.functions->revision(record->name, record->latest)) code_bytes += latest->code_bytes;
    for (const auto& [version, number] : record->versions)
      if (const auto published = call->app.functions->revision(record->name, number)) code_bytes += published->code_bytes;
  }
  co_return json_answer(
      200, {{"AccountLimit", JsonObject{{"TotalCodeSize", kCodeBytesMax},
                                        {"CodeSizeUnzipped", kUnzippedMax},
                                        {"CodeSizeZipped", kZippedMax},
                                        {"ConcurrentExecutions", kConcurrencyMax},
                                        {"UnreservedConcurrentExecutions", std::max<std::int64_t>(kConcurrencyMax - reserved, 0)}}},
            {"AccountUsage", JsonObject{{"TotalCodeSize", code_bytes}, {"FunctionCount", records.size()}}}});
}

Task<Result<net::Response>> get_recursion_config(LambdaCall* call) {
  const auto ref = call->existing_function();
  if (!ref) co_return fail(ref.error());
  co_return json_answer(200, {{"RecursiveLoop", "Allow"}});
}

Task<Result<net::Response>> get_runtime_management(LambdaCall* call) {
  const auto ref = call->existing_function();
  if (!ref) co_return fail(ref.error());
  co_return json_answer(200, {{"UpdateRuntimeOn", "Auto"}, {"FunctionArn", function::function_arn(ref->name, ref->qualifier)}});
}

Task<Result<net::Response>> get_code_signing(LambdaCall* call) {
  const auto ref = call->existing_function();
  if (!ref) co_return fail(ref.error());
  // No function has one: this is what Lambda answers then.
  co_return json_answer(200, {{"FunctionName", ref->name}});
}

}  // namespace mayfly::lambda
