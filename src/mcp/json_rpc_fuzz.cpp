#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "mcp/json_rpc.h"

/// Whatever is read as a message is written and read again as the same kind of message with the same id.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly::mcp;
  auto read = parse_rpc(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!read) {
    if (read.error().error.message.empty()) std::abort();
    return 0;
  }
  if (const auto* request = std::get_if<RpcRequest>(&*read)) {
    auto again = read_rpc(mayfly::Json(rpc_request(request->id, request->method, request->params)));
    if (!again || std::get<RpcRequest>(*again).id != request->id) std::abort();
  }
  return 0;
}
