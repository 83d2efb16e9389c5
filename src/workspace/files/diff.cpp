#include "workspace/files/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace mayfly::workspace {
namespace {

constexpr int kEditsMax = 2'000;
constexpr std::size_t kContext = 3;

using Lines = std::vector<std::string_view>;

Lines lines_of(std::string_view text) {
  Lines out;
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t end = std::min(text.find('\n', from), text.size());
    out.push_back(text.substr(from, end - from));
    from = end + 1;
  }
  return out;
}

struct Step {
  char sign;  ///< ' ', '-', '+'
  std::size_t before, after;
};

/// The script between the common head and tail; everything replaced when there would be too many edits.
void script(const Lines& a, const Lines& b, std::size_t head, std::size_t a_end, std::size_t b_end, std::vector<Step>* out) {
  const int n = static_cast<int>(a_end - head), m = static_cast<int>(b_end - head), most = std::min(n + m, kEditsMax);
  std::vector<std::vector<int>> trace;
  std::vector<int> reach(static_cast<std::size_t>(2 * most + 3), 0);
  const auto at = [&](std::vector<int>& v, int k) -> int& { return v[static_cast<std::size_t>(k + most + 1)]; };
  int found = -1;
  for (int d = 0; d <= most && found < 0; ++d) {
    trace.emplace_back(reach.begin() + (most + 1 - d), reach.begin() + (most + 2 + d));
    for (int k = -d; k <= d; k += 2) {
      int x = k == -d || (k != d && at(reach, k - 1) < at(reach, k + 1)) ? at(reach, k + 1) : at(reach, k - 1) + 1;
      int y = x - k;
      while (x < n && y < m && a[head + static_cast<std::size_t>(x)] == b[head + static_cast<std::size_t>(y)]) ++x, ++y;
      at(reach, k) = x;
      if (x >= n && y >= m) {
        found = d;
        break;
      }
    }
  }
  std::vector<Step> reversed;
  if (found < 0) {
    for (int y = m; y > 0; --y) reversed.push_back({'+', a_end, head + static_cast<std::size_t>(y - 1)});
    for (int x = n; x > 0; --x) reversed.push_back({'-', head + static_cast<std::size_t>(x - 1), head});
  } else {
    int x = n, y = m;
    for (int d = found; d >= 0; --d) {
      const std::vector<int>& v = trace[static_cast<std::size_t>(d)];
      const auto old = [&](int k) { return v[static_cast<std::size_t>(k + d)]; };
      const int k = x - y;
      const bool down = d > 0 && (k == -d || (k != d && old(k - 1) < old(k + 1)));
      const int from_k = d == 0 ? 0 : down ? k + 1 : k - 1;
      const int from_x = d == 0 ? 0 : old(from_k), from_y = from_x - from_k;
      const int mid_x = d == 0 ? 0 : down ? from_x : from_x + 1;
      for (; x > mid_x && y > 0 && x > 0 && x - mid_x > 0; --x, --y)
        reversed.push_back({' ', head + static_cast<std::size_t>(x - 1), head + static_cast<std::size_t>(y - 1)});
      if (d == 0) break;
      if (down)
        reversed.push_back({'+', head + static_cast<std::size_t>(x), head + static_cast<std::size_t>(from_y)});
      else
        reversed.push_back({'-', head + static_cast<std::size_t>(from_x), head + static_cast<std::size_t>(y)});
      x = from_x;
      y = from_y;
    }
  }
  out->insert(out->end(), reversed.rbegin(), reversed.rend());
}

}  // namespace

std::string unified_diff(std::string_view before, std::string_view after, std::string_view before_name, std::string_view after_name,
                         std::size_t bytes_max) {
  if (before == after) return "";
  const Lines a = lines_of(before), b = lines_of(after);
  std::size_t head = 0, a_end = a.size(), b_end = b.size();
  while (head < a_end && head < b_end && a[head] == b[head]) ++head;
  while (a_end > head && b_end > head && a[a_end - 1] == b[b_end - 1]) --a_end, --b_end;
  std::vector<Step> steps;
  for (std::size_t i = head > kContext ? head - kContext : 0; i < head; ++i) steps.push_back({' ', i, i});
  script(a, b, head, a_end, b_end, &steps);
  for (std::size_t i = 0; i < kContext && a_end + i < a.size(); ++i) steps.push_back({' ', a_end + i, b_end + i});

  std::string out = fmt::format("--- {}\n+++ {}\n", before_name, after_name);
  for (std::size_t i = 0; i < steps.size();) {
    while (i < steps.size() && steps[i].sign == ' ') ++i;
    if (i == steps.size()) break;
    std::size_t first = i - std::min(i, kContext), last = i;
    for (std::size_t j = i, calm = 0; j < steps.size() && calm <= 2 * kContext; ++j) {
      calm = steps[j].sign == ' ' ? calm + 1 : 0;
      if (calm == 0) last = j;
    }
    const std::size_t end = std::min(steps.size(), last + 1 + kContext);
    std::size_t removed = 0, added = 0;
    for (std::size_t j = first; j < end; ++j) removed += steps[j].sign != '+', added += steps[j].sign != '-';
    std::string hunk =
        fmt::format("@@ -{},{} +{},{} @@\n", steps[first].before + (removed > 0), removed, steps[first].after + (added > 0), added);
    for (std::size_t j = first; j < end; ++j) {
      hunk += steps[j].sign;
      hunk += steps[j].sign == '+' ? b[steps[j].after] : a[steps[j].before];
      hunk += '\n';
    }
    if (out.size() + hunk.size() > bytes_max) {
      out += hunk.substr(0, bytes_max > out.size() + 20 ? bytes_max - out.size() - 20 : 0);
      while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xc0) == 0x80) out.pop_back();
      return out + "\n… (cut)\n";
    }
    out += hunk;
    i = end;
  }
  return out.contains("@@") ? out : out + "(only the end of the last line differs)\n";
}

}  // namespace mayfly::workspace
