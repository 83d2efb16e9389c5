#include "agent/agent_input.h"

#include <algorithm>
#include <map>
#include <set>

#include "agent/agent_program.h"
#include "agent/object_of.h"

namespace mayfly::agent {
namespace {

using engine::Operation;
using engine::OperationStatus;
using llm::Content;
using llm::Message;
using llm::Role;

constexpr std::size_t kPartsMax = 100;
constexpr std::size_t kAnswerBytesMax = 64 * 1024;  ///< of others, that goes back to the model

Json text_part(std::string_view text) { return llm::to_json(Content::make_text(std::string(text))); }

std::unexpected<Error> bad(std::string why) {
  return fail("input.invalid", why + "; send a text, or {\"message\": text or content parts, \"data\": any JSON}");
}

bool is_call_kind(std::string_view kind) {
  return kind == kind::kTool || kind == kind::kMemory || kind == kind::kRefused || kind == kind::kSleep || kind == kind::kAsk ||
         kind == kind::kApproval || kind == kind::kEvent || kind == kind::kDelegate || kind == kind::kFanOut || kind == kind::kHandOff ||
         kind == kind::kHandBack;
}

/// A call by the model operation that asked for it and its id: some providers use an id again in every answer.
using CallKey = std::pair<std::int64_t, std::string>;

std::map<CallKey, const Operation*> results_of_calls(const std::vector<Operation>& operations, std::int64_t upto) {
  std::set<std::int64_t> answers;
  for (const Operation& op : operations)
    if (op.kind == kind::kModel) answers.insert(op.id);
  std::map<CallKey, const Operation*> out;
  for (const Operation& op : operations) {
    if (op.id >= upto || !is_call_kind(op.kind)) continue;
    // An approval that led to a call is only its prelude: the call's own operation comes later and wins.
    if (op.kind == kind::kApproval && op.status == OperationStatus::Succeeded && get_bool(object_of(op.result), "approved")) continue;
    const auto next = answers.lower_bound(op.id);
    if (next != answers.begin()) out[{*std::prev(next), get_string(object_of(op.input), "call")}] = &op;
  }
  return out;
}

std::string cut_to(std::string text, std::size_t bytes_max) {
  if (text.size() > bytes_max) text = to_utf8_lossy(text.substr(0, bytes_max)) + "… (cut off)";
  return text;
}

/// Destinations passed on the way here; never less than none.
std::int64_t hops_of(const JsonObject& object) {
  std::int64_t hops = get_int(object, "hops");
  if (const JsonObject* data = get_object(object, "data")) hops = std::max(hops, get_int(*data, "hops"));
  return std::clamp<std::int64_t>(hops, 0, 1'000'000);
}

/// What another agent's run left for this one's model.
std::string answer_text(const Operation& op, std::size_t bytes_max) {
  const JsonObject& result = object_of(op.result);
  if (op.status == OperationStatus::Succeeded) {
    const std::string text = cut_to(get_string(result, "text"), bytes_max);
    return get_bool(result, "handed_back") ? op.name + " handed the conversation back to you: " + text : text;
  }
  if (op.status == OperationStatus::Cancelled) return "Cancelled before it ended.";
  return op.name + " did not succeed: " + (op.error ? cut_to(op.error->message, 2'000) : "no reason given");
}

}  // namespace

std::size_t gathered_bytes_max(std::size_t tasks) { return std::max<std::size_t>(kAnswerBytesMax / std::max<std::size_t>(tasks, 1), 1'024); }

std::string fan_out_text(const Operation& operation, const std::vector<Operation>& operations) {
  const JsonObject& result = object_of(operation.result);
  const JsonArray* tasks = get_array(result, "tasks");
  if (operation.status != OperationStatus::Succeeded || !tasks) return "This call was cancelled before it ended.";
  std::string out;
  std::int64_t good = 0;
  for (std::size_t i = 0; i < tasks->size(); ++i) {
    const JsonObject& task = object_of((*tasks)[i]);
    const std::string state = get_string(task, "state");
    good += state == "succeeded" ? 1 : 0;
    out += "\n\n" + std::to_string(i + 1) + ". " + get_string(task, "agent") + ": " + state;
    const auto child = std::ranges::find(operations, get_int(task, "operation", -1), &Operation::id);
    if (state == "refused") out += ". " + get_string(task, "why");
    if (child != operations.end() && (state == "succeeded" || state == "failed"))
      out += (state == "failed" ? ". " : "\n") + answer_text(*child, gathered_bytes_max(tasks->size()));
  }
  return std::to_string(good) + " of " + std::to_string(tasks->size()) + " tasks succeeded (gather: " + get_string(result, "gather") +
         (get_bool(result, "met") ? ")." : "): not as many as were needed.") + out;
}

Lineage lineage_of_input(const Json& input) {
  const Json* lineage = get(object_of(input), "lineage");
  Lineage out = lineage ? Lineage::from_json(*lineage) : Lineage{};
  out.hops = std::max(out.hops, hops_of(object_of(input)));
  return out;
}

Result<Json> normalise_input(const Json& input) {
  JsonObject out;
  JsonArray parts;
  const JsonObject* object = input.if_object();
  const Json* message = object ? get(*object, "message") : nullptr;
  if (const auto* text = input.if_string()) {
    parts.push_back(text_part(*text));
  } else if (message && message->is_string()) {
    parts.push_back(text_part(message->get_string()));
  } else if (message && message->is_array()) {
    for (const Json& part : message->get_array()) {
      auto content = llm::content_from_json(part);
      if (!content) return bad("a content part cannot be read: " + content.error().message);
      if (content->kind != Content::Kind::Text && content->kind != Content::Kind::Image) return bad("content parts are texts and images");
      parts.push_back(llm::to_json(*content));
    }
  } else if (message) {
    return bad("`message` is neither a text nor a list of content parts");
  } else if (input.is_null()) {
    return bad("there is no input");
  } else {
    parts.push_back(text_part(to_text(input)));
  }
  if (message && object) {
    for (const auto& member : *object)
      if (member.key() != "message" && member.key() != "data" && member.key() != "hops")
        return bad("unknown key `" + std::string(member.key()) + "` beside `message`");
    if (const Json* data = get(*object, "data")) out["data"] = *data;
  }
  if (parts.empty()) return bad("the message is empty");
  if (parts.size() > kPartsMax) return bad("the message has more than 100 parts");
  out["message"] = std::move(parts);
  // An event of another run, as it came out of a queue or a trigger without a mapping.
  if (const std::int64_t hops = object ? hops_of(*object) : 0; hops > 0) out["hops"] = hops;
  return out;
}

Message message_of_input(const Json& input) {
  Message out;
  const JsonObject& object = object_of(input);
  if (const JsonArray* parts = get_array(object, "message"))
    for (const Json& part : *parts)
      if (auto content = llm::content_from_json(part)) out.content.push_back(std::move(*content));
  if (const Json* data = get(object, "data")) out.content.push_back(Content::make_text("Data:\n" + to_text(*data)));
  return out;
}

std::vector<Message> history_of_input(const Json& input) {
  std::vector<Message> out;
  if (const JsonArray* history = get_array(object_of(input), "history"))
    for (const Json& entry : *history)
      if (auto message = llm::message_from_json(entry)) out.push_back(std::move(*message));
  return out;
}

bool tool_result_is_error(const Operation& op) {
  if (op.kind == kind::kApproval) return true;
  if (op.status == OperationStatus::TimedOut && op.kind == kind::kAsk) return true;
  if (op.status != OperationStatus::Succeeded) return true;
  if (op.kind == kind::kFanOut) return !get_bool(object_of(op.result), "met");
  if (op.kind == kind::kEvent) return false;
  return get_bool(object_of(op.result), "is_error");
}

std::string tool_result_text(const Operation& op) {
  const JsonObject& result = object_of(op.result);
  if (op.kind == kind::kApproval) {
    if (op.status == OperationStatus::TimedOut) return "A person had to approve this call, and nobody answered in time. It was not made.";
    const std::string comment = get_string(result, "comment");
    return "A person denied this call; it was not made." + (comment.empty() ? "" : " Their comment: " + comment);
  }
  if (op.kind == kind::kSleep && op.status == OperationStatus::Succeeded)
    return "The wait is over. It is now " + to_rfc3339(op.ended) + ".";
  if (op.kind == kind::kAsk) {
    if (op.status == OperationStatus::TimedOut) {
      const std::string otherwise = get_string(object_of(op.input), "default");
      return otherwise.empty() ? "Nobody answered in time." : "Nobody answered in time; the default answer counts: " + otherwise;
    }
    if (op.status == OperationStatus::Succeeded) {
      const std::string comment = get_string(result, "comment");
      return get_string(result, "answer") + (comment.empty() ? "" : "\nComment: " + comment);
    }
  }
  if (op.kind == kind::kEvent && op.status == OperationStatus::TimedOut) return "Timed out: no such event came in time.";
  if (op.kind == kind::kEvent && op.status == OperationStatus::Succeeded) return cut_to(to_text(op.result), kAnswerBytesMax);
  if (op.kind == kind::kHandOff && op.status == OperationStatus::Succeeded && !get_bool(result, "handed_back"))
    return op.name + " took the conversation over.";
  if (op.type == engine::OperationType::ChainedInvoke) return answer_text(op, kAnswerBytesMax);
  if (op.status == OperationStatus::Succeeded) return get_string(result, "text");
  if (op.status == OperationStatus::Cancelled) return "This call was cancelled before it ended.";
  const std::string why = op.error ? op.error->message : "it failed";
  if (op.error && op.error->retry == Retry::OutcomeUnknown) return "This call failed and may or may not have taken effect: " + why;
  return "This call failed: " + why;
}

std::vector<Message> conversation_of(const std::vector<Operation>& operations, std::int64_t from, std::int64_t upto) {
  std::vector<Message> out;
  std::vector<Message> joined;          // messages and notes that wait for the results of the calls before them
  std::vector<std::string> open_calls;  // of the newest model answer, in its order
  std::int64_t answer = 0;              // the model operation that made them
  const auto results = results_of_calls(operations, upto);
  const auto close_calls = [&] {
    if (!open_calls.empty()) {
      Message message;
      message.role = Role::Tool;
      for (const std::string& call : open_calls) {
        const auto result = results.find({answer, call});
        const bool known = result != results.end();
        const bool gathers = known && result->second->kind == kind::kFanOut;
        message.content.push_back(Content::make_tool_result(call,
                                                            gathers ? fan_out_text(*result->second, operations)
                                                            : known ? tool_result_text(*result->second)
                                                                    : "This call was not made.",
                                                            !known || tool_result_is_error(*result->second)));
      }
      out.push_back(std::move(message));
      open_calls.clear();
    }
    for (Message& message : joined) out.push_back(std::move(message));
    joined.clear();
  };
  for (const Operation& op : operations) {
    if (op.id >= upto || op.id <= from) continue;
    if (op.type == engine::OperationType::Execution) {
      for (Message& message : history_of_input(op.input)) out.push_back(std::move(message));
      if (Message message = message_of_input(op.input); !message.content.empty()) out.push_back(std::move(message));
    } else if (op.kind == "message") {
      joined.push_back(message_of_input(op.input));
    } else if (op.kind == kind::kFeedback) {
      joined.push_back(Message::user(get_string(object_of(op.input), "text")));
    } else if (op.kind == kind::kForward || op.kind == kind::kHandOff) {
      // Another agent spoke in this conversation, instead of this run's model.
      close_calls();
      const bool ok = op.status == OperationStatus::Succeeded, back = get_bool(object_of(op.result), "handed_back");
      if (ok && !back) {
        Message message;
        message.role = Role::Assistant;
        message.content.push_back(Content::make_text(answer_text(op, kAnswerBytesMax)));
        out.push_back(std::move(message));
      } else if (op.kind == kind::kForward && op.status != OperationStatus::Cancelled) {
        out.push_back(Message::user("(" + answer_text(op, kAnswerBytesMax) + " It is for you to answer now.)"));
      }
    } else if (op.kind == kind::kModel && op.status == OperationStatus::Succeeded) {
      close_calls();
      answer = op.id;
      const Json* body = get(object_of(op.result), "message");
      auto message = body ? llm::message_from_json(*body) : Result<Message>(fail("", ""));
      if (!message) continue;
      for (Content& part : message->content) {
        if (part.kind != Content::Kind::ToolCall) continue;
        open_calls.push_back(part.id);
        if (part.arguments.is_object()) continue;
        // The providers want an object back, whatever the model wrote.
        const auto made = results.find({answer, part.id});
        const Json* repaired = made != results.end() ? get(object_of(made->second->input), "arguments") : nullptr;
        part.arguments = repaired ? *repaired : Json(JsonObject{});
        part.text.clear();
      }
      if (!message->content.empty()) out.push_back(std::move(*message));
    }
  }
  close_calls();
  return out;
}

}  // namespace mayfly::agent
