// From hook to hook: net/ipv4/ip_input.c, ip_forward.c, ip_output.c and their IPv6 sisters, as far
// as whole packets with sound headers meet them, with the settings that a host has by default.
#include "analyze/way.h"

#include <fmt/format.h>

#include <algorithm>

#include "analyze/header_bits.h"
#include "net/protocol.h"
#include "ruleset/delivered.h"
#include "ruleset/loads.h"
#include "ruleset/table_flags.h"

namespace rolewall::analyze {
namespace {

using ruleset::ChainType;
using ruleset::Family;
using ruleset::Hook;

// include/uapi/linux/netfilter_ipv4.h
constexpr std::int32_t kConntrackPriority = -200;
constexpr std::int32_t kDestinationNatPriority = -100;
constexpr std::int32_t kSourceNatPriority = 100;

bool is_destination_hook(Hook hook) {
  return hook == Hook::Prerouting || hook == Hook::Output;
}
bool is_settled(const Environment& environment, Hook hook) {
  const unsigned bit = is_destination_hook(hook) ? kDestinationNatDone : kSourceNatDone;
  return environment.part(Part::CtStatus)[bit / 8 * 8 + 7 - bit % 8] == Bit::known(true);
}

constexpr const char* kLinkLocal6 = "fe80::/10";

bool is_link_local(const net::Prefix& prefix) {
  static const net::AddressSet link_local =
      net::AddressSet::from({*net::parse_prefix(kLinkLocal6)});
  return link_local.contains(prefix.address);
}

std::vector<const ruleset::TableIndex*> names_of(const RulesetFacts& facts) {
  std::vector<const ruleset::TableIndex*> all;
  for (const ruleset::TableIndex& table : facts.tables()) all.push_back(&table);
  return all;
}

Bits device_bits(std::string_view device) {
  return bits_of(device_name(device));
}

}  // namespace

Way::Way(Machine& machine, KnownConnections known, TurnedBack turned_back)
    : machine_(machine),
      known_(known),
      turned_back_(turned_back),
      diagrams_(machine.diagrams()),
      space_(machine.space()),
      compare_(machine.diagrams()),
      order_(names_of(machine.facts())) {
  const ruleset::Host& host = machine.host();
  const std::vector<net::Prefix> all = ruleset::delivered_here(host);
  std::vector<net::Prefix> here;
  std::vector<net::Prefix> broadcasts;
  for (const ruleset::Route& route : ruleset::known_routes(host)) {
    if (net::is_loopback(route.to.address)) continue;
    const bool own = route.type == ruleset::RouteType::Local;
    if (own && is_link_local(route.to)) own_on_links_.emplace_back(route.to, route.device);
    const bool broadcast = route.type == ruleset::RouteType::Broadcast;
    if (broadcast) broadcasts.push_back(route.to);
    if (own || broadcast || route.type == ruleset::RouteType::Anycast) here.push_back(route.to);
  }
  std::vector<net::Prefix> single;
  std::ranges::copy_if(all, std::back_inserter(single), [](const net::Prefix& prefix) {
    return prefix.length == net::address_bits(prefix.address);
  });
  delivered_ = net::AddressSet::from(all);
  exactly_ = net::AddressSet::from(single);
  leads_here_ = net::AddressSet::from(here);
  broadcasts_ = net::AddressSet::from(broadcasts);
}

Diagram Way::in(const Bits& address, const net::AddressSet& set, bool ipv6) {
  std::vector<Diagram> all;
  const auto add = [&](const auto& intervals) {
    for (const auto& interval : intervals) {
      const auto is =
          compare_.between(address, net::to_bytes(interval.first), net::to_bytes(interval.last));
      // Of an address that is not a field's bits: not gone into.
      all.push_back(is ? *is
                       : free_choice(fmt::format("whether an address is of {}-{} (address {})",
                                                 net::format(net::Address(interval.first)),
                                                 net::format(net::Address(interval.last)),
                                                 space_.number_of(address))));
    }
  };
  if (ipv6) {
    add(set.ipv6.intervals());
  } else {
    add(set.ipv4.intervals());
  }
  return diagrams_.union_of(std::move(all));
}

Diagram Way::in(const Bits& address, const char* prefix) {
  const net::Prefix parsed = *net::parse_prefix(prefix);
  return in(address, net::AddressSet::from({parsed}), !net::is_ipv4(parsed.address));
}

// --- what stands on a hook ---------------------------------------------------------------------

std::pair<std::vector<Way::Stage>, std::vector<Way::Stage>> Way::gather(Hook hook,
                                                                        bool ipv6) const {
  std::pair<std::vector<Stage>, std::vector<Stage>> all;
  const Family own = ipv6 ? Family::Ip6 : Family::Ip;
  const auto& tables = machine_.ruleset().tables;
  for (std::uint32_t t = 0; t < tables.size(); ++t) {
    const bool met = tables[t].family == Family::Inet || tables[t].family == own;
    if (!met || (tables[t].flags & ruleset::kTableDormant) != 0) continue;
    for (std::uint32_t c = 0; c < tables[t].chains.size(); ++c) {
      const auto& base = tables[t].chains[c].base;
      if (!base || base->hook != hook) continue;
      auto& to = base->type == ChainType::Nat ? all.second : all.first;
      to.push_back({base->priority, Stage::Kind::Chain, t, c});
    }
  }
  return all;
}

bool Way::has_nat(bool ipv6) const {
  const auto has = [&](Hook hook) { return !gather(hook, ipv6).second.empty(); };
  return has(Hook::Prerouting) || has(Hook::Input) || has(Hook::Output) || has(Hook::Postrouting);
}

const Way::Hooks& Way::plan(Hook hook, bool ipv6) {
  const auto [at, is_new] = plans_.try_emplace({hook, ipv6});
  if (!is_new) return at->second;
  auto [stages, nat_chains] = gather(hook, ipv6);
  const ruleset::TrackingUse& tracking = machine_.facts().tracking();
  const bool tracks = (ipv6 ? tracking.ipv6 : tracking.ipv4) != ruleset::ConntrackUse::Off;
  if (tracks && is_destination_hook(hook)) {
    stages.push_back({kConntrackPriority, Stage::Kind::Conntrack});
  }
  if (hook != Hook::Forward && has_nat(ipv6)) {
    const bool first = is_destination_hook(hook);
    stages.push_back({first ? kDestinationNatPriority : kSourceNatPriority, Stage::Kind::Nat});
  }
  at->second = {order_.of(std::move(stages)), order_.of(std::move(nat_chains))};
  return at->second;
}

Diagram Way::in_each_order(const ruleset::HookEntries& entries,
                           const ruleset::UnknownOrder& unknown,
                           const std::function<Diagram(ruleset::HookEntries)>& one) {
  if (unknown.complete) {
    orders_.insert(unknown.about);
  } else {
    lost_ = unknown.about;
  }
  const std::size_t count = unknown.complete ? unknown.orders.size() : 1;
  Diagram all = kNothing;
  for (std::size_t order = 0; order < count; ++order) {
    ruleset::HookEntries so{entries.in_order(entries.entries, unknown, order), entries.unknown};
    std::erase_if(so.unknown, [&](const auto& each) { return each.first == unknown.first; });
    const Diagram is = one(std::move(so));
    if (order == 0) {
      all = is;
    } else {
      const std::string name = fmt::format("{}: {}", unknown.about, unknown.answer[order]);
      all = diagrams_.choose(free_choice(name.c_str()), is, all);
    }
  }
  return all;
}

Diagram Way::unless_lost(Diagram all) {
  if (lost_.empty()) return all;
  const auto or_else = [&](const char* fate, Fate is, Diagram other) {
    const std::string name = fmt::format("{}: {}", lost_, fate);
    return diagrams_.choose(free_choice(name.c_str()), machine_.decided(is), other);
  };
  return or_else("accepted", Fate::Accept,
                 or_else("dropped", Fate::Drop,
                         or_else("rejected", Fate::Reject, machine_.decided(Fate::Stack))));
}

Diagram Way::run(Hook hook, bool ipv6, EnvironmentId environment, const Rest& rest) {
  const Hooks& hooks = plan(hook, ipv6);
  return machine_.where_accepted(
      stages(hook, ipv6, hooks, 0, environment), [&](EnvironmentId after) {
        return was_translated(after) ? machine_.decided(Fate::Accept, after) : rest(after);
      });
}

Diagram Way::stages(Hook hook, bool ipv6, const Hooks& hooks, std::size_t index,
                    EnvironmentId environment) {
  if (index == hooks.stages.entries.size()) return machine_.decided(Fate::Accept, environment);
  if (const auto* unknown = hooks.stages.at(index); unknown != nullptr && unknown->matters_now) {
    return in_each_order(hooks.stages, *unknown, [&](ruleset::HookEntries so) {
      return stages(hook, ipv6, {std::move(so), hooks.nat_chains}, index, environment);
    });
  }
  const Stage& stage = hooks.stages.entries[index];
  const Rest next = [&](EnvironmentId after) {
    if (hook == Hook::Output) {
      bool asks = stage.kind == Stage::Kind::Nat;
      if (stage.kind == Stage::Kind::Chain) {
        const auto& base = machine_.ruleset().tables[stage.table].chains[stage.chain].base;
        asks = base && base->type == ChainType::Route;
      }
      const EnvironmentId routed = asks ? routed_again(environment, after) : after;
      if (routed != after) {
        // There may be no way any more.
        const Diagram fails = free_choice("it is routed again, in vain", after);
        return diagrams_.choose(fails, machine_.decided(Fate::Stack, after),
                                stages(hook, ipv6, hooks, index + 1, routed));
      }
    }
    return stages(hook, ipv6, hooks, index + 1, after);
  };
  switch (stage.kind) {
    case Stage::Kind::Chain:
      return machine_.where_accepted(machine_.run(stage.table, stage.chain, hook, environment),
                                     next);
    case Stage::Kind::Defrag:  // of whole packets
      return next(environment);
    case Stage::Kind::Conntrack:
      return track(environment, next);
    case Stage::Kind::Nat: {
      const Diagram asked = machine_.where_accepted(translate(hook, hooks, 0, environment), next);
      const bool settled = is_settled(machine_.environments()[environment], hook);
      return settled ? asked : translated_before(ipv6, environment, asked);
    }
  }
  return kNothing;
}

// nf_conntrack_in(): the state is a field, whatever gave it. What came over the loopback bears what
// its way out has found: all is settled.
Diagram Way::track(EnvironmentId environment, const Rest& rest) {
  Environment tracked = machine_.environments()[environment];
  if (tracked.tracked == Tracked::Never) return rest(environment);
  if (tracked.checksum_in_doubt) {
    // Then it is invalid (nf_conntrack_tcp_packet(), udp_error()), whatever its state was to be.
    const Diagram wrong = free_choice("a checksum that a rule has not mended", environment);
    tracked.checksum_in_doubt = false;
    Environment invalid = tracked;
    invalid.tracked = Tracked::NotYet;
    auto& all = machine_.environments();
    return diagrams_.choose(wrong, rest(all.intern(std::move(invalid))),
                            track(all.intern(std::move(tracked)), rest));
  }
  if (tracked.tracked == Tracked::Yes) return rest(environment);  // it has come back
  tracked.tracked = Tracked::Yes;
  const auto keep = [&](TuplePart to, Part from) {
    tracked.original[static_cast<std::size_t>(to)] = tracked.part(from);
  };
  keep(TuplePart::Source4, Part::Source4);
  keep(TuplePart::Destination4, Part::Destination4);
  keep(TuplePart::Source6, Part::Source6);
  keep(TuplePart::Destination6, Part::Destination6);
  keep(TuplePart::SourcePort, Part::Transport0);
  keep(TuplePart::DestinationPort, Part::Transport2);
  const auto over_loopback = compare_.equal(tracked.part(Part::InDevice), device_name("lo"));
  Environment looped = tracked;
  status_bit(looped, kConfirmed) = Bit::known(true);
  status_bit(looped, kSourceNatDone) = Bit::known(true);
  status_bit(looped, kDestinationNatDone) = Bit::known(true);
  auto& all = machine_.environments();
  const Diagram usual = rest(all.intern(std::move(tracked)));
  if (!over_loopback || *over_loopback == kNothing) return usual;
  return diagrams_.choose(*over_loopback, rest(all.intern(std::move(looped))), usual);
}

// nf_nat_inet_fn(): of a connection's first packet the chains are asked until one translates.
Diagram Way::translate(Hook hook, const Hooks& hooks, std::size_t chain,
                       EnvironmentId environment) {
  const Environment& now = machine_.environments()[environment];
  const Diagram as_it_is = machine_.decided(Fate::Accept, environment);
  if (now.tracked != Tracked::Yes || is_settled(now, hook)) return as_it_is;
  const Diagram first =
      diagrams_.where(space_.state(), ruleset::ct_state::kNew, ruleset::ct_state::kNew);
  if (chain == hooks.nat_chains.entries.size()) {
    Environment settled = now;
    status_bit(settled, is_destination_hook(hook) ? kDestinationNatDone : kSourceNatDone) =
        Bit::known(true);
    const Diagram done =
        machine_.decided(Fate::Accept, machine_.environments().intern(std::move(settled)));
    return diagrams_.choose(first, done, as_it_is);
  }
  if (const auto* unknown = hooks.nat_chains.at(chain);
      unknown != nullptr && unknown->matters_now) {
    return in_each_order(hooks.nat_chains, *unknown, [&](ruleset::HookEntries so) {
      return translate(hook, {hooks.stages, std::move(so)}, chain, environment);
    });
  }
  const Stage& stage = hooks.nat_chains.entries[chain];
  const Diagram asked = machine_.where_accepted(
      machine_.run(stage.table, stage.chain, hook, environment),
      [&](EnvironmentId after) { return translate(hook, hooks, chain + 1, after); });
  return diagrams_.choose(first, asked, as_it_is);
}

// ip_route_me_harder(), where what routes are chosen by has changed: which device it then leaves by
// is not gone into.
EnvironmentId Way::routed_again(EnvironmentId before, EnvironmentId after) {
  const Environment& was = machine_.environments()[before];
  Environment is = machine_.environments()[after];
  const auto same = [&](Part part) { return was.part(part) == is.part(part); };
  if (same(Part::Mark) && same(Part::Source4) && same(Part::Destination4) && same(Part::Source6) &&
      same(Part::Destination6) && same(Part::TrafficClass) && same(Part::FlowLabel) &&
      same(Part::TimeToLive)) {
    return after;
  }
  is.part(Part::OutDevice) =
      space_.free_bits("the device that it is routed to again" +
                           machine_.as_changed(after, Machine::FoundFrom::Routing),
                       128, FieldKind::NotModelled);
  return machine_.environments().intern(std::move(is));
}

// --- what arrives ------------------------------------------------------------------------------

Diagram Way::arrive() {
  const Diagram all =
      unless_offloaded(diagrams_.choose(space_.is_ipv6(), receive(true), receive(false)));
  return unless_lost(below(all, "chains of devices or bridges deny it"));
}

Diagram Way::receive(bool ipv6) {
  const Diagram stack = machine_.decided(Fate::Stack);
  Environment begins = machine_.environments()[0];
  begins.part(Part::OutDevice) = device_bits("");
  const Bits source = begins.part(ipv6 ? Part::Source6 : Part::Source4);
  const Bits destination = begins.part(ipv6 ? Part::Destination6 : Part::Destination4);
  Diagram all = run(Hook::Prerouting, ipv6, machine_.environments().intern(std::move(begins)),
                    [&](EnvironmentId after) { return route(ipv6, after); });
  // PACKET_OTHERHOST: to another machine's Ethernet address.
  const Diagram by_bridge = comes_by_bridge(ipv6);
  const Diagram to_other = space_.is(Part::Type, 3);
  all = diagrams_.choose(to_other, stack, all);
  all = diagrams_.choose(diagrams_.both(by_bridge, to_other), anywhere(0, "a bridge"), all);
  if (!ipv6) return between_ports(false, all);
  // ip6_rcv_core()
  const Diagram loopback = *compare_.equal(space_.part(Part::InDevice), device_name("lo"));
  Diagram discarded = diagrams_.either(in(source, "::1"), in(destination, "::1"));
  for (const char* scope :
       {"ff01::/16", "ff11::/16", "ff21::/16", "ff31::/16", "ff41::/16", "ff51::/16", "ff61::/16",
        "ff71::/16", "ff81::/16", "ff91::/16", "ffa1::/16", "ffb1::/16", "ffc1::/16", "ffd1::/16",
        "ffe1::/16", "fff1::/16"}) {
    discarded = diagrams_.either(discarded, in(destination, scope));
  }
  discarded = diagrams_.minus(discarded, loopback);
  for (const char* scope :
       {"ff00::/16", "ff10::/16", "ff20::/16", "ff30::/16", "ff40::/16", "ff50::/16", "ff60::/16",
        "ff70::/16", "ff80::/16", "ff90::/16", "ffa0::/16", "ffb0::/16", "ffc0::/16", "ffd0::/16",
        "ffe0::/16", "fff0::/16"}) {
    discarded = diagrams_.either(discarded, in(destination, scope));
  }
  discarded = diagrams_.either(discarded, in(source, "ff00::/8"));
  // Of what a bridge has shown to prerouting this is asked behind that.
  all = diagrams_.choose(diagrams_.both(by_bridge, discarded), anywhere(0, "a bridge"), all);
  all = diagrams_.choose(diagrams_.minus(discarded, by_bridge), stack, all);
  return between_ports(true, all);
}

// ip_route_input_slow() and ip_mc_validate_source(): the packets that it discards, but for those
// that are for nobody here.
Diagram Way::stack_discards_ipv4(const Bits& source, const Bits& destination) {
  Diagrams& d = diagrams_;
  const Diagram zero_source = in(source, "0.0.0.0");
  const Diagram takes_own = arrives_where(&ruleset::StackSettings::accept_local);
  const Diagram takes_loopback = arrives_where(&ruleset::StackSettings::route_localnet);
  const Diagram borne =
      d.minus(d.either(in(source, exactly_, false), in(source, "127.0.0.1")), takes_own);
  const Diagram no_unicast = d.either(in(source, "224.0.0.0/4"), in(source, "255.255.255.255"));
  const Diagram loopback_source = d.minus(in(source, "127.0.0.0/8"), takes_loopback);
  const Diagram to_all =
      d.either(in(destination, "255.255.255.255"), d.both(zero_source, in(destination, "0.0.0.0")));
  Diagram odd =
      d.either(d.either(zero_source, in(destination, "0.0.0.0")),
               d.either(d.minus(in(destination, "127.0.0.0/8"), takes_loopback), loopback_source));
  odd = d.either(odd, borne);
  const Diagram to_one = d.either(no_unicast, d.choose(to_all, d.minus(borne, zero_source), odd));
  const Diagram from_nobody =
      d.minus(zero_source, d.either(in(destination, "224.0.0.0/24"), space_.is(Part::Protocol, 2)));
  const Diagram to_group =
      d.either(d.either(no_unicast, loopback_source), d.either(from_nobody, borne));
  return d.choose(in(destination, "224.0.0.0/4"), to_group, to_one);
}

// Each link has its own addresses, which no policy lists. One of this host's is another host's on
// another link: what comes there for it is passed on (rt6_device_match(), with RT6_LOOKUP_F_IFACE).
Diagram Way::is_ours_on_link(const Bits& destination, Diagram told_where) {
  Diagrams& d = diagrams_;
  const ruleset::Host& host = machine_.host();
  if (!host.routes) return d.either(d.complement(told_where), in(destination, delivered_, true));
  Diagram all = free_choice("a link-local address is this host's");
  for (const ruleset::Route& route : *host.routes) {
    if (route.type != ruleset::RouteType::Local || net::is_ipv4(route.to.address)) continue;
    const Diagram arrives = *compare_.equal(space_.part(Part::InDevice), device_name(route.device));
    all = d.either(all, d.both(in(destination, net::AddressSet::from({route.to}), true), arrives));
  }
  return all;
}

// All but a link's own address, which is another's on another link.
Diagram Way::is_ours(const Bits& destination, bool ipv6) {
  Diagrams& d = diagrams_;
  Diagram ours = d.either(in(destination, delivered_, ipv6), in(destination, leads_here_, ipv6));
  ours = d.either(ours, in(destination, ipv6 ? "ff00::/8" : "224.0.0.0/4"));
  if (ipv6) return d.either(ours, in(destination, "::1"));
  for (const char* own : {"255.255.255.255", "127.0.0.0/8", "0.0.0.0"}) {
    ours = d.either(ours, in(destination, own));
  }
  return ours;
}

Diagram Way::route(bool ipv6, EnvironmentId environment) {
  Diagrams& d = diagrams_;
  const ruleset::Host& host = machine_.host();
  const Environment now = machine_.environments()[environment];
  const Diagram stack = machine_.decided(Fate::Stack, environment);
  const Bits& source = now.part(ipv6 ? Part::Source6 : Part::Source4);
  const Bits& destination = now.part(ipv6 ? Part::Destination6 : Part::Destination4);
  const Diagram over_loopback = *compare_.equal(space_.part(Part::InDevice), device_name("lo"));
  const Diagram by_host =
      d.either(in(source, exactly_, ipv6), in(source, ipv6 ? "::1" : "127.0.0.0/8"));
  const Diagram routed = d.both(over_loopback, by_host);
  const Diagram group = in(destination, ipv6 ? "ff00::/8" : "224.0.0.0/4");
  Diagram ours = is_ours(destination, ipv6);
  const Diagram told_where =
      d.complement(*compare_.equal(space_.part(Part::OutDevice), ruleset::Bytes(16)));
  if (ipv6) {
    ours = d.choose(in(destination, kLinkLocal6), is_ours_on_link(destination, told_where), ours);
  }
  const Diagram foreign = d.minus(d.complement(ours), routed);
  const Diagram passes_on = passed_on(foreign, ipv6, told_where);

  Diagram discarded = d.minus(foreign, passes_on);
  if (!ipv6) {
    discarded = d.either(discarded, d.minus(stack_discards_ipv4(source, destination), routed));
  }
  discarded = d.either(discarded, refused_by_settings(environment));
  const bool knows_groups =
      host.joined_groups.has_value() || host.routes_groups_ipv4 || host.routes_groups_ipv6;
  if (knows_groups) {
    const bool as_it_came =
        destination == space_.part(ipv6 ? Part::Destination6 : Part::Destination4);
    const Diagram refused = free_choice(
        as_it_came ? "the group is not joined"
                   : fmt::format("the group is not joined (of {})", space_.number_of(destination)));
    discarded = d.either(discarded, d.both(group, refused));
  }
  const Diagram delivered = run(Hook::Input, ipv6, environment, [&](EnvironmentId after) {
    return machine_.decided(Fate::Accept, after);
  });
  Diagram all = delivered;
  if (passes_on != kNothing) all = d.choose(passes_on, forward(ipv6, environment), all);
  if (const Diagram spread = ipv6 ? kNothing : is_spread_on(destination); spread != kNothing) {
    all = d.choose(spread, anywhere(environment, "bc_forwarding"), all);
  }
  all = d.choose(discarded, stack, all);
  return d.choose(changed_by_bridge(ipv6, environment), anywhere(environment, "a bridge"), all);
}

Diagram Way::forward_hooks(bool ipv6, EnvironmentId environment) {
  return run(Hook::Forward, ipv6, environment, [&](EnvironmentId after) {
    return run(Hook::Postrouting, ipv6, after,
               [&](EnvironmentId end) { return machine_.decided(Fate::Accept, end); });
  });
}

Diagram Way::forward(bool ipv6, EnvironmentId environment) {
  Diagrams& d = diagrams_;
  Environment leaving = machine_.environments()[environment];
  const Diagram stack = machine_.decided(Fate::Stack, environment);
  if (leaving.has_socket) return stack;
  const Bits hops = leaving.part(Part::TimeToLive);
  const Bits type = leaving.part(Part::Type);
  const Bits source = leaving.part(Part::Source6);
  leaving.part(Part::OutDevice) = space_.part(Part::OutDevice);
  // What the hop takes off is no bit of it.
  const auto of = [&](Part part) {
    const Bits& bits = machine_.environments()[environment].part(part);
    return bits == space_.part(part) ? "" : fmt::format(" (of {})", space_.number_of(bits));
  };
  leaving.part(Part::TimeToLive) =
      space_.free_bits("ttl after a hop" + of(Part::TimeToLive), 8, FieldKind::NotModelled);
  if (!ipv6) {
    leaving.part(Part::Priority) = space_.free_bits(
        "the priority of its type of service" + of(Part::TrafficClass), 32, FieldKind::NotModelled);
  }
  const auto all_of = [&](EnvironmentId from) { return forward_hooks(ipv6, from); };
  Environment unknown = leaving;
  unknown.part(Part::OutDevice) =
      space_.free_bits("the device that its route leads by" +
                           machine_.as_changed(environment, Machine::FoundFrom::Routing),
                       128, FieldKind::NotModelled);
  const Diagram told = all_of(machine_.environments().intern(std::move(leaving)));
  Diagram all = told;
  if (forwards(ipv6) || knows_settings()) {
    const Diagram not_told = *compare_.equal(space_.part(Part::OutDevice), ruleset::Bytes(16));
    all = d.choose(not_told, all_of(machine_.environments().intern(std::move(unknown))), told);
  }
  // ip_forward(), ip6_forward()
  const std::array<std::uint8_t, 1> one{1};
  const std::array<std::uint8_t, 1> zero{0};
  const auto worn = compare_.at_most(hops, one);
  const auto to_host = compare_.equal(type, zero);
  const Diagram unknown_bits = free_choice("whether it can be passed on", environment);
  Diagram discarded =
      d.either(worn ? *worn : unknown_bits, to_host ? d.complement(*to_host) : unknown_bits);
  if (ipv6) {
    const Diagram odd =
        d.either(d.either(in(source, "::"), in(source, "::1")), in(source, kLinkLocal6));
    const Diagram other_device =
        free_choice("it leaves by another device than it came by", environment);
    discarded = d.either(discarded, d.both(odd, other_device));
  }
  discarded = d.either(discarded, too_large(ipv6, false, environment));
  return d.choose(discarded, stack, all);
}

// --- what is sent ------------------------------------------------------------------------------

Diagram Way::send() {
  const Diagram all = diagrams_.choose(space_.is_ipv6(), leave(true), leave(false));
  return unless_lost(below(all, "chains of devices or bridges deny it on its way out"));
}

Diagram Way::leave(bool ipv6) {
  Environment begins = machine_.environments()[0];
  begins.part(Part::InDevice) = device_bits("");
  const Diagram sent =
      run(Hook::Output, ipv6, machine_.environments().intern(std::move(begins)),
          [&](EnvironmentId out) {
            const Diagram all = run(Hook::Postrouting, ipv6, out,
                                    [&](EnvironmentId after) { return come_back(ipv6, after); });
            if (ipv6) return all;
            // ip_mc_output(): a group's packet with no hop left stays here.
            const Environment& now = machine_.environments()[out];
            const std::array<std::uint8_t, 1> zero{0};
            const auto worn = compare_.equal(now.part(Part::TimeToLive), zero);
            const Diagram stays = diagrams_.both(in(now.part(Part::Destination4), "224.0.0.0/24"),
                                                 worn ? *worn : free_choice("its ttl", out));
            return diagrams_.choose(stays, machine_.decided(Fate::Stack, out), all);
          });
  return diagrams_.choose(too_large(ipv6, true, 0), machine_.decided(Fate::Stack), sent);
}

// What output's rules have turned to this host itself (routed_again()) leaves by the loopback, and
// comes in there as it is, with what connection tracking has found.
Diagram Way::come_back(bool ipv6, EnvironmentId sent) {
  const Diagram leaves = machine_.decided(Fate::Accept, sent);
  if (turned_back_ == TurnedBack::AsItLeaves) return leaves;
  Environment back = machine_.environments()[sent];
  if (back.part(Part::OutDevice) == space_.part(Part::OutDevice)) return leaves;
  const Bits to = back.part(ipv6 ? Part::Destination6 : Part::Destination4);
  Diagram here = diagrams_.either(in(to, delivered_, ipv6), in(to, leads_here_, ipv6));
  here = diagrams_.either(here, in(to, ipv6 ? "::1" : "127.0.0.0/8"));
  here = diagrams_.minus(here, ipv6 ? in(to, kLinkLocal6) : in(to, broadcasts_, false));
  here = diagrams_.minus(here, *compare_.equal(space_.part(Part::OutDevice), device_name("lo")));
  if (here == kNothing) return leaves;
  back.part(Part::InDevice) = device_bits("lo");
  back.part(Part::OutDevice) = device_bits("");
  back.part(Part::Type) = bits_of(ruleset::Bytes(1));
  for (const unsigned bit : {kConfirmed, kSourceNatDone, kDestinationNatDone}) {
    if (back.tracked == Tracked::Yes) status_bit(back, bit) = Bit::known(true);
  }
  const EnvironmentId arrives = machine_.environments().intern(std::move(back));
  const Diagram taken = run(Hook::Prerouting, ipv6, arrives, [&](EnvironmentId in) {
    return run(Hook::Input, ipv6, in,
               [&](EnvironmentId after) { return machine_.decided(Fate::Accept, after); });
  });
  return diagrams_.choose(here, taken, leaves);
}

}  // namespace rolewall::analyze
