#include "ask/conditions.h"

#include <fmt/format.h>

#include <algorithm>

#include "ask/site.h"

namespace rolewall::ask {
namespace {

std::string in_words(const std::vector<eval::Condition>& conditions) {
  std::string words;
  for (const eval::Condition& condition : conditions) {
    if (!words.empty()) words += "; ";
    words += fmt::format("{}: {}", condition.about, condition.is);
  }
  return words;
}

Alternative alternative(const eval::Journey& way, const ruleset::Snapshot& snapshot) {
  Alternative made;
  made.when = in_words(way.conditions);
  made.verdict = verdict_of(way.fate());
  if (!way.hooks.empty() && way.hooks.back().decided) {
    made.decided_by = decided_by(snapshot.ruleset, snapshot.sources, way.hooks.back().decision);
  }
  return made;
}

}  // namespace

void weigh(std::vector<Hop>& hops, const eval::Outcomes& outcomes,
           const ruleset::Snapshot& snapshot) {
  const auto& ways = outcomes.ways;
  const bool agree = std::ranges::all_of(
      ways, [&](const eval::Journey& way) { return way.fate() == ways.front().fate(); });
  if (agree && outcomes.complete) return;
  Hop& last = hops.back();
  last.verdict = Verdict::Conditional;
  last.decided_by.reset();
  last.reason = outcomes.complete ? "depends on what only the kernel knows"
                                  : fmt::format(
                                        "depends on what only the kernel knows; only the first {} "
                                        "possibilities were tried",
                                        ways.size());
  // Of the ways that one rule ends alike, one stands for all.
  for (const eval::Journey& way : ways) {
    Alternative made = alternative(way, snapshot);
    const bool known = std::ranges::any_of(last.alternatives, [&](const Alternative& other) {
      return other.verdict == made.verdict && other.decided_by == made.decided_by;
    });
    if (!known) last.alternatives.push_back(std::move(made));
  }
}

}  // namespace rolewall::ask
