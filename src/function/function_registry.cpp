#include "function/function_registry.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>

#include "base/log.h"
#include "function/code_library.h"
#include "function/function_records.h"
#include "function/function_rules.h"
#include "function/uuid.h"

namespace mayfly::function {
namespace {

constexpr std::size_t kPage = 500;
constexpr int kTriesMax = 20;
constexpr std::size_t kRowBytesMax = 1'000'000;

std::optional<std::int64_t> version_number(std::string_view text) {
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

using SharedRevision = std::shared_ptr<const StoredRevision>;

struct Entry {
  StoredFunction stored;
  Version version = 0;  ///< of its row; 0: not written yet
  std::map<std::int64_t, SharedRevision> revisions;

  bool alive() const { return version != 0 && !stored.deleted; }
  const StoredRevision& latest() const { return *revisions.at(stored.record.latest); }
};

/// What one write does to a function.
struct Change {
  StoredFunction function;
  std::optional<StoredRevision> revision;  ///< a new one
};
/// Nothing: there is nothing to write. Called again when another write came between.
using Edit = std::function<Result<std::optional<Change>>(const Entry& entry)>;

Error revision_mismatch() {
  return {"function.revision_mismatch",
          "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest "
          "Revision Id",
          Retry::Never};
}

Result<void> check_current(const Entry& entry, const std::string& name, const std::string& if_revision) {
  if (!entry.alive()) return fail(function_not_found(name));
  if (!if_revision.empty() && entry.latest().revision.revision_id != if_revision) return fail(revision_mismatch());
  return {};
}

/// A change whose new revision becomes $LATEST.
Change with_latest(const Entry& entry, StoredRevision revision) {
  Change out{entry.stored, std::move(revision)};
  out.revision->revision.number = ++out.function.revisions;
  out.function.record.latest = out.function.revisions;
  return out;
}

bool names_version(const Alias& alias, const std::string& version) {
  return alias.version == version || alias.additional_weights.contains(version);
}

}  // namespace

struct FunctionRegistry::Impl {
  explicit Impl(Dependencies dependencies) : deps(std::move(dependencies)), code(*deps.blobs, deps.directory + "/code") {
    // The working directory may change, and sandboxes want whole paths.
    deps.directory = std::filesystem::absolute(deps.directory).string();
  }

  const Entry* find(std::string_view name) const {
    const auto found = entries.find(name);
    return found != entries.end() && found->second.alive() ? &found->second : nullptr;
  }
  Task<Result<void>> read_rows(std::vector<Record>* revisions);
  Result<void> read_revisions(const std::vector<Record>& rows);
  Task<> restore_code();
  Task<Result<void>> write(std::string name, Edit edit);
  void apply(const std::string& name, Change change, Version version);
  StoredRevision stamped(FunctionConfig config, const CodeLibrary::Kept& kept) const;
  Result<ResolvedFunction> at(const std::string& name, std::int64_t revision, std::string version) const;
  Result<std::optional<Change>> published(const Entry& entry, const std::string& description, std::int64_t* version) const;

  Dependencies deps;
  CodeLibrary code;
  std::optional<SecretBox> box;
  std::map<std::string, Entry, std::less<>> entries;
  std::map<std::string, FunctionRef, std::less<>> urls;  ///< by id
};

FunctionRegistry::FunctionRegistry(Dependencies dependencies) : impl_(std::make_unique<Impl>(std::move(dependencies))) {}
FunctionRegistry::~FunctionRegistry() = default;

Task<Result<void>> FunctionRegistry::Impl::read_rows(std::vector<Record>* revisions) {
  KeyRange range = KeyRange::prefix(kFunctionPrefix);
  for (bool more = true; more;) {
    auto rows = co_await deps.store->scan(range, kPage, Direction::Forward);
    if (!rows) co_return fail(rows.error());
    more = rows->size() == kPage;
    if (more) range.begin = rows->back().key + '\0';
    for (Record& row : *rows) {
      if (row.key.find('/', kFunctionPrefix.size()) != std::string::npos) {
        revisions->push_back(std::move(row));
        continue;
      }
      auto stored = function_from_row(row.value);
      if (!stored) co_return fail(stored.error());
      apply(row.key.substr(kFunctionPrefix.size()), {std::move(*stored), std::nullopt}, row.version);
    }
  }
  co_return Result<void>{};
}

Result<void> FunctionRegistry::Impl::read_revisions(const std::vector<Record>& rows) {
  for (const Record& row : rows) {
    auto stored = revision_from_row(row.value, *box, row.key);
    if (!stored) return fail(stored.error());
    const std::string name = row.key.substr(kFunctionPrefix.size(), row.key.find('/', kFunctionPrefix.size()) - kFunctionPrefix.size());
    stored->revision.code_directory = code.directory_of(stored->blob);
    const std::int64_t number = stored->revision.number;
    entries[name].revisions[number] = std::make_shared<const StoredRevision>(std::move(*stored));
  }
  for (const auto& [name, entry] : entries)
    if (entry.alive() && !entry.revisions.contains(entry.stored.record.latest))
      return fail("store.damaged", "the function " + name + " has lost its code; restore the data directory from a backup");
  return {};
}

Task<> FunctionRegistry::Impl::restore_code() {
  std::set<std::string> blobs;
  for (const auto& [name, entry] : entries)
    for (const auto& [number, stored] : entry.revisions) blobs.insert(stored->blob);
  for (const std::string& blob : blobs)
    if (const auto restored = co_await code.restore(blob); !restored)
      log::error("the code of a function cannot be unpacked; deploy it again", {{"code", blob}, {"error", restored.error().message}});
}

Task<Result<void>> FunctionRegistry::load() {
  impl_->entries.clear();
  impl_->urls.clear();
  std::vector<Record> revisions;
  if (auto read = co_await impl_->read_rows(&revisions); !read) co_return read;
  const bool sealed =
      std::ranges::any_of(revisions, [](const Record& row) { return row.value.find("\"environment\"") != std::string::npos; });
  auto box = SecretBox::open(impl_->deps.directory + "/function.key", sealed ? SecretBox::IfMissing::Fail : SecretBox::IfMissing::Make);
  if (!box) co_return fail(box.error());
  impl_->box = std::move(*box);
  if (auto read = impl_->read_revisions(revisions); !read) co_return read;
  co_await impl_->restore_code();
  co_return Result<void>{};
}

void FunctionRegistry::Impl::apply(const std::string& name, Change change, Version version) {
  Entry& entry = entries[name];
  entry.stored = std::move(change.function);
  entry.version = version;
  if (change.revision) {
    const std::int64_t number = change.revision->revision.number;
    entry.revisions[number] = std::make_shared<const StoredRevision>(std::move(*change.revision));
  }
  std::erase_if(urls, [&](const auto& item) { return item.second.name == name; });
  for (const auto& [qualifier, url] : entry.stored.record.urls) urls[url.id] = {name, qualifier};
}

Task<Result<void>> FunctionRegistry::Impl::write(std::string name, Edit edit) {
  static const Entry kNone;
  for (int tries = 0; tries < kTriesMax; ++tries) {
    const auto found = entries.find(name);
    const Entry& entry = found == entries.end() ? kNone : found->second;
    auto change = edit(entry);
    if (!change) co_return fail(change.error());
    if (!*change) co_return Result<void>{};
    Batch batch;
    const std::string key = function_key(name);
    batch.require.push_back(entry.version == 0 ? Precondition::absent(key) : Precondition::version_equals(key, entry.version));
    batch.puts.push_back({key, to_row((*change)->function)});
    if (batch.puts.back().value.size() > kRowBytesMax)
      co_return fail("function.invalid", "the function " + name + " has too many versions, aliases and settings; delete some");
    if ((*change)->revision) {
      const std::string at = revision_key(name, (*change)->revision->revision.number);
      batch.puts.push_back({at, to_row(*(*change)->revision, *box, at)});
    }
    auto outcome = co_await deps.store->commit(std::move(batch));
    if (!outcome) co_return fail(outcome.error());
    if (!outcome->committed()) {
      co_await yield_now();
      continue;
    }
    apply(name, std::move(**change), outcome->version);
    if (deps.changed) {
      const StoredFunction& now = entries[name].stored;
      deps.changed(name, now.deleted ? 0 : now.record.latest);
    }
    co_return Result<void>{};
  }
  co_return fail("function.conflict",
                 "The operation cannot be performed at this time. An update is in progress for resource: " + function_arn(name),
                 Retry::Safe);
}

StoredRevision FunctionRegistry::Impl::stamped(FunctionConfig config, const CodeLibrary::Kept& kept) const {
  StoredRevision out;
  out.revision.config = std::move(config);
  out.revision.code_sha256 = kept.sha256;
  out.revision.code_bytes = kept.bytes;
  out.revision.code_directory = kept.directory;
  out.revision.revision_id = make_uuid(*deps.random);
  out.revision.modified = deps.clock->now();
  out.blob = kept.blob;
  return out;
}

Result<ResolvedFunction> FunctionRegistry::Impl::at(const std::string& name, std::int64_t revision, std::string version) const {
  const SharedRevision& stored = entries.find(name)->second.revisions.at(revision);
  return ResolvedFunction{std::shared_ptr<const FunctionRevision>(stored, &stored->revision), std::move(version), {}, {}};
}

Task<Result<ResolvedFunction>> FunctionRegistry::create(FunctionConfig config, CodePackage code) {
  if (auto ok = check_config(config); !ok) co_return fail(ok.error());
  const std::string name = config.name;
  const Error exists{"function.exists", "Function already exist: " + name, Retry::Never};
  if (impl_->find(name)) co_return fail(exists);
  if (list().size() >= kFunctionsMax) co_return fail("function.invalid", "there are 10,000 functions already; delete some");
  auto kept = co_await impl_->code.keep(std::move(code));
  if (!kept) co_return fail(kept.error());
  auto written = co_await impl_->write(name, [&](const Entry& entry) -> Result<std::optional<Change>> {
    if (entry.alive()) return fail(exists);
    Change change = with_latest(entry, impl_->stamped(config, *kept));
    const std::int64_t next_version = change.function.record.next_version, latest = change.function.record.latest;
    change.function.record = {};
    change.function.record.name = name;
    change.function.record.latest = latest;
    change.function.record.next_version = next_version;
    change.function.deleted = false;
    return change;
  });
  if (!written) co_return fail(written.error());
  co_return resolve({name, {}});
}

Task<Result<ResolvedFunction>> FunctionRegistry::update_code(std::string name, CodePackage code, std::string if_revision) {
  const Entry* now = impl_->find(name);
  if (!now) co_return fail(function_not_found(name));
  if (auto ok = check_current(*now, name, if_revision); !ok) co_return fail(ok.error());
  auto kept = co_await impl_->code.keep(std::move(code));
  if (!kept) co_return fail(kept.error());
  auto written = co_await impl_->write(name, [&](const Entry& entry) -> Result<std::optional<Change>> {
    if (auto ok = check_current(entry, name, if_revision); !ok) return fail(ok.error());
    return with_latest(entry, impl_->stamped(entry.latest().revision.config, *kept));
  });
  if (!written) co_return fail(written.error());
  co_return resolve({name, {}});
}

Task<Result<ResolvedFunction>> FunctionRegistry::update_config(FunctionConfig config, std::string if_revision) {
  if (auto ok = check_config(config); !ok) co_return fail(ok.error());
  const std::string name = config.name;
  auto written = co_await impl_->write(name, [&](const Entry& entry) -> Result<std::optional<Change>> {
    if (auto ok = check_current(entry, name, if_revision); !ok) return fail(ok.error());
    StoredRevision next = entry.latest();
    next.revision.config = config;
    next.revision.revision_id = make_uuid(*impl_->deps.random);
    next.revision.modified = impl_->deps.clock->now();
    return with_latest(entry, std::move(next));
  });
  if (!written) co_return fail(written.error());
  co_return resolve({name, {}});
}

Task<Result<ResolvedFunction>> FunctionRegistry::deploy(FunctionConfig config, CodePackage code) {
  const std::string name = config.name;
  if (!impl_->find(name)) co_return co_await create(std::move(config), std::move(code));
  if (auto ok = check_config(config); !ok) co_return fail(ok.error());
  auto kept = co_await impl_->code.keep(std::move(code));
  if (!kept) co_return fail(kept.error());
  auto written = co_await impl_->write(name, [&](const Entry& entry) -> Result<std::optional<Change>> {
    if (!entry.alive()) return fail(function_not_found(name));
    const FunctionRevision& latest = entry.latest().revision;
    if (latest.code_sha256 == kept->sha256 && canonical_text(latest.config) == canonical_text(config)) return std::nullopt;
    return with_latest(entry, impl_->stamped(config, *kept));
  });
  if (!written) co_return fail(written.error());
  co_return resolve({name, {}});
}

Result<std::optional<Change>> FunctionRegistry::Impl::published(const Entry& entry, const std::string& description,
                                                                std::int64_t* version) const {
  const StoredRevision& latest = entry.latest();
  const FunctionRecord& record = entry.stored.record;
  if (!record.versions.empty()) {
    const auto& [newest, revision] = *record.versions.rbegin();
    const StoredRevision& stored = *entry.revisions.at(revision);
    FunctionConfig source = stored.revision.config;
    source.description = stored.source_description;
    if (stored.revision.code_sha256 == latest.revision.code_sha256 && canonical_text(source) == canonical_text(latest.revision.config)) {
      *version = newest;
      return std::nullopt;
    }
  }
  if (record.versions.size() >= kVersionsMax) return fail("function.invalid", "the function has 10,000 versions; delete some");
  Change out{entry.stored, latest};
  StoredRevision& made = *out.revision;
  made.source_description = latest.revision.config.description;
  if (!description.empty()) made.revision.config.description = description;
  made.revision.number = ++out.function.revisions;
  made.revision.revision_id = make_uuid(*deps.random);
  made.revision.modified = deps.clock->now();
  *version = out.function.record.next_version++;
  out.function.record.versions[*version] = made.revision.number;
  return out;
}

Task<Result<ResolvedFunction>> FunctionRegistry::publish(std::string name, std::string description, std::string if_sha256,
                                                         std::string if_revision) {
  if (description.size() > 256 || !is_utf8(description))
    co_return fail("function.invalid", "the description has at most 256 bytes of UTF-8");
  std::int64_t version = 0;
  auto written = co_await impl_->write(name, [&](const Entry& entry) -> Result<std::optional<Change>> {
    if (auto ok = check_current(entry, name, if_revision); !ok) return fail(ok.error());
    const std::string& sha256 = entry.latest().revision.code_sha256;
    if (!if_sha256.empty() && sha256 != if_sha256)
      return fail("function.invalid", "CodeSHA256 (" + if_sha256.substr(0, 64) + ") is different from current CodeSHA256 in $LATEST (" +
                                          sha256 + "). Please try again with the CodeSHA256 in $LATEST.");
    return impl_->published(entry, description, &version);
  });
  if (!written) co_return fail(written.error());
  co_return resolve({name, std::to_string(version)});
}

Task<Result<void>> FunctionRegistry::remove(std::string name, std::string qualifier) {
  co_return co_await impl_->write(name, [&](const Entry& entry) -> Result<std::optional<Change>> {
    if (!entry.alive()) return fail(function_not_found(name, qualifier));
    Change change{entry.stored, std::nullopt};
    FunctionRecord& record = change.function.record;
    if (qualifier.empty()) {
      const std::int64_t next_version = record.next_version;
      record = {};
      record.name = name;
      record.next_version = next_version;
      change.function.deleted = true;
      return change;
    }
    if (qualifier == kLatest) return fail("function.invalid", "$LATEST version cannot be deleted without deleting the function.");
    const auto version = version_number(qualifier);
    if (!version) return fail("function.invalid", "Deletion of aliases is not currently supported.");
    for (const auto& [alias_name, alias] : record.aliases)
      if (names_version(alias, qualifier))
        return fail("function.in_use",
                    "the version " + qualifier + " is named by the alias " + alias_name + "; change or delete that first");
    if (record.versions.erase(*version) == 0) return fail(function_not_found(name, qualifier));
    record.async.erase(qualifier);
    record.concurrency.provisioned.erase(qualifier);
    return change;
  });
}

Task<Result<void>> FunctionRegistry::change(std::string name, std::function<Result<void>(FunctionRecord&)> change) {
  co_return co_await impl_->write(name, [&](const Entry& entry) -> Result<std::optional<Change>> {
    if (!entry.alive()) return fail(function_not_found(name));
    Change out{entry.stored, std::nullopt};
    if (auto changed = change(out.function.record); !changed) return fail(changed.error());
    return out;
  });
}

const FunctionRecord* FunctionRegistry::record(std::string_view name) const {
  const Entry* entry = impl_->find(name);
  return entry ? &entry->stored.record : nullptr;
}

std::vector<const FunctionRecord*> FunctionRegistry::list() const {
  std::vector<const FunctionRecord*> out;
  for (const auto& [name, entry] : impl_->entries)
    if (entry.alive()) out.push_back(&entry.stored.record);
  return out;
}

Result<ResolvedFunction> FunctionRegistry::resolve(const FunctionRef& ref) const {
  const Entry* entry = impl_->find(ref.name);
  if (!entry) return fail(function_not_found(ref.name, ref.qualifier));
  const FunctionRecord& record = entry->stored.record;
  std::string version = ref.qualifier.empty() ? std::string(kLatest) : ref.qualifier;
  if (const auto alias = record.aliases.find(version); alias != record.aliases.end()) {
    version = alias->second.version;
    double drawn = impl_->deps.random->unit();
    for (const auto& [other, weight] : alias->second.additional_weights) {
      if (drawn < weight) version = other;
      drawn -= weight;
    }
  }
  std::int64_t revision = record.latest;
  if (version != kLatest) {
    const auto number = version_number(version);
    const auto found = number ? record.versions.find(*number) : record.versions.end();
    if (found == record.versions.end()) return fail(function_not_found(ref.name, ref.qualifier));
    revision = found->second;
  }
  auto out = impl_->at(ref.name, revision, version);
  out->qualifier = ref.qualifier;
  const auto async = record.async.find(ref.qualifier.empty() ? std::string(kLatest) : ref.qualifier);
  if (async != record.async.end()) out->async = async->second;
  return out;
}

std::shared_ptr<const FunctionRevision> FunctionRegistry::revision(const std::string& name, std::int64_t number) const {
  const auto entry = impl_->entries.find(name);
  if (entry == impl_->entries.end()) return nullptr;
  const auto found = entry->second.revisions.find(number);
  if (found == entry->second.revisions.end()) return nullptr;
  return {found->second, &found->second->revision};
}

const FunctionUrl* FunctionRegistry::url(std::string_view id, FunctionRef* owner) const {
  const auto found = impl_->urls.find(id);
  if (found == impl_->urls.end()) return nullptr;
  *owner = found->second;
  const FunctionRecord* record = this->record(owner->name);
  const auto url = record ? record->urls.find(owner->qualifier) : decltype(record->urls.end()){};
  return record && url != record->urls.end() ? &url->second : nullptr;
}

Task<Result<std::string>> FunctionRegistry::zip(std::string name, std::int64_t number) const {
  const auto entry = impl_->entries.find(name);
  if (entry == impl_->entries.end() || !entry->second.revisions.contains(number)) co_return fail(function_not_found(name));
  co_return co_await impl_->code.zip(entry->second.revisions.at(number)->blob);
}

}  // namespace mayfly::function
