#include <algorithm>
#include <tuple>

#include "server/states/activities.h"
#include "server/states/states_call.h"

namespace mayfly::states {
namespace {

using workflow::WorkflowRevision;

constexpr std::size_t kDescriptionBytesMax = 256 * 4;
constexpr std::size_t kDiagnosticsMax = 100;

/// What create and update have in common; absent members stay as they are in `out`.
void read_settings(Input& input, WorkflowRevision& out) {
  if (const auto role = input.text("roleArn")) {
    out.role_arn = *role;
    if (!role->starts_with("arn:aws") || !role->contains(":iam::"))
      input.fail_with({"aws.InvalidArn", "Invalid Arn: '" + to_utf8_lossy(role->substr(0, 256)) + "'", Retry::Never});
  }
  if (Json logging = input.kept("loggingConfiguration"); !logging.is_null()) out.logging = std::move(logging);
  if (Json tracing = input.kept("tracingConfiguration"); !tracing.is_null()) out.tracing = std::move(tracing);
  if (const JsonObject* encryption = input.object("encryptionConfiguration");
      encryption && get_string(*encryption, "type") != "AWS_OWNED_KEY")
    input.fail_with({"aws.InvalidEncryptionConfiguration",
                     "Mayfly has no customer managed keys: leave encryptionConfiguration out, or use the type AWS_OWNED_KEY",
                     Retry::Never});
}

struct Publishing {
  bool publish = false;
  std::string description;
};
Publishing read_publishing(Input& input) {
  Publishing out{input.boolean("publish").value_or(false), input.text_or("versionDescription", "", kDescriptionBytesMax)};
  if (!out.publish && !out.description.empty())
    input.fail_with({"aws.ValidationException", "Version description can only be set when publish is true", Retry::Never});
  return out;
}

JsonArray tag_list(const std::map<std::string, std::string>& tags) {
  JsonArray out;
  for (const auto& [key, value] : tags) out.push_back(JsonObject{{"key", key}, {"value", value}});
  return out;
}

Error resource_missing(std::string_view arn) {
  return {"aws.ResourceNotFound", "Resource not found: '" + to_utf8_lossy(arn) + "'", Retry::Never};
}

using Tags = std::map<std::string, std::string>;

/// Changes the tags of whatever the ARN names.
Task<Result<Tags>> change_tags(AppContext* app, std::string arn_text, std::function<void(Tags&)> change) {
  const auto arn = parse_arn(arn_text);
  if (!arn) co_return fail(arn.error());
  const auto checked = [&](Tags& tags) -> Result<void> {
    change(tags);
    if (tags.size() > workflow::kTagsMax) return aws_error("TooManyTags", "a resource has at most 50 tags: '" + arn_text + "'");
    return {};
  };
  Tags tags;
  if (arn->kind == Arn::Kind::Activity) {
    auto activity = co_await find_activity(app, arn->name);
    if (!activity) co_return fail(activity.error().code == "activity.not_found" ? resource_missing(arn_text) : activity.error());
    const Tags before = activity->tags;
    if (auto done = checked(activity->tags); !done) co_return fail(done.error());
    tags = activity->tags;
    if (tags != before)
      if (auto written = co_await write_activity(app, *std::move(activity)); !written) co_return fail(written.error());
    co_return tags;
  }
  if (arn->kind != Arn::Kind::StateMachine || !arn->qualifier.empty()) co_return fail(resource_missing(arn_text));
  auto changed = co_await app->workflows->change(arn->name, [&](workflow::WorkflowRecord& record) -> Result<void> {
    auto done = checked(record.tags);
    tags = record.tags;
    return done;
  });
  if (!changed) co_return fail(changed.error().code == "workflow.not_found" ? resource_missing(arn_text) : changed.error());
  co_return tags;
}

}  // namespace

JsonObject revision_view(const WorkflowRevision& revision, bool with_definition) {
  JsonObject out{{"stateMachineArn", state_machine_arn(revision.name)}, {"name", revision.name}, {"roleArn", revision.role_arn}};
  out["definition"] = with_definition ? revision.definition_text : "{}";
  out["loggingConfiguration"] =
      revision.logging.is_null() ? Json(JsonObject{{"level", "OFF"}, {"includeExecutionData", false}}) : revision.logging;
  out["tracingConfiguration"] = revision.tracing.is_null() ? Json(JsonObject{{"enabled", false}}) : revision.tracing;
  out["encryptionConfiguration"] = JsonObject{{"type", "AWS_OWNED_KEY"}};
  out["revisionId"] = revision.revision_id;
  return out;
}

Answer create_state_machine(StatesCall* call) {
  Input input(call->input);
  WorkflowRevision revision;
  revision.name = input.required("name");
  revision.definition_text = input.required("definition", workflow::kDefinitionBytesMax);
  input.required("roleArn", 256);
  revision.type = input.text_or("type", "STANDARD", 20);
  read_settings(input, revision);
  const Publishing publishing = read_publishing(input);
  const auto tags = input.tags("tags");
  if (auto read = input.done(); !read) co_return fail(read.error());
  if (!workflow::is_valid_name(revision.name))
    co_return aws_error("InvalidName", "Invalid Name: '" + to_utf8_lossy(revision.name.substr(0, 300)) + "'");
  if (revision.type != "STANDARD" && revision.type != "EXPRESS")
    co_return aws_error("StateMachineTypeNotSupported", "State Machine Type Not Supported: '" + to_utf8_lossy(revision.type) + "'");
  if (tags.size() > workflow::kTagsMax) co_return aws_error("TooManyTags", "a state machine has at most 50 tags");
  const std::string name = revision.name;
  const bool is_new = !call->app.workflows->record(name);
  auto made = co_await call->app.workflows->deploy(std::move(revision), workflow::WorkflowRegistry::Deploy::MustBeNew);
  if (!made && made.error().code == "workflow.exists")
    co_return aws_error("StateMachineAlreadyExists", "State Machine Already Exists: '" + state_machine_arn(name) + "'");
  if (!made && made.error().code == "workflow.limit") co_return aws_error("StateMachineLimitExceeded", made.error().message);
  if (!made) co_return fail(made.error());
  if (is_new && !tags.empty())
    if (auto tagged = co_await change_tags(&call->app, state_machine_arn(name), [&](Tags& to) { to = tags; }); !tagged)
      co_return fail(tagged.error());
  JsonObject out{{"stateMachineArn", state_machine_arn(name)}};
  if (publishing.publish) {
    auto version = co_await call->app.workflows->publish(name, publishing.description, made->revision_id);
    if (!version) co_return fail(version.error());
    out["stateMachineVersionArn"] = state_machine_arn(name, std::to_string(*version));
  }
  const auto record = call->app.workflows->record(name);
  out["creationDate"] = seconds(record ? record->created : made->created);
  co_return out;
}

Answer update_state_machine(StatesCall* call) {
  Input input(call->input);
  const Arn arn = input.arn("stateMachineArn", Arn::Kind::StateMachine);
  if (auto read = input.done(); !read) co_return fail(read.error());
  if (!arn.qualifier.empty())
    co_return aws_error("ValidationException", "versions and aliases cannot be updated: give the ARN of the state machine");
  const auto current = resolve(call->app, arn);
  if (!current) co_return fail(current.error());
  WorkflowRevision revision = *current->revision;
  if (const auto definition = input.text("definition")) revision.definition_text = *definition;
  read_settings(input, revision);
  const Publishing publishing = read_publishing(input);
  if (auto read = input.done(); !read) co_return fail(read.error());
  const auto is_given = [&](const char* name) { return get(call->input, name) != nullptr; };
  if (!is_given("definition") && !is_given("roleArn") && !is_given("loggingConfiguration") && !is_given("tracingConfiguration") &&
      !is_given("encryptionConfiguration"))
    co_return aws_error("MissingRequiredParameter",
                        "Either the definition, the role ARN, the LoggingConfiguration, the TracingConfiguration or the "
                        "EncryptionConfiguration must be specified");
  auto made = co_await call->app.workflows->deploy(std::move(revision), workflow::WorkflowRegistry::Deploy::MustExist);
  if (!made) co_return fail(made.error());
  JsonObject out{{"updateDate", seconds(made->created)}, {"revisionId", made->revision_id}};
  if (publishing.publish) {
    auto version = co_await call->app.workflows->publish(arn.name, publishing.description, made->revision_id);
    if (!version) co_return fail(version.error());
    out["stateMachineVersionArn"] = state_machine_arn(arn.name, std::to_string(*version));
  }
  co_return out;
}

Answer delete_state_machine(StatesCall* call) {
  Input input(call->input);
  const Arn arn = input.arn("stateMachineArn", Arn::Kind::StateMachine);
  if (auto read = input.done(); !read) co_return fail(read.error());
  if (!arn.qualifier.empty())
    co_return aws_error("ValidationException",
                        "versions and aliases are deleted with DeleteStateMachineVersion and DeleteStateMachineAlias");
  auto removed = co_await call->app.workflows->remove(arn.name);
  if (!removed && removed.error().code != "workflow.not_found") co_return fail(removed.error());
  co_return JsonObject();
}

Answer describe_state_machine(StatesCall* call) {
  Input input(call->input);
  const Arn arn = input.arn("stateMachineArn", Arn::Kind::StateMachine);
  const bool with_data = input.text_or("includedData", "ALL_DATA", 20) != "METADATA_ONLY";
  if (auto read = input.done(); !read) co_return fail(read.error());
  const auto found = resolve(call->app, arn);
  if (!found) co_return fail(found.error());
  const auto record = call->app.workflows->record(arn.name);
  JsonObject out = revision_view(*found->revision, with_data);
  out["stateMachineArn"] = state_machine_arn(arn.name, arn.qualifier);
  out["status"] = "ACTIVE";
  out["type"] = found->revision->type;
  out["creationDate"] = seconds(record->created);
  if (found->version > 0) {
    const workflow::PublishedVersion& version = record->versions.at(found->version);
    out["creationDate"] = seconds(version.created);
    if (!version.description.empty()) out["description"] = version.description;
  }
  co_return out;
}

Answer list_state_machines(StatesCall* call) {
  auto all = call->app.workflows->list();
  std::ranges::sort(all, {}, [](const workflow::WorkflowRecord& record) { return std::tie(record.created, record.name); });
  const auto page = page_of(call->input, all.size());
  if (!page) co_return fail(page.error());
  JsonArray list;
  for (std::size_t i = page->begin; i < page->end; ++i) {
    const auto revision = call->app.workflows->revision(all[i].name);
    list.push_back(JsonObject{{"stateMachineArn", state_machine_arn(all[i].name)},
                              {"name", all[i].name},
                              {"type", revision ? revision->type : "STANDARD"},
                              {"creationDate", seconds(all[i].created)}});
  }
  JsonObject out{{"stateMachines", std::move(list)}};
  if (!page->next.empty()) out["nextToken"] = page->next;
  co_return out;
}

Answer validate_definition(StatesCall* call) {
  Input input(call->input);
  const std::string text = input.required("definition", workflow::kDefinitionBytesMax);
  const std::int64_t wanted = input.integer("maxResults").value_or(0);
  const bool warnings = input.text_or("severity", "ERROR", 20) == "WARNING";
  if (auto read = input.done(); !read) co_return fail(read.error());
  if (wanted < 0 || wanted > static_cast<std::int64_t>(kDiagnosticsMax))
    co_return aws_error("ValidationException", "maxResults must be a number of 0 to 100");
  const std::size_t most = wanted == 0 ? kDiagnosticsMax : static_cast<std::size_t>(wanted);
  const auto definition = parse_json(text);
  std::vector<workflow::Diagnostic> found;
  if (definition)
    found = workflow::validate(*definition, *call->app.expressions);
  else
    found.push_back({workflow::Diagnostic::Severity::Error, "INVALID_JSON_DESCRIPTION", definition.error().message, "/"});
  JsonArray diagnostics;
  bool is_valid = true, truncated = false;
  for (const workflow::Diagnostic& diagnostic : found) {
    const bool is_error = diagnostic.severity == workflow::Diagnostic::Severity::Error;
    is_valid &= !is_error;
    if (!is_error && !warnings) continue;
    if (diagnostics.size() == most) {
      truncated = true;
      continue;
    }
    diagnostics.push_back(JsonObject{{"severity", is_error ? "ERROR" : "WARNING"},
                                     {"code", diagnostic.code},
                                     {"message", diagnostic.message},
                                     {"location", diagnostic.location}});
  }
  co_return JsonObject{{"result", is_valid ? "OK" : "FAIL"}, {"diagnostics", std::move(diagnostics)}, {"truncated", truncated}};
}

Answer tag_resource(StatesCall* call) {
  Input input(call->input);
  const std::string arn = input.required("resourceArn");
  const auto tags = input.tags("tags");
  if (auto read = input.done(); !read) co_return fail(read.error());
  auto done = co_await change_tags(&call->app, arn, [&](Tags& to) {
    for (const auto& [key, value] : tags) to[key] = value;
  });
  if (!done) co_return fail(done.error());
  co_return JsonObject();
}

Answer untag_resource(StatesCall* call) {
  Input input(call->input);
  const std::string arn = input.required("resourceArn");
  const auto keys = input.texts("tagKeys").value_or(std::vector<std::string>());
  if (auto read = input.done(); !read) co_return fail(read.error());
  auto done = co_await change_tags(&call->app, arn, [&](Tags& from) {
    for (const std::string& key : keys) from.erase(key);
  });
  if (!done) co_return fail(done.error());
  co_return JsonObject();
}

Answer list_tags(StatesCall* call) {
  Input input(call->input);
  const std::string arn = input.required("resourceArn");
  if (auto read = input.done(); !read) co_return fail(read.error());
  auto tags = co_await change_tags(&call->app, arn, [](Tags&) {});
  if (!tags) co_return fail(tags.error());
  co_return JsonObject{{"tags", tag_list(*tags)}};
}

}  // namespace mayfly::states
