#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "expression/expression.h"
#include "net/http_client.h"
#include "queue/queue.h"
#include "schedule/schedule.h"
#include "trigger/event.h"
#include "trigger/trigger_spec.h"

namespace mayfly::trigger {

/// What became of an event: it is durable there.
struct Accepted {
  std::string trigger;
  bool filtered = false;     ///< the trigger's filter said no: nothing was started
  bool duplicate = false;    ///< absorbed: the rest is the first one's
  std::string run;           ///< of the target, or of the delivery that will start it ("delivery": true)
  bool delivery = false;
  std::string message_id;    ///< of a queue's message
};

/// An event on its way to one target, not by a trigger: a schedule's, a destination's, a person's redelivery.
struct Delivery {
  Event event;
  Target target;
  Json input;                   ///< null: the event's data for agents and workflows, the event for others
  std::string session;
  std::string idempotency_key;  ///< required: the same within a day is absorbed
  DeliveryPolicy policy;
  std::string traceparent;
};

/// Somebody waits for an event: a CALLBACK of a run, or a callback of a durable function.
struct EventWait {
  std::string run;
  std::int64_t operation = 0;
  std::string type;  ///< of the event; exact
  std::string key;   ///< its correlation key
  std::optional<TimePoint> until;  ///< forgotten then
};

/// Where signed webhooks are sent.
struct Endpoint {
  std::string name;
  std::string url;
  std::vector<std::string> secret_env;  ///< `whsec_…`; empty: Mayfly makes one, kept sealed by the server
  std::vector<std::string> types;       ///< events that it wants of those published; empty: only what names it
  bool private_network = false;
  bool enabled = true;
  std::string disabled_reason;  ///< "410 Gone at …"
  DeliveryPolicy policy{.attempts_max = 17, .delay_first = Millis{5'000}, .delay_max = Millis{24LL * 3'600'000}, .age_max = Millis{5LL * 86'400'000}, .dead_letter_queue = {}};
};

/// The form of `mayfly.yaml` (`endpoints: NAME:`) and `PUT /v1/endpoints/NAME`: {url, secret_env: [NAME…], types, private_network, enabled,
/// retry: {attempts, first_delay, max_delay, max_age}, dead_letter_queue}. Error: `endpoint.invalid`, whose message starts with a JSON Pointer and ": ".
Result<Endpoint> endpoint_from_json(std::string name, const Json& value);
Json to_json(const Endpoint& endpoint);
std::string_view endpoint_schema_text();
/// "ws.WORKSPACE.ID": names with a dot, which no person can give.
inline bool is_internal_endpoint(std::string_view name) { return name.contains('.'); }

struct DeliveryAttempt {
  std::int64_t number = 1;
  TimePoint at{};
  Millis took{0};
  int status = 0;     ///< HTTP; 0: none
  std::string error;  ///< empty: it succeeded
};
struct DeliveryRecord {
  std::string id;  ///< the delivery's run
  Event event;
  Target target;
  std::string trigger;
  enum class State { Pending, Delivered, Failed, Dead } state = State::Pending;  ///< Dead: it lies in the dead-letter queue
  std::vector<DeliveryAttempt> attempts;
  std::optional<TimePoint> next;
  TimePoint created{};
};

struct TriggerCounters {
  std::uint64_t received = 0, filtered = 0, duplicates = 0, accepted = 0, refused = 0, delivered = 0, failed = 0, dead = 0;
};

/// Port: what targets are. Implemented by `server`.
class TargetHost {
 public:
  virtual ~TargetHost() = default;
  /// Whether it is there. Errors: those of the target's kind.
  virtual Result<void> check(const Target& target) const = 0;
  enum class Ask {
    Event,  ///< nobody waits for the answer: a function's own retries and destinations apply
    Call,   ///< the run ends with the target's answer or error
  };
  /// A run of an agent, function or workflow.
  virtual Result<engine::StartRequest> start(const Target& target, const Json& input, const std::string& session, Ask ask) const = 0;
  /// A function called at once, as the consumer of a batch. Answer: the function's JSON; error: it failed, timed out or could not be reached.
  virtual Task<Result<Json>> call(std::string function, Json payload, CancelToken cancel) = 0;
};

struct TriggerDependencies {
  Executor executor;
  Store* store = nullptr;
  Clock* clock = nullptr;
  Random* random = nullptr;
  net::HttpClient* http = nullptr;
  Expressions* expressions = nullptr;
  queue::QueueService* queues = nullptr;
  schedule::ScheduleService* schedules = nullptr;
  TargetHost* targets = nullptr;
  std::function<std::optional<std::string>(std::string_view)> environment;  ///< secrets
  /// Seals and opens what must not lie in the store as it is (endpoints' own secrets).
  std::function<std::string(std::string_view)> seal;
  std::function<Result<std::string>(std::string_view)> open_sealed;
  std::size_t consumers_parallel = 256;  ///< batches under way over all triggers, shared fairly between triggers and, within one, between groups
};

/// Programs of deliveries are named "delivery:TARGET" (an agent may be named "delivery").
inline constexpr std::string_view kDeliveryPrefix = "delivery:";

/// Programs and steps of deliveries in the engine. Made before the engine.
class DeliveryPrograms : public engine::ProgramHost, public engine::StepExecutor {};

/// Everything between a source and a target.
///
/// Errors: `trigger.not_found`, `trigger.invalid`, `trigger.disabled`, `expression.…`, `event.invalid`, `target.…`, `endpoint.not_found`,
/// `delivery.not_found`, and those of engine, queues and store. Overload is Retry::Safe (429 with Retry-After at the edge).
class TriggerService {
 public:
  virtual ~TriggerService() = default;

  virtual DeliveryPrograms& programs() = 0;
  /// Reads triggers and endpoints, then starts consumers. Once the engine, the queues and the schedules are open.
  virtual Task<Result<void>> open(engine::Engine& engine) = 0;
  virtual Task<> stop(Millis grace) = 0;
  virtual void crash() = 0;

  /// Creates or replaces; its expressions are compiled, its target checked. A schedule's row, a consumer, a route follow at once.
  virtual Task<Result<TriggerSpec>> put(TriggerSpec spec) = 0;
  virtual Task<Result<void>> remove(std::string name) = 0;
  virtual std::vector<TriggerSpec> list() const = 0;
  virtual std::optional<TriggerSpec> find(const std::string& name) const = 0;
  virtual TriggerCounters counters(const std::string& name) const = 0;
  /// Called after every change, for those who keep routes.
  virtual void on_change(std::function<void()> changed) = 0;

  /// An event of a trigger: filtered, mapped, accepted. `variables` as in TriggerSpec.
  virtual Task<Result<Accepted>> dispatch(std::string trigger, Event event, Variables variables, std::string traceparent) = 0;
  /// To every enabled trigger of kind `event` that wants it, to endpoints that want its type, and to whoever waits for it. Durable when it
  /// returns; once per source and id within a day.
  virtual Task<Result<std::vector<Accepted>>> publish(Event event, std::string traceparent) = 0;
  virtual Task<Result<Accepted>> deliver(Delivery delivery) = 0;
  /// What the trigger would make of the event, starting nothing: {"filtered", "session", "input", "idempotency_key", "correlation", "target"}.
  virtual Result<JsonObject> dry_run(const TriggerSpec& spec, const Event& event, const Variables& variables) = 0;
  /// For ScheduleDependencies::fire.
  virtual Task<Result<void>> fire(schedule::Firing firing) = 0;

  virtual Task<Result<void>> add_wait(EventWait wait) = 0;
  /// For EngineDependencies::deliver. Messages: {"kind": "deliver", "target", "event" (its JSON form), "session"?, "input"?},
  /// {"kind": "publish", "event"}, {"kind": "wait", "run", "operation", "type", "key", "until" (ms)?}.
  virtual Task<Result<void>> message(std::string id, Json message) = 0;

  virtual Task<Result<Endpoint>> put_endpoint(Endpoint endpoint) = 0;
  virtual Task<Result<void>> remove_endpoint(std::string name) = 0;
  virtual std::vector<Endpoint> endpoints() const = 0;
  /// The secret that verifies what is sent there: `whsec_…`. For its owner.
  virtual Result<std::string> endpoint_secret(const std::string& name) const = 0;
  /// Gives it a new secret of Mayfly's own. For `overlap` what is sent is signed with the one before, too. Error also: `endpoint.secret_elsewhere`.
  virtual Task<Result<std::string>> rotate_endpoint_secret(std::string name, Millis overlap) = 0;
  /// Endpoints that other parts of the program keep here (see is_internal_endpoint); `endpoints` does not list them.
  virtual std::vector<Endpoint> internal_endpoints(std::string_view prefix) const = 0;
  virtual std::optional<Endpoint> find_endpoint(const std::string& name) const = 0;

  /// Newest first.
  virtual Task<Result<std::vector<DeliveryRecord>>> deliveries(std::string target_or_trigger, std::size_t limit) = 0;
  virtual Task<Result<DeliveryRecord>> delivery(std::string id) = 0;
  /// The same event to the same target again, as a new delivery.
  virtual Task<Result<Accepted>> redeliver(std::string id) = 0;
};

std::unique_ptr<TriggerService> make_trigger_service(TriggerDependencies dependencies);

}  // namespace mayfly::trigger
