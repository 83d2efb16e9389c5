#include "workspace/bytes/bytes.h"

#include <algorithm>
#include <deque>

#include "workspace/bytes/services_test_support.h"

namespace mayfly::workspace {
namespace {

constexpr Millis kHour{3'600'000};

/// The web: what it answers, one answer a request; the last one again and again.
class Web final : public net::HttpClient {
 public:
  struct Answer {
    int status = 200;
    std::vector<std::string> pieces;
    std::optional<Error> error;
    bool hangs = false;
  };
  std::deque<Answer> answers;
  std::vector<net::ClientRequest> requests;

  Task<Result<net::ClientResponse>> send(net::ClientRequest request) override {
    requests.push_back(request);
    const Answer answer = answers.front();
    if (answers.size() > 1) answers.pop_front();
    std::size_t total = 0;
    for (const std::string& piece : answer.pieces) {
      total += piece.size();
      if (total > request.body_bytes_max) co_return fail("net.too_large", "too large", Retry::OutcomeUnknown);
      if (answer.status == 200) request.on_body(piece);
      co_await yield_now();
    }
    if (answer.hangs) {
      co_await suspend<bool>([&](Resume<bool> resume) { hanging.push_back(std::move(resume)); });
      co_return fail("net.cancelled", "cancelled", Retry::OutcomeUnknown);
    }
    if (answer.error) co_return fail(*answer.error);
    net::ClientResponse out;
    out.status = answer.status;
    out.headers.set("content-type", "text/csv");
    co_return out;
  }
  std::vector<Resume<bool>> hanging;
};

class BytesTest : public ServiceTest {
 protected:
  void furnish(ServiceLife& life) override {
    BytesDependencies deps;
    deps.spaces = life.spaces.get();
    deps.files = life.files.get();
    deps.http = &web;
    life.bytes = make_bytes(std::move(deps));
    life.crashes.push_back([&life] { life.bytes->crash(); });
    ASSERT_TRUE(run(life.bytes->open()));
  }
  void SetUp() override {
    ServiceTest::SetUp();
    ws = make_workspace(owner);
  }
  ~BytesTest() override { web.hanging.clear(); }
  Bytes& bytes() { return *life().bytes; }
  Upload create(UploadRequest request) {
    auto made = run(bytes().create_upload(owner, ws, std::move(request)));
    EXPECT_TRUE(made) << made.error().message;
    return made ? *made : Upload{};
  }
  Outcome<Upload> send(const std::string& upload, std::int64_t offset, const std::string& part) {
    auto hash = run(blobs.put(part));
    return run(bytes().add_part(owner, ws, upload, offset, {*hash, part.size()}));
  }
  std::string content(const std::string& path) {
    auto node = run(life().files->stat(owner, ws, Place::at(path)));
    if (!node) return node.error().code;
    auto text = run(blobs.get(node->hash));
    return text ? *text : text.error().code;
  }
  Import finish(const std::string& id) {
    for (int i = 0; i < 1'000; ++i) {
      auto status = run(bytes().import_status(owner, ws, id));
      if (!status || (status->state != "queued" && status->state != "running")) return status ? *status : Import{};
      pass(Millis{500});
    }
    return {};
  }
  static UploadRequest at(std::string path, std::int64_t size = -1, std::string sha256 = {}) {
    UploadRequest out;
    out.path = std::move(path);
    out.size = size;
    out.sha256 = std::move(sha256);
    return out;
  }

  const Actor owner = actor("key:owner"), stranger = actor("key:stranger", "evil");
  Web web;
  std::string ws;
};

TEST_F(BytesTest, PartsComeInAnyOrderAndAreJoined) {
  const Upload upload = create(at("/big.bin", 11, sha256_hex("hello world")));
  ASSERT_TRUE(send(upload.id, 6, "world"));
  auto incomplete = run(bytes().complete_upload(owner, ws, upload.id, {}));
  ASSERT_EQ(code_of(incomplete), "ws.upload_incomplete");
  EXPECT_EQ(to_text(incomplete.error().details), R"({"missing":[[0,6]]})");
  auto absorbed = send(upload.id, 6, "world");
  ASSERT_TRUE(absorbed);
  EXPECT_EQ(absorbed->received, 5);
  EXPECT_EQ(code_of(send(upload.id, 6, "WORLD")), "ws.conflict");
  EXPECT_EQ(code_of(send(upload.id, 4, "abcd")), "ws.conflict") << "overlaps";
  EXPECT_EQ(code_of(send(upload.id, 10, "abcd")), "ws.invalid") << "beyond the end";
  auto whole = send(upload.id, 0, "hello ");
  ASSERT_TRUE(whole) << whole.error().message;
  EXPECT_EQ(whole->parts, (std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 11}}));
  auto written = run(bytes().complete_upload(owner, ws, upload.id, {}));
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_EQ(content("/big.bin"), "hello world");
  EXPECT_EQ(told(ws).back(), "upload.completed");
  auto again = run(bytes().complete_upload(owner, ws, upload.id, {}));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->node.version, written->node.version);
  EXPECT_EQ(std::ranges::count(told(ws), "upload.completed"), 1) << "a repeat writes nothing";
}

TEST_F(BytesTest, WrongContentIsRefused) {
  const Upload upload = create(at("/x", 5, sha256_hex("right")));
  ASSERT_TRUE(send(upload.id, 0, "wrong"));
  EXPECT_EQ(code_of(run(bytes().complete_upload(owner, ws, upload.id, {}))), "ws.hash_mismatch");
  EXPECT_EQ(content("/x"), "ws.not_found");
  EXPECT_EQ(code_of(run(bytes().create_upload(owner, ws, at("/x", 2LL << 40)))), "ws.quota");
  EXPECT_EQ(code_of(run(bytes().create_upload(owner, ws, at("/../x")))), "ws.invalid_path");
  EXPECT_EQ(code_of(run(bytes().create_upload(owner, ws, at("/x", 1, "beef")))), "ws.invalid");
}

TEST_F(BytesTest, AnUploadSurvivesACrashAndCompletesOnce) {
  const Upload upload = create(at("/a", 6));
  ASSERT_TRUE(send(upload.id, 0, "abc"));
  crash();
  auto status = run(bytes().upload_status(owner, ws, upload.id));
  ASSERT_TRUE(status);
  EXPECT_EQ(status->parts, (std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 3}}));
  ASSERT_TRUE(send(upload.id, 3, "def"));
  // Dies somewhere within the completion.
  std::optional<Outcome<Written>> lost;
  life().tasks.spawn(keep_result(bytes().complete_upload(owner, ws, upload.id, {}), &lost));
  for (int i = 0; i < 12; ++i) io.poll_one();
  crash();
  auto written = run(bytes().complete_upload(owner, ws, upload.id, {}));
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_EQ(written->node.version, 1u);
  EXPECT_EQ(content("/a"), "abcdef");
  EXPECT_EQ(std::ranges::count(told(ws), "upload.completed"), 1);
}

TEST_F(BytesTest, TheFenceOfTheCreationCountsWhenTheUploadLands) {
  const Node node = write(owner, ws, "/locked", "old");
  const Upload upload = create(at("/locked"));
  ASSERT_TRUE(send(upload.id, 0, "new"));
  // Somebody took and gave back a lock meanwhile.
  auto bump = [](Space& space, std::string id) -> Task<Outcome<Json>> {
    const std::string key = space.row('n', id);
    Node changed = *row_as<Node>(key, **co_await space.rows().get(key));
    changed.fence = 7;
    space.rows().put(key, row_text(changed));
    co_return Json();
  };
  ASSERT_TRUE(run(spaces().mutate(owner, ws, Role::Editor, [bump, id = node.id](Space& space) { return bump(space, id); })));
  EXPECT_EQ(code_of(run(bytes().complete_upload(owner, ws, upload.id, {}))), "ws.lock_lost");
  EXPECT_EQ(content("/locked"), "old");
}

TEST_F(BytesTest, UploadsExpireWithTheirParts) {
  UploadRequest brief = at("/x");
  brief.lifetime = kHour;
  const Upload upload = create(brief);
  ASSERT_TRUE(send(upload.id, 0, "abc"));
  pass(kHour + Millis{20 * 60'000});
  EXPECT_EQ(code_of(send(upload.id, 3, "def")), "ws.not_found");
  EXPECT_EQ(rows_of(ws, 'u'), 0u);
}

TEST_F(BytesTest, ASingleUseLinkIsSpentOnceAlsoOverACrash) {
  const Node node = write(owner, ws, "/a.txt", "hello");
  auto link = run(bytes().download_link(owner, ws, Place::at("/a.txt"), 0, kHour, true));
  ASSERT_TRUE(link) << link.error().message;
  for (const auto& [key, cell] : disk.cells()) EXPECT_EQ(cell.value.find(link->token), std::string::npos) << key;
  EXPECT_EQ(code_of(run(bytes().follow(link->token, true))), "link.invalid") << "a download link uploads nothing";
  auto target = run(bytes().follow(link->token, false));
  ASSERT_TRUE(target) << target.error().message;
  EXPECT_EQ(target->node.id, node.id);
  EXPECT_EQ(target->version.hash, sha256_hex("hello"));
  EXPECT_EQ(spaces().role_of(target->actor, *spaces().by_id(ws)), Role::Viewer);
  EXPECT_EQ(code_of(run(bytes().follow(link->token, false))), "link.invalid");
  crash();
  EXPECT_EQ(code_of(run(bytes().follow(link->token, false))), "link.invalid");
}

TEST_F(BytesTest, SpentExpiredGuessedAndDisownedLinksAreAllTheSameError) {
  write(owner, ws, "/a.txt", "hello");
  const auto make = [&](const Actor& who, Millis lifetime, bool once) {
    auto link = run(bytes().download_link(who, ws, Place::at("/a.txt"), 0, lifetime, once));
    EXPECT_TRUE(link);
    return link->token;
  };
  const std::string spent = make(owner, kHour, true), expired = make(owner, Millis{1'000}, false);
  ASSERT_TRUE(run(bytes().follow(spent, false)));
  pass(Millis{2'000});
  const Actor guest = actor("key:guest");
  const auto set_guest = [&](bool there) {
    const auto change = [](Space& space, std::string id, bool is_there) -> Task<Outcome<Json>> {
      Workspace next = space.workspace();
      if (is_there)
        next.members[id] = {id, "guest", Role::Viewer, std::nullopt, "", {}};
      else
        next.members.erase(id);
      space.change(std::move(next));
      co_return Json();
    };
    ASSERT_TRUE(run(spaces().mutate(owner, ws, Role::Owner, [=, id = guest.id](Space& space) { return change(space, id, there); })));
  };
  set_guest(true);
  const std::string disowned = make(guest, kHour, false);
  EXPECT_TRUE(run(bytes().follow(disowned, false)));
  EXPECT_TRUE(run(bytes().follow(disowned, false))) << "not single-use";
  set_guest(false);
  std::string guessed = make(owner, kHour, true);
  guessed.back() = guessed.back() == 'A' ? 'B' : 'A';
  std::string first;
  for (const std::string& token : {spent, expired, disowned, guessed, std::string("ws.x.y"), std::string()}) {
    auto followed = run(bytes().follow(token, false));
    ASSERT_FALSE(followed) << token;
    EXPECT_EQ(followed.error().code, "link.invalid");
    if (first.empty()) first = followed.error().message;
    EXPECT_EQ(followed.error().message, first);
  }
}

TEST_F(BytesTest, AnUploadLinkCarriesItsRequest) {
  auto link = run(bytes().upload_link(owner, ws, at("/in.bin", 3)));
  ASSERT_TRUE(link) << link.error().message;
  auto target = run(bytes().follow(link->token, true));
  ASSERT_TRUE(target);
  EXPECT_EQ(target->upload.path, "/in.bin");
  EXPECT_EQ(target->upload.size, 3);
  EXPECT_EQ(spaces().role_of(target->actor, *spaces().by_id(ws)), Role::Editor);
}

TEST_F(BytesTest, AnImportIsRetriedAndLands) {
  web.answers = {{.status = 503},
                 {.status = 200, .pieces = {"half"}, .error = Error{"net.reset", "cut", Retry::OutcomeUnknown}},
                 {.status = 200, .pieces = {"a,b\n", "1,2\n"}}};
  auto started = run(bytes().import_url(owner, ws, "https://example.com/t.csv?key=hidden", "/t.csv", {}));
  ASSERT_TRUE(started) << started.error().message;
  EXPECT_EQ(started->state, "queued");
  const Import done = finish(started->id);
  EXPECT_EQ(done.state, "completed") << done.error;
  EXPECT_EQ(done.attempt, 3);
  EXPECT_EQ(done.received, 8);
  ASSERT_TRUE(done.written);
  EXPECT_EQ(done.written->node.content_type, "text/csv");
  EXPECT_EQ(content("/t.csv"), "a,b\n1,2\n");
  EXPECT_EQ(told(ws).back(), "import.completed");
  EXPECT_EQ(web.requests.front().redirects_max, 5);
  EXPECT_FALSE(web.requests.front().egress.allow_loopback);
}

TEST_F(BytesTest, AnImportThatCannotSucceedFailsAtOnceOrAfterFiveAttempts) {
  web.answers = {{.status = 404}};
  const Import missing = finish(run(bytes().import_url(owner, ws, "https://example.com/a", "/a", {}))->id);
  EXPECT_EQ(missing.state, "failed");
  EXPECT_EQ(missing.attempt, 1);
  EXPECT_NE(missing.error.find("404"), std::string::npos);
  EXPECT_EQ(told(ws).back(), "import.failed");
  web.requests.clear();
  web.answers = {{.status = 500}};
  const Import broken = finish(run(bytes().import_url(owner, ws, "https://example.com/b", "/b", {}))->id);
  EXPECT_EQ(broken.state, "failed");
  EXPECT_EQ(web.requests.size(), 5u);
  Actor administrator = owner;
  administrator.administrator = true;
  ASSERT_TRUE(run(spaces().update(administrator, ws, {{"quota", JsonObject{{"file_bytes", 10}}}})));
  web.answers = {{.status = 200, .pieces = {"0123456789", "0"}}};
  const Import large = finish(run(bytes().import_url(owner, ws, "https://example.com/c", "/c", {}))->id);
  EXPECT_EQ(large.state, "failed");
  EXPECT_EQ(large.attempt, 1);
  EXPECT_NE(large.error.find("ws.quota"), std::string::npos) << large.error;
  EXPECT_EQ(code_of(run(bytes().import_url(owner, ws, "file:///etc/passwd", "/d", {}))), "ws.invalid");
}

TEST_F(BytesTest, AnImportGoesOnAfterACrash) {
  web.answers = {{.status = 200, .pieces = {"lost"}, .error = {}, .hangs = true}, {.status = 200, .pieces = {"whole"}}};
  auto started = run(bytes().import_url(owner, ws, "https://example.com/a", "/a", {}));
  ASSERT_TRUE(started);
  pass(Millis{100});
  EXPECT_EQ(run(bytes().import_status(owner, ws, started->id))->state, "running");
  EXPECT_EQ(run(bytes().import_status(owner, ws, started->id))->received, 4);
  crash();
  const Import done = finish(started->id);
  EXPECT_EQ(done.state, "completed") << done.error;
  EXPECT_EQ(content("/a"), "whole");
  EXPECT_EQ(std::ranges::count(told(ws), "import.completed"), 1);
}

TEST_F(BytesTest, ACancelledImportWritesNothing) {
  web.answers = {{.status = 503}, {.status = 200, .pieces = {"late"}}};
  auto started = run(bytes().import_url(owner, ws, "https://example.com/a", "/a", {}));
  pass(Millis{100});
  ASSERT_TRUE(run(bytes().cancel_import(owner, ws, started->id)));
  pass(Millis{300'000});
  EXPECT_EQ(run(bytes().import_status(owner, ws, started->id))->state, "cancelled");
  EXPECT_EQ(content("/a"), "ws.not_found");
  EXPECT_EQ(web.requests.size(), 1u);
}

TEST_F(BytesTest, OnlyWhatNothingNamesIsCollected) {
  const Node kept = write(owner, ws, "/kept", "kept");
  const Upload upload = create(at("/part"));
  ASSERT_TRUE(send(upload.id, 0, "part"));
  const std::string lost = *run(blobs.put("lost"));
  EXPECT_EQ(*run(bytes().collect(kHour)), 0) << "new ones are left alone";
  pass(2 * kHour);
  EXPECT_FALSE(run(blobs.get(lost))) << "the collector ran by itself";
  EXPECT_TRUE(run(blobs.get(kept.hash)));
  EXPECT_TRUE(run(blobs.get(sha256_hex("part"))));
}

TEST_F(BytesTest, AnotherOrganisationSeesNothingByAnyId) {
  write(owner, ws, "/a", "a");
  const Upload upload = create(at("/u"));
  web.answers = {{.status = 200, .pieces = {}, .error = {}, .hangs = true}};
  auto import = run(bytes().import_url(owner, ws, "https://example.com/a", "/i", {}));
  for (const std::string& code : {
           code_of(run(bytes().create_upload(stranger, ws, at("/x")))),
           code_of(run(bytes().upload_status(stranger, ws, upload.id))),
           code_of(run(bytes().add_part(stranger, ws, upload.id, 0, {sha256_hex("a"), 1}))),
           code_of(run(bytes().complete_upload(stranger, ws, upload.id, {}))),
           code_of(run(bytes().abort_upload(stranger, ws, upload.id))),
           code_of(run(bytes().download_link(stranger, ws, Place::at("/a"), 0, kHour, true))),
           code_of(run(bytes().upload_link(stranger, ws, at("/x")))),
           code_of(run(bytes().import_url(stranger, ws, "https://example.com/a", "/x", {}))),
           code_of(run(bytes().import_status(stranger, ws, import->id))),
           code_of(run(bytes().imports(stranger, ws))),
           code_of(run(bytes().cancel_import(stranger, ws, import->id))),
       })
    EXPECT_EQ(code, "ws.not_found");
}

}  // namespace
}  // namespace mayfly::workspace
