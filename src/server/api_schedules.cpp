#include "server/api.h"
#include "server/body_reader.h"
#include "server/problem.h"
#include "schedule/schedule.h"

namespace mayfly {
namespace {

constexpr std::size_t kListDefault = 50, kListMax = 1'000, kPreviewMax = 100;

Result<schedule::ScheduleService*> service_of(const AppContext& app) {
  if (!app.schedules) return fail("schedule.stopping", "schedules are not available yet; try again", Retry::Safe);
  return app.schedules;
}

JsonObject schedule_view(const schedule::ScheduleInfo& info) {
  JsonObject out = to_json(info.spec).get_object();
  out["created"] = to_rfc3339(info.created);
  out["modified"] = to_rfc3339(info.modified);
  out["fired"] = info.fired;
  if (info.next) out["next"] = to_rfc3339(*info.next);
  if (info.last) out["last"] = to_rfc3339(*info.last);
  if (!info.last_error.empty()) out["last_error"] = info.last_error;
  if (const auto expression = schedule::ScheduleExpression::parse(info.spec.expression, info.spec.time_zone)) {
    out["description_of_times"] = expression->describe();
  }
  return out;
}

std::string group_of(const Call& call) {
  const std::string group = call.request.query_parameter("group").value_or(std::string());
  return group.empty() ? "default" : group;
}

Task<Result<net::Response>> list_schedules(AppContext& app, Call& call) {
  const auto service = service_of(app);
  if (!service) co_return fail(service.error());
  const auto limit = read_limit(call.request, kListDefault, kListMax);
  if (!limit) co_return fail(limit.error());
  auto found = co_await (*service)->list({.group = call.request.query_parameter("group").value_or(std::string()),
                                          .prefix = call.request.query_parameter("prefix").value_or(std::string()),
                                          .limit = *limit,
                                          .after = call.request.query_parameter("after").value_or(std::string())});
  if (!found) co_return fail(found.error());
  JsonArray items;
  for (const auto& info : *found) items.push_back(schedule_view(info));
  JsonObject out{{"schedules", std::move(items)}};
  if (found->size() == *limit) out["next"] = found->back().spec.group + "/" + found->back().spec.name;
  co_return json_response(200, std::move(out));
}

Task<Result<net::Response>> get_schedule(AppContext& app, Call& call) {
  const auto service = service_of(app);
  if (!service) co_return fail(service.error());
  auto info = co_await (*service)->get(group_of(call), std::string(call.parameter("schedule")));
  if (!info) co_return fail(info.error());
  co_return json_response(200, schedule_view(*info));
}

Task<Result<net::Response>> put_schedule(AppContext& app, Call& call) {
  const auto service = service_of(app);
  if (!service) co_return fail(service.error());
  auto body = parse_json(call.request.body);
  if (!body) co_return fail(body.error());
  if (body->is_object() && !body->get_object().contains("group")) body->get_object()["group"] = group_of(call);
  auto spec = schedule::schedule_spec_from_json(std::string(call.parameter("schedule")), *body);
  if (!spec) co_return fail(spec.error());
  auto info = co_await (*service)->put(std::move(*spec));
  if (!info) co_return fail(info.error());
  co_return json_response(200, schedule_view(*info));
}

Task<Result<net::Response>> remove_schedule(AppContext& app, Call& call) {
  const auto service = service_of(app);
  if (!service) co_return fail(service.error());
  auto removed = co_await (*service)->remove(group_of(call), std::string(call.parameter("schedule")));
  if (!removed) co_return fail(removed.error());
  co_return net::Response{204, {}, {}};
}

Task<Result<net::Response>> preview_schedule(AppContext& app, Call& call) {
  const auto body = read_object(call.request, {"expression", "time_zone", "count"});
  if (!body) co_return fail(body.error());
  const auto count = read_int(*body, "count", 1, kPreviewMax);
  if (!count) co_return fail(count.error());
  const auto expression = schedule::ScheduleExpression::parse(get_string(*body, "expression"), get_string(*body, "time_zone", "UTC"));
  if (!expression) co_return fail(expression.error());
  const TimePoint now = app.clock->now();
  JsonArray times;
  auto due = expression->next(now, now);
  for (std::int64_t i = 0; due && i < count->value_or(10); ++i, due = expression->next(*due, now)) times.emplace_back(to_rfc3339(*due));
  co_return json_response(200, JsonObject{{"description", expression->describe()}, {"times", std::move(times)}});
}

}  // namespace

void add_schedule_routes(Router& router) {
  router.add("GET", "/v1/schedules", {{Scope::Read}}, list_schedules);
  router.add("POST", "/v1/schedules/preview", {{Scope::Read}}, preview_schedule);
  router.add("GET", "/v1/schedules/{schedule}", {{Scope::Read}}, get_schedule);
  router.add("PUT", "/v1/schedules/{schedule}", {{Scope::Deploy}}, put_schedule);
  router.add("DELETE", "/v1/schedules/{schedule}", {{Scope::Deploy}}, remove_schedule);
}

}  // namespace mayfly
