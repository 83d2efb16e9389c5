#include "workspace/mirror/mirror_rows.h"

#include "base/hash.h"

namespace mayfly::workspace::mirror_rows {
namespace {

constexpr std::string_view kPrefix = "meta/mirror/";
constexpr std::size_t kPage = 1'000;

std::unexpected<Error> damaged() {
  return fail("store.damaged", "a mirror's record cannot be read; restore the data directory from a backup");
}

}  // namespace

std::string id_of(const MirrorSpec& spec) { return sha256_hex(spec.workspace + "\n" + spec.directory).substr(0, 24); }
std::string spec_key(const MirrorSpec& spec) { return std::string(kPrefix) + id_of(spec); }
std::string seen_key(const MirrorSpec& spec, const std::string& path) { return spec_key(spec) + "/" + sha256_hex(path).substr(0, 40); }

std::string to_row(const MirrorSpec& spec) {
  JsonArray ignore;
  for (const std::string& glob : spec.ignore) ignore.emplace_back(glob);
  return to_text(JsonObject{{"workspace", spec.workspace}, {"folder", spec.folder}, {"directory", spec.directory}, {"ignore", std::move(ignore)}});
}

std::string to_row(const std::string& path, const Seen& seen) {
  return to_text(JsonObject{{"path", path},       {"folder", seen.is_folder}, {"hash", seen.hash},
                            {"node", seen.node}, {"size", seen.size},        {"changed", seen.changed_ns}});
}

Task<Result<std::vector<Loaded>>> load(Store* store) {
  std::map<std::string, Loaded> out;
  KeyRange range = KeyRange::prefix(kPrefix);
  while (true) {
    auto rows = co_await store->scan(range, kPage, Direction::Forward);
    if (!rows) co_return fail(rows.error());
    for (const Record& row : *rows) {
      const auto value = parse_json(row.value);
      if (!value || !value->is_object()) co_return damaged();
      const JsonObject& in = value->get_object();
      const std::string rest = row.key.substr(kPrefix.size());
      Loaded& mirror = out[rest.substr(0, rest.find('/'))];
      if (rest.find('/') != std::string::npos) {
        mirror.seen[get_string(in, "path")] = {get_bool(in, "folder"), get_string(in, "hash"), get_string(in, "node"), get_int(in, "size"),
                                               get_int(in, "changed")};
        continue;
      }
      mirror.spec = {get_string(in, "workspace"), get_string(in, "folder"), get_string(in, "directory"), {}};
      if (const auto* ignore = get_array(in, "ignore"))
        for (const Json& glob : *ignore)
          if (glob.is_string()) mirror.spec.ignore.emplace_back(glob.get_string());
    }
    if (rows->size() < kPage) break;
    range.begin = rows->back().key + '\0';
  }
  std::vector<Loaded> all;
  for (auto& [id, mirror] : out)
    if (!mirror.spec.directory.empty()) all.push_back(std::move(mirror));
  co_return all;
}

Task<Result<void>> commit(Store* store, Batch batch) {
  if (batch.empty()) co_return Result<void>{};
  auto outcome = co_await store->commit(std::move(batch));
  if (!outcome) co_return fail(outcome.error());
  co_return Result<void>{};
}

Task<Result<void>> erase(Store* store, MirrorSpec spec) {
  // The spec last: what is left half-way is found again and erased again.
  while (true) {
    auto rows = co_await store->scan(KeyRange::prefix(spec_key(spec) + "/"), kPage, Direction::Forward);
    if (!rows) co_return fail(rows.error());
    Batch batch;
    for (const Record& row : *rows) batch.deletes.push_back(row.key);
    if (rows->empty()) batch.deletes.push_back(spec_key(spec));
    if (auto done = co_await commit(store, std::move(batch)); !done) co_return done;
    if (rows->empty()) co_return Result<void>{};
  }
}

}  // namespace mayfly::workspace::mirror_rows
