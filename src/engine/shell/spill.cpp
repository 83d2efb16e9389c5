#include "engine/shell/spill.h"

#include "engine/core/types.h"

namespace mayfly::engine {
namespace {

/// About the size of the value's text, counted only until it is known to be too large.
std::size_t estimate(const Json& value, std::size_t enough) {
  std::size_t total = 8;
  if (const auto* text = value.if_string()) return text->size() + 2;
  if (const auto* object = value.if_object()) {
    for (const auto& member : *object) {
      total += member.key().size() + 4 + estimate(member.value(), enough);
      if (total > enough) break;
    }
  } else if (const auto* array = value.if_array()) {
    for (const auto& element : *array) {
      total += 1 + estimate(element, enough);
      if (total > enough) break;
    }
  }
  return total;
}

}  // namespace

bool looks_spilled(const Json& value) {
  const auto* object = value.if_object();
  return object && object->size() == 2 && object->contains("$blob") && object->contains("bytes");
}

Task<Result<Json>> spill(BlobStore& blobs, Json value) {
  if (!looks_spilled(value) && estimate(value, kInlineValueBytesMax) <= kInlineValueBytesMax / 2) co_return Json(nullptr);
  std::string text = to_text(value);
  if (text.size() <= kInlineValueBytesMax && !looks_spilled(value)) co_return Json(nullptr);
  const std::size_t bytes = text.size();
  auto hash = co_await blobs.put(std::move(text));
  if (!hash) co_return std::unexpected(hash.error());
  co_return JsonObject{{"$blob", *hash}, {"bytes", bytes}};
}

Task<Result<Json>> unspill(BlobStore& blobs, Json value) {
  if (!looks_spilled(value)) co_return value;
  auto text = co_await blobs.get(get_string(value.get_object(), "$blob"));
  if (!text) co_return std::unexpected(text.error());
  co_return parse_record(*text);
}

}  // namespace mayfly::engine
