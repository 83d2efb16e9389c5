#include <cstdint>
#include <cstdlib>

#include "server/webdav/if_header.h"
#include "server/webdav/xml.h"

/// What is read can be written, and reads as the same again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly::webdav;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)parse_if(text);
  const auto first = parse_xml(text);
  if (!first) return 0;
  const std::string written = to_xml(*first);
  if (written.size() > kXmlBytesMax) return 0;
  const auto second = parse_xml(written);
  if (!second || to_xml(*second) != written) std::abort();
  return 0;
}
