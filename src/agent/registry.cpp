#include "agent/registry.h"

#include <algorithm>

#include "agent/agent_program.h"
#include "base/id.h"

namespace mayfly::agent {
namespace {

constexpr std::string_view kPrefix = "meta/agent/";
constexpr std::size_t kPage = 500;

std::string head_key(const std::string& name) { return std::string(kPrefix) + name; }
std::string version_key(const std::string& name, std::int64_t version) {
  return head_key(name) + "/v/" + to_hex16(static_cast<std::uint64_t>(version)).substr(8);
}

}  // namespace

struct AgentRegistry::Entry {
  std::int64_t current = 0;  ///< 0: removed
  std::map<std::int64_t, std::shared_ptr<const AgentVersion>> versions;
  std::map<std::int64_t, std::shared_ptr<const AgentProgram>> programs;
};

AgentRegistry::AgentRegistry(Store& store, Clock& clock, llm::PriceTable prices)
    : store_(store), clock_(clock), prices_(std::move(prices)) {}
AgentRegistry::~AgentRegistry() = default;

Task<Result<void>> AgentRegistry::load() {
  KeyRange range = KeyRange::prefix(kPrefix);
  for (bool more = true; more;) {
    auto rows = co_await store_.scan(range, kPage, Direction::Forward);
    if (!rows) co_return std::unexpected(rows.error());
    for (const Record& row : *rows) {
      const auto value = parse_json(row.value);
      if (!value || !value->is_object())
        co_return fail("store.damaged", "the record " + row.key + " cannot be read; restore the data directory from a backup");
      const JsonObject& object = value->get_object();
      const std::string rest = row.key.substr(kPrefix.size());
      const std::string name = rest.substr(0, rest.find('/'));
      auto& entry = agents_[name];
      if (!entry) entry = std::make_unique<Entry>();
      if (rest == name) {
        entry->current = get_int(object, "current");
        continue;
      }
      const Json* body = get(object, "spec");
      auto spec = body ? spec_from_json(*body) : Result<AgentSpec>(fail("agent.invalid", "no spec"));
      if (!spec) co_return fail("store.damaged", "version " + row.key + " cannot be read: " + spec.error().message);
      const std::int64_t version = get_int(object, "version");
      entry->versions[version] =
          std::make_shared<const AgentVersion>(AgentVersion{version, std::move(*spec), from_unix_ms(get_int(object, "deployed"))});
    }
    more = rows->size() == kPage;
    if (more) range.begin = rows->back().key + '\0';
  }
  co_return Result<void>{};
}

Task<Result<void>> AgentRegistry::write_head(std::string name, std::int64_t current) {
  Batch batch;
  batch.puts.push_back({head_key(name), to_text(JsonObject{{"name", name}, {"current", current}})});
  auto written = co_await store_.commit(std::move(batch));
  if (!written) co_return std::unexpected(written.error());
  agents_[name]->current = current;
  co_return Result<void>{};
}

Task<Result<AgentVersion>> AgentRegistry::write(AgentSpec spec, bool make_current) {
  if (const auto program = AgentProgram::make(spec, prices_); !program) co_return std::unexpected(program.error());
  const std::string name = spec.name;
  const auto found = agents_.find(name);
  const std::int64_t number = found == agents_.end() || found->second->versions.empty() ? 1 : found->second->versions.rbegin()->first + 1;
  AgentVersion version{number, std::move(spec), clock_.now()};
  Batch batch;
  // Two deploys at once: the second finds the number taken.
  batch.require.push_back(Precondition::absent(version_key(name, number)));
  batch.puts.push_back(
      {version_key(name, number),
       to_text(JsonObject{{"version", number}, {"spec", to_json(version.spec)}, {"deployed", to_unix_ms(version.deployed)}})});
  if (make_current) batch.puts.push_back({head_key(name), to_text(JsonObject{{"name", name}, {"current", number}})});
  auto written = co_await store_.commit(std::move(batch));
  if (!written) co_return std::unexpected(written.error());
  if (!written->committed())
    co_return fail("agent.deploy_conflict", "somebody else deployed '" + name + "' at the same moment; deploy again", Retry::Safe);
  auto& entry = agents_[name];
  if (!entry) entry = std::make_unique<Entry>();
  entry->versions[number] = std::make_shared<const AgentVersion>(version);
  if (make_current) entry->current = number;
  co_return version;
}

Task<Result<AgentVersion>> AgentRegistry::deploy(AgentSpec spec) {
  if (auto now = current(spec.name); now && to_canonical_text(to_json(now->spec)) == to_canonical_text(to_json(spec))) co_return *now;
  co_return co_await write(std::move(spec), true);
}

Task<Result<AgentVersion>> AgentRegistry::add_version(AgentSpec spec) { co_return co_await write(std::move(spec), false); }

Task<Result<AgentVersion>> AgentRegistry::rollback(std::string name, std::optional<std::int64_t> version) {
  const auto now = current(name);
  if (!now) co_return std::unexpected(not_found(name));
  const Entry& entry = *agents_.at(name);
  if (!version) {
    const auto at = entry.versions.find(now->version);
    if (at == entry.versions.begin())
      co_return fail("agent.no_such_version", "'" + name + "' has no version before " + std::to_string(now->version));
    version = std::prev(at)->first;
  }
  const auto wanted = entry.versions.find(*version);
  if (wanted == entry.versions.end())
    co_return fail("agent.no_such_version", "'" + name + "' has no version " + std::to_string(*version) + "; its newest is " +
                                                std::to_string(entry.versions.rbegin()->first));
  AgentVersion out = *wanted->second;
  auto written = co_await write_head(name, out.version);
  if (!written) co_return std::unexpected(written.error());
  co_return out;
}

Task<Result<void>> AgentRegistry::remove(std::string name) {
  if (!current(name)) co_return std::unexpected(not_found(name));
  co_return co_await write_head(name, 0);
}

std::vector<AgentVersion> AgentRegistry::list() const {
  std::vector<AgentVersion> out;
  for (const auto& [name, entry] : agents_)
    if (const auto at = entry->versions.find(entry->current); at != entry->versions.end()) out.push_back(*at->second);
  return out;
}

std::shared_ptr<const AgentVersion> AgentRegistry::current(const std::string& name) const {
  const auto found = agents_.find(name);
  if (found == agents_.end() || found->second->current == 0) return nullptr;
  return version(name, found->second->current);
}

std::shared_ptr<const AgentVersion> AgentRegistry::version(const std::string& name, std::int64_t version) const {
  const auto found = agents_.find(name);
  if (found == agents_.end()) return nullptr;
  const auto at = found->second->versions.find(version);
  return at == found->second->versions.end() ? nullptr : at->second;
}

std::vector<AgentVersion> AgentRegistry::versions(const std::string& name) const {
  std::vector<AgentVersion> out;
  if (const auto found = agents_.find(name); found != agents_.end())
    for (const auto& [number, version] : found->second->versions) out.push_back(*version);
  return out;
}

Error AgentRegistry::not_found(const std::string& name) const {
  std::string names;
  for (const AgentVersion& agent : list()) names += (names.empty() ? "" : ", ") + agent.spec.name;
  return Error{"agent.not_found",
               "there is no agent '" + name + "'; " + (names.empty() ? "none is deployed yet: `mayfly deploy`" : "deployed are: " + names),
               Retry::Never};
}

Result<engine::StartRequest> AgentRegistry::chained(const JsonObject& invoke) {
  if (!invoke.contains("agent")) return engine::ProgramHost::chained(invoke);
  const std::string name = get_string(invoke, "agent");
  const auto found = agents_.find(name);
  if (found == agents_.end()) return std::unexpected(not_found(name));
  engine::StartRequest out;
  out.program = name;
  // Of a removed agent nothing starts (there is no version 0), but a run that was started before is found and can be cancelled.
  out.version = found->second->current;
  out.session_key = get_string(invoke, "session");
  JsonObject input;
  if (const JsonObject* given = get_object(invoke, "input")) input = *given;
  if (const Json* lineage = get(invoke, "lineage")) input["lineage"] = *lineage;
  out.input = std::move(input);
  out.wall_time_max = Millis{get_int(invoke, "wall_time_ms")};
  // Always its own run: one that joined another could be neither answered for nor cancelled alone.
  out.when_busy = engine::BusyPolicy::Queue;
  if (const auto agent = current(name)) {
    const Millis own = agent->spec.limits.wall_time;
    if (own.count() > 0) out.wall_time_max = out.wall_time_max.count() > 0 ? std::min(out.wall_time_max, own) : own;
    out.waiting_max = agent->spec.session.queue_max;
  }
  return out;
}

std::shared_ptr<const engine::Program> AgentRegistry::find(const std::string& name, std::int64_t version) {
  const auto found = agents_.find(name);
  if (found == agents_.end()) return nullptr;
  Entry& entry = *found->second;
  if (const auto made = entry.programs.find(version); made != entry.programs.end()) return made->second;
  const auto at = entry.versions.find(version);
  if (at == entry.versions.end()) return nullptr;
  auto program = AgentProgram::make(at->second->spec, prices_);
  if (!program) return nullptr;
  return entry.programs[version] = std::move(*program);
}

}  // namespace mayfly::agent
