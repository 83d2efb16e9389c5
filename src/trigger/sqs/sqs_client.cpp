#include "trigger/sqs/sqs_client.h"

#include <algorithm>
#include <array>

#include "net/sigv4.h"
#include "trigger/sqs/sqs_wire.h"

namespace mayfly::trigger {
namespace {

constexpr std::size_t kAnswerBytesMax = 16 * 1024 * 1024;
constexpr Millis kCallTimeout{30'000};

std::unexpected<Error> bad_answer(std::string what) {
  return fail("sqs.invalid_answer", "the SQS endpoint answered with what is no answer of SQS: " + std::move(what), Retry::Safe);
}

/// "https://host:port" of a URL; empty when it is none.
std::string origin_of(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos || (!url.starts_with("https://") && !url.starts_with("http://"))) return {};
  const auto end = std::min(url.find_first_of("/?#", scheme + 3), url.size());
  const std::string_view host = url.substr(scheme + 3, end - scheme - 3);
  if (host.empty() || host.contains('@')) return {};
  return std::string(url.substr(0, end));
}

std::string last_segment(std::string_view text, char separator) { return std::string(text.substr(text.rfind(separator) + 1)); }

struct Rule {
  std::string_view name;
  std::string_view code;
  Retry retry;
};
/// By the query protocol's codes, which AWS sends in a header, or by the names of the JSON protocol's shapes.
constexpr auto kRules = std::to_array<Rule>({
    {"AWS.SimpleQueueService.NonExistentQueue", "sqs.queue_not_found", Retry::Never},
    {"QueueDoesNotExist", "sqs.queue_not_found", Retry::Never},
    {"AccessDenied", "sqs.access_denied", Retry::Never},
    {"AccessDeniedException", "sqs.access_denied", Retry::Never},
    {"InvalidClientTokenId", "sqs.access_denied", Retry::Never},
    {"UnrecognizedClientException", "sqs.access_denied", Retry::Never},
    {"SignatureDoesNotMatch", "sqs.access_denied", Retry::Never},
    {"InvalidSignatureException", "sqs.access_denied", Retry::Never},
    {"MissingAuthenticationToken", "sqs.access_denied", Retry::Never},
    {"MissingAuthenticationTokenException", "sqs.access_denied", Retry::Never},
    {"ExpiredToken", "sqs.access_denied", Retry::Never},
    {"ExpiredTokenException", "sqs.access_denied", Retry::Never},
    {"InvalidSecurity", "sqs.access_denied", Retry::Never},
    {"KMS.AccessDeniedException", "sqs.access_denied", Retry::Never},
    {"KmsAccessDenied", "sqs.access_denied", Retry::Never},
    {"RequestThrottled", "sqs.throttled", Retry::Safe},
    {"ThrottlingException", "sqs.throttled", Retry::Safe},
    {"Throttling", "sqs.throttled", Retry::Safe},
    {"KMS.ThrottlingException", "sqs.throttled", Retry::Safe},
    {"KmsThrottled", "sqs.throttled", Retry::Safe},
    {"OverLimit", "sqs.throttled", Retry::Safe},
    {"ReceiptHandleIsInvalid", "sqs.receipt_invalid", Retry::Never},
    {"AWS.SimpleQueueService.MessageNotInflight", "sqs.receipt_invalid", Retry::Never},
    {"MessageNotInflight", "sqs.receipt_invalid", Retry::Never},
});

std::string remedy_of(std::string_view code) {
  if (code == "sqs.queue_not_found") return "; check the queue's URL and region";
  if (code == "sqs.access_denied")
    return "; check the credentials, and that they allow sqs:ReceiveMessage, sqs:DeleteMessage and sqs:ChangeMessageVisibility on the "
           "queue";
  if (code == "sqs.throttled") return "; it is tried again later";
  return {};
}

Error error_named(std::string_view name, std::string_view message, int status) {
  const auto rule = std::ranges::find(kRules, name, &Rule::name);
  std::string_view code = status >= 500 ? "sqs.unavailable" : "sqs.refused";
  Retry retry = status >= 500 ? Retry::Safe : Retry::Never;
  if (rule != kRules.end()) {
    code = rule->code;
    retry = rule->retry;
  } else if (status == 429) {
    code = "sqs.throttled";
    retry = Retry::Safe;
  } else if (status == 401 || status == 403) {
    code = "sqs.access_denied";
  }
  std::string text = "SQS answered " + to_utf8_lossy(name.empty() ? std::to_string(status) : name.substr(0, 100));
  if (!message.empty()) text += " (" + to_utf8_lossy(message.substr(0, 300)) + ")";
  return {std::string(code), text + remedy_of(code), retry};
}

Result<SqsMessage> parse_message(const Json& value) {
  if (!value.is_object()) return bad_answer("a message is no object");
  const JsonObject& fields = value.get_object();
  SqsMessage out;
  out.id = get_string(fields, "MessageId");
  out.receipt_handle = get_string(fields, "ReceiptHandle");
  const Json* body = get(fields, "Body");
  if (out.id.empty() || out.receipt_handle.empty() || !body || !body->is_string())
    return bad_answer("a message lacks MessageId, ReceiptHandle or Body");
  out.body = std::string_view(body->get_string());
  if (const std::string digest = get_string(fields, "MD5OfBody"); !digest.empty() && digest != md5_hex(out.body))
    return bad_answer("the body of message " + to_utf8_lossy(out.id.substr(0, 80)) + " does not have its MD5 digest");
  if (const JsonObject* attributes = get_object(fields, "Attributes"))
    for (const auto& member : *attributes)
      if (member.value().is_string()) out.attributes.emplace(member.key(), std::string_view(member.value().get_string()));
  if (const JsonObject* attributes = get_object(fields, "MessageAttributes")) {
    auto parsed = attributes_from_json(*attributes);
    if (!parsed) return bad_answer(parsed.error().message);
    out.message_attributes = std::move(*parsed);
  }
  if (const std::string digest = get_string(fields, "MD5OfMessageAttributes");
      !digest.empty() && digest != md5_of_attributes(out.message_attributes))
    return bad_answer("the attributes of message " + to_utf8_lossy(out.id.substr(0, 80)) + " do not have their MD5 digest");
  return out;
}

/// Failed entries of a batch.
Result<void> check_batch(const JsonObject& answer) {
  const JsonArray* failed = get_array(answer, "Failed");
  if (!failed) return {};
  for (const Json& item : *failed) {
    if (!item.is_object()) return bad_answer("a failed entry is no object");
    const JsonObject& entry = item.get_object();
    const int status = get_bool(entry, "SenderFault") ? 400 : 500;
    return fail(error_named(get_string(entry, "Code"), get_string(entry, "Message"), status));
  }
  return {};
}

}  // namespace

std::string sqs_region_of(std::string_view url) {
  const std::string origin = origin_of(url);
  std::string_view host = origin;
  host.remove_prefix(std::min(host.find("://") + 3, host.size()));
  if (host.starts_with("sqs.") && host.contains(".amazonaws.com")) return std::string(host.substr(4, host.find('.', 4) - 4));
  // The older form: eu-west-1.queue.amazonaws.com, and queue.amazonaws.com.
  constexpr std::string_view kOlder = ".queue.amazonaws.com";
  return host.ends_with(kOlder) ? std::string(host.substr(0, host.size() - kOlder.size())) : std::string();
}

Result<std::vector<SqsMessage>> parse_sqs_messages(const JsonObject& answer) {
  std::vector<SqsMessage> out;
  const Json* messages = get(answer, "Messages");
  if (!messages || messages->is_null()) return out;
  if (!messages->is_array() || messages->get_array().size() > queue::kBatchMax)
    return bad_answer("Messages is no list of at most ten messages");
  for (const Json& item : messages->get_array()) {
    auto message = parse_message(item);
    if (!message) return fail(message.error());
    out.push_back(std::move(*message));
  }
  return out;
}

Error sqs_error_of(int status, std::string_view query_error, std::string_view body) {
  std::string name(query_error.substr(0, query_error.find(';')));
  std::string message;
  if (const auto value = parse_json(body, {.depth_max = 8, .bytes_max = 64 * 1024}); value && value->is_object()) {
    const JsonObject& fields = value->get_object();
    if (name.empty()) name = last_segment(get_string(fields, "__type"), '#');
    message = get_string(fields, "message", get_string(fields, "Message"));
  }
  return error_named(name, message, status);
}

SqsClient::SqsClient(net::HttpClient& http, Clock& clock, SqsClientOptions options)
    : http_(http), clock_(clock), options_(std::move(options)) {
  if (options_.endpoint.empty()) options_.endpoint = origin_of(options_.queue_url);
  if (options_.region.empty()) options_.region = sqs_region_of(options_.queue_url);
  if (options_.region.empty()) options_.region = "us-east-1";
}

Task<Result<JsonObject>> SqsClient::call(std::string operation, JsonObject input, Millis timeout, CancelToken cancel) {
  if (origin_of(options_.queue_url).empty() || origin_of(options_.endpoint).empty())
    co_return fail("sqs.invalid_source", "the URL of the SQS queue must look like https://sqs.REGION.amazonaws.com/ACCOUNT/QUEUE");
  input["QueueUrl"] = options_.queue_url;
  net::ClientRequest request;
  request.method = "POST";
  request.url = options_.endpoint.ends_with('/') ? options_.endpoint : options_.endpoint + "/";
  request.headers.add("Content-Type", "application/x-amz-json-1.0");
  request.headers.add("X-Amz-Target", "AmazonSQS." + operation);
  request.body = to_text(input);
  request.egress = options_.egress;
  request.total_timeout = timeout;
  request.body_bytes_max = kAnswerBytesMax;
  request.cancel = std::move(cancel);
  const net::SigV4SignOptions sign{.access_key_id = options_.credentials.access_key,
                                   .secret_access_key = options_.credentials.secret_key,
                                   .session_token = options_.credentials.session_token,
                                   .region = options_.region,
                                   .service = "sqs",
                                   .now = clock_.now()};
  if (const auto signed_request = net::sign_sigv4(request, sign); !signed_request) {
    if (signed_request.error().code == "sigv4.invalid_request")
      co_return fail("sqs.invalid_source", "the request to SQS cannot be signed: set an access key and a secret key for the source");
    co_return fail(signed_request.error());
  }
  auto answer = co_await http_.send(std::move(request));
  if (!answer) {
    Error error = answer.error();
    if (error.retry == Retry::OutcomeUnknown) error.retry = Retry::Safe;
    co_return fail(std::move(error));
  }
  if (answer->status < 200 || answer->status > 299)
    co_return fail(sqs_error_of(answer->status, answer->headers.get("x-amzn-query-error"), answer->body));
  if (answer->body.empty()) co_return JsonObject();
  auto value = parse_json(answer->body, {.depth_max = 16, .bytes_max = kAnswerBytesMax});
  if (!value) co_return bad_answer(value.error().message);
  if (!value->is_object()) co_return bad_answer("it is no JSON object");
  co_return std::move(value->get_object());
}

Task<Result<std::vector<SqsMessage>>> SqsClient::receive(SqsReceive request) {
  const auto wait = std::clamp(std::chrono::ceil<std::chrono::seconds>(request.wait).count(), std::int64_t{0}, std::int64_t{20});
  JsonObject input{{"MaxNumberOfMessages", std::clamp<std::size_t>(request.messages_max, 1, queue::kBatchMax)},
                   {"WaitTimeSeconds", wait},
                   {"AttributeNames", JsonArray{Json("All")}},
                   {"MessageSystemAttributeNames", JsonArray{Json("All")}},
                   {"MessageAttributeNames", JsonArray{Json("All")}}};
  if (request.visibility) input["VisibilityTimeout"] = std::chrono::ceil<std::chrono::seconds>(*request.visibility).count();
  const Millis timeout = kCallTimeout + std::chrono::seconds(wait);
  auto answer = co_await call("ReceiveMessage", std::move(input), timeout, request.cancel);
  if (!answer) co_return fail(answer.error());
  co_return parse_sqs_messages(*answer);
}

Task<Result<void>> SqsClient::remove(std::vector<std::string> receipt_handles) {
  Result<void> out;
  for (std::size_t from = 0; from < receipt_handles.size(); from += queue::kBatchMax) {
    JsonArray entries;
    for (std::size_t i = from; i < std::min(from + queue::kBatchMax, receipt_handles.size()); ++i)
      entries.push_back(JsonObject{{"Id", std::to_string(i - from)}, {"ReceiptHandle", receipt_handles[i]}});
    const auto answer = co_await call("DeleteMessageBatch", JsonObject{{"Entries", std::move(entries)}}, kCallTimeout, {});
    const auto done = answer ? check_batch(*answer) : Result<void>(fail(answer.error()));
    if (!done && out) out = done;
  }
  co_return out;
}

Task<Result<void>> SqsClient::set_visibility(std::string receipt_handle, Millis visibility) {
  const auto seconds = std::clamp(std::chrono::ceil<std::chrono::seconds>(visibility).count(), std::int64_t{0}, std::int64_t{43'200});
  JsonObject input{{"ReceiptHandle", std::move(receipt_handle)}, {"VisibilityTimeout", seconds}};
  const auto answer = co_await call("ChangeMessageVisibility", std::move(input), kCallTimeout, {});
  if (!answer) co_return fail(answer.error());
  co_return Result<void>();
}

}  // namespace mayfly::trigger
