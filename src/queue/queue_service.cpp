#include "queue/queue_service.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/id.h"
#include "base/log.h"

namespace mayfly::queue {
namespace {

constexpr Millis kDeletedRecently{60'000};
constexpr Millis kRetry{1'000};
constexpr std::size_t kQueuesMax = 10'000;
constexpr std::size_t kPage = 1'000;
constexpr std::size_t kDeletesAtOnce = 90;

Error not_found(const std::string& queue) {
  return {"queue.not_found", fmt::format("there is no queue '{}': create it, or correct the name", queue.substr(0, 100)), Retry::Never};
}
Error stopping() { return {"queue.stopping", "the server is stopping or starting: try again in a moment", Retry::Safe}; }

/// What two creations of a queue must have in common.
Json comparable(QueueSpec spec) {
  spec.tags.clear();
  spec.paused = false;
  return to_json(spec);
}

}  // namespace

Task<> Turnstile::enter() {
  if (!std::exchange(taken_, true)) co_return;
  (void)co_await suspend<bool>([this](Resume<bool> resume) { waiting_.push_back(std::move(resume)); });
}

void Turnstile::leave() {
  if (waiting_.empty()) {
    taken_ = false;
    return;
  }
  auto next = std::move(waiting_.front());
  waiting_.pop_front();
  next(true);
}

QueueServiceImpl::QueueServiceImpl(QueueDependencies dependencies, Plant plant)
    : deps_(std::move(dependencies)), plant_(plant), group_(deps_.executor) {}

std::string QueueServiceImpl::meta_text(const MetaRow& row) {
  JsonObject out{{"id", row.id}};
  if (row.info) {
    out["spec"] = to_json(row.info->spec);
    out["created"] = to_unix_ms(row.info->created);
    out["modified"] = to_unix_ms(row.info->modified);
  } else {
    out["removed"] = to_unix_ms(row.removed);
  }
  if (!row.garbage.empty()) {
    JsonArray garbage;
    for (const std::string& id : row.garbage) garbage.emplace_back(id);
    out["garbage"] = std::move(garbage);
  }
  return to_text(out);
}

Result<QueueServiceImpl::MetaRow> QueueServiceImpl::meta_from_row(const Record& record) {
  const std::string name = record.key.substr(keys::kMetaPrefix.size());
  auto value = parse_json(record.value);
  if (!value || !value->is_object())
    return fail("store.damaged", fmt::format("the record of queue '{}' cannot be read: restore the data directory from a backup", name));
  const JsonObject& object = value->get_object();
  MetaRow out;
  out.version = record.version;
  out.id = get_string(object, "id");
  out.removed = from_unix_ms(get_int(object, "removed"));
  if (const JsonArray* garbage = get_array(object, "garbage"))
    for (const Json& id : *garbage)
      if (id.is_string()) out.garbage.emplace_back(id.get_string().c_str());
  const Json* spec = mayfly::get(object, "spec");
  if (!spec) return out;
  auto parsed = queue_spec_from_json(name, *spec);
  if (!parsed) return std::unexpected(parsed.error());
  out.info = QueueInfo{std::move(*parsed), from_unix_ms(get_int(object, "created")), from_unix_ms(get_int(object, "modified"))};
  return out;
}

QueueServiceImpl::ActorPtr QueueServiceImpl::make_actor(const MetaRow& row) {
  const auto partition = keys::partition_of_queue(row.info->spec.name, deps_.partitions);
  return std::make_shared<QueueActor>(ActorDependencies{deps_, this, &cached_bytes_, plant_}, keys::QueueKeys(partition, row.id), *row.info);
}

Task<Result<void>> QueueServiceImpl::open() {
  if (open_) co_return Result<void>();
  actors_.clear();
  meta_.clear();
  KeyRange range = KeyRange::prefix(keys::kMetaPrefix);
  for (bool more = true; more;) {
    auto rows = co_await deps_.store->scan(range, kPage, Direction::Forward);
    if (!rows) co_return std::unexpected(rows.error());
    for (const Record& record : *rows) {
      const std::string name = record.key.substr(keys::kMetaPrefix.size());
      auto row = meta_from_row(record);
      if (!row) co_return std::unexpected(row.error());
      if (row->info) actors_.emplace(name, make_actor(*row));
      meta_.insert_or_assign(name, std::move(*row));
    }
    more = rows->size() == kPage;
    if (more) range.begin = rows->back().key + '\0';
  }
  open_ = true;
  // Each reads its rows in its own time; what is asked meanwhile waits.
  for (const auto& [name, actor] : actors_) actor->kick();
  for (const auto& [name, row] : meta_)
    if (!row.garbage.empty() || !row.info) group_.spawn(clear_away(name));
  co_return Result<void>();
}

Task<> QueueServiceImpl::stop() {
  open_ = false;
  stopping_.cancel();
  for (const auto& [name, actor] : actors_) actor->refuse(stopping());
  for (const auto& [name, actor] : actors_) co_await actor->join();
  for (const auto& actor : removed_) co_await actor->join();
  co_await group_.join();
}

void QueueServiceImpl::crash() {
  open_ = false;
  for (const auto& [name, actor] : actors_) actor->crash();
  for (const auto& actor : removed_) actor->crash();
  group_.abandon();
}

Result<QueueServiceImpl::ActorPtr> QueueServiceImpl::find(const std::string& queue) const {
  if (!open_) return fail(stopping());
  const auto found = actors_.find(queue);
  if (found == actors_.end()) return fail(not_found(queue));
  return found->second;
}

Result<void> QueueServiceImpl::check_dead_letters(const QueueSpec& spec) const {
  const auto target = actors_.find(spec.dead_letter_queue);
  if (spec.dead_letter_queue.empty() || target == actors_.end()) return {};
  const std::string& text = target->second->info().spec.redrive_allow_policy;
  const auto policy = text.empty() ? Result<Json>(Json(nullptr)) : parse_json(text);
  if (!policy || !policy->is_object()) return {};
  const std::string permission = get_string(policy->get_object(), "redrivePermission", "allowAll");
  bool allowed = permission == "allowAll";
  if (const JsonArray* sources = permission == "byQueue" ? get_array(policy->get_object(), "sourceQueueArns") : nullptr)
    for (const Json& arn : *sources)
      allowed = allowed || (arn.is_string() && (":" + std::string(arn.get_string().c_str())).ends_with(":" + spec.name));
  if (allowed) return {};
  return fail("queue.invalid", fmt::format("/dead_letter/queue: '{}' does not allow this queue: change its redrive_allow_policy first",
                                           spec.dead_letter_queue));
}

Task<Result<void>> QueueServiceImpl::write_meta(std::string name, MetaRow row) {
  Batch batch;
  const std::string key = keys::meta(name);
  batch.require.push_back(row.version ? Precondition::version_equals(key, row.version) : Precondition::absent(key));
  if (!row.info && row.id.empty() && row.garbage.empty())
    batch.deletes.push_back(key);
  else
    batch.puts.push_back({key, meta_text(row)});
  const bool gone = batch.puts.empty();
  auto outcome = co_await deps_.store->commit(std::move(batch));
  if (outcome && outcome->committed()) {
    row.version = outcome->version;
    if (gone)
      meta_.erase(name);
    else
      meta_.insert_or_assign(name, std::move(row));
    co_return Result<void>();
  }
  // It may be there all the same, or somebody else was first: see what counts.
  auto current = co_await deps_.store->get(key);
  if (current) {
    if (*current) {
      auto read = meta_from_row(**current);
      if (read) meta_.insert_or_assign(name, std::move(*read));
    } else {
      meta_.erase(name);
    }
  }
  if (!outcome) co_return std::unexpected(outcome.error());
  co_return fail("queue.busy", fmt::format("queue '{}' was changed at the same moment: try again", name), Retry::Safe);
}

Task<Result<QueueInfo>> QueueServiceImpl::write_spec(QueueSpec spec, bool may_change) {
  if (auto ok = check(spec); !ok) co_return std::unexpected(ok.error());
  if (!open_) co_return fail(stopping());
  const std::string name = spec.name;
  const TimePoint now = deps_.clock->now();
  const auto known = meta_.find(name);
  MetaRow row = known == meta_.end() ? MetaRow{} : known->second;
  if (row.info) {
    const QueueSpec& old = row.info->spec;
    if (!may_change) {
      if (comparable(old) == comparable(spec)) co_return *row.info;
      co_return fail("queue.exists", fmt::format("queue '{}' exists with other attributes: use these, or change the queue", name));
    }
    if (old.kind != spec.kind) co_return fail("queue.invalid", "/fifo: the kind of a queue cannot change: create another one");
    if (to_json(old) == to_json(spec)) co_return *row.info;
  } else if (!may_change && row.version && now < row.removed + kDeletedRecently) {
    co_return fail("queue.deleted_recently", fmt::format("queue '{}' was deleted less than 60 seconds ago: wait, then create it", name),
                   Retry::Safe);
  } else if (actors_.size() >= kQueuesMax) {
    co_return fail("queue.limit", fmt::format("there are {} queues, as many as there may be: delete some first", kQueuesMax));
  }
  if (auto ok = check_dead_letters(spec); !ok) co_return std::unexpected(ok.error());
  const bool fresh = !row.info;
  if (fresh) row.id = name + "." + to_hex16(deps_.random->next()).substr(8);
  row.info = QueueInfo{std::move(spec), fresh ? now : row.info->created, now};
  const std::string id = row.id;
  auto written = co_await write_meta(name, row);
  const auto after = meta_.find(name);
  const bool there = after != meta_.end() && after->second.info && after->second.id == id;
  if (there) {
    const auto actor = actors_.find(name);
    if (actor != actors_.end()) {
      actor->second->change(*after->second.info);
    } else {
      actors_.emplace(name, make_actor(after->second)).first->second->kick();
    }
  }
  if (!written) co_return std::unexpected(written.error());
  co_return *row.info;
}

Task<Result<QueueInfo>> QueueServiceImpl::create(QueueSpec spec) {
  co_await turnstile_.enter();
  auto out = co_await write_spec(std::move(spec), false);
  turnstile_.leave();
  co_return out;
}

Task<Result<QueueInfo>> QueueServiceImpl::put(QueueSpec spec) {
  co_await turnstile_.enter();
  auto out = co_await write_spec(std::move(spec), true);
  turnstile_.leave();
  co_return out;
}

Task<Result<void>> QueueServiceImpl::remove_now(std::string queue) {
  auto actor = find(queue);
  if (!actor) co_return std::unexpected(actor.error());
  MetaRow row = meta_.at(queue);
  row.info.reset();
  row.removed = deps_.clock->now();
  row.garbage.push_back(row.id);
  auto written = co_await write_meta(queue, row);
  const auto after = meta_.find(queue);
  if (after != meta_.end() && after->second.info) co_return written;
  (*actor)->refuse(not_found(queue));
  removed_.push_back(*actor);
  actors_.erase(queue);
  group_.spawn(clear_away(queue));
  co_return written;
}

Task<Result<void>> QueueServiceImpl::remove(std::string queue) {
  co_await turnstile_.enter();
  auto out = co_await remove_now(std::move(queue));
  turnstile_.leave();
  co_return out;
}

/// Deletes the rows of queues that are gone, then what remembers them.
Task<> QueueServiceImpl::clear_away(std::string name) {
  const CancelToken cancel = stopping_.token();
  const auto partition = keys::partition_of_queue(name, deps_.partitions);
  while (!cancel.cancelled()) {
    const auto row = meta_.find(name);
    if (row == meta_.end() || row->second.garbage.empty()) break;
    const std::string id = row->second.garbage.front();
    for (const auto& actor : removed_)
      if (actor->id() == id) co_await actor->join();
    std::erase_if(removed_, [&](const ActorPtr& actor) { return actor->id() == id; });
    auto rows = co_await deps_.store->scan(KeyRange::prefix(keys::QueueKeys(partition, id).prefix()), kDeletesAtOnce, Direction::Forward);
    bool done = rows.has_value();
    if (done && rows->empty()) {
      co_await turnstile_.enter();
      MetaRow rest = meta_.at(name);
      std::erase(rest.garbage, id);
      done = static_cast<bool>(co_await write_meta(name, std::move(rest)));
      turnstile_.leave();
    } else if (done) {
      Batch batch;
      batch.require.push_back(deps_.lease(partition));
      for (Record& record : *rows) batch.deletes.push_back(std::move(record.key));
      const auto outcome = co_await deps_.store->commit(std::move(batch));
      done = outcome && outcome->committed();
    }
    if (!done && !co_await sleep_for(*deps_.clock, kRetry, cancel)) co_return;
  }
  const auto row = meta_.find(name);
  if (row == meta_.end() || row->second.info) co_return;
  const Millis left = row->second.removed + kDeletedRecently - deps_.clock->now();
  if (left > Millis{0} && !co_await sleep_for(*deps_.clock, left, cancel)) co_return;
  co_await turnstile_.enter();
  const auto last = meta_.find(name);
  if (last != meta_.end() && !last->second.info && last->second.garbage.empty()) {
    MetaRow nothing;
    nothing.version = last->second.version;
    if (auto ok = co_await write_meta(name, std::move(nothing)); !ok)
      log::debug("what remembers a deleted queue stays until the next start", {{"queue", name}, {"error", ok.error().message}});
  }
  turnstile_.leave();
}

Result<QueueInfo> QueueServiceImpl::info(const std::string& queue) const {
  auto actor = find(queue);
  if (!actor) return std::unexpected(actor.error());
  return (*actor)->info();
}

std::vector<QueueInfo> QueueServiceImpl::list(const std::string& prefix) const {
  std::vector<QueueInfo> out;
  for (auto at = actors_.lower_bound(prefix); at != actors_.end() && at->first.starts_with(prefix); ++at) out.push_back(at->second->info());
  return out;
}

std::vector<std::string> QueueServiceImpl::sources_of(const std::string& dead_letter_queue) const {
  std::vector<std::string> out;
  for (const auto& [name, actor] : actors_)
    if (actor->info().spec.dead_letter_queue == dead_letter_queue) out.push_back(name);
  return out;
}

Result<QueueDepth> QueueServiceImpl::depth(const std::string& queue) const {
  auto actor = find(queue);
  if (!actor) return std::unexpected(actor.error());
  return (*actor)->depth();
}

QueueCounters QueueServiceImpl::counters(const std::string& queue) const {
  const auto actor = actors_.find(queue);
  return actor == actors_.end() ? QueueCounters{} : actor->second->counters();
}

std::unique_ptr<QueueService> make_queue_service(QueueDependencies dependencies) {
  return std::make_unique<QueueServiceImpl>(std::move(dependencies), Plant::None);
}

std::unique_ptr<QueueService> make_planted_queue_service(QueueDependencies dependencies, Plant plant) {
  return std::make_unique<QueueServiceImpl>(std::move(dependencies), plant);
}

}  // namespace mayfly::queue
