#include "apply/kept_rules.h"

#include <algorithm>
#include <map>
#include <string_view>

namespace rolewall::apply {
namespace {

using namespace ruleset;

std::vector<Rule> configurations(const Chain& chain) {
  std::vector<Rule> rules;
  rules.reserve(chain.rules.size());
  for (const Rule& rule : chain.rules) rules.push_back(configuration(rule));
  return rules;
}

// The longest rising subsequence of the live rules' numbers, by patience sorting: piles_[n] ends
// the one of length n + 1 whose last number is least.
class LongestRise {
 public:
  explicit LongestRise(std::vector<RuleMatch>& matches) : matches_(matches) {}

  void add(std::size_t wanted) {
    const std::size_t live = *matches_[wanted].live;
    const auto at = std::ranges::lower_bound(piles_, live, {},
                                             [&](std::size_t i) { return *matches_[i].live; });
    before_.emplace(wanted, at == piles_.begin() ? kNone : *(at - 1));
    if (at == piles_.end()) {
      piles_.push_back(wanted);
    } else {
      *at = wanted;
    }
  }

  void keep() {
    for (std::size_t i = piles_.empty() ? kNone : piles_.back(); i != kNone; i = before_.at(i)) {
      matches_[i].kept = true;
    }
  }

 private:
  static constexpr std::size_t kNone = SIZE_MAX;
  std::vector<RuleMatch>& matches_;
  std::vector<std::size_t> piles_;
  std::map<std::size_t, std::size_t> before_;
};

}  // namespace

std::vector<RuleMatch> match_rules(const Chain& live, const Chain& wanted,
                                   const std::function<bool(const Rule&)>& may_stay) {
  const std::vector<Rule> there = configurations(live);
  std::multimap<std::string_view, std::size_t> by_comment;
  for (std::size_t i = 0; i < there.size(); ++i) by_comment.emplace(there[i].comment.text(), i);

  std::vector<RuleMatch> matches(wanted.rules.size());
  for (std::size_t i = 0; i < wanted.rules.size(); ++i) {
    const Rule rule = configuration(wanted.rules[i]);
    const auto [begin, end] = by_comment.equal_range(rule.comment.text());
    const auto at =
        std::find_if(begin, end, [&](const auto& entry) { return there[entry.second] == rule; });
    if (at == end) continue;
    matches[i].live = at->second;
    by_comment.erase(at);
  }
  LongestRise rise(matches);
  for (std::size_t i = 0; i < matches.size(); ++i) {
    if (matches[i].live && may_stay(wanted.rules[i])) rise.add(i);
  }
  rise.keep();
  return matches;
}

}  // namespace rolewall::apply
