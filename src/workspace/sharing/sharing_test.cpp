#include "workspace/sharing/sharing.h"

#include <algorithm>

#include "workspace/bytes/services_test_support.h"

namespace mayfly::workspace {
namespace {

constexpr Millis kHour{3'600'000};

class SharingTest : public ServiceTest {
 protected:
  void furnish(ServiceLife& life) override {
    life.sharing = make_sharing(*life.spaces, *life.files);
    life.crashes.push_back([&life] { life.sharing->crash(); });
    ASSERT_TRUE(run(life.sharing->open()));
  }
  void SetUp() override {
    ServiceTest::SetUp();
    ws = make_workspace(owner);
    note = write(owner, ws, "/note.txt", "hello");
  }
  Sharing& sharing() { return *life().sharing; }
  Member member(std::string id, Role role) {
    Member out;
    out.actor = std::move(id);
    out.role = role;
    return out;
  }
  bool tells(const std::string& type) { return std::ranges::count(told(ws), type) > 0; }

  const Actor owner = actor("key:owner"), other = actor("key:other"), stranger = actor("key:stranger", "evil"),
              person = actor("user:ann", "acme", ActorKind::Person), outsider = actor("user:bob", "elsewhere", ActorKind::Person);
  std::string ws;
  Node note;
};

TEST_F(SharingTest, MembersComeChangeGoAndTheLastOwnerStays) {
  EXPECT_EQ(code_of(run(sharing().members(other, ws))), "ws.not_found");
  ASSERT_TRUE(run(sharing().put_member(owner, ws, member(other.id, Role::Viewer))));
  EXPECT_EQ(run(sharing().members(other, ws))->size(), 2u);
  EXPECT_EQ(code_of(run(sharing().put_member(other, ws, member("key:third", Role::Viewer)))), "ws.forbidden");
  ASSERT_TRUE(run(sharing().put_member(owner, ws, member(other.id, Role::Editor))));
  EXPECT_EQ(spaces().by_id(ws)->members.at(other.id).role, Role::Editor);
  EXPECT_EQ(code_of(run(sharing().put_member(owner, ws, member(owner.id, Role::Editor)))), "ws.forbidden");
  EXPECT_EQ(code_of(run(sharing().remove_member(owner, ws, owner.id))), "ws.forbidden");
  EXPECT_EQ(code_of(run(sharing().put_member(owner, ws, member("link:x", Role::Viewer)))), "ws.invalid");
  ASSERT_TRUE(run(sharing().put_member(owner, ws, member(other.id, Role::Owner))));
  ASSERT_TRUE(run(sharing().remove_member(other, ws, owner.id)));
  EXPECT_EQ(spaces().by_id(ws)->owner, other.id);
  EXPECT_EQ(code_of(run(sharing().members(owner, ws))), "ws.not_found");
  EXPECT_TRUE(tells("member.added"));
  EXPECT_TRUE(tells("member.removed"));
}

TEST_F(SharingTest, AMembershipEndsByItself) {
  Member guest = member(other.id, Role::Editor);
  guest.expires = clock.now() + kHour;
  ASSERT_TRUE(run(sharing().put_member(owner, ws, guest)));
  EXPECT_TRUE(spaces().find(other, ws, Role::Editor));
  pass(kHour + Millis{120'000});
  EXPECT_EQ(code_of(spaces().find(other, ws, Role::Viewer)), "ws.not_found");
  EXPECT_EQ(told(ws).back(), "member.removed");
  EXPECT_EQ(get_string(events_of(ws).back().data, "reason"), "expired");
}

TEST_F(SharingTest, AShareOpensOnlyWhatItSharesUntilItIsRevoked) {
  Share wanted;
  wanted.opens_max = 2;
  auto made = run(sharing().create_share(owner, ws, Place::at("/note.txt"), wanted, ""));
  ASSERT_TRUE(made) << made.error().message;
  auto opened = run(sharing().open_share(made->token, ""));
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->node.id, note.id);
  EXPECT_EQ(opened->workspace, ws);
  EXPECT_TRUE(spaces().find(opened->actor, ws, Role::Viewer));
  EXPECT_FALSE(spaces().find(opened->actor, ws, Role::Commenter)) << "a download link writes nothing";
  EXPECT_FALSE(spaces().find(opened->actor, make_workspace(owner, "second"), Role::Viewer));
  EXPECT_TRUE(tells("share.accessed"));
  EXPECT_TRUE(run(sharing().open_share(made->token, "")));
  EXPECT_EQ(code_of(run(sharing().open_share(made->token, ""))), "link.invalid") << "opened as often as it may";
  auto listed = run(sharing().shares(owner, ws));
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ(listed->front().opened, 2);
  EXPECT_EQ(listed->front().path, "/note.txt");
}

TEST_F(SharingTest, AnUploadShareOfAFolderMayWrite) {
  Share wanted;
  wanted.kind = ShareKind::Upload;
  auto made = run(sharing().create_share(owner, ws, Place::of("root"), wanted, ""));
  ASSERT_TRUE(made) << made.error().message;
  auto opened = run(sharing().open_share(made->token, ""));
  ASSERT_TRUE(opened);
  EXPECT_TRUE(spaces().find(opened->actor, ws, Role::Editor));
  EXPECT_FALSE(spaces().find(opened->actor, ws, Role::Owner));
  EXPECT_EQ(code_of(run(sharing().create_share(owner, ws, Place::at("/note.txt"), wanted, ""))), "ws.invalid");
}

TEST_F(SharingTest, WrongRevokedExpiredAndGuessedLinksAreAllTheSameError) {
  auto made = run(sharing().create_share(owner, ws, Place::at("/note.txt"), {}, ""));
  Share brief;
  brief.expires = clock.now() + kHour;
  auto expiring = run(sharing().create_share(owner, ws, Place::at("/note.txt"), brief, ""));
  ASSERT_TRUE(run(sharing().revoke_share(owner, ws, made->share.id)));
  pass(kHour + Millis{120'000});
  std::string guessed = expiring->token;
  guessed.back() = guessed.back() == 'A' ? 'B' : 'A';
  const std::string unknown = ws + ".sh_01ARZ3NDEKTSV4RRFFQ69G5FAV." + std::string(43, 'A');
  std::string first;
  for (const std::string& token :
       {made->token, expiring->token, guessed, unknown, std::string("nonsense"), std::string(), "ws_nope" + unknown}) {
    auto opened = run(sharing().open_share(token, ""));
    ASSERT_FALSE(opened) << token;
    EXPECT_EQ(opened.error().code, "link.invalid");
    if (first.empty()) first = opened.error().message;
    EXPECT_EQ(opened.error().message, first);
  }
  EXPECT_EQ(std::ranges::count(told(ws), "share.revoked"), 2) << "the expired one is told of, too";
}

TEST_F(SharingTest, APasswordIsAskedForAndTriesAreBounded) {
  auto made = run_still(sharing().create_share(owner, ws, Place::at("/note.txt"), {}, "secret"));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_TRUE(made->share.has_password);
  for (const auto& [key, cell] : disk.cells()) EXPECT_EQ(cell.value.find("secret"), std::string::npos) << "a password lies in " << key;
  for (const auto& [key, cell] : disk.cells()) EXPECT_EQ(cell.value.find(made->token), std::string::npos) << "a token lies in " << key;
  EXPECT_EQ(code_of(run_still(sharing().open_share(made->token, ""))), "link.password");
  EXPECT_EQ(code_of(run_still(sharing().open_share(made->token, "wrong"))), "link.password");
  EXPECT_EQ(code_of(run_still(sharing().open_share(made->token, "secret"))), "ok");
  for (int i = 0; i < 10; ++i) EXPECT_EQ(code_of(run_still(sharing().open_share(made->token, "wrong"))), "link.password");
  EXPECT_EQ(code_of(run_still(sharing().open_share(made->token, "secret"))), "link.password") << "too many tries";
  pass(Millis{11 * 60'000});
  EXPECT_EQ(code_of(run_still(sharing().open_share(made->token, "secret"))), "ok");
}

TEST_F(SharingTest, ATransferHandsTheWorkspaceOver) {
  auto offered = run(sharing().offer_transfer(owner, ws, Role::Editor, "yours", Millis{0}));
  ASSERT_TRUE(offered) << offered.error().message;
  auto claim = run(sharing().look_at_claim(offered->token));
  ASSERT_TRUE(claim);
  EXPECT_EQ(claim->workspace.id, ws);
  EXPECT_EQ(code_of(run(sharing().accept_transfer(other, offered->token))), "ws.forbidden") << "agents cannot accept";
  auto accepted = run(sharing().accept_transfer(person, offered->token));
  ASSERT_TRUE(accepted) << accepted.error().message;
  EXPECT_EQ(accepted->owner, person.id);
  EXPECT_TRUE(spaces().find(person, ws, Role::Owner));
  EXPECT_TRUE(spaces().find(owner, ws, Role::Editor));
  EXPECT_FALSE(spaces().find(owner, ws, Role::Owner));
  EXPECT_EQ(life().files->broken, 1) << "locks are broken";
  const auto event = events_of(ws).back();
  EXPECT_EQ(event.type, "transfer.accepted");
  EXPECT_EQ(event.actor, person.id);
  EXPECT_EQ(code_of(run(sharing().accept_transfer(outsider, offered->token))), "link.invalid") << "it is spent";
  EXPECT_EQ(code_of(run(sharing().look_at_claim(offered->token))), "link.invalid");
}

TEST_F(SharingTest, ATransferMovesToThePersonsOrganisation) {
  make_workspace(outsider, "files");
  ASSERT_TRUE(run(sharing().put_member(owner, ws, member(other.id, Role::Editor))));
  auto first = run(sharing().offer_transfer(owner, ws, Role::None, "", Millis{0}));
  auto second = run(sharing().offer_transfer(owner, ws, Role::Editor, "", Millis{0}));
  auto accepted = run(sharing().accept_transfer(outsider, second->token));
  ASSERT_TRUE(accepted) << accepted.error().message;
  EXPECT_EQ(accepted->organisation, "elsewhere");
  EXPECT_EQ(accepted->name, "files-2") << "the name was taken there";
  EXPECT_FALSE(spaces().find(other, ws, Role::Viewer)) << "members of the organisation before are gone";
  Actor administrator = actor("key:admin");
  administrator.administrator = true;
  EXPECT_EQ(code_of(spaces().find(administrator, ws, Role::Viewer)), "ws.not_found");
  EXPECT_EQ(code_of(run(sharing().accept_transfer(person, first->token))), "link.invalid") << "offers of the owner before are void";
  crash();
  EXPECT_EQ(spaces().by_id(ws)->owner, outsider.id);
}

TEST_F(SharingTest, FiveOffersAndThreeDays) {
  std::vector<std::string> tokens;
  for (int i = 0; i < 5; ++i) tokens.push_back(run(sharing().offer_transfer(owner, ws, Role::None, "", Millis{0}))->token);
  EXPECT_EQ(code_of(run(sharing().offer_transfer(owner, ws, Role::None, "", Millis{0}))), "ws.quota");
  EXPECT_EQ(code_of(run(sharing().offer_transfer(owner, ws, Role::None, "", 73 * kHour))), "ws.invalid");
  const auto offers = run(sharing().transfers(owner, ws));
  ASSERT_TRUE(run(sharing().cancel_transfer(owner, ws, offers->front().id)));
  EXPECT_TRUE(run(sharing().offer_transfer(owner, ws, Role::None, "", Millis{0})));
  pass(72 * kHour + Millis{120'000});
  for (const std::string& token : tokens) EXPECT_EQ(code_of(run(sharing().accept_transfer(person, token))), "link.invalid");
  EXPECT_EQ(std::ranges::count(told(ws), "transfer.expired"), 5);
  EXPECT_EQ(std::ranges::count(told(ws), "transfer.cancelled"), 1);
}

TEST_F(SharingTest, CommentsBelongToTheirAuthors) {
  Comment comment;
  comment.text = "is this right?";
  comment.line = 3;
  ASSERT_TRUE(run(sharing().put_member(owner, ws, member(other.id, Role::Commenter))));
  auto added = run(sharing().add_comment(other, ws, Place::at("/note.txt"), comment));
  ASSERT_TRUE(added) << added.error().message;
  pass(Millis{5});
  Comment reply;
  reply.text = "yes";
  reply.reply_to = added->id;
  ASSERT_TRUE(run(sharing().add_comment(owner, ws, Place::at("/note.txt"), reply)));
  reply.reply_to = "n_other.01ARZ3NDEKTSV4RRFFQ69G5FAV";
  EXPECT_EQ(code_of(run(sharing().add_comment(owner, ws, Place::at("/note.txt"), reply))), "ws.not_found");
  EXPECT_EQ(code_of(run(sharing().change_comment(owner, ws, added->id, "changed", std::nullopt))), "ws.forbidden");
  auto resolved = run(sharing().change_comment(owner, ws, added->id, "", true));
  ASSERT_TRUE(resolved);
  EXPECT_TRUE(resolved->resolved);
  auto all = run(sharing().comments(other, ws, Place::at("/note.txt")));
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ(all->front().text, "is this right?");
  EXPECT_EQ(all->front().line, 3);
  EXPECT_EQ(all->front().path, "/note.txt");
  ASSERT_TRUE(run(sharing().remove_comment(owner, ws, added->id)));
  EXPECT_EQ(run(sharing().comments(other, ws, Place::at("/note.txt")))->size(), 1u);
}

TEST_F(SharingTest, AnotherOrganisationSeesNothingByAnyId) {
  auto share = run(sharing().create_share(owner, ws, Place::at("/note.txt"), {}, ""));
  Comment comment;
  comment.text = "ours";
  auto added = run(sharing().add_comment(owner, ws, Place::at("/note.txt"), comment));
  auto offer = run(sharing().offer_transfer(owner, ws, Role::None, "", Millis{0}));
  const std::vector<std::string> codes{
      code_of(run(sharing().members(stranger, ws))),
      code_of(run(sharing().put_member(stranger, ws, member(stranger.id, Role::Owner)))),
      code_of(run(sharing().remove_member(stranger, ws, owner.id))),
      code_of(run(sharing().shares(stranger, ws))),
      code_of(run(sharing().create_share(stranger, ws, Place::of(note.id), {}, ""))),
      code_of(run(sharing().revoke_share(stranger, ws, share->share.id))),
      code_of(run(sharing().transfers(stranger, ws))),
      code_of(run(sharing().cancel_transfer(stranger, ws, offer->transfer.id))),
      code_of(run(sharing().comments(stranger, ws, Place::of(note.id)))),
      code_of(run(sharing().add_comment(stranger, ws, Place::of(note.id), comment))),
      code_of(run(sharing().change_comment(stranger, ws, added->id, "", true))),
      code_of(run(sharing().remove_comment(stranger, ws, added->id))),
  };
  for (const std::string& code : codes) EXPECT_EQ(code, "ws.not_found");
}

}  // namespace
}  // namespace mayfly::workspace
