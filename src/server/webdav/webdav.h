#pragma once

#include <optional>

#include "server/router.h"

namespace mayfly {

/// WebDAV class 1 and 2 (RFC 4918, quota properties of RFC 4331) over workspaces, so that desktops mount them: /dav/{workspace}/…, and /dav/ lists
/// the workspaces that the caller sees. A caller shows an API key as the password of Basic authentication (any user name) or as elsewhere.
/// Locks are the workspace's own locks: what holds over MCP and REST holds here (423), and the other way round.
void add_webdav_routes(Router& router);

/// How the body of a request to /dav is taken: files stream, everything else is whole and small. Nothing for other paths.
std::optional<net::BodyPolicy> webdav_body_policy(const net::Request& head);

}  // namespace mayfly
