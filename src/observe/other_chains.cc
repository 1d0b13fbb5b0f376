#include "observe/other_chains.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <variant>

#include "ruleset/effects.h"
#include "ruleset/expr.h"
#include "ruleset/names.h"
#include "ruleset/own_table.h"
#include "ruleset/rule_parts.h"
#include "ruleset/table_flags.h"
#include "ruleset/table_index.h"

namespace rolewall::observe {
namespace {

using ruleset::BaseChain;
using ruleset::Chain;
using ruleset::ChainType;
using ruleset::Ending;
using ruleset::Family;
using ruleset::Hook;
using ruleset::Rule;
using ruleset::Table;
using ruleset::VerdictCode;

class Reach {
 public:
  explicit Reach(const Table& table) : table_(table), names_(table) {}

  std::vector<Effect> of(const Chain& chain) {
    if (chain.base && chain.base->policy == VerdictCode::Drop) effects_.insert(Effect::Drops);
    sources_ =
        chain.base && (chain.base->hook == Hook::Input || chain.base->hook == Hook::Postrouting);
    enter(chain);
    return {effects_.begin(), effects_.end()};
  }

 private:
  void enter(const Chain& chain) {
    if (!seen_.insert(chain.name).second) return;
    for (const Rule& rule : chain.rules) {
      for (const ruleset::Expr& expr : rule.exprs) look_at(expr);
    }
  }
  void enter_any() {
    for (const Chain& chain : table_.chains) {
      if (!chain.base) enter(chain);
    }
  }
  void take(const ruleset::Verdict& verdict) {
    switch (verdict.code) {
      case VerdictCode::Drop:
      case VerdictCode::Queue:
        effects_.insert(Effect::Drops);
        return;
      case VerdictCode::Jump:
      case VerdictCode::Goto:
        if (const Chain* chain = names_.chain(verdict.chain)) enter(*chain);
        return;
      case VerdictCode::Accept:
      case VerdictCode::Continue:
      case VerdictCode::Break:
      case VerdictCode::Return:
        return;
    }
  }
  void take(const ruleset::Unsupported& expr) {
    effects_.insert(expr.name == "flow_offload" ? Effect::Offloads : Effect::Unread);
  }
  // To an address of the device by which it came (nf_nat_redirect.c): it stays on input.
  static bool redirects(const ruleset::Expr& expr) {
    const auto* target = std::get_if<ruleset::XtTarget>(&expr);
    return target != nullptr ? target->name == "REDIRECT"
                             : std::holds_alternative<ruleset::Redirect>(expr);
  }
  void look_at(const ruleset::Expr& expr) {
    if (const auto* unsupported = std::get_if<ruleset::Unsupported>(&expr)) {
      take(*unsupported);
      return;
    }
    const ruleset::Effects effects = ruleset::effects_of(expr, names_);
    if (effects.untracks) effects_.insert(Effect::Untracks);
    if (effects.translates) {
      // iptables' NETMAP is either, by the hook.
      const bool source = std::holds_alternative<ruleset::XtTarget>(expr)
                              ? sources_
                              : *effects.translates == ruleset::NatKind::Source;
      effects_.insert(source            ? Effect::TranslatesSource
                      : redirects(expr) ? Effect::Redirects
                                        : Effect::TranslatesDestination);
    }
    switch (effects.ending) {
      case Ending::None:
      case Ending::Accept:
        return;
      case Ending::Verdict:
        take(std::get<ruleset::ImmediateVerdict>(expr).verdict);
        return;
      case Ending::SetVerdict:
        if (const ruleset::Set* map = names_.set(*effects.set)) take(*map);
        return;
      case Ending::Drop:
        effects_.insert(Effect::Drops);
        return;
      case Ending::OtherDevice:
        effects_.insert(Effect::Leaves);
        return;
      case Ending::Unknown:
        effects_.insert(Effect::Unread);
        return;
    }
  }
  // A map that shows no elements may have any: they come and go.
  void take(const ruleset::Set& map) {
    if (map.elements.empty()) {
      effects_.insert(Effect::Drops);
      enter_any();
      return;
    }
    for (const ruleset::Verdict& verdict : map.elements.verdicts) take(verdict);
    take(map.elements.catch_all_verdict);
  }

  const Table& table_;
  ruleset::TableIndex names_;
  bool sources_ = false;  // whether its hook is one where sources are translated
  std::set<Effect> effects_;
  std::set<std::string, std::less<>> seen_;
};

// On input, forward and output ours stand at priority 0; of two that are equal the one registered
// last is asked first (nf_hook_entries_grow() of net/netfilter/core.c), and tables are listed in
// that order.
Order order_of(const BaseChain& base, bool listed_after_ours) {
  switch (base.hook) {
    case Hook::Ingress:
    case Hook::Prerouting:
      return Order::Before;
    case Hook::Postrouting:
    case Hook::Egress:
      return Order::After;
    case Hook::Input:
    case Hook::Forward:
    case Hook::Output:
      break;
  }
  // The kernel asks NAT chains of input at source NAT's priority, of output at destination NAT's.
  constexpr std::int32_t kOurs = 0;
  const bool is_nat = base.type == ChainType::Nat;
  if (is_nat) return base.hook == Hook::Output ? Order::Before : Order::After;
  if (base.priority != kOurs) return base.priority < kOurs ? Order::Before : Order::After;
  return listed_after_ours ? Order::Before : Order::After;
}

bool sees_ip(Family family) {
  switch (family) {
    case Family::Inet:
    case Family::Ip:
    case Family::Ip6:
    case Family::Netdev:
      return true;
    case Family::Arp:
    case Family::Bridge:  // frames between a bridge's ports, which are not for this host's IP
      return false;
  }
  return false;
}

bool has(const OtherChain& chain, Effect effect) {
  return std::ranges::find(chain.effects, effect) != chain.effects.end();
}

std::string name_of(const OtherChain& chain) {
  return fmt::format("chain {} of table {} {}", chain.chain, ruleset::name_of(chain.family),
                     chain.table);
}

// How our table answers what is forwarded and no rule of the policy speaks of.
enum class Forwarding : std::uint8_t { Absent, Admitted, Ruled, Closed };
Forwarding forwarding_of(const Table& own) {
  const Chain* chain = ruleset::find_chain(own, ruleset::own::kForward);
  if (chain == nullptr || !chain->base) return Forwarding::Absent;
  if (accepts_by_default(own, ruleset::own::kForward)) return Forwarding::Admitted;
  return ruleset::find_chain(own, ruleset::own::kForwardDispatch) != nullptr ? Forwarding::Ruled
                                                                             : Forwarding::Closed;
}

Finding published(const OtherChain& chain, const Table& own) {
  Finding finding{.weight = Weight::Note,
                  .code = Code::PublishedPort,
                  .what = name_of(chain) +
                          " translates destinations, as Docker does for published ports: "
                          "connections to another machine or a container pass the forward "
                          "chain, not input",
                  .hint = ""};
  switch (forwarding_of(own)) {
    case Forwarding::Absent:
      finding.weight = Weight::Warning;
      finding.hint = "rolewall's table has no forward chain: the policy does not apply to them";
      break;
    case Forwarding::Admitted:
      finding.weight = Weight::Warning;
      finding.hint =
          "the forward default is accept (or the host is in audit mode): all of them pass";
      break;
    case Forwarding::Ruled:
      finding.hint = "the policy's [[forward]] rules and its default decide";
      break;
    case Forwarding::Closed:
      finding.hint =
          "the policy has no [[forward]] rules: published ports cannot be reached from "
          "outside";
      break;
  }
  return finding;
}

}  // namespace

bool accepts_by_default(const Table& own, std::string_view name) {
  const Chain* chain = ruleset::find_chain(own, name);
  if (chain == nullptr || chain->rules.empty()) return false;
  const ruleset::Verdict* last = ruleset::final_verdict(chain->rules.back());
  return last != nullptr && last->code == VerdictCode::Accept;
}

std::string_view words_of(Effect effect, bool in_force) {
  switch (effect) {
    case Effect::Drops:
      return in_force ? "may drop what rolewall accepts" : "may drop packets";
    case Effect::TranslatesDestination:
      return "translates destinations";
    case Effect::Redirects:
      return "redirects to ports of this host";
    case Effect::TranslatesSource:
      return "translates sources";
    case Effect::Untracks:
      return "turns connection tracking off";
    case Effect::Leaves:
      return "sends packets directly to a device";
    case Effect::Offloads:
      return "offloads flows";
    case Effect::Unread:
      return "has rules that rolewall cannot read";
  }
  return "";
}

std::string_view code_of(Effect effect) {
  switch (effect) {
    case Effect::Drops:
      return "drops";
    case Effect::TranslatesDestination:
      return "translates-destination";
    case Effect::Redirects:
      return "redirects-to-self";
    case Effect::TranslatesSource:
      return "translates-source";
    case Effect::Untracks:
      return "untracks";
    case Effect::Leaves:
      return "leaves";
    case Effect::Offloads:
      return "offloads";
    case Effect::Unread:
      return "unread";
  }
  return "";
}

std::vector<OtherChain> other_chains(const ruleset::Ruleset& live) {
  std::vector<OtherChain> chains;
  bool after_ours = false;
  for (const Table& table : live.tables) {
    if (is_own(table)) after_ours = true;
    if (is_own(table) || !sees_ip(table.family) || (table.flags & ruleset::kTableDormant) != 0)
      continue;
    for (const Chain& chain : table.chains) {
      if (!chain.base) continue;
      chains.push_back({.family = table.family,
                        .table = table.name,
                        .chain = chain.name,
                        .base = *chain.base,
                        .order = order_of(*chain.base, after_ours),
                        .effects = Reach(table).of(chain)});
    }
  }
  std::ranges::stable_sort(chains, {}, [](const OtherChain& chain) {
    return std::pair(chain.base.hook, chain.base.priority);
  });
  return chains;
}

std::vector<Finding> bypasses(const std::vector<OtherChain>& chains, const Table& own) {
  std::vector<Finding> findings;
  for (const OtherChain& chain : chains) {
    const std::string name = name_of(chain);
    if (has(chain, Effect::TranslatesDestination) && chain.base.hook == Hook::Prerouting) {
      findings.push_back(published(chain, own));
    }
    if (has(chain, Effect::Untracks)) {
      findings.push_back({.weight = Weight::Warning,
                          .code = Code::Untracked,
                          .what = name +
                                  " turns connection tracking off for some packets: their answers "
                                  "are not accepted by (established)",
                          .hint = "write rules for both directions of that traffic"});
    }
    if (has(chain, Effect::Leaves)) {
      findings.push_back({.weight = Weight::Warning,
                          .code = Code::SentPast,
                          .what = name + " sends packets directly to another device: they do not "
                                         "pass rolewall's chains",
                          .hint = ""});
    }
    if (has(chain, Effect::Offloads)) {
      findings.push_back({.weight = Weight::Warning,
                          .code = Code::OffloadedFlows,
                          .what = name + " offloads connections to a flowtable: their later "
                                         "packets pass no chain, so a ban or a changed policy "
                                         "does not affect them",
                          .hint = ""});
    }
  }
  return findings;
}

}  // namespace rolewall::observe
