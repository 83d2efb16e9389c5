#include <fmt/format.h>

#include <csignal>
#include <cstdlib>

#include "net/http_server.h"

/// http_server_bench PORT: answers 200 bytes of JSON to every request, for wrk beside another server.
namespace {

using namespace mayfly;

Task<> answer(const std::string* body, net::Responder& responder) {
  co_await responder.send({200, {{"Content-Type", "application/json"}}, *body});
}

}  // namespace

int main(int count, char** arguments) {
  const int port = count > 1 ? std::atoi(arguments[1]) : 0;
  asio::io_context io(1);
  SystemClock clock(io.get_executor());
  std::string body = R"({"id":"run_01HXYZ","status":"completed","output":")";
  body += std::string(200 - body.size() - 2, 'x') + "\"}";
  const auto server = net::make_http_server(io.get_executor(), clock, {.port = static_cast<std::uint16_t>(port)},
                                            [&](net::Request&, net::Responder& responder) { return answer(&body, responder); });
  if (const auto listening = server->listen(); !listening) {
    fmt::print(stderr, "{}\n", listening.error().message);
    return 1;
  }
  fmt::print("http://127.0.0.1:{}/\n", server->port());
  std::fflush(stdout);
  std::signal(SIGINT, [](int) { std::_Exit(0); });
  std::signal(SIGTERM, [](int) { std::_Exit(0); });
  io.run();
}
