#include <algorithm>

#include "workspace/workspace_test_support.h"

namespace mayfly::workspace {
namespace {

LockRequest ask(const std::string& path, Millis wait = Millis{0}, LockMode mode = LockMode::Exclusive) {
  LockRequest out;
  out.at = Place::at(path);
  out.wait = wait;
  out.mode = mode;
  return out;
}

WriteOptions with(const Grant& grant) {
  WriteOptions out;
  out.when.lock_token = grant.token;
  out.when.fence = grant.lock.fence;
  return out;
}

class Locks : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(world.write(world.person, "/d/a.txt", "one")); }
  Outcome<Grant> lock(const Actor& actor, LockRequest request) {
    return world.run(world.files().lock(actor, world.id, std::move(request)));
  }
  WorkspaceWorld world;
};

TEST_F(Locks, KeepOthersOut) {
  auto grant = lock(world.agent, ask("/d/a.txt"));
  ASSERT_TRUE(grant) << grant.error().message;
  EXPECT_GT(grant->lock.fence, 0u);
  auto other = world.write(world.person, "/d/a.txt", "two");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, "ws.locked");
  EXPECT_EQ(get_string(other.error().details, "holder"), world.agent.label);
  EXPECT_EQ(get_string(other.error().details, "path"), "/d/a.txt");
  EXPECT_FALSE(world.run(world.files().remove(world.person, world.id, Place::at("/d"), {})));
  EXPECT_FALSE(world.run(world.files().move(world.person, world.id, Place::at("/d/a.txt"), "/e.txt", false, {})));
  EXPECT_TRUE(world.write(world.agent, "/d/a.txt", "three", with(*grant)));
  ASSERT_TRUE(world.run(world.files().unlock(world.agent, world.id, Place::at("/d/a.txt"), grant->token)));
  ASSERT_TRUE(world.run(world.files().unlock(world.agent, world.id, Place::at("/d/a.txt"), grant->token)));
  EXPECT_TRUE(world.write(world.person, "/d/a.txt", "four"));
}

TEST_F(Locks, AStaleHolderCannotWrite) {
  auto first = lock(world.agent, ask("/d/a.txt"));
  ASSERT_TRUE(first);
  world.pass(Millis{61'000});
  auto second = lock(world.person, ask("/d/a.txt"));
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_GT(second->lock.fence, first->lock.fence);
  auto late = world.write(world.agent, "/d/a.txt", "late", with(*first));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, "ws.lock_lost");
  ASSERT_TRUE(world.run(world.files().unlock(world.person, world.id, Place::at("/d/a.txt"), second->token)));
  WriteOptions fenced;
  fenced.when.fence = first->lock.fence;
  auto queued = world.write(world.agent, "/d/a.txt", "queued", fenced);
  ASSERT_FALSE(queued);
  EXPECT_EQ(queued.error().code, "ws.lock_lost");
  EXPECT_EQ(world.read("/d/a.txt"), "one");
}

TEST_F(Locks, AreRenewedAfterTheirExpiryWhileNothingHappened) {
  auto grant = lock(world.agent, ask("/d/a.txt"));
  ASSERT_TRUE(grant);
  world.pass(Millis{90'000});
  EXPECT_EQ(std::ranges::count(world.events(), "lock.expired"), 1);
  auto renewed = world.run(world.files().renew_lock(world.agent, world.id, Place::at("/d/a.txt"), grant->token, Millis{60'000}));
  ASSERT_TRUE(renewed) << renewed.error().message;
  EXPECT_EQ(renewed->lock.fence, grant->lock.fence);
  EXPECT_TRUE(world.write(world.agent, "/d/a.txt", "two", with(*grant)));
  world.pass(Millis{90'000});
  ASSERT_TRUE(world.write(world.person, "/d/a.txt", "three"));
  auto lost = world.run(world.files().renew_lock(world.agent, world.id, Place::at("/d/a.txt"), grant->token, Millis{60'000}));
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, "ws.lock_lost");
}

TEST_F(Locks, WaitersAreServedInOrder) {
  auto grant = lock(world.agent, ask("/d/a.txt"));
  ASSERT_TRUE(grant);
  std::optional<Outcome<Grant>> first, second;
  world.spawn(world.files().lock(world.person, world.id, ask("/d/a.txt", Millis{20'000})), &first);
  world.settle();
  world.spawn(world.files().lock(world.agent, world.id, ask("/d/a.txt", Millis{20'000})), &second);
  world.settle();
  EXPECT_FALSE(first);
  auto impatient = lock(world.agent, ask("/d/a.txt"));
  ASSERT_FALSE(impatient);
  EXPECT_EQ(get_int(impatient.error().details, "queue_position"), 3);
  ASSERT_TRUE(world.run(world.files().unlock(world.agent, world.id, Place::at("/d/a.txt"), grant->token)));
  world.pass(Millis{100});
  ASSERT_TRUE(first);
  ASSERT_TRUE(*first) << first->error().message;
  EXPECT_FALSE(second);
  world.pass(Millis{21'000});
  ASSERT_TRUE(second);
  ASSERT_FALSE(*second);
  EXPECT_EQ(second->error().code, "ws.locked");
}

TEST_F(Locks, AGrantIsGivenAgainForItsKey) {
  LockRequest request = ask("/d/a.txt");
  request.idempotency_key = "k";
  auto first = lock(world.agent, request);
  ASSERT_TRUE(first);
  world.crash();
  auto again = lock(world.agent, request);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->token, first->token);
  EXPECT_EQ(again->lock.fence, first->lock.fence);
}

TEST_F(Locks, OfFoldersCoverWhatIsBelow) {
  auto grant = lock(world.agent, ask("/d"));
  ASSERT_TRUE(grant);
  auto inside = world.write(world.person, "/d/new.txt", "x");
  ASSERT_FALSE(inside);
  EXPECT_EQ(inside.error().code, "ws.locked");
  EXPECT_FALSE(lock(world.person, ask("/d/a.txt")));
  EXPECT_TRUE(world.write(world.agent, "/d/new.txt", "x", with(*grant)));
  EXPECT_TRUE(world.write(world.person, "/elsewhere.txt", "x"));
}

TEST_F(Locks, SharedOnesKeepOutExclusiveOnes) {
  ASSERT_TRUE(lock(world.agent, ask("/d/a.txt", Millis{0}, LockMode::Shared)));
  ASSERT_TRUE(lock(world.person, ask("/d/a.txt", Millis{0}, LockMode::Shared)));
  EXPECT_FALSE(lock(world.person, ask("/d/a.txt")));
  auto status = world.run(world.files().locks(world.person, world.id, Place::at("/d")));
  ASSERT_TRUE(status);
  EXPECT_EQ(status->locks.size(), 2u);
}

TEST_F(Locks, AreBrokenByOwnersAlone) {
  auto grant = lock(world.agent, ask("/d/a.txt"));
  ASSERT_TRUE(grant);
  EXPECT_FALSE(world.run(world.files().break_lock(world.agent, world.id, Place::at("/d/a.txt"), "stuck")));
  ASSERT_TRUE(world.run(world.files().break_lock(world.person, world.id, Place::at("/d/a.txt"), "stuck")));
  auto late = world.write(world.agent, "/d/a.txt", "late", with(*grant));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, "ws.lock_lost");
  EXPECT_EQ(std::ranges::count(world.events(), "lock.broken"), 1);
  auto next = lock(world.person, ask("/d/a.txt"));
  ASSERT_TRUE(next);
  EXPECT_GT(next->lock.fence, grant->lock.fence + 1);
}

TEST_F(Locks, OfARunEndWithIt) {
  Actor runner = world.agent;
  runner.run = "run-1";
  auto grant = lock(runner, ask("/d/a.txt"));
  ASSERT_TRUE(grant);
  world.crash();
  EXPECT_EQ(world.files().runs_with_locks(), std::set<std::string>{"run-1"});
  world.pass(Millis{40'000});
  ASSERT_TRUE(world.run(world.files().renew_run("run-1")));
  world.pass(Millis{40'000});
  EXPECT_FALSE(world.write(world.person, "/d/a.txt", "x"));
  ASSERT_TRUE(world.run(world.files().release_run("run-1")));
  EXPECT_TRUE(world.write(world.person, "/d/a.txt", "x"));
  EXPECT_TRUE(world.files().runs_with_locks().empty());
}

}  // namespace
}  // namespace mayfly::workspace
