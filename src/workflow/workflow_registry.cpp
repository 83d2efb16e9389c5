#include "workflow/workflow_registry.h"

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "workflow/workflow_records.h"

namespace mayfly::workflow {
namespace {

constexpr std::size_t kPage = 200;
constexpr int kTriesMax = 20;
constexpr std::size_t kRecordBytesMax = 1'000'000;
constexpr std::size_t kCompiledMax = 256;
constexpr Millis kStandardMax{365LL * 24 * 3'600'000};
constexpr Millis kExpressMax{5LL * 60'000};

std::string make_uuid(Random& random) {
  const std::uint64_t high = (random.next() & ~0xf000ull) | 0x4000ull;
  const std::uint64_t low = (random.next() & ~(3ull << 62)) | (2ull << 62);
  std::string out = to_hex16(high) + to_hex16(low);
  for (const std::size_t at : {8, 13, 18, 23}) out.insert(at, "-");
  return out;
}

std::optional<std::int64_t> version_number(std::string_view text) {
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size() || out < 1) return std::nullopt;
  return out;
}

Error invalid_name(std::string_view what) {
  return {"workflow.invalid_name", "the name of " + std::string(what) +
                                       " has 1 to 80 characters, without spaces and none of < > { } [ ] ? * \" # % \\ ^ | ~ ` $ & , ; : /"};
}

using SharedRevision = std::shared_ptr<const WorkflowRevision>;

struct Entry {
  StoredWorkflow stored;
  Version version = 0;  ///< of its row; 0: not written yet
  std::map<std::int64_t, SharedRevision> revisions;

  bool alive() const { return version != 0 && !stored.deleted; }
  const WorkflowRevision& current() const { return *revisions.at(stored.record.current); }
};

struct Change {
  StoredWorkflow workflow;
  SharedRevision revision;  ///< a new one, or null
};
/// Nothing: there is nothing to write. Called again when another write came between.
using Edit = std::function<Result<std::optional<Change>>(const Entry& entry)>;

/// Creating a state machine again with another role changes nothing (CreateStateMachine); updating it does.
bool is_equal(const WorkflowRevision& a, const WorkflowRevision& b, WorkflowRegistry::Deploy mode) {
  const auto text_of = [&](const WorkflowRevision& of) {
    const std::string role = mode == WorkflowRegistry::Deploy::MustBeNew ? std::string() : of.role_arn;
    return to_canonical_text(JsonArray{of.definition, of.type, role, of.description, of.logging, of.tracing});
  };
  return text_of(a) == text_of(b);
}

/// Reads the one form of the definition from the other.
Result<void> complete_definition(WorkflowRevision& revision) {
  if (revision.definition_text.empty()) revision.definition_text = to_pretty_text(revision.definition);
  if (revision.definition_text.size() > kDefinitionBytesMax)
    return fail("workflow.invalid", "/: the definition has " + std::to_string(revision.definition_text.size()) +
                                        " bytes; at most 1,048,576 are accepted: move large values into the input");
  auto parsed = parse_json(revision.definition_text);
  if (!parsed) return fail("workflow.invalid", "/: the definition is not JSON: " + parsed.error().message);
  revision.definition = *std::move(parsed);
  return {};
}

}  // namespace

bool is_valid_name(std::string_view name) {
  constexpr std::string_view kForbidden = " <>{}[]?*\"#%\\^|~`$&,;:/";
  if (name.empty() || !is_utf8(name)) return false;
  std::size_t characters = 0;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto byte = static_cast<unsigned char>(name[i]);
    if (byte < 0x20 || byte == 0x7f || kForbidden.contains(name[i])) return false;
    if (byte == 0xc2 && static_cast<unsigned char>(name[i + 1]) < 0xa0) return false;  // U+0080 to U+009F
    characters += (byte & 0xc0) != 0x80;
  }
  return characters <= kNameCharactersMax;
}

struct WorkflowRegistry::Impl {
  struct Compiled {
    std::shared_ptr<const engine::Program> program;
    std::uint64_t used = 0;
  };

  const Entry* find(const std::string& name) const {
    const auto found = entries.find(name);
    return found != entries.end() && found->second.alive() ? &found->second : nullptr;
  }
  Task<Result<void>> write(std::string name, Edit edit);
  void forget_oldest_program();

  Store& store;
  Clock& clock;
  Random& random;
  Expressions& expressions;
  std::map<std::string, Entry> entries;
  std::map<std::pair<std::string, std::int64_t>, Compiled> compiled;
  std::uint64_t uses = 0;
};

WorkflowRegistry::WorkflowRegistry(Store& store, Clock& clock, Random& random, Expressions& expressions)
    : impl_(new Impl{store, clock, random, expressions, {}, {}, 0}) {}
WorkflowRegistry::~WorkflowRegistry() = default;

Task<Result<void>> WorkflowRegistry::load() {
  impl_->entries.clear();
  KeyRange range = KeyRange::prefix(kWorkflowPrefix);
  std::map<std::string, std::vector<std::string>> revisions;  // by the key of their first row
  for (bool more = true; more;) {
    auto rows = co_await impl_->store.scan(range, kPage, Direction::Forward);
    if (!rows) co_return fail(rows.error());
    more = rows->size() == kPage;
    if (more) range.begin = rows->back().key + '\0';
    for (Record& row : *rows) {
      const auto mark = row.key.find("/r/", kWorkflowPrefix.size());
      if (mark != std::string::npos) {
        revisions[row.key.substr(0, row.key.find('/', mark + 3))].push_back(std::move(row.value));
        continue;
      }
      auto stored = workflow_from_row(row.value);
      if (!stored) co_return fail(stored.error());
      Entry& entry = impl_->entries[stored->record.name];
      entry.stored = *std::move(stored);
      entry.version = row.version;
    }
  }
  for (const auto& [key, values] : revisions) {
    auto revision = revision_from_rows(values);
    if (!revision) co_return fail(revision.error());
    auto& of = impl_->entries[revision->name].revisions[revision->revision];
    of = std::make_shared<const WorkflowRevision>(*std::move(revision));
  }
  for (const auto& [name, entry] : impl_->entries)
    if (entry.alive() && !entry.revisions.contains(entry.stored.record.current))
      co_return fail("store.damaged", "the state machine " + name + " has lost its definition; restore the data directory from a backup");
  co_return Result<void>{};
}

Task<Result<void>> WorkflowRegistry::Impl::write(std::string name, Edit edit) {
  static const Entry kNone;
  for (int tries = 0; tries < kTriesMax; ++tries) {
    const auto found = entries.find(name);
    const Entry& entry = found == entries.end() ? kNone : found->second;
    auto change = edit(entry);
    if (!change) co_return fail(change.error());
    if (!*change) co_return Result<void>{};
    Batch batch;
    const std::string key = workflow_key(name);
    batch.require.push_back(entry.version == 0 ? Precondition::absent(key) : Precondition::version_equals(key, entry.version));
    batch.puts.push_back({key, to_row((*change)->workflow)});
    if (batch.puts.back().value.size() > kRecordBytesMax)
      co_return fail("workflow.limit", "the state machine " + name + " has too many versions, aliases and tags; delete some");
    if ((*change)->revision)
      for (Put& put : to_rows(*(*change)->revision)) batch.puts.push_back(std::move(put));
    auto outcome = co_await store.commit(std::move(batch));
    if (!outcome) co_return fail(outcome.error());
    if (!outcome->committed()) {
      co_await yield_now();
      continue;
    }
    Entry& now = entries[name];
    now.stored = std::move((*change)->workflow);
    now.version = outcome->version;
    if (SharedRevision& revision = (*change)->revision) now.revisions[revision->revision] = std::move(revision);
    co_return Result<void>{};
  }
  co_return fail("workflow.conflict", "the state machine " + name + " is being changed by others; try again", Retry::Safe);
}

Task<Result<WorkflowRevision>> WorkflowRegistry::deploy(WorkflowRevision revision, Deploy mode) {
  if (!is_valid_name(revision.name)) co_return fail(invalid_name("a state machine"));
  if (revision.type != "STANDARD" && revision.type != "EXPRESS")
    co_return fail("workflow.invalid", "/: the type must be STANDARD or EXPRESS");
  if (auto read = complete_definition(revision); !read) co_return fail(read.error());
  if (auto machine = compile(revision.definition, impl_->expressions); !machine) co_return fail(machine.error());
  const std::string name = revision.name;
  SharedRevision result;
  auto written = co_await impl_->write(name, [&](const Entry& entry) -> Result<std::optional<Change>> {
    const bool exists = entry.alive();
    if (!exists && mode == Deploy::MustExist) return fail(not_found(name));
    if (exists && is_equal(entry.current(), revision, mode)) {
      result = entry.revisions.at(entry.stored.record.current);
      return std::nullopt;
    }
    if (exists && mode == Deploy::MustBeNew)
      return fail("workflow.exists", "there is a state machine " + name + " with another definition, role or settings; update that one");
    if (exists && entry.current().type != revision.type)
      return fail("workflow.type_change", "the type of " + name + " is " + entry.current().type +
                                              " and cannot be changed; delete the state machine, or deploy under another name");
    if (!exists && list().size() >= kWorkflowsMax) return fail("workflow.limit", "there are 10,000 state machines already; delete some");
    if (entry.stored.revisions >= kRevisionsMax)
      return fail("workflow.limit", "the state machine " + name + " was changed 10,000 times; deploy it under another name");
    Change out{entry.stored, nullptr};
    const TimePoint now = impl_->clock.now();
    if (!exists) {
      const std::int64_t next_version = entry.stored.record.next_version;
      out.workflow.record = {};
      out.workflow.record.name = name;
      out.workflow.record.next_version = next_version;
      out.workflow.record.created = now;
      out.workflow.deleted = false;
    }
    WorkflowRevision made = revision;
    made.revision = ++out.workflow.revisions;
    made.revision_id = make_uuid(impl_->random);
    made.created = now;
    out.workflow.record.current = made.revision;
    result = std::make_shared<const WorkflowRevision>(std::move(made));
    out.revision = result;
    return out;
  });
  if (!written) co_return fail(written.error());
  co_return *result;
}

Task<Result<std::int64_t>> WorkflowRegistry::publish(std::string name, std::string description, std::string if_revision_id) {
  std::int64_t number = 0;
  auto written = co_await impl_->write(name, [&](const Entry& entry) -> Result<std::optional<Change>> {
    if (!entry.alive()) return fail(not_found(name));
    if (!if_revision_id.empty() && entry.current().revision_id != if_revision_id)
      return fail("workflow.conflict",
                  "the current revision of " + name + " is " + entry.current().revision_id + ", not " + if_revision_id);
    Change out{entry.stored, nullptr};
    WorkflowRecord& record = out.workflow.record;
    if (!record.versions.empty() && record.versions.rbegin()->second.revision == record.current) {
      number = record.versions.rbegin()->first;
      return std::nullopt;
    }
    if (record.versions.size() >= kVersionsMax) return fail("workflow.limit", name + " has 1,000 versions; delete some");
    number = record.next_version++;
    record.versions[number] = {record.current, description, impl_->clock.now()};
    return out;
  });
  if (!written) co_return fail(written.error());
  co_return number;
}

Task<Result<void>> WorkflowRegistry::change(std::string name, std::function<Result<void>(WorkflowRecord&)> change) {
  co_return co_await impl_->write(name, [&](const Entry& entry) -> Result<std::optional<Change>> {
    if (!entry.alive()) return fail(not_found(name));
    Change out{entry.stored, nullptr};
    if (auto changed = change(out.workflow.record); !changed) return fail(changed.error());
    if (to_row(out.workflow) == to_row(entry.stored)) return std::nullopt;
    return out;
  });
}

Task<Result<void>> WorkflowRegistry::remove(std::string name) {
  co_return co_await impl_->write(name, [&](const Entry& entry) -> Result<std::optional<Change>> {
    if (!entry.alive()) return fail(not_found(name));
    Change out{entry.stored, nullptr};
    const std::int64_t next_version = out.workflow.record.next_version;
    out.workflow.record = {};
    out.workflow.record.name = name;
    out.workflow.record.next_version = next_version;
    out.workflow.deleted = true;
    return out;
  });
}

std::vector<WorkflowRecord> WorkflowRegistry::list() const {
  std::vector<WorkflowRecord> out;
  for (const auto& [name, entry] : impl_->entries)
    if (entry.alive()) out.push_back(entry.stored.record);
  return out;
}

std::optional<WorkflowRecord> WorkflowRegistry::record(const std::string& name) const {
  const Entry* entry = impl_->find(name);
  return entry ? std::optional(entry->stored.record) : std::nullopt;
}

SharedRevision WorkflowRegistry::revision(const std::string& name, std::int64_t revision) const {
  const auto entry = impl_->entries.find(name);
  if (entry == impl_->entries.end() || (revision == 0 && !entry->second.alive())) return nullptr;
  const auto found = entry->second.revisions.find(revision == 0 ? entry->second.stored.record.current : revision);
  return found == entry->second.revisions.end() ? nullptr : found->second;
}

Result<ResolvedWorkflow> WorkflowRegistry::resolve(const std::string& name, const std::string& qualifier) const {
  const Entry* entry = impl_->find(name);
  if (!entry) return fail(not_found(name));
  const WorkflowRecord& record = entry->stored.record;
  if (qualifier.empty()) return ResolvedWorkflow{entry->revisions.at(record.current), {}, 0};
  std::int64_t version = version_number(qualifier).value_or(0);
  if (const auto alias = record.aliases.find(qualifier); alias != record.aliases.end()) {
    const bool is_split = alias->second.routing.size() > 1;
    std::int64_t drawn = is_split ? static_cast<std::int64_t>(impl_->random.below(100)) : 0;
    for (const Alias::Route& route : alias->second.routing) {
      version = route.version;
      if (drawn < route.weight) break;
      drawn -= route.weight;
    }
  }
  const auto found = record.versions.find(version);
  const auto revision = found == record.versions.end() ? entry->revisions.end() : entry->revisions.find(found->second.revision);
  if (revision == entry->revisions.end())
    return fail("workflow.not_found",
                "the state machine '" + name + "' has neither a version nor an alias '" + qualifier.substr(0, 80) + "'");
  return ResolvedWorkflow{revision->second, qualifier, version};
}

Error WorkflowRegistry::not_found(const std::string& name) const {
  return {"workflow.not_found", "there is no state machine '" + to_utf8_lossy(name.substr(0, 100)) +
                                    "'; `mayfly workflows list` shows those that there are, `mayfly workflows deploy` makes one"};
}

Result<engine::StartRequest> WorkflowRegistry::start(const ResolvedWorkflow& workflow, std::string execution_name,
                                                     const Json& input) const {
  const WorkflowRevision& revision = *workflow.revision;
  if (!execution_name.empty() && !is_valid_name(execution_name)) return fail(invalid_name("an execution"));
  if (to_text(input).size() > kStateBytesMax)
    return fail("workflow.input_too_large",
                "the input of an execution has at most 262,144 bytes; keep large data elsewhere and pass its name");
  engine::StartRequest out;
  out.program = std::string(kProgramPrefix) + revision.name;
  out.version = revision.revision;
  out.input = execution_input({revision.name, revision.revision, execution_name}, input);
  if (!workflow.qualifier.empty()) {
    out.input.get_object()["qualifier"] = workflow.qualifier;
    out.input.get_object()["published"] = workflow.version;
  }
  out.wall_time_max = revision.type == "EXPRESS" ? kExpressMax : kStandardMax;
  out.idempotency_key = std::move(execution_name);
  out.idempotency_ttl = kNameKept;
  return out;
}

Result<engine::StartRequest> WorkflowRegistry::start(const std::string& name, std::int64_t revision, std::string execution_name,
                                                     const Json& input) const {
  ResolvedWorkflow workflow{this->revision(name, revision), {}, 0};
  if (!workflow.revision) return fail(not_found(name));
  return start(workflow, std::move(execution_name), input);
}

std::shared_ptr<const engine::Program> WorkflowRegistry::find(const std::string& program, std::int64_t version) {
  if (!program.starts_with(kProgramPrefix)) return nullptr;
  const std::string name = program.substr(kProgramPrefix.size());
  const SharedRevision revision = this->revision(name, version);
  if (!revision) return nullptr;
  auto& slot = impl_->compiled[{name, revision->revision}];
  slot.used = ++impl_->uses;
  if (!slot.program) {
    auto machine = compile(revision->definition, impl_->expressions);
    if (!machine) {
      log::error("a state machine that was deployed cannot run any more; deploy it again",
                 {{"workflow", name}, {"revision", revision->revision}, {"error", machine.error().message}});
      impl_->compiled.erase({name, revision->revision});
      return nullptr;
    }
    slot.program = make_workflow_program(*std::move(machine), name, revision->revision, impl_->expressions);
  }
  auto out = slot.program;
  impl_->forget_oldest_program();
  return out;
}

void WorkflowRegistry::Impl::forget_oldest_program() {
  if (compiled.size() <= kCompiledMax) return;
  compiled.erase(std::ranges::min_element(compiled, {}, [](const auto& item) { return item.second.used; }));
}

}  // namespace mayfly::workflow
