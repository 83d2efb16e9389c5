#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "server/router.h"
#include "server/webdav/if_header.h"
#include "server/webdav/xml.h"
#include "workspace/workspaces.h"

/// What the methods of WebDAV share.
namespace mayfly::webdav {

using workspace::Outcome;

/// The tokens of locks that this process saw granted or used. A workspace keeps only a hash of each, but clients want to find their own in lockdiscovery
/// and name them in If: known tokens are shown to the holder alone. After a restart a token is unknown until its holder uses it; the workspace
/// judges it then.
class KnownTokens {
 public:
  struct Entry {
    std::string token, workspace, node;
    TimePoint expires{};
  };
  void put(const std::string& lock, Entry entry, TimePoint now);
  void erase(const std::string& lock) { entries_.erase(lock); }
  const Entry* find(const std::string& lock) const;

 private:
  std::map<std::string, Entry, std::less<>> entries_;
};

/// A resource that a request names: /dav, a workspace's root or what lies in it.
struct DavPath {
  std::string workspace;  ///< name or id, decoded; empty: /dav itself
  std::string path;       ///< normal; "/" is the workspace's root
  bool has_slash = false; ///< at the end of the URL
};

/// One request.
struct Dav {
  AppContext* app = nullptr;
  Call* call = nullptr;
  KnownTokens* tokens = nullptr;
  workspace::Workspaces* all = nullptr;
  workspace::Actor actor;
  DavPath at;
  std::string space;                ///< the workspace's id
  std::vector<IfList> if_lists;
  std::vector<std::string> submitted;  ///< lock tokens of the If header, as the workspace knows them

  const net::Headers& headers() const { return call->request.headers; }
};

/// Nothing: the answer has been sent already.
using Reply = std::optional<net::Response>;

/// "/dav/demo/a%20b" of a workspace and a path in it.
std::string href_of(std::string_view workspace, std::string_view path, bool is_folder);
/// Of an encoded path that begins with "/dav". Errors: `ws.invalid_path`, `ws.invalid_name`.
Outcome<DavPath> parse_dav_path(std::string_view encoded);
/// Of an absolute URL on this host or an absolute path: `Destination`, and tags of If. Errors: `dav.other_host`, and as above.
Outcome<DavPath> parse_dav_url(std::string_view url, const net::Headers& headers);

enum class Depth { Zero, One, Infinity };
/// Error: `dav.invalid_depth`.
Outcome<Depth> read_depth(const net::Headers& headers, Depth otherwise);

/// An answer with a DAV:error element (RFC 4918 §16); `condition` may be empty. The message is for people.
net::Response error_answer(int status, std::string_view condition, std::string_view message, std::string_view href = {});
net::Response refusal_answer(const workspace::Refusal& refusal);
int dav_status(std::string_view code);
bool is_missing(const workspace::Refusal& refusal);

/// The opening and end of a multi-status document, and one response element with a status alone.
std::string multistatus_begin();
std::string multistatus_end();
std::string status_response(std::string_view href, int status, std::string_view condition = {});
std::string status_line(int status);

/// "opaquelocktoken:lk_…" and back; empty: not one of ours.
std::string token_uri(std::string_view token);
std::string token_of_uri(std::string_view uri);

/// What protects what: reads the locks, remembers what was learned.
struct LockView {
  std::vector<workspace::Lock> covering;  ///< the resource itself or (deep) above it
  std::vector<workspace::Lock> below;     ///< of a folder
  std::vector<workspace::Lock> parent;    ///< the parent's own that is not deep
};
Task<Outcome<LockView>> look_at_locks(Dav* dav, std::string space, std::string path);
/// The submitted token that opens this lock, or empty.
std::string token_for(const Dav& dav, const workspace::Lock& lock);

enum class Touches {
  Content,    ///< of one resource; creating it changes the parent too
  Member,     ///< the resource goes, comes or is replaced, with all below it
};
/// Whether the tokens that were submitted open every lock in the way. The answer is a token for the workspace's own check, which decides.
/// Error: `ws.locked`.
Task<Outcome<std::string>> check_locks(Dav* dav, std::string space, std::string path, Touches touches);
/// The If header and, of the request's resource, If-Match and If-None-Match. Error: `dav.precondition`.
Task<Outcome<void>> check_if(Dav* dav);
/// Conditions under which a write of this caller lands: mounted folders overwrite knowingly.
workspace::WriteOptions write_options(std::string token);

// The methods.
Task<Outcome<Reply>> do_propfind(Dav* dav);
Task<Outcome<Reply>> do_proppatch(Dav* dav);
Task<Outcome<Reply>> do_get(Dav* dav);
Task<Outcome<Reply>> do_put(Dav* dav);
Task<Outcome<Reply>> do_mkcol(Dav* dav);
Task<Outcome<Reply>> do_delete(Dav* dav);
Task<Outcome<Reply>> do_copy_or_move(Dav* dav);
Task<Outcome<Reply>> do_lock(Dav* dav);
Task<Outcome<Reply>> do_unlock(Dav* dav);

/// DAV:activelock elements of the locks that cover `path`.
std::string active_locks(const Dav& dav, std::string_view workspace, const std::vector<workspace::Lock>& locks);
std::string supported_lock();

}  // namespace mayfly::webdav
