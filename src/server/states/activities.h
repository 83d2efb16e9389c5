#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/cancel.h"
#include "server/context.h"

/// Activities: tasks that outside workers fetch. Rows `meta/activity/NAME`, and `meta/activity-task/NAME/ID` for what waits for a worker.
namespace mayfly::states {

inline constexpr std::size_t kActivitiesMax = 10'000;

struct Activity {
  std::string name;
  std::map<std::string, std::string> tags;
  TimePoint created{};
};

/// Errors: those of the store; `find_activity` also `activity.not_found`.
Task<Result<Activity>> find_activity(AppContext* app, std::string name);
/// The one that there is, or a new one. Error: `activity.limit`.
Task<Result<Activity>> create_activity(AppContext* app, Activity activity);
Task<Result<void>> write_activity(AppContext* app, Activity activity);
Task<Result<void>> remove_activity(AppContext* app, std::string name);
Task<Result<std::vector<Activity>>> list_activities(AppContext* app);

/// For EngineDependencies::deliver: takes a message {"kind": "activity", "arn", "token", "input", …} of a state machine's task. Safe to be
/// given again.
Task<Result<void>> add_activity_task(AppContext* app, std::string id, JsonObject message);

struct ActivityTask {
  std::string token;
  Json input;
};
/// The oldest task that nobody has and that is still waited for; nothing when none comes within `wait`, or when `gone` is cancelled.
Task<Result<std::optional<ActivityTask>>> take_activity_task(AppContext* app, std::string activity, std::string worker, Millis wait,
                                                             CancelToken gone);

}  // namespace mayfly::states
