#include "workspace/files/files.h"

#include <algorithm>

#include "workspace/files/diff.h"
#include "workspace/workspace_test_support.h"

namespace mayfly::workspace {
namespace {

WriteOptions match(const std::string& etag) {
  WriteOptions out;
  out.when.if_match = etag;
  return out;
}

WriteOptions only_new() {
  WriteOptions out;
  out.when.if_none_match = true;
  return out;
}

TEST(Files, WhatIsWrittenIsReadAndListed) {
  WorkspaceWorld world;
  auto written = world.write(world.agent, "/reports/2026/may.txt", "one\ntwo\n");
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_TRUE(written->created);
  EXPECT_EQ(written->node.version, 1u);
  EXPECT_EQ(world.read("/reports/2026/may.txt"), "one\ntwo\n");
  EXPECT_EQ(world.names("/reports"), std::vector<std::string>{"/reports/2026"});
  ListOptions all;
  all.recursive = true;
  EXPECT_EQ(world.names("/", all), (std::vector<std::string>{"/reports", "/reports/2026", "/reports/2026/may.txt"}));
  auto by_id = world.run(world.files().stat(world.agent, world.id, Place::of(written->node.id)));
  ASSERT_TRUE(by_id);
  EXPECT_EQ(by_id->path, "/reports/2026/may.txt");
  world.crash();
  EXPECT_EQ(world.read("/reports/2026/may.txt"), "one\ntwo\n");
}

TEST(Files, AWriteLandsOnlyOnWhatItsWriterSaw) {
  WorkspaceWorld world;
  auto first = world.write(world.agent, "/a.txt", "one\nsame\n");
  ASSERT_TRUE(first);
  auto second = world.write(world.person, "/a.txt", "two\nsame\n", match(first->node.etag));
  ASSERT_TRUE(second);
  EXPECT_NE(second->node.etag, first->node.etag);
  auto late = world.write(world.agent, "/a.txt", "three\n", match(first->node.etag));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, "ws.conflict");
  EXPECT_EQ(get_string(late.error().details, "etag"), second->node.etag);
  EXPECT_EQ(get_string(late.error().details, "author"), world.person.id);
  EXPECT_NE(get_string(late.error().details, "diff").find("-one\n+two\n"), std::string::npos) << get_string(late.error().details, "diff");
  EXPECT_EQ(world.read("/a.txt"), "two\nsame\n");
}

TEST(Files, AnAgentDoesNotOverwriteBlindly) {
  WorkspaceWorld world;
  ASSERT_TRUE(world.write(world.agent, "/a.txt", "one"));
  auto blind = world.write(world.agent, "/a.txt", "two");
  ASSERT_FALSE(blind);
  EXPECT_EQ(blind.error().code, "ws.precondition_required");
  WriteOptions force;
  force.when.force = true;
  EXPECT_TRUE(world.write(world.agent, "/a.txt", "two", force));
  EXPECT_TRUE(world.write(world.person, "/a.txt", "three"));
  auto again = world.write(world.agent, "/a.txt", "four", only_new());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, "ws.exists");
  EXPECT_EQ(world.read("/a.txt"), "three");
}

TEST(Files, TheSameIdempotencyKeyWritesOnce) {
  WorkspaceWorld world;
  WriteOptions options;
  options.idempotency_key = "k1";
  auto first = world.write(world.agent, "/a.txt", "one", options);
  ASSERT_TRUE(first);
  ASSERT_TRUE(world.write(world.person, "/a.txt", "two"));
  auto again = world.write(world.agent, "/a.txt", "one", options);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->node.etag, first->node.etag);
  EXPECT_EQ(again->event, first->event);
  EXPECT_EQ(world.read("/a.txt"), "two");
}

TEST(Files, MovesKeepTheIdAndMakeNoCycles) {
  WorkspaceWorld world;
  auto written = world.write(world.agent, "/a/b/c.txt", "one");
  ASSERT_TRUE(written);
  auto moved = world.run(world.files().move(world.agent, world.id, Place::at("/a"), "/z/a2", false, {}));
  ASSERT_TRUE(moved) << moved.error().message;
  auto there = world.run(world.files().stat(world.agent, world.id, Place::of(written->node.id)));
  ASSERT_TRUE(there);
  EXPECT_EQ(there->path, "/z/a2/b/c.txt");
  EXPECT_EQ(there->etag, written->node.etag);
  auto cycle = world.run(world.files().move(world.agent, world.id, Place::at("/z"), "/z/a2/b/z", false, {}));
  ASSERT_FALSE(cycle);
  EXPECT_EQ(cycle.error().code, "ws.invalid");
  EXPECT_EQ(world.read("/a/b/c.txt"), "ws.not_found");
}

TEST(Files, TheTrashGivesBackUntilItIsPurged) {
  WorkspaceWorld world;
  auto written = world.write(world.agent, "/docs/a.txt", "one");
  ASSERT_TRUE(world.write(world.agent, "/docs/b.txt", "four"));
  auto folder = world.run(world.files().remove(world.agent, world.id, Place::at("/docs"), {}));
  ASSERT_TRUE(folder) << folder.error().message;
  EXPECT_EQ(world.read("/docs/a.txt"), "ws.not_found");
  EXPECT_FALSE(world.run(world.files().stat(world.agent, world.id, Place::of(written->node.id))));
  auto trash = world.run(world.files().trash(world.agent, world.id, 10, ""));
  ASSERT_TRUE(trash);
  ASSERT_EQ(trash->nodes.size(), 1u);
  EXPECT_EQ(trash->nodes[0].deleted_from, "/docs");
  ASSERT_TRUE(world.run(world.files().restore(world.agent, world.id, folder->id, "/back", {})));
  EXPECT_EQ(world.read("/back/a.txt"), "one");
  ASSERT_TRUE(world.run(world.files().remove(world.agent, world.id, Place::at("/back"), {})));
  auto purged = world.run(world.files().purge(world.agent, world.id, ""));
  ASSERT_TRUE(purged) << purged.error().message;
  EXPECT_EQ(*purged, 3);
  auto usage = world.run(world.spaces().usage(world.person, world.id));
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->bytes, 0);
  EXPECT_EQ(usage->files, 0);
  auto gone = world.run(world.files().restore(world.agent, world.id, folder->id, "", {}));
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, "ws.not_found");
}

TEST(Files, VersionsComeBack) {
  WorkspaceWorld world;
  for (const char* text : {"one\n", "two\n", "three\n"}) ASSERT_TRUE(world.write(world.person, "/a.txt", text));
  auto page = world.run(world.files().versions(world.agent, world.id, Place::at("/a.txt"), 2, ""));
  ASSERT_TRUE(page);
  ASSERT_EQ(page->versions.size(), 2u);
  EXPECT_EQ(page->versions[0].version, 3u);
  auto rest = world.run(world.files().versions(world.agent, world.id, Place::at("/a.txt"), 2, page->next));
  ASSERT_TRUE(rest);
  ASSERT_EQ(rest->versions.size(), 1u);
  auto diff = world.run(world.files().diff(world.agent, world.id, Place::at("/a.txt"), 1, 0));
  ASSERT_TRUE(diff);
  EXPECT_NE(diff->find("-one\n+three\n"), std::string::npos) << *diff;
  auto back = world.run(world.files().restore_version(world.agent, world.id, Place::at("/a.txt"), 1, {}));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->node.version, 4u);
  EXPECT_EQ(world.read("/a.txt"), "one\n");
}

TEST(Files, EditsSayWhatDoesNotFit) {
  WorkspaceWorld world;
  ASSERT_TRUE(world.write(world.agent, "/a.txt", "alpha\nbeta\nbeta\n"));
  Edit edit;
  edit.old_text = "alpha";
  edit.new_text = "omega";
  auto dry = world.run(world.files().edit(world.agent, world.id, Place::at("/a.txt"), {edit}, true, {}));
  ASSERT_TRUE(dry);
  EXPECT_NE(dry->diff.find("-alpha\n+omega\n"), std::string::npos);
  EXPECT_EQ(world.read("/a.txt"), "alpha\nbeta\nbeta\n");
  auto done = world.run(world.files().edit(world.agent, world.id, Place::at("/a.txt"), {edit}, false, {}));
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(world.read("/a.txt"), "omega\nbeta\nbeta\n");
  edit.old_text = "beta";
  auto twice = world.run(world.files().edit(world.agent, world.id, Place::at("/a.txt"), {edit}, false, {}));
  ASSERT_FALSE(twice);
  EXPECT_EQ(get_int(twice.error().details, "occurrences"), 2);
}

TEST(Files, CopiesOfFoldersAreWhole) {
  WorkspaceWorld world;
  for (int i = 0; i < 30; ++i)
    ASSERT_TRUE(world.write(world.agent, "/src/d" + std::to_string(i % 3) + "/f" + std::to_string(i) + ".txt", std::to_string(i)));
  WriteOptions options;
  options.idempotency_key = "copy";
  ASSERT_TRUE(world.run(world.files().copy(world.agent, world.id, Place::at("/src"), "/dst", false, options)));
  ListOptions all;
  all.recursive = true;
  EXPECT_EQ(world.names("/dst", all).size(), 33u);
  EXPECT_EQ(world.read("/dst/d1/f16.txt"), "16");
  ASSERT_TRUE(world.run(world.files().copy(world.agent, world.id, Place::at("/src"), "/dst", false, options)));
  EXPECT_EQ(world.names("/dst", all).size(), 33u);
  auto again = world.run(world.files().copy(world.agent, world.id, Place::at("/src"), "/dst", false, {}));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, "ws.exists");
}

TEST(Files, ABatchIsAllOrNothing) {
  WorkspaceWorld world;
  JsonArray operations{JsonObject{{"op", "write"}, {"path", "/a.txt"}, {"content", "one"}},
                       JsonObject{{"op", "move"}, {"path", "/nothing"}, {"to", "/b.txt"}}};
  auto failed = world.run(world.files().batch(world.agent, world.id, operations));
  ASSERT_FALSE(failed);
  EXPECT_EQ(get_int(failed.error().details, "operation", -1), 1);
  EXPECT_EQ(world.read("/a.txt"), "ws.not_found");
  operations[1] = JsonObject{{"op", "move"}, {"path", "/a.txt"}, {"to", "/b.txt"}};
  ASSERT_TRUE(world.run(world.files().batch(world.agent, world.id, operations)));
  EXPECT_EQ(world.read("/b.txt"), "one");
}

TEST(Files, GrepFindsLines) {
  WorkspaceWorld world;
  ASSERT_TRUE(world.write(world.agent, "/a/x.md", "first\nNeedle here\nlast\n"));
  ASSERT_TRUE(world.write(world.agent, "/b.txt", "needle\n"));
  GrepOptions options;
  options.pattern = "needle";
  options.ignore_case = true;
  auto found = world.run(world.files().grep(world.agent, world.id, Place::at("/"), options));
  ASSERT_TRUE(found);
  ASSERT_EQ(found->matches.size(), 2u);
  EXPECT_EQ(found->matches[0].path, "/a/x.md");
  EXPECT_EQ(found->matches[0].line, 2);
  options.regex = true;
  options.pattern = "(";
  auto bad = world.run(world.files().grep(world.agent, world.id, Place::at("/"), options));
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, "ws.invalid");
}

TEST(Files, NothingIsSeenFromAnotherOrganisation) {
  WorkspaceWorld world;
  auto written = world.write(world.agent, "/secret.txt", "one");
  Workspace theirs;
  theirs.name = "main";
  auto own = world.run(world.spaces().create(world.stranger, theirs));
  ASSERT_TRUE(own);
  for (const std::string& workspace : {world.id, own->id, std::string("main")}) {
    auto by_id = world.run(world.files().stat(world.stranger, workspace, Place::of(written->node.id)));
    ASSERT_FALSE(by_id);
    EXPECT_EQ(by_id.error().code, "ws.not_found");
    EXPECT_FALSE(world.run(world.files().stat(world.stranger, workspace, Place::at("/secret.txt"))));
  }
  EXPECT_FALSE(world.run(world.files().write(world.stranger, world.id, Place::at("/x"), "x", "", {})));
  EXPECT_EQ(world.spaces().list(world.stranger, true).size(), 1u);
}

TEST(Files, QuotasAreKept) {
  Quota quota;
  quota.bytes = 10;
  quota.file_bytes = 8;
  WorkspaceWorld world(quota);
  auto large = world.write(world.agent, "/a.txt", "123456789");
  ASSERT_FALSE(large);
  EXPECT_EQ(get_string(large.error().details, "quota"), "file_bytes");
  ASSERT_TRUE(world.write(world.agent, "/a.txt", "12345678"));
  auto full = world.write(world.agent, "/b.txt", "123");
  ASSERT_FALSE(full);
  EXPECT_EQ(get_string(full.error().details, "quota"), "bytes");
  EXPECT_EQ(std::ranges::count(world.events(), "quota.exceeded"), 1);
}

TEST(Files, AFolderOfThousandsIsPaged) {
  WorkspaceWorld world;
  constexpr int kMany = 2'500;
  for (int i = 0; i < kMany; ++i) ASSERT_TRUE(world.write(world.person, "/many/f" + std::to_string(10'000 + i), "x"));
  std::vector<std::string> all;
  ListOptions options;
  options.limit = 1'000;
  do {
    auto page = world.run(world.files().list(world.agent, world.id, Place::at("/many"), options));
    ASSERT_TRUE(page);
    for (const Node& node : page->nodes) all.push_back(node.name);
    options.after = page->next;
  } while (!options.after.empty());
  EXPECT_EQ(all.size(), static_cast<std::size_t>(kMany));
  EXPECT_TRUE(std::ranges::is_sorted(all));
}

TEST(Diff, AppliesAsText) {
  EXPECT_EQ(unified_diff("a\nb\nc\n", "a\nB\nc\n", "x", "y", 1'000), "--- x\n+++ y\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n");
  EXPECT_EQ(unified_diff("a\n", "a\n", "x", "y", 1'000), "");
  EXPECT_LE(unified_diff(std::string(5'000, '\n'), std::string(9'000, 'x'), "x", "y", 500).size(), 520u);
}

}  // namespace
}  // namespace mayfly::workspace
