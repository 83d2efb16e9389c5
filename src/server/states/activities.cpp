#include "server/states/activities.h"

#include "net/http.h"
#include "server/states/states_arn.h"
#include "workflow/workflow.h"

namespace mayfly::states {
namespace {

constexpr std::string_view kPrefix = "meta/activity/";
constexpr std::string_view kTaskPrefix = "meta/activity-task/";
constexpr std::size_t kPage = 100;

std::string key_of(std::string_view name) { return std::string(kPrefix) + std::string(name); }
std::string tasks_of(std::string_view name) { return std::string(kTaskPrefix) + std::string(name) + "/"; }

std::string to_row(const Activity& activity) {
  JsonObject tags;
  for (const auto& [key, value] : activity.tags) tags[key] = value;
  return to_text(JsonObject{{"name", activity.name}, {"tags", std::move(tags)}, {"created", to_unix_ms(activity.created)}});
}

Result<Activity> from_row(std::string_view row) {
  const auto value = parse_json(row);
  const JsonObject* object = value ? value->if_object() : nullptr;
  if (!object) return fail("store.damaged", "the record of an activity cannot be read; restore the data directory from a backup");
  Activity out{get_string(*object, "name"), {}, from_unix_ms(get_int(*object, "created"))};
  if (const JsonObject* tags = get_object(*object, "tags"))
    for (const auto& tag : *tags) out.tags[std::string(tag.key())] = get_string(*tags, tag.key());
  return out;
}

/// Sleeps until somebody rings. A ring that comes before counts.
class Bell {
 public:
  void ring() {
    rung_ = true;
    if (resume_) std::exchange(resume_, nullptr)->operator()(true);
  }
  bool take() { return std::exchange(rung_, false); }
  void wait(Resume<bool> resume) { resume_ = std::make_unique<Resume<bool>>(std::move(resume)); }

 private:
  bool rung_ = false;
  std::unique_ptr<Resume<bool>> resume_;
};

/// Whether the execution still waits for the task.
Task<Result<bool>> is_wanted(AppContext* app, std::string token) {
  const auto task = workflow::parse_task_token(token);
  if (!task) co_return false;
  auto found = co_await app->engine->operations_by_id(task->run, {task->operation});
  if (!found && found.error().code == "run.not_found") co_return false;
  if (!found) co_return fail(found.error());
  co_return !found->empty() && std::holds_alternative<engine::PendingOperation>(found->front());
}

/// One look: the first task that this caller gets.
Task<Result<std::optional<ActivityTask>>> take_now(AppContext* app, std::string activity, std::string worker) {
  KeyRange range = KeyRange::prefix(tasks_of(activity));
  for (bool more = true; more;) {
    auto rows = co_await app->store->scan(range, kPage, Direction::Forward);
    if (!rows) co_return fail(rows.error());
    more = rows->size() == kPage;
    if (more) range.begin = rows->back().key + '\0';
    for (const Record& row : *rows) {
      const auto value = parse_json(row.value);
      const JsonObject* task = value ? value->if_object() : nullptr;
      const std::string token = task ? get_string(*task, "token") : std::string();
      const auto wanted = co_await is_wanted(app, token);
      if (!wanted) co_return fail(wanted.error());
      Batch batch;
      batch.require.push_back(Precondition::version_equals(row.key, row.version));
      batch.deletes.push_back(row.key);
      auto outcome = co_await app->store->commit(std::move(batch));
      if (!outcome) co_return fail(outcome.error());
      if (!outcome->committed() || !*wanted) continue;  // another worker was faster, or nobody waits any more
      const auto ref = workflow::parse_task_token(token);
      // The task has ended meanwhile.
      if (auto noted = co_await app->engine->command(ref->run, workflow::activity_started_command(*ref, worker)); !noted) continue;
      const Json* input = get(*task, "input");
      auto whole = co_await app->engine->unspill(input ? *input : Json());
      if (!whole) co_return fail(whole.error());
      co_return ActivityTask{token, *std::move(whole)};
    }
  }
  co_return std::nullopt;
}

}  // namespace

Task<Result<Activity>> find_activity(AppContext* app, std::string name) {
  auto row = co_await app->store->get(key_of(name));
  if (!row) co_return fail(row.error());
  if (!*row) co_return fail("activity.not_found", "Activity Does Not Exist: '" + activity_arn(to_utf8_lossy(name)) + "'");
  co_return from_row((*row)->value);
}

Task<Result<Activity>> create_activity(AppContext* app, Activity activity) {
  auto all = co_await list_activities(app);
  if (!all) co_return fail(all.error());
  for (Activity& other : *all)
    if (other.name == activity.name) co_return std::move(other);
  if (all->size() >= kActivitiesMax) co_return fail("activity.limit", "there are 10,000 activities already; delete some");
  activity.created = app->clock->now();
  if (auto written = co_await write_activity(app, activity); !written) co_return fail(written.error());
  co_return activity;
}

Task<Result<void>> write_activity(AppContext* app, Activity activity) {
  Batch batch;
  batch.puts.push_back({key_of(activity.name), to_row(activity)});
  auto outcome = co_await app->store->commit(std::move(batch));
  if (!outcome) co_return fail(outcome.error());
  co_return Result<void>{};
}

Task<Result<void>> remove_activity(AppContext* app, std::string name) {
  Batch batch;
  batch.deletes.push_back(key_of(name));
  auto outcome = co_await app->store->commit(std::move(batch));
  if (!outcome) co_return fail(outcome.error());
  co_return Result<void>{};
}

Task<Result<std::vector<Activity>>> list_activities(AppContext* app) {
  auto rows = co_await app->store->scan(KeyRange::prefix(kPrefix), kActivitiesMax, Direction::Forward);
  if (!rows) co_return fail(rows.error());
  std::vector<Activity> out;
  for (const Record& row : *rows) {
    auto activity = from_row(row.value);
    if (!activity) co_return fail(activity.error());
    out.push_back(*std::move(activity));
  }
  co_return out;
}

Task<Result<void>> add_activity_task(AppContext* app, std::string id, JsonObject message) {
  const std::string text = get_string(message, "arn");
  const auto arn = parse_arn(text, Arn::Kind::Activity);
  if (!arn) co_return fail(arn.error());
  const std::string key = tasks_of(arn->name) + net::percent_encode(id);
  const Json* input = get(message, "input");
  auto stored = co_await app->engine->spill(input ? *input : Json());
  if (!stored) co_return fail(stored.error());
  Batch batch;
  batch.require.push_back(Precondition::absent(key));
  batch.puts.push_back({key, to_text(JsonObject{{"token", get_string(message, "token")}, {"input", *std::move(stored)}})});
  auto outcome = co_await app->store->commit(std::move(batch));
  if (!outcome) co_return fail(outcome.error());
  co_return Result<void>{};
}

Task<Result<std::optional<ActivityTask>>> take_activity_task(AppContext* app, std::string activity, std::string worker, Millis wait,
                                                             CancelToken gone) {
  const auto bell = std::make_shared<Bell>();
  const auto watch = app->store->watch(tasks_of(activity), [bell] { bell->ring(); });
  bool is_over = false;
  const auto end = [bell, &is_over] {
    is_over = true;
    bell->ring();
  };
  const auto timer = app->clock->call_after(wait, end);
  const auto on_gone = gone.on_cancel(end);
  const auto on_stop = app->stopping.on_cancel(end);
  for (;;) {
    auto taken = is_over ? Result<std::optional<ActivityTask>>(std::nullopt) : co_await take_now(app, activity, worker);
    if (!taken || *taken || is_over) co_return taken;
    if (!bell->take()) co_await suspend<bool>([bell](Resume<bool> resume) { bell->wait(std::move(resume)); });
    (void)bell->take();
  }
}

}  // namespace mayfly::states
