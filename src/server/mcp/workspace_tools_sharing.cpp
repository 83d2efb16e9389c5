#include <fmt/format.h>

#include "server/mcp/workspace_toolkit.h"

namespace mayfly::workspace_tools {
namespace {

using workspace::Outcome;
using workspace::refuse;
using workspace::Role;

std::string_view to_string(workspace::ShareKind kind) {
  return kind == workspace::ShareKind::Download ? "download" : kind == workspace::ShareKind::Upload ? "upload" : "both";
}

JsonObject view(const workspace::Share& share) {
  JsonObject out{{"share_id", share.id}, {"path", share.path}, {"kind", to_string(share.kind)}, {"label", share.label}, {"password", share.has_password}, {"opened", share.opened}, {"revoked", share.revoked}};
  if (share.opens_max > 0) out["opens_max"] = share.opens_max;
  if (share.expires) out["expires_at"] = to_rfc3339(*share.expires);
  return out;
}

Task<Outcome<Shown>> share_create(Call call) {
  workspace::Share wanted;
  const std::string kind = call.text("kind", "download");
  wanted.kind = kind == "upload" ? workspace::ShareKind::Upload : kind == "both" ? workspace::ShareKind::Both : workspace::ShareKind::Download;
  wanted.label = call.text("label");
  wanted.opens_max = call.number("opens_max");
  if (call.has("ttl_s")) wanted.expires = call.app().clock->now() + Millis{std::clamp<std::int64_t>(call.number("ttl_s"), 60, 366LL * 86'400) * 1'000};
  auto made = co_await call.all().sharing->create_share(call.actor(), call.workspace(), call.place(), std::move(wanted), call.text("password"));
  if (!made) co_return std::unexpected(made.error());
  JsonObject out = view(made->share);
  out["url"] = call.url("/s/" + made->token);
  co_return Shown{fmt::format("Link ({}), shown once: {}", to_string(made->share.kind), call.url("/s/" + made->token)), std::move(out)};
}
Task<Outcome<Shown>> share_list(Call call) {
  auto shares = co_await call.all().sharing->shares(call.actor(), call.workspace());
  if (!shares) co_return std::unexpected(shares.error());
  JsonArray list;
  std::string text;
  for (const auto& share : *shares) {
    text += fmt::format("- {} `{}` {}{}\n", share.id, share.path, to_string(share.kind), share.revoked ? ", revoked" : "");
    list.push_back(view(share));
  }
  co_return Shown{text.empty() ? "No links." : std::move(text), {{"shares", std::move(list)}}};
}
Task<Outcome<Shown>> share_revoke(Call call) {
  auto done = co_await call.all().sharing->revoke_share(call.actor(), call.workspace(), call.text("share_id"));
  if (!done) co_return std::unexpected(done.error());
  co_return Shown{"Revoked.", {{"revoked", call.text("share_id")}}};
}

JsonObject view(const workspace::Transfer& transfer) {
  return {{"transfer_id", transfer.id}, {"state", transfer.state}, {"offered_by", transfer.offered_by}, {"accepted_by", transfer.accepted_by}, {"keeps", to_string(transfer.keeps)}, {"expires_at", to_rfc3339(transfer.expires)}};
}
Task<Outcome<Shown>> transfer_create(Call call) {
  const auto keeps = workspace::role_from_string(call.text("keeps", "editor"));
  if (!keeps) co_return refuse("ws.invalid", "keeps is none, viewer, commenter, editor or owner");
  auto made = co_await call.all().sharing->offer_transfer(call.actor(), call.workspace(), *keeps, call.text("note"), Millis{call.number("ttl_h", 72) * 3'600'000});
  if (!made) co_return std::unexpected(made.error());
  JsonObject out = view(made->transfer);
  out["url"] = call.url("/claim/" + made->token);
  co_return Shown{fmt::format("Give this link to the person who is to own the workspace (until {}, shown once): {}", to_rfc3339(made->transfer.expires), call.url("/claim/" + made->token)), std::move(out)};
}
Task<Outcome<Shown>> transfer_list(Call call) {
  auto transfers = co_await call.all().sharing->transfers(call.actor(), call.workspace());
  if (!transfers) co_return std::unexpected(transfers.error());
  JsonArray list;
  std::string text;
  for (const auto& transfer : *transfers) {
    text += fmt::format("- {} {}\n", transfer.id, transfer.state);
    list.push_back(view(transfer));
  }
  co_return Shown{text.empty() ? "No transfers." : std::move(text), {{"transfers", std::move(list)}}};
}
Task<Outcome<Shown>> transfer_cancel(Call call) {
  auto done = co_await call.all().sharing->cancel_transfer(call.actor(), call.workspace(), call.text("transfer_id"));
  if (!done) co_return std::unexpected(done.error());
  co_return Shown{"Cancelled.", {{"cancelled", call.text("transfer_id")}}};
}
Task<Outcome<Shown>> transfer_accept(Call call) {
  std::string token = call.text("token");
  token = token.substr(token.rfind('/') + 1);
  auto done = co_await call.all().sharing->accept_transfer(call.actor(), token);
  if (!done) co_return std::unexpected(done.error());
  co_return Shown{"You own " + done->name + " now.", workspace_tools::view(*done, call.actor(), *call.all().spaces)};
}

JsonObject view(const workspace::Comment& comment) {
  JsonObject out{{"comment_id", comment.id}, {"path", comment.path}, {"text", comment.text}, {"author", comment.author}, {"resolved", comment.resolved}, {"created_at", to_rfc3339(comment.created)}};
  if (comment.line > 0) out["line"] = comment.line;
  if (!comment.reply_to.empty()) out["reply_to"] = comment.reply_to;
  return out;
}
Task<Outcome<Shown>> comment_list(Call call) {
  auto comments = co_await call.all().sharing->comments(call.actor(), call.workspace(), call.place());
  if (!comments) co_return std::unexpected(comments.error());
  JsonArray list;
  std::string text;
  for (const auto& comment : *comments) {
    text += fmt::format("- {} {}: {}{}\n", comment.id, comment.author_label.empty() ? comment.author : comment.author_label, comment.text, comment.resolved ? " (resolved)" : "");
    list.push_back(view(comment));
  }
  co_return Shown{text.empty() ? "No comments." : std::move(text), {{"comments", std::move(list)}}};
}
Task<Outcome<Shown>> comment_add(Call call) {
  workspace::Comment comment;
  comment.text = call.text("text");
  comment.line = call.number("line");
  comment.reply_to = call.text("reply_to");
  auto made = co_await call.all().sharing->add_comment(call.actor(), call.workspace(), call.place(), std::move(comment));
  if (!made) co_return std::unexpected(made.error());
  co_return Shown{"Comment " + made->id + ".", view(*made)};
}
Task<Outcome<Shown>> comment_update(Call call) {
  auto made = co_await call.all().sharing->change_comment(call.actor(), call.workspace(), call.text("comment_id"), call.text("text"), call.has("resolved") ? std::optional(call.flag("resolved")) : std::nullopt);
  if (!made) co_return std::unexpected(made.error());
  co_return Shown{"Changed.", view(*made)};
}
Task<Outcome<Shown>> comment_delete(Call call) {
  auto done = co_await call.all().sharing->remove_comment(call.actor(), call.workspace(), call.text("comment_id"));
  if (!done) co_return std::unexpected(done.error());
  co_return Shown{"Deleted.", {{"deleted", call.text("comment_id")}}};
}

}  // namespace

std::vector<Tool> sharing_tools() {
  using enum Tool::Hint;
  return {
      {"share_create", "Share by link", "A link for people without a key: download, upload or both.", "sharing", false, Adds, "workspace s; path s; node_id s; kind e(download,upload,both); password s; ttl_s i; opens_max i; label s", share_create},
      {"share_list", "List links", "The links of a workspace.", "sharing", false, Reads, "workspace s", share_list},
      {"share_revoke", "Revoke a link", "Ends a link.", "sharing", false, Destroys, "workspace s; share_id! s", share_revoke},
      {"transfer_create", "Hand over", "Offers the workspace to a person by a claim link. Owners only.", "sharing", true, Adds, "workspace s; keeps e(none,viewer,commenter,editor) What you keep; note s; ttl_h i Default 72", transfer_create},
      {"transfer_list", "List transfers", "Offered and ended transfers.", "sharing", false, Reads, "workspace s", transfer_list},
      {"transfer_cancel", "Cancel a transfer", "Takes an offer back.", "sharing", false, Changes, "workspace s; transfer_id! s", transfer_cancel},
      {"transfer_accept", "Accept a transfer", "Makes you, a person, the owner.", "sharing", false, Changes, "token! s Or the claim link", transfer_accept},
      {"comment_list", "List comments", "What was said of a file.", "comments", true, Reads, "workspace s; path s; node_id s", comment_list},
      {"comment_add", "Comment", "Says something of a file, or of a line.", "comments", true, Adds, "workspace s; path s; node_id s; text! s; line i; reply_to s", comment_add},
      {"comment_update", "Change a comment", "Changes its text, or resolves it.", "comments", true, Changes, "workspace s; comment_id! s; text s; resolved b", comment_update},
      {"comment_delete", "Delete a comment", "Removes a comment.", "comments", true, Destroys, "workspace s; comment_id! s", comment_delete},
  };
}

}  // namespace mayfly::workspace_tools
