#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/core/keys.h"

/// The rows of workspaces. All rows of a workspace lie in one partition, so that a change, its event and what must be sent because of it are one commit.
///
///     PPPP/D/WS                  the workspace: names, members, policy, quota (what permissions need)
///     PPPP/F/WS/c                counters: last event number, usage
///     PPPP/F/WS/d/PARENT/NAME    a folder's entry: the node's id, kind. NAME is the normal name, as bytes (never holds '/')
///     PPPP/F/WS/e/NUMBER         an event
///     PPPP/F/WS/g/TIME/ID        what is in the trash, by time
///     PPPP/F/WS/i/NODE           to be indexed (search takes it away), with its state and last error
///     PPPP/F/WS/k/NODE/LOCK      a lock
///     PPPP/F/WS/l/ID             a signed link
///     PPPP/F/WS/m/NODE/ID        a comment
///     PPPP/F/WS/n/NODE           a node
///     PPPP/F/WS/o/NUMBER         outbox: an event that is still to be published (same number as `e`)
///     PPPP/F/WS/r/HASH           an idempotency key and its answer; expires
///     PPPP/F/WS/s/ID             a share link
///     PPPP/F/WS/t/ID             an offered transfer
///     PPPP/F/WS/u/ID             an upload session; and PPPP/F/WS/u/ID/NUMBER its parts
///     PPPP/F/WS/v/NODE/NUMBER    a version of a file
///     PPPP/F/WS/w/ID             a webhook
///     PPPP/F/WS/x/ID             an import under way or ended
///
/// NUMBER is 16 hexadecimal digits.
namespace mayfly::workspace::keys {

using engine::keys::Partition;

Partition partition_of_workspace(std::string_view workspace, Partition partitions);
std::string directory(Partition partition, std::string_view workspace);
std::string directory_prefix(Partition partition);
/// "PPPP/F/WS/KIND/REST" and "PPPP/F/WS/KIND/".
std::string row(Partition partition, std::string_view workspace, char kind, std::string_view rest);
std::string prefix(Partition partition, std::string_view workspace, char kind, std::string_view rest = {});
std::string number(std::uint64_t number);

}  // namespace mayfly::workspace::keys
