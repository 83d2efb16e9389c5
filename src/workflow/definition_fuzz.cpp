#include <cstddef>
#include <cstdint>
#include <string_view>

#include "workflow/intrinsic.h"
#include "workflow/workflow.h"

/// Definitions, paths and intrinsic functions come from outside.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly;
  static Expressions expressions;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto definition = parse_json(text)) (void)workflow::compile(*definition, expressions);
  (void)workflow::check_intrinsic(text);
  const Json input = JsonObject{{"a", JsonArray{1, JsonObject{{"b", "x"}}, JsonArray{2, 3}}}};
  if (auto path = workflow::JsonPath::parse(text)) {
    (void)path->find({&input, &input, nullptr});
    Json target = input;
    if (path->is_reference()) (void)path->assign(target, 1);
  }
  return 0;
}
