#include "server/workspaces/actor_of.h"

namespace mayfly {

workspace::Actor actor_of(const Principal& principal) {
  workspace::Actor actor;
  actor.id = "key:" + principal.key_id;
  actor.label = principal.name.substr(0, 100);
  actor.kind = principal.is_person ? workspace::ActorKind::Person : workspace::ActorKind::Agent;
  actor.organisation = principal.organisation;
  actor.administrator = principal.scopes.has(Scope::Admin) && principal.workspace.empty();
  actor.read_only = !principal.scopes.has(Scope::Files) && !principal.scopes.has(Scope::Admin);
  if (!principal.workspace.empty()) actor.only_workspace = principal.workspace;
  if (const auto role = workspace::role_from_string(principal.role_max)) actor.role_max = *role;
  return actor;
}

}  // namespace mayfly
