#include <algorithm>

#include "base/log.h"
#include "workspace/spaces_service.h"

/// The writer of one workspace: rounds of changes, each one commit.
namespace mayfly::workspace {
namespace {

constexpr std::size_t kOperationsMax = 94;  // of the batch's 100; counters, the workspace and the lease come on top
constexpr std::size_t kBytesMax = 3 * 1024 * 1024;
constexpr std::size_t kRequestsMax = 40;
constexpr std::size_t kInboxMax = 10'000;
constexpr std::size_t kClearedAtOnce = 90;
constexpr std::int64_t kQuotaToldEveryMs = 3'600'000;

class RoundSpace final : public Space {
 public:
  RoundSpace(Transaction& rows, Workspace* workspace, bool* workspace_changed, Counters* counters,
             std::vector<FileEvent>* events, SpaceRequest* request, keys::Partition partition, TimePoint now)
      : rows_(rows), workspace_(workspace), workspace_changed_(workspace_changed), counters_(counters), events_(events), request_(request),
        partition_(partition), now_(now) {}

  const Workspace& workspace() const override { return *workspace_; }
  Transaction& rows() override { return rows_; }
  TimePoint now() const override { return now_; }
  const Actor& actor() const override { return request_->actor; }
  keys::Partition partition() const override { return partition_; }
  void change(Workspace workspace) override {
    *workspace_ = std::move(workspace);
    *workspace_changed_ = true;
  }
  const Usage& usage() const override { return counters_->usage; }
  Outcome<void> charge(std::int64_t bytes, std::int64_t files, std::int64_t credits) override {
    Usage& usage = counters_->usage;
    const Quota& quota = workspace_->quota;
    const auto over = [&](std::string_view name, std::int64_t limit, std::int64_t used, std::int64_t asked, std::string remedy) {
      quota_exceeded = std::string(name);
      return refuse("ws.quota", "the workspace's quota of " + std::string(name) + " (" + std::to_string(limit) + ") does not allow this: " + remedy,
                    {{"quota", name}, {"limit", limit}, {"used", used}, {"asked", asked}});
    };
    if (bytes > 0 && usage.bytes + bytes > quota.bytes) return over("bytes", quota.bytes, usage.bytes, bytes, "empty the trash, or ask for more");
    if (files > 0 && usage.files + files > quota.files) return over("files", quota.files, usage.files, files, "empty the trash, or ask for more");
    if (credits > 0 && usage.credits + credits > quota.credits)
      return over("credits", quota.credits, usage.credits, credits, "wait for the next month, or ask for more");
    usage.bytes = std::max<std::int64_t>(0, usage.bytes + bytes);
    usage.files = std::max<std::int64_t>(0, usage.files + files);
    usage.credits += std::max<std::int64_t>(0, credits);
    return {};
  }
  std::uint64_t emit(FileEvent event) override {
    event.number = ++counters_->last_event;
    event.workspace = workspace_->id;
    event.workspace_name = workspace_->name;
    event.organisation = workspace_->organisation;
    if (event.actor.empty()) event.actor = actor().id, event.actor_label = actor().label;
    event.at = now_;
    const std::string text = row_text(event), number = keys::number(event.number);
    rows_.put(row('e', number), text);
    rows_.put(row('o', number), text);
    events_->push_back(std::move(event));
    return counters_->last_event;
  }
  void after_commit(std::function<void()> done) override { request_->after.push_back(std::move(done)); }

  std::string quota_exceeded;

 private:
  Transaction& rows_;
  Workspace* workspace_;
  bool* workspace_changed_;
  Counters* counters_;
  std::vector<FileEvent>* events_;
  SpaceRequest* request_;
  keys::Partition partition_;
  TimePoint now_;
};

}  // namespace

struct SpacesService::Round {
  Round(Store& store, SlotPtr the_slot) : slot(std::move(the_slot)), rows(store), workspace(slot->workspace), counters(*slot->counters) {}
  SlotPtr slot;
  Transaction rows;
  Workspace workspace;
  Counters counters;
  bool workspace_changed = false;
  std::vector<FileEvent> events;
  std::vector<std::unique_ptr<SpaceRequest>> requests;
};

Task<Outcome<Json>> SpacesService::mutate(Actor actor, std::string workspace, Role needed, Change change) {
  if (!open_ || stopping_) co_return refuse("ws.busy", open_ ? "the server is stopping; try again in a moment" : "the server is starting", {}, Retry::Safe);
  if (auto found = find(actor, workspace, needed); !found) co_return std::unexpected(found.error());
  const SlotPtr slot = slot_of(actor, workspace);
  if (slot->inbox.size() >= kInboxMax) co_return refuse("ws.busy", "too many changes wait for this workspace; try again in a moment", {}, Retry::Safe);
  auto request = std::make_unique<SpaceRequest>();
  request->actor = std::move(actor);
  request->needed = needed;
  request->change = std::move(change);
  co_return co_await suspend<Outcome<Json>>([this, slot, request = std::move(request)](Resume<Outcome<Json>> resume) mutable {
    request->resume = std::move(resume);
    slot->inbox.push_back(std::move(request));
    if (!std::exchange(slot->pumping, true)) group_.spawn(pump(slot));
  });
}

Task<> SpacesService::pump(SlotPtr slot) {
  while (!slot->inbox.empty()) {
    if (auto loaded = co_await load(slot); !loaded) {
      for (auto& request : std::exchange(slot->inbox, {})) (*request->resume)(std::unexpected(Refusal(loaded.error())));
      break;
    }
    Round round(*deps_.store, slot);
    const std::string month = to_rfc3339(deps_.clock->now()).substr(0, 7);
    if (round.counters.usage.month != month) round.counters.usage.month = month, round.counters.usage.credits = 0;
    while (!slot->inbox.empty() && round.requests.size() < kRequestsMax) {
      auto request = std::move(slot->inbox.front());
      slot->inbox.pop_front();
      if (!co_await apply(&round, std::move(request))) break;
    }
    auto committed = co_await commit(&round);
    finish(&round, committed);
  }
  slot->pumping = false;
}

/// After a failure memory may be behind or ahead of what is stored.
Task<Result<void>> SpacesService::load(SlotPtr slot) {
  const keys::Partition partition = partition_of(slot->workspace.id);
  if (slot->stale) {
    const std::string key = keys::directory(partition, slot->workspace.id);
    auto row = co_await deps_.store->get(key);
    if (!row) co_return std::unexpected(row.error());
    if (*row) {
      auto workspace = row_as<Workspace>(key, (*row)->value);
      if (!workspace) co_return std::unexpected(workspace.error());
      slot->workspace = std::move(*workspace);
    }
    slot->stale = false;
    slot->counters.reset();
  }
  if (!slot->counters) {
    const std::string key = keys::row(partition, slot->workspace.id, 'c', "");
    auto row = co_await deps_.store->get(key);
    if (!row) co_return std::unexpected(row.error());
    auto counters = *row ? row_as<Counters>(key, (*row)->value) : Result<Counters>(Counters{});
    if (!counters) co_return std::unexpected(counters.error());
    slot->counters = *counters;
  }
  co_return Result<void>{};
}

/// False: the round is full, and the request waits for the next.
Task<bool> SpacesService::apply(Round* round, std::unique_ptr<SpaceRequest> request) {
  const Transaction::Mark mark = round->rows.mark();
  const Workspace workspace = round->workspace;
  const Counters counters = round->counters;
  const bool changed = round->workspace_changed;
  const std::size_t events = round->events.size();
  const auto take_back = [&] {
    round->rows.roll_back(mark);
    round->workspace = workspace;
    round->counters = counters;
    round->workspace_changed = changed;
    round->events.resize(events);
    request->after.clear();
  };
  auto may = allowed(request->actor, workspace, request->needed);
  RoundSpace space(round->rows, &round->workspace, &round->workspace_changed, &round->counters, &round->events, request.get(),
                   partition_of(workspace.id), deps_.clock->now());
  request->answer = may ? co_await request->change(space) : Outcome<Json>(std::unexpected(may.error()));
  if (!request->answer) {
    take_back();
    const std::int64_t now = to_unix_ms(deps_.clock->now());
    if (!space.quota_exceeded.empty() && now - to_unix_ms(round->counters.quota_told) > kQuotaToldEveryMs) {
      round->counters.quota_told = from_unix_ms(now);
      FileEvent event;
      event.type = "quota.exceeded";
      event.data["quota"] = space.quota_exceeded;
      space.emit(std::move(event));
    }
  } else if (round->rows.operations() > kOperationsMax || round->rows.bytes() > kBytesMax) {
    take_back();
    if (!round->requests.empty() && mark > 0) {
      request->answer = Json();
      round->slot->inbox.push_front(std::move(request));
      co_return false;
    }
    request->answer = refuse("ws.too_large", "this changes more at once than one commit holds; do it in smaller pieces");
  }
  round->requests.push_back(std::move(request));
  co_return true;
}

Task<Result<void>> SpacesService::commit(Round* round) {
  if (round->rows.empty() && !round->workspace_changed) co_return Result<void>{};
  const std::string& id = round->workspace.id;
  const keys::Partition partition = partition_of(id);
  round->rows.put(keys::row(partition, id, 'c', ""), row_text(round->counters));
  if (round->workspace_changed) round->rows.put(keys::directory(partition, id), row_text(round->workspace));
  Batch batch = round->rows.batch();
  batch.require.push_back(deps_.lease(partition));
  auto outcome = co_await deps_.store->commit(std::move(batch));
  if (!outcome) co_return std::unexpected(outcome.error());
  if (outcome->committed()) co_return Result<void>{};
  log::error("this server lost its lease to another one; its workspaces stop", {{"workspace", id}});
  co_return fail("engine.fenced", "another server took over: ask it", Retry::OutcomeUnknown);
}

void SpacesService::finish(Round* round, const Result<void>& committed) {
  SpaceSlot& slot = *round->slot;
  if (committed) {
    slot.workspace = std::move(round->workspace);
    slot.counters = round->counters;
    for (const FileEvent& event : round->events)
      for (const auto& listener : listeners_) listener(event);
  } else {
    slot.stale = true;
  }
  for (auto& request : round->requests) {
    if (committed)
      for (const auto& done : request->after) done();
    // A refusal, too, may have been of what was never stored.
    (*request->resume)(committed ? std::move(request->answer) : Outcome<Json>(std::unexpected(Refusal(committed.error()))));
  }
}

Task<Result<void>> SpacesService::open() {
  slots_.clear();
  for (keys::Partition partition = 0; partition < deps_.partitions; ++partition) {
    KeyRange range = KeyRange::prefix(keys::directory_prefix(partition));
    for (;;) {
      auto rows = co_await deps_.store->scan(range, 1'000, Direction::Forward);
      if (!rows) co_return std::unexpected(rows.error());
      for (const Record& row : *rows) {
        auto workspace = row_as<Workspace>(row.key, row.value);
        if (!workspace) co_return std::unexpected(workspace.error());
        auto slot = std::make_shared<SpaceSlot>();
        slot->removed = workspace->owner.empty();
        slot->workspace = std::move(*workspace);
        slots_[slot->workspace.id] = std::move(slot);
      }
      if (rows->size() < 1'000) break;
      range.begin = rows->back().key + '\0';
    }
  }
  open_ = true;
  for (const auto& [id, slot] : slots_)
    if (slot->removed) group_.spawn(clear_away(id));
  co_return Result<void>{};
}

Task<> SpacesService::stop() {
  stopping_ = true;
  stop_.cancel();
  co_await group_.join();
  open_ = false;
}

void SpacesService::crash() {
  stopping_ = true;
  group_.abandon();
}

Task<Outcome<void>> SpacesService::remove(Actor actor, std::string workspace) {
  auto done = co_await mutate(actor, workspace, Role::Viewer, [this](Space& space) -> Task<Outcome<Json>> {
    if (role_of(space.actor(), space.workspace()) < Role::Owner || space.actor().read_only)
      co_return refuse("ws.forbidden", "only an owner removes a workspace");
    if (!space.workspace().archived) co_return refuse("ws.invalid", "archive the workspace first: removing is for good");
    FileEvent event;
    event.type = "workspace.deleted";
    space.emit(std::move(event));
    Workspace gone = space.workspace();
    gone.owner.clear();
    gone.members.clear();
    const std::string id = gone.id;
    space.change(std::move(gone));
    space.after_commit([this, id] {
      slots_.at(id)->removed = true;
      group_.spawn(clear_away(id));
    });
    co_return Json();
  });
  if (!done) co_return std::unexpected(done.error());
  co_return Outcome<void>{};
}

/// Rows of a removed workspace, a batch at a time; its last events leave by the outbox first, its directory row goes last.
Task<> SpacesService::clear_away(std::string id) {
  const keys::Partition partition = partition_of(id);
  const std::string outbox = keys::prefix(partition, id, 'o');
  std::string all = outbox;
  all.resize(all.size() - 2);  // "PPPP/F/WS/"
  int tries = 0;
  for (Millis pause{100}; !stopping_;) {
    if (!co_await sleep_for(*deps_.clock, pause, stop_.token())) co_return;
    pause = std::min(pause * 2, Millis{60'000});
    auto leaving = co_await deps_.store->scan(KeyRange::prefix(outbox), 1, Direction::Forward);
    // Whoever carries events away gets a few minutes for the last ones.
    if (!leaving || (!leaving->empty() && ++tries < 12)) continue;
    auto rows = co_await deps_.store->scan(KeyRange::prefix(all), kClearedAtOnce, Direction::Forward);
    if (!rows) continue;
    Batch batch;
    batch.require.push_back(deps_.lease(partition));
    for (const Record& row : *rows) batch.deletes.push_back(row.key);
    const bool last = rows->empty();
    if (last) batch.deletes.push_back(keys::directory(partition, id));
    auto outcome = co_await deps_.store->commit(std::move(batch));
    if (!outcome || !outcome->committed()) continue;
    if (last) {
      slots_.erase(id);
      co_return;
    }
    pause = Millis{1};
  }
}

}  // namespace mayfly::workspace
