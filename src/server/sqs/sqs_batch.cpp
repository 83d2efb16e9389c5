#include "server/sqs/sqs_batch.h"

#include <algorithm>
#include <set>

namespace mayfly::sqs {
namespace {

bool is_id(std::string_view id) {
  return !id.empty() && id.size() <= 80 && std::ranges::all_of(id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

}  // namespace

Result<std::vector<BatchEntry>> read_batch(const SqsCall& call, std::string_view verb) {
  const JsonArray* entries = get_array(call.input, "Entries");
  const std::string kind = std::string(verb) + (verb == "ChangeMessageVisibility" ? "BatchRequestEntry" : "MessageBatchRequestEntry");
  if (!entries || entries->empty()) return sqs_error("EmptyBatchRequest", "There should be at least one " + kind + " in the request.");
  if (entries->size() > queue::kBatchMax)
    return sqs_error("TooManyEntriesInBatchRequest",
                     "Maximum number of entries per request are 10. You have sent " + std::to_string(entries->size()) + ".");
  std::vector<BatchEntry> out;
  std::set<std::string, std::less<>> ids;
  for (const Json& item : *entries) {
    if (!item.is_object()) return sqs_error("SerializationException", "an entry of the batch is no object");
    const Json* id = get(item.get_object(), "Id");
    if (!id || !id->is_string()) return missing(kind + ".1.Id");
    BatchEntry entry{std::string(std::string_view(id->get_string())), &item.get_object()};
    if (!is_id(entry.id))
      return sqs_error(
          "InvalidBatchEntryId",
          "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.");
    if (!ids.insert(entry.id).second) return sqs_error("BatchEntryIdsNotDistinct", "Id " + entry.id + " repeated.");
    out.push_back(std::move(entry));
  }
  return out;
}

void BatchAnswer::succeed(const std::string& id, JsonObject more) {
  more["Id"] = id;
  successful_.push_back(std::move(more));
}

void BatchAnswer::fail(const std::string& id, const Error& error) {
  const AwsError aws = to_aws(error);
  failed_.push_back(JsonObject{{"Id", id}, {"SenderFault", aws.is_senders}, {"Code", aws.query_code}, {"Message", aws.message}});
}

JsonObject BatchAnswer::take() {
  return {{"Successful", std::move(successful_)}, {"Failed", std::move(failed_)}};
}

}  // namespace mayfly::sqs
