#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/hash.h"
#include "blob/blob_store.h"

/// What every BlobStore does. A harness has `asio::io_context io` and `std::unique_ptr<BlobStore> open()`.
namespace mayfly {

inline Task<> await_blob(Task<Result<std::string>> task, Result<std::string>* out) { *out = co_await std::move(task); }

/// Runs the loop until the task has returned.
inline Result<std::string> run_blob(asio::io_context& io, Task<Result<std::string>> task) {
  Result<std::string> out = fail("test.unfinished", "The task did not end.");
  TaskGroup group(io.get_executor());
  group.spawn(await_blob(std::move(task), &out));
  io.restart();
  while (group.size() > 0 && io.run_one() > 0) {
  }
  return out;
}

template <class Harness>
class BlobStoreConformance : public ::testing::Test {
 protected:
  BlobStoreConformance() : store_(harness_.open()) {}
  Result<std::string> put(std::string bytes) { return run_blob(harness_.io, store_->put(std::move(bytes))); }
  Result<std::string> get(std::string hash) { return run_blob(harness_.io, store_->get(std::move(hash))); }

  Harness harness_;
  std::unique_ptr<BlobStore> store_;
};

TYPED_TEST_SUITE_P(BlobStoreConformance);

TYPED_TEST_P(BlobStoreConformance, ReturnsTheBytesByTheirHash) {
  std::string all;
  for (int i = 0; i < 300'000; ++i) all += static_cast<char>(i * 7);
  for (const std::string& bytes : {std::string(), std::string("hello"), std::string("nul\0inside", 10), all}) {
    const auto hash = this->put(bytes);
    ASSERT_TRUE(hash) << hash.error().message;
    EXPECT_EQ(*hash, sha256_hex(bytes));
    const auto read = this->get(*hash);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, bytes);
  }
}

TYPED_TEST_P(BlobStoreConformance, PuttingTwiceIsNoError) {
  const auto first = this->put("same"), second = this->put("same");
  ASSERT_TRUE(first && second);
  EXPECT_EQ(*first, *second);
  EXPECT_EQ(this->get(*first).value(), "same");
}

TYPED_TEST_P(BlobStoreConformance, UnknownAndInvalidHashesAreErrors) {
  EXPECT_EQ(this->get(sha256_hex("never put")).error().code, "blob.not_found");
  for (const std::string& hash : {std::string(), std::string("abc"), std::string(64, 'A'), std::string(65, 'a'),
                                  "../../" + std::string(58, 'a'), std::string(64, 'g')})
    EXPECT_EQ(this->get(hash).error().code, "blob.invalid_hash") << hash;
}

REGISTER_TYPED_TEST_SUITE_P(BlobStoreConformance, ReturnsTheBytesByTheirHash, PuttingTwiceIsNoError, UnknownAndInvalidHashesAreErrors);

}  // namespace mayfly
