#include "server/http_triggers/route_table.h"

#include <algorithm>

namespace mayfly::http_triggers {
namespace {

const std::string* path_of(const trigger::TriggerSpec& spec) {
  if (const auto* http = std::get_if<trigger::HttpSource>(&spec.source)) return &http->path;
  if (const auto* webhook = std::get_if<trigger::WebhookSource>(&spec.source)) return &webhook->path;
  return nullptr;
}

}  // namespace

RouteTable::RouteTable(std::vector<trigger::TriggerSpec> specs) {
  for (trigger::TriggerSpec& spec : specs) {
    const std::string* path = path_of(spec);
    auto pattern = path ? trigger::parse_route_pattern(*path) : fail("trigger.invalid", "");
    if (!pattern) continue;
    auto& bucket = routes_[{pattern->segments.size(), pattern->segments.front()}];
    bucket.push_back(std::make_shared<const TriggerRoute>(TriggerRoute{std::move(spec), std::move(*pattern)}));
  }
  for (auto& [key, bucket] : routes_)
    std::ranges::sort(bucket, [](const auto& a, const auto& b) {
      if (a->pattern.before(b->pattern)) return true;
      return !b->pattern.before(a->pattern) && a->spec.name < b->spec.name;
    });
}

RouteTable::Match RouteTable::find(std::string_view method, std::string_view path) const {
  Match out;
  if (!path.starts_with('/') || path.size() > trigger::kPathBytesMax * 4) return out;
  const auto count = static_cast<std::size_t>(std::ranges::count(path, '/'));
  const auto bucket = routes_.find({count, std::string(path.substr(1, std::min(path.find('/', 1), path.size()) - 1))});
  if (bucket == routes_.end()) return out;
  if (method == "HEAD") method = "GET";
  const trigger::RoutePattern* best = nullptr;
  for (const auto& route : bucket->second) {
    if (best && !best->same_shape(route->pattern)) continue;
    auto parameters = route->pattern.match(path);
    if (!parameters) continue;
    best = &route->pattern;
    if (std::ranges::find(out.methods, route->method()) == out.methods.end()) out.methods.push_back(route->method());
    if (out.route || route->method() != method) continue;
    out.route = route;
    out.parameters = std::move(*parameters);
  }
  return out;
}

}  // namespace mayfly::http_triggers
