#include "server/oauth/oauth.h"

#include "base/hash.h"
#include "server/oauth/codes.h"
#include "server/oauth/consent_page.h"
#include "server/oauth/oauth_text.h"
#include "server/problem.h"
#include "server/token_realm.h"

namespace mayfly {
namespace {

using oauth::Codes;
using oauth::parameter;
using oauth::Parameters;

constexpr std::string_view kMcpPath = "/mcp", kResourceMetadata = "/.well-known/oauth-protected-resource";
constexpr std::size_t kRegistrationBytesMax = 16 * 1024, kStateBytesMax = 2'000;

JsonArray list_of(std::initializer_list<std::string_view> names) {
  JsonArray out;
  for (const std::string_view name : names) out.emplace_back(name);
  return out;
}

JsonArray scope_list() {
  JsonArray out;
  for (const std::string_view name : oauth::kGrantable.names()) out.emplace_back(name);
  return out;
}

/// RFC 6749 §5.2.
net::Response refusal(const Error& error) {
  std::string code = error.code;
  int status = 400;
  if (code == "oauth.invalid_client") {
    status = 401;
  } else if (code == "oauth.slow_down") {
    status = 429;
    code = "oauth.temporarily_unavailable";
  } else if (code == "oauth.full" || !code.starts_with("oauth.")) {
    status = 503;
    code = "oauth.temporarily_unavailable";
  }
  net::Response out = json_response(status, JsonObject{{"error", code.substr(6)}, {"error_description", error.message}});
  if (status == 429) out.headers.add("Retry-After", "60");
  return out;
}

net::Response tokens_response(const oauth::Tokens& tokens) {
  return json_response(200, JsonObject{{"access_token", tokens.access},
                                       {"token_type", "Bearer"},
                                       {"expires_in", oauth::kAccessLifetime.count() / 1'000},
                                       {"refresh_token", tokens.refresh},
                                       {"scope", oauth::to_text(tokens.scopes)}});
}

/// RFC 6749 §4.1.2 with RFC 9207's `iss`.
net::Response redirect(const oauth::Request& request, std::initializer_list<std::pair<std::string_view, std::string>> values) {
  std::string url = request.redirect_uri;
  const auto add = [&](std::string_view name, std::string_view value) {
    url += url.find('?') == std::string::npos ? '?' : '&';
    url += std::string(name) + "=" + net::percent_encode(value);
  };
  for (const auto& [name, value] : values) add(name, value);
  if (!request.state.empty()) add("state", request.state);
  add("iss", request.base);
  return {303, {{"Location", url}, {"Cache-Control", "no-store"}, {"Referrer-Policy", "no-referrer"}}, {}};
}

std::string cookie_name(std::string_view page) { return "mayfly_oauth_" + sha256_hex(page).substr(0, 16); }

std::string cookie_of(const net::Request& request, std::string_view name) {
  std::string_view rest = request.headers.find("cookie").value_or("");
  while (!rest.empty()) {
    std::string_view part = rest.substr(0, rest.find(';'));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    while (part.starts_with(' ')) part.remove_prefix(1);
    if (part.starts_with(name) && part.substr(name.size()).starts_with('=')) return std::string(part.substr(name.size() + 1));
  }
  return {};
}

std::optional<Parameters> form_of(const net::Request& request) {
  if (!net::equal_ignoring_case(request.headers.get("content-type").substr(0, 33), "application/x-www-form-urlencoded"))
    return std::nullopt;
  return oauth::parse_parameters(request.body);
}

class Server final : public OAuthServer, public TokenRealm {
 public:
  explicit Server(AppContext& app) : app_(app) {}
  void add_routes(Router& router);

  Task<Result<void>> open() override {
    grants_ = std::make_unique<oauth::Grants>(*app_.store, *app_.clock, *app_.keys);
    clients_ = std::make_unique<oauth::Clients>(*app_.store, *app_.clock, *app_.http, app_.config->import_hosts,
                                                [this](std::string_view id) { return grants_->has_client(id); });
    codes_ = std::make_unique<Codes>(*app_.clock);
    if (auto loaded = co_await grants_->load(); !loaded) co_return loaded;
    co_return co_await clients_->load();
  }

  std::optional<Result<Principal>> authenticate(const net::Request& request) const override;
  std::string challenge(const net::Request& request, const Error& error) const override;

 private:
  using Answer = Task<Result<net::Response>>;
  Result<std::string> base_of(const net::Request& request) const;
  Answer resource_metadata(Call* call);
  Answer server_metadata(Call* call);
  Answer ask(Call* call);
  Answer decide(Call* call);
  Answer token(Call* call);
  Answer exchange(Parameters form);
  Answer revoke(Call* call);
  Answer enrol(Call* call);
  static net::Response show(const oauth::Request& request, const std::string& page, std::string problem);

  AppContext& app_;
  std::unique_ptr<oauth::Grants> grants_;
  std::unique_ptr<oauth::Clients> clients_;
  std::unique_ptr<Codes> codes_;
};

void Server::add_routes(Router& router) {
  const RouteOptions open{.any_of = {}, .described = Described::Elsewhere};
  const auto add = [&](std::string_view method, std::string_view path, Answer (Server::*handler)(Call*)) {
    router.add(method, path, open, [this, handler](AppContext&, Call& call) { return (this->*handler)(&call); });
  };
  add("GET", kResourceMetadata, &Server::resource_metadata);
  add("GET", std::string(kResourceMetadata) + std::string(kMcpPath), &Server::resource_metadata);
  add("GET", "/.well-known/oauth-authorization-server", &Server::server_metadata);
  add("GET", "/oauth/authorize", &Server::ask);
  add("POST", "/oauth/authorize", &Server::decide);
  add("POST", "/oauth/token", &Server::token);
  add("POST", "/oauth/revoke", &Server::revoke);
  add("POST", "/oauth/register", &Server::enrol);
}

/// The router lets only names of this machine through on a loopback address, so there the Host field can be trusted.
Result<std::string> Server::base_of(const net::Request& request) const {
  if (!app_.config->public_url.empty()) return app_.config->public_url;
  const std::string host = request.headers.get("host");
  if (!app_.config->is_loopback() || host.empty() || host.find_first_of("/\"\\ <>@?#") != std::string::npos)
    return fail("oauth.not_found", "OAuth is off here: start the server with --public-url, the https address under which clients reach it");
  return "http://" + host;
}

std::optional<Result<Principal>> Server::authenticate(const net::Request& request) const {
  const std::string_view text = presented_key(request.headers);
  if (!oauth::Grants::is_access_token(text) || !grants_) return std::nullopt;
  const auto base = base_of(request);
  if (!base) return fail("auth.invalid", base.error().message);
  return grants_->authenticate(text, *base + std::string(kMcpPath));
}

std::string Server::challenge(const net::Request& request, const Error& error) const {
  std::string out = "Bearer realm=\"mayfly\"";
  if (error.code == "auth.forbidden")
    out += ", error=\"insufficient_scope\"";
  else if (error.code != "auth.missing")
    out += ", error=\"invalid_token\"";
  if (const auto base = base_of(request))
    out += ", resource_metadata=\"" + *base + std::string(kResourceMetadata) + std::string(kMcpPath) + "\", scope=\"" +
           oauth::to_text(oauth::kGrantable) + "\"";
  return out;
}

Server::Answer Server::resource_metadata(Call* call) {
  const auto base = base_of(call->request);
  if (!base) co_return fail(base.error());
  co_return json_response(200, JsonObject{{"resource", *base + std::string(kMcpPath)},
                                          {"resource_name", "Mayfly"},
                                          {"authorization_servers", JsonArray{Json(*base)}},
                                          {"scopes_supported", scope_list()},
                                          {"bearer_methods_supported", list_of({"header"})}});
}

Server::Answer Server::server_metadata(Call* call) {
  const auto base = base_of(call->request);
  if (!base) co_return fail(base.error());
  co_return json_response(200, JsonObject{{"issuer", *base},
                                          {"authorization_endpoint", *base + "/oauth/authorize"},
                                          {"token_endpoint", *base + "/oauth/token"},
                                          {"revocation_endpoint", *base + "/oauth/revoke"},
                                          {"registration_endpoint", *base + "/oauth/register"},
                                          {"scopes_supported", scope_list()},
                                          {"response_types_supported", list_of({"code"})},
                                          {"response_modes_supported", list_of({"query"})},
                                          {"grant_types_supported", list_of({"authorization_code", "refresh_token"})},
                                          {"token_endpoint_auth_methods_supported", list_of({"none"})},
                                          {"revocation_endpoint_auth_methods_supported", list_of({"none"})},
                                          {"code_challenge_methods_supported", list_of({"S256"})},
                                          {"authorization_response_iss_parameter_supported", true},
                                          {"client_id_metadata_document_supported", true},
                                          {"protected_resources", JsonArray{Json(*base + std::string(kMcpPath))}}});
}

/// The resource without the slash that some clients add; empty: another one.
std::string resource_in(const std::string& text, const std::string& base) {
  const std::string mine = base + std::string(kMcpPath);
  return text.empty() || net::equal_ignoring_case(text, mine) || net::equal_ignoring_case(text, mine + "/") ? mine : std::string();
}

net::Response Server::show(const oauth::Request& request, const std::string& page, std::string problem) {
  const int status = problem.empty() ? 200 : 403;
  return oauth::consent_page(
      {request.client.name, request.client.id, request.redirect_uri, request.base, request.scopes, page, std::move(problem)}, status);
}

Server::Answer Server::ask(Call* call) {
  const auto base = base_of(call->request);
  if (!base) co_return oauth::refusal_page(404, base.error().message);
  const auto given = oauth::parse_parameters(call->request.query);
  if (!given) co_return oauth::refusal_page(400, "The parameters are malformed, too long or given twice.");
  auto client = co_await clients_->find(parameter(*given, "client_id"));
  if (!client) co_return oauth::refusal_page(400, client.error().message);
  oauth::Request request;
  request.redirect_uri = parameter(*given, "redirect_uri");
  request.named_redirect = !request.redirect_uri.empty();
  if (!request.named_redirect && client->redirect_uris.size() == 1) request.redirect_uri = client->redirect_uris[0];
  if (!oauth::is_registered(client->redirect_uris, request.redirect_uri))
    co_return oauth::refusal_page(400, "The redirect URI is none of those that the program registered.");
  request.client = std::move(*client);
  request.base = *base;
  request.state = parameter(*given, "state");
  request.challenge = parameter(*given, "code_challenge");
  if (request.state.size() > kStateBytesMax) co_return oauth::refusal_page(400, "The state is too long.");
  const auto refuse = [&](std::string_view error, std::string why) {
    return redirect(request, {{"error", std::string(error)}, {"error_description", std::move(why)}});
  };
  if (parameter(*given, "response_type") != "code") co_return refuse("unsupported_response_type", "response_type must be code");
  if (!oauth::is_challenge(request.challenge) || parameter(*given, "code_challenge_method") != "S256")
    co_return refuse("invalid_request", "PKCE is needed: send code_challenge, and code_challenge_method=S256");
  request.resource = resource_in(parameter(*given, "resource"), *base);
  if (request.resource.empty()) co_return refuse("invalid_target", "tokens are for " + *base + std::string(kMcpPath) + " only");
  const auto scopes = oauth::scopes_in(parameter(*given, "scope"));
  if (!scopes) co_return refuse("invalid_scope", "known scopes are " + oauth::to_text(oauth::kGrantable));
  request.scopes = *scopes;
  const Codes::Page page = codes_->open_page(request);
  net::Response out = show(request, page.id, {});
  out.headers.add("Set-Cookie", cookie_name(page.id) + "=" + page.cookie + "; Path=/oauth; HttpOnly; SameSite=Strict; Max-Age=600" +
                                    (base->starts_with("https://") ? "; Secure" : ""));
  co_return out;
}

Server::Answer Server::decide(Call* call) {
  const auto form = form_of(call->request);
  const std::string page = form ? parameter(*form, "request") : std::string();
  const oauth::Request* waiting = codes_->page(page, cookie_of(call->request, cookie_name(page)));
  if (!waiting)
    co_return oauth::refusal_page(
        400, "This page is too old, was answered already, or was opened in another browser. Start again in the program.");
  oauth::Request request = *waiting;
  if (parameter(*form, "decision") != "allow") {
    codes_->close_page(page);
    co_return redirect(request, {{"error", "access_denied"}, {"error_description", "the person said no"}});
  }
  const auto who = app_.keys->authenticate(parameter(*form, "key"));
  if (!who) co_return show(request, page, "This is not an API key of this server that is in force. Paste the whole key: mf_…");
  Scopes chosen;
  for (const std::string_view name : request.scopes.names())
    if (form->contains("scope_" + std::string(name))) chosen.add(*scope_from_string(name));
  request.scopes = oauth::intersection(chosen, who->scopes);
  if (request.scopes.empty()) {
    request.scopes = waiting->scopes;
    co_return show(request, page,
                   "Nothing is left to allow: choose at least one thing that your own key may do (" + oauth::to_text(who->scopes) + ").");
  }
  codes_->close_page(page);
  const std::string code = codes_->add(request, who->key_id);
  co_return redirect(request, {{"code", code}});
}

Server::Answer Server::token(Call* call) {
  auto form = form_of(call->request);
  if (!form) co_return refusal({"oauth.invalid_request", "Send a form (application/x-www-form-urlencoded), each parameter once."});
  const std::string type = parameter(*form, "grant_type"), client = parameter(*form, "client_id");
  if (client.empty()) co_return refusal({"oauth.invalid_client", "Send `client_id`."});
  if (type == "authorization_code") co_return co_await exchange(std::move(*form));
  if (type != "refresh_token")
    co_return refusal({"oauth.unsupported_grant_type", "grant_type must be authorization_code or refresh_token."});
  std::optional<Scopes> scopes;
  if (form->contains("scope")) {
    scopes = oauth::scopes_in(parameter(*form, "scope"));
    if (!scopes) co_return refusal({"oauth.invalid_scope", "Known scopes are " + oauth::to_text(oauth::kGrantable) + "."});
  }
  std::string resource = parameter(*form, "resource");
  if (resource.ends_with('/')) resource.pop_back();
  auto tokens = co_await grants_->refresh(parameter(*form, "refresh_token"), client, resource, scopes);
  co_return tokens ? tokens_response(*tokens) : refusal(tokens.error());
}

Server::Answer Server::exchange(Parameters form) {
  const Error invalid{"oauth.invalid_grant", "The code is not good any more, or not for this client: ask for authorization again."};
  const std::string text = parameter(form, "code");
  Codes::Code* code = codes_->find(text);
  if (!code || code->request.client.id != parameter(form, "client_id")) co_return refusal(invalid);
  if (code->used) {
    // Somebody else may have had it (RFC 6749 §4.1.2): what it gave ends.
    code->abused = true;
    if (!code->grant.empty())
      if (auto ended = co_await grants_->end(code->grant); !ended) co_return refusal(ended.error());
    co_return refusal(invalid);
  }
  code->used = true;
  const oauth::Request request = code->request;
  const ApiKey* key = app_.keys->find(code->key);
  if (!Codes::is_fresh(*code, app_.clock->monotonic()) || !key) co_return refusal(invalid);
  if (const std::string uri = parameter(form, "redirect_uri"); uri.empty() ? false : uri != request.redirect_uri)
    co_return refusal({"oauth.invalid_grant", "`redirect_uri` is not that of the authorization request."});
  if (!oauth::fits_challenge(parameter(form, "code_verifier"), request.challenge))
    co_return refusal({"oauth.invalid_grant", "`code_verifier` does not fit the code challenge: ask for authorization again."});
  if (resource_in(parameter(form, "resource"), request.base).empty())
    co_return refusal({"oauth.invalid_target", "The code is for " + request.resource + "."});
  oauth::Grant grant;
  grant.key = code->key;
  grant.client = request.client.id;
  grant.client_name = request.client.name.empty() ? "a program" : request.client.name;
  grant.resource = request.resource;
  grant.scopes = request.scopes;
  auto made = co_await grants_->create(std::move(grant));
  if (!made) co_return refusal(made.error());
  if (Codes::Code* again = codes_->find(text)) {
    again->grant = made->grant;
    if (again->abused) {
      (void)co_await grants_->end(made->grant);
      co_return refusal(invalid);
    }
  }
  co_return tokens_response(made->tokens);
}

Server::Answer Server::revoke(Call* call) {
  const auto form = form_of(call->request);
  if (!form || !form->contains("token") || !form->contains("client_id"))
    co_return refusal({"oauth.invalid_request", "Send a form with `token` and `client_id`."});
  auto ended = co_await grants_->revoke(parameter(*form, "token"), parameter(*form, "client_id"));
  if (!ended) co_return refusal(ended.error());
  co_return net::Response{200, {{"Cache-Control", "no-store"}}, {}};
}

Server::Answer Server::enrol(Call* call) {
  if (const auto base = base_of(call->request); !base) co_return fail(base.error());
  const auto body = parse_json(call->request.body, {.depth_max = 16, .bytes_max = kRegistrationBytesMax});
  if (!body || !body->is_object())
    co_return refusal({"oauth.invalid_client_metadata", "Send client metadata as one JSON object of at most 16 KiB (RFC 7591)."});
  const JsonObject& metadata = body->get_object();
  auto client = co_await clients_->add(metadata);
  if (!client) co_return refusal(client.error());
  JsonArray uris;
  for (const std::string& uri : client->redirect_uris) uris.emplace_back(uri);
  JsonObject out{{"client_id", client->id},
                 {"client_id_issued_at", to_unix_ms(client->created) / 1'000},
                 {"redirect_uris", std::move(uris)},
                 {"grant_types", list_of({"authorization_code", "refresh_token"})},
                 {"response_types", list_of({"code"})},
                 {"token_endpoint_auth_method", "none"}};
  if (!client->name.empty()) out["client_name"] = client->name;
  if (const std::string type = get_string(metadata, "application_type"); type == "native" || type == "web") out["application_type"] = type;
  co_return json_response(201, std::move(out));
}

}  // namespace

std::unique_ptr<OAuthServer> add_oauth_routes(Router& router, AppContext& context) {
  auto server = std::make_unique<Server>(context);
  server->add_routes(router);
  context.mcp_tokens = server.get();
  return server;
}

}  // namespace mayfly
