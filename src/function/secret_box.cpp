#include "function/secret_box.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>

#include "base/assert.h"
#include "base/hash.h"

namespace mayfly::function {
namespace {

constexpr std::size_t kKeyBytes = 32, kNonceBytes = 12, kTagBytes = 16;

using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;
Cipher make_cipher() { return {EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free}; }

const unsigned char* in(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* out(std::string& text, std::size_t at = 0) { return reinterpret_cast<unsigned char*>(text.data()) + at; }

Result<std::string> make_key(const std::string& path) {
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return fail("secret.key_unwritable", "cannot make the key file " + path + "; make its folder writable");
  std::string key = secure_random_bytes(kKeyBytes);
  const bool written = ::write(file, key.data(), key.size()) == static_cast<ssize_t>(key.size()) && ::fsync(file) == 0;
  ::close(file);
  const int folder = ::open(std::filesystem::path(path).parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool entered = folder >= 0 && ::fsync(folder) == 0;
  if (folder >= 0) ::close(folder);
  if (!written || !entered) {
    ::unlink(path.c_str());
    return fail("secret.key_unwritable", "cannot write the key file " + path + "; is the disk full?");
  }
  return key;
}

}  // namespace

Result<SecretBox> SecretBox::open(const std::string& path, IfMissing if_missing) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0 && errno == ENOENT) {
    if (if_missing == IfMissing::Fail)
      return fail("secret.key_missing", "the key file " + path +
                                            " is gone, but what it encrypted is still stored; restore it from the backup of the data "
                                            "directory");
    auto key = make_key(path);
    if (!key) return fail(key.error());
    return SecretBox(std::move(*key));
  }
  if (file < 0) return fail("secret.key_invalid", "cannot read the key file " + path + "; it must be a file of the server's user");
  struct stat about{};
  std::string key(kKeyBytes + 1, '\0');
  const ssize_t size = ::fstat(file, &about) == 0 ? ::read(file, key.data(), key.size()) : -1;
  ::close(file);
  if (about.st_uid != ::geteuid()) return fail("secret.key_invalid", "the key file " + path + " belongs to another user; run: chown it to the server's");
  if ((about.st_mode & 077) != 0) return fail("secret.key_invalid", "others may read the key file " + path + "; run: chmod 600 " + path);
  if (size != static_cast<ssize_t>(kKeyBytes))
    return fail("secret.key_invalid", "the key file " + path + " must hold exactly 32 bytes; restore it from the backup");
  key.resize(kKeyBytes);
  return SecretBox(std::move(key));
}

std::string SecretBox::seal(std::string_view plain, std::string_view context) const {
  const std::string nonce = secure_random_bytes(kNonceBytes);
  std::string text(plain.size(), '\0'), tag(kTagBytes, '\0');
  const Cipher cipher = make_cipher();
  int size = 0;
  bool done = cipher && EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, in(key_), in(nonce)) == 1;
  done = done && EVP_EncryptUpdate(cipher.get(), nullptr, &size, in(context), static_cast<int>(context.size())) == 1;
  done = done && EVP_EncryptUpdate(cipher.get(), out(text), &size, in(plain), static_cast<int>(plain.size())) == 1;
  done = done && EVP_EncryptFinal_ex(cipher.get(), out(tag), &size) == 1;
  done = done && EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, static_cast<int>(kTagBytes), tag.data()) == 1;
  MAYFLY_ASSERT(done, "AES-256-GCM is available");
  return to_base64(nonce + text + tag);
}

Result<std::string> SecretBox::unseal(std::string_view sealed, std::string_view context) const {
  const Error wrong{"secret.wrong_key",
                    "a stored secret cannot be decrypted: the data directory's function.key is not the one that it was written with; "
                    "restore both from the same backup",
                    Retry::Never};
  const auto bytes = from_base64(sealed);
  if (!bytes || bytes->size() < kNonceBytes + kTagBytes) return fail(wrong);
  const std::string_view all(*bytes);
  const std::string_view text = all.substr(kNonceBytes, all.size() - kNonceBytes - kTagBytes);
  std::string tag(all.substr(all.size() - kTagBytes)), plain(text.size(), '\0'), rest(kTagBytes, '\0');
  const Cipher cipher = make_cipher();
  int size = 0;
  bool done = cipher && EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, in(key_), in(all)) == 1;
  done = done && EVP_DecryptUpdate(cipher.get(), nullptr, &size, in(context), static_cast<int>(context.size())) == 1;
  done = done && EVP_DecryptUpdate(cipher.get(), out(plain), &size, in(text), static_cast<int>(text.size())) == 1;
  done = done && EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, static_cast<int>(kTagBytes), tag.data()) == 1;
  done = done && EVP_DecryptFinal_ex(cipher.get(), out(rest), &size) == 1;
  if (!done) return fail(wrong);
  return plain;
}

}  // namespace mayfly::function
