#include <array>
#include <cstdint>
#include <cstdlib>

#include "net/egress_rules.h"
#include "net/proxy_request.h"

/// First line: an egress pattern; the rest: the header of a request.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly::net;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto line = std::min(text.find('\n'), size);
  const auto rules = EgressRules::parse({std::string(text.substr(0, line))});
  const auto request = parse_proxy_request(text.substr(std::min(line + 1, size)));
  if (!request) {
    if (request.error().code != "egress.malformed" || request.error().message.empty()) std::abort();
    return 0;
  }
  if (request->target.host.empty() || request->target.port == 0) std::abort();
  if (request->kind == ProxyRequest::Kind::Forward) {
    // Exactly one header must leave, whatever came in.
    const auto end = request->head.find("\r\n\r\n");
    if (end + 4 != request->head.size() || request->head.find('\0') != std::string::npos) std::abort();
    for (std::size_t at = 0; (at = request->head.find('\n', at)) != std::string::npos; ++at) {
      if (at == 0 || request->head[at - 1] != '\r') std::abort();
    }
  }
  if (rules && rules->check_host(request->target) && request->target.literal) {
    const auto allowed = rules->check_addresses(request->target, std::array{*request->target.literal});
    if (allowed && classify_address(*request->target.literal) != AddressClass::Public &&
        text.substr(0, line).find(':') == std::string_view::npos) {
      std::abort();
    }
  }
  return 0;
}
