#include "base/suggest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

namespace rolewall {
namespace {

// Optimal string alignment distance. Words here are names of at most a few dozen characters.
std::size_t distance(std::string_view a, std::string_view b) {
  const std::size_t width = b.size() + 1;
  std::vector<std::size_t> cells((a.size() + 1) * width);
  auto at = [&](std::size_t i, std::size_t j) -> std::size_t& { return cells[i * width + j]; };
  for (std::size_t i = 0; i <= a.size(); ++i) at(i, 0) = i;
  for (std::size_t j = 0; j <= b.size(); ++j) at(0, j) = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
      at(i, j) = std::min({at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + cost});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
      }
    }
  }
  return cells.back();
}

std::vector<std::string> all_nearest(std::string_view word,
                                     std::span<const std::string> candidates) {
  constexpr std::size_t kLongestWord = 64;
  if (word.empty() || word.size() > kLongestWord) return {};
  // One slip in three letters still reads as the same word.
  std::size_t best = std::max<std::size_t>(1, word.size() / 3);
  std::vector<std::string> found;
  for (const std::string& candidate : candidates) {
    if (candidate.empty() || candidate.size() > kLongestWord) continue;
    const std::size_t d = distance(word, candidate);
    if (d > best) continue;
    if (d < best) found.clear();
    best = d;
    if (std::ranges::find(found, candidate) == found.end()) found.push_back(candidate);
  }
  // People rarely miss the first letter.
  const auto begins_alike = [&](const std::string& each) { return each.front() == word.front(); };
  if (std::ranges::any_of(found, begins_alike)) {
    std::erase_if(found, [&](const std::string& each) { return !begins_alike(each); });
  }
  return found;
}

}  // namespace

std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates) {
  const std::vector<std::string> found = all_nearest(word, candidates);
  return found.empty() ? std::nullopt : std::optional(found.front());
}

std::string did_you_mean(std::string_view word, std::span<const std::string> candidates) {
  constexpr std::size_t kMost = 3;
  std::vector<std::string> found = all_nearest(word, candidates);
  if (found.empty()) return "";
  found.resize(std::min(found.size(), kMost));
  return fmt::format("did you mean `{}`?", fmt::join(found, "` or `"));
}

}  // namespace rolewall
