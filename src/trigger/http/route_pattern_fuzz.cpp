#include <cstdint>
#include <cstdlib>

#include "trigger/http/form.h"
#include "trigger/http/route_pattern.h"
#include "trigger/trigger_spec.h"

/// A pattern without parameters fits itself; sources that were read are written in a form that reads back the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly;
  using namespace mayfly::trigger;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto cut = std::min(text.find('\n'), text.size());
  const std::string_view path = text.substr(0, cut), rest = text.substr(std::min(cut + 1, text.size()));
  if (const auto pattern = parse_route_pattern(path)) {
    if (path.find('{') == std::string_view::npos && !pattern->match(path)) std::abort();
    (void)pattern->match(rest);
  }
  (void)read_form(rest);
  const auto value = parse_json(rest);
  if (!value) return 0;
  if (const auto source = http_source_from_json(*value); source && to_json(*http_source_from_json(to_json(*source))) != to_json(*source)) std::abort();
  if (const auto source = webhook_source_from_json(*value); source && to_json(*webhook_source_from_json(to_json(*source))) != to_json(*source)) std::abort();
  return 0;
}
