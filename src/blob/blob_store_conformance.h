#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/hash.h"
#include "blob/blob_store.h"

/// What every BlobStore does. A harness has `asio::io_context io` and `std::unique_ptr<BlobStore> open()`.
namespace mayfly {

template <class T>
Task<> await_blob(Task<Result<T>> task, Result<T>* out) {
  *out = co_await std::move(task);
}

/// Runs the loop until the task has returned.
template <class T>
Result<T> run_blob(asio::io_context& io, Task<Result<T>> task) {
  Result<T> out = fail("test.unfinished", "The task did not end.");
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
  std::unique_ptr<BlobWriter> create() { return run_blob(harness_.io, store_->create()).value(); }
  Result<void> write(BlobWriter& writer, std::string bytes) { return run_blob(harness_.io, writer.write(std::move(bytes))); }
  Result<BlobWriter::Finished> finish(BlobWriter& writer) { return run_blob(harness_.io, writer.finish()); }
  Result<std::unique_ptr<BlobReader>> open(std::string hash) { return run_blob(harness_.io, store_->open(std::move(hash))); }
  Result<std::string> read(BlobReader& reader, std::uint64_t offset, std::size_t length) {
    return run_blob(harness_.io, reader.read(offset, length));
  }
  Result<BlobStore::Swept> sweep(std::string used, Millis grace) {
    return run_blob(harness_.io, store_->sweep([used = std::move(used)](std::string_view hash) { return hash == used; }, grace));
  }

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

TYPED_TEST_P(BlobStoreConformance, StreamsInPiecesAndReadsRanges) {
  auto writer = this->create();
  std::string all;
  for (int i = 0; i < 40; ++i) {
    const std::string piece(7'001, static_cast<char>('a' + i % 26));
    ASSERT_TRUE(this->write(*writer, piece));
    all += piece;
  }
  EXPECT_EQ(writer->size(), all.size());
  const auto finished = this->finish(*writer);
  ASSERT_TRUE(finished) << finished.error().message;
  EXPECT_EQ(finished->hash, sha256_hex(all));
  EXPECT_EQ(finished->size, all.size());
  EXPECT_EQ(this->get(finished->hash).value(), all) << "a streamed blob is one like any other";

  const auto reader = this->open(finished->hash);
  ASSERT_TRUE(reader);
  EXPECT_EQ((*reader)->size(), all.size());
  std::string read;
  while (read.size() < all.size()) {
    const auto piece = this->read(**reader, read.size(), 10'007);
    ASSERT_TRUE(piece) << piece.error().message;
    ASSERT_FALSE(piece->empty());
    read += *piece;
  }
  EXPECT_EQ(read, all);
  EXPECT_EQ(this->read(**reader, all.size(), 10).value(), "");
  EXPECT_EQ(this->read(**reader, all.size() + 5, 10).value(), "");
  EXPECT_EQ(this->read(**reader, 7'000, 2).value(), "ab");
  EXPECT_EQ(this->read(**reader, all.size() - 3, 100).value(), all.substr(all.size() - 3));
}

TYPED_TEST_P(BlobStoreConformance, AnEmptyStreamIsTheEmptyBlob) {
  auto writer = this->create();
  EXPECT_EQ(this->finish(*writer).value().hash, sha256_hex(""));
  const auto reader = this->open(sha256_hex(""));
  ASSERT_TRUE(reader);
  EXPECT_EQ(this->read(**reader, 0, 10).value(), "");
}

TYPED_TEST_P(BlobStoreConformance, AWriterThatDoesNotFinishLeavesNothing) {
  auto writer = this->create();
  ASSERT_TRUE(this->write(*writer, "half"));
  writer.reset();
  EXPECT_EQ(this->get(sha256_hex("half")).error().code, "blob.not_found");
  EXPECT_EQ(this->open(sha256_hex("half")).error().code, "blob.not_found");
  EXPECT_EQ(this->open("no hash").error().code, "blob.invalid_hash");
}

TYPED_TEST_P(BlobStoreConformance, TwoStreamsOfTheSameBytesAreOneBlob) {
  auto first = this->create(), second = this->create();
  ASSERT_TRUE(this->write(*first, "twin") && this->write(*second, "twin"));
  EXPECT_EQ(this->finish(*first).value().hash, this->finish(*second).value().hash);
  EXPECT_EQ(this->get(sha256_hex("twin")).value(), "twin");
}

TYPED_TEST_P(BlobStoreConformance, SweepingTakesWhatIsOldAndUnused) {
  const std::string used = this->put("used").value(), unused = this->put("unused").value();
  const auto fresh = this->sweep(used, std::chrono::hours(1));
  ASSERT_TRUE(fresh) << fresh.error().message;
  EXPECT_EQ(fresh->removed, 0u) << "a new blob waits for its reference";
  EXPECT_EQ(fresh->kept, 2u);
  const auto reader = this->open(unused);
  const auto swept = this->sweep(used, Millis{0});
  ASSERT_TRUE(swept);
  EXPECT_EQ(swept->removed, 1u);
  EXPECT_EQ(swept->bytes, 6u);
  EXPECT_EQ(swept->kept, 1u);
  EXPECT_EQ(this->get(used).value(), "used");
  EXPECT_EQ(this->get(unused).error().code, "blob.not_found");
  EXPECT_EQ(this->read(**reader, 0, 10).value(), "unused") << "who holds it reads on";
  ASSERT_TRUE(this->put("unused"));
  EXPECT_EQ(this->get(unused).value(), "unused");
}

TYPED_TEST_P(BlobStoreConformance, PutsAndSweepsAtTheSameTimeLoseNothing) {
  const std::string hash = this->put("wanted").value();
  for (int round = 0; round < 20; ++round) {
    Result<std::string> put = fail("test.unfinished", "");
    Result<BlobStore::Swept> swept = fail("test.unfinished", "");
    Result<BlobWriter::Finished> finished = fail("test.unfinished", "");
    auto writer = this->create();
    ASSERT_TRUE(this->write(*writer, "streamed"));
    TaskGroup group(this->harness_.io.get_executor());
    group.spawn(await_blob(this->store_->sweep([](std::string_view) { return false; }, std::chrono::hours(1)), &swept));
    group.spawn(await_blob(this->store_->put("wanted"), &put));
    group.spawn(await_blob(writer->finish(), &finished));
    this->harness_.io.restart();
    while (group.size() > 0 && this->harness_.io.run_one() > 0) {
    }
    ASSERT_TRUE(put && swept && finished);
    EXPECT_EQ(this->get(hash).value(), "wanted");
    EXPECT_EQ(this->get(finished->hash).value(), "streamed");
  }
}

REGISTER_TYPED_TEST_SUITE_P(BlobStoreConformance, ReturnsTheBytesByTheirHash, PuttingTwiceIsNoError, UnknownAndInvalidHashesAreErrors,
                            StreamsInPiecesAndReadsRanges, AnEmptyStreamIsTheEmptyBlob, AWriterThatDoesNotFinishLeavesNothing,
                            TwoStreamsOfTheSameBytesAreOneBlob, SweepingTakesWhatIsOldAndUnused, PutsAndSweepsAtTheSameTimeLoseNothing);

}  // namespace mayfly
