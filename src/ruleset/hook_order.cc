#include "ruleset/hook_order.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <unordered_set>
#include <utility>
#include <variant>

#include "ruleset/effects.h"
#include "ruleset/expr.h"
#include "ruleset/names.h"
#include "ruleset/order_words.h"

namespace rolewall::ruleset {
namespace {

bool is_on_device(Hook hook) {
  return hook == Hook::Ingress || hook == Hook::Egress;
}

// Such a chain stands on one hook for ever: others get and lose devices.
bool has_one_device(const BaseChain& base) {
  return base.devices.size() == 1 && !base.devices.front().ends_with('*');
}

// Of entries, by their numbers.
struct Relations {
  explicit Relations(std::uint32_t count)
      : before(count, std::vector<bool>(count)),
        free(count, std::vector<bool>(count, true)),
        open(count) {}
  std::vector<std::vector<bool>> before;  // [a][b]: a must run before b
  std::vector<std::vector<bool>> free;    // [a][b]: which of them runs first does not matter
  std::vector<bool> open;                 // it matters against some other, and is not known
};

// All orders, but for those that differ in what does not matter: each is listed once or a few
// times, with neighbours that may change places in the order of their numbers. Where nothing is
// open: one.
void list_orders(const Relations& relations, UnknownOrder& found) {
  constexpr std::size_t kMostSteps = 10'000;
  const auto count = static_cast<std::uint32_t>(relations.open.size());
  const bool any_is_open = std::ranges::find(relations.open, true) != relations.open.end();
  std::vector<std::uint32_t> order;
  std::vector<bool> placed(count);
  std::size_t steps = 0;
  const auto is_done = [&] { return !found.complete || (!any_is_open && !found.orders.empty()); };
  const auto may_follow = [&](std::uint32_t next) {
    if (placed[next]) return false;
    if (!order.empty() && next < order.back() && relations.free[next][order.back()]) return false;
    for (std::uint32_t other = 0; other < count; ++other) {
      if (!placed[other] && relations.before[other][next]) return false;
    }
    return true;
  };
  // The first order is found without a step back.
  const std::function<void()> place = [&] {
    if (order.size() == count) {
      found.complete = found.orders.size() < UnknownOrder::kMost;
      if (found.complete) found.orders.push_back(order);
      return;
    }
    if (!found.orders.empty() && ++steps > kMostSteps) found.complete = false;
    for (std::uint32_t next = 0; next < count && !is_done(); ++next) {
      if (!may_follow(next)) continue;
      placed[next] = true;
      order.push_back(next);
      place();
      order.pop_back();
      placed[next] = false;
    }
  };
  place();
}

}  // namespace

const UnknownOrder* HookEntries::at(std::size_t entry) const {
  const auto found = std::ranges::find(unknown, entry, &UnknownOrder::first);
  return found == unknown.end() ? nullptr : &*found;
}

std::vector<HookEntry> HookEntries::in_order(std::vector<HookEntry> now, const UnknownOrder& of,
                                             std::size_t order) const {
  const std::vector<std::uint32_t>& numbers = of.orders[order];
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    now[of.first + i] = entries[of.first + numbers[i]];
  }
  return now;
}

void HookOrder::add(const Expr& expr, const TableIndex& in, Deeds& deeds,
                    std::vector<const Chain*>& next) {
  const Effects effects = effects_of(expr, in);
  deeds.acts = deeds.acts || is_seen_elsewhere(expr, in);
  deeds.remembers =
      deeds.remembers || (effects.memory != Memory::Nothing && effects.memory != Memory::Count);
  deeds.tracks = deeds.tracks || effects.tracking != TrackingUse{};
  const auto take = [&](const Verdict& verdict) {
    deeds.drops = deeds.drops || verdict.code == VerdictCode::Drop;
    if (verdict.chain.empty()) return;
    if (const Chain* chain = in.chain(verdict.chain)) next.push_back(chain);
  };
  if (const auto* verdict = std::get_if<ImmediateVerdict>(&expr)) {
    take(verdict->verdict);
  } else if (effects.ending == Ending::SetVerdict) {
    const Set* set = effects.set == nullptr ? nullptr : in.set(*effects.set);
    const bool is_known =
        set != nullptr && std::holds_alternative<Lookup>(expr) && set->unsupported.empty();
    // What a program has added to the map since may lead to any chain.
    if (!is_known) {
      deeds.acts = deeds.drops = true;
      return;
    }
    for (const Verdict& each : set->elements.verdicts) take(each);
    if (set->elements.has_catch_all) take(set->elements.catch_all_verdict);
  } else {
    // iptables' matches may drop what they cannot read.
    const bool may_drop = std::holds_alternative<XtMatch>(expr) ||
                          std::holds_alternative<Connlimit>(expr) ||
                          effects.ending == Ending::Verdict || effects.ending == Ending::Unknown;
    deeds.drops = deeds.drops || may_drop;
    deeds.rejects = deeds.rejects || effects.ending == Ending::Drop ||
                    effects.ending == Ending::Verdict || effects.ending == Ending::Unknown;
  }
}

HookOrder::Deeds HookOrder::deeds_of(const HookEntry& entry) {
  const TableIndex& in = *tables_[entry.table];
  const Chain& base = in.table().chains[entry.chain];
  if (const auto known = known_.find(&base); known != known_.end()) return known->second;
  Deeds deeds;
  deeds.drops = base.base && base.base->policy == VerdictCode::Drop;
  std::unordered_set<const Chain*> seen;
  std::vector<const Chain*> rest{&base};
  while (!rest.empty()) {
    const Chain* now = rest.back();
    rest.pop_back();
    if (!seen.insert(now).second) continue;
    deeds.asks = deeds.asks || !now->rules.empty();
    for (const Rule& rule : now->rules) {
      for (const Expr& expr : rule.exprs) add(expr, in, deeds, rest);
    }
  }
  known_.emplace(&base, deeds);
  return deeds;
}

// Two that only accept or drop give the same in either order: what one drops is dropped.
HookOrder::Matters HookOrder::matters(const HookEntry& a, const HookEntry& b) {
  using Kind = HookEntry::Kind;
  const auto now_if = [](bool is_so) { return is_so ? Matters::Now : Matters::No; };
  if (a.kind != Kind::Chain && b.kind != Kind::Chain) return Matters::No;
  const HookEntry& chain = a.kind == Kind::Chain ? a : b;
  const HookEntry& other = a.kind == Kind::Chain ? b : a;
  const Deeds deeds = deeds_of(chain);
  switch (other.kind) {
    case Kind::Defrag:
      return now_if(deeds.asks || deeds.denies());
    case Kind::Conntrack:
      return now_if(deeds.tracks || deeds.acts);
    case Kind::Nat:
      return now_if(deeds.asks);
    case Kind::Chain:
      break;
  }
  const Deeds more = deeds_of(other);
  const auto changes = [](const Deeds& one, const Deeds& two) {
    return (one.acts && (two.asks || two.denies())) || (one.rejects && two.denies());
  };
  if (changes(deeds, more) || changes(more, deeds)) return Matters::Now;
  const bool later = (deeds.remembers && more.denies()) || (more.remembers && deeds.denies());
  return later ? Matters::Later : Matters::No;
}

std::optional<bool> HookOrder::is_newer(const HookEntry& a, const HookEntry& b) const {
  using Kind = HookEntry::Kind;
  if (a.kind == Kind::Chain && b.kind == Kind::Chain) {
    if (a.table != b.table) return std::nullopt;
    const auto& chains = tables_[a.table]->table().chains;
    const BaseChain& one = *chains[a.chain].base;
    const BaseChain& two = *chains[b.chain].base;
    if (is_on_device(one.hook) && !(has_one_device(one) && has_one_device(two))) {
      return std::nullopt;
    }
    return a.chain > b.chain;
  }
  // NAT is there as long as any nat chain is.
  const auto follows_nat = [&](const HookEntry& chain, const HookEntry& nat) {
    if (chain.kind != Kind::Chain || nat.kind != Kind::Nat) return false;
    const auto& chains = tables_[chain.table]->table().chains;
    return std::any_of(
        chains.begin(), chains.begin() + static_cast<std::ptrdiff_t>(chain.chain),
        [](const Chain& each) { return each.base && each.base->type == ChainType::Nat; });
  };
  if (follows_nat(a, b)) return true;
  if (follows_nat(b, a)) return false;
  return std::nullopt;
}

std::string HookOrder::name_of(const HookEntry& entry) const {
  switch (entry.kind) {
    case HookEntry::Kind::Defrag:
      return "reassembly";
    case HookEntry::Kind::Conntrack:
      return "connection tracking";
    case HookEntry::Kind::Nat:
      return "NAT";
    case HookEntry::Kind::Chain:
      break;
  }
  const Table& table = tables_[entry.table]->table();
  return fmt::format("chain {} {} {}", ruleset::name_of(table.family), table.name,
                     table.chains[entry.chain].name);
}

void HookOrder::arrange(HookEntries& all, std::size_t first, std::size_t end) {
  const auto count = static_cast<std::uint32_t>(end - first);
  if (count < 2) return;
  const auto entry = [&](std::uint32_t number) -> const HookEntry& {
    return all.entries[first + number];
  };
  Relations relations(count);
  UnknownOrder found{.first = first, .matters_now = false};
  for (std::uint32_t a = 0; a < count; ++a) {
    for (std::uint32_t b = a + 1; b < count; ++b) {
      const Matters matter = matters(entry(a), entry(b));
      if (matter == Matters::No) continue;
      relations.free[a][b] = relations.free[b][a] = false;
      if (const std::optional<bool> newer = is_newer(entry(a), entry(b))) {
        relations.before[*newer ? a : b][*newer ? b : a] = true;
        continue;
      }
      relations.open[a] = relations.open[b] = true;
      found.matters_now = found.matters_now || matter == Matters::Now;
    }
  }
  list_orders(relations, found);

  // They stand in the first order from here on.
  const std::vector<std::uint32_t> stands = found.orders.front();
  std::vector<HookEntry> moved;
  std::vector<std::uint32_t> now(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    moved.push_back(entry(stands[i]));
    now[stands[i]] = i;
  }
  std::ranges::copy(moved, all.entries.begin() + static_cast<std::ptrdiff_t>(first));
  if (found.orders.size() < 2) return;
  const auto names = [&](const std::vector<std::uint32_t>& order) {
    std::vector<std::string> named;
    for (const std::uint32_t number : order) {
      if (relations.open[number]) named.push_back(name_of(moved[now[number]]));
    }
    return named;
  };
  const std::vector<std::string> about = names(stands);
  found.about = fmt::format("{}{}, {} at priority {}", kOrderOf, fmt::join(about, " and "),
                            about.size() == 2 ? "both" : "all", moved.front().priority);
  for (std::vector<std::uint32_t>& each : found.orders) {
    const std::vector<std::string> named = names(each);
    found.answer.push_back(named.size() == 2 ? named.front() + " first"
                                             : fmt::format("{}", fmt::join(named, ", then ")));
    for (std::uint32_t& number : each) number = now[number];
  }
  all.unknown.push_back(std::move(found));
}

HookEntries HookOrder::of(std::vector<HookEntry> entries) {
  HookEntries all{std::move(entries), {}};
  // Of what is not known, the kernel's own parts first, and the newer table.
  std::ranges::reverse(all.entries);
  std::ranges::stable_sort(all.entries, {}, [](const HookEntry& entry) {
    return std::pair(entry.priority, entry.kind == HookEntry::Kind::Chain);
  });
  for (std::size_t first = 0; first < all.entries.size();) {
    std::size_t end = first;
    while (end < all.entries.size() && all.entries[end].priority == all.entries[first].priority) {
      ++end;
    }
    arrange(all, first, end);
    first = end;
  }
  return all;
}

}  // namespace rolewall::ruleset
