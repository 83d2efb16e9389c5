#pragma once

#include <map>
#include <set>

#include "schedule/due_window.h"
#include "schedule/schedule_row.h"

namespace mayfly::schedule {

/// The service on rows of a Store. Each schedule is worked on by one task at a time, whose commits require the row that it read.
class StoredSchedules final : public ScheduleService {
 public:
  explicit StoredSchedules(ScheduleDependencies dependencies);

  Task<Result<void>> open() override;
  Task<> stop() override;
  void crash() override;
  Task<Result<ScheduleInfo>> put(ScheduleSpec spec) override;
  Task<Result<ScheduleInfo>> get(std::string group, std::string name) override;
  Task<Result<void>> remove(std::string group, std::string name) override;
  Task<Result<std::vector<ScheduleInfo>>> list(ScheduleFilter filter) override;
  std::uint64_t fired() const override { return fired_; }

 private:
  struct Loaded {
    ScheduleRow row;
    Version version = 0;
  };
  enum class Next { Again, Done };
  enum class Look { Once, Again };  ///< Again: it came due, or was put, while it was worked on
  enum class Completed { Stays, MayGo };
  struct Failure {
    std::string message;
    int attempts = 0;
    TimePoint again{};
  };

  Task<Result<std::optional<Loaded>>> load(engine::keys::Partition partition, std::string name);
  Task<Result<CommitOutcome>> commit(engine::keys::Partition partition, std::string name, std::optional<Loaded> before,
                                     std::optional<ScheduleRow> after, Completed completed);
  Task<> work(engine::keys::Partition partition, std::string name);
  Task<Result<Next>> step(engine::keys::Partition partition, std::string name);
  Task<Result<Next>> fire(engine::keys::Partition partition, std::string name, Loaded loaded, ScheduleExpression expression, bool missed);
  Task<Result<void>> load_into(std::vector<ScheduleInfo>& found, engine::keys::Partition partition, ScheduleFilter filter);

  void wake();
  void arm();
  void again_later(const std::string& name, std::string message);
  ScheduleInfo view(const ScheduleRow& row) const;
  std::optional<DueWindow::Due> next_to_work_on(TimePoint now);

  ScheduleDependencies dependencies_;
  DueWindow window_;
  TaskGroup tasks_;
  std::map<std::string, Look> busy_;
  std::map<std::string, Failure> failures_;
  std::set<std::pair<TimePoint, std::string>> retries_;
  std::unique_ptr<Clock::Timer> alarm_;
  TimePoint alarm_at_{};
  TimePoint awake_since_{};  ///< what was to start before was missed
  TimePoint awake_at_{};
  bool stopped_ = true;
  std::uint64_t fired_ = 0;
};

}  // namespace mayfly::schedule
