#include "server/workspaces/claim_page.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "base/id.h"
#include "server/problem.h"
#include "server/workspaces/actor_of.h"
#include "server/workspaces/problem_of.h"
#include "workspace/workspaces.h"

namespace mayfly {
namespace {

using workspace::Refusal;

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  return out;
}

net::Response page(int status, const std::string& body) {
  net::Response out;
  out.status = status;
  out.headers = {{"Content-Type", "text/html; charset=utf-8"},
                 {"Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"},
                 {"X-Content-Type-Options", "nosniff"},
                 {"Referrer-Policy", "no-referrer"},
                 {"Cache-Control", "no-store"}};
  out.body = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>Mayfly: a workspace for you</title>"
             "<style>body{font:16px/1.5 system-ui;max-width:36rem;margin:3rem auto;padding:0 1rem}input{width:100%;padding:.4rem;margin:.3rem 0}button{padding:.5rem 1rem}</style>" +
             body;
  return out;
}

bool wants_html(const net::Request& request) { return request.headers.get("accept").contains("text/html"); }

net::Response refused(const net::Request& request, const Refusal& refusal) {
  if (!wants_html(request)) return problem_of(refusal);
  return page(status_of(refusal), "<h1>This link does not work</h1><p>" + escaped(refusal.message) + "</p>");
}

std::optional<std::string> form_value(std::string_view body, std::string_view name) {
  while (!body.empty()) {
    const std::size_t end = std::min(body.find('&'), body.size());
    const std::string_view field = body.substr(0, end);
    const std::size_t equal = std::min(field.find('='), field.size());
    if (field.substr(0, equal) == name) return net::percent_decode(field.substr(std::min(equal + 1, field.size())), true);
    body.remove_prefix(std::min(end + 1, body.size()));
  }
  return std::nullopt;
}

Task<Result<net::Response>> look(AppContext& app, Call& call) {
  if (!app.workspaces) co_return refused(call.request, Refusal(Error{"ws.busy", "the server is starting; try again", Retry::Safe}));
  auto claim = co_await app.workspaces->sharing->look_at_claim(call.parameter("token"));
  if (!claim) co_return refused(call.request, claim.error());
  const workspace::Workspace& offered = claim->workspace;
  if (!wants_html(call.request))
    co_return json_response(200, JsonObject{{"workspace", offered.name}, {"title", offered.title}, {"offered_by", claim->transfer.offered_by}, {"note", claim->transfer.note}, {"expires_at", to_rfc3339(claim->transfer.expires)}});
  co_return page(200, fmt::format("<h1>{}</h1><p>{} offers you this workspace.{}</p><p>Accept before {}. You become its owner.</p>"
                                  "<form method=\"post\"><label>Your name<input name=\"name\" maxlength=\"100\" autocomplete=\"name\"></label>"
                                  "<label>Your API key, if you have one<input name=\"key\" type=\"password\" autocomplete=\"off\"></label>"
                                  "<p>Without a key you get one, shown once on the next page.</p><button>Accept</button></form>",
                                  escaped(offered.title.empty() ? offered.name : offered.title), escaped(claim->transfer.offered_by),
                                  claim->transfer.note.empty() ? "" : " They say: “" + escaped(claim->transfer.note) + "”", to_rfc3339(claim->transfer.expires)));
}

/// A form that another site sent would carry its Origin.
bool is_foreign(const net::Request& request) {
  const auto origin = request.headers.find("origin");
  if (!origin || *origin == "null") return origin.has_value();
  const std::size_t scheme = origin->find("://");
  return scheme == std::string_view::npos || origin->substr(scheme + 3) != request.headers.get("host");
}

Task<Result<net::Response>> accept(AppContext& app, Call& call) {
  if (!app.workspaces) co_return refused(call.request, Refusal(Error{"ws.busy", "the server is starting; try again", Retry::Safe}));
  if (is_foreign(call.request)) co_return refused(call.request, Refusal(Error{"ws.forbidden", "this form was sent by another site; open the link itself", Retry::Never}));
  auto claim = co_await app.workspaces->sharing->look_at_claim(call.parameter("token"));
  if (!claim) co_return refused(call.request, claim.error());
  const bool form = call.request.headers.get("content-type").starts_with("application/x-www-form-urlencoded");
  std::string name, key;
  if (form) {
    name = form_value(call.request.body, "name").value_or("");
    key = form_value(call.request.body, "key").value_or("");
  } else if (auto body = parse_json(call.request.body.empty() ? "{}" : call.request.body); body && body->is_object()) {
    name = get_string(body->get_object(), "name");
  }
  net::Headers headers = call.request.headers;
  if (!key.empty()) headers = {{"x-api-key", key}};
  std::optional<KeyRing::Created> made;
  Principal person;
  if (!key.empty() || headers.find("authorization") || headers.find("x-api-key")) {
    auto known = app.keys->authenticate(headers);
    if (!known) co_return refused(call.request, Refusal(known.error()));
    person = std::move(*known);
  } else {
    if (name.empty() || name.size() > 100 || !is_utf8(name)) co_return refused(call.request, Refusal(Error{"ws.invalid", "give your name (1 to 100 bytes), or a key", Retry::Never}));
    ApiKey wanted;
    wanted.name = name;
    wanted.scopes = {Scope::Read, Scope::Files};
    wanted.organisation = "person-" + to_hex(secure_random_bytes(8));
    wanted.is_person = true;
    auto created = co_await app.keys->create(std::move(wanted));
    if (!created) co_return refused(call.request, Refusal(created.error()));
    made = std::move(*created);
    person.key_id = made->key.id;
    person.name = made->key.name;
    person.scopes = made->key.scopes;
    person.organisation = made->key.organisation;
    person.is_person = true;
  }
  auto owned = co_await app.workspaces->sharing->accept_transfer(actor_of(person), call.parameter("token"));
  if (!owned) {
    if (made) (void)co_await app.keys->revoke(made->key.id);
    co_return refused(call.request, owned.error());
  }
  if (form)
    co_return page(200, "<h1>" + escaped(owned->name) + " is yours</h1>" +
                            (made ? "<p>Your key, shown once: <code>" + escaped(made->text) + "</code></p><p>Use it as the password of <code>/dav/" + escaped(owned->name) +
                                        "/</code> to mount the files, or with the command line.</p>"
                                  : "<p>It is in your list of workspaces now.</p>"));
  JsonObject body{{"workspace", owned->name}, {"id", owned->id}, {"owner", owned->owner}};
  if (made) body["key"] = made->text;
  co_return json_response(200, Json(std::move(body)));
}

}  // namespace

void add_claim_routes(Router& router) {
  const RouteOptions open{.any_of = {}, .described = Described::Elsewhere};
  router.add("GET", "/claim/{token}", open, look);
  router.add("POST", "/claim/{token}", open, accept);
}

}  // namespace mayfly
