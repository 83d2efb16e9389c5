#include "server/oauth/clients.h"

#include <algorithm>
#include <charconv>

#include "base/hash.h"
#include "base/id.h"
#include "server/oauth/oauth_text.h"

namespace mayfly::oauth {
namespace {

constexpr std::string_view kPrefix = "meta/oauth/client/";
constexpr std::size_t kRegisteredMax = 1'000, kCachedMax = 200, kRedirectsMax = 16, kNameBytesMax = 200, kDocumentBytesMax = 64 * 1024;
constexpr std::int64_t kCacheSecondsMin = 60, kCacheSecondsMax = 86'400, kCacheSeconds = 3'600;

/// A name that cannot pass for something else on a page: no control characters, no overlong text.
std::string clean_name(std::string_view name) {
  std::string out;
  for (const char c : name.substr(0, kNameBytesMax)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  return to_utf8_lossy(out);
}

/// What registration and a fetched document have in common.
Result<Client> client_of(const JsonObject& metadata) {
  const auto refuse = [](std::string message) { return fail("oauth.invalid_client_metadata", std::move(message)); };
  Client out;
  out.name = clean_name(get_string(metadata, "client_name"));
  const auto* uris = get_array(metadata, "redirect_uris");
  if (!uris || uris->empty() || uris->size() > kRedirectsMax) return fail("oauth.invalid_redirect_uri", "Give 1 to 16 `redirect_uris`.");
  for (const Json& uri : *uris) {
    if (!uri.is_string() || !is_redirect_uri(std::string_view(uri.get_string())))
      return fail("oauth.invalid_redirect_uri",
                  "A redirect URI must be https, http of this machine (127.0.0.1, [::1], localhost) or an application's own scheme, "
                  "without fragment.");
    out.redirect_uris.emplace_back(std::string_view(uri.get_string()));
  }
  const auto allows = [&](std::string_view name, std::string_view needed) {
    const Json* given = get(metadata, name);
    if (!given || given->is_null()) return true;
    const auto* list = given->if_array();
    return list && std::ranges::any_of(*list, [&](const Json& item) { return item.is_string() && item.get_string() == needed; });
  };
  if (!allows("grant_types", "authorization_code")) return refuse("`grant_types` must include authorization_code.");
  if (!allows("response_types", "code")) return refuse("`response_types` must include code.");
  return out;
}

std::int64_t cache_seconds(const net::Headers& headers) {
  const std::string control = headers.get("cache-control");
  if (control.find("no-store") != std::string::npos || control.find("no-cache") != std::string::npos) return kCacheSecondsMin;
  std::int64_t seconds = kCacheSeconds;
  if (const auto at = control.find("max-age="); at != std::string::npos)
    std::from_chars(control.data() + at + 8, control.data() + control.size(), seconds);
  return std::clamp(seconds, kCacheSecondsMin, kCacheSecondsMax);
}

/// https, with a path that is not "/", no user, fragment or dot segments.
bool is_document_url(std::string_view url) {
  constexpr std::string_view kScheme = "https://";
  if (!url.starts_with(kScheme) || url.size() > 1'000) return false;
  const auto path = url.find('/', kScheme.size());
  if (path == std::string_view::npos || path + 1 == url.size()) return false;
  if (url.find("/./") != std::string_view::npos || url.find("/../") != std::string_view::npos) return false;
  return url.find_first_of("#@ \\") == std::string_view::npos;
}

}  // namespace

bool PerMinute::take() {
  const auto now = clock_.monotonic();
  while (!taken_.empty() && now - taken_.front() > std::chrono::minutes(1)) taken_.pop_front();
  if (taken_.size() >= most_) return false;
  taken_.push_back(now);
  return true;
}

Clients::Clients(Store& store, Clock& clock, net::HttpClient& http, std::vector<std::string> private_hosts,
                 std::function<bool(std::string_view)> is_used)
    : store_(store),
      clock_(clock),
      http_(http),
      private_hosts_(std::move(private_hosts)),
      is_used_(std::move(is_used)),
      registrations_(clock, 20),
      fetches_(clock, 20) {}

Task<Result<void>> Clients::load() {
  registered_.clear();
  auto rows = co_await store_.scan(KeyRange::prefix(kPrefix), kScanRecordsMax, Direction::Forward);
  if (!rows) co_return fail(rows.error());
  for (const Record& row : *rows) {
    const auto value = parse_json(row.value);
    auto client = value && value->is_object() ? client_of(value->get_object()) : Result<Client>(fail("store.damaged", ""));
    if (!client) co_return fail("store.damaged", "the record of an OAuth client cannot be read; restore the data directory from a backup");
    client->id = row.key.substr(kPrefix.size());
    client->created = from_unix_ms(get_int(value->get_object(), "created"));
    std::string id = client->id;
    registered_.insert_or_assign(std::move(id), std::move(*client));
  }
  co_return Result<void>{};
}

Task<Result<void>> Clients::make_room() {
  if (registered_.size() < kRegisteredMax) co_return Result<void>{};
  const Client* oldest = nullptr;
  for (const auto& [id, client] : registered_)
    if ((!oldest || client.created < oldest->created) && clock_.now() - client.created > std::chrono::hours(1) && !is_used_(id))
      oldest = &client;
  if (!oldest)
    co_return fail("oauth.full", "There are too many registered clients: use a client id metadata document, or try later.", Retry::Safe);
  Batch batch;
  batch.deletes.push_back(std::string(kPrefix) + oldest->id);
  registered_.erase(std::string(oldest->id));
  auto outcome = co_await store_.commit(std::move(batch));
  if (!outcome) co_return fail(outcome.error());
  co_return Result<void>{};
}

Task<Result<Client>> Clients::add(JsonObject metadata) {
  if (!registrations_.take()) co_return fail("oauth.slow_down", "Too many registrations: try again in a minute.", Retry::Safe);
  auto client = client_of(metadata);
  if (!client) co_return client;
  if (auto room = co_await make_room(); !room) co_return fail(room.error());
  client->id = "mfc_" + to_hex(secure_random_bytes(16));
  client->created = clock_.now();
  JsonArray uris;
  for (const std::string& uri : client->redirect_uris) uris.emplace_back(uri);
  Batch batch;
  batch.puts.push_back({std::string(kPrefix) + client->id,
                        mayfly::to_text(JsonObject{
                            {"client_name", client->name}, {"redirect_uris", std::move(uris)}, {"created", to_unix_ms(client->created)}})});
  auto outcome = co_await store_.commit(std::move(batch));
  if (!outcome) co_return fail(outcome.error());
  registered_.insert_or_assign(client->id, *client);
  co_return client;
}

Task<Result<Client>> Clients::find(std::string id) {
  if (const auto found = registered_.find(id); found != registered_.end()) co_return found->second;
  if (is_document_url(id)) {
    const auto cached = cached_.find(id);
    if (cached != cached_.end() && clock_.monotonic() < cached->second.until) co_return cached->second.client;
    co_return co_await fetch(std::move(id));
  }
  co_return fail("oauth.invalid_client",
                 "This client is not known here: register it again, or use the URL of its metadata document as `client_id`.");
}

Task<Result<Client>> Clients::fetch(std::string url) {
  const auto refuse = [](std::string message) {
    return fail("oauth.invalid_client", "The client's metadata document " + std::move(message));
  };
  if (!fetches_.take()) co_return fail("oauth.slow_down", "Too many clients' metadata to fetch: try again in a minute.", Retry::Safe);
  net::ClientRequest request;
  request.url = url;
  request.headers.add("Accept", "application/json");
  request.egress.allow_hosts = private_hosts_;
  request.total_timeout = Millis{10'000};
  request.body_bytes_max = kDocumentBytesMax;
  auto answer = co_await http_.send(std::move(request));
  if (!answer) co_return refuse("cannot be fetched: " + answer.error().message);
  if (answer->status != 200) co_return refuse("answers " + std::to_string(answer->status) + " where 200 is needed.");
  const auto value = parse_json(answer->body, {.depth_max = 16, .bytes_max = kDocumentBytesMax});
  if (!value || !value->is_object()) co_return refuse("is no JSON object.");
  const JsonObject& document = value->get_object();
  if (get_string(document, "client_id") != url) co_return refuse("has another `client_id` than its URL.");
  if (document.contains("client_secret")) co_return refuse("must not hold a secret.");
  const std::string method = get_string(document, "token_endpoint_auth_method", "none");
  if (method != "none") co_return refuse("wants to authenticate by " + method.substr(0, 40) + "; here clients are public (none).");
  auto client = client_of(document);
  if (!client) co_return refuse("is refused: " + client.error().message);
  if (client->name.empty()) co_return refuse("lacks `client_name`.");
  client->id = url;
  if (cached_.size() >= kCachedMax)
    cached_.erase(std::ranges::min_element(cached_, {}, [](const auto& item) { return item.second.until; }));
  cached_.insert_or_assign(url, Cached{*client, clock_.monotonic() + std::chrono::seconds(cache_seconds(answer->headers))});
  co_return client;
}

}  // namespace mayfly::oauth
