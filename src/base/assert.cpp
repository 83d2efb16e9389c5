#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace mayfly {

void assertion_failed(const char* expression, const char* file, int line, std::string_view why) {
  std::fprintf(stderr, "mayfly: internal error at %s:%d: %.*s [%s]\n", file, line, static_cast<int>(why.size()), why.data(),
               expression);
  std::abort();
}

}  // namespace mayfly
