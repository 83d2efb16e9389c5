#include "server/webdav/if_header.h"

#include <algorithm>
#include <optional>

#include "net/http.h"

namespace mayfly::webdav {
namespace {

constexpr std::size_t kListsMax = 100, kConditionsMax = 100;

class IfParser {
 public:
  explicit IfParser(std::string_view text) : rest_(text) {}

  Result<std::vector<IfList>> parse() {
    std::vector<IfList> out;
    std::string resource;
    skip_space();
    const bool is_tagged = rest_.starts_with('<');
    while (!rest_.empty()) {
      if (rest_.starts_with('<')) {
        if (!is_tagged) return invalid("either all lists name a resource or none");
        auto uri = read_until('>');
        if (!uri || uri->empty()) return invalid("a resource is written <URL>");
        resource = std::move(*uri);
        if (!rest_.starts_with('(')) return invalid("a list must follow each resource");
      }
      if (out.size() >= kListsMax) return invalid("there are more than 100 lists");
      auto list = read_list();
      if (!list) return fail(list.error());
      list->resource = resource;
      out.push_back(std::move(*list));
    }
    if (out.empty()) return invalid("there is no list");
    return out;
  }

 private:
  static std::unexpected<Error> invalid(std::string_view why) {
    return fail("dav.invalid_if", "the If header cannot be read: " + std::string(why) + " (RFC 4918, section 10.4)");
  }
  void skip_space() {
    while (rest_.starts_with(' ') || rest_.starts_with('\t')) rest_.remove_prefix(1);
  }
  /// What lies between the first character and `end`; takes both away.
  std::optional<std::string> read_until(char end) {
    const auto at = rest_.find(end, 1);
    if (at == std::string_view::npos) return std::nullopt;
    std::string out(rest_.substr(1, at - 1));
    rest_.remove_prefix(at + 1);
    skip_space();
    return out;
  }

  Result<IfList> read_list() {
    if (!rest_.starts_with('(')) return invalid("a list begins with (");
    rest_.remove_prefix(1);
    skip_space();
    IfList out;
    while (!rest_.starts_with(')')) {
      if (out.conditions.size() >= kConditionsMax) return invalid("a list has more than 100 conditions");
      auto condition = read_condition();
      if (!condition) return fail(condition.error());
      out.conditions.push_back(std::move(*condition));
    }
    rest_.remove_prefix(1);
    skip_space();
    if (out.conditions.empty()) return invalid("a list is empty");
    return out;
  }

  Result<IfCondition> read_condition() {
    IfCondition out;
    if (rest_.size() >= 3 && net::equal_ignoring_case(rest_.substr(0, 3), "not")) {
      out.negated = true;
      rest_.remove_prefix(3);
      skip_space();
    }
    const bool is_token = rest_.starts_with('<');
    if (!is_token && !rest_.starts_with('[')) return invalid("a condition is <TOKEN> or [\"ETAG\"]");
    out.kind = is_token ? IfCondition::Kind::Token : IfCondition::Kind::Etag;
    auto value = read_until(is_token ? '>' : ']');
    if (!value || value->empty()) return invalid("a condition does not end");
    if (!is_token && (value->size() < 2 || !value->ends_with('"') || !(value->starts_with('"') || value->starts_with("W/\""))))
      return invalid("an entity tag has quotes");
    out.value = std::move(*value);
    return out;
  }

  std::string_view rest_;
};

}  // namespace

Result<std::vector<IfList>> parse_if(std::string_view text) { return IfParser(text).parse(); }

std::vector<std::string> submitted_tokens(const std::vector<IfList>& lists) {
  std::vector<std::string> out;
  for (const IfList& list : lists)
    for (const IfCondition& condition : list.conditions)
      if (condition.kind == IfCondition::Kind::Token && std::ranges::find(out, condition.value) == out.end()) out.push_back(condition.value);
  return out;
}

}  // namespace mayfly::webdav
