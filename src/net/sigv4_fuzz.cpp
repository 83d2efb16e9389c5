#include <cstdint>
#include <cstdlib>

#include "net/sigv4.h"

/// Lines: method, path, query, body, then "name:value" fields.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly;
  using namespace mayfly::net;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto take_line = [&rest] {
    const auto end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return line;
  };
  const std::string_view method = take_line(), path = take_line(), query = take_line(), body = take_line();
  Headers headers;
  while (!rest.empty()) {
    const std::string_view line = take_line();
    const auto colon = std::min(line.find(':'), line.size());
    headers.add(std::string(line.substr(0, colon)), std::string(line.substr(std::min(colon + 1, line.size()))));
  }
  const SigV4Request request{.method = method, .path = path, .query = query, .headers = headers, .body = body};
  (void)has_sigv4(request);
  const TimePoint now = from_unix_ms(1'440'938'160'000);
  if (const auto claim = parse_sigv4(request)) {
    if (claim->signature.size() != 64 || claim->signed_headers.empty()) std::abort();
    // Nobody guesses a signature made with a secret of 32 random bytes.
    if (verify_sigv4(request, *claim, "9d2f6c0ab11e4f7f8d5c3b2a19087766", now, {})) std::abort();
  }
  const SigV4SignOptions options{.access_key_id = "AKID", .secret_access_key = "secret", .region = "r", .service = "lambda", .now = now};
  Headers signed_headers = headers;
  if (const auto added = sign_sigv4(request, options)) {
    for (const auto& [name, value] : *added) signed_headers.add(name, value);
    const SigV4Request sent{.method = method, .path = path, .query = query, .headers = signed_headers, .body = body};
    const auto claim = parse_sigv4(sent);
    // What we sign we verify, unless the query claims a signature too or names hold what no field name holds.
    if (claim && headers.get("host").find_first_of("\r\n") == std::string::npos && !verify_sigv4(sent, *claim, "secret", now, {})) {
      for (const auto& [name, value] : headers) {
        if (name.empty() || name.find_first_of(";, \t\r=") != std::string::npos) return 0;
        for (const char c : name) {
          if (c <= ' ' || c > '~') return 0;
        }
      }
      std::abort();
    }
  }
  return 0;
}
