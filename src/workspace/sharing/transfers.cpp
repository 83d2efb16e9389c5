#include <algorithm>

#include "workspace/bytes/link_token.h"
#include "workspace/sharing/sharing_service.h"

namespace mayfly::workspace {
namespace {

constexpr Millis kLifetimeMax{72LL * 3'600'000};
constexpr Millis kLifetimeMin{60'000};
constexpr std::size_t kOpenMax = 5;
constexpr std::size_t kTransfersMax = 200;
constexpr std::size_t kNoteBytesMax = 2'000;
constexpr int kNamesTried = 1'000;
constexpr std::size_t kNameBytesMax = 63;

Task<Outcome<std::vector<TransferRow>>> read_all(Transaction& rows, std::string prefix) {
  auto found = co_await rows.scan(KeyRange::prefix(prefix), kTransfersMax);
  if (!found) co_return std::unexpected(Refusal(found.error()));
  std::vector<TransferRow> out;
  for (const auto& [key, value] : *found) {
    auto record = parse_json(value);
    if (record && record->is_object()) out.push_back(transfer_from_record(key.substr(prefix.size()), record->get_object()));
  }
  co_return out;
}

bool is_open(const Transfer& transfer, TimePoint now) { return transfer.state == "offered" && now < transfer.expires; }

void tell(Space& space, std::string type, const Transfer& transfer) {
  FileEvent event;
  event.type = std::move(type);
  event.data = {{"transfer", transfer.id}, {"offered_by", transfer.offered_by}, {"keeps", std::string(to_string(transfer.keeps))}};
  if (!transfer.accepted_by.empty()) event.data["accepted_by"] = transfer.accepted_by;
  space.emit(std::move(event));
}

Task<Outcome<Json>> offer_in(Space& space, std::shared_ptr<TransferRow> row) {
  auto all = co_await read_all(space.rows(), space.prefix('t'));
  if (!all) co_return std::unexpected(all.error());
  const auto open = std::ranges::count_if(*all, [&](const TransferRow& other) { return is_open(other.transfer, space.now()); });
  if (static_cast<std::size_t>(open) >= kOpenMax) co_return refuse("ws.quota", "five transfers are open already; cancel one first");
  if (all->size() >= kTransfersMax) co_return refuse("ws.quota", "there are too many transfers; ended ones go after 30 days");
  row->transfer.created = space.now();
  row->transfer.offered_by = space.actor().id;
  row->offered_label = space.actor().label;
  space.rows().put(space.row('t', row->transfer.id), to_text(to_record(*row)));
  tell(space, "transfer.offered", row->transfer);
  co_return Json(nullptr);
}

Task<Outcome<Json>> cancel_in(Space& space, std::shared_ptr<const std::string> id) {
  const std::string key = space.row('t', *id);
  auto record = co_await read_object(space.rows(), key);
  if (!record) co_return std::unexpected(record.error());
  if (!*record) co_return refuse("ws.not_found", "there is no such transfer in this workspace; list them first");
  TransferRow row = transfer_from_record(*id, **record);
  if (row.transfer.state == "cancelled") co_return Json(nullptr);
  if (row.transfer.state != "offered")
    co_return refuse("ws.conflict", "the transfer is " + row.transfer.state + " already and cannot be cancelled");
  row.transfer.state = "cancelled";
  space.rows().put(key, to_text(to_record(row)));
  tell(space, "transfer.cancelled", row.transfer);
  co_return Json(nullptr);
}

struct Acceptance {
  LinkToken token;
  Actor person;
  Workspace workspace;
};

/// The name, or the first of NAME-2, NAME-3, … that is free in the organisation.
std::string free_name(const Spaces& spaces, const Workspace& workspace, const std::string& organisation) {
  Workspace there;
  there.organisation = organisation;
  const Actor looker = system_actor(there);
  std::string name = workspace.name;
  for (int i = 2; i < kNamesTried; ++i) {
    const auto other = spaces.find(looker, name, Role::Viewer);
    if (!other || other->id == workspace.id) break;
    const std::string suffix = "-" + std::to_string(i);
    name = workspace.name.substr(0, kNameBytesMax - suffix.size()) + suffix;
  }
  return name;
}

Workspace handed_over(const Spaces& spaces, const Workspace& before, const Transfer& transfer, const Actor& person, TimePoint now) {
  Workspace out = before;
  const bool moves = person.organisation != before.organisation;
  if (moves) {
    out.name = free_name(spaces, before, person.organisation);
    out.organisation = person.organisation;
    out.members.clear();
  }
  if (const auto offering = before.members.find(transfer.offered_by); offering != before.members.end() || transfer.keeps != Role::None) {
    Member keeper = offering == before.members.end() ? Member{} : offering->second;
    keeper.actor = transfer.offered_by;
    keeper.role = transfer.keeps;
    if (keeper.label.empty()) keeper.label = keeper.actor;
    if (offering == before.members.end()) keeper.added = now;
    if (transfer.keeps == Role::None)
      out.members.erase(transfer.offered_by);
    else
      out.members[transfer.offered_by] = std::move(keeper);
  }
  if (before.owner != transfer.offered_by)
    if (const auto old = out.members.find(before.owner); old != out.members.end())
      old->second.role = std::min(old->second.role, Role::Editor);
  Member owner;
  owner.actor = person.id;
  owner.label = person.label;
  owner.role = Role::Owner;
  owner.added_by = transfer.offered_by;
  owner.added = now;
  out.members[person.id] = std::move(owner);
  out.owner = person.id;
  out.updated = now;
  return out;
}

Task<Outcome<Json>> accept_in(Space& space, Spaces* spaces, Files* files, std::shared_ptr<Acceptance> acceptance) {
  auto all = co_await read_all(space.rows(), space.prefix('t'));
  if (!all) co_return std::unexpected(all.error());
  const auto found = std::ranges::find_if(*all, [&](const TransferRow& row) { return row.transfer.id == acceptance->token.id; });
  if (found == all->end() || !acceptance->token.fits(found->token_hash)) co_return link_invalid();
  // The answer to the first one was lost.
  if (found->transfer.state == "accepted" && found->transfer.accepted_by == acceptance->person.id &&
      space.workspace().owner == acceptance->person.id) {
    acceptance->workspace = space.workspace();
    co_return Json(nullptr);
  }
  if (!is_open(found->transfer, space.now())) co_return link_invalid();
  if (auto broken = co_await files->break_all_in(space, "the workspace was handed over"); !broken)
    co_return std::unexpected(broken.error());
  found->transfer.state = "accepted";
  found->transfer.accepted_by = acceptance->person.id;
  for (TransferRow& row : *all) {
    const bool is_other = row.transfer.id != acceptance->token.id;
    if (is_other && !is_open(row.transfer, space.now())) continue;
    // What the owner before offered is not the new owner's offer.
    if (is_other) row.transfer.state = "cancelled";
    space.rows().put(space.row('t', row.transfer.id), to_text(to_record(row)));
    if (is_other) tell(space, "transfer.cancelled", row.transfer);
  }
  tell(space, "transfer.accepted", found->transfer);
  acceptance->workspace = handed_over(*spaces, space.workspace(), found->transfer, acceptance->person, space.now());
  space.change(acceptance->workspace);
  co_return Json(nullptr);
}

}  // namespace

Task<Outcome<NewTransfer>> SharingService::offer_transfer(Actor actor, std::string workspace, Role keeps, std::string note,
                                                          Millis lifetime) {
  auto found = spaces_.find(actor, workspace, Role::Owner);
  if (!found) co_return std::unexpected(found.error());
  if (note.size() > kNoteBytesMax || !is_utf8(note)) co_return refuse("ws.invalid", "a note is UTF-8 of at most 2000 bytes");
  if (lifetime.count() != 0 && (lifetime < kLifetimeMin || lifetime > kLifetimeMax))
    co_return refuse("ws.invalid", "an offer stands for 1 minute to 72 hours; leave it out for 72 hours");
  const auto row = std::make_shared<TransferRow>();
  row->transfer.id = make_id("tr_");
  row->transfer.state = "offered";
  row->transfer.note = std::move(note);
  row->transfer.keeps = keeps;
  row->transfer.expires = clock_.now() + (lifetime.count() == 0 ? kLifetimeMax : lifetime);
  const LinkToken token = make_link_token(found->id, row->transfer.id);
  row->token_hash = token.hash();
  auto done = co_await spaces_.mutate(std::move(actor), found->id, Role::Owner, [row](Space& space) { return offer_in(space, row); });
  if (!done) co_return std::unexpected(done.error());
  co_return NewTransfer{row->transfer, token.text};
}

Task<Outcome<std::vector<Transfer>>> SharingService::transfers(Actor actor, std::string workspace) {
  auto found = spaces_.find(actor, workspace, Role::Owner);
  if (!found) co_return std::unexpected(found.error());
  const auto rows = spaces_.read();
  auto all = co_await read_all(*rows, keys::prefix(spaces_.partition_of(found->id), found->id, 't'));
  if (!all) co_return std::unexpected(all.error());
  std::vector<Transfer> out;
  for (TransferRow& row : *all) {
    if (row.transfer.state == "offered" && !is_open(row.transfer, clock_.now())) row.transfer.state = "expired";
    out.push_back(std::move(row.transfer));
  }
  co_return out;
}

Task<Outcome<void>> SharingService::cancel_transfer(Actor actor, std::string workspace, std::string transfer) {
  const auto id = std::make_shared<const std::string>(std::move(transfer));
  auto done =
      co_await spaces_.mutate(std::move(actor), std::move(workspace), Role::Owner, [id](Space& space) { return cancel_in(space, id); });
  if (!done) co_return std::unexpected(done.error());
  co_return Outcome<void>{};
}

Task<Outcome<TransferRow>> SharingService::find_claim(std::string token) {
  const auto parsed = parse_link_token(token);
  if (!parsed || !spaces_.by_id(parsed->workspace)) co_return link_invalid();
  const auto rows = spaces_.read();
  auto record = co_await read_object(*rows, keys::row(spaces_.partition_of(parsed->workspace), parsed->workspace, 't', parsed->id));
  if (!record) co_return std::unexpected(record.error());
  if (!*record) co_return link_invalid();
  TransferRow row = transfer_from_record(parsed->id, **record);
  if (!parsed->fits(row.token_hash)) co_return link_invalid();
  co_return row;
}

Task<Outcome<Sharing::Claim>> SharingService::look_at_claim(std::string token) {
  auto row = co_await find_claim(token);
  if (!row) co_return std::unexpected(row.error());
  const Workspace* workspace = spaces_.by_id(parse_link_token(token)->workspace);
  if (!workspace || !is_open(row->transfer, clock_.now())) co_return link_invalid();
  co_return Claim{row->transfer, *workspace};
}

Task<Outcome<Workspace>> SharingService::accept_transfer(Actor person, std::string token) {
  if (person.kind != ActorKind::Person || person.id.starts_with("link:") || person.id.empty())
    co_return refuse("ws.forbidden", "only a person can accept a transfer; open the link with a key or a login of your own");
  if (person.read_only || person.only_workspace)
    co_return refuse("ws.forbidden", "a read-only or scoped token cannot accept a transfer; use one that can create workspaces");
  auto row = co_await find_claim(token);
  if (!row) co_return std::unexpected(row.error());
  const auto acceptance = std::make_shared<Acceptance>();
  acceptance->token = *parse_link_token(token);
  acceptance->person = person;
  const Workspace* workspace = spaces_.by_id(acceptance->token.workspace);
  if (!workspace) co_return link_invalid();
  // The token is the permission: the person may belong to another organisation. The event names the person.
  Actor claimant = person;
  claimant.organisation = workspace->organisation;
  claimant.administrator = true;
  claimant.only_workspace = workspace->id;
  claimant.role_max = Role::Owner;
  const std::string id = workspace->id;
  auto done = co_await spaces_.mutate(std::move(claimant), id, Role::Viewer,
                                      [this, acceptance](Space& space) { return accept_in(space, &spaces_, &files_, acceptance); });
  if (!done) co_return std::unexpected(done.error());
  co_return acceptance->workspace;
}

}  // namespace mayfly::workspace
