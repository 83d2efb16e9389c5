#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "tool/url_template.h"

/// Whatever a model passes or a server redirects to: the origin stays, and the address holds nothing that could end a line.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string_view a = bytes.substr(0, size / 2), b = bytes.substr(size / 2);
  static const auto url = UrlTemplate::parse("https://api.test/x/{a}/y-{b}?q={a}&r={b}");
  MAYFLY_ASSERT(url.has_value(), "the template is good");
  if (const auto text = url->render({{"a", a}, {"b", b}})) {
    MAYFLY_ASSERT(url_origin(*text) == "https://api.test", "an argument cannot change the origin");
    MAYFLY_ASSERT(text->find_first_of("\r\n #\\@") == std::string::npos, "an argument is encoded");
    MAYFLY_ASSERT(text->find("/../") == std::string::npos && text->find("/./") == std::string::npos, "an argument makes no dot segment");
  }
  static_cast<void>(UrlTemplate::parse(bytes));
  const std::string next = resolve_location("https://api.test/a/b", bytes);
  MAYFLY_ASSERT(next.empty() || !url_origin(next).empty(), "a redirect leads to http(s)");
  return 0;
}
