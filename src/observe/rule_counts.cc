#include "observe/rule_counts.h"

#include <algorithm>
#include <string_view>

#include "observe/written_policy.h"
#include "ruleset/expr.h"
#include "ruleset/own_table.h"
#include "ruleset/rule_parts.h"

namespace rolewall::observe {
namespace {

namespace own = ruleset::own;
using ruleset::Chain;
using ruleset::Rule;
using ruleset::VerdictCode;

const ruleset::Counter* counter_of(const Rule& rule) {
  for (const ruleset::Expr& expr : rule.exprs) {
    if (const auto* counter = std::get_if<ruleset::Counter>(&expr)) return counter;
  }
  return nullptr;
}

bool translates(const Rule& rule) {
  return std::ranges::any_of(rule.exprs, [](const ruleset::Expr& expr) {
    return std::holds_alternative<ruleset::Nat>(expr) ||
           std::holds_alternative<ruleset::Masquerade>(expr) ||
           std::holds_alternative<ruleset::Redirect>(expr);
  });
}

// What the rule itself does with all that it counts; std::nullopt: the next rules say.
std::optional<Fate> own_fate(const Rule& rule) {
  if (ruleset::rejects(rule)) return Fate::Rejected;
  if (translates(rule)) return Fate::Translated;
  const ruleset::Verdict* verdict = ruleset::final_verdict(rule);
  if (verdict == nullptr) return std::nullopt;
  if (verdict->code == VerdictCode::Accept) return Fate::Accepted;
  if (verdict->code == VerdictCode::Drop) return Fate::Dropped;
  return std::nullopt;
}

// A rule that asks for something first decides for some packets alone: the chain's end decides for
// the others. Of `reject` the two ways are one fate.
Fate fate_at(const Chain& chain, std::size_t at) {
  if (const auto own = own_fate(chain.rules[at])) return *own;
  Fate fate = Fate::Passed;
  for (std::size_t i = at + 1; i < chain.rules.size(); ++i) {
    const Rule& rule = chain.rules[i];
    if (rule.comment.text() != chain.rules[at].comment.text()) continue;
    const auto next = own_fate(rule);
    // What a limit denies with a counter of its own is told apart.
    if (next && counter_of(rule) == nullptr) fate = *next;
  }
  return fate;
}

// In audit mode what denies goes on, and the defaults accept.
Fate as_audited(const RuleCount& count, const Chain& chain, bool audits) {
  const bool denies_by_kind =
      count.name == own::step::kInvalid || count.name == own::step::kSpoofed ||
      (count.name == own::step::kDefault && chain.base.has_value()) || count.is_excess;
  const bool lets_pass = count.fate == Fate::Accepted || count.fate == Fate::Passed;
  return audits && denies_by_kind && lets_pass ? Fate::Audited : count.fate;
}

void add(std::vector<RuleCount>& counts, RuleCount count) {
  const auto same = std::ranges::find_if(counts, [&](const RuleCount& each) {
    return each.name == count.name && each.chain == count.chain && each.fate == count.fate &&
           each.is_excess == count.is_excess;
  });
  if (same == counts.end()) return counts.push_back(std::move(count));
  same->packets += count.packets;
  same->bytes += count.bytes;
}

}  // namespace

std::string_view name_of(Fate fate) {
  switch (fate) {
    case Fate::Accepted:
      return "accept";
    case Fate::Dropped:
      return "drop";
    case Fate::Rejected:
      return "reject";
    case Fate::Audited:
      return "audit";
    case Fate::Translated:
      return "translate";
    case Fate::Passed:
      return "pass";
  }
  return "";
}

bool is_denied(Fate fate) {
  return fate == Fate::Dropped || fate == Fate::Rejected;
}

bool audits(const ruleset::Table& table) {
  const Chain* input = ruleset::find_chain(table, own::kInput);
  return input != nullptr && input->base && input->base->policy == VerdictCode::Accept;
}

std::vector<RuleCount> count_rules(const ruleset::Table& table) {
  const bool in_audit_mode = audits(table);
  std::vector<RuleCount> all;
  for (const Chain& chain : table.chains) {
    std::vector<RuleCount> counts;  // of one chain, so that looking for the same stays short
    for (std::size_t i = 0; i < chain.rules.size(); ++i) {
      const Rule& rule = chain.rules[i];
      const ruleset::Counter* counter = counter_of(rule);
      if (counter == nullptr || rule.comment.empty()) continue;
      const std::string& name = rule.comment.text();
      RuleCount count{.name = name,
                      .chain = chain.name,
                      .fate = fate_at(chain, i),
                      .is_excess = ruleset::is_excess(chain, i),
                      .packets = counter->packets,
                      .bytes = counter->bytes};
      count.fate = as_audited(count, chain, in_audit_mode);
      add(counts, std::move(count));
    }
    std::ranges::move(counts, std::back_inserter(all));
  }
  return all;
}

std::string_view name_of(SetUse use) {
  switch (use) {
    case SetUse::Bans:
      return "bans";
    case SetUse::Openings:
      return "openings";
    case SetUse::RateSources:
      return "limit";
    case SetUse::ConnectionSources:
      return "connections";
    case SetUse::LogSources:
      return "log";
  }
  return "";
}

namespace {

struct Owned {
  std::string rule;
  SetUse use = SetUse::Bans;
};

// std::nullopt for sets that only the policy fills.
std::optional<Owned> owner_of(const std::string& set) {
  if (own::holds_bans(set)) return Owned{"", SetUse::Bans};
  if (own::holds_openings(set)) return Owned{"", SetUse::Openings};
  if (set == own::log_set(true) || set == own::log_set(false)) return Owned{"", SetUse::LogSources};
  const std::size_t slash = set.find('/');
  if (slash == std::string::npos) return std::nullopt;
  const std::string rule = set.substr(0, slash);
  for (const bool ipv4 : {true, false}) {
    if (set == own::rate_set(rule, ipv4)) return Owned{rule, SetUse::RateSources};
    if (set == own::connections_set(rule, ipv4)) return Owned{rule, SetUse::ConnectionSources};
    if (set == own::log_set(rule, ipv4)) return Owned{rule, SetUse::LogSources};
  }
  return std::nullopt;
}

}  // namespace

std::vector<SetFill> set_fills(const ruleset::Table& table,
                               const std::vector<netlink::SetState>& counted,
                               const std::vector<netlink::UnreadSet>& unread) {
  std::vector<SetFill> fills;
  for (const ruleset::Set& set : table.sets) {
    const auto owned = owner_of(set.name);
    if (!owned) continue;
    SetFill fill{.name = set.name,
                 .rule = owned->rule,
                 .use = owned->use,
                 .elements = set.elements.count(),
                 .size = set.size};
    const auto known = std::ranges::find(counted, set.name, &netlink::SetState::name);
    const auto left = std::ranges::find(unread, set.name, &netlink::UnreadSet::name);
    if (known != counted.end()) {
      fill.elements = known->elements;
    } else if (left != unread.end()) {
      fill.elements = left->count;
    }
    fills.push_back(std::move(fill));
  }
  return fills;
}

}  // namespace rolewall::observe
