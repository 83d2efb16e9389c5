#include "agent/lineage.h"

#include "agent/object_of.h"

namespace mayfly::agent {

Lineage Lineage::from_json(const Json& value) {
  const JsonObject& in = object_of(value);
  Lineage out;
  if (const JsonArray* agents = get_array(in, "agents"))
    for (const Json& name : *agents)
      if (name.is_string()) out.agents.emplace_back(name.get_string());
  if (const Json* budget = get(in, "budget")) out.budget = amounts_from_json(*budget);
  out.depth_max = get_int(in, "depth_max");
  out.handed_over = get_bool(in, "handed_over");
  out.hops = get_int(in, "hops");
  return out;
}

Json Lineage::to_json() const {
  JsonObject out;
  if (below()) {
    JsonArray names;
    for (const std::string& name : agents) names.emplace_back(name);
    out["agents"] = std::move(names);
    out["depth_max"] = depth_max;
  }
  if (budget != Amounts{}) out["budget"] = mayfly::agent::to_json(budget);
  if (handed_over) out["handed_over"] = true;
  if (hops) out["hops"] = hops;
  return out;
}

}  // namespace mayfly::agent
