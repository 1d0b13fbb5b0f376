// How a list of rules becomes maps, and why no packet fares otherwise.
//
// A list says: a packet meets the candidates in their order, runs the chain of each that it
// matches, and is done with the first that decides. A map in the list's place says: the packet's
// key leads to one entry, and the packet meets that entry's list. The two are the same where
//
//   (1) a packet has at most one entry: keys are single values, or intervals that do not overlap;
//   (2) an entry's list holds every candidate that the key allows, in their order, and no other;
//   (3) what the key has settled is not tested again, and all else still is: Candidate keeps what
//       is left to test, and fewer tests than are left would let more packets through;
//   (4) a packet without an entry matches none of the candidates. It goes on behind the map, as one
//       does whose entry's rules have not decided: a jump returns there.
//
// Then the order of the whole is kept: within a run by (2), among runs because they stand one
// behind the other (next_run() takes neighbours alone).
//
//   Service      A rule's traffic is a list of boxes (protocol, ports, families; traffic.h) that do
//                not overlap. A packet has ports or has none: by_service() asks for one after the
//                other. by_port(): (1) by single ports. A wide range is in the entry of each port
//                within it, at its place, and again in a map of intervals behind, for the other
//                ports; the first map is left by `goto`, past the second, so that a packet of a
//                named port does not meet it twice.
//   IcmpType     As single ports, in the chain of a packet that is known to be ICMP.
//   Source,      The rules' sets overlap as they like; partition() cuts them into intervals within
//   Destination  which the same rules hold, for (1), each with all of them, for (2).
//
// An entry is dispatched further by the same means (leaf(), rules_for()). That ends: what a map has
// asked for is not in the candidates of its entries any more, and nothing is mapped by twice. It
// stays small: a map is made where it costs less than the rules (kMapCost, linear_cost()), and
// given up where the lists of its entries add up to more than budget(). Entries that have the same
// left to test share a chain; so signature() must tell apart whatever rules_for() can see of a
// candidate, or a packet of one entry would be asked another's conditions.
//
// With Options::optimise off, next_run() finds no run and the list is tested as it is. The tests
// hold both forms against each other and against a matcher that reads the policy itself.
#include "compile/dispatch.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>

#include "compile/candidate.h"
#include "compile/match.h"
#include "compile/partition.h"
#include "ruleset/expressions.h"
#include "ruleset/own_table.h"

namespace rolewall::compile {
namespace {

using namespace ruleset;
using match::IpVersion;
using match::Side;

// A map pays from here on: about 100 ns against 20 ns for each rule tested in turn.
constexpr std::size_t kMapCost = 5;
// Port ranges up to this many ports become single entries of a hash map.
constexpr unsigned kExpandPorts = 16;
// Longer lists of addresses stay sets of their own rather than being cut up in a map.
constexpr std::size_t kMapIntervals = 256;

struct PortNumber {
  using Number = std::uint16_t;
  Number value = 0;
  auto operator<=>(const PortNumber&) const = default;
};

using Candidates = std::vector<Candidate>;

enum class Run : std::uint8_t { Linear, Service, IcmpType, Source, Destination };

// What the chain that is being filled knows of its packets.
enum class Scope : std::uint8_t { AnyTraffic, Icmp, Icmpv6 };

bool is_wide(const Traffic& box) {
  return box.destination.last - box.destination.first >= static_cast<int>(kExpandPorts);
}

bool maps_by_service(const Candidate& candidate) {
  return !candidate.service_settled &&
         std::none_of(candidate.traffic.begin(), candidate.traffic.end(), [](const Traffic& box) {
           return net::has_ports(box.protocol) && box.destination.is_all();
         });
}

bool maps_by_address(bool settled, const AddressCondition& condition) {
  return !settled && !condition.any() &&
         condition.set.ipv4.intervals().size() + condition.set.ipv6.intervals().size() <=
             kMapIntervals;
}

std::string protocol_name(std::uint8_t protocol) {
  const std::string_view name = net::protocol_name(protocol);
  return name.empty() ? fmt::format("protocol/{}", protocol) : std::string(name);
}

// Rules after one that decides every packet are never met.
void drop_unreachable(Candidates& list) {
  const auto last = std::find_if(list.begin(), list.end(), [](const Candidate& candidate) {
    return candidate.unconditional() && candidate.rule->decides();
  });
  if (last != list.end()) list.erase(last + 1, list.end());
}

class Dispatcher {
 public:
  Dispatcher(TableBuilder& table, AddressSets& sets, bool optimise)
      : table_(table), sets_(sets), optimise_(optimise) {}

  // `goto` returns to where the base chain goes on with (default).
  void add_chain_after_translated(const std::string& name, Candidates list) {
    std::vector<Rule> rules(1);
    match::translated(rules[0].exprs);
    match::go_to(rules[0].exprs, own::translated_chain(name));
    add(rules, rules_for(name, std::move(list), Scope::AnyTraffic));
    table_.add_chain(name, std::move(rules));
  }

  std::vector<Rule> rules_for(const std::string& path, Candidates list, Scope scope) {
    std::vector<Rule> rules;
    int runs = 0;
    for (std::size_t i = 0; i < list.size();) {
      const auto [run, length] = next_run(list, i, scope);
      if (run == Run::Linear) {
        add(rules, linear_rules(list[i++], sets_));
        continue;
      }
      const Candidates part(list.begin() + static_cast<std::ptrdiff_t>(i),
                            list.begin() + static_cast<std::ptrdiff_t>(i + length));
      const std::string name = ++runs == 1 ? path : fmt::format("{}/run{}", path, runs);
      switch (run) {
        case Run::Linear:
          break;
        case Run::Service:
          add(rules, by_service(name, part));
          break;
        case Run::IcmpType:
          add(rules, by_icmp_type(name, part, scope));
          break;
        case Run::Source:
          add(rules, by_address(name, part, scope, Side::Source));
          break;
        case Run::Destination:
          add(rules, by_address(name, part, scope, Side::Destination));
          break;
      }
      i += length;
    }
    return rules;
  }

 private:
  // The longest run from `at` that one kind of map can serve, if it is worth a map.
  std::pair<Run, std::size_t> next_run(const Candidates& list, std::size_t at, Scope scope) const {
    std::pair<Run, std::size_t> best{Run::Linear, 0};
    if (!optimise_) return best;
    const auto consider = [&](Run run, const std::function<bool(const Candidate&)>& fits) {
      std::size_t length = 0;
      std::size_t cost = 0;
      while (at + length < list.size() && fits(list[at + length])) {
        cost += linear_cost(list[at + length++]);
      }
      if (cost >= kMapCost && length > best.second) best = {run, length};
    };
    if (scope == Scope::AnyTraffic) {
      consider(Run::Service, maps_by_service);
    } else {
      consider(Run::IcmpType, [](const Candidate& c) { return !c.service_settled; });
    }
    consider(Run::Source, [](const Candidate& c) {
      return maps_by_address(c.source_settled, c.rule->conditions.source);
    });
    consider(Run::Destination, [](const Candidate& c) {
      return maps_by_address(c.destination_settled, c.rule->conditions.destination);
    });
    return best;
  }

  // --- by service --------------------------------------------------------------------------------

  // Ports and other protocols share no packet, so the two can be asked for one after the other.
  std::vector<Rule> by_service(const std::string& path, const Candidates& list) {
    std::vector<Rule> rules;
    for (const bool ports : {true, false}) {
      Candidates part;
      std::size_t cost = 0;
      for (Candidate candidate : list) {
        std::erase_if(candidate.traffic,
                      [&](const Traffic& box) { return net::has_ports(box.protocol) != ports; });
        if (candidate.traffic.empty()) continue;
        cost += linear_cost(candidate);
        part.push_back(std::move(candidate));
      }
      if (cost < kMapCost) {
        add(rules, linear(part));
      } else {
        add(rules, ports ? by_port(path, part) : by_protocol(path, part));
      }
    }
    return rules;
  }

  std::vector<Rule> by_port(const std::string& path, const Candidates& list) {
    std::map<std::pair<std::uint8_t, std::uint16_t>, Candidates> entries;
    bool wide = false;
    for (const Candidate& candidate : list) {
      for (const Traffic& box : candidate.traffic) {
        if (is_wide(box)) {
          wide = true;
          continue;
        }
        for (unsigned port = box.destination.first; port <= box.destination.last; ++port) {
          entries[{box.protocol, static_cast<std::uint16_t>(port)}];
        }
      }
    }
    // A wide range holds in every single port's entry that lies in it, at its place in the order.
    // That multiplies: a hundred ranges over a hundred ports are ten thousand jumps.
    std::size_t copies = 0;
    for (const Candidate& candidate : list) {
      for (const Traffic& box : candidate.traffic) {
        auto entry = entries.lower_bound({box.protocol, box.destination.first});
        const auto end = entries.upper_bound({box.protocol, box.destination.last});
        for (; entry != end; ++entry) {
          if (is_wide(box) && ++copies > budget(list)) return linear(list);
          add_with_port_settled(entry->second, candidate, box);
        }
      }
    }
    if (!wide) return {port_map(path, entries, VerdictCode::Jump)};

    // What a single port's entry has seen must not meet the wide ranges again: the map is asked in
    // a chain of its own, and `goto` leaves that.
    std::vector<Rule> rules;
    if (!entries.empty()) rules.push_back(port_map(path, entries, VerdictCode::Goto));
    Candidates ranges = list;
    for (Candidate& candidate : ranges) {
      std::erase_if(candidate.traffic, [](const Traffic& box) { return !is_wide(box); });
    }
    std::erase_if(ranges, [](const Candidate& candidate) { return candidate.traffic.empty(); });
    add(rules, by_port_range(path, ranges));
    if (entries.empty()) return rules;
    table_.add_chain(path + "/services", std::move(rules));
    Rule jump;
    match::jump(jump.exprs, path + "/services");
    return {jump};
  }

  Rule port_map(const std::string& path,
                const std::map<std::pair<std::uint8_t, std::uint16_t>, Candidates>& entries,
                VerdictCode code) {
    Set map = make_verdict_map(path + "/ports", {kProtocolKey, kPortKey});
    for (const auto& [key, candidates] : entries) {
      const auto [protocol, port] = key;
      const std::array<std::uint8_t, 8> bytes{
          protocol, 0, 0, 0, static_cast<std::uint8_t>(port >> 8), static_cast<std::uint8_t>(port),
          0,        0};
      map.elements.keys.insert(map.elements.keys.end(), bytes.begin(), bytes.end());
      const std::string name = fmt::format("{}/{}/{}", path, protocol_name(protocol), port);
      map.elements.verdicts.push_back(leaf(name, candidates, Scope::AnyTraffic, code));
    }
    Rule rule;
    match::load_meta(rule.exprs, MetaKey::L4Proto);
    match::load_port(rule.exprs, Side::Destination, 1);
    match::lookup_verdict(rule.exprs, map.name);
    table_.add_set(std::move(map));
    return rule;
  }

  // Wide ranges, a map of intervals for each protocol; one by one where they overlap too much.
  std::vector<Rule> by_port_range(const std::string& path, const Candidates& list) {
    std::vector<Rule> rules;
    for (const std::uint8_t protocol :
         {net::protocol::kTcp, net::protocol::kUdp, net::protocol::kSctp}) {
      Candidates part = list;
      std::size_t cost = 0;
      for (Candidate& candidate : part) {
        std::erase_if(candidate.traffic,
                      [&](const Traffic& box) { return box.protocol != protocol; });
        if (!candidate.traffic.empty()) cost += linear_cost(candidate);
      }
      std::erase_if(part, [](const Candidate& candidate) { return candidate.traffic.empty(); });
      if (part.empty()) continue;
      // A box each: two of one rule that lie side by side are two parts, each within its box.
      std::vector<std::pair<const Candidate*, Traffic>> boxes;
      std::vector<net::IntervalSet<PortNumber>> sets;
      for (const Candidate& candidate : part) {
        for (const Traffic& box : candidate.traffic) {
          boxes.emplace_back(&candidate, box);
          sets.push_back(net::IntervalSet<PortNumber>::from(
              {{{box.destination.first}, {box.destination.last}}}));
        }
      }
      const auto parts = cost < kMapCost ? std::nullopt : partition(pointers(sets), budget(part));
      if (!parts) {
        add(rules, linear(part));
        continue;
      }
      Set map =
          make_verdict_map(fmt::format("{}/{}-ranges", path, protocol_name(protocol)), {kPortKey});
      map.interval = true;
      for (const auto& [interval, members] : *parts) {
        const auto [first, last] = std::pair(interval.first.value, interval.last.value);
        append_bytes(map.elements.keys, Value::be16(first));
        append_bytes(map.elements.key_ends, Value::be16(last));
        Candidates entry;
        for (const std::size_t member : members) {
          const auto& [candidate, box] = boxes[member];
          add_with_port_settled(entry, *candidate, box);
        }
        const std::string name =
            fmt::format("{}/{}/{}-{}", path, protocol_name(protocol), first, last);
        map.elements.verdicts.push_back(leaf(name, entry, Scope::AnyTraffic, VerdictCode::Jump));
      }
      Rule rule;
      match::l4proto(rule.exprs, protocol);
      match::load_port(rule.exprs, Side::Destination);
      match::lookup_verdict(rule.exprs, map.name);
      table_.add_set(std::move(map));
      rules.push_back(std::move(rule));
    }
    return rules;
  }

  static void add_with_port_settled(Candidates& list, const Candidate& candidate, Traffic box) {
    box.destination = {};
    if (!list.empty() && list.back().rule == candidate.rule) {
      // Two boxes of one rule that differ in their source ports.
      list.back().traffic.push_back(box);
      return;
    }
    // Not the candidate's own traffic: copied for each of its ports it would be squared.
    const auto& [rule, service_settled, traffic, source_settled, destination_settled, families] =
        candidate;
    list.push_back({.rule = rule,
                    .service_settled = box.source.is_all() && box.families.both(),
                    .traffic = {box},
                    .source_settled = source_settled,
                    .destination_settled = destination_settled,
                    .families = families});
  }

  std::vector<Rule> by_protocol(const std::string& path, const Candidates& list) {
    std::map<std::pair<IpVersion, std::uint8_t>, Candidates> entries;
    for (const Candidate& candidate : list) {
      for (const Traffic& box : candidate.traffic) {
        for (const IpVersion version : {IpVersion::V4, IpVersion::V6}) {
          const Families family{version == IpVersion::V4, version == IpVersion::V6};
          if ((candidate.families & box.families & family).none()) continue;
          auto& entry = entries[{version, box.protocol}];
          Traffic rest = box;
          rest.families = {};  // the map's key has settled them
          if (!entry.empty() && entry.back().rule == candidate.rule) {
            entry.back().traffic.push_back(rest);
            continue;
          }
          entry.push_back(candidate);
          entry.back().traffic = {rest};
          entry.back().families = family;
          entry.back().service_settled = box.every_destination();
        }
      }
    }
    Set map = make_verdict_map(path + "/protocols", {kFamilyKey, kProtocolKey});
    Set asked = make_set(path + "/asked-protocols", {kProtocolKey});
    for (const auto& [key, candidates] : entries) {
      const auto [version, protocol] = key;
      if (std::ranges::find(asked.elements.keys, protocol) == asked.elements.keys.end()) {
        asked.elements.keys.push_back(protocol);
      }
      const auto family =
          static_cast<std::uint8_t>(version == IpVersion::V4 ? Family::Ip : Family::Ip6);
      const std::array<std::uint8_t, 8> bytes{family, 0, 0, 0, protocol, 0, 0, 0};
      map.elements.keys.insert(map.elements.keys.end(), bytes.begin(), bytes.end());
      const Scope scope = protocol == net::protocol::kIcmp     ? Scope::Icmp
                          : protocol == net::protocol::kIcmpv6 ? Scope::Icmpv6
                                                               : Scope::AnyTraffic;
      const std::string name = fmt::format("{}/{}/{}", path, version == IpVersion::V4 ? "4" : "6",
                                           protocol_name(protocol));
      map.elements.verdicts.push_back(leaf(name, candidates, scope, VerdictCode::Jump));
    }
    // Most packets that come here have ports that no rule names. They are spared the map's hash:
    // the kernel holds a set of keys this short in a bitmap (net/netfilter/nft_set_bitmap.c).
    Rule rule;
    match::load_meta(rule.exprs, MetaKey::L4Proto);
    match::lookup_member(rule.exprs, asked.name);
    match::load_meta(rule.exprs, MetaKey::NfProto);
    match::load_meta(rule.exprs, MetaKey::L4Proto, 1);
    match::lookup_verdict(rule.exprs, map.name);
    table_.add_set(std::move(asked));
    table_.add_set(std::move(map));
    return {rule};
  }

  // --- by ICMP type ------------------------------------------------------------------------------

  std::vector<Rule> by_icmp_type(const std::string& path, const Candidates& list, Scope scope) {
    std::array<Candidates, 256> entries;
    for (const Candidate& candidate : list) {
      for (const Traffic& box : candidate.traffic) {
        for (unsigned type = box.destination.first; type <= box.destination.last; ++type) {
          entries[type].push_back(candidate);
          entries[type].back().traffic.clear();
          entries[type].back().service_settled = true;
        }
      }
    }
    Set map =
        make_verdict_map(path + "/types", {scope == Scope::Icmp ? kIcmpTypeKey : kIcmpv6TypeKey});
    for (unsigned type = 0; type < entries.size(); ++type) {
      if (entries[type].empty()) continue;
      map.elements.keys.push_back(static_cast<std::uint8_t>(type));
      map.elements.verdicts.push_back(
          leaf(fmt::format("{}/type/{}", path, type), entries[type], scope, VerdictCode::Jump));
    }
    Rule rule;
    match::l4proto(rule.exprs,
                   scope == Scope::Icmp ? net::protocol::kIcmp : net::protocol::kIcmpv6);
    match::load_icmp_type(rule.exprs);
    match::lookup_verdict(rule.exprs, map.name);
    table_.add_set(std::move(map));
    return {rule};
  }

  // --- by address --------------------------------------------------------------------------------

  std::vector<Rule> by_address(const std::string& path, const Candidates& list, Scope scope,
                               Side side) {
    std::vector<Rule> rules;
    std::vector<const net::IntervalSet<net::Ipv4>*> v4;
    std::vector<const net::IntervalSet<net::Ipv6>*> v6;
    static const net::AddressSet kNone;
    for (const Candidate& candidate : list) {
      const auto& set = (side == Side::Source ? candidate.rule->conditions.source
                                              : candidate.rule->conditions.destination)
                            .set;
      v4.push_back(candidate.families.ipv4 ? &set.ipv4 : &kNone.ipv4);
      v6.push_back(candidate.families.ipv6 ? &set.ipv6 : &kNone.ipv6);
    }
    const auto parts4 = partition(v4, budget(list));
    const auto parts6 = partition(v6, budget(list));
    if (!parts4 || !parts6) return linear(list);
    if (!parts4->empty())
      rules.push_back(address_map(path, list, scope, side, IpVersion::V4, *parts4));
    if (!parts6->empty())
      rules.push_back(address_map(path, list, scope, side, IpVersion::V6, *parts6));
    return rules;
  }

  template <class Ip>
  Rule address_map(const std::string& path, const Candidates& list, Scope scope, Side side,
                   IpVersion version, const std::vector<Part<Ip>>& parts) {
    const bool v4 = version == IpVersion::V4;
    const std::string name =
        fmt::format("{}/{}{}", path, side == Side::Source ? "from" : "to", v4 ? "4" : "6");
    Set map = make_verdict_map(name, {v4 ? kIpv4Key : kIpv6Key});
    map.interval = std::any_of(parts.begin(), parts.end(), [](const Part<Ip>& part) {
      return part.interval.first != part.interval.last;
    });
    for (std::size_t i = 0; i < parts.size(); ++i) {
      append_bytes(map.elements.keys, net::to_bytes(parts[i].interval.first));
      if (map.interval) append_bytes(map.elements.key_ends, net::to_bytes(parts[i].interval.last));
      Candidates entry;
      for (const std::size_t member : parts[i].members) {
        entry.push_back(list[member]);
        entry.back().families = {v4, !v4};
        (side == Side::Source ? entry.back().source_settled : entry.back().destination_settled) =
            true;
      }
      map.elements.verdicts.push_back(
          leaf(fmt::format("{}/{}", name, i + 1), entry, scope, VerdictCode::Jump));
    }
    Rule rule;
    match::nfproto(rule.exprs, version);
    match::load_address(rule.exprs, side, version);
    match::lookup_verdict(rule.exprs, name);
    table_.add_set(std::move(map));
    return rule;
  }

  // --- leaves ------------------------------------------------------------------------------------

  // Where an entry of a map leads: straight to the one rule that decides, else to a chain that
  // dispatches further. Entries that lead to the same share it.
  Verdict leaf(const std::string& name, Candidates list, Scope scope, VerdictCode code) {
    drop_unreachable(list);
    if (list.size() == 1 && list[0].unconditional()) {
      return {code, list[0].rule->full_name, 0};
    }
    const auto [at, fresh] = leaves_.try_emplace(signature(list), name);
    if (fresh) table_.add_chain(name, rules_for(name, std::move(list), scope));
    return {code, at->second, 0};
  }

  std::vector<Rule> linear(const Candidates& list) {
    std::vector<Rule> rules;
    for (const Candidate& candidate : list) add(rules, linear_rules(candidate, sets_));
    return rules;
  }

  static void add(std::vector<Rule>& rules, std::vector<Rule> more) {
    rules.insert(rules.end(), std::make_move_iterator(more.begin()),
                 std::make_move_iterator(more.end()));
  }

  template <class Range>
  static void append_bytes(std::vector<std::uint8_t>& bytes, const Range& more) {
    bytes.insert(bytes.end(), more.begin(), more.end());
  }

  template <class T>
  static std::vector<const T*> pointers(const std::vector<T>& values) {
    std::vector<const T*> result;
    for (const T& value : values) result.push_back(&value);
    return result;
  }

  // Lists in a map's entries may add up to this much before it is no gain any more: what overlaps
  // without end would make a ruleset that is quadratic in the policy.
  static std::size_t budget(const Candidates& list) { return 256 + 16 * list.size(); }

  TableBuilder& table_;
  AddressSets& sets_;
  bool optimise_;
  std::map<std::string, std::string> leaves_;
};

}  // namespace

std::vector<Rule> add_dispatch(TableBuilder& table, AddressSets& sets, std::string_view path,
                               const std::vector<LoweredRule>& rules, bool optimise,
                               Translated translated) {
  const std::string name(path);
  Candidates list;
  for (const LoweredRule& rule : rules) list.push_back(fresh_candidate(rule));
  Dispatcher dispatcher(table, sets, optimise);
  switch (translated) {
    case Translated::Alike:
      break;
    case Translated::Apart: {
      dispatcher.add_chain_after_translated(name, std::move(list));
      Rule jump;
      match::jump(jump.exprs, name);
      return {jump};
    }
  }
  return dispatcher.rules_for(name, std::move(list), Scope::AnyTraffic);
}

}  // namespace rolewall::compile
