#include "trigger/http/spec_reader.h"

#include <algorithm>

namespace mayfly::trigger {
namespace {

std::string escaped(std::string_view name) {
  std::string out;
  for (const char c : name.substr(0, 100)) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return to_utf8_lossy(out);
}

std::string list_of(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

}  // namespace

SpecReader::SpecReader(const Json& value, std::string pointer) : object_(value.if_object()), pointer_(std::move(pointer)) {
  if (!object_) problem_ = Error{"trigger.invalid", pointer_ + ": must be an object", Retry::Never};
}

std::string SpecReader::pointer(std::string_view name) const { return pointer_ + "/" + escaped(name); }

void SpecReader::refuse(std::string_view name, std::string message) {
  if (!problem_) problem_ = Error{"trigger.invalid", pointer(name) + ": " + message, Retry::Never};
}

const Json* SpecReader::member(std::string_view name) {
  known_.emplace_back(name);
  const Json* value = object_ ? get(*object_, name) : nullptr;
  return value && !value->is_null() ? value : nullptr;
}

void SpecReader::text(std::string_view name, std::string* out, std::size_t bytes_max) {
  const Json* value = member(name);
  if (!value) return;
  if (!value->is_string() || value->get_string().size() > bytes_max)
    return refuse(name, "must be a text of at most " + std::to_string(bytes_max) + " bytes");
  *out = std::string_view(value->get_string());
}

void SpecReader::texts(std::string_view name, std::vector<std::string>* out, std::size_t count_max) {
  const Json* value = member(name);
  if (!value) return;
  const JsonArray one{*value};
  const JsonArray& list = value->is_array() ? value->get_array() : one;
  if (list.size() > count_max) return refuse(name, "has more than " + std::to_string(count_max) + " entries");
  out->clear();
  for (const Json& item : list) {
    if (!item.is_string() || item.get_string().empty() || item.get_string().size() > 1'024)
      return refuse(name, "must be a text or a list of texts, none of them empty");
    out->emplace_back(std::string_view(item.get_string()));
  }
}

void SpecReader::number(std::string_view name, std::int64_t* out, std::int64_t least, std::int64_t most) {
  const Json* value = member(name);
  if (!value) return;
  const auto* found = value->if_int64();
  if (!found || *found < least || *found > most)
    return refuse(name, "must be a whole number of " + std::to_string(least) + " to " + std::to_string(most));
  *out = *found;
}

void SpecReader::flag(std::string_view name, bool* out) {
  const Json* value = member(name);
  if (!value) return;
  if (!value->is_bool()) return refuse(name, "must be true or false");
  *out = value->get_bool();
}

void SpecReader::duration(std::string_view name, Millis* out, Millis least, Millis most) {
  const Json* value = member(name);
  if (!value) return;
  const auto found = value->is_string() ? parse_duration(value->get_string()) : fail("duration.invalid", "");
  if (!found || *found < least || *found > most)
    return refuse(name, "must be a duration of " + to_spec_text(least) + " to " + to_spec_text(most) + ", written like 30s, 5m or 1h30m");
  *out = *found;
}

std::optional<std::size_t> SpecReader::choice(std::string_view name, std::initializer_list<std::string_view> names) {
  const Json* value = member(name);
  if (!value) return std::nullopt;
  const auto* text = value->if_string();
  const auto found = std::ranges::find(names, text ? std::string_view(*text) : std::string_view());
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  refuse(name, "must be one of " + list_of(std::vector<std::string>(names.begin(), names.end())));
  return std::nullopt;
}

Result<void> SpecReader::done() {
  if (object_)
    for (const auto& member : *object_)
      if (std::ranges::find(known_, std::string_view(member.key())) == known_.end())
        refuse(member.key(), "is not known here; there are " + list_of(known_));
  if (problem_) return fail(*problem_);
  return {};
}

bool is_header_name(std::string_view name) {
  return !name.empty() && name.size() <= 100 && std::ranges::all_of(name, [](char c) {
    return is_word(c) || (c >= '0' && c <= '9') || std::string_view("!#$%&'*+-.^`|~").contains(c);
  });
}

bool is_environment_name(std::string_view name) {
  return !name.empty() && name.size() <= 200 && is_word(name[0]) &&
         std::ranges::all_of(name, [](char c) { return is_word(c) || (c >= '0' && c <= '9'); });
}

std::string to_spec_text(Millis duration) {
  std::int64_t ms = duration.count();
  if (ms == 0) return "0s";
  std::string out;
  for (const auto& [unit, size] : {std::pair("d", 86'400'000), std::pair("h", 3'600'000), std::pair("m", 60'000), std::pair("s", 1'000), std::pair("ms", 1)}) {
    if (ms >= size) out += std::to_string(ms / size) + unit;
    ms %= size;
  }
  return out;
}

}  // namespace mayfly::trigger
