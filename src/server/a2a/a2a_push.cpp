#include "server/a2a/a2a_push.h"

#include <algorithm>
#include <set>

#include "base/hash.h"
#include "base/log.h"
#include "net/http_client.h"
#include "net/ssrf.h"
#include "server/a2a/a2a_methods.h"
#include "server/a2a/a2a_task.h"
#include "store/store.h"

namespace mayfly::a2a {
namespace {

constexpr std::string_view kPrefix = "meta/a2a/";
constexpr std::size_t kConfigsMax = 10'000;
constexpr int kAttemptsMax = 8;
constexpr Millis kDelayFirst{1'000};
constexpr Millis kTimeout{15'000};
constexpr std::size_t kTextMax = 4'096;

std::string key_of(const PushConfig& config) { return std::string(kPrefix) + config.run + "/" + config.id; }

bool is_header_safe(std::string_view text) {
  return text.size() <= kTextMax && std::ranges::all_of(text, [](char c) { return c >= 0x20 && c != 0x7f; });
}

class Notifier final : public PushNotifier {
 public:
  explicit Notifier(AppContext& app) : app_(app) {
    const std::string allowed = app.config->environment("MAYFLY_A2A_PUSH_ALLOW").value_or("");
    for (std::size_t begin = 0; begin < allowed.size();) {
      const auto end = std::min(allowed.find(',', begin), allowed.size());
      if (end > begin) egress_.allow_hosts.push_back(allowed.substr(begin, end - begin));
      begin = end + 1;
    }
  }

  Task<Result<void>> open() override {
    auto rows = co_await app_.store->scan(KeyRange::prefix(kPrefix), kScanRecordsMax, Direction::Forward);
    if (!rows) co_return fail(rows.error());
    for (const Record& row : *rows) {
      const auto value = parse_json(row.value);
      auto config = value && value->is_object() ? push_config_from_json(value->get_object()) : Result<PushConfig>(fail("store.damaged", row.key));
      if (!config) continue;
      config->run = get_string(value->get_object(), "taskId");
      add(std::move(*config));
    }
    co_return Result<void>{};
  }

  Task<Result<PushConfig>> put(PushConfig config) override {
    if (auto target = net::parse_target(config.url); !target) co_return fail(target.error());
    if (config.id.empty()) config.id = sha256_hex(config.run + "\n" + config.url).substr(0, 32);
    const auto& known = configs_[config.run];
    const bool is_new = !known.contains(config.id);
    if ((is_new && known.size() >= kPushConfigsPerTaskMax) || count_ >= kConfigsMax)
      co_return fail("a2a.push_limit", "too many push notification configurations; delete some first");
    Batch batch;
    batch.puts.push_back({key_of(config), to_text(to_json(config))});
    auto stored = co_await app_.store->commit(std::move(batch));
    if (!stored) co_return fail(stored.error());
    add(config);
    co_return config;
  }

  Task<Result<void>> remove(std::string run, std::string id) override {
    Batch batch;
    batch.deletes.push_back(key_of({.id = id, .run = run, .url = {}, .token = {}, .scheme = {}, .credentials = {}}));
    auto stored = co_await app_.store->commit(std::move(batch));
    if (!stored) co_return fail(stored.error());
    if (const auto found = configs_.find(run); found != configs_.end()) count_ -= found->second.erase(id);
    co_return Result<void>{};
  }

  std::vector<PushConfig> list(const std::string& run) const override {
    std::vector<PushConfig> out;
    if (const auto found = configs_.find(run); found != configs_.end())
      for (const auto& [id, config] : found->second) out.push_back(config);
    return out;
  }

 private:
  void add(PushConfig config) {
    const std::string run = config.run;
    count_ += configs_[run].insert_or_assign(config.id, std::move(config)).second ? 1 : 0;
    if (followed_.insert(run).second) app_.tasks->spawn(follow(this, run));
  }

  /// Tells each change of one run's state, until it has ended.
  static Task<> follow(Notifier* self, std::string run) {
    AppContext& app = self->app_;
    std::string told;
    bool more = true;
    while (more && !app.stopping.cancelled()) {
      auto subscription = app.engine->subscribe(run);
      for (;;) {
        auto task = co_await snapshot(&app, run);
        if (!task) {
          more = task.error().retry != Retry::Never;
          break;
        }
        const std::string state = state_of_snapshot(*task);
        if (state != told) {
          co_await self->tell(run, *task);
          told = state;
        }
        more = !is_terminal(state);
        if (!more || !co_await subscription->next(app.stopping)) break;
      }
    }
    if (app.stopping.cancelled()) co_return;  // the rows are there: the next start tells the rest
    co_await self->forget(run);
  }

  static std::string state_of_snapshot(const Json& snapshot) {
    const JsonObject* task = get_object(snapshot.get_object(), "task");
    const JsonObject* status = task ? get_object(*task, "status") : nullptr;
    return status ? get_string(*status, "state") : std::string();
  }

  Task<> tell(std::string run, Json news) {
    for (PushConfig& config : list(run)) {
      Millis delay = kDelayFirst;
      for (int attempt = 1; attempt <= kAttemptsMax && !app_.stopping.cancelled(); ++attempt, delay *= 2) {
        auto answer = co_await app_.http->send(request_of(config, news));
        if (answer && answer->status < 300) break;
        const std::string why = answer ? "HTTP " + std::to_string(answer->status) : answer.error().message;
        const bool hopeless = (answer && (answer->status == 410 || answer->status == 404)) || (!answer && answer.error().retry == Retry::Never);
        if (hopeless || attempt == kAttemptsMax) {
          log::warn("a push notification cannot be delivered", {{"run", run}, {"config", config.id}, {"error", why}});
          break;
        }
        co_await sleep_for(*app_.clock, delay, app_.stopping);
      }
    }
  }

  net::ClientRequest request_of(const PushConfig& config, const Json& news) const {
    net::ClientRequest out;
    out.method = "POST";
    out.url = config.url;
    out.headers.set("Content-Type", "application/a2a+json");
    out.headers.set("A2A-Version", "1.0");
    if (!config.token.empty()) out.headers.set("X-A2A-Notification-Token", config.token);
    if (!config.credentials.empty()) out.headers.set("Authorization", config.scheme + " " + config.credentials);
    out.body = to_text(news);
    out.egress = egress_;
    out.total_timeout = kTimeout;
    out.body_bytes_max = 64 * 1024;
    out.cancel = app_.stopping;
    return out;
  }

  Task<> forget(std::string run) {
    for (const PushConfig& config : list(run)) (void)co_await remove(run, config.id);
    configs_.erase(run);
    followed_.erase(run);
  }

  AppContext& app_;
  net::EgressPolicy egress_;
  std::map<std::string, std::map<std::string, PushConfig>> configs_;
  std::set<std::string> followed_;
  std::size_t count_ = 0;
};

}  // namespace

JsonObject to_json(const PushConfig& config) {
  JsonObject out{{"id", config.id}, {"taskId", config.run}, {"url", config.url}};
  if (!config.token.empty()) out["token"] = config.token;
  if (!config.scheme.empty()) out["authentication"] = JsonObject{{"scheme", config.scheme}, {"credentials", config.credentials}};
  return out;
}

Result<PushConfig> push_config_from_json(const JsonObject& value) {
  PushConfig out;
  out.id = get_string(value, "id");
  out.url = get_string(value, "url");
  out.token = get_string(value, "token");
  if (const JsonObject* authentication = get_object(value, "authentication")) {
    out.scheme = get_string(*authentication, "scheme");
    out.credentials = get_string(*authentication, "credentials");
  }
  if (out.url.empty()) return fail("a2a.invalid_push", "a push notification configuration needs a `url`");
  if (out.id.size() > 64 || out.id.find('/') != std::string::npos || !is_header_safe(out.id))
    return fail("a2a.invalid_push", "the id of a push notification configuration has at most 64 characters and no '/'");
  if (!is_header_safe(out.token) || !is_header_safe(out.scheme) || !is_header_safe(out.credentials))
    return fail("a2a.invalid_push", "token and credentials must be printable and of at most 4,096 bytes");
  return out;
}

std::unique_ptr<PushNotifier> make_push_notifier(AppContext& app) { return std::make_unique<Notifier>(app); }

}  // namespace mayfly::a2a
