#include "server/sqs/sqs_query.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <vector>

#include "net/http.h"
#include "server/sqs/sqs_error.h"

namespace mayfly::sqs {
namespace {

constexpr std::size_t kParametersMax = 1'000, kDepthMax = 6;
constexpr std::size_t kItemsMax = 100;

/// The parameters as a tree: "A.1.B" is the node B of 1 of A.
struct Node {
  std::optional<std::string> value;
  std::map<std::string, Node, std::less<>> children;
};

enum class Kind { List, Entries, Map, StructMap };
struct Flattened {
  std::string_view parameter;
  std::string_view member;  ///< of the JSON protocol
  Kind kind;
  std::string_view key = "Name";
};
constexpr auto kFlattened = std::to_array<Flattened>({
    {"AttributeName", "AttributeNames", Kind::List},
    {"MessageSystemAttributeName", "MessageSystemAttributeNames", Kind::List},
    {"MessageAttributeName", "MessageAttributeNames", Kind::List},
    {"TagKey", "TagKeys", Kind::List},
    {"AWSAccountId", "AWSAccountIds", Kind::List},
    {"ActionName", "Actions", Kind::List},
    {"SendMessageBatchRequestEntry", "Entries", Kind::Entries},
    {"DeleteMessageBatchRequestEntry", "Entries", Kind::Entries},
    {"ChangeMessageVisibilityBatchRequestEntry", "Entries", Kind::Entries},
    {"Attribute", "Attributes", Kind::Map},
    {"Tag", "Tags", Kind::Map, "Key"},
    {"MessageAttribute", "MessageAttributes", Kind::StructMap},
    {"MessageSystemAttribute", "MessageSystemAttributes", Kind::StructMap},
});
constexpr std::array<std::string_view, 6> kNumbers{"DelaySeconds",        "VisibilityTimeout", "WaitTimeSeconds",
                                                   "MaxNumberOfMessages", "MaxResults",        "MaxNumberOfMessagesPerSecond"};

std::unexpected<Error> malformed(std::string why) { return sqs_error("SerializationException", std::move(why)); }

Result<void> insert(Node& root, std::string_view name, std::string value) {
  Node* at = &root;
  for (std::size_t depth = 0; !name.empty(); ++depth) {
    if (depth == kDepthMax) return malformed("a parameter's name has more than 6 parts");
    const auto end = std::min(name.find('.'), name.size());
    at = &at->children[std::string(name.substr(0, end))];
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  at->value = std::move(value);
  return {};
}

Result<void> insert_all(Node& root, std::string_view text, std::size_t* count) {
  while (!text.empty()) {
    const auto end = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (pair.empty()) continue;
    if (++*count > kParametersMax) return malformed("there are more than 1000 parameters");
    const auto equals = std::min(pair.find('='), pair.size());
    const auto name = net::percent_decode(pair.substr(0, equals), true);
    auto value = net::percent_decode(equals == pair.size() ? std::string_view() : pair.substr(equals + 1), true);
    if (!name || name->empty() || !value || !is_utf8(*name) || !is_utf8(*value))
      return malformed("a parameter is not percent-encoded UTF-8");
    if (const auto done = insert(root, *name, std::move(*value)); !done) return done;
  }
  return {};
}

/// The items of a flattened list in the order of their numbers; one without a number stands alone.
Result<std::vector<const Node*>> items_of(const Node& node) {
  std::map<std::uint32_t, const Node*> numbered;
  for (const auto& [name, child] : node.children) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc() && end == name.data() + name.size()) numbered.emplace(number, &child);
  }
  if (numbered.size() > kItemsMax) return malformed("a list has more than 100 items");
  std::vector<const Node*> out;
  for (const auto& item : numbered) out.push_back(item.second);
  if (out.empty()) out.push_back(&node);
  return out;
}

Result<JsonObject> struct_of(const Node& node);

Result<Json> scalar_of(std::string_view name, const std::string& text) {
  if (std::ranges::find(kNumbers, name) == kNumbers.end()) return Json(text);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size())
    return invalid_value("Value " + text.substr(0, 40) + " for parameter " + std::string(name) +
                         " is invalid. Reason: Must be an integer.");
  return Json(number);
}

const Node* child_of(const Node& node, std::string_view name) {
  const auto found = node.children.find(name);
  return found == node.children.end() ? nullptr : &found->second;
}

Result<Json> flattened_of(const Flattened& rule, const Node& node) {
  auto items = items_of(node);
  if (!items) return fail(items.error());
  JsonArray list;
  JsonObject map;
  for (const Node* item : *items) {
    if (rule.kind == Kind::List) {
      if (item->value) list.emplace_back(*item->value);
      continue;
    }
    if (rule.kind == Kind::Entries) {
      auto entry = struct_of(*item);
      if (!entry) return fail(entry.error());
      list.emplace_back(std::move(*entry));
      continue;
    }
    const Node* key = child_of(*item, rule.key);
    const Node* value = child_of(*item, "Value");
    if (!key || !key->value) return missing(std::string(rule.parameter) + ".1." + std::string(rule.key));
    if (map.contains(*key->value)) return invalid_value("the parameter " + std::string(rule.parameter) + " names one thing twice");
    if (rule.kind == Kind::Map) {
      map[*key->value] = value && value->value ? *value->value : std::string();
      continue;
    }
    auto fields = value ? struct_of(*value) : Result<JsonObject>(JsonObject());
    if (!fields) return fail(fields.error());
    map[*key->value] = std::move(*fields);
  }
  if (rule.kind == Kind::List || rule.kind == Kind::Entries) return Json(std::move(list));
  return Json(std::move(map));
}

Result<JsonObject> struct_of(const Node& node) {
  JsonObject out;
  for (const auto& [name, child] : node.children) {
    const auto rule = std::ranges::find(kFlattened, name, &Flattened::parameter);
    auto value = rule != kFlattened.end() ? flattened_of(*rule, child)
                 : child.value            ? scalar_of(name, *child.value)
                                          : Result<Json>(Json(nullptr));
    if (!value) return fail(value.error());
    if (value->is_null()) continue;  // parts of names that no operation has
    out[rule != kFlattened.end() ? rule->member : std::string_view(name)] = std::move(*value);
  }
  return out;
}

}  // namespace

Result<QueryRequest> parse_query(std::string_view url_query, std::string_view form) {
  Node root;
  std::size_t count = 0;
  for (const std::string_view text : {url_query, form})
    if (const auto done = insert_all(root, text, &count); !done) return fail(done.error());
  auto input = struct_of(root);
  if (!input) return fail(input.error());
  QueryRequest out{get_string(*input, "Action"), get_string(*input, "Version"), std::move(*input)};
  for (const char* name : {"Action", "Version"}) out.input.erase(name);
  return out;
}

}  // namespace mayfly::sqs
