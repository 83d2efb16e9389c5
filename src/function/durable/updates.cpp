#include "function/durable/updates.h"

#include <algorithm>
#include <array>
#include <utility>

namespace mayfly::function {
namespace {

constexpr std::int64_t kDelaySecondsMax = 31'622'400;
constexpr std::int64_t kCallbackSecondsMax = 99'999'999;
constexpr std::size_t kStackEntriesMax = 1'000;

std::unexpected<Error> invalid(std::string message) { return fail("checkpoint.invalid", std::move(message)); }

bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

std::optional<engine::OperationType> type_of(std::string_view text) {
  using engine::OperationType;
  for (const OperationType type : {OperationType::Execution, OperationType::Context, OperationType::Step, OperationType::Wait,
                                   OperationType::Callback, OperationType::ChainedInvoke})
    if (engine::to_string(type) == text) return type;
  return std::nullopt;
}

std::optional<Action> action_of(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, Action>, 5> kActions{{{"START", Action::Start},
                                                                                {"SUCCEED", Action::Succeed},
                                                                                {"FAIL", Action::Fail},
                                                                                {"RETRY", Action::Retry},
                                                                                {"CANCEL", Action::Cancel}}};
  for (const auto& [name, action] : kActions)
    if (name == text) return action;
  return std::nullopt;
}

/// Reads one update; keeps the first error.
class Reader {
 public:
  Reader(const JsonObject& update, std::size_t index) : update_(update), where_("update " + std::to_string(index + 1)) {}

  Result<Update> read() {
    Update out;
    out.id = text("Id", 64);
    out.parent = text("ParentId", 64);
    out.name = text("Name", 256);
    out.sub_type = text("SubType", 32);
    const auto type = type_of(text("Type", 32));
    const auto action = action_of(text("Action", 32));
    if (!is_id(out.id)) refuse("Id must have 1 to 64 characters of [a-zA-Z0-9-_]");
    if (!out.parent.empty() && !is_id(out.parent)) refuse("ParentId must have 1 to 64 characters of [a-zA-Z0-9-_]");
    if (!type) refuse("Unknown operation type.");
    if (!action) refuse("Unknown action; use START, SUCCEED, FAIL, RETRY or CANCEL");
    if (!error_) {
      where_ += " (" + out.id + ")";
      out.type = *type;
      out.action = *action;
      payload(out);
      options(out);
      additions(out);
    }
    if (error_) return std::unexpected(*error_);
    return out;
  }

 private:
  void refuse(const std::string& message) {
    if (!error_) error_ = Error{"checkpoint.invalid", where_ + ": " + message, Retry::Never};
  }

  std::string text(std::string_view key, std::size_t bytes_max) {
    const Json* value = mayfly::get(update_, key);
    if (!value || value->is_null()) return {};
    if (!value->is_string()) {
      refuse(std::string(key) + " must be a string");
      return {};
    }
    if (value->get_string().size() > bytes_max) refuse(std::string(key) + " has more than " + std::to_string(bytes_max) + " characters");
    return std::string(value->get_string());
  }

  void payload(Update& out) {
    if (const Json* value = mayfly::get(update_, "Payload"); value && !value->is_null()) {
      out.payload = *value;
      if (value->is_string())
        out.payload_bytes = value->get_string().size();
      else if (mayfly::get(update_, kBytesMember))  // only the service puts references
        out.payload_bytes = static_cast<std::size_t>(get_int(update_, kBytesMember));
      else
        refuse("Payload must be a string");
      if (out.payload_bytes > kPayloadBytesMax) refuse("Payload has more than " + std::to_string(kPayloadBytesMax) + " bytes");
    }
    if (const Json* value = mayfly::get(update_, "Error"); value && !value->is_null()) {
      auto error = parse_error_object(*value);
      if (!error)
        refuse(error.error().message);
      else
        out.error = std::move(*error);
    }
  }

  const JsonObject* object(std::string_view key) {
    const Json* value = mayfly::get(update_, key);
    if (!value || value->is_null()) return nullptr;
    if (!value->is_object()) refuse(std::string(key) + " must be an object");
    return value->if_object();
  }

  std::optional<std::int64_t> seconds(const JsonObject& from, std::string_view key, std::int64_t least, std::int64_t most) {
    const Json* value = mayfly::get(from, key);
    if (!value || value->is_null()) return std::nullopt;
    const std::int64_t number = value->is_int64() ? value->get_int64() : value->is_uint64() ? most + 1 : least - 1;
    if (number < least || number > most)
      refuse(std::string(key) + " must be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    return number;
  }

  void options(Update& out) {
    if (const JsonObject* from = object("StepOptions"))
      out.retry_delay = seconds(*from, "NextAttemptDelaySeconds", 1, kDelaySecondsMax).value_or(0);
    if (const JsonObject* from = object("WaitOptions")) out.wait = seconds(*from, "WaitSeconds", 1, kDelaySecondsMax);
    if (const JsonObject* from = object("CallbackOptions")) {
      out.timeout = seconds(*from, "TimeoutSeconds", 0, kCallbackSecondsMax).value_or(0);
      out.heartbeat = seconds(*from, "HeartbeatTimeoutSeconds", 0, kCallbackSecondsMax).value_or(0);
    }
    if (const JsonObject* from = object("ContextOptions")) out.replay_children = get_bool(*from, "ReplayChildren");
    if (const JsonObject* from = object("ChainedInvokeOptions")) {
      out.has_invoke_options = true;
      out.function = get_string(*from, "FunctionName");
      out.tenant = get_string(*from, "TenantId");
    }
  }

  void additions(Update& out) {
    out.callback_id = get_string(update_, kCallbackMember);
    if (const Json* value = mayfly::get(update_, kInvokeMember)) out.invoke = *value;
    if (const Json* value = mayfly::get(update_, kRefusedMember)) out.refused = *value;
  }

  const JsonObject& update_;
  std::string where_;
  std::optional<Error> error_;
};

}  // namespace

Result<std::vector<Update>> parse_updates(const JsonArray& updates) {
  if (updates.size() > kUpdatesMax)
    return invalid("a checkpoint has at most " + std::to_string(kUpdatesMax) + " updates; send them in parts");
  std::vector<Update> out;
  out.reserve(updates.size());
  for (std::size_t i = 0; i < updates.size(); ++i) {
    if (!updates[i].is_object()) return invalid("update " + std::to_string(i + 1) + " must be an object");
    auto update = Reader(updates[i].get_object(), i).read();
    if (!update) return std::unexpected(update.error());
    out.push_back(std::move(*update));
  }
  return out;
}

Result<Json> parse_error_object(const Json& value) {
  const JsonObject* from = value.if_object();
  if (!from) return invalid("Error must be an object with ErrorType, ErrorMessage, ErrorData, StackTrace");
  JsonObject out;
  for (const std::string_view key : {"ErrorMessage", "ErrorType", "ErrorData"}) {
    const Json* member = mayfly::get(*from, key);
    if (!member || member->is_null()) continue;
    if (!member->is_string()) return invalid(std::string(key) + " must be a string");
    out[key] = *member;
  }
  if (const Json* trace = mayfly::get(*from, "StackTrace"); trace && !trace->is_null()) {
    const JsonArray* lines = trace->if_array();
    if (!lines || lines->size() > kStackEntriesMax || !std::ranges::all_of(*lines, [](const Json& line) { return line.is_string(); }))
      return invalid("StackTrace must be a list of at most " + std::to_string(kStackEntriesMax) + " strings");
    out["StackTrace"] = *trace;
  }
  if (to_text(out).size() > kErrorBytesMax)
    return invalid("Error object size must be less than " + std::to_string(kErrorBytesMax) + " bytes.");
  return Json(std::move(out));
}

Json make_error_object(std::string_view type, std::string_view message) {
  JsonObject out{{"ErrorMessage", message}};
  if (!type.empty()) out["ErrorType"] = type;
  return out;
}

std::string describe_error_object(const Json& error) {
  const JsonObject* object = error.if_object();
  if (!object) return "no reason was given";
  const std::string type = get_string(*object, "ErrorType"), message = get_string(*object, "ErrorMessage");
  if (type.empty() && message.empty()) return "no reason was given";
  return type.empty() ? message : message.empty() ? type : type + ": " + message;
}

}  // namespace mayfly::function
