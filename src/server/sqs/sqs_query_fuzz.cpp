#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "server/sqs/sqs_attributes.h"
#include "server/sqs/sqs_error.h"
#include "server/sqs/sqs_query.h"
#include "server/sqs/sqs_xml.h"

/// The query protocol's parser and the attributes of queues: never crash, every refusal is an error of SQS, answers stay well-formed text.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t cut = text.size() * data[0] / 256;
  const auto query = sqs::parse_query(text.substr(0, cut), text.substr(cut));
  if (!query) {
    if (sqs::to_aws(query.error()).status != 400) std::abort();
    return 0;
  }
  const std::string xml = sqs::to_query_xml("SendMessageBatch", sqs::HasResult::Yes, query->input, "id");
  if (!is_utf8(xml)) std::abort();
  const JsonObject* attributes = get_object(query->input, "Attributes");
  if (!attributes) return 0;
  std::map<std::string, std::string> given;
  for (const auto& member : *attributes) given.emplace(member.key(), std::string_view(member.value().get_string()));
  queue::QueueSpec spec;
  spec.name = "q";
  if (data[0] % 2 == 1) spec.kind = queue::QueueKind::Fifo;
  const auto find = [](const std::string&) -> Result<queue::QueueInfo> { return fail("queue.not_found", ""); };
  if (!sqs::apply_attributes(spec, given, find)) return 0;
  // What was accepted is shown so that it is accepted again and changes nothing.
  const auto name = [](std::string_view queue) { return "arn:aws:sqs:r:000000000000:" + std::string(queue); };
  queue::QueueSpec again = spec;
  if (!sqs::apply_attributes(again, sqs::to_attributes(spec, name), find)) std::abort();
  if (sqs::to_attributes(again, name) != sqs::to_attributes(spec, name)) std::abort();
  return 0;
}
