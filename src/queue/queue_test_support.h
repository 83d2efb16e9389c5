#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "blob/memory_blob_store.h"
#include "queue/queue_service.h"
#include "testing/sim_clock.h"
#include "testing/sim_store.h"

namespace mayfly::queue {

/// One life of a server that has only queues.
struct TestLife {
  TestLife(SimDisk& disk, MemoryBlobStore& blobs, asio::io_context& io, SimClock& world, std::uint64_t seed, Plant plant,
           SimStoreFaults faults = {})
      : clock(world), random(seed), store(disk, io.get_executor(), clock, random, faults), tasks(io.get_executor()) {
    service = make_planted_queue_service({.executor = io.get_executor(),
                                          .store = &store,
                                          .blobs = &blobs,
                                          .clock = &clock,
                                          .random = &random,
                                          .partitions = 4,
                                          .lease = [](keys::Partition p) { return Precondition::present(engine::keys::epoch(p)); }},
                                         plant);
  }
  ~TestLife() { tasks.abandon(); }
  void die() {
    clock.die();
    if (!store.crashed()) store.crash();
    service->crash();
    tasks.abandon();
  }

  ProcessClock clock;
  SeededRandom random;
  SimStore store;
  std::unique_ptr<QueueService> service;
  TaskGroup tasks;
};

template <class T>
Task<> keep_result(Task<T> task, std::optional<T>* out) {
  out->emplace(co_await std::move(task));
}

/// A disk and the lives that use it, one after another.
class QueueHarness {
 public:
  QueueHarness() {
    for (keys::Partition p = 0; p < 4; ++p) disk.apply({.require = {}, .puts = {{engine::keys::epoch(p), "{}"}}, .deletes = {}});
    start();
  }
  ~QueueHarness() {
    for (auto& life : lives) life->die();
    disk.release_crashed();
  }
  void start() {
    lives.push_back(std::make_unique<TestLife>(disk, blobs, io, clock, 1000 + lives.size(), Plant::None));
    EXPECT_TRUE(run(queues().open()));
  }
  void crash() {
    lives.back()->die();
    start();
  }
  QueueService& queues() { return *lives.back()->service; }
  SimStore& store() { return lives.back()->store; }

  /// Runs until the task has ended; time passes only when it waits for it.
  template <class T>
  T run(Task<T> task) {
    std::optional<T> out;
    lives.back()->tasks.spawn(keep_result(std::move(task), &out));
    for (int i = 0; !out && i < 1'000'000; ++i)
      if (io.poll_one() == 0 && !clock.advance()) break;
    EXPECT_TRUE(out) << "the task never ended";
    return std::move(*out);
  }
  /// Lets everything happen that is ready now.
  void settle() {
    io.restart();
    while (io.poll() > 0) {
    }
  }
  void pass(Millis time) {
    bool there = false;
    const auto timer = clock.call_after(time, [&] { there = true; });
    while (!there) {
      settle();
      clock.advance();
    }
    settle();
  }

  Result<Sent> send(const std::string& queue, SendRequest request) {
    std::vector<SendRequest> requests;
    requests.push_back(std::move(request));
    return run(queues().send(queue, std::move(requests))).at(0);
  }
  Result<Sent> send(const std::string& queue, const std::string& body) { return send(queue, SendRequest{.body = body}); }
  std::vector<Received> receive(ReceiveRequest request) {
    auto out = run(queues().receive(std::move(request)));
    EXPECT_TRUE(out) << out.error().message;
    return out ? std::move(*out) : std::vector<Received>();
  }
  std::vector<Received> receive(const std::string& queue, std::size_t max = 10) {
    return receive(ReceiveRequest{.queue = queue, .messages_max = max});
  }
  std::vector<std::string> bodies(const std::string& queue, std::size_t max = 10) {
    std::vector<std::string> out;
    for (Received& message : receive(queue, max)) out.push_back(std::move(message.body));
    return out;
  }
  Result<void> remove(const std::string& queue, const std::string& handle) {
    return run(queues().remove_messages(queue, {handle})).at(0);
  }
  Result<void> settle(const std::string& queue, Settlement settlement) { return run(queues().settle(queue, {std::move(settlement)})).at(0); }
  Result<QueueInfo> create(QueueSpec spec) { return run(queues().create(std::move(spec))); }

  asio::io_context io;
  decltype(asio::make_work_guard(io)) guard = asio::make_work_guard(io);
  SimClock clock;
  SimDisk disk;
  MemoryBlobStore blobs;
  std::vector<std::unique_ptr<TestLife>> lives;
};

}  // namespace mayfly::queue
