#include "store/watchers.h"

#include <gtest/gtest.h>

namespace mayfly {
namespace {

Batch writing(std::string key) { return {.puts = {{std::move(key), "v"}}}; }

TEST(Watchers, CallsEachOnceForManyChanges) {
  Watchers watchers;
  int calls = 0;
  const auto watch = watchers.add("p/", [&] { ++calls; });
  watchers.touch(writing("p/a"));
  watchers.touch(writing("p/b"));
  watchers.touch({.deletes = {"p/c"}});
  watchers.notify();
  EXPECT_EQ(calls, 1);
  watchers.notify();
  EXPECT_EQ(calls, 1);
}

TEST(Watchers, CallbacksMayDropAndAddWatchers) {
  Watchers watchers;
  std::vector<std::string> calls;
  std::unique_ptr<Store::Watch> first, second, added;
  first = watchers.add("p/", [&] {
    calls.push_back("first");
    added = watchers.add("p/", [&] { calls.push_back("added"); });
    second.reset();
    first.reset();
  });
  second = watchers.add("p/a", [&] { calls.push_back("second"); });
  watchers.touch(writing("p/a"));
  watchers.notify();
  EXPECT_EQ(calls, std::vector<std::string>{"first"});
  watchers.touch(writing("p/a"));
  watchers.notify();
  EXPECT_EQ(calls, (std::vector<std::string>{"first", "added"}));
}

TEST(Watchers, HandleMayOutliveThem) {
  auto watchers = std::make_unique<Watchers>();
  auto watch = watchers->add("p/", [] {});
  watchers.reset();
  watch.reset();
}

}  // namespace
}  // namespace mayfly
