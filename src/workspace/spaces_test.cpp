#include "workspace/spaces.h"

#include "workspace/workspace_test_support.h"

namespace mayfly::workspace {
namespace {

Task<Outcome<Json>> put_row(Space* space, std::string name, bool fails) {
  space->rows().put(space->row('x', name), "1");
  if (fails) co_return refuse("ws.invalid", "it fails");
  co_return Json(name);
}

class SpacesTest : public ::testing::Test {
 protected:
  bool stored(const std::string& name) {
    return world.disk.cells().contains(keys::row(world.spaces().partition_of(world.id), world.id, 'x', name));
  }
  Task<Outcome<Json>> put(const std::string& name, bool fails = false) {
    return world.spaces().mutate(world.agent, world.id, Role::Editor, [name, fails](Space& space) { return put_row(&space, name, fails); });
  }
  WorkspaceWorld world;
};

TEST_F(SpacesTest, ManyChangesShareACommitAndFailAlone) {
  std::optional<Outcome<Json>> results[12];
  const std::size_t before = world.disk.batches_applied();
  for (int i = 0; i < 12; ++i) world.spawn(put("r" + std::to_string(i), i == 5), &results[i]);
  world.settle();
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(results[i]);
    EXPECT_EQ(results[i]->has_value(), i != 5);
    EXPECT_EQ(stored("r" + std::to_string(i)), i != 5);
  }
  EXPECT_LT(world.disk.batches_applied() - before, 6u);
}

TEST_F(SpacesTest, AFailedCommitIsTold) {
  SimStoreFaults faults;
  faults.full = 1;
  world.store().set_faults(faults);
  auto failed = world.run(put("a"));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, "store.full");
  world.store().set_faults({});
  EXPECT_FALSE(stored("a"));
  EXPECT_TRUE(world.run(put("b")));
  EXPECT_TRUE(stored("b"));
}

TEST_F(SpacesTest, RolesAreKept) {
  Actor reader = world.agent;
  reader.read_only = true;
  EXPECT_TRUE(world.spaces().find(reader, world.id, Role::Viewer));
  EXPECT_EQ(world.spaces().find(reader, world.id, Role::Editor).error().code, "ws.forbidden");
  EXPECT_EQ(world.spaces().find(world.agent, world.id, Role::Owner).error().code, "ws.forbidden");
  EXPECT_EQ(world.spaces().find(world.stranger, world.id, Role::Viewer).error().code, "ws.not_found");
  Actor bound = world.agent;
  bound.only_workspace = "ws_another";
  EXPECT_EQ(world.spaces().find(bound, world.id, Role::Viewer).error().code, "ws.not_found");
  ASSERT_TRUE(world.run(world.spaces().archive(world.person, world.id, true)));
  EXPECT_EQ(world.spaces().find(world.person, world.id, Role::Editor).error().code, "ws.archived");
  world.crash();
  EXPECT_EQ(world.spaces().find(world.person, world.id, Role::Editor).error().code, "ws.archived");
}

TEST_F(SpacesTest, NamesAreUniqueInAnOrganisation) {
  Workspace wanted;
  wanted.name = "main";
  EXPECT_EQ(world.run(world.spaces().create(world.person, wanted)).error().code, "ws.exists");
  EXPECT_TRUE(world.run(world.spaces().create(world.stranger, wanted)));
  wanted.name = "Not a name";
  EXPECT_EQ(world.run(world.spaces().create(world.person, wanted)).error().code, "ws.invalid");
}

}  // namespace
}  // namespace mayfly::workspace
