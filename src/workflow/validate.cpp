#include <algorithm>
#include <cmath>
#include <set>

#include "schema/suggest.h"
#include "workflow/fields.h"
#include "workflow/resource.h"
#include "workflow/state_machine.h"

namespace mayfly::workflow {
namespace {

constexpr int kDepthMax = 20;
constexpr std::size_t kNameMax = 80;
constexpr std::size_t kProblemsMax = 100;

const std::set<std::string, std::less<>> kTypes{"Pass", "Task", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map"};

std::string escaped(std::string_view token) {
  std::string out;
  for (const char c : token) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}

class Validator {
 public:
  explicit Validator(Expressions& expressions) : expressions_(expressions) {}
  std::vector<Diagnostic> out;

  void machine(const Json& value, const std::string& at, bool jsonata, int depth) {
    if (depth > kDepthMax) return error(at, "TOO_DEEPLY_NESTED", "state machines nest at most 20 deep");
    if (!value.is_object()) return error(at, "SCHEMA_VALIDATION_FAILED", "a state machine is an object with StartAt and States");
    const JsonObject& object = value.get_object();
    jsonata = language(object, at, jsonata);
    const JsonObject* states = get_object(object, "States");
    if (!states || states->empty())
      return error(at + "/States", "SCHEMA_VALIDATION_FAILED", "States must be an object with at least one state");
    number(object, at, "TimeoutSeconds", 1, 99'999'999);
    std::vector<std::string> names;
    for (const auto& member : *states) names.emplace_back(member.key());
    target(object, at, "StartAt", names);
    bool has_end = false;
    for (const auto& member : *states) {
      const std::string where = at + "/States/" + escaped(member.key());
      if (member.key().empty() || member.key().size() > kNameMax)
        error(where, "INVALID_STATE_NAME", "the name of a state has 1 to 80 characters");
      if (!names_.insert(member.key()).second)
        error(where, "DUPLICATE_STATE_NAME",
              "the state name '" + std::string(member.key()) + "' is used twice; names are unique in the whole state machine");
      if (!member.value().is_object()) {
        error(where, "SCHEMA_VALIDATION_FAILED", "a state is an object");
        continue;
      }
      const JsonObject& one = member.value().get_object();
      const std::string type = get_string(one, "Type");
      has_end = has_end || get_bool(one, "End") || type == "Succeed" || type == "Fail";
      state(one, where, type, jsonata, names, depth);
    }
    if (!has_end)
      error(at + "/States", "MISSING_END_STATE", "no state ends the machine; give one \"End\": true, or add a Succeed or Fail state");
    reachable(object, *states, at);
  }

 private:
  void error(std::string at, std::string code, std::string message) {
    if (out.size() < kProblemsMax) out.push_back({Diagnostic::Severity::Error, std::move(code), std::move(message), std::move(at)});
  }
  void schema(const std::string& at, std::string message) { error(at, "SCHEMA_VALIDATION_FAILED", std::move(message)); }

  bool language(const JsonObject& object, const std::string& at, bool jsonata) {
    const Json* given = get(object, "QueryLanguage");
    if (!given) return jsonata;
    if (*given != Json("JSONPath") && *given != Json("JSONata"))
      schema(at + "/QueryLanguage", "QueryLanguage is \"JSONPath\" or \"JSONata\"");
    if (jsonata && *given == Json("JSONPath"))
      schema(at + "/QueryLanguage", "a JSONata state machine has no JSONPath states; move JSONata into the states");
    return *given == Json("JSONata");
  }

  void target(const JsonObject& object, const std::string& at, std::string_view key, const std::vector<std::string>& names) {
    const Json* next = get(object, key);
    const std::string where = at + "/" + std::string(key);
    if (!next) return schema(where, std::string(key) + " is missing");
    if (!next->is_string()) return schema(where, std::string(key) + " must be the name of a state");
    const std::string name(next->get_string());
    if (std::ranges::find(names, name) != names.end()) return;
    const std::string close = closest_name(name, names);
    error(where, "MISSING_TRANSITION_TARGET",
          "there is no state '" + name.substr(0, 100) + "' here" +
              (close.empty() ? "; the name must be one of the same States" : "; did you mean '" + close + "'?"));
  }

  void transition(const JsonObject& one, const std::string& at, const std::vector<std::string>& names) {
    const bool ends = get_bool(one, "End"), goes = one.contains("Next");
    if (ends && goes) return schema(at, "a state has Next or \"End\": true, not both");
    if (const Json* end = get(one, "End"); end && !end->is_bool()) return schema(at + "/End", "End must be true");
    if (!ends && !goes) return schema(at, "the state leads nowhere; give it Next, or \"End\": true");
    if (goes) target(one, at, "Next", names);
  }

  void state(const JsonObject& one, const std::string& at, const std::string& type, bool jsonata, const std::vector<std::string>& names,
             int depth) {
    if (!kTypes.contains(type)) {
      const std::string close = closest_name(type, {kTypes.begin(), kTypes.end()});
      return schema(at + "/Type", "Type must be one of Pass, Task, Choice, Wait, Succeed, Fail, Parallel and Map" +
                                      (close.empty() ? std::string() : "; did you mean " + close + "?"));
    }
    jsonata = language(one, at, jsonata);
    known_fields(one, at, type, jsonata);
    if (type != "Choice" && type != "Succeed" && type != "Fail") transition(one, at, names);
    for (const char* key : {"InputPath", "OutputPath"})
      if (!jsonata) path(one, at, key, Null::Allowed);
    if (!jsonata) reference(one, at, "ResultPath");
    for (const char* key : {"Parameters", "ResultSelector", "ItemSelector", "Arguments", "Output", "Items"})
      if (const Json* payload = get(one, key)) payload_template(*payload, at + "/" + key, jsonata, 0);
    assign(one, at, jsonata);
    rules(one, at, "Retry", jsonata, names);
    rules(one, at, "Catch", jsonata, names);
    if (type == "Task") task(one, at, jsonata);
    if (type == "Choice") choice(one, at, jsonata, names);
    if (type == "Wait") wait(one, at, jsonata);
    if (type == "Fail") fail_state(one, at, jsonata);
    if (type == "Parallel") {
      const JsonArray* branches = get_array(one, "Branches");
      if (!branches || branches->empty()) schema(at + "/Branches", "Branches must be an array of at least one state machine");
      for (std::size_t i = 0; branches && i < branches->size(); ++i)
        machine((*branches)[i], at + "/Branches/" + std::to_string(i), jsonata_default(one, jsonata), depth + 1);
    }
    if (type == "Map") map(one, at, jsonata, depth);
  }
  /// What nested machines inherit is the outer machine's language, not their state's; for validation both accept the same.
  static bool jsonata_default(const JsonObject& one, bool jsonata) { return jsonata && !one.contains("QueryLanguage"); }

  void known_fields(const JsonObject& one, const std::string& at, const std::string& type, bool jsonata) {
    std::vector<std::string> known{"Type", "Comment", "QueryLanguage"};
    const auto add = [&](std::initializer_list<const char*> more) { known.insert(known.end(), more.begin(), more.end()); };
    const bool works = type == "Task" || type == "Parallel" || type == "Map";
    if (type != "Fail" && type != "Succeed" && type != "Choice") add({"Next", "End"});
    if (type != "Fail") jsonata ? add({"Output"}) : add({"InputPath", "OutputPath"});
    if (type != "Fail" && type != "Succeed") add({"Assign"});
    if (works) add({"Retry", "Catch"});
    if ((works || type == "Pass") && !jsonata) add({"Parameters", "ResultPath"});
    if (works && !jsonata) add({"ResultSelector"});
    if ((type == "Task" || type == "Parallel") && jsonata) add({"Arguments"});
    if (type == "Pass" && !jsonata) add({"Result"});
    if (type == "Task") add({"Resource", "TimeoutSeconds", "HeartbeatSeconds", "Credentials"});
    if (type == "Task" && !jsonata) add({"TimeoutSecondsPath", "HeartbeatSecondsPath"});
    if (type == "Choice") add({"Choices", "Default"});
    if (type == "Wait") add({"Seconds", "Timestamp"});
    if (type == "Wait" && !jsonata) add({"SecondsPath", "TimestampPath"});
    if (type == "Fail") add({"Error", "Cause"});
    if (type == "Fail" && !jsonata) add({"ErrorPath", "CausePath"});
    if (type == "Parallel") add({"Branches"});
    if (type == "Map")
      add({"ItemProcessor", "Iterator", "ItemSelector", "MaxConcurrency", "ToleratedFailureCount", "ToleratedFailurePercentage", "Label"});
    if (type == "Map")
      jsonata ? add({"Items"}) : add({"ItemsPath", "MaxConcurrencyPath", "ToleratedFailureCountPath", "ToleratedFailurePercentagePath"});
    for (const auto& member : one) {
      const std::string key(member.key());
      if (std::ranges::find(known, key) != known.end()) continue;
      if (type == "Map" && (key == "ItemReader" || key == "ItemBatcher" || key == "ResultWriter")) {
        schema(at + "/" + key, key + " belongs to distributed maps, which Mayfly does not run; give the items to the Map as an array");
        continue;
      }
      const std::string close = closest_name(key, known);
      schema(at + "/" + escaped(key), "a " + type + " state with " + (jsonata ? "JSONata" : "JSONPath") + " has no field '" +
                                          key.substr(0, 100) + "'" + (close.empty() ? "" : "; did you mean " + close + "?"));
    }
  }

  enum class Null { Allowed, Refused };
  void path_text(std::string_view text, const std::string& at) {
    const auto parsed = text.starts_with(kIntrinsicPrefix) ? check_intrinsic(text) : [&]() -> Result<void> {
      auto one = JsonPath::parse(text);
      if (!one) return std::unexpected(one.error());
      return {};
    }();
    if (!parsed) schema(at, parsed.error().message);
  }
  void path(const JsonObject& one, const std::string& at, std::string_view key, Null null) {
    const Json* value = get(one, key);
    if (!value || (value->is_null() && null == Null::Allowed)) return;
    const std::string where = at + "/" + std::string(key);
    if (!value->is_string()) return schema(where, std::string(key) + " must be a JSONPath such as \"$.order\"");
    path_text(value->get_string(), where);
  }
  void reference(const JsonObject& one, const std::string& at, std::string_view key) {
    const Json* value = get(one, key);
    if (!value || value->is_null()) return;
    const auto parsed = value->is_string() ? JsonPath::parse(value->get_string()) : fail("path.invalid", "it must be a text");
    if (!parsed) return schema(at + "/" + std::string(key), parsed.error().message);
    if (!parsed->is_reference())
      schema(at + "/" + std::string(key),
             std::string(key) + " must name one place of the input, such as \"$.result\": no wildcards, slices, filters or variables");
  }
  void expression(std::string_view text, const std::string& at) {
    if (auto ok = expressions_.check(text); !ok) schema(at, ok.error().message);
  }
  void payload_template(const Json& payload, const std::string& at, bool jsonata, int depth) {
    if (depth > 60) return schema(at, "it is nested too deeply");
    if (const JsonObject* object = payload.if_object()) {
      for (const auto& member : *object) {
        const std::string where = at + "/" + escaped(member.key());
        if (!jsonata && member.key().ends_with(".$")) {
          if (member.value().is_string())
            path_text(member.value().get_string(), where);
          else
            schema(where, "the value of a field that ends with \".$\" is a JSONPath or an intrinsic function");
        } else {
          payload_template(member.value(), where, jsonata, depth + 1);
        }
      }
    } else if (const JsonArray* array = payload.if_array()) {
      for (std::size_t i = 0; i < array->size(); ++i) payload_template((*array)[i], at + "/" + std::to_string(i), jsonata, depth + 1);
    } else if (payload.is_string() && jsonata) {
      const std::string_view text = payload.get_string();
      if (const auto inner = jsonata_of(text))
        expression(*inner, at);
      else if (text.starts_with("{%") || text.ends_with("%}"))
        schema(at, "a JSONata expression starts with \"{%\" and ends with \"%}\"");
    }
  }
  void assign(const JsonObject& one, const std::string& at, bool jsonata) {
    const Json* values = get(one, "Assign");
    if (!values) return;
    if (!values->is_object()) return schema(at + "/Assign", "Assign is an object of variables");
    for (const auto& member : values->get_object()) {
      std::string_view name = member.key();
      if (!jsonata && name.ends_with(".$")) name.remove_suffix(2);
      const bool fits = !name.empty() && name.size() <= 80 && name != "states" && !std::isdigit(static_cast<unsigned char>(name[0])) &&
                        std::ranges::all_of(name, [](unsigned char c) { return std::isalnum(c) || c == '_' || c >= 0x80; });
      if (!fits)
        schema(at + "/Assign/" + escaped(member.key()),
               "the name of a variable has at most 80 letters, digits and underscores, starts with a letter, and is not 'states'");
    }
    payload_template(*values, at + "/Assign", jsonata, 0);
  }

  void number(const JsonObject& one, const std::string& at, std::string_view key, double least, double most, bool jsonata = false) {
    const Json* value = get(one, key);
    if (!value) return;
    const std::string where = at + "/" + std::string(key);
    if (jsonata && value->is_string() && jsonata_of(value->get_string())) return expression(*jsonata_of(value->get_string()), where);
    const double given = value->is_int64() ? static_cast<double>(value->get_int64()) : value->is_double() ? value->get_double() : NAN;
    if (!(given >= least && given <= most))
      schema(where, std::string(key) + " must be a number from " + to_text(Json(static_cast<std::int64_t>(least))) + " to " +
                        to_text(Json(static_cast<std::int64_t>(most))));
  }

  void rules(const JsonObject& one, const std::string& at, const std::string& key, bool jsonata, const std::vector<std::string>& names) {
    const Json* value = get(one, key);
    if (!value) return;
    if (!value->is_array()) return schema(at + "/" + key, key + " is an array of objects with ErrorEquals");
    const JsonArray& array = value->get_array();
    for (std::size_t i = 0; i < array.size(); ++i) {
      const std::string where = at + "/" + key + "/" + std::to_string(i);
      const JsonObject* rule = array[i].if_object();
      const JsonArray* errors = rule ? get_array(*rule, "ErrorEquals") : nullptr;
      if (!errors || errors->empty() || !std::ranges::all_of(*errors, [](const Json& e) { return e.is_string(); })) {
        schema(where + "/ErrorEquals", "ErrorEquals must be an array of at least one error name");
        continue;
      }
      const bool all = std::ranges::any_of(*errors, [](const Json& e) { return e == Json("States.ALL"); });
      if (all && (errors->size() > 1 || i + 1 < array.size()))
        schema(where + "/ErrorEquals", "States.ALL stands alone, and in the last rule");
      if (key == "Catch") {
        target(*rule, where, "Next", names);
        if (!jsonata) reference(*rule, where, "ResultPath");
        if (const Json* output = get(*rule, "Output")) payload_template(*output, where + "/Output", jsonata, 0);
        assign(*rule, where, jsonata);
        continue;
      }
      number(*rule, where, "IntervalSeconds", 1, 99'999'999);
      number(*rule, where, "MaxAttempts", 0, 99'999'999);
      number(*rule, where, "BackoffRate", 1, 1'000'000);
      number(*rule, where, "MaxDelaySeconds", 1, 31'622'400);
      if (const Json* jitter = get(*rule, "JitterStrategy"); jitter && *jitter != Json("FULL") && *jitter != Json("NONE"))
        schema(where + "/JitterStrategy", "JitterStrategy is \"FULL\" or \"NONE\"");
    }
  }

  void task(const JsonObject& one, const std::string& at, bool jsonata) {
    const Json* resource = get(one, "Resource");
    if (!resource || !resource->is_string()) return schema(at + "/Resource", "a Task needs a Resource");
    const auto parsed = parse_resource(resource->get_string());
    if (!parsed) error(at + "/Resource", "INVALID_RESOURCE", parsed.error().message);
    if (parsed && parsed->pattern == Resource::Pattern::WaitForTaskToken) {
      const std::string text = to_text(one);
      if (text.find("Task.Token") == std::string::npos)
        schema(at, std::string("nobody gets the task token, so the task would wait for ever; pass on ") +
                       (jsonata ? "$states.context.Task.Token" : "$$.Task.Token"));
    }
    number(one, at, "TimeoutSeconds", 1, 99'999'999, jsonata);
    number(one, at, "HeartbeatSeconds", 1, 99'999'999, jsonata);
    for (const std::string key : {"TimeoutSeconds", "HeartbeatSeconds"}) {
      path(one, at, key + "Path", Null::Refused);
      if (one.contains(key) && one.contains(key + "Path")) schema(at + "/" + key + "Path", "give " + key + " or " + key + "Path, not both");
    }
    const std::int64_t timeout = get_int(one, "TimeoutSeconds"), heartbeat = get_int(one, "HeartbeatSeconds");
    if (timeout > 0 && heartbeat >= timeout) schema(at + "/HeartbeatSeconds", "HeartbeatSeconds must be smaller than TimeoutSeconds");
  }

  void choice(const JsonObject& one, const std::string& at, bool jsonata, const std::vector<std::string>& names) {
    if (one.contains("Default")) target(one, at, "Default", names);
    const JsonArray* choices = get_array(one, "Choices");
    if (!choices || choices->empty()) return schema(at + "/Choices", "Choices must be an array of at least one rule");
    for (std::size_t i = 0; i < choices->size(); ++i) {
      const std::string where = at + "/Choices/" + std::to_string(i);
      const JsonObject* rule = (*choices)[i].if_object();
      if (!rule) {
        schema(where, "a choice is an object");
        continue;
      }
      target(*rule, where, "Next", names);
      assign(*rule, where, jsonata);
      if (const Json* output = get(*rule, "Output")) payload_template(*output, where + "/Output", jsonata, 0);
      if (!jsonata) {
        test(*rule, where, 0);
      } else if (const Json* condition = get(*rule, "Condition");
                 condition && (condition->is_bool() || (condition->is_string() && jsonata_of(condition->get_string())))) {
        payload_template(*condition, where + "/Condition", true, 0);
      } else {
        schema(where + "/Condition", "a choice with JSONata needs a Condition such as \"{% $states.input.total > 10 %}\"");
      }
    }
  }

  void test(const JsonObject& rule, const std::string& at, int depth) {
    if (depth > kDepthMax) return error(at, "TOO_DEEPLY_NESTED", "choice rules nest at most 20 deep");
    int joins = 0;
    for (const std::string key : {"And", "Or"}) {
      if (!rule.contains(key)) continue;
      ++joins;
      const JsonArray* parts = get_array(rule, key);
      if (!parts || parts->empty()) schema(at + "/" + key, key + " is an array of at least one rule");
      for (std::size_t i = 0; parts && i < parts->size(); ++i) part((*parts)[i], at + "/" + key + "/" + std::to_string(i), depth);
    }
    if (const Json* inner = get(rule, "Not")) {
      ++joins;
      part(*inner, at + "/Not", depth);
    }
    const std::string name = comparison_of(rule);
    if (joins + (name.empty() ? 0 : 1) != 1)
      return schema(at,
                    "a choice rule has exactly one of And, Or, Not, or one comparison such as StringEquals, NumericLessThan, IsPresent");
    if (joins == 1) return;
    if (!rule.contains("Variable")) return schema(at + "/Variable", "a comparison needs the Variable that it looks at");
    path(rule, at, "Variable", Null::Refused);
    const Json& wanted = rule.at(name);
    const std::string where = at + "/" + name;
    if (name.ends_with("Path")) return path(rule, at, name, Null::Refused);
    const bool fits = name.starts_with("Is") || name.starts_with("Boolean") ? wanted.is_bool()
                      : name.starts_with("Numeric")                         ? wanted.is_number()
                                                                            : wanted.is_string();
    if (!fits || (name.starts_with("Timestamp") && !parse_rfc3339(wanted.get_string())))
      schema(where, name + " needs a " +
                        (name.starts_with("Timestamp") ? "time such as 2026-11-23T15:00:00Z"
                         : name.starts_with("String")  ? "text"
                         : name.starts_with("Numeric") ? "number"
                                                       : "boolean"));
  }
  void part(const Json& rule, const std::string& at, int depth) {
    if (!rule.is_object()) return schema(at, "a choice rule is an object");
    if (rule.get_object().contains("Next")) schema(at + "/Next", "only the outermost rule has Next");
    test(rule.get_object(), at, depth + 1);
  }

  void wait(const JsonObject& one, const std::string& at, bool jsonata) {
    int given = 0;
    for (const char* key : {"Seconds", "Timestamp", "SecondsPath", "TimestampPath"}) given += one.contains(key) ? 1 : 0;
    if (given != 1) schema(at, "a Wait has exactly one of Seconds, Timestamp, SecondsPath and TimestampPath");
    number(one, at, "Seconds", 0, 99'999'999, jsonata);
    path(one, at, "SecondsPath", Null::Refused);
    path(one, at, "TimestampPath", Null::Refused);
    const Json* time = get(one, "Timestamp");
    if (!time) return;
    if (jsonata && time->is_string() && jsonata_of(time->get_string())) return payload_template(*time, at + "/Timestamp", true, 0);
    if (!time->is_string() || !parse_rfc3339(time->get_string()))
      schema(at + "/Timestamp", "Timestamp must be a time such as 2026-11-23T15:00:00Z");
  }

  void fail_state(const JsonObject& one, const std::string& at, bool jsonata) {
    for (const std::string key : {"Error", "Cause"}) {
      path(one, at, key + "Path", Null::Refused);
      if (one.contains(key) && one.contains(key + "Path")) schema(at + "/" + key + "Path", "give " + key + " or " + key + "Path, not both");
      const Json* text = get(one, key);
      if (!text) continue;
      if (!text->is_string()) schema(at + "/" + key, key + " must be a text");
      payload_template(*text, at + "/" + key, jsonata, 0);
    }
  }

  void map(const JsonObject& one, const std::string& at, bool jsonata, int depth) {
    const JsonObject* processor = processor_of(one);
    const std::string key = one.contains("ItemProcessor") ? "ItemProcessor" : "Iterator";
    if (!processor) return schema(at + "/ItemProcessor", "a Map needs an ItemProcessor: the state machine of one item");
    if (const JsonObject* config = get_object(*processor, "ProcessorConfig"); config && get_string(*config, "Mode", "INLINE") != "INLINE")
      schema(at + "/" + key + "/ProcessorConfig/Mode",
             "distributed maps are not supported; use \"INLINE\", which runs the iterations in the same execution");
    machine(*processor, at + "/" + key, jsonata_default(one, jsonata), depth + 1);
    path(one, at, "ItemsPath", Null::Refused);
    for (const std::string name : {"MaxConcurrency", "ToleratedFailureCount", "ToleratedFailurePercentage"}) {
      number(one, at, name, 0, name == "ToleratedFailurePercentage" ? 100 : 10'000, jsonata);
      path(one, at, name + "Path", Null::Refused);
    }
  }

  void reachable(const JsonObject& object, const JsonObject& states, const std::string& at) {
    std::set<std::string> seen;
    std::vector<std::string> open{get_string(object, "StartAt")};
    while (!open.empty()) {
      const std::string name = std::move(open.back());
      open.pop_back();
      const JsonObject* one = get_object(states, name);
      if (!one || !seen.insert(name).second) continue;
      open.push_back(get_string(*one, "Next"));
      open.push_back(get_string(*one, "Default"));
      for (const char* key : {"Choices", "Catch"})
        if (const JsonArray* rules = get_array(*one, key))
          for (const Json& rule : *rules)
            if (rule.is_object()) open.push_back(get_string(rule.get_object(), "Next"));
    }
    for (const auto& member : states)
      if (!seen.contains(std::string(member.key())) && out.size() < kProblemsMax)
        out.push_back({Diagnostic::Severity::Error, "MISSING_TRANSITION_TARGET",
                       "no path leads to the state '" + std::string(member.key()).substr(0, 100) + "'; name it in a Next, or remove it",
                       at + "/States/" + escaped(member.key())});
  }

  Expressions& expressions_;
  std::set<std::string, std::less<>> names_;
};

}  // namespace

std::vector<Diagnostic> validate(const Json& definition, Expressions& expressions) {
  if (to_text(definition).size() > kDefinitionBytesMax)
    return {{Diagnostic::Severity::Error, "SCHEMA_VALIDATION_FAILED", "a definition has at most 1 MiB", ""}};
  Validator validator(expressions);
  validator.machine(definition, "", false, 0);
  return std::move(validator.out);
}

Result<std::shared_ptr<const StateMachine>> compile(const Json& definition, Expressions& expressions) {
  std::string problems;
  for (const Diagnostic& one : validate(definition, expressions)) {
    if (one.severity != Diagnostic::Severity::Error) continue;
    if (!problems.empty()) problems += "\n";
    problems += one.code + ": " + one.message + " at " + (one.location.empty() ? "/" : one.location);
  }
  if (!problems.empty()) return fail("workflow.invalid", std::move(problems));
  return std::make_shared<const StateMachine>(definition);
}

}  // namespace mayfly::workflow
