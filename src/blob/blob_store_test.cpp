#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "blob/blob_store_conformance.h"
#include "blob/fs_blob_store.h"
#include "blob/memory_blob_store.h"
#include "testing/temporary_directory.h"

namespace mayfly {
namespace {

struct FsHarness {
  TemporaryDirectory temporary;
  std::string directory = temporary.path + "/blobs";
  asio::io_context io;
  std::unique_ptr<BlobStore> open() {
    auto store =
        open_fs_blob_store(io.get_executor(), {.directory = directory, .blob_bytes_max = 1'000'000, .stream_bytes_max = 2'000'000});
    EXPECT_TRUE(store) << store.error().message;
    return std::move(store.value());
  }
  std::string path_of(const std::string& hash) const { return directory + "/" + hash.substr(0, 2) + "/" + hash.substr(2); }
};

struct MemoryHarness {
  asio::io_context io;
  std::unique_ptr<BlobStore> open() { return std::make_unique<MemoryBlobStore>(); }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Fs, BlobStoreConformance, FsHarness);
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, BlobStoreConformance, MemoryHarness);

struct FsBlobStoreTest : ::testing::Test {
  FsHarness harness;
  std::unique_ptr<BlobStore> store = harness.open();
  Result<std::string> put(std::string bytes) { return run_blob(harness.io, store->put(std::move(bytes))); }
  Result<std::string> get(std::string hash) { return run_blob(harness.io, store->get(std::move(hash))); }
};

TEST_F(FsBlobStoreTest, KeepsBlobsForTheNextProcessAndTheOwnerOnly) {
  const std::string hash = put("kept").value();
  std::ofstream(harness.directory + "/tmp/half-written") << "left by a crash";
  store.reset();
  store = harness.open();
  EXPECT_EQ(get(hash).value(), "kept");
  EXPECT_TRUE(std::filesystem::is_empty(harness.directory + "/tmp"));
  struct stat status{};
  ASSERT_EQ(::stat(harness.path_of(hash).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  ASSERT_EQ(::stat(harness.directory.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
}

TEST_F(FsBlobStoreTest, DamageIsNoticedAndHealedByPuttingAgain) {
  const std::string hash = put("the true bytes").value();
  for (const char* damage : {"the trUe bytes", "cut", ""}) {
    std::ofstream(harness.path_of(hash), std::ios::trunc) << damage;
    const auto read = get(hash);
    ASSERT_FALSE(read) << damage;
    EXPECT_EQ(read.error().code, "blob.damaged");
    ASSERT_TRUE(put("the true bytes"));
    EXPECT_EQ(get(hash).value(), "the true bytes");
  }
}

TEST_F(FsBlobStoreTest, TooLargeIsRefused) {
  EXPECT_EQ(put(std::string(1'000'001, 'x')).error().code, "blob.too_large");
  EXPECT_TRUE(put(std::string(1'000'000, 'x')));
}

TEST_F(FsBlobStoreTest, NoSpaceLeavesNothingBehindAndServiceReturns) {
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1000, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto refused = put(std::string(5000, 'x'));
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "blob.full");
  EXPECT_EQ(refused.error().retry, Retry::Safe);
  EXPECT_TRUE(std::filesystem::is_empty(harness.directory + "/tmp"));
  EXPECT_EQ(get(sha256_hex(std::string(5000, 'x'))).error().code, "blob.not_found");
  EXPECT_TRUE(put(std::string(5000, 'x')));
}

TEST_F(FsBlobStoreTest, StreamsHaveALimitOfTheirOwnAndLeaveNothingBehind) {
  auto writer = run_blob(harness.io, store->create()).value();
  ASSERT_TRUE(run_blob(harness.io, writer->write(std::string(1'500'000, 'x')))) << "more than put takes";
  EXPECT_EQ(run_blob(harness.io, writer->write(std::string(500'001, 'x'))).error().code, "blob.too_large");
  EXPECT_EQ(run_blob(harness.io, writer->write("x")).error().code, "blob.too_large");
  EXPECT_EQ(run_blob(harness.io, writer->finish()).error().code, "blob.too_large");
  writer.reset();
  EXPECT_TRUE(std::filesystem::is_empty(harness.directory + "/tmp"));
}

TEST_F(FsBlobStoreTest, AStreamThatFindsNoSpaceSaysSoAndLeavesNothing) {
  auto writer = run_blob(harness.io, store->create()).value();
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1000, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto refused = run_blob(harness.io, writer->write(std::string(5000, 'x')));
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(refused.error().code, "blob.full");
  EXPECT_EQ(run_blob(harness.io, writer->write("more")).error().code, "blob.full") << "a gap must not become a blob";
  EXPECT_EQ(run_blob(harness.io, writer->finish()).error().code, "blob.full");
  writer.reset();
  EXPECT_TRUE(std::filesystem::is_empty(harness.directory + "/tmp"));
}

TEST_F(FsBlobStoreTest, ReadingADamagedFileToItsEndIsNoticed) {
  const std::string hash = put("the true bytes").value();
  for (const char* damage : {"the trUe bytes", "cut", ""}) {
    std::ofstream(harness.path_of(hash), std::ios::trunc) << damage;
    const auto reader = run_blob(harness.io, store->open(hash));
    if (!reader) {
      EXPECT_EQ(reader.error().code, "blob.damaged");
      continue;
    }
    std::string error;
    for (std::uint64_t at = 0; at < (*reader)->size() && error.empty(); at += 4) {
      const auto piece = run_blob(harness.io, (*reader)->read(at, 4));
      if (!piece) error = piece.error().code;
    }
    EXPECT_EQ(error, "blob.damaged") << damage;
  }
}

TEST_F(FsBlobStoreTest, DestroyingWaitsForTheWorkUnderWay) {
  Result<std::string> out = fail("test.unfinished", "");
  TaskGroup group(harness.io.get_executor());
  group.spawn(await_blob(store->put("last words"), &out));
  harness.io.restart();
  harness.io.poll();
  store.reset();
  while (group.size() > 0) harness.io.run_one();
  ASSERT_TRUE(out);
  EXPECT_TRUE(std::filesystem::exists(harness.path_of(*out)));
}

}  // namespace
}  // namespace mayfly
