#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "trigger/http/route_pattern.h"
#include "trigger/trigger_spec.h"

namespace mayfly::http_triggers {

/// A trigger with a path. Kept by whoever answers a request while the table changes.
struct TriggerRoute {
  trigger::TriggerSpec spec;
  trigger::RoutePattern pattern;

  const trigger::HttpSource* http() const { return std::get_if<trigger::HttpSource>(&spec.source); }
  const trigger::WebhookSource* webhook() const { return std::get_if<trigger::WebhookSource>(&spec.source); }
  std::string method() const { return http() ? http()->method : "POST"; }
};

/// The paths of all HTTP and webhook triggers. Literal segments win over parameters; of two triggers with the same method and shape the one
/// whose name sorts first.
class RouteTable {
 public:
  RouteTable() = default;
  explicit RouteTable(std::vector<trigger::TriggerSpec> specs);

  struct Match {
    std::shared_ptr<const TriggerRoute> route;  ///< null: none
    std::map<std::string, std::string> parameters;
    std::vector<std::string> methods;  ///< of the path, when it is there
  };
  /// HEAD finds the route of GET.
  Match find(std::string_view method, std::string_view path) const;

 private:
  /// By number of segments and the first one, which is always literal.
  using Bucket = std::pair<std::size_t, std::string>;
  std::map<Bucket, std::vector<std::shared_ptr<const TriggerRoute>>> routes_;
};

}  // namespace mayfly::http_triggers
