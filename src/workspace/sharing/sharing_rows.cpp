#include "workspace/sharing/sharing_rows.h"

#include <algorithm>

#include "workspace/bytes/link_token.h"

namespace mayfly::workspace {
namespace {

TimePoint time_of(const JsonObject& record, std::string_view key) { return get_time(record, key).value_or(TimePoint{}); }

void put(JsonObject& out, std::string_view key, const std::string& text) {
  if (!text.empty()) out[key] = text;
}

}  // namespace

std::string_view to_string(ShareKind kind) {
  return kind == ShareKind::Download ? "download" : kind == ShareKind::Upload ? "upload" : "both";
}

JsonObject to_record(const ShareRow& row) {
  const Share& share = row.share;
  JsonObject out{{"node", share.node},     {"kind", to_string(share.kind)},        {"created_by", share.created_by},
                 {"opened", share.opened}, {"created", to_unix_ms(share.created)}, {"token_hash", row.token_hash}};
  put(out, "label", share.label);
  put(out, "password", row.password);
  if (share.expires) out["expires"] = to_unix_ms(*share.expires);
  if (share.opens_max > 0) out["opens_max"] = share.opens_max;
  if (share.revoked) out["revoked"] = true;
  return out;
}

ShareRow share_from_record(std::string id, const JsonObject& record) {
  ShareRow out;
  out.share.id = std::move(id);
  out.share.node = get_string(record, "node");
  const std::string kind = get_string(record, "kind");
  out.share.kind = kind == "upload" ? ShareKind::Upload : kind == "both" ? ShareKind::Both : ShareKind::Download;
  out.share.label = get_string(record, "label");
  out.share.created_by = get_string(record, "created_by");
  out.share.expires = get_time(record, "expires");
  out.share.opened = get_int(record, "opened");
  out.share.opens_max = get_int(record, "opens_max");
  out.share.revoked = get_bool(record, "revoked");
  out.share.created = time_of(record, "created");
  out.token_hash = get_string(record, "token_hash");
  out.password = get_string(record, "password");
  out.share.has_password = !out.password.empty();
  return out;
}

JsonObject to_record(const TransferRow& row) {
  const Transfer& transfer = row.transfer;
  JsonObject out{{"state", transfer.state},
                 {"offered_by", transfer.offered_by},
                 {"keeps", to_string(transfer.keeps)},
                 {"created", to_unix_ms(transfer.created)},
                 {"expires", to_unix_ms(transfer.expires)},
                 {"token_hash", row.token_hash}};
  put(out, "accepted_by", transfer.accepted_by);
  put(out, "note", transfer.note);
  put(out, "offered_label", row.offered_label);
  return out;
}

TransferRow transfer_from_record(std::string id, const JsonObject& record) {
  TransferRow out;
  out.transfer.id = std::move(id);
  out.transfer.state = get_string(record, "state");
  out.transfer.offered_by = get_string(record, "offered_by");
  out.transfer.accepted_by = get_string(record, "accepted_by");
  out.transfer.note = get_string(record, "note");
  out.transfer.keeps = role_from_string(get_string(record, "keeps")).value_or(Role::None);
  out.transfer.created = time_of(record, "created");
  out.transfer.expires = time_of(record, "expires");
  out.token_hash = get_string(record, "token_hash");
  out.offered_label = get_string(record, "offered_label");
  return out;
}

JsonObject to_record(const Comment& comment) {
  JsonObject out{{"text", comment.text},
                 {"author", comment.author},
                 {"author_label", comment.author_label},
                 {"created", to_unix_ms(comment.created)},
                 {"updated", to_unix_ms(comment.updated)}};
  put(out, "reply_to", comment.reply_to);
  if (comment.line > 0) out["line"] = comment.line;
  if (comment.resolved) out["resolved"] = true;
  return out;
}

Comment comment_from_record(std::string id, const JsonObject& record) {
  Comment out;
  out.node = id.substr(0, id.find('.'));
  out.id = std::move(id);
  out.text = get_string(record, "text");
  out.author = get_string(record, "author");
  out.author_label = get_string(record, "author_label");
  out.reply_to = get_string(record, "reply_to");
  out.line = get_int(record, "line");
  out.resolved = get_bool(record, "resolved");
  out.created = time_of(record, "created");
  out.updated = time_of(record, "updated");
  return out;
}

}  // namespace mayfly::workspace
