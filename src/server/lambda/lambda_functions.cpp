#include "base/hash.h"
#include "base/id.h"
#include "function/function_rules.h"
#include "server/lambda/lambda_config.h"
#include "server/lambda/lambda_handlers.h"

namespace mayfly::lambda {
namespace {

using function::FunctionConfig;
using function::ResolvedFunction;

constexpr std::int64_t kDownloadMinutes = 10;
constexpr int kTriesMax = 5;

/// What the signature of a download covers.
std::string download_signature(const AppContext& app, std::string_view function, std::string_view revision, std::string_view expires) {
  return to_hex(hmac_sha256(app.download_key, std::string(function) + "\n" + std::string(revision) + "\n" + std::string(expires)));
}

std::string download_url(const LambdaCall& call, const ResolvedFunction& function) {
  const std::string revision = std::to_string(function.revision->number);
  const std::string expires = std::to_string(to_unix_ms(call.app.clock->now()) + kDownloadMinutes * 60'000);
  const std::string& name = function.revision->config.name;
  return call.base_url() + "/lambda-code/" + name + "/" + revision + "?expires=" + expires +
         "&signature=" + download_signature(call.app, name, revision, expires);
}

Result<void> apply_tags(const std::map<std::string, std::string>& tags, FunctionConfig* config) {
  if (auto ok = function::check_tags(tags); !ok) return ok;
  for (const auto& [key, value] : tags)
    if (auto applied = function::apply_tag(key, value, config); !applied) return applied;
  return {};
}

/// A function that the caller wants published right away.
Task<Result<net::Response>> answer_published(LambdaCall* call, Result<ResolvedFunction> changed, bool publish, int status) {
  if (changed && publish) {
    const std::string name = changed->revision->config.name;
    changed = co_await call->app.functions->publish(name, "", "", changed->revision->revision_id);
  }
  if (!changed) co_return fail(changed.error());
  co_return json_answer(status, configuration_view(*changed, environment_values_for(call->principal)));
}

/// Set together with the function's name: the caller's changes fit only what he saw.
Task<Result<ResolvedFunction>> update_configuration(AppContext* app, std::string name, JsonObject body, std::string if_revision) {
  for (int tries = 1;; ++tries) {
    const auto now = app->functions->resolve({name, {}});
    if (!now) co_return fail(now.error());
    FunctionConfig config = now->revision->config;
    if (auto read = read_configuration(body, &config); !read) co_return fail(read.error());
    const std::string seen = if_revision.empty() ? now->revision->revision_id : if_revision;
    auto updated = co_await app->functions->update_config(std::move(config), seen);
    const bool was_overtaken = !updated && updated.error().code == "function.revision_mismatch" && if_revision.empty();
    if (!was_overtaken || tries == kTriesMax) co_return updated;
  }
}

/// The function that the path names, which must not be qualified: changes are made to $LATEST.
Result<std::string> changeable(const LambdaCall& call) {
  const auto ref = call.function();
  if (!ref) return fail(ref.error());
  if (!ref->qualifier.empty() && ref->qualifier != function::kLatest)
    return invalid_parameter("versions and aliases cannot be changed like this; name the function without a qualifier");
  if (!call.app.functions->record(ref->name)) return fail(function::function_not_found(ref->name));
  return ref->name;
}

}  // namespace

Task<Result<net::Response>> create_function(LambdaCall* call) {
  const auto body = read_body(call->request);
  if (!body) co_return fail(body.error());
  Fields in(*body);
  const auto name = in.text("FunctionName");
  const auto* code = in.object("Code");
  const auto tags = in.map("Tags").value_or(std::map<std::string, std::string>());
  const bool publish = in.boolean("Publish").value_or(false);
  if (const auto done = in.done(); !done) co_return fail(done.error());
  if (!name || !code) co_return invalid_parameter("FunctionName and Code are required");
  const auto ref = function::parse_function_ref(*name);
  if (!ref) co_return fail(ref.error());
  if (!ref->qualifier.empty()) co_return invalid_parameter("the name of a new function has no qualifier");
  FunctionConfig config;
  config.name = ref->name;
  if (const auto read = read_configuration(*body, &config); !read) co_return fail(read.error());
  if (const auto applied = apply_tags(tags, &config); !applied) co_return fail(applied.error());
  auto package = read_code(*code);
  if (!package) co_return fail(package.error());
  auto created = co_await call->app.functions->create(std::move(config), std::move(*package));
  if (created && !tags.empty()) {
    const auto set_tags = [&tags](function::FunctionRecord& record) -> Result<void> {
      record.tags = tags;
      return {};
    };
    if (auto tagged = co_await call->app.functions->change(ref->name, set_tags); !tagged) co_return fail(tagged.error());
  }
  co_return co_await answer_published(call, std::move(created), publish, 201);
}

Task<Result<net::Response>> get_function(LambdaCall* call) {
  const auto ref = call->function();
  if (!ref) co_return fail(ref.error());
  const auto found = call->app.functions->resolve(*ref);
  if (!found) co_return fail(found.error());
  JsonObject out{{"Configuration", configuration_view(*found, environment_values_for(call->principal))},
                 {"Code", JsonObject{{"RepositoryType", "S3"}}}};
  if (environment_values_for(call->principal) == EnvironmentValues::Shown)
    out["Code"].as_object()["Location"] = download_url(*call, *found);
  const function::FunctionRecord& record = *call->app.functions->record(ref->name);
  if (!record.tags.empty()) {
    JsonObject tags;
    for (const auto& [key, value] : record.tags) tags[key] = value;
    out["Tags"] = std::move(tags);
  }
  if (record.concurrency.reserved) out["Concurrency"] = JsonObject{{"ReservedConcurrentExecutions", *record.concurrency.reserved}};
  co_return json_answer(200, out);
}

Task<Result<net::Response>> get_function_configuration(LambdaCall* call) {
  const auto ref = call->function();
  if (!ref) co_return fail(ref.error());
  const auto found = call->app.functions->resolve(*ref);
  if (!found) co_return fail(found.error());
  co_return json_answer(200, configuration_view(*found, environment_values_for(call->principal)));
}

Task<Result<net::Response>> list_functions(LambdaCall* call) {
  const std::string versions = call->query("FunctionVersion");
  if (!versions.empty() && versions != "ALL") co_return invalid_parameter("FunctionVersion must be ALL");
  std::vector<function::FunctionRef> all;
  for (const function::FunctionRecord* record : call->app.functions->list()) {
    all.push_back({record->name, std::string(versions.empty() ? "" : function::kLatest)});
    if (versions.empty()) continue;
    for (const auto& [version, revision] : record->versions) all.push_back({record->name, std::to_string(version)});
  }
  const auto page = page_of(call->request, all.size(), 50, 50);
  if (!page) co_return fail(page.error());
  JsonArray functions;
  for (std::size_t i = page->begin; i < page->end; ++i)
    if (const auto found = call->app.functions->resolve(all[i])) functions.push_back(configuration_view(*found, environment_values_for(call->principal)));
  JsonObject out{{"Functions", std::move(functions)}};
  if (!page->next.empty()) out["NextMarker"] = page->next;
  co_return json_answer(200, out);
}

Task<Result<net::Response>> update_function_code(LambdaCall* call) {
  const auto name = changeable(*call);
  if (!name) co_return fail(name.error());
  const auto body = read_body(call->request);
  if (!body) co_return fail(body.error());
  Fields in(*body);
  const bool dry_run = in.boolean("DryRun").value_or(false), publish = in.boolean("Publish").value_or(false);
  const std::string if_revision = in.text("RevisionId").value_or("");
  const auto architectures = in.texts("Architectures");
  in.refuse("PublishTo", "publish a version instead");
  if (const auto done = in.done(); !done) co_return fail(done.error());
  auto package = read_code(*body);
  if (!package) co_return fail(package.error());
  auto now = call->app.functions->resolve({*name, {}});
  if (!now) co_return fail(now.error());
  if (architectures && *architectures != now->revision->config.architectures && !(now->revision->config.architectures.empty()))
    co_return invalid_parameter("the architecture of a function cannot be changed here; this server has only one");
  if (dry_run) {
    function::ResolvedFunction shown = *now;
    auto revision = std::make_shared<function::FunctionRevision>(*now->revision);
    revision->code_sha256 = package->sha256_base64();
    revision->code_bytes = package->zip.size();
    shown.revision = std::move(revision);
    co_return json_answer(200, configuration_view(shown, environment_values_for(call->principal)));
  }
  auto updated = co_await call->app.functions->update_code(*name, std::move(*package), if_revision);
  co_return co_await answer_published(call, std::move(updated), publish, 200);
}

Task<Result<net::Response>> update_function_configuration(LambdaCall* call) {
  const auto name = changeable(*call);
  if (!name) co_return fail(name.error());
  auto body = read_body(call->request);
  if (!body) co_return fail(body.error());
  Fields in(*body);
  const std::string if_revision = in.text("RevisionId").value_or("");
  if (const auto done = in.done(); !done) co_return fail(done.error());
  const auto updated = co_await update_configuration(&call->app, *name, std::move(*body), if_revision);
  if (!updated) co_return fail(updated.error());
  co_return json_answer(200, configuration_view(*updated, environment_values_for(call->principal)));
}

Task<Result<net::Response>> delete_function(LambdaCall* call) {
  const auto ref = call->function();
  if (!ref) co_return fail(ref.error());
  if (auto removed = co_await call->app.functions->remove(ref->name, ref->qualifier); !removed) co_return fail(removed.error());
  co_return empty_answer(204);
}

Task<Result<net::Response>> download_code(LambdaCall* call) {
  const std::string& name = call->parameter("FunctionName");
  const std::string& revision = call->parameter("Revision");
  const std::string expires = call->query("expires");
  const bool is_good = equal_constant_time(call->query("signature"), download_signature(call->app, name, revision, expires));
  if (!is_good || std::atoll(expires.c_str()) < to_unix_ms(call->app.clock->now()))
    co_return aws_error("AccessDeniedException", "this location of code has expired; get a new one with GetFunction");
  auto zip = co_await call->app.functions->zip(name, std::atoll(revision.c_str()));
  if (!zip) co_return fail(zip.error());
  co_return net::Response{200, {{"Content-Type", "application/zip"}}, std::move(*zip)};
}

}  // namespace mayfly::lambda
