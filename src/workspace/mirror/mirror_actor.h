#pragma once

#include <set>

#include "workspace/mirror/host_folder.h"
#include "workspace/mirror/mirror_rows.h"
#include "workspace/mirror/mirror_watch.h"

namespace mayfly::workspace {

/// One mirror. A change on either side leads to a look at both: three trees (here, there, and what was alike before) say what is to be done.
class MirrorActor {
 public:
  MirrorActor(const MirrorDependencies& dependencies, MirrorSpec spec, std::map<std::string, Seen> seen);
  Result<void> open();
  Task<> stop();
  void kick();
  const MirrorStatus& status() const { return status_; }

 private:
  using Node = workspace::Node;
  struct Sides {
    std::map<std::string, HostEntry> here;
    std::map<std::string, Node> there;
  };
  struct Bytes {
    std::string hash;
    std::int64_t size = 0;
    HostEntry entry;
  };

  Task<> run();
  Task<> wait();
  Task<Outcome<void>> pass();
  Task<Outcome<void>> look_there(std::map<std::string, Node>* out);
  bool ignored(const std::string& path) const;
  /// Renames first, so that nodes keep their ids and files are not carried twice.
  Task<> follow_renames(Sides* sides);
  Task<Outcome<void>> settle(std::string path, Sides* sides);
  Task<Outcome<void>> settle_folder(std::string path, Sides* sides);
  Task<Outcome<void>> settle_file(std::string path, HostEntry here, Node there);
  Task<Outcome<void>> settle_gone(std::string path, Sides* sides);
  /// Folders that went, innermost first.
  Task<Outcome<void>> drop_folder(std::string path, Sides* sides);

  Task<Outcome<Bytes>> take_in(std::string path);
  Task<Outcome<void>> upload(std::string path, Bytes bytes, std::optional<std::string> over, std::string note);
  Task<Outcome<HostEntry>> bring(std::string hash, std::string path, std::optional<HostEntry> over);
  Task<Outcome<void>> download(std::string path, Node node, std::optional<HostEntry> over);
  Task<Outcome<void>> conflict(std::string path, Bytes here, Node there);
  void note(const std::string& path, std::optional<Seen> seen);
  Task<Outcome<void>> save();

  bool is_unchanged(const std::string& path, const HostEntry& entry) const;
  std::string place_of(const std::string& path) const;
  const Seen* seen(const std::string& path) const;

  Spaces* spaces_;
  Files* files_;
  Actor actor_;
  MirrorStatus status_;
  std::map<std::string, Seen> seen_;
  std::set<std::string> dirty_;  ///< whose rows are to be written
  std::optional<HostFolder> folder_;
  MirrorWatch watch_;
  TaskGroup tasks_;
  std::optional<Resume<bool>> waiting_;
  std::unique_ptr<Clock::Timer> retry_;
  bool kicked_ = true;
  bool stopping_ = false;
};

}  // namespace mayfly::workspace
