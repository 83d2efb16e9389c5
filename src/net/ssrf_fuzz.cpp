#include <cstdint>
#include <cstdlib>

#include "net/ssrf.h"

/// Whatever the text, an accepted target is stable: parsed again it is the same, and a literal is judged as an address.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly::net;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto base = parse_target("https://example.com/a/b?c");
  for (const auto& target : {parse_target(text), parse_target("http://" + std::string(text)), resolve_redirect(*base, text)}) {
    if (!target) {
      if (target.error().code != "net.invalid_url") std::abort();
      continue;
    }
    const auto again = parse_target(target->url);
    if (!again || again->host != target->host || again->port != target->port || again->url != target->url) std::abort();
    if (target->host.find_first_of("@/\\%#? ") != std::string::npos) std::abort();
    if (target->literal) {
      const std::array addresses{*target->literal};
      const bool is_public = classify_address(*target->literal) == AddressClass::Public;
      if (check_egress({}, target->host, target->port, addresses).has_value() != is_public) std::abort();
    }
    (void)check_egress({.allow_hosts = {std::string(text)}, .only_hosts = {std::string(text)}}, target->host, target->port, {});
  }
  return 0;
}
