#include "server/router.h"

#include <algorithm>

#include "base/assert.h"
#include "base/log.h"
#include "server/metrics.h"
#include "server/problem.h"
#include "telemetry/trace_context.h"

namespace mayfly {
namespace {

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> out;
  while (!path.empty()) {
    path.remove_prefix(1);
    const auto end = std::min(path.find('/'), path.size());
    out.emplace_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return out;
}

/// "{Path*}" gives "Path".
std::string rest_name(std::string_view pattern) { return std::string(pattern.substr(1, pattern.size() - 3)); }

/// What follows the first `count` segments of a path: "" or "/…".
std::string rest_of(std::string_view path, std::size_t count) {
  while (count-- > 0) path.remove_prefix(std::min(path.find('/', 1), path.size()));
  return std::string(path);
}

/// The caller's trace, or a new one.
std::string traceparent_for(const net::Request& request, Random& random) {
  const auto given = request.headers.find("traceparent");
  if (given)
    if (const auto context = telemetry::parse_traceparent(*given)) return telemetry::to_traceparent(*context);
  return telemetry::to_traceparent(telemetry::new_trace(random));
}

/// The host of a Host field without its port: "[::1]:80" gives "[::1]".
std::string_view host_name(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, std::min(host.find(']'), host.size() - 1) + 1);
  return host.substr(0, host.find(':'));
}

/// Adds to every answer what all answers have.
class RouteResponder final : public net::Responder {
 public:
  RouteResponder(net::Responder& inner, const std::string& traceparent) : inner_(inner), traceparent_(traceparent) {}
  Task<bool> send(net::Response response) override {
    status_ = response.status;
    add_fields(response.headers);
    return inner_.send(std::move(response));
  }
  Task<bool> start(int status, net::Headers headers) override {
    status_ = status;
    add_fields(headers);
    return inner_.start(status, std::move(headers));
  }
  Task<bool> write(std::string bytes) override { return inner_.write(std::move(bytes)); }
  Task<bool> finish() override { return inner_.finish(); }
  bool started() const override { return inner_.started(); }
  /// 0: not answered.
  int status() const { return status_; }

 private:
  void add_fields(net::Headers& headers) const {
    headers.set("traceparent", traceparent_);
    headers.set("X-Content-Type-Options", "nosniff");
  }
  net::Responder& inner_;
  const std::string& traceparent_;
  int status_ = 0;
};

}  // namespace

struct Router::Route {
  RouteInfo info;
  std::vector<std::string> segments;
  RouteOptions options;
  RouteHandler handler;
  StreamHandler stream;
};

const std::string& Call::parameter(std::string_view name) const {
  const auto found = parameters.find(name);
  MAYFLY_ASSERT(found != parameters.end(), "a handler asks only for parameters of its path");
  return found->second;
}

Router::Router(AppContext& app) : app_(app) {}
Router::~Router() = default;

void Router::add(std::string_view method, std::string_view path, RouteOptions options, RouteHandler handler) {
  add_stream(method, path, options, nullptr);
  routes_.back()->handler = std::move(handler);
}

void Router::add_stream(std::string_view method, std::string_view path, RouteOptions options, StreamHandler handler) {
  const auto same = [&](const auto& route) { return route->info.method == method && route->info.path == path; };
  MAYFLY_ASSERT(path.starts_with('/') && std::ranges::none_of(routes_, same), "a route is added once");
  auto route = std::make_unique<Route>();
  route->info = {std::string(method), std::string(path), options.any_of, options.described};
  route->segments = split_path(path);
  route->options = options;
  route->stream = std::move(handler);
  routes_.push_back(std::move(route));
}

std::vector<RouteInfo> Router::routes() const {
  std::vector<RouteInfo> out;
  for (const auto& route : routes_) out.push_back(route->info);
  return out;
}

Router::Match Router::find(const net::Request& request) const {
  Match out;
  const std::vector<std::string> segments = split_path(request.path);
  const std::string_view method = request.method == "HEAD" ? std::string_view("GET") : std::string_view(request.method);
  for (const auto& route : routes_) {
    const bool takes_rest = route->segments.back().ends_with("*}");
    const std::size_t fixed = route->segments.size() - (takes_rest ? 1 : 0);
    if (takes_rest ? segments.size() < fixed : segments.size() != fixed) continue;
    std::map<std::string, std::string, std::less<>> parameters;
    if (takes_rest) parameters.emplace(rest_name(route->segments.back()), rest_of(request.path, fixed));
    bool fits = true;
    for (std::size_t i = 0; fits && i < fixed; ++i) {
      const std::string& pattern = route->segments[i];
      if (!pattern.starts_with('{')) {
        fits = pattern == segments[i];
        continue;
      }
      auto value = net::percent_decode(segments[i], false);
      fits = value && !value->empty() && is_utf8(*value);
      if (fits) parameters.emplace(pattern.substr(1, pattern.size() - 2), std::move(*value));
    }
    if (!fits) continue;
    // A stream answers HEAD only where it is registered for it.
    if (route->info.method == "*" || route->info.method == request.method ||
        (route->info.method == method && !(route->stream && request.method == "HEAD"))) {
      out.route = route.get();
      out.parameters = std::move(parameters);
      return out;
    }
    out.allow += (out.allow.empty() ? "" : ", ") + route->info.method;
  }
  return out;
}

Result<void> Router::check_host(const net::Request& request) const {
  const ServerConfig& config = *app_.config;
  if (!config.is_loopback()) return {};
  const auto host = request.headers.find("host");
  if (!host) return {};
  const std::string_view name = host_name(*host);
  for (const std::string_view allowed : {"localhost", "127.0.0.1", "[::1]"})
    if (net::equal_ignoring_case(name, allowed)) return {};
  if (name == config.address) return {};
  for (const std::string& allowed : config.allowed_hosts)
    if (net::equal_ignoring_case(name, allowed)) return {};
  // Behind a proxy that passes the Host field on.
  if (const auto scheme = config.public_url.find("://"); scheme != std::string::npos) {
    const std::string_view authority = std::string_view(config.public_url).substr(scheme + 3);
    if (net::equal_ignoring_case(name, host_name(authority.substr(0, authority.find('/'))))) return {};
  }
  return fail("host.not_allowed", "this server answers to localhost only; use http://127.0.0.1, or allow the name with --allow-host");
}

Result<Principal> Router::authorize(const Route& route, const net::Request& request) const {
  if (route.options.any_of.empty() || (route.options.is_open_to && route.options.is_open_to(app_, request))) return Principal{};
  auto principal = app_.keys->authenticate(request.headers);
  if (!principal) return principal;
  if (!principal->scopes.has(Scope::Admin) && !principal->scopes.intersects(route.options.any_of)) {
    std::string needed;
    for (const std::string_view name : route.options.any_of.names()) needed += (needed.empty() ? "" : " or ") + std::string(name);
    return fail("auth.forbidden",
                "the API key '" + principal->name + "' lacks the scope " + needed + "; create a key that has it with `mayfly keys create`");
  }
  return principal;
}

Task<> Router::handle(net::Request& request, net::Responder& responder) {
  const std::string traceparent = traceparent_for(request, *app_.random);
  RouteResponder wrapped(responder, traceparent);
  Call call{request, wrapped, {}, {}, traceparent};
  if (const auto host = check_host(request); !host) {
    co_await wrapped.send(to_problem(host.error()));
    co_return;
  }
  Match match = find(request);
  if (!match.route && match.allow.empty() && fallback_) {
    const auto began = app_.clock->monotonic();
    co_await fallback_(app_, call);
    if (app_.metrics) app_.metrics->request_answered("*", "(triggers)", wrapped.status(), app_.clock->monotonic() - began);
    co_return;
  }
  if (!match.route && match.allow.empty()) {
    co_await wrapped.send(to_problem(
        {"route.not_found", "there is nothing at " + request.path.substr(0, 200) + "; see /openapi.json for what there is", Retry::Never}));
    co_return;
  }
  if (!match.route) {
    net::Response refused =
        to_problem({"route.method_not_allowed", request.method.substr(0, 20) + " is not possible here; use " + match.allow, Retry::Never});
    refused.headers.add("Allow", match.allow);
    co_await wrapped.send(std::move(refused));
    co_return;
  }
  call.parameters = std::move(match.parameters);
  const auto began = app_.clock->monotonic();
  co_await answer(match.route, &call);
  if (app_.metrics)
    app_.metrics->request_answered(match.route->info.method, match.route->info.path, wrapped.status(), app_.clock->monotonic() - began);
}

Task<> Router::answer(const Route* route, Call* call) {
  const ErrorShape shape = route->options.error_shape ? route->options.error_shape : to_problem;
  auto principal = authorize(*route, call->request);
  if (!principal) {
    co_await call->responder.send(shape(principal.error()));
    co_return;
  }
  call->principal = std::move(*principal);
  if (!call->principal.key_id.empty() && app_.keys->note_use(call->principal.key_id) && app_.tasks)
    app_.tasks->spawn(app_.keys->store_use(call->principal.key_id));
  if (route->stream) {
    co_await route->stream(app_, *call);
    co_return;
  }
  auto response = co_await route->handler(app_, *call);
  if (!response && status_of(response.error()) >= 500)
    log::error("a request failed", {{"method", route->info.method},
                                    {"route", route->info.path},
                                    {"code", response.error().code},
                                    {"error", response.error().message}});
  co_await call->responder.send(response ? std::move(*response) : shape(response.error()));
}

}  // namespace mayfly
