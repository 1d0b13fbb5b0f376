#include "ask/conditions.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>

#include "ask/site.h"
#include "ask/translations.h"

namespace rolewall::ask {
namespace {

std::string in_words(const std::vector<eval::Condition>& conditions) {
  std::string words;
  std::set<std::string> said;
  for (const eval::Condition& condition : conditions) {
    std::string clause = fmt::format("{}: {}", condition.about, condition.is);
    if (!said.insert(clause).second) continue;
    if (!words.empty()) words += "; ";
    words += clause;
  }
  return words;
}

Alternative alternative(const eval::Journey& way, const ruleset::Snapshot& snapshot) {
  Alternative made;
  made.when = in_words(way.conditions);
  made.verdict = verdict_of(way.fate());
  const eval::HookResult* deciding = deciding_hook(way);
  if (deciding != nullptr && deciding->decided) {
    made.decided_by = decided_by(snapshot.ruleset, snapshot.sources, deciding->decision);
  }
  return made;
}

// What each way makes of the addresses and ports at a hook. Ways that make the same of them are
// one.
void list_translations(Hop& hop, const std::vector<eval::Journey>& ways,
                       const eval::Packet& before) {
  std::vector<Alternative> found;
  for (const eval::Journey& way : ways) {
    Alternative made;
    made.when = in_words(way.conditions);
    made.translated = translations_of(before, way.after).at(hop.hook);
    made.verdict = hop.verdict;
    const bool known = std::ranges::any_of(
        found, [&](const Alternative& other) { return other.translated == made.translated; });
    if (!known) found.push_back(std::move(made));
  }
  // A port that NAT draws may be any, and one of them stands for all.
  const bool for_given =
      !hop.translated.empty() &&
      std::ranges::any_of(ways.front().conditions, [](const eval::Condition& condition) {
        return condition.assumed && condition.about.find("NAT draws") != std::string::npos;
      });
  if (found.size() == 1 && !for_given) return;
  for (Alternative& way : found) {
    if (way.translated.empty()) way.translated = "not translated";
  }
  hop.alternatives = std::move(found);
}

}  // namespace

void weigh(std::vector<Hop>& hops, const eval::Outcomes& outcomes,
           const ruleset::Snapshot& snapshot, const eval::Packet* before) {
  const auto& ways = outcomes.ways;
  const bool agree = std::ranges::all_of(
      ways, [&](const eval::Journey& way) { return way.fate() == ways.front().fate(); });
  if (agree && outcomes.complete) {
    if (before == nullptr) return;
    for (Hop& hop : hops) list_translations(hop, ways, *before);
    return;
  }
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
