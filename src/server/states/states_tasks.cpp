#include "server/states/activities.h"
#include "server/states/executions.h"
#include "server/states/states_call.h"

namespace mayfly::states {
namespace {

constexpr Millis kPollMax{60'000};
constexpr std::size_t kTokenBytesMax = 2'048;

JsonObject activity_view(const Activity& activity) {
  return {{"activityArn", activity_arn(activity.name)}, {"name", activity.name}, {"creationDate", seconds(activity.created)}};
}

/// The result of answering a task: an empty document.
Result<JsonObject> nothing_or(Result<void> done) {
  if (!done) return fail(done.error());
  return JsonObject();
}

}  // namespace

Answer send_task_success(StatesCall* call) {
  Input input(call->input);
  const std::string token = input.required("taskToken", kTokenBytesMax);
  const std::string text = input.required("output", workflow::kStateBytesMax);
  if (auto read = input.done(); !read) co_return fail(read.error());
  auto output = parse_json(text);
  if (!output) co_return aws_error("InvalidOutput", "Invalid Output: '" + output.error().message + "'");
  co_return nothing_or(co_await task_succeeded(&call->app, token, *std::move(output)));
}

Answer send_task_failure(StatesCall* call) {
  Input input(call->input);
  const std::string token = input.required("taskToken", kTokenBytesMax);
  const std::string error = input.text_or("error", "", 256 * 4), cause = input.text_or("cause", "", 32'768);
  if (auto read = input.done(); !read) co_return fail(read.error());
  co_return nothing_or(co_await task_failed(&call->app, token, error, cause));
}

Answer send_task_heartbeat(StatesCall* call) {
  Input input(call->input);
  const std::string token = input.required("taskToken", kTokenBytesMax);
  if (auto read = input.done(); !read) co_return fail(read.error());
  co_return nothing_or(co_await task_heartbeat(&call->app, token));
}

Answer create_activity(StatesCall* call) {
  Input input(call->input);
  const std::string name = input.required("name");
  const auto tags = input.tags("tags");
  if (auto read = input.done(); !read) co_return fail(read.error());
  if (!workflow::is_valid_name(name)) co_return aws_error("InvalidName", "Invalid Name: '" + to_utf8_lossy(name.substr(0, 300)) + "'");
  if (tags.size() > workflow::kTagsMax) co_return aws_error("TooManyTags", "an activity has at most 50 tags");
  auto made = co_await create_activity(&call->app, Activity{name, tags, {}});
  if (!made) co_return fail(made.error());
  co_return JsonObject{{"activityArn", activity_arn(name)}, {"creationDate", seconds(made->created)}};
}

Answer delete_activity(StatesCall* call) {
  Input input(call->input);
  const Arn arn = input.arn("activityArn", Arn::Kind::Activity);
  if (auto read = input.done(); !read) co_return fail(read.error());
  co_return nothing_or(co_await remove_activity(&call->app, arn.name));
}

Answer describe_activity(StatesCall* call) {
  Input input(call->input);
  const Arn arn = input.arn("activityArn", Arn::Kind::Activity);
  if (auto read = input.done(); !read) co_return fail(read.error());
  const auto activity = co_await find_activity(&call->app, arn.name);
  if (!activity) co_return fail(activity.error());
  JsonObject out = activity_view(*activity);
  out["encryptionConfiguration"] = JsonObject{{"type", "AWS_OWNED_KEY"}};
  co_return out;
}

Answer list_activities(StatesCall* call) {
  const auto all = co_await list_activities(&call->app);
  if (!all) co_return fail(all.error());
  const auto page = page_of(call->input, all->size());
  if (!page) co_return fail(page.error());
  JsonArray list;
  for (std::size_t i = page->begin; i < page->end; ++i) list.push_back(activity_view((*all)[i]));
  JsonObject out{{"activities", std::move(list)}};
  if (!page->next.empty()) out["nextToken"] = page->next;
  co_return out;
}

Answer get_activity_task(StatesCall* call) {
  Input input(call->input);
  const Arn arn = input.arn("activityArn", Arn::Kind::Activity);
  const std::string worker = input.text_or("workerName", "", 80 * 4);
  if (auto read = input.done(); !read) co_return fail(read.error());
  if (const auto known = co_await find_activity(&call->app, arn.name); !known) co_return fail(known.error());
  auto task = co_await take_activity_task(&call->app, arn.name, worker, kPollMax, call->disconnected);
  if (!task) co_return fail(task.error());
  if (!*task) co_return JsonObject{{"taskToken", nullptr}};
  co_return JsonObject{{"taskToken", (*task)->token}, {"input", to_text((*task)->input)}};
}

}  // namespace mayfly::states
