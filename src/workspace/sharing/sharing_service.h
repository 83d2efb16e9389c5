#pragma once

#include <map>
#include <string>
#include <vector>

#include "workspace/sharing/password.h"
#include "workspace/sharing/sharing_rows.h"

namespace mayfly::workspace {

class SharingService final : public Sharing {
 public:
  SharingService(Spaces& spaces, Files& files);
  ~SharingService() override;

  Task<Result<void>> open() override;
  Task<> stop() override;
  void crash() override;

  Task<Outcome<std::vector<Member>>> members(Actor actor, std::string workspace) override;
  Task<Outcome<Member>> put_member(Actor actor, std::string workspace, Member member) override;
  Task<Outcome<void>> remove_member(Actor actor, std::string workspace, std::string member) override;

  Task<Outcome<NewShare>> create_share(Actor actor, std::string workspace, Place place, Share wanted, std::string password) override;
  Task<Outcome<std::vector<Share>>> shares(Actor actor, std::string workspace) override;
  Task<Outcome<void>> revoke_share(Actor actor, std::string workspace, std::string share) override;
  Task<Outcome<Opened>> open_share(std::string token, std::string password) override;

  Task<Outcome<NewTransfer>> offer_transfer(Actor actor, std::string workspace, Role keeps, std::string note, Millis lifetime) override;
  Task<Outcome<std::vector<Transfer>>> transfers(Actor actor, std::string workspace) override;
  Task<Outcome<void>> cancel_transfer(Actor actor, std::string workspace, std::string transfer) override;
  Task<Outcome<Claim>> look_at_claim(std::string token) override;
  Task<Outcome<Workspace>> accept_transfer(Actor person, std::string token) override;

  Task<Outcome<std::vector<Comment>>> comments(Actor actor, std::string workspace, Place place) override;
  Task<Outcome<Comment>> add_comment(Actor actor, std::string workspace, Place place, Comment comment) override;
  Task<Outcome<Comment>> change_comment(Actor actor, std::string workspace, std::string comment, std::string text,
                                        std::optional<bool> resolved) override;
  Task<Outcome<void>> remove_comment(Actor actor, std::string workspace, std::string comment) override;

 private:
  /// Wrong passwords of one share; who has too many waits.
  struct Wrong {
    int count = 0;
    TimePoint since{};
  };
  Task<Outcome<void>> check_password(std::string share, std::string stored, std::string given);
  Task<Outcome<TransferRow>> find_claim(std::string token);
  std::string make_id(std::string_view prefix);

  void arm(Millis delay);
  Task<> expire_all();
  Task<> expire_in(std::string workspace);

  Spaces& spaces_;
  Files& files_;
  Clock& clock_;
  Passwords passwords_;
  TaskGroup tasks_;
  std::unique_ptr<Clock::Timer> timer_;
  std::map<std::string, Wrong> wrong_;
  bool is_open_ = false;
};

}  // namespace mayfly::workspace
