#include <algorithm>

#include "base/hash.h"
#include "server/sqs/sqs_attributes.h"
#include "server/sqs/sqs_call.h"

namespace mayfly::sqs {
namespace {

constexpr std::size_t kQueuesMax = 1'000;
constexpr std::size_t kTagsMax = 50;

auto finder(const SqsCall& call) {
  return [&call](const std::string& name) { return call.queues().info(name); };
}
auto namer(const SqsCall& call) {
  return [&call](std::string_view name) { return call.arn_of(name); };
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= 80 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

Result<void> check_name(std::string_view name, queue::QueueKind kind) {
  if (kind == queue::QueueKind::Standard) {
    if (is_name(name)) return {};
    return invalid_value("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length");
  }
  if (name.size() <= 80 && name.ends_with(".fifo") && is_name(name.substr(0, name.size() - 5))) return {};
  return invalid_value(
      "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to "
      "80 "
      "in length.");
}

/// What exists stays: the given attributes must be equal to its own.
Result<void> check_same(const SqsCall& call, const queue::QueueSpec& existing, const queue::QueueSpec& wanted) {
  const auto before = to_attributes(existing, namer(call));
  for (const auto& [name, value] : to_attributes(wanted, namer(call))) {
    const auto found = before.find(name);
    if (found == before.end() || found->second != value)
      return sqs_error("QueueNameExists", "A queue already exists with the same name and a different value for attribute " + name);
  }
  return {};
}

struct Page {
  std::vector<std::string> names;
  std::string next;
};
/// Pages are only made when the client asks for a number of results. The token is the last name given.
Result<Page> page_of(Fields& fields, std::vector<std::string> names) {
  const auto count = fields.integer("MaxResults");
  const auto token = fields.text("NextToken");
  if (const auto fine = fields.done(); !fine) return fail(fine.error());
  if (count && (*count < 1 || *count > static_cast<std::int64_t>(kQueuesMax)))
    return invalid_value("Value " + std::to_string(*count) + " for parameter MaxResults is invalid. Reason: Must be between 1 and 1000.");
  std::ranges::sort(names);
  if (token && !token->empty()) {
    const auto after = from_base64(*token);
    if (!after) return invalid_value("Invalid or expired next token.");
    names.erase(names.begin(), std::ranges::upper_bound(names, *after));
  }
  const std::size_t most = count ? static_cast<std::size_t>(*count) : kQueuesMax;
  Page out;
  if (names.size() > most && count) out.next = to_base64(names[most - 1]);
  names.resize(std::min(names.size(), most));
  out.names = std::move(names);
  return out;
}

JsonObject page_answer(const SqsCall& call, const Page& page, std::string_view member) {
  JsonArray urls;
  for (const std::string& name : page.names) urls.emplace_back(call.url_of(name));
  JsonObject out{{member, std::move(urls)}};
  if (!page.next.empty()) out["NextToken"] = page.next;
  return out;
}

std::map<std::string, std::string> all_attributes(const SqsCall& call, const queue::QueueInfo& info) {
  auto out = to_attributes(info.spec, namer(call));
  const auto depth = call.queues().depth(info.spec.name).value_or(queue::QueueDepth{});
  out["ApproximateNumberOfMessages"] = std::to_string(depth.visible);
  out["ApproximateNumberOfMessagesNotVisible"] = std::to_string(depth.in_flight);
  out["ApproximateNumberOfMessagesDelayed"] = std::to_string(depth.delayed);
  out["CreatedTimestamp"] = std::to_string(to_unix_ms(info.created) / 1'000);
  out["LastModifiedTimestamp"] = std::to_string(to_unix_ms(info.modified) / 1'000);
  out["QueueArn"] = call.arn_of(info.spec.name);
  return out;
}

}  // namespace

Task<Result<JsonObject>> create_queue(SqsCall* call) {
  Fields fields(call->input);
  const auto name = fields.text("QueueName");
  const auto attributes = fields.map("Attributes").value_or(std::map<std::string, std::string>());
  const auto tags = fields.map(call->input.contains("tags") ? "tags" : "Tags");
  if (const auto fine = fields.done(); !fine) co_return fail(fine.error());
  if (!name || name->empty()) co_return missing("QueueName");
  queue::QueueSpec spec;
  spec.name = *name;
  const auto fifo = attributes.find("FifoQueue");
  if (fifo != attributes.end() && net::equal_ignoring_case(fifo->second, "true")) spec.kind = queue::QueueKind::Fifo;
  if (const auto fine = check_name(spec.name, spec.kind); !fine) co_return fail(fine.error());
  const auto existing = call->queues().info(spec.name);
  if (existing && existing->spec.kind == spec.kind) spec = existing->spec;
  if (const auto applied = apply_attributes(spec, attributes, finder(*call)); !applied) co_return fail(applied.error());
  if (tags && tags->size() > kTagsMax) co_return invalid_value("Too many tags added for queue " + spec.name + ".");
  if (existing) {
    if (const auto same = check_same(*call, existing->spec, spec); !same) co_return fail(same.error());
  } else {
    if (tags) spec.tags = *tags;
    const auto made = co_await call->queues().create(std::move(spec));
    if (!made) co_return fail(made.error());
  }
  co_return JsonObject{{"QueueUrl", call->url_of(*name)}};
}

Task<Result<JsonObject>> delete_queue(SqsCall* call) {
  const auto info = call->queue();
  if (!info) co_return fail(info.error());
  const auto done = co_await call->queues().remove(info->spec.name);
  if (!done) co_return fail(done.error());
  co_return JsonObject();
}

Task<Result<JsonObject>> list_queues(SqsCall* call) {
  Fields fields(call->input);
  std::vector<std::string> names;
  for (const auto& info : call->queues().list(fields.text("QueueNamePrefix").value_or(""))) names.push_back(info.spec.name);
  const auto page = page_of(fields, std::move(names));
  if (!page) co_return fail(page.error());
  if (page->names.empty()) co_return JsonObject();
  co_return page_answer(*call, *page, "QueueUrls");
}

Task<Result<JsonObject>> list_dead_letter_source_queues(SqsCall* call) {
  const auto info = call->queue();
  if (!info) co_return fail(info.error());
  Fields fields(call->input);
  const auto page = page_of(fields, call->queues().sources_of(info->spec.name));
  if (!page) co_return fail(page.error());
  co_return page_answer(*call, *page, "queueUrls");
}

Task<Result<JsonObject>> get_queue_url(SqsCall* call) {
  Fields fields(call->input);
  const auto name = fields.text("QueueName");
  if (const auto fine = fields.done(); !fine) co_return fail(fine.error());
  if (!name || name->empty()) co_return missing("QueueName");
  const auto info = call->queues().info(*name);
  if (!info) co_return fail(info.error());
  co_return JsonObject{{"QueueUrl", call->url_of(info->spec.name)}};
}

Task<Result<JsonObject>> get_queue_attributes(SqsCall* call) {
  const auto info = call->queue();
  if (!info) co_return fail(info.error());
  Fields fields(call->input);
  const auto names = fields.texts("AttributeNames").value_or(std::vector<std::string>());
  if (const auto fine = fields.done(); !fine) co_return fail(fine.error());
  for (const std::string& name : names)
    if (!is_attribute(name)) co_return sqs_error("InvalidAttributeName", "Unknown Attribute " + name.substr(0, 100) + ".");
  const bool all = std::ranges::find(names, "All") != names.end();
  JsonObject out;
  for (const auto& [name, value] : all_attributes(*call, *info))
    if (all || std::ranges::find(names, name) != names.end()) out[name] = value;
  if (out.empty()) co_return JsonObject();
  co_return JsonObject{{"Attributes", std::move(out)}};
}

Task<Result<JsonObject>> set_queue_attributes(SqsCall* call) {
  auto info = call->queue();
  if (!info) co_return fail(info.error());
  Fields fields(call->input);
  const auto attributes = fields.map("Attributes");
  if (const auto fine = fields.done(); !fine) co_return fail(fine.error());
  if (!attributes) co_return missing("Attributes");
  if (const auto applied = apply_attributes(info->spec, *attributes, finder(*call)); !applied) co_return fail(applied.error());
  const auto done = co_await call->queues().put(std::move(info->spec));
  if (!done) co_return fail(done.error());
  co_return JsonObject();
}

Task<Result<JsonObject>> purge_queue(SqsCall* call) {
  const auto info = call->queue();
  if (!info) co_return fail(info.error());
  const auto done = co_await call->queues().purge(info->spec.name);
  if (!done && done.error().code == "queue.purge_in_progress")
    co_return sqs_error("PurgeQueueInProgress", "Only one PurgeQueue operation on " + info->spec.name + " is allowed every 60 seconds.");
  if (!done) co_return fail(done.error());
  co_return JsonObject();
}

}  // namespace mayfly::sqs
