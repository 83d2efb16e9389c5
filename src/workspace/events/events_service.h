#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "workspace/events/webhook_rows.h"

namespace mayfly::workspace {

class EventsService final : public Events {
 public:
  explicit EventsService(EventsDependencies deps);
  ~EventsService() override;

  Task<Result<void>> open() override;
  Task<> stop() override;
  void crash() override;

  Task<Outcome<EventPage>> list(Actor actor, std::string workspace, EventFilter filter, std::uint64_t cursor, std::size_t limit,
                                Millis wait, CancelToken cancel) override;
  Task<Outcome<std::uint64_t>> newest(Actor actor, std::string workspace) override;

  Task<Outcome<NewWebhook>> create_webhook(Actor actor, std::string workspace, std::string url, EventFilter filter) override;
  Task<Outcome<std::vector<Webhook>>> webhooks(Actor actor, std::string workspace) override;
  Task<Outcome<Webhook>> update_webhook(Actor actor, std::string workspace, std::string webhook, JsonObject changes) override;
  Task<Outcome<NewWebhook>> rotate_webhook(Actor actor, std::string workspace, std::string webhook) override;
  Task<Outcome<void>> remove_webhook(Actor actor, std::string workspace, std::string webhook) override;
  Task<Outcome<std::vector<trigger::DeliveryRecord>>> deliveries(Actor actor, std::string workspace, std::string webhook,
                                                                 std::size_t limit) override;
  Task<Outcome<void>> redeliver(Actor actor, std::string workspace, std::string webhook, std::string delivery) override;

 private:
  using Waiters = std::set<CancelSource*>;

  void on_event(const FileEvent& event);
  Task<Outcome<EventPage>> read_page(std::string workspace, EventFilter filter, std::uint64_t cursor, std::size_t limit);
  Task<bool> wait_for_event(std::string workspace, Millis wait, CancelToken cancel);

  // The way out (pump.cpp).
  void kick();
  void mark(std::string workspace);
  Task<> pump(std::string workspace);
  Task<Result<std::size_t>> pump_batch(std::string workspace);
  Task<Result<void>> take_away(std::string workspace, std::shared_ptr<const std::vector<std::string>> sent);
  Task<Result<void>> send(FileEvent event, std::vector<Webhook> hooks);
  Task<Result<std::vector<Webhook>>> load_webhooks(std::string workspace);

  // Looking after (care.cpp).
  void arm_care(Millis delay);
  Task<> care();
  Task<Result<std::size_t>> trim(std::string workspace);
  void look_for_disabled();
  Task<> tell_disabled();
  Task<Result<void>> tell_disabled_in(std::string workspace, std::string webhook, std::string reason);
  Task<> drop_orphans();

  Task<Outcome<Webhook>> find_webhook(Actor actor, std::string workspace, std::string webhook);
  Task<Outcome<void>> put_endpoint(std::string workspace, Webhook webhook);

  EventsDependencies deps_;
  Spaces& spaces_;
  Clock& clock_;
  TaskGroup tasks_;
  CancelSource stopping_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool is_open_ = false;

  std::map<std::string, std::uint64_t> newest_;  ///< of those that told something since the start
  std::map<std::string, Waiters> waiters_;
  std::size_t waiting_ = 0;

  std::set<std::string> marked_;  ///< have something to send
  std::set<std::string> pumped_;  ///< are being sent from
  std::map<std::string, int> failures_;
  std::map<std::string, std::unique_ptr<Clock::Timer>> retries_;
  std::unique_ptr<Clock::Timer> care_timer_;
  std::unique_ptr<Clock::Timer> disabled_timer_;
};

/// The number at the end of a row's key.
std::uint64_t number_of_key(std::string_view key);

}  // namespace mayfly::workspace
