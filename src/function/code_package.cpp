#include "function/code_package.h"

#include <openssl/evp.h>

#include <array>

#include "base/assert.h"
#include "base/hash.h"

namespace mayfly::function {

std::string CodePackage::sha256_base64() const {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  MAYFLY_ASSERT(EVP_Digest(zip.data(), zip.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1, "SHA-256 is available");
  return to_base64({reinterpret_cast<const char*>(digest.data()), size});
}

}  // namespace mayfly::function
