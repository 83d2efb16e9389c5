#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "schedule/schedule.h"
#include "trigger/event.h"
#include "trigger/target.h"

namespace mayfly::trigger {

/// Who may call a route. Secrets are named by environment variable, never written down.
struct RouteAuth {
  enum class Kind { Key, Hmac, Jwt, None } kind = Kind::Key;
  // Hmac: hex or base64 of HMAC-SHA256 over "{timestamp}.{body}", or the body when there is no timestamp header.
  std::string secret_env;
  std::string signature_header = "x-signature";
  std::string timestamp_header;
  Millis tolerance{300'000};
  // Jwt (RFC 7519): RS256, PS256, ES256, EdDSA with a JWKS; HS256 with a secret.
  std::string issuer;
  std::vector<std::string> audience;
  std::string jwks_url;
  bool private_network = false;  ///< `jwks_url` may lead to loopback and private addresses
};

struct RateLimit {
  std::int64_t requests = 0;  ///< 0: none
  Millis per{60'000};
  enum class By { Route, Caller } by = By::Caller;  ///< caller: key id, JWT subject, or address
};

struct Cors {
  std::vector<std::string> origins;  ///< exact, or "*"
  std::vector<std::string> headers;
  Millis age_max{3'600'000};
};

struct HttpSource {
  std::string method = "POST";
  std::string path;  ///< "/tickets/{customer}"; must not lie under a path of Mayfly's own
  RouteAuth auth;
  enum class Answer {
    Wait,      ///< the target's answer (at most `wait_max`, then 202)
    Accepted,  ///< 202 with {run, status_url}
    Stream,    ///< Server-Sent Events as GET /v1/runs/RUN/events
  } answer = Answer::Accepted;
  Millis wait_max{30'000};
  std::optional<Cors> cors;
  RateLimit rate_limit;
  std::size_t body_bytes_max = 1024 * 1024;
};

struct WebhookSource {
  enum class Scheme { Standard, GitHub, Stripe, Slack, Hmac } scheme = Scheme::Standard;
  std::string path;                        ///< "/hooks/github"
  std::vector<std::string> secret_env;     ///< several while one is rotated
  Millis tolerance{300'000};               ///< replay window, where the scheme signs a time
  std::string signature_header;            ///< Hmac
  std::string signature_prefix;            ///< Hmac: "sha256="
  std::string timestamp_header;            ///< Hmac: signed as "{timestamp}.{body}"
  std::string id_header;                   ///< Hmac: the delivery's id; else a hash of the body
  enum class Encoding { Hex, Base64 } encoding = Encoding::Hex;
};

/// A queue of Mayfly's own.
struct QueueSource {
  std::string queue;
  std::int64_t batch_max = 1;      ///< messages given together; more than one only to functions (SQS event with batchItemFailures) and queues
  Millis batch_window{0};
  std::int64_t concurrency = 10;   ///< batches under way at a time
};

/// A queue of Amazon SQS, or what speaks its protocol.
struct SqsSource {
  std::string url;     ///< the queue's URL
  std::string region;
  std::string endpoint;                       ///< empty: the URL's origin
  std::string credentials_env = "AWS";        ///< prefix of …_ACCESS_KEY_ID, …_SECRET_ACCESS_KEY, …_SESSION_TOKEN
  Millis wait{20'000};
  std::int64_t batch_max = 10;
  bool private_network = false;               ///< may lead to loopback and private addresses
};

/// At fixed times. The name of the schedule is the trigger's, its group "triggers".
struct ScheduleSource {
  schedule::ScheduleSpec schedule;  ///< without target and input
};

/// Events published to Mayfly by POST /v1/events. What runs tell goes to their agents' destinations.
struct EventSource {
  std::vector<std::string> types;    ///< exact, or a prefix that ends with ".*"; empty: all
  std::vector<std::string> sources;  ///< exact; empty: all
};

/// Changes of files in a workspace: its events, published as "dev.mayfly.workspace.TYPE".
struct FileSource {
  std::string workspace;            ///< id, or name ("NAME" of the organisation "default", "ORGANISATION/NAME")
  std::vector<std::string> types;   ///< "file.created", "file.*"; by default what gives a file new content: created, updated, restored, moved, copied
  std::vector<std::string> paths;   ///< globs (base/glob.h); empty: all
  std::vector<std::string> ignore;  ///< globs
};

using Source = std::variant<HttpSource, WebhookSource, QueueSource, SqsSource, ScheduleSource, EventSource, FileSource>;

struct TriggerSpec {
  std::string name;  ///< [a-z0-9][a-z0-9-]{0,62}
  std::string description;
  bool enabled = true;
  Source source;
  // JSONata over the event's JSON form, with the variables $path (of HTTP routes), $query, $headers (without credentials) and $claims.
  std::string filter;           ///< empty: all
  std::string session;          ///< gives a text; empty: none
  std::string input;            ///< empty: the event's data (agents: its message)
  std::string idempotency_key;  ///< gives a text; empty: source and id of the event
  std::string correlation;      ///< gives a text that waiting runs match; empty: the event's subject
  Target target;
  DeliveryPolicy delivery;
};

Json to_json(const TriggerSpec& spec);
/// The form of `mayfly.yaml` (`triggers: NAME:`) and `PUT /v1/triggers/NAME`: exactly one of http | webhook | queue | sqs | schedule | event | file, and
/// {description, enabled, filter, session, input, idempotency_key, correlation, target, retry: {attempts, first_delay, max_delay, max_age},
/// dead_letter_queue}. Expressions are not compiled here. Error: `trigger.invalid`, whose message starts with a JSON Pointer and ": ".
Result<TriggerSpec> trigger_spec_from_json(std::string name, const Json& value);
std::string_view trigger_schema_text();

/// Parts of it, in trigger/http and file_source.cpp. Same errors, with pointers from the part's own root.
Result<HttpSource> http_source_from_json(const Json& value);
Json to_json(const HttpSource& source);
Result<WebhookSource> webhook_source_from_json(const Json& value);
Json to_json(const WebhookSource& source);
Result<FileSource> file_source_from_json(const Json& value);
Json to_json(const FileSource& source);
std::string_view file_source_schema_text();
/// Whether the event is one of those.
bool wants(const FileSource& source, const Event& event);
std::string_view http_source_schema_text();
std::string_view webhook_source_schema_text();

}  // namespace mayfly::trigger
