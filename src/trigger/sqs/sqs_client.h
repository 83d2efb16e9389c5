#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/http_client.h"
#include "queue/queue.h"

/// A client of Amazon SQS, or of what speaks its JSON protocol: what a trigger that polls a queue needs.
namespace mayfly::trigger {

struct SqsCredentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  ///< empty: none
};

struct SqsMessage {
  std::string id;
  std::string receipt_handle;
  std::string body;
  std::map<std::string, std::string> attributes;  ///< of the system: SentTimestamp, ApproximateReceiveCount, MessageGroupId, …
  queue::MessageAttributes message_attributes;
};

struct SqsClientOptions {
  std::string queue_url;
  std::string region;    ///< empty: that of the URL's host, else us-east-1
  std::string endpoint;  ///< empty: the origin of the queue's URL
  SqsCredentials credentials;
  /// The operator decides whether a source may lead to loopback and private addresses.
  net::EgressPolicy egress;
};

struct SqsReceive {
  std::size_t messages_max = 10;  ///< 1 … 10
  Millis wait{20'000};            ///< long polling, 0 … 20 s
  std::optional<Millis> visibility;
  CancelToken cancel;
};

/// Every request is signed (SigV4) and goes through the egress policy. Repeating any of these calls does no harm (what was received comes
/// again after its visibility timeout; deleting twice is deleting), so that all failures but the lasting ones are Retry::Safe.
/// Errors: `sqs.invalid_source` (URL or credentials, Never), `sqs.throttled` (Safe), `sqs.unavailable` (Safe), `sqs.access_denied`
/// (Never), `sqs.queue_not_found` (Never), `sqs.receipt_invalid` (Never), `sqs.refused` (Never), `sqs.invalid_answer` (Safe), and
/// `net.…`. No message holds a secret.
class SqsClient {
 public:
  /// `http` and `clock` outlive the client.
  SqsClient(net::HttpClient& http, Clock& clock, SqsClientOptions options);

  /// Waits for messages; none is an answer too. Bodies and attributes are checked against their MD5 digests.
  Task<Result<std::vector<SqsMessage>>> receive(SqsReceive request);
  /// Deletes any number, ten a request; the first failure is the result, after all were tried.
  Task<Result<void>> remove(std::vector<std::string> receipt_handles);
  /// 0 gives it back at once. A message that is no longer in flight is `sqs.receipt_invalid`.
  Task<Result<void>> set_visibility(std::string receipt_handle, Millis visibility);

 private:
  Task<Result<JsonObject>> call(std::string operation, JsonObject input, Millis timeout, CancelToken cancel);

  net::HttpClient& http_;
  Clock& clock_;
  SqsClientOptions options_;
};

/// What a ReceiveMessage answer holds. At most ten messages. Error: `sqs.invalid_answer`.
Result<std::vector<SqsMessage>> parse_sqs_messages(const JsonObject& answer);
/// What an answer that is no 2xx means; `query_error` is the header x-amzn-query-error.
Error sqs_error_of(int status, std::string_view query_error, std::string_view body);
/// "eu-west-1" of "https://sqs.eu-west-1.amazonaws.com/…" and of "https://eu-west-1.queue.amazonaws.com/…"; empty when the host is
/// none of AWS.
std::string sqs_region_of(std::string_view url);

}  // namespace mayfly::trigger
