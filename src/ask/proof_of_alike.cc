// Hosts that run the same rules are gone into once: most sites have many of few roles. What holds
// for all packets from or to any of them holds for each. Where it does not, each is asked for
// itself (prover.cc); so no answer but "it holds" comes from here.
#include <algorithm>

#include "ask/prover_parts.h"

namespace rolewall::ask {
namespace {

using analyze::Analysis;
using analyze::Diagram;
using analyze::kNothing;
using policy::Index;

// By which a ruleset means the same on each of them, but for their addresses.
struct HostsAlike {
  std::vector<Index> hosts;
  net::AddressSet own;  // of all of them
};

bool are_alike(const ruleset::Snapshot& a, const ruleset::Snapshot& b) {
  return a.host.interfaces == b.host.interfaces && a.host.conntrack == b.host.conntrack &&
         a.ruleset == b.ruleset;
}

// Translations read a host's own addresses; a running machine has routes.
bool can_share(const ruleset::Snapshot& snapshot) {
  if (snapshot.host.routes) return false;
  return std::ranges::none_of(snapshot.ruleset.tables, [](const ruleset::Table& table) {
    return std::ranges::any_of(table.chains, [](const ruleset::Chain& chain) {
      return chain.base && chain.base->type == ruleset::ChainType::Nat;
    });
  });
}

std::vector<HostsAlike> find_alike(const policy::Policy& policy, Site& site,
                                   const std::vector<bool>& concerned) {
  std::vector<HostsAlike> groups;
  for (Index host = 0; host < policy.hosts.size(); ++host) {
    if (!concerned[host]) continue;
    const ruleset::Snapshot& snapshot = site.snapshot(host);
    if (!can_share(snapshot)) continue;
    const auto same = std::ranges::find_if(groups, [&](const HostsAlike& group) {
      return are_alike(site.snapshot(group.hosts.front()), snapshot);
    });
    if (same != groups.end()) {
      same->hosts.push_back(host);
    } else {
      groups.push_back({{host}, {}});
    }
  }
  std::erase_if(groups, [](const HostsAlike& group) { return group.hosts.size() < 2; });
  for (HostsAlike& group : groups) {
    std::vector<net::Prefix> own;
    for (const Index host : group.hosts) {
      const policy::Host& entry = policy.hosts[host];
      own.insert(own.end(), entry.addresses.begin(), entry.addresses.end());
      own.insert(own.end(), entry.virtual_addresses.begin(), entry.virtual_addresses.end());
    }
    group.own = net::AddressSet::from(own);
  }
  return groups;
}

bool is_end_of(const policy::Host& host, const AskedWords& asked) {
  const auto meets = [&](const net::Prefix& own) {
    if (own.length < net::address_bits(own.address)) return true;  // a pool: looked into later
    return asked.from.contains(own.address) || asked.to.contains(own.address);
  };
  return std::ranges::any_of(host.addresses, meets) ||
         std::ranges::any_of(host.virtual_addresses, meets);
}

// What is asked of them is for one of them: a pool (ruleset::Host::addresses) of all addresses.
ruleset::Host any_of_them(ruleset::Host host) {
  host.virtual_addresses.clear();
  host.addresses.clear();
  for (const char* half : {"0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"}) {
    host.addresses.push_back(*net::parse_prefix(half));
  }
  return host;
}

bool is_self(const policy::Selectors& selectors) {
  return selectors.items.size() == 1 && !selectors.items.front().negated &&
         selectors.items.front().term.kind == policy::TermKind::Self;
}
bool names_no_self(const policy::Selectors& selectors) {
  return std::ranges::none_of(selectors.items, [](const policy::Selector& item) {
    return item.term.kind == policy::TermKind::Self;
  });
}

// Of a role's or a block's words, all packets from or to one of them; nothing, where it is not so
// simple.
std::optional<AskedPart> part_of_all(const policy::Policy& policy, const HostsAlike& group,
                                     const policy::PacketWords& words) {
  if (words.at || words.at_self) return std::nullopt;
  const Index first = group.hosts.front();
  if (is_self(words.to.selectors) && names_no_self(words.from.selectors)) {
    if (words.user || (words.out && !words.in)) return std::nullopt;
    return AskedPart{first, Does::Receive,
                     policy::addresses_of(policy, words.from.selectors, first), group.own};
  }
  if (is_self(words.from.selectors) && names_no_self(words.to.selectors) && !words.in) {
    return AskedPart{first, Does::Send, group.own,
                     policy::addresses_of(policy, words.to.selectors, first)};
  }
  return std::nullopt;
}

}  // namespace

Prover::Alike::Alike(const ruleset::Snapshot& of)
    : snapshot(of), machine(snapshot.ruleset, any_of_them(snapshot.host)) {}

Proof Prover::ask_part_of_many(const Statement& statement, const AskedPart& part) {
  constexpr std::size_t kMostAlike = 16;
  const ruleset::Snapshot& snapshot = site_.snapshot(part.host);
  if (!can_share(snapshot)) return ask_part(statement, part);
  auto same = std::ranges::find_if(alike_, [&](const std::unique_ptr<Alike>& each) {
    return are_alike(each->snapshot, snapshot);
  });
  if (same == alike_.end()) {
    if (alike_.size() == kMostAlike) alike_.erase(alike_.begin());
    alike_.push_back(std::make_unique<Alike>(snapshot));
    same = std::prev(alike_.end());
  }
  auto proof = holds_alike(statement, part, (*same)->machine);
  return proof ? *std::move(proof) : ask_part(statement, part);
}

// Where none of these packets breaks it, and there are some.
std::optional<Proof> Prover::holds_alike(const Statement& statement, const AskedPart& part,
                                         Machine& alike) {
  Proof proof{Proof::Outcome::Holds, {}, {}, ""};
  const auto holds = Analysis::within_budget<bool>([&] {
    const auto packets = alike.sets.packets(*statement.words, part);
    if (!packets || *packets == kNothing) return false;
    const auto wrong = alike.analysis.by_choice(direction_of(part.does), breaking(statement.claim));
    if (!wrong) return false;
    analyze::Diagrams& d = alike.analysis.diagrams();
    Diagram broken = d.both(*wrong, *packets);
    if (statement.claim == Claim::Always) {
      if (!statement.words->tcp_flags) broken = d.both(broken, alike.sets.plain_beginnings());
      const Diagram plain = d.both(broken, alike.analysis.space().unspent());
      if (plain == kNothing) proof.as_long_as = alike.analysis.counted_in(broken);
      broken = plain;
    }
    return broken == kNothing;
  });
  if (!holds || !*holds) return std::nullopt;
  return proof;
}

void Prover::prove_alike(std::span<const Statement> statements, std::vector<Proof>& proofs,
                         std::vector<Join>& joins) {
  std::vector<bool> concerned(policy_.hosts.size());
  std::vector<std::size_t> of_both_ends;
  std::vector<AskedWords> asked;
  for (std::size_t i = 0; i < statements.size(); ++i) {
    const Statement& statement = statements[i];
    if (statement.asking.alone) {
      concerned[*statement.asking.self] = true;
    } else if (statement.claim == Claim::Never) {
      of_both_ends.push_back(i);
      asked.push_back(asked_words(policy_, *statement.words, statement.asking));
    }
  }
  for (Index host = 0; host < policy_.hosts.size(); ++host) {
    concerned[host] = concerned[host] || std::ranges::any_of(asked, [&](const AskedWords& words) {
                        return words.at == host || is_end_of(policy_.hosts[host], words);
                      });
  }
  std::map<Index, std::size_t> group_of;
  const std::vector<HostsAlike> groups = find_alike(policy_, site_, concerned);
  for (std::size_t g = 0; g < groups.size(); ++g) {
    for (const Index host : groups[g].hosts) group_of.emplace(host, g);
  }
  // By group, what is stated of several alike.
  std::map<std::size_t,
           std::map<std::pair<const policy::PacketWords*, Claim>, std::vector<std::size_t>>>
      stated;
  for (std::size_t i = 0; i < statements.size(); ++i) {
    const Statement& statement = statements[i];
    if (!statement.asking.alone) continue;
    const auto group = group_of.find(*statement.asking.self);
    if (group == group_of.end()) continue;
    stated[group->second][{statement.words, statement.claim}].push_back(i);
  }
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const ruleset::Snapshot& first = site_.snapshot(groups[g].hosts.front());
    Machine alike(first.ruleset, any_of_them(first.host));
    for (const auto& [what, all] : stated[g]) {
      if (all.size() < 2) continue;
      const auto part = part_of_all(policy_, groups[g], *what.first);
      const auto proof = part ? holds_alike(statements[all.front()], *part, alike) : std::nullopt;
      if (!proof) continue;
      for (const std::size_t i : all) proofs[i] = *proof;
    }
    for (std::size_t k = 0; k < of_both_ends.size(); ++k) {
      const std::size_t i = of_both_ends[k];
      add_alike(joins[i], statements[i], asked[k], groups[g].hosts, groups[g].own, alike);
    }
  }
  // And those that are like no other.
  for (Index host = 0; host < policy_.hosts.size(); ++host) {
    for (std::size_t k = 0; k < of_both_ends.size() && concerned[host]; ++k) {
      if (group_of.contains(host) && asked[k].at != host) continue;
      const std::size_t i = of_both_ends[k];
      for (const AskedPart& part :
           asked_parts(policy_, *statements[i].words, asked[k], statements[i].asking, host)) {
        add(joins[i], statements[i], part, machine(host), analyze::Taken::May);
      }
    }
  }
}

// The host of `at=` is none of them: it is asked for itself.
void Prover::add_alike(Join& join, const Statement& statement, const AskedWords& asked,
                       const std::vector<Index>& hosts, const net::AddressSet& own,
                       Machine& alike) {
  const policy::PacketWords& words = *statement.words;
  const bool has_devices = !asked.at;
  const policy::Host& entry = policy_.hosts[hosts.front()];
  const auto add_part = [&](Does does, net::AddressSet from, net::AddressSet to,
                            const std::optional<policy::InterfaceWord>& word) {
    const bool possible =
        !(from.ipv4.empty() || to.ipv4.empty()) || !(from.ipv6.empty() || to.ipv6.empty());
    const bool lacks = has_devices && word && !policy::has_interface(entry, word->text);
    if (!possible || lacks) return;
    join.of_many = true;
    add(join, statement, {hosts.front(), does, std::move(from), std::move(to), has_devices}, alike,
        analyze::Taken::May);
  };
  add_part(Does::Send, asked.from & own, asked.to, words.out);
  add_part(Does::Receive, asked.from, asked.to & own, words.in);
}

}  // namespace rolewall::ask
