#pragma once

#include "workspace/sharing/sharing.h"

/// How shares, transfers and comments lie in their rows.
namespace mayfly::workspace {

struct ShareRow {
  Share share;
  std::string token_hash;
  std::string password;  ///< as Passwords::hash gives it; empty: none
};
JsonObject to_record(const ShareRow& row);
ShareRow share_from_record(std::string id, const JsonObject& record);

struct TransferRow {
  Transfer transfer;
  std::string token_hash;
  std::string offered_label;
};
JsonObject to_record(const TransferRow& row);
TransferRow transfer_from_record(std::string id, const JsonObject& record);

JsonObject to_record(const Comment& comment);
Comment comment_from_record(std::string id, const JsonObject& record);

std::string_view to_string(ShareKind kind);

}  // namespace mayfly::workspace
