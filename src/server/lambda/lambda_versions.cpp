#include "function/function_rules.h"
#include "function/uuid.h"
#include "server/lambda/lambda_config.h"
#include "server/lambda/lambda_handlers.h"

namespace mayfly::lambda {
namespace {

using function::Alias;
using function::FunctionRecord;

Error alias_not_found(const std::string& function, const std::string& name) {
  return {"aws.ResourceNotFoundException", "Alias not found: " + function::function_arn(function, name), Retry::Never};
}

/// What the body says of an alias, over what it was.
Result<void> read_alias(const JsonObject& body, Alias* alias) {
  Fields in(body);
  if (const auto version = in.text("FunctionVersion")) alias->version = *version;
  if (const auto description = in.text("Description")) alias->description = *description;
  if (const auto* routing = in.object("RoutingConfig")) {
    Fields fields(*routing);
    alias->additional_weights.clear();
    if (const auto* weights = fields.object("AdditionalVersionWeights")) {
      Fields each(*weights);
      for (const auto& member : *weights)
        if (const auto weight = each.number(member.key())) alias->additional_weights[member.key()] = *weight;
      if (const auto done = each.done(); !done) return done;
    }
    if (const auto done = fields.done(); !done) return done;
  }
  return in.done();
}

/// The function of the path, without its qualifier.
Result<std::string> function_name(const LambdaCall& call) {
  const auto ref = call.function();
  if (!ref) return fail(ref.error());
  if (!call.app.functions->record(ref->name)) return fail(function::function_not_found(ref->name));
  return ref->name;
}

/// Writes an alias, then answers with it.
Task<Result<net::Response>> write_alias(LambdaCall* call, std::string function, std::string name,
                                        std::function<Result<void>(FunctionRecord&)> change, int status) {
  if (auto changed = co_await call->app.functions->change(function, std::move(change)); !changed) co_return fail(changed.error());
  const FunctionRecord* record = call->app.functions->record(function);
  const auto alias = record ? record->aliases.find(name) : decltype(record->aliases.end()){};
  if (!record || alias == record->aliases.end()) co_return fail(alias_not_found(function, name));
  co_return json_answer(status, alias_view(function, alias->second));
}

}  // namespace

Task<Result<net::Response>> publish_version(LambdaCall* call) {
  const auto name = function_name(*call);
  if (!name) co_return fail(name.error());
  const auto body = read_body(call->request);
  if (!body) co_return fail(body.error());
  Fields in(*body);
  const std::string sha256 = in.text("CodeSha256").value_or(""), description = in.text("Description").value_or(""),
                    if_revision = in.text("RevisionId").value_or("");
  in.refuse("PublishTo", "publish a numbered version");
  if (const auto done = in.done(); !done) co_return fail(done.error());
  const auto published = co_await call->app.functions->publish(*name, description, sha256, if_revision);
  if (!published) co_return fail(published.error());
  co_return json_answer(201, configuration_view(*published, environment_values_for(call->principal)));
}

Task<Result<net::Response>> list_versions(LambdaCall* call) {
  const auto name = function_name(*call);
  if (!name) co_return fail(name.error());
  std::vector<std::string> all{std::string(function::kLatest)};
  for (const auto& [version, revision] : call->app.functions->record(*name)->versions) all.push_back(std::to_string(version));
  const auto page = page_of(call->request, all.size(), 50, 50);
  if (!page) co_return fail(page.error());
  JsonArray versions;
  for (std::size_t i = page->begin; i < page->end; ++i)
    if (const auto found = call->app.functions->resolve({*name, all[i]})) versions.push_back(configuration_view(*found, environment_values_for(call->principal)));
  JsonObject out{{"Versions", std::move(versions)}};
  if (!page->next.empty()) out["NextMarker"] = page->next;
  co_return json_answer(200, out);
}

Task<Result<net::Response>> create_alias(LambdaCall* call) {
  const auto name = function_name(*call);
  if (!name) co_return fail(name.error());
  const auto body = read_body(call->request);
  if (!body) co_return fail(body.error());
  Alias alias;
  alias.name = get_string(*body, "Name");
  alias.revision_id = function::make_uuid(*call->app.random);
  if (const auto read = read_alias(*body, &alias); !read) co_return fail(read.error());
  if (alias.version.empty()) co_return invalid_parameter("FunctionVersion is required: the version that the alias names");
  const auto change = [alias](FunctionRecord& record) -> Result<void> {
    if (record.aliases.contains(alias.name))
      return aws_error("ResourceConflictException", "Alias already exists: " + function::function_arn(record.name, alias.name));
    if (record.aliases.size() >= function::kAliasesMax) return invalid_parameter("a function has at most 200 aliases");
    if (auto ok = function::check_alias(record, alias); !ok) return ok;
    record.aliases[alias.name] = alias;
    return {};
  };
  co_return co_await write_alias(call, *name, alias.name, change, 201);
}

Task<Result<net::Response>> get_alias(LambdaCall* call) {
  const auto name = function_name(*call);
  if (!name) co_return fail(name.error());
  const auto& aliases = call->app.functions->record(*name)->aliases;
  const auto alias = aliases.find(call->parameter("Name"));
  if (alias == aliases.end()) co_return fail(alias_not_found(*name, call->parameter("Name")));
  co_return json_answer(200, alias_view(*name, alias->second));
}

Task<Result<net::Response>> update_alias(LambdaCall* call) {
  const auto name = function_name(*call);
  if (!name) co_return fail(name.error());
  const auto body = read_body(call->request);
  if (!body) co_return fail(body.error());
  Fields in(*body);
  const std::string if_revision = in.text("RevisionId").value_or("");
  if (const auto done = in.done(); !done) co_return fail(done.error());
  const std::string next = function::make_uuid(*call->app.random);
  const auto change = [alias_name = call->parameter("Name"), &body, if_revision, next](FunctionRecord& record) -> Result<void> {
    const auto found = record.aliases.find(alias_name);
    if (found == record.aliases.end()) return fail(alias_not_found(record.name, alias_name));
    if (!if_revision.empty() && if_revision != found->second.revision_id)
      return aws_error(
          "PreconditionFailedException",
          "The Revision Id provided does not match the latest Revision Id. Call the GetAlias API to retrieve the latest Revision Id");
    Alias alias = found->second;
    if (auto read = read_alias(*body, &alias); !read) return read;
    if (auto ok = function::check_alias(record, alias); !ok) return ok;
    alias.revision_id = next;
    found->second = std::move(alias);
    return {};
  };
  co_return co_await write_alias(call, *name, call->parameter("Name"), change, 200);
}

Task<Result<net::Response>> delete_alias(LambdaCall* call) {
  const auto name = function_name(*call);
  if (!name) co_return fail(name.error());
  const std::string alias = call->parameter("Name");
  const auto change = [alias](FunctionRecord& record) -> Result<void> {
    record.aliases.erase(alias);
    record.async.erase(alias);
    record.urls.erase(alias);
    record.concurrency.provisioned.erase(alias);
    return {};
  };
  if (auto changed = co_await call->app.functions->change(*name, change); !changed) co_return fail(changed.error());
  co_return empty_answer(204);
}

Task<Result<net::Response>> list_aliases(LambdaCall* call) {
  const auto name = function_name(*call);
  if (!name) co_return fail(name.error());
  const std::string version = call->query("FunctionVersion");
  std::vector<const Alias*> all;
  for (const auto& [key, alias] : call->app.functions->record(*name)->aliases)
    if (version.empty() || alias.version == version || alias.additional_weights.contains(version)) all.push_back(&alias);
  const auto page = page_of(call->request, all.size(), 50, 10'000);
  if (!page) co_return fail(page.error());
  JsonArray aliases;
  for (std::size_t i = page->begin; i < page->end; ++i) aliases.push_back(alias_view(*name, *all[i]));
  JsonObject out{{"Aliases", std::move(aliases)}};
  if (!page->next.empty()) out["NextMarker"] = page->next;
  co_return json_answer(200, out);
}

}  // namespace mayfly::lambda
