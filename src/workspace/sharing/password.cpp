#include "workspace/sharing/password.h"

#include <openssl/evp.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/thread_pool.hpp>

#include "base/hash.h"

namespace mayfly::workspace {
namespace {

constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kKeyBytes = 32;
constexpr std::uint64_t kCost = 1 << 15, kBlocks = 8, kParallel = 1, kMemoryBytesMax = 64ULL << 20;
constexpr int kWaitingMax = 16;
constexpr std::string_view kPrefix = "scrypt$";

std::string scrypt(const std::string& password, const std::string& salt) {
  std::string key(kKeyBytes, '\0');
  const int done = EVP_PBE_scrypt(password.data(), password.size(), reinterpret_cast<const unsigned char*>(salt.data()), salt.size(), kCost,
                                  kBlocks, kParallel, kMemoryBytesMax, reinterpret_cast<unsigned char*>(key.data()), key.size());
  return done == 1 ? key : std::string();
}

}  // namespace

Passwords::Passwords(Executor executor) : executor_(executor) {}
Passwords::~Passwords() {
  if (worker_) worker_->join();
}

Task<Result<std::string>> Passwords::derive(std::string password, std::string salt) {
  if (*waiting_ >= kWaitingMax)
    co_return fail("link.password", "too many passwords are being checked; try again in a few seconds", Retry::Safe);
  if (!worker_) worker_ = std::make_unique<asio::thread_pool>(1);
  ++*waiting_;
  const std::shared_ptr<int> waiting = waiting_;
  std::string key =
      co_await suspend<std::string>([this, password = std::move(password), salt = std::move(salt)](Resume<std::string> resume) mutable {
        asio::post(*worker_, [guard = asio::make_work_guard(executor_), password = std::move(password), salt = std::move(salt),
                              resume = std::move(resume)]() mutable { resume(scrypt(password, salt)); });
      });
  --*waiting;
  if (key.empty()) co_return fail("link.password", "the password could not be checked for want of memory; try again", Retry::Safe);
  co_return key;
}

Task<Result<std::string>> Passwords::hash(std::string password) {
  const std::string salt = secure_random_bytes(kSaltBytes);
  auto key = co_await derive(std::move(password), salt);
  if (!key) co_return std::unexpected(key.error());
  co_return std::string(kPrefix) + to_base64(salt) + "$" + to_base64(*key);
}

Task<Result<bool>> Passwords::fits(std::string password, std::string stored) {
  const std::size_t middle = stored.find('$', kPrefix.size());
  if (!stored.starts_with(kPrefix) || middle == std::string::npos) co_return false;
  const auto salt_bytes = from_base64(stored.substr(kPrefix.size(), middle - kPrefix.size()));
  const auto expected = from_base64(stored.substr(middle + 1));
  if (!salt_bytes || !expected) co_return false;
  auto key = co_await derive(std::move(password), *salt_bytes);
  if (!key) co_return std::unexpected(key.error());
  co_return equal_constant_time(*key, *expected);
}

}  // namespace mayfly::workspace
