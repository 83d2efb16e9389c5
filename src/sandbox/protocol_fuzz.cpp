#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sandbox/jail/address.h"
#include "sandbox/jail/plan.h"
#include "sandbox/jail/protocol.h"

/// What each side of the jailer's sockets makes of any bytes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  namespace jail = mayfly::jail;
  // What was understood must survive the way back.
  if (const auto message = jail::decode_launch(bytes); message && jail::encode(*message).size() != size) __builtin_trap();
  if (const auto message = jail::decode_started(bytes); message && jail::encode(*message).size() != size) __builtin_trap();
  if (const auto message = jail::decode_failed(bytes); message && jail::encode(*message).size() != size) __builtin_trap();
  (void)jail::decode_zygote(bytes);
  (void)jail::decode_layers(bytes);
  (void)jail::decode_ended(bytes);
  (void)jail::decode_plan(bytes);
  (void)jail::parse_address(bytes);
  return 0;
}
