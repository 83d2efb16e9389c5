#include <algorithm>
#include <charconv>

#include "server/states/states_call.h"

/// Versions and aliases of state machines.
namespace mayfly::states {
namespace {

using workflow::Alias;
using workflow::WorkflowRecord;

constexpr std::size_t kDescriptionBytesMax = 256 * 4;

std::int64_t number_of(std::string_view text) {
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() ? out : 0;
}

bool is_alias_name(std::string_view name) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' || c == '.'; };
  return !name.empty() && name.size() <= 80 && std::ranges::any_of(name, is_letter) &&
         std::ranges::all_of(name, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

struct Routing {
  std::string machine;
  std::vector<Alias::Route> routes;
};
Result<Routing> read_routing(const JsonArray& list) {
  Routing out;
  std::int64_t sum = 0;
  if (list.empty() || list.size() > 2)
    return aws_error("ValidationException", "Routing configuration must contain 1 or 2 state machine versions.");
  for (const Json& item : list) {
    const JsonObject* route = item.if_object();
    const auto arn = parse_arn(route ? get_string(*route, "stateMachineVersionArn") : std::string(), Arn::Kind::StateMachine);
    if (!arn) return fail(arn.error());
    const std::int64_t version = number_of(arn->qualifier), weight = get_int(*route, "weight", -1);
    if (version < 1) return aws_error("ValidationException", "a routing configuration names versions: an ARN that ends in a number");
    if (weight < 0 || weight > 100) return aws_error("ValidationException", "the weight of a version is a number of 0 to 100");
    if (!out.machine.empty() && out.machine != arn->name)
      return aws_error("ValidationException", "Both stateMachineVersionArn values must belong to the same state machine.");
    out.machine = arn->name;
    out.routes.push_back({version, weight});
    sum += weight;
  }
  if (sum != 100) return aws_error("ValidationException", "The sum of the weights in the routing configuration must be equal to 100.");
  return out;
}

Result<void> check_versions(const WorkflowRecord& record, const std::vector<Alias::Route>& routes) {
  for (const Alias::Route& route : routes)
    if (!record.versions.contains(route.version))
      return aws_error("ResourceNotFound", "Resource not found: '" + state_machine_arn(record.name, std::to_string(route.version)) + "'");
  return {};
}

Error alias_missing(const Arn& arn) {
  return {"aws.ResourceNotFound", "Request references a resource that does not exist: '" + state_machine_arn(arn.name, arn.qualifier) + "'",
          Retry::Never};
}

/// Errors about the state machine become those about the alias.
Error about_alias(const Error& error, const Arn& arn) { return error.code == "workflow.not_found" ? alias_missing(arn) : error; }

}  // namespace

Answer publish_version(StatesCall* call) {
  Input input(call->input);
  const Arn arn = input.arn("stateMachineArn", Arn::Kind::StateMachine);
  const std::string revision = input.text_or("revisionId", "", 100);
  const std::string description = input.text_or("description", "", kDescriptionBytesMax);
  if (auto read = input.done(); !read) co_return fail(read.error());
  auto version = co_await call->app.workflows->publish(arn.name, description, revision);
  if (!version) co_return fail(version.error().code == "workflow.not_found" ? state_machine_missing(arn) : version.error());
  const auto record = call->app.workflows->record(arn.name);
  const TimePoint created = record && record->versions.contains(*version) ? record->versions.at(*version).created : call->app.clock->now();
  co_return JsonObject{{"creationDate", seconds(created)},
                       {"stateMachineVersionArn", state_machine_arn(arn.name, std::to_string(*version))}};
}

Answer delete_version(StatesCall* call) {
  Input input(call->input);
  const Arn arn = input.arn("stateMachineVersionArn", Arn::Kind::StateMachine);
  if (auto read = input.done(); !read) co_return fail(read.error());
  const std::int64_t version = number_of(arn.qualifier);
  if (version < 1) co_return aws_error("ValidationException", "the ARN must be that of a version: it ends in a number");
  auto changed = co_await call->app.workflows->change(arn.name, [&](WorkflowRecord& record) -> Result<void> {
    for (const auto& [name, alias] : record.aliases)
      if (std::ranges::find(alias.routing, version, &Alias::Route::version) != alias.routing.end())
        return aws_error("ConflictException",
                         "Version to be deleted must not be referenced by an alias. Current list of aliases "
                         "referencing this version: [" +
                             name + "]");
    record.versions.erase(version);
    return {};
  });
  if (!changed && changed.error().code != "workflow.not_found") co_return fail(changed.error());
  co_return JsonObject();
}

Answer list_versions(StatesCall* call) {
  Input input(call->input);
  const Arn arn = input.arn("stateMachineArn", Arn::Kind::StateMachine);
  if (auto read = input.done(); !read) co_return fail(read.error());
  const auto record = call->app.workflows->record(arn.name);
  if (!record) co_return fail(state_machine_missing(arn));
  const std::vector versions(record->versions.rbegin(), record->versions.rend());
  const auto page = page_of(call->input, versions.size());
  if (!page) co_return fail(page.error());
  JsonArray list;
  for (std::size_t i = page->begin; i < page->end; ++i)
    list.push_back(JsonObject{{"stateMachineVersionArn", state_machine_arn(arn.name, std::to_string(versions[i].first))},
                              {"creationDate", seconds(versions[i].second.created)}});
  JsonObject out{{"stateMachineVersions", std::move(list)}};
  if (!page->next.empty()) out["nextToken"] = page->next;
  co_return out;
}

Answer create_alias(StatesCall* call) {
  Input input(call->input);
  const std::string name = input.required("name", 80);
  const std::string description = input.text_or("description", "", kDescriptionBytesMax);
  if (auto read = input.done(); !read) co_return fail(read.error());
  if (!is_alias_name(name)) co_return aws_error("InvalidName", "Invalid Name: '" + to_utf8_lossy(name) + "'");
  const JsonArray* list = get_array(call->input, "routingConfiguration");
  const auto routing = read_routing(list ? *list : JsonArray());
  if (!routing) co_return fail(routing.error());
  const std::string arn = state_machine_arn(routing->machine, name);
  TimePoint created = call->app.clock->now();
  auto changed = co_await call->app.workflows->change(routing->machine, [&](WorkflowRecord& record) -> Result<void> {
    if (auto known = check_versions(record, routing->routes); !known) return known;
    if (const auto other = record.aliases.find(name); other != record.aliases.end()) {
      created = other->second.created;
      if (other->second.routing == routing->routes && other->second.description == description) return {};
      return aws_error("ConflictException", "there is an alias of this name with another description or routing: '" + arn + "'");
    }
    if (record.aliases.size() >= workflow::kAliasesMax)
      return aws_error("ServiceQuotaExceededException", "a state machine has at most 100 aliases; delete some");
    record.aliases[name] = {description, routing->routes, created, created};
    return {};
  });
  if (!changed)
    co_return fail(changed.error().code == "workflow.not_found" ? alias_missing({.name = routing->machine, .qualifier = name})
                                                                : changed.error());
  co_return JsonObject{{"stateMachineAliasArn", arn}, {"creationDate", seconds(created)}};
}

Answer update_alias(StatesCall* call) {
  Input input(call->input);
  const Arn arn = input.arn("stateMachineAliasArn", Arn::Kind::StateMachine);
  const auto description = input.text("description");
  if (auto read = input.done(); !read) co_return fail(read.error());
  const JsonArray* list = get_array(call->input, "routingConfiguration");
  if (!description && !list)
    co_return aws_error("ValidationException", "You must provide at least one of routingConfiguration or description");
  const auto routing = list ? read_routing(*list) : Result<Routing>(Routing{arn.name, {}});
  if (!routing) co_return fail(routing.error());
  const TimePoint now = call->app.clock->now();
  auto changed = co_await call->app.workflows->change(arn.name, [&](WorkflowRecord& record) -> Result<void> {
    const auto alias = record.aliases.find(arn.qualifier);
    if (alias == record.aliases.end()) return fail(alias_missing(arn));
    if (auto known = check_versions(record, routing->routes); !known) return known;
    if (list) alias->second.routing = routing->routes;
    if (description) alias->second.description = *description;
    alias->second.updated = now;
    return {};
  });
  if (!changed) co_return fail(about_alias(changed.error(), arn));
  co_return JsonObject{{"updateDate", seconds(now)}};
}

Answer describe_alias(StatesCall* call) {
  Input input(call->input);
  const Arn arn = input.arn("stateMachineAliasArn", Arn::Kind::StateMachine);
  if (auto read = input.done(); !read) co_return fail(read.error());
  const auto record = call->app.workflows->record(arn.name);
  if (!record || !record->aliases.contains(arn.qualifier)) co_return fail(alias_missing(arn));
  const Alias& alias = record->aliases.at(arn.qualifier);
  JsonArray routing;
  for (const Alias::Route& route : alias.routing)
    routing.push_back(
        JsonObject{{"stateMachineVersionArn", state_machine_arn(arn.name, std::to_string(route.version))}, {"weight", route.weight}});
  JsonObject out{{"stateMachineAliasArn", state_machine_arn(arn.name, arn.qualifier)},
                 {"name", arn.qualifier},
                 {"routingConfiguration", std::move(routing)},
                 {"creationDate", seconds(alias.created)},
                 {"updateDate", seconds(alias.updated)}};
  if (!alias.description.empty()) out["description"] = alias.description;
  co_return out;
}

Answer delete_alias(StatesCall* call) {
  Input input(call->input);
  const Arn arn = input.arn("stateMachineAliasArn", Arn::Kind::StateMachine);
  if (auto read = input.done(); !read) co_return fail(read.error());
  auto changed = co_await call->app.workflows->change(arn.name, [&](WorkflowRecord& record) -> Result<void> {
    if (record.aliases.erase(arn.qualifier) == 0) return fail(alias_missing(arn));
    return {};
  });
  if (!changed) co_return fail(about_alias(changed.error(), arn));
  co_return JsonObject();
}

Answer list_aliases(StatesCall* call) {
  Input input(call->input);
  const Arn arn = input.arn("stateMachineArn", Arn::Kind::StateMachine);
  if (auto read = input.done(); !read) co_return fail(read.error());
  const auto record = call->app.workflows->record(arn.name);
  if (!record) co_return fail(state_machine_missing(arn));
  std::vector<std::pair<std::string, Alias>> aliases;
  for (const auto& [name, alias] : record->aliases)
    if (arn.qualifier.empty() || std::ranges::find(alias.routing, number_of(arn.qualifier), &Alias::Route::version) != alias.routing.end())
      aliases.emplace_back(name, alias);
  const auto page = page_of(call->input, aliases.size());
  if (!page) co_return fail(page.error());
  JsonArray list;
  for (std::size_t i = page->begin; i < page->end; ++i)
    list.push_back(JsonObject{{"stateMachineAliasArn", state_machine_arn(arn.name, aliases[i].first)},
                              {"creationDate", seconds(aliases[i].second.created)}});
  JsonObject out{{"stateMachineAliases", std::move(list)}};
  if (!page->next.empty()) out["nextToken"] = page->next;
  co_return out;
}

}  // namespace mayfly::states
