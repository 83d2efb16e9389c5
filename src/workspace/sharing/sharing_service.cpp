#include "workspace/sharing/sharing_service.h"

#include <algorithm>

#include "base/log.h"
#include "workspace/bytes/link_token.h"

namespace mayfly::workspace {
namespace {

constexpr Millis kExpireEvery{60'000};
constexpr Millis kKept{30LL * 86'400'000};
constexpr std::size_t kRowsMax = 1'000;
constexpr std::size_t kStep = 20;

struct Expiry {
  std::vector<std::string> shares, transfers, members;
  bool empty() const { return shares.empty() && transfers.empty() && members.empty(); }
};

void tell(Space& space, std::string type, JsonObject data, std::string node = {}) {
  FileEvent event;
  event.type = std::move(type);
  event.node = std::move(node);
  event.data = std::move(data);
  space.emit(std::move(event));
}

/// Ended ones are kept for a month, as an answer to "where did my link go?".
Task<Outcome<Json>> expire_rows(Space& space, std::shared_ptr<const Expiry> due) {
  const TimePoint now = space.now();
  for (const std::string& id : due->shares) {
    auto record = co_await read_object(space.rows(), space.row('s', id));
    if (!record) co_return std::unexpected(record.error());
    if (!*record) continue;
    ShareRow row = share_from_record(id, **record);
    if (row.share.revoked || !row.share.expires || now < *row.share.expires) {
      space.rows().erase(space.row('s', id));
      continue;
    }
    row.share.revoked = true;
    space.rows().put(space.row('s', id), to_text(to_record(row)));
    tell(space, "share.revoked", {{"share", id}, {"reason", "expired"}}, row.share.node);
  }
  for (const std::string& id : due->transfers) {
    auto record = co_await read_object(space.rows(), space.row('t', id));
    if (!record) co_return std::unexpected(record.error());
    if (!*record) continue;
    TransferRow row = transfer_from_record(id, **record);
    if (row.transfer.state != "offered") {
      space.rows().erase(space.row('t', id));
      continue;
    }
    row.transfer.state = "expired";
    space.rows().put(space.row('t', id), to_text(to_record(row)));
    tell(space, "transfer.expired", {{"transfer", id}, {"offered_by", row.transfer.offered_by}});
  }
  Workspace workspace = space.workspace();
  for (const std::string& id : due->members) {
    const auto found = workspace.members.find(id);
    if (found == workspace.members.end() || !found->second.expires || now < *found->second.expires) continue;
    workspace.members.erase(found);
    tell(space, "member.removed", {{"member", id}, {"reason", "expired"}});
  }
  if (!due->members.empty()) space.change(std::move(workspace));
  co_return Json(nullptr);
}

}  // namespace

std::unique_ptr<Sharing> make_sharing(Spaces& spaces, Files& files) { return std::make_unique<SharingService>(spaces, files); }

SharingService::SharingService(Spaces& spaces, Files& files)
    : spaces_(spaces),
      files_(files),
      clock_(*spaces.dependencies().clock),
      passwords_(spaces.dependencies().executor),
      tasks_(spaces.dependencies().executor) {}
SharingService::~SharingService() = default;

std::string SharingService::make_id(std::string_view prefix) {
  return std::string(prefix) + make_ulid(clock_.now(), *spaces_.dependencies().random);
}

Task<Result<void>> SharingService::open() {
  is_open_ = true;
  arm(Millis{1'000});
  co_return Result<void>{};
}

Task<> SharingService::stop() {
  is_open_ = false;
  timer_.reset();
  co_await tasks_.join();
}

void SharingService::crash() {
  is_open_ = false;
  tasks_.abandon();
}

void SharingService::arm(Millis delay) {
  if (is_open_) timer_ = clock_.call_after(delay, [this] { tasks_.spawn(expire_all()); });
}

Task<> SharingService::expire_all() {
  for (const std::string& id : spaces_.ids()) {
    if (!is_open_) co_return;
    co_await expire_in(id);
  }
  arm(kExpireEvery);
}

Task<> SharingService::expire_in(std::string workspace) {
  const Workspace* found = spaces_.by_id(workspace);
  if (!found) co_return;
  const Actor actor = system_actor(*found);
  const TimePoint now = clock_.now();
  const auto due = std::make_shared<Expiry>();
  for (const auto& [id, member] : found->members)
    if (member.expires && *member.expires <= now && due->members.size() < kStep) due->members.push_back(id);
  const keys::Partition partition = spaces_.partition_of(workspace);
  const auto rows = spaces_.read();
  for (const char kind : {'s', 't'}) {
    const std::string prefix = keys::prefix(partition, workspace, kind);
    auto all = co_await rows->scan(KeyRange::prefix(prefix), kRowsMax);
    if (!all) co_return;
    std::vector<std::string>& to = kind == 's' ? due->shares : due->transfers;
    for (const auto& [key, value] : *all) {
      auto record = parse_json(value);
      if (!record || !record->is_object() || to.size() >= kStep) continue;
      const JsonObject& object = record->get_object();
      const bool ended = kind == 's' ? get_bool(object, "revoked") : get_string(object, "state") != "offered";
      const auto expires = get_time(object, "expires");
      const auto last = std::max(expires.value_or(TimePoint{}), get_time(object, "created").value_or(TimePoint{}));
      if (ended ? last + kKept <= now : expires && *expires <= now) to.push_back(key.substr(prefix.size()));
    }
  }
  if (due->empty()) co_return;
  auto done = co_await spaces_.mutate(actor, workspace, Role::Viewer, [due](Space& space) { return expire_rows(space, due); });
  if (!done && done.error().code != "ws.not_found")
    log::warn("what has expired in a workspace could not be ended; it opens nothing all the same",
              {{"workspace", workspace}, {"error", done.error().message}});
}

}  // namespace mayfly::workspace
