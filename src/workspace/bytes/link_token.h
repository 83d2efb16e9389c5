#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/random.h"
#include "workspace/outcome.h"
#include "workspace/transaction.h"
#include "workspace/types.h"

/// What links, shares and transfers have in common: tokens that tell where they belong and whose secret part is not stored.
namespace mayfly::workspace {

/// "WORKSPACE.ID.SECRET": SECRET is 256 random bits, base64url. Only the SHA-256 of the whole is kept.
struct LinkToken {
  std::string text;
  std::string workspace;
  std::string id;

  std::string hash() const;
  /// In constant time.
  bool fits(std::string_view stored_hash) const;
};
LinkToken make_link_token(std::string_view workspace, std::string_view id);
/// Nothing when the text cannot be a token.
std::optional<LinkToken> parse_link_token(std::string_view text);
/// `link.invalid`: the one answer to unknown, spent, revoked and expired links.
std::unexpected<Refusal> link_invalid();

/// Mayfly itself, in the workspace's organisation.
Actor system_actor(const Workspace& workspace);
/// An actor as far as it is needed to act later, with no more rights than it had in this workspace.
JsonObject to_record(const Actor& actor);
Actor actor_from_record(const JsonObject& record);

/// The row as an object; nothing when it is not there. Error: `store.damaged`.
Task<Outcome<std::optional<JsonObject>>> read_object(Transaction& rows, std::string key);
/// The milliseconds of a member; nothing when it is missing.
std::optional<TimePoint> get_time(const JsonObject& object, std::string_view key);

}  // namespace mayfly::workspace
