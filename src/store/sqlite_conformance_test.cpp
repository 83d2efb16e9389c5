#include "store/sqlite_store.h"
#include "store/store_conformance.h"
#include "testing/temporary_directory.h"

namespace mayfly {
namespace {

struct SqliteHarness {
  TemporaryDirectory directory;
  asio::io_context io;

  std::unique_ptr<Store> open() {
    auto store = open_sqlite_store(io.get_executor(), {.directory = directory.path + "/data"});
    EXPECT_TRUE(store) << store.error().message;
    return std::move(store.value());
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, StoreConformance, SqliteHarness);

}  // namespace
}  // namespace mayfly
