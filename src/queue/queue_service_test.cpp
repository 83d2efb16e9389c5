#include <fmt/format.h>

#include "queue/queue_test_support.h"

namespace mayfly::queue {
namespace {

using Bodies = std::vector<std::string>;

QueueSpec fifo(const std::string& name) {
  QueueSpec spec;
  spec.name = name;
  spec.kind = QueueKind::Fifo;
  spec.content_deduplication = true;
  return spec;
}
QueueSpec standard(const std::string& name) {
  QueueSpec spec;
  spec.name = name;
  return spec;
}
QueueSpec with_dead_letters(QueueSpec spec, const std::string& dead, std::int64_t receives) {
  spec.dead_letter_queue = dead;
  spec.receives_max = receives;
  return spec;
}

class QueueServiceTest : public ::testing::Test, public QueueHarness {};

TEST_F(QueueServiceTest, AMessageIsReceivedOnceThenDeleted) {
  ASSERT_TRUE(create(standard("jobs")));
  SendRequest request{.body = "hello \"world\"\n", .attributes = {{"kind", {"String", "a"}}, {"raw", {"Binary", std::string("\0\xff", 2)}}}};
  request.trace_header = "Root=1";
  const auto sent = send("jobs", request);
  ASSERT_TRUE(sent) << sent.error().message;
  EXPECT_EQ(sent->id.size(), 36u);
  const auto got = receive("jobs");
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].id, sent->id);
  EXPECT_EQ(got[0].body, request.body);
  EXPECT_EQ(got[0].attributes.at("raw").value, std::string("\0\xff", 2));
  EXPECT_EQ(got[0].trace_header, "Root=1");
  EXPECT_EQ(got[0].receive_count, 1);
  EXPECT_EQ(got[0].sent, clock.now());
  EXPECT_TRUE(receive("jobs").empty());
  EXPECT_EQ(queues().depth("jobs")->in_flight, 1u);
  EXPECT_TRUE(remove("jobs", got[0].receipt_handle));
  pass(Millis{60'000});
  EXPECT_TRUE(receive("jobs").empty());
  EXPECT_EQ(queues().counters("jobs").deleted, 1u);
}

TEST_F(QueueServiceTest, EverythingSurvivesACrash) {
  ASSERT_TRUE(create(standard("jobs")));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(send("jobs", std::to_string(i)));
  const auto got = receive("jobs", 2);
  ASSERT_EQ(got.size(), 2u);
  ASSERT_TRUE(remove("jobs", got[0].receipt_handle));
  crash();
  EXPECT_EQ(bodies("jobs"), (Bodies{"2", "3", "4"}));
  pass(Millis{30'000});
  const auto all = receive("jobs");
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0].body, "1");
  EXPECT_EQ(all[0].receive_count, 2);
  EXPECT_LT(all[0].first_received, clock.now());
}

TEST_F(QueueServiceTest, ALongPollWakesOnASend) {
  ASSERT_TRUE(create(standard("jobs")));
  std::optional<Result<std::vector<Received>>> out;
  lives.back()->tasks.spawn(keep_result(queues().receive({.queue = "jobs", .wait = Millis{20'000}}), &out));
  settle();
  EXPECT_FALSE(out);
  const TimePoint before = clock.now();
  ASSERT_TRUE(send("jobs", "now"));
  settle();
  ASSERT_TRUE(out && *out);
  EXPECT_EQ((*out)->at(0).body, "now");
  EXPECT_EQ(clock.now(), before);
  // And ends empty when nothing comes; or when nobody waits any more.
  EXPECT_TRUE(receive({.queue = "jobs", .wait = Millis{5'000}}).empty());
  EXPECT_EQ(clock.now(), before + Millis{5'000});
  CancelSource cancel;
  out.reset();
  lives.back()->tasks.spawn(keep_result(queues().receive({.queue = "jobs", .wait = Millis{20'000}, .cancel = cancel.token()}), &out));
  settle();
  EXPECT_FALSE(out);
  cancel.cancel();
  settle();
  ASSERT_TRUE(out && *out);
  EXPECT_TRUE((*out)->empty());
}

TEST_F(QueueServiceTest, WhatIsSentTogetherWithAReceiveIsReceived) {
  ASSERT_TRUE(create(standard("jobs")));
  std::optional<std::vector<Result<Sent>>> first, second;
  std::optional<Result<std::vector<Received>>> out;
  const std::vector<SendRequest> requests(1, SendRequest{.body = "x"});
  // The first one's commit is under way while the others gather.
  lives.back()->tasks.spawn(keep_result(queues().send("jobs", requests), &first));
  lives.back()->tasks.spawn(keep_result(queues().send("jobs", requests), &second));
  lives.back()->tasks.spawn(keep_result(queues().receive({.queue = "jobs", .messages_max = 10, .hold = true}), &out));
  settle();
  ASSERT_TRUE(out && *out);
  EXPECT_EQ((*out)->size(), 2u);
}

TEST_F(QueueServiceTest, ALargeBodyLiesInTheBlobStore) {
  ASSERT_TRUE(create(standard("jobs")));
  const std::string large(200'000, 'x');
  ASSERT_TRUE(send("jobs", large));
  EXPECT_EQ(blobs.size(), 1u);
  crash();
  EXPECT_EQ(bodies("jobs"), Bodies{large});
}

TEST_F(QueueServiceTest, OldHandles) {
  ASSERT_TRUE(create(standard("jobs")));
  ASSERT_TRUE(send("jobs", "a"));
  const auto first = receive("jobs");
  pass(Millis{30'000});
  const auto second = receive("jobs");
  ASSERT_EQ(second.size(), 1u);
  EXPECT_TRUE(remove("jobs", first[0].receipt_handle));  // SQS: succeeds, but does not delete
  EXPECT_EQ(queues().depth("jobs")->in_flight, 1u);
  const auto changed = run(queues().change_visibility("jobs", {{first[0].receipt_handle, Millis{0}}, {"nonsense", Millis{0}}}));
  EXPECT_EQ(changed[0].error().code, "queue.receipt_expired");
  EXPECT_EQ(changed[1].error().code, "queue.receipt_invalid");
  EXPECT_TRUE(run(queues().change_visibility("jobs", {{second[0].receipt_handle, Millis{0}}}))[0]);
  EXPECT_EQ(bodies("jobs"), Bodies{"a"});

  ASSERT_TRUE(create(fifo("f.fifo")));
  ASSERT_TRUE(send("f.fifo", SendRequest{.body = "a", .group = "g"}));
  const auto late = receive("f.fifo");
  pass(Millis{30'000});
  EXPECT_EQ(remove("f.fifo", late.at(0).receipt_handle).error().code, "queue.receipt_expired");
}

TEST_F(QueueServiceTest, AFifoGroupWaitsForItsMessageInFlight) {
  ASSERT_TRUE(create(fifo("f.fifo")));
  std::string last;
  for (const auto& [group, body] : {std::pair{"a", "a1"}, {"a", "a2"}, {"b", "b1"}, {"a", "a3"}}) {
    const auto sent = send("f.fifo", SendRequest{.body = body, .group = group});
    ASSERT_TRUE(sent);
    EXPECT_EQ(sent->sequence_number.size(), 20u);
    EXPECT_LT(last, sent->sequence_number);
    last = sent->sequence_number;
  }
  const auto first = receive("f.fifo", 2);
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0].body, "a1");
  EXPECT_EQ(first[1].body, "a2");
  EXPECT_EQ(bodies("f.fifo"), Bodies{"b1"});
  ASSERT_TRUE(remove("f.fifo", first[0].receipt_handle));
  EXPECT_TRUE(receive("f.fifo").empty());
  crash();
  EXPECT_TRUE(receive("f.fifo").empty());
  pass(Millis{30'000});
  EXPECT_EQ(bodies("f.fifo"), (Bodies{"a2", "a3", "b1"}));
}

TEST_F(QueueServiceTest, ADelayedHeadHoldsItsFifoGroup) {
  ASSERT_TRUE(create(fifo("f.fifo")));
  for (const char* body : {"1", "2"}) ASSERT_TRUE(send("f.fifo", SendRequest{.body = body, .group = "g"}));
  const auto got = receive("f.fifo", 1);
  ASSERT_TRUE(settle("f.fifo", {.receipt_handle = got.at(0).receipt_handle, .outcome = Settlement::Outcome::Failed, .delay = Millis{10'000}}));
  EXPECT_TRUE(receive("f.fifo").empty());
  pass(Millis{10'000});
  EXPECT_EQ(bodies("f.fifo"), (Bodies{"1", "2"}));
}

TEST_F(QueueServiceTest, DeduplicationEndsExactlyAfterFiveMinutes) {
  ASSERT_TRUE(create(fifo("f.fifo")));
  const SendRequest request{.body = "a", .group = "g"};
  const auto first = send("f.fifo", request);
  ASSERT_TRUE(first);
  const auto got = receive("f.fifo");
  ASSERT_TRUE(remove("f.fifo", got.at(0).receipt_handle));
  pass(kDeduplicationWindow - Millis{1});
  crash();
  const auto inside = send("f.fifo", request);
  ASSERT_TRUE(inside);
  EXPECT_TRUE(inside->duplicate);
  EXPECT_EQ(inside->id, first->id);
  EXPECT_EQ(inside->sequence_number, first->sequence_number);
  pass(Millis{1});
  const auto outside = send("f.fifo", request);
  EXPECT_FALSE(outside->duplicate);
  EXPECT_NE(outside->id, first->id);
  EXPECT_EQ(queues().counters("f.fifo").deduplicated, 1u);
}

TEST_F(QueueServiceTest, DeduplicationPerGroupAndWithinOneRequest) {
  QueueSpec spec = fifo("f.fifo");
  spec.deduplication_scope = QueueSpec::DeduplicationScope::MessageGroup;
  ASSERT_TRUE(create(spec));
  std::vector<SendRequest> requests(3, SendRequest{.body = "same", .group = "a"});
  requests[1].group = "b";
  const auto sent = run(queues().send("f.fifo", requests));
  EXPECT_FALSE(sent[0]->duplicate);
  EXPECT_FALSE(sent[1]->duplicate);
  EXPECT_TRUE(sent[2]->duplicate);
  EXPECT_EQ(sent[2]->id, sent[0]->id);
}

TEST_F(QueueServiceTest, AnIdempotencyKeyAbsorbsForADay) {
  ASSERT_TRUE(create(standard("jobs")));
  const SendRequest request{.body = "a", .idempotency_key = "k"};
  const auto first = send("jobs", request);
  pass(kIdempotencyWindow - Millis{1});
  crash();
  EXPECT_EQ(send("jobs", request)->id, first->id);
  pass(Millis{1});
  EXPECT_NE(send("jobs", request)->id, first->id);
  EXPECT_EQ(receive("jobs").size(), 2u);
}

TEST_F(QueueServiceTest, AReceiveAttemptIsReplayed) {
  ASSERT_TRUE(create(fifo("f.fifo")));
  for (const char* body : {"1", "2", "3"}) ASSERT_TRUE(send("f.fifo", SendRequest{.body = body, .group = "g"}));
  const ReceiveRequest request{.queue = "f.fifo", .messages_max = 2, .attempt_id = "try"};
  const auto first = receive(request);
  ASSERT_EQ(first.size(), 2u);
  crash();
  pass(Millis{20'000});
  const auto again = receive(request);
  ASSERT_EQ(again.size(), 2u);
  EXPECT_EQ(again[0].receipt_handle, first[0].receipt_handle);
  EXPECT_EQ(again[1].receive_count, 1);
  pass(Millis{20'000});  // the replay made them invisible anew
  EXPECT_TRUE(receive("f.fifo").empty());
  ASSERT_TRUE(remove("f.fifo", first[0].receipt_handle));
  EXPECT_TRUE(receive(request).empty());  // the set is not whole any more
  pass(Millis{10'000});
  EXPECT_EQ(bodies("f.fifo"), (Bodies{"2", "3"}));
}

TEST_F(QueueServiceTest, AfterItsReceivesAMessageIsDeadWithTheReason) {
  ASSERT_TRUE(create(standard("dead")));
  ASSERT_TRUE(create(with_dead_letters(standard("jobs"), "dead", 3)));
  const auto sent = send("jobs", SendRequest{.body = "poison", .attributes = {{"a", {"String", "1"}}}});
  const TimePoint sent_at = clock.now();
  for (int i = 1; i <= 3; ++i) {
    const auto got = receive("jobs");
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0].receive_count, i);
    if (i == 2) {
      ASSERT_TRUE(settle("jobs", {.receipt_handle = got[0].receipt_handle, .outcome = Settlement::Outcome::Failed, .reason = "no disk"}));
    } else {
      pass(Millis{30'000});
    }
  }
  EXPECT_TRUE(receive("jobs").empty());
  pass(Millis{1'000});
  const auto dead = receive("dead");
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_EQ(dead[0].id, sent->id);
  EXPECT_EQ(dead[0].body, "poison");
  EXPECT_EQ(dead[0].sent, sent_at);
  EXPECT_EQ(dead[0].attributes.at("a").value, "1");
  EXPECT_EQ(dead[0].dead_letter_source, "jobs");
  EXPECT_EQ(dead[0].dead_letter_reason, "received 3 times without being deleted; last failure: no disk");
  EXPECT_EQ(dead[0].receive_count, 1);
  EXPECT_EQ(queues().counters("jobs").dead, 1u);
  EXPECT_EQ(queues().sources_of("dead"), Bodies{"jobs"});
}

TEST_F(QueueServiceTest, AFailureOnTheLastReceiveIsDeadAtOnce) {
  ASSERT_TRUE(create(standard("dead")));
  ASSERT_TRUE(create(with_dead_letters(standard("jobs"), "dead", 1)));
  ASSERT_TRUE(send("jobs", "a"));
  const auto got = receive({.queue = "jobs", .hold = true});
  ASSERT_TRUE(settle("jobs", {.receipt_handle = got.at(0).receipt_handle, .outcome = Settlement::Outcome::Failed, .reason = "boom"}));
  const auto dead = receive({.queue = "dead", .wait = Millis{1'000}});
  EXPECT_EQ(dead.at(0).dead_letter_reason, "received 1 times without being deleted; last failure: boom");
}

TEST_F(QueueServiceTest, WhatIsHeldComesBackAfterACrash) {
  ASSERT_TRUE(create(standard("jobs")));
  for (const char* body : {"a", "b", "c"}) ASSERT_TRUE(send("jobs", body));
  const auto got = receive({.queue = "jobs", .messages_max = 3, .hold = true});
  ASSERT_EQ(got.size(), 3u);
  pass(Millis{24LL * 3'600'000});
  EXPECT_TRUE(receive("jobs").empty());  // no visibility timeout
  ASSERT_TRUE(settle("jobs", {.receipt_handle = got[0].receipt_handle}));
  ASSERT_TRUE(settle("jobs", {.receipt_handle = got[1].receipt_handle, .outcome = Settlement::Outcome::Released}));
  const auto released = receive("jobs");
  ASSERT_EQ(released.size(), 1u);
  EXPECT_EQ(released[0].body, "b");
  EXPECT_EQ(released[0].receive_count, 1);  // the receive that was released does not count
  crash();
  const auto held = run(queues().held("jobs"));
  ASSERT_TRUE(held);
  ASSERT_EQ(held->size(), 1u);
  EXPECT_EQ(held->at(0).body, "c");
  EXPECT_EQ(held->at(0).receipt_handle, got[2].receipt_handle);
  EXPECT_TRUE(run(queues().held("jobs"))->empty());
  EXPECT_TRUE(settle("jobs", {.receipt_handle = held->at(0).receipt_handle}));
  EXPECT_EQ(queues().depth("jobs")->in_flight, 1u);
}

TEST_F(QueueServiceTest, NobodyAsksForWhatWasHeld) {
  ASSERT_TRUE(create(standard("jobs")));
  ASSERT_TRUE(send("jobs", "a"));
  ASSERT_EQ(receive({.queue = "jobs", .hold = true}).size(), 1u);
  crash();
  pass(Millis{30'000});
  EXPECT_EQ(bodies("jobs"), Bodies{"a"});
}

TEST_F(QueueServiceTest, MorePriorityFirstAndFairGroups) {
  ASSERT_TRUE(create(standard("jobs")));
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(send("jobs", SendRequest{.body = "big", .group = "big"}));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(send("jobs", SendRequest{.body = "small", .group = "small"}));
  ASSERT_TRUE(send("jobs", SendRequest{.body = "urgent", .group = "big", .priority = 5}));
  EXPECT_EQ(bodies("jobs", 6), (Bodies{"urgent", "small", "big", "small", "big", "small"}));
  EXPECT_EQ(queues().depth("jobs")->groups, 2u);
}

TEST_F(QueueServiceTest, DelaysPauseAndLimits) {
  QueueSpec spec = standard("jobs");
  spec.messages_max = 2;
  ASSERT_TRUE(create(spec));
  ASSERT_TRUE(send("jobs", SendRequest{.body = "later", .delay = Millis{5'000}}));
  EXPECT_EQ(queues().depth("jobs")->delayed, 1u);
  EXPECT_TRUE(receive("jobs").empty());
  crash();
  EXPECT_TRUE(receive("jobs").empty());
  pass(Millis{5'000});
  spec.paused = true;
  ASSERT_TRUE(run(queues().put(spec)));
  EXPECT_TRUE(receive("jobs").empty());
  ASSERT_TRUE(send("jobs", "more"));
  const auto full = send("jobs", "too much");
  EXPECT_EQ(full.error().code, "queue.full");
  EXPECT_EQ(full.error().retry, Retry::Safe);
  spec.paused = false;
  ASSERT_TRUE(run(queues().put(spec)));
  EXPECT_EQ(receive("jobs").size(), 2u);
}

TEST_F(QueueServiceTest, RetentionEndsAMessage) {
  QueueSpec spec = standard("jobs");
  spec.retention = Millis{60'000};
  ASSERT_TRUE(create(spec));
  ASSERT_TRUE(send("jobs", "old"));
  pass(Millis{30'000});
  ASSERT_TRUE(send("jobs", "new"));
  pass(Millis{30'000});
  EXPECT_EQ(bodies("jobs"), Bodies{"new"});
  pass(Millis{40'000});
  EXPECT_EQ(queues().depth("jobs")->in_flight + queues().depth("jobs")->visible, 0u);
  EXPECT_EQ(queues().counters("jobs").expired, 2u);
}

TEST_F(QueueServiceTest, APurgeTakesEverythingOnceAMinute) {
  ASSERT_TRUE(create(standard("jobs")));
  for (int i = 0; i < 250; ++i) ASSERT_TRUE(send("jobs", "x"));
  const auto got = receive("jobs");
  ASSERT_TRUE(run(queues().purge("jobs")));
  ASSERT_TRUE(send("jobs", "after"));
  EXPECT_EQ(run(queues().purge("jobs")).error().code, "queue.purge_in_progress");
  crash();
  EXPECT_EQ(bodies("jobs"), Bodies{"after"});
  pass(Millis{120'000});
  std::size_t rows = 0;
  for (const auto& [key, cell] : disk.cells()) rows += key.find("/m/") != std::string::npos || key.find("/v/") != std::string::npos;
  EXPECT_EQ(rows, 2u);
}

TEST_F(QueueServiceTest, ARedriveBringsMessagesHome) {
  ASSERT_TRUE(create(standard("dead")));
  ASSERT_TRUE(create(with_dead_letters(standard("jobs"), "dead", 1)));
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(send("jobs", std::to_string(i)));
  for (int i = 0; i < 6; ++i)
    for (const Received& message : receive({.queue = "jobs", .messages_max = 10, .hold = true}))
      ASSERT_TRUE(settle("jobs", {.receipt_handle = message.receipt_handle, .outcome = Settlement::Outcome::Dead, .reason = "no"}));
  pass(Millis{2'000});
  ASSERT_EQ(queues().depth("dead")->visible, 60u);
  EXPECT_EQ(run(queues().peek("dead", 5)).value().at(0).dead_letter_reason, "no");
  const auto task = run(queues().start_redrive("dead", "", 10));
  ASSERT_TRUE(task) << task.error().message;
  EXPECT_EQ(task->to_move, 60u);
  EXPECT_EQ(run(queues().start_redrive("dead", "", 10)).error().code, "queue.redrive_running");
  pass(Millis{1'500});
  const std::size_t early = queues().redrives("dead").at(0).moved;
  EXPECT_GT(early, 0u);
  EXPECT_LE(early, 20u);
  crash();
  pass(Millis{10'000});
  EXPECT_EQ(queues().redrives("dead").at(0).status, RedriveTask::Status::Completed);
  EXPECT_EQ(queues().redrives("dead").at(0).moved, 60u);
  EXPECT_EQ(queues().depth("jobs")->visible, 60u);
  EXPECT_EQ(queues().depth("dead")->visible, 0u);
  const auto back = receive("jobs", 1);
  EXPECT_EQ(back.at(0).receive_count, 1);
  EXPECT_EQ(back.at(0).dead_letter_source, "");
}

TEST_F(QueueServiceTest, ARedriveIsCancelled) {
  ASSERT_TRUE(create(standard("dead")));
  ASSERT_TRUE(create(standard("jobs")));
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(send("dead", "x"));
  const auto task = run(queues().start_redrive("dead", "jobs", 5));
  ASSERT_TRUE(task);
  pass(Millis{2'000});
  ASSERT_TRUE(run(queues().cancel_redrive(task->handle)));
  pass(Millis{2'000});
  EXPECT_EQ(queues().redrives("dead").at(0).status, RedriveTask::Status::Cancelled);
  const std::size_t moved = queues().depth("jobs")->visible;
  pass(Millis{10'000});
  EXPECT_EQ(queues().depth("jobs")->visible, moved);
  EXPECT_EQ(queues().depth("dead")->visible, 50 - moved);
  // Without a source of their own the others need a destination.
  ASSERT_TRUE(run(queues().start_redrive("dead", "", 0)));
  pass(Millis{2'000});
  EXPECT_EQ(queues().redrives("dead").at(0).status, RedriveTask::Status::Failed);
  EXPECT_NE(queues().redrives("dead").at(0).failure.find("name a destination"), std::string::npos);
}

TEST_F(QueueServiceTest, QueuesAreMadeChangedAndRemoved) {
  ASSERT_TRUE(create(standard("jobs")));
  EXPECT_TRUE(create(standard("jobs")));
  QueueSpec other = standard("jobs");
  other.delay = Millis{1'000};
  EXPECT_EQ(create(other).error().code, "queue.exists");
  ASSERT_TRUE(run(queues().put(other)));
  ASSERT_TRUE(create(standard("jolly")));
  EXPECT_EQ(queues().list("jo").size(), 2u);
  ASSERT_TRUE(send("jolly", "x"));
  const std::string handle = receive("jolly").at(0).receipt_handle;
  ASSERT_TRUE(run(queues().remove("jolly")));
  EXPECT_EQ(send("jolly", "x").error().code, "queue.not_found");
  EXPECT_EQ(create(standard("jolly")).error().code, "queue.deleted_recently");
  crash();
  EXPECT_EQ(queues().info("jobs")->spec.delay, Millis{1'000});
  EXPECT_EQ(queues().info("jolly").error().code, "queue.not_found");
  EXPECT_EQ(create(standard("jolly")).error().code, "queue.deleted_recently");
  pass(Millis{61'000});
  for (const auto& [key, cell] : disk.cells()) EXPECT_EQ(key.find("jolly"), std::string::npos) << key;
  ASSERT_TRUE(create(standard("jolly")));
  EXPECT_TRUE(receive("jolly").empty());
  EXPECT_TRUE(remove("jolly", handle));
}

TEST_F(QueueServiceTest, RefusesWithTheReason) {
  ASSERT_TRUE(create(standard("s")));
  QueueSpec spec = fifo("f.fifo");
  spec.content_deduplication = false;
  ASSERT_TRUE(create(spec));
  EXPECT_EQ(send("f.fifo", "x").error().code, "queue.missing_group");
  EXPECT_EQ(send("f.fifo", SendRequest{.body = "x", .group = "g"}).error().code, "queue.missing_deduplication_id");
  EXPECT_EQ(send("s", std::string(1024 * 1024 + 1, 'x')).error().code, "queue.too_large");
  EXPECT_EQ(send("s", "\xff").error().code, "queue.invalid");
  EXPECT_EQ(send("s", SendRequest{.body = "x", .attributes = {{"n", {"Number", "seven"}}}}).error().code, "queue.invalid_attribute");
  EXPECT_EQ(send("s", SendRequest{.body = "x", .attributes = {{"AWS.n", {"String", "x"}}}}).error().code, "queue.invalid_attribute");
  EXPECT_EQ(send("nowhere", "x").error().code, "queue.not_found");
  EXPECT_EQ(run(queues().receive({.queue = "s", .messages_max = 0})).error().code, "queue.invalid");
}

TEST_F(QueueServiceTest, StoppingAnswersThoseWhoWait) {
  ASSERT_TRUE(create(standard("jobs")));
  std::optional<Result<std::vector<Received>>> out;
  lives.back()->tasks.spawn(keep_result(queues().receive({.queue = "jobs", .wait = Millis{20'000}}), &out));
  settle();
  const auto stop = [](QueueService* service) -> Task<bool> {
    co_await service->stop();
    co_return true;
  };
  EXPECT_TRUE(run(stop(&queues())));
  settle();
  ASSERT_TRUE(out);
  EXPECT_EQ(out->error().code, "queue.stopping");
  EXPECT_EQ(send("jobs", "x").error().code, "queue.stopping");
}

}  // namespace
}  // namespace mayfly::queue
