#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace mayfly::workspace {

/// A write as its caller saw it. Times are ticks of the history: a total order of calls and answers.
struct HistoryWrite {
  int worker = 0;
  std::string content;  ///< unique in the whole history
  std::optional<std::string> if_match;
  bool create_only = false;
  std::optional<std::uint64_t> fence;  ///< of the lock that it was made under
  std::uint64_t called = 0;
  std::optional<std::uint64_t> answered;  ///< none: it may or may not have landed
  bool landed = false;
  std::uint64_t version = 0;
  std::string etag, refusal;
};
struct HistoryRead {
  int worker = 0;
  std::uint64_t called = 0, answered = 0;
  std::uint64_t version = 0;
  std::string content;
};
struct HistoryGrant {
  int worker = 0;
  std::uint64_t fence = 0, asked = 0, answered = 0;
  std::optional<std::uint64_t> over;  ///< released, maybe broken
};
struct HistoryVersion {
  std::uint64_t version = 0;
  std::string etag, content;
};

/// What many saw of some files, and whether one order explains it all: the order of versions that the workspace itself tells. It is linearizable when every
/// acknowledged write is one version, compare-and-swap found what it named right before it, nothing that was refused is there, nobody read what had been
/// overwritten before he asked, and fences never go back.
class History {
 public:
  std::uint64_t tick() { return ++now_; }
  void violate(std::string what) { violations_.push_back(std::move(what)); }
  const std::vector<std::string>& violations() const { return violations_; }

  std::size_t begin(int file, HistoryWrite write) {
    writes_.push_back({file, std::move(write)});
    return writes_.size() - 1;
  }
  void acknowledged(std::size_t index, std::uint64_t version, std::string etag) {
    HistoryWrite& write = writes_[index].second;
    write.answered = tick();
    write.landed = true;
    write.version = version;
    write.etag = std::move(etag);
  }
  void refused(std::size_t index, std::string code) {
    HistoryWrite& write = writes_[index].second;
    write.answered = tick();
    write.refusal = std::move(code);
  }
  void read(int file, HistoryRead read) {
    read.answered = tick();
    reads_.push_back({file, std::move(read)});
  }
  std::size_t granted(int file, HistoryGrant grant) {
    grant.answered = tick();
    grants_.push_back({file, grant});
    return grants_.size() - 1;
  }
  void releasing(std::size_t grant) {
    if (!grants_[grant].second.over) grants_[grant].second.over = tick();
  }
  void breaking(int) { ++breaks_; }
  void crashed() { ++crashes_; }

  void check(int file, std::vector<HistoryVersion> versions) {
    std::ranges::sort(versions, {}, &HistoryVersion::version);
    std::map<std::string, std::size_t> by_content;
    for (std::size_t i = 0; i < versions.size(); ++i) {
      if (!by_content.emplace(versions[i].content, i).second) violate(name(file) + " has the same write twice");
      if (i > 0 && versions[i].version != versions[i - 1].version + 1) violate(name(file) + " has a gap in its versions");
    }
    check_writes(file, versions, by_content);
    check_order(file, by_content);
    check_reads(file, versions, by_content);
    check_fences(file, versions, by_content);
  }

 private:
  using Places = std::map<std::string, std::size_t>;
  static std::string name(int file) { return "file " + std::to_string(file); }

  void check_writes(int file, const std::vector<HistoryVersion>& versions, const Places& places) {
    std::set<std::string> known;
    for (const auto& [of, write] : writes_) {
      if (of != file) continue;
      known.insert(write.content);
      const auto place = places.find(write.content);
      if (write.landed && place == places.end()) {
        violate(name(file) + ": " + write.content + " was acknowledged and is not there");
        continue;
      }
      if (write.answered && !write.landed && place != places.end())
        violate(name(file) + ": " + write.content + " was refused (" + write.refusal + ") and is there");
      if (place == places.end()) continue;
      const HistoryVersion& version = versions[place->second];
      if (write.landed && write.version != 0 && version.version != write.version)
        violate(name(file) + ": " + write.content + " was acknowledged as another version");
      if (write.if_match && (place->second == 0 || versions[place->second - 1].etag != *write.if_match))
        violate(name(file) + ": lost update: " + write.content + " did not see what it overwrote");
      if (write.create_only && place->second != 0) violate(name(file) + ": lost update: " + write.content + " should have been the first");
    }
    for (const HistoryVersion& version : versions)
      if (!known.contains(version.content)) violate(name(file) + " has a version that nobody wrote: " + version.content);
  }

  void check_order(int file, const Places& places) {
    for (const auto& [of, first] : writes_)
      for (const auto& [other, second] : writes_) {
        if (of != file || other != file || !first.landed || !first.answered || *first.answered >= second.called) continue;
        const auto a = places.find(first.content), b = places.find(second.content);
        if (a != places.end() && b != places.end() && a->second > b->second)
          violate(name(file) + ": " + second.content + " began after " + first.content + " was acknowledged and lies before it");
      }
  }

  void check_reads(int file, const std::vector<HistoryVersion>& versions, const Places& places) {
    for (const auto& [of, read] : reads_) {
      if (of != file) continue;
      const auto place = places.find(read.content);
      if (place == places.end() || versions[place->second].version != read.version) {
        violate(name(file) + ": somebody read what no version is: " + read.content);
        continue;
      }
      for (const auto& [other, write] : writes_) {
        const auto at = places.find(write.content);
        if (other != file || at == places.end()) continue;
        if (write.landed && *write.answered < read.called && at->second > place->second)
          violate(name(file) + ": stale read of " + read.content + " after " + write.content + " was acknowledged");
        if (write.called > read.answered && at->second <= place->second) violate(name(file) + ": " + read.content + " was read before it was written");
      }
      for (const auto& [other, later] : reads_) {
        const auto at = places.find(later.content);
        if (other == file && at != places.end() && later.called > read.answered && at->second < place->second)
          violate(name(file) + ": stale read of " + later.content + " after somebody read " + read.content);
      }
    }
  }

  /// Writes of a lock lie before all that a later lock knew; nobody else's lie between the writes of a lock that was never over.
  void check_fences(int file, const std::vector<HistoryVersion>& versions, const Places& places) {
    std::uint64_t highest = 0;
    std::map<std::string, const HistoryWrite*> by_content;
    for (const auto& [of, write] : writes_)
      if (of == file) by_content[write.content] = &write;
    for (const HistoryVersion& version : versions) {
      const auto found = by_content.find(version.content);
      if (found == by_content.end() || !found->second->fence) continue;
      if (*found->second->fence < highest) violate(name(file) + ": fence: " + version.content + " landed under a lock that others had succeeded");
      highest = std::max(highest, *found->second->fence);
    }
    std::set<std::uint64_t> fences;
    for (const auto& [of, grant] : grants_) {
      if (of != file) continue;
      if (!fences.insert(grant.fence).second) violate(name(file) + ": two locks have the fence " + std::to_string(grant.fence));
      for (const auto& [other, write] : writes_) {
        if (other != file || !write.fence || *write.fence >= grant.fence || write.called <= grant.answered) continue;
        if (places.contains(write.content))
          violate(name(file) + ": fence: " + write.content + " began when a later lock was held, and landed");
      }
    }
    // FIFO and grants of later locks: fences grow in the order in which grants were answered after one another.
    for (const auto& [of, first] : grants_)
      for (const auto& [other, second] : grants_)
        if (of == file && other == file && first.answered < second.asked && first.fence > second.fence)
          violate(name(file) + ": fence: a later lock has an earlier fence");
  }

  std::uint64_t now_ = 0;
  int breaks_ = 0, crashes_ = 0;
  std::vector<std::pair<int, HistoryWrite>> writes_;
  std::vector<std::pair<int, HistoryRead>> reads_;
  std::vector<std::pair<int, HistoryGrant>> grants_;
  std::vector<std::string> violations_;
};

}  // namespace mayfly::workspace
