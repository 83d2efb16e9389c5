#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_server.h"
#include "server/auth.h"
#include "server/context.h"

namespace mayfly {

/// One request on its way through a route. Lives until the handler has returned.
struct Call {
  net::Request& request;
  net::Responder& responder;
  std::map<std::string, std::string, std::less<>> parameters;  ///< of the path, decoded
  Principal principal;
  std::string traceparent;  ///< W3C; of the caller, or made here

  const std::string& parameter(std::string_view name) const;
};

/// Answers by itself, at any time and in pieces.
using StreamHandler = std::function<Task<>(AppContext& app, Call& call)>;
/// Returns the whole answer or the error.
using RouteHandler = std::function<Task<Result<net::Response>>(AppContext& app, Call& call)>;
/// How a route's errors look; by default `to_problem`.
using ErrorShape = net::Response (*)(const Error& error);

/// Where a route is documented: in our own OpenAPI document, or by the vendor whose API it speaks.
enum class Described { Here, Elsewhere };

struct RouteOptions {
  Scopes any_of;  ///< a key needs one of them (or admin); empty: no key is needed
  ErrorShape error_shape = nullptr;
  /// Callers who need no key here after all; may be null.
  bool (*is_open_to)(const AppContext& app, const net::Request& request) = nullptr;
  Described described = Described::Here;
};

struct RouteInfo {
  std::string method;
  std::string path;  ///< the template: "/v1/runs/{run}"
  Scopes any_of;
  Described described = Described::Here;
};

/// Finds the handler of a request: method and path template, where {name} stands for one whole segment and a {name*} at the end for all
/// that follow, still encoded; the method "*" for any. Checks the Host header (on a
/// loopback address, against DNS rebinding), the key and its scope, gives every answer a traceparent, and turns errors into answers.
class Router {
 public:
  explicit Router(AppContext& app);
  ~Router();

  void add(std::string_view method, std::string_view path, RouteOptions options, RouteHandler handler);
  void add_stream(std::string_view method, std::string_view path, RouteOptions options, StreamHandler handler);
  /// Takes what no route's path fits, in place of 404; it checks keys by itself.
  void set_fallback(StreamHandler handler) { fallback_ = std::move(handler); }
  std::vector<RouteInfo> routes() const;
  AppContext& app() { return app_; }

  Task<> handle(net::Request& request, net::Responder& responder);

 private:
  struct Route;
  struct Match {
    const Route* route = nullptr;
    std::map<std::string, std::string, std::less<>> parameters;
    std::string allow;  ///< methods of the path, when none fits
  };
  Match find(const net::Request& request) const;
  Task<> answer(const Route* route, Call* call);
  Result<Principal> authorize(const Route& route, const net::Request& request) const;
  Result<void> check_host(const net::Request& request) const;

  AppContext& app_;
  std::vector<std::unique_ptr<Route>> routes_;
  StreamHandler fallback_;
};

}  // namespace mayfly
