#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "trigger/sqs/sqs_client.h"
#include "trigger/sqs/sqs_wire.h"

/// What a foreign endpoint answers, right or wrong: never crashes, and what is accepted keeps its promises.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 4 == 0) {
    const Error error = trigger::sqs_error_of(200 + data[0], text.substr(0, text.size() / 2), text.substr(text.size() / 2));
    if (error.code.empty() || !is_utf8(error.message)) std::abort();
    return 0;
  }
  (void)trigger::sqs_region_of(text);
  const auto value = parse_json(text, {.depth_max = 16, .bytes_max = 1024 * 1024});
  if (!value || !value->is_object()) return 0;
  if (const auto attributes = trigger::attributes_from_json(value->get_object())) {
    const auto again = trigger::attributes_from_json(trigger::attributes_to_json(*attributes));
    if (!again || trigger::md5_of_attributes(*again) != trigger::md5_of_attributes(*attributes)) std::abort();
  }
  const auto messages = trigger::parse_sqs_messages(value->get_object());
  if (!messages) return 0;
  if (messages->size() > queue::kBatchMax) std::abort();
  for (const auto& message : *messages)
    if (message.id.empty() || message.receipt_handle.empty()) std::abort();
  return 0;
}
