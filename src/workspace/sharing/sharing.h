#pragma once

#include <memory>

#include "workspace/files/files.h"

namespace mayfly::workspace {

enum class ShareKind { Download, Upload, Both };
struct Share {
  std::string id, node, path;  ///< a file or a folder
  ShareKind kind = ShareKind::Download;
  std::string label, created_by;
  bool has_password = false;
  std::optional<TimePoint> expires;
  std::int64_t opened = 0, opens_max = 0;  ///< 0: any number
  bool revoked = false;
  TimePoint created{};
};
struct NewShare {
  Share share;
  std::string token;  ///< shown once; the link is "/s/TOKEN"
};
struct Transfer {
  std::string id, state;  ///< offered, accepted, cancelled, expired
  std::string offered_by, accepted_by, note;
  Role keeps = Role::Editor;  ///< what the offering owner keeps; None: nothing
  TimePoint created{}, expires{};
};
struct NewTransfer {
  Transfer transfer;
  std::string token;  ///< shown once; the link is "/claim/TOKEN"
};
struct Comment {
  std::string id, node, path, text, author, author_label, reply_to;
  std::int64_t line = 0;  ///< 0: of the whole file
  bool resolved = false;
  TimePoint created{}, updated{};
};

/// Who else may: members, share links, transfers of ownership; and what they say: comments.
class Sharing {
 public:
  virtual ~Sharing() = default;
  virtual Task<Result<void>> open() = 0;  ///< expiries
  virtual Task<> stop() = 0;
  virtual void crash() = 0;

  virtual Task<Outcome<std::vector<Member>>> members(Actor actor, std::string workspace) = 0;
  /// Adds or changes; only owners; never takes the last owner's role away.
  virtual Task<Outcome<Member>> put_member(Actor actor, std::string workspace, Member member) = 0;
  virtual Task<Outcome<void>> remove_member(Actor actor, std::string workspace, std::string member) = 0;

  virtual Task<Outcome<NewShare>> create_share(Actor actor, std::string workspace, Place place, Share wanted, std::string password) = 0;
  virtual Task<Outcome<std::vector<Share>>> shares(Actor actor, std::string workspace) = 0;
  virtual Task<Outcome<void>> revoke_share(Actor actor, std::string workspace, std::string share) = 0;
  struct Opened {
    Actor actor;  ///< "link:ID", for this workspace alone, with the link's role
    std::string workspace;
    Share share;
    Node node;    ///< the root of what is shared: nothing outside it may be reached
  };
  /// Errors: `link.invalid` for all but a right token, `link.password`. Slow on purpose for wrong passwords (scrypt), and bounded in number.
  virtual Task<Outcome<Opened>> open_share(std::string token, std::string password) = 0;

  virtual Task<Outcome<NewTransfer>> offer_transfer(Actor actor, std::string workspace, Role keeps, std::string note, Millis lifetime) = 0;
  virtual Task<Outcome<std::vector<Transfer>>> transfers(Actor actor, std::string workspace) = 0;
  virtual Task<Outcome<void>> cancel_transfer(Actor actor, std::string workspace, std::string transfer) = 0;
  /// What the link offers, for the page that asks. Error: `link.invalid`.
  struct Claim {
    Transfer transfer;
    Workspace workspace;
  };
  virtual Task<Outcome<Claim>> look_at_claim(std::string token) = 0;
  /// The person becomes the owner (also from another organisation: the workspace moves there); all locks are broken. Agents cannot accept.
  virtual Task<Outcome<Workspace>> accept_transfer(Actor person, std::string token) = 0;

  virtual Task<Outcome<std::vector<Comment>>> comments(Actor actor, std::string workspace, Place place) = 0;
  virtual Task<Outcome<Comment>> add_comment(Actor actor, std::string workspace, Place place, Comment comment) = 0;
  virtual Task<Outcome<Comment>> change_comment(Actor actor, std::string workspace, std::string comment, std::string text, std::optional<bool> resolved) = 0;
  virtual Task<Outcome<void>> remove_comment(Actor actor, std::string workspace, std::string comment) = 0;
};

std::unique_ptr<Sharing> make_sharing(Spaces& spaces, Files& files);

}  // namespace mayfly::workspace
