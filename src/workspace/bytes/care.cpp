#include <algorithm>
#include <array>

#include "base/log.h"
#include "workspace/bytes/bytes_service.h"
#include "workspace/bytes/link_token.h"

/// What happens by itself: uploads and links expire, old imports are forgotten, and content that nothing names goes.
namespace mayfly::workspace {
namespace {

constexpr Millis kEvery{10 * 60'000};
constexpr Millis kGrace{3'600'000};
constexpr Millis kImportsKept{30LL * 86'400'000};
constexpr std::size_t kScanned = 500;
constexpr std::size_t kErased = 50;

/// Raw, since there may be millions of them.
using Digest = std::array<unsigned char, 32>;

std::optional<Digest> digest_of(std::string_view hash) {
  if (!check_blob_hash(hash)) return std::nullopt;
  const auto value = [](char c) { return static_cast<unsigned char>(c <= '9' ? c - '0' : c - 'a' + 10); };
  Digest out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<unsigned char>(value(hash[2 * i]) << 4 | value(hash[2 * i + 1]));
  return out;
}

class Digests {
 public:
  void add(std::string_view hash) {
    if (const auto digest = digest_of(hash)) all_.push_back(*digest);
  }
  void sort() {
    std::ranges::sort(all_);
    all_.erase(std::ranges::unique(all_).begin(), all_.end());
  }
  bool has(std::string_view hash) const {
    const auto digest = digest_of(hash);
    return digest && std::ranges::binary_search(all_, *digest);
  }
  bool empty() const { return all_.empty(); }

 private:
  std::vector<Digest> all_;
};

Task<Outcome<Json>> erase_in(Space& space, std::shared_ptr<const std::vector<std::string>> rows) {
  for (const std::string& key : *rows) space.rows().erase(key);
  co_return Json(nullptr);
}

/// Whether the row of a link or import has had its time.
bool is_over(char kind, const JsonObject& record, TimePoint now) {
  if (kind == 'l') return get_time(record, "expires").value_or(TimePoint{}) <= now;
  const std::string state = get_string(record, "state");
  return state != "queued" && state != "running" && get_time(record, "updated").value_or(TimePoint{}) + kImportsKept <= now;
}

}  // namespace

void BytesService::arm_care() {
  if (is_open_) timer_ = clock_.call_after(kEvery, [this] { tasks_.spawn(care()); });
}

Task<> BytesService::care() {
  for (const std::string& id : spaces_.ids()) {
    if (!is_open_) co_return;
    if (auto cleaned = co_await clean(id); !cleaned && cleaned.error().code != "ws.not_found")
      log::warn("expired uploads and links of a workspace could not be removed", {{"workspace", id}, {"error", cleaned.error().message}});
  }
  if (auto collected = co_await collect(kGrace); !collected)
    log::warn("content that nothing names could not be removed", {{"code", collected.error().code}, {"error", collected.error().message}});
  arm_care();
}

Task<Result<void>> BytesService::clean(std::string workspace) {
  const Workspace* found = spaces_.by_id(workspace);
  if (!found) co_return Result<void>{};
  const Actor actor = system_actor(*found);
  const TimePoint now = clock_.now();
  for (const char kind : {'u', 'l', 'x'}) {
    const auto rows = spaces_.read();
    const std::string prefix = keys::prefix(partition_of(workspace), workspace, kind);
    KeyRange range = KeyRange::prefix(prefix);
    std::string over;  // the upload whose parts go with it
    for (bool more = true; more && is_open_;) {
      auto all = co_await rows->scan(range, kScanned);
      if (!all) co_return std::unexpected(all.error());
      more = all->size() == kScanned;
      std::vector<std::string> due;
      for (const auto& [key, value] : *all) {
        range.begin = key + '\0';
        const std::string id = key.substr(prefix.size());
        if (kind == 'u' && id.contains('/')) {
          if (id.substr(0, id.find('/')) == over) due.push_back(key);
          continue;
        }
        auto record = parse_json(value);
        if (!record || !record->is_object()) continue;
        const JsonObject& object = record->get_object();
        if (kind == 'u') {
          const bool is_due = get_time(object, "expires").value_or(TimePoint{}) <= now;
          if (is_due) due.push_back(key);
          over = is_due || get_string(object, "state") != "open" ? id : std::string();
        } else if (is_over(kind, object, now)) {
          due.push_back(key);
        }
      }
      for (std::size_t at = 0; at < due.size(); at += kErased) {
        const auto step = std::make_shared<const std::vector<std::string>>(
            due.begin() + static_cast<std::ptrdiff_t>(at), due.begin() + static_cast<std::ptrdiff_t>(std::min(at + kErased, due.size())));
        auto erased = co_await spaces_.mutate(actor, workspace, Role::Viewer, [step](Space& space) { return erase_in(space, step); });
        if (!erased) co_return std::unexpected(Error(erased.error()));
      }
    }
  }
  co_return Result<void>{};
}

/// Parts before versions: a completed upload's part turns into a version, never the other way.
Task<Result<void>> BytesService::gather(std::function<void(std::string_view)> found) {
  for (const std::string& workspace : spaces_.ids()) {
    const auto rows = spaces_.read();
    KeyRange range = KeyRange::prefix(keys::prefix(partition_of(workspace), workspace, 'u'));
    for (bool more = true; more;) {
      auto all = co_await rows->scan(range, kScanned);
      if (!all) co_return std::unexpected(all.error());
      more = all->size() == kScanned;
      for (const auto& [key, value] : *all) {
        range.begin = key + '\0';
        auto record = parse_json(value);
        if (!record || !record->is_object())
          co_return fail("store.damaged", "an upload's row cannot be read; nothing is collected before it is gone");
        if (const std::string hash = get_string(record->get_object(), "hash"); !hash.empty()) found(hash);
      }
    }
  }
  co_return co_await files_.each_hash(std::move(found));
}

Task<Result<std::int64_t>> BytesService::collect(Millis grace) {
  if (is_collecting_) co_return fail("ws.busy", "content is being collected already; try again", Retry::Safe);
  is_collecting_ = true;
  struct Done {
    bool& flag;
    ~Done() { flag = false; }
  } done{is_collecting_};
  // Twice: a copy may be made behind the first reading's back while what it was made from goes before its eyes. What two readings
  // did not meet has no name, and gets one only from a `put`, which the store protects for `grace`.
  const auto named = std::make_shared<Digests>();
  if (auto read = co_await gather([named](std::string_view hash) { named->add(hash); }); !read) co_return std::unexpected(read.error());
  named->sort();
  const auto nameless = std::make_shared<Digests>();
  auto looked = co_await blobs_.sweep(
      [named, nameless](std::string_view hash) {
        if (!named->has(hash)) nameless->add(hash);
        return true;
      },
      grace);
  if (!looked) co_return std::unexpected(looked.error());
  if (nameless->empty()) co_return 0;
  nameless->sort();
  const auto again = std::make_shared<Digests>();
  auto read = co_await gather([nameless, again](std::string_view hash) {
    if (nameless->has(hash)) again->add(hash);
  });
  if (!read) co_return std::unexpected(read.error());
  again->sort();
  auto swept = co_await blobs_.sweep([nameless, again](std::string_view hash) { return !nameless->has(hash) || again->has(hash); }, grace);
  if (!swept) co_return std::unexpected(swept.error());
  if (swept->removed > 0)
    log::info("content that nothing named was removed",
              {{"blobs", std::to_string(swept->removed)}, {"bytes", std::to_string(swept->bytes)}});
  co_return static_cast<std::int64_t>(swept->bytes);
}

}  // namespace mayfly::workspace
