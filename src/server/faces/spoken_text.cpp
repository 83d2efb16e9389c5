#include "server/faces/spoken_text.h"

#include <algorithm>

namespace mayfly::faces {
namespace {

constexpr std::string_view kApart = "\n\n";

}  // namespace

SpokenText::Step& SpokenText::step(std::int64_t operation) {
  const auto found = std::ranges::find(steps_, operation, &Step::operation);
  if (found != steps_.end()) return *found;
  steps_.push_back({operation, 0, {}, {}});
  return steps_.back();
}

/// Brings `text` up to date; false when nothing came that was not known.
bool SpokenText::advance(Step& step, const engine::Delta& delta) {
  if (delta.attempt < step.attempt) return false;
  if (delta.attempt > step.attempt || delta.text.empty()) step.text.clear();
  step.attempt = delta.attempt;
  if (delta.offset >= step.text.size()) {
    step.text += delta.text;
    return !delta.text.empty();
  }
  std::string whole = step.text.substr(0, delta.offset) + delta.text;
  if (step.text.starts_with(whole)) return false;
  step.text = std::move(whole);
  return true;
}

std::string SpokenText::take(const engine::Delta& delta) {
  if (delta.channel != "text") return {};
  const bool first_word = steps_.empty() || std::ranges::all_of(steps_, [](const Step& each) { return each.sent.empty(); });
  Step& current = step(delta.operation);
  const bool in_line =
      current.sent.size() == current.text.size() && delta.offset == current.text.size() && delta.attempt == current.attempt;
  if (!advance(current, delta)) return {};
  std::string out;
  if (in_line && !current.sent.empty()) {
    out = delta.text;
    current.sent += delta.text;
    return out;
  }
  if (current.sent.starts_with(current.text)) return {};
  if (!current.sent.empty() && current.text.starts_with(current.sent)) {
    out = current.text.substr(current.sent.size());
  } else {
    out = first_word ? current.text : std::string(kApart) + current.text;
  }
  current.sent = current.text;
  return out;
}

std::string SpokenText::finish(std::string_view answer) {
  if (answer.empty()) return {};
  std::string tail;
  for (auto step = steps_.rbegin(); step != steps_.rend() && tail.size() <= answer.size(); ++step) {
    tail.insert(0, step->sent);
    if (tail == answer) return {};
  }
  if (steps_.empty()) return std::string(answer);
  const std::string& last = steps_.back().sent;
  if (!last.empty() && answer.starts_with(last)) return std::string(answer.substr(last.size()));
  return std::string(kApart) + std::string(answer);
}

}  // namespace mayfly::faces
