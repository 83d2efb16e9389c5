#include "server/event_host.h"

#include "expression/expression.h"
#include "queue/queue.h"
#include "schedule/schedule.h"
#include "server/states/activities.h"
#include "server/targets.h"
#include "trigger/trigger_service.h"
#include "workflow/workflow_registry.h"

namespace mayfly {
namespace {

constexpr std::string_view kEndpointSecrets = "endpoint";

}  // namespace

struct EventHost::Parts {
  Parts(AppContext& the_context, BlobStore& the_blobs, const function::SecretBox& the_secrets, ProgramMux& the_programs)
      : context(the_context),
        blobs(the_blobs),
        secrets(the_secrets),
        programs(the_programs),
        targets(the_context),
        workflows(*the_context.store, *the_context.clock, *the_context.random, expressions) {}

  void make_queues(engine::Engine& engine);
  void make_schedules(engine::Engine& engine);
  void make_triggers();

  AppContext& context;
  BlobStore& blobs;
  const function::SecretBox& secrets;
  ProgramMux& programs;
  Expressions expressions;
  Targets targets;
  workflow::WorkflowRegistry workflows;
  std::unique_ptr<queue::QueueService> queues;
  std::unique_ptr<schedule::ScheduleService> schedules;
  std::unique_ptr<trigger::TriggerService> triggers;
  bool is_open = false;
};

EventHost::EventHost(AppContext& context, BlobStore& blobs, const function::SecretBox& secrets, ProgramMux& programs)
    : parts_(std::make_unique<Parts>(context, blobs, secrets, programs)) {
  context.expressions = &parts_->expressions;
  context.workflows = &parts_->workflows;
}
EventHost::~EventHost() = default;

void EventHost::Parts::make_queues(engine::Engine& engine) {
  queue::QueueDependencies deps{.executor = context.executor};
  deps.store = context.store;
  deps.blobs = &blobs;
  deps.clock = context.clock;
  deps.random = context.random;
  deps.partitions = engine.partitions();
  deps.lease = [&engine](engine::keys::Partition partition) { return engine.lease(partition); };
  queues = queue::make_queue_service(std::move(deps));
  context.queues = queues.get();
}

void EventHost::Parts::make_schedules(engine::Engine& engine) {
  schedule::ScheduleDependencies deps{.executor = context.executor};
  deps.store = context.store;
  deps.clock = context.clock;
  deps.random = context.random;
  deps.partitions = engine.partitions();
  deps.lease = [&engine](engine::keys::Partition partition) { return engine.lease(partition); };
  deps.fire = [this](schedule::Firing firing) { return triggers->fire(std::move(firing)); };
  schedules = schedule::make_schedule_service(std::move(deps));
  context.schedules = schedules.get();
}

void EventHost::Parts::make_triggers() {
  trigger::TriggerDependencies deps{.executor = context.executor};
  deps.store = context.store;
  deps.clock = context.clock;
  deps.random = context.random;
  deps.http = context.http;
  deps.expressions = &expressions;
  deps.queues = queues.get();
  deps.schedules = schedules.get();
  deps.targets = &targets;
  deps.environment = context.config->environment;
  deps.seal = [this](std::string_view plain) { return secrets.seal(plain, kEndpointSecrets); };
  deps.open_sealed = [this](std::string_view sealed) { return secrets.unseal(sealed, kEndpointSecrets); };
  triggers = trigger::make_trigger_service(std::move(deps));
  context.triggers = triggers.get();
}

Task<Result<void>> EventHost::open(engine::Engine& engine) {
  Parts& parts = *parts_;
  if (auto loaded = co_await parts.workflows.load(); !loaded) co_return loaded;
  parts.make_queues(engine);
  parts.make_schedules(engine);
  parts.make_triggers();
  parts.programs.use(parts.targets);
  parts.programs.add({std::string(workflow::kProgramPrefix), &parts.workflows, nullptr});
  parts.programs.add({std::string(trigger::kDeliveryPrefix), &parts.triggers->programs(), &parts.triggers->programs()});
  if (auto opened = co_await parts.queues->open(); !opened) co_return opened;
  if (auto opened = co_await parts.triggers->open(engine); !opened) co_return opened;
  if (auto opened = co_await parts.schedules->open(); !opened) co_return opened;
  parts.is_open = true;
  co_return Result<void>{};
}

Task<Result<void>> EventHost::message(std::string id, Json message) {
  if (!parts_->is_open) co_return fail("engine.starting", "the server is starting", Retry::Safe);
  if (const JsonObject* object = message.if_object(); object && get_string(*object, "kind") == "activity")
    co_return co_await states::add_activity_task(&parts_->context, std::move(id), *object);
  co_return co_await parts_->triggers->message(std::move(id), std::move(message));
}

Task<> EventHost::stop(Millis grace) {
  if (parts_->schedules) co_await parts_->schedules->stop();
  if (parts_->triggers) co_await parts_->triggers->stop(grace);
}

Task<> EventHost::close() {
  if (parts_->queues) co_await parts_->queues->stop();
}

}  // namespace mayfly
