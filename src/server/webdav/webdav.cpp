#include "server/webdav/webdav.h"

#include <algorithm>
#include <array>

#include "base/hash.h"
#include "base/log.h"
#include "server/webdav/dav.h"
#include "server/workspaces/actor_of.h"

namespace mayfly {
namespace {

using namespace webdav;  // NOLINT: this is its entry

constexpr std::size_t kFileBytesMax = 16ULL << 30;
constexpr std::size_t kDrainBytesMax = 1 << 20;
constexpr std::string_view kMethods = "OPTIONS, GET, HEAD, PUT, DELETE, PROPFIND, PROPPATCH, MKCOL, COPY, MOVE, LOCK, UNLOCK";

struct Method {
  std::string_view name;
  Task<Outcome<Reply>> (*run)(Dav* dav);
};
constexpr auto kTable = std::to_array<Method>({{"PROPFIND", do_propfind},
                                               {"PROPPATCH", do_proppatch},
                                               {"GET", do_get},
                                               {"HEAD", do_get},
                                               {"PUT", do_put},
                                               {"MKCOL", do_mkcol},
                                               {"DELETE", do_delete},
                                               {"COPY", do_copy_or_move},
                                               {"MOVE", do_copy_or_move},
                                               {"LOCK", do_lock},
                                               {"UNLOCK", do_unlock}});

/// The caller, by Basic authentication or as the rest of the API takes keys.
Result<Principal> who_calls(const AppContext& app, const net::Headers& headers) {
  net::Headers shown;
  const std::string_view authorization = headers.find("authorization").value_or("");
  if (authorization.size() > 6 && net::equal_ignoring_case(authorization.substr(0, 6), "basic ")) {
    const auto text = from_base64(authorization.substr(authorization.find_last_of(' ') + 1));
    const auto colon = text ? text->find(':') : std::string::npos;
    if (colon == std::string::npos) return fail("auth.invalid", "the Authorization header cannot be read; give an API key as the password");
    shown.add("x-api-key", text->substr(colon + 1));
  }
  auto principal = app.keys->authenticate(shown.size() > 0 ? shown : headers);
  if (!principal) return principal;
  const Scopes scopes = principal->scopes;
  if (!scopes.has(Scope::Admin) && !scopes.intersects({Scope::Read, Scope::Files}))
    return fail("auth.forbidden", "the API key '" + principal->name + "' lacks the scope read or files; create a key that has it with `mayfly keys create`");
  return principal;
}

net::Response options_answer() {
  net::Response out;
  out.headers.add("DAV", "1, 2");
  out.headers.add("MS-Author-Via", "DAV");
  out.headers.add("Allow", std::string(kMethods));
  out.headers.add("Accept-Ranges", "bytes");
  return out;
}

/// What the If header says is read once; it is judged by the method, which knows what it touches.
Outcome<void> read_conditions(Dav& dav) {
  const auto text = dav.headers().find("if");
  if (!text) return {};
  auto lists = parse_if(*text);
  if (!lists) return std::unexpected(lists.error());
  dav.if_lists = std::move(*lists);
  for (const std::string& uri : submitted_tokens(dav.if_lists))
    if (std::string token = token_of_uri(uri); !token.empty()) dav.submitted.push_back(std::move(token));
  return {};
}

Task<Outcome<Reply>> serve(Dav* dav) {
  const net::Request& request = dav->call->request;
  if (request.method == "OPTIONS") co_return options_answer();
  const auto method = std::ranges::find(kTable, request.method, &Method::name);
  if (method == kTable.end()) {
    net::Response refused = error_answer(405, {}, request.method.substr(0, 20) + " is not possible here");
    refused.headers.add("Allow", std::string(kMethods));
    co_return refused;
  }
  auto principal = who_calls(*dav->app, request.headers);
  if (!principal) co_return std::unexpected(principal.error());
  dav->call->principal = std::move(*principal);
  const std::string& key = dav->call->principal.key_id;
  if (dav->app->keys->note_use(key) && dav->app->tasks) dav->app->tasks->spawn(dav->app->keys->store_use(key));
  dav->all = dav->app->workspaces;
  if (!dav->all) co_return workspace::refuse("ws.busy", "workspaces are not available yet; try again", {}, Retry::Safe);
  dav->actor = actor_of(dav->call->principal);
  auto at = parse_dav_path(request.path);
  if (!at) co_return std::unexpected(at.error());
  dav->at = std::move(*at);
  if (auto read = read_conditions(*dav); !read) co_return std::unexpected(read.error());
  if (!dav->at.workspace.empty()) {
    auto found = dav->all->spaces->find(dav->actor, dav->at.workspace, workspace::Role::Viewer);
    if (!found) co_return std::unexpected(found.error());
    dav->space = found->id;
  } else if (request.method != "PROPFIND" && request.method != "GET" && request.method != "HEAD") {
    co_return workspace::refuse("dav.forbidden", "/dav/ lists the workspaces and cannot be changed; make workspaces over the API");
  }
  if (auto checked = co_await check_if(dav); !checked) co_return std::unexpected(checked.error());
  co_return co_await method->run(dav);
}

/// A little that nobody will read, so that the connection can be kept and the client sees the answer.
Task<> drain(net::Request* request) {
  std::size_t bytes = 0;
  while (request->body_reader && bytes < kDrainBytesMax) {
    auto piece = co_await request->body_reader->next();
    if (!piece || !*piece) co_return;
    bytes += (*piece)->size();
  }
}

struct State {
  KnownTokens tokens;
};

Task<> answer(std::shared_ptr<State> state, AppContext* app, Call* call) {
  Dav dav{.app = app, .call = call, .tokens = &state->tokens};
  auto reply = co_await serve(&dav);
  if (call->responder.started()) co_return;
  if (!reply && dav_status(reply.error().code) >= 500 && reply.error().retry != Retry::Safe && reply.error().code != "ws.quota")
    log::error("a WebDAV request failed", {{"method", call->request.method}, {"code", reply.error().code}, {"error", reply.error().message}});
  net::Response response = reply ? (*reply ? std::move(**reply) : net::Response{}) : refusal_answer(reply.error());
  if (response.status >= 400) co_await drain(&call->request);
  co_await call->responder.send(std::move(response));
}

}  // namespace

void add_webdav_routes(Router& router) {
  RouteOptions options;
  options.described = Described::Elsewhere;
  auto state = std::make_shared<State>();
  router.add_stream("*", "/dav/{path*}", options, [state](AppContext& app, Call& call) { return answer(state, &app, &call); });
}

std::optional<net::BodyPolicy> webdav_body_policy(const net::Request& head) {
  if (head.path != "/dav" && !head.path.starts_with("/dav/")) return std::nullopt;
  net::BodyPolicy out;
  out.bytes_max = kXmlBytesMax;
  // Who does not even claim a right gets no stream.
  const bool has_claim = head.headers.find("authorization") || head.headers.find("x-api-key");
  if (head.method == "PUT" && has_claim) {
    out.mode = net::BodyPolicy::Mode::Stream;
    out.bytes_max = kFileBytesMax;
  }
  return out;
}

}  // namespace mayfly
