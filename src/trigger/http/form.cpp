#include "trigger/http/form.h"

#include <algorithm>

#include "net/http.h"

namespace mayfly::trigger {
namespace {

constexpr std::size_t kFieldsMax = 1'000;

void add(JsonObject& to, std::string name, std::string value) {
  Json* before = to.if_contains(name);
  if (!before) to.emplace(std::move(name), std::move(value));
  else if (auto* list = before->if_array()) list->emplace_back(std::move(value));
  else *before = JsonArray{*before, Json(std::move(value))};
}

}  // namespace

Result<JsonObject> read_form(std::string_view text) {
  JsonObject out;
  std::size_t count = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find('&'), text.size());
    const std::string_view field = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (field.empty()) continue;
    if (++count > kFieldsMax) return fail("form.invalid", "a form has at most 1,000 fields");
    const auto equals = std::min(field.find('='), field.size());
    auto name = net::percent_decode(field.substr(0, equals), true);
    auto value = net::percent_decode(field.substr(std::min(equals + 1, field.size())), true);
    if (!name || !value || !is_utf8(*name) || !is_utf8(*value)) return fail("form.invalid", "the form is not percent-encoded UTF-8");
    add(out, std::move(*name), std::move(*value));
  }
  return out;
}

}  // namespace mayfly::trigger
