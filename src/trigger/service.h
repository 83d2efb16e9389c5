#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "trigger/consumers.h"
#include "trigger/delivery/delivery_program.h"
#include "trigger/trigger_service.h"
#include "trigger/waits.h"

namespace mayfly::trigger {

/// What a trigger makes of an event.
struct Mapped {
  bool filtered = false;
  std::string session;
  Json input;           ///< null: none was mapped
  std::string key;      ///< hashed: scoped to the trigger
  std::string correlation;
  std::string group;    ///< of a queue target
};

class TriggerServiceImpl final : public TriggerService, public DeliveryPrograms {
 public:
  explicit TriggerServiceImpl(TriggerDependencies deps);
  ~TriggerServiceImpl() override;

  DeliveryPrograms& programs() override { return *this; }
  Task<Result<void>> open(engine::Engine& engine) override;
  Task<> stop(Millis grace) override;
  void crash() override;

  Task<Result<TriggerSpec>> put(TriggerSpec spec) override;
  Task<Result<void>> remove(std::string name) override;
  std::vector<TriggerSpec> list() const override;
  std::optional<TriggerSpec> find(const std::string& name) const override;
  TriggerCounters counters(const std::string& name) const override;
  void on_change(std::function<void()> changed) override { changed_.push_back(std::move(changed)); }

  Task<Result<Accepted>> dispatch(std::string trigger, Event event, Variables variables, std::string traceparent) override;
  Task<Result<std::vector<Accepted>>> publish(Event event, std::string traceparent) override;
  Task<Result<Accepted>> deliver(Delivery delivery) override;
  Task<Result<void>> fire(schedule::Firing firing) override;
  Task<Result<void>> add_wait(EventWait wait) override;
  Task<Result<void>> message(std::string id, Json message) override;
  Result<JsonObject> dry_run(const TriggerSpec& spec, const Event& event, const Variables& variables) override;

  Task<Result<Endpoint>> put_endpoint(Endpoint endpoint) override;
  Task<Result<void>> remove_endpoint(std::string name) override;
  std::vector<Endpoint> endpoints() const override;
  Result<std::string> endpoint_secret(const std::string& name) const override;
  Task<Result<std::string>> rotate_endpoint_secret(std::string name, Millis overlap) override;
  std::vector<Endpoint> internal_endpoints(std::string_view prefix) const override;
  std::optional<Endpoint> find_endpoint(const std::string& name) const override;

  Task<Result<std::vector<DeliveryRecord>>> deliveries(std::string target_or_trigger, std::size_t limit) override;
  Task<Result<DeliveryRecord>> delivery(std::string id) override;
  Task<Result<Accepted>> redeliver(std::string id) override;

  // DeliveryPrograms
  std::shared_ptr<const engine::Program> find(const std::string& name, std::int64_t version) override;
  Task<engine::StepOutcome> execute(engine::StepCall call) override;

 private:
  struct Entry {
    TriggerSpec spec;
    TriggerCounters counters;
  };
  struct EndpointEntry {
    Endpoint endpoint;
    std::string sealed;  ///< its own secret
    std::string sealed_before;  ///< the one before, which signs too until `before_until`
    TimePoint before_until{};
  };
  /// An event for one target, after a trigger has mapped it or without one.
  struct Routed {
    std::string trigger;
    Json event;
    Target target;
    Json input;
    std::string session;
    std::string group;
    std::string key;
    DeliveryPolicy policy;
    std::string traceparent;
    TargetHost::Ask ask = TargetHost::Ask::Event;
    std::optional<Millis> key_kept;  ///< of runs; else a day
  };

  Task<Result<void>> load();
  Result<void> check_trigger(const TriggerSpec& spec) const;
  Result<void> check_target(const Target& target, std::string_view pointer) const;
  std::string new_secret() const;
  Task<Result<void>> store_endpoint(EndpointEntry entry);
  Task<Result<void>> write_meta(std::string key, std::optional<std::string> value);
  void tell_changed();

  Result<Mapped> map(const TriggerSpec& spec, const Event& event, const Json& whole, const Variables& variables);
  Result<std::optional<std::string>> text_of(std::string_view field, const std::string& text, const Json& whole, const Variables& variables,
                                             const EvaluationContext& context);
  Task<Result<Accepted>> dispatch_as(std::string trigger, Event event, Variables variables, std::string traceparent, TargetHost::Ask ask,
                                     std::string key);
  Task<Result<Accepted>> route(Routed routed);
  Task<Result<Accepted>> send_to_queue(Routed routed);
  Task<Result<Accepted>> start_delivery(Routed routed);

  Task<engine::StepOutcome> attempt(engine::StepCall call);
  Task<engine::StepOutcome> post(engine::StepCall call, Target target, Event event);
  Task<engine::StepOutcome> dead_letter(engine::StepCall call);
  Task<engine::StepOutcome> fan_out(engine::StepCall call);
  Task<Result<void>> disable_endpoint(std::string name, std::string reason);
  Result<std::vector<std::string>> secrets_of(const EndpointEntry& entry) const;
  Task<Result<DeliveryRecord>> record_of(engine::Execution run);

  Task<BatchOutcome> consume(std::string trigger, std::vector<queue::Received> messages);
  Task<queue::Settlement> consume_one(std::string trigger, queue::Received message);
  Task<BatchOutcome> consume_batch(std::string trigger, std::vector<queue::Received> messages);
  Task<Result<engine::Execution>> wait_for_end(std::string run);
  Task<bool> accept_foreign(std::string trigger, Event event);

  TriggerDependencies deps_;
  engine::Engine* engine_ = nullptr;
  std::shared_ptr<const engine::Program> program_;
  std::map<std::string, Entry> triggers_;
  std::map<std::string, EndpointEntry> endpoints_;
  std::vector<std::function<void()>> changed_;
  CancelSource stopping_;
  std::unique_ptr<Waits> waits_;
  std::unique_ptr<Consumers> consumers_;
  bool crashed_ = false;
};

/// The trigger that a source, target or key belongs to, hashed to a bounded text.
std::string scoped_key(std::string_view scope, std::string_view key);
std::string target_text(const Target& target);  ///< "agent:NAME"
std::string delivery_program(const Target& target);

}  // namespace mayfly::trigger
