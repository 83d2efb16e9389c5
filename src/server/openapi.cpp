#include "server/openapi.h"

namespace mayfly {
const std::string& openapi_text() {
  static const std::string text = "{}";
  return text;
}
}  // namespace mayfly
