// Where packets may be led by what is not gone into: the translation of a connection that was known
// before, chains of devices and bridges. What becomes of them then is free.
#include <fmt/format.h>

#include <algorithm>

#include "analyze/header_bits.h"
#include "analyze/way.h"
#include "net/protocol.h"
#include "ruleset/bridge.h"
#include "ruleset/effects.h"
#include "ruleset/expr.h"
#include "ruleset/table_flags.h"

namespace rolewall::analyze {

using ruleset::Family;
using ruleset::Hook;

namespace {

bool is_of_device(Hook hook) {
  return hook == Hook::Ingress || hook == Hook::Egress;
}

}  // namespace

// What becomes of a packet that `by` leads to where no rule here says.
Diagram Way::anywhere(EnvironmentId environment, std::string_view by) {
  const auto leads = [&](std::string_view where) {
    return free_choice(fmt::format("{} leads to where {}", by, where));
  };
  Environment after = machine_.environments()[environment];
  after.translated_before = true;
  Diagram all = machine_.decided(Fate::Accept, machine_.environments().intern(std::move(after)));
  all = diagrams_.choose(leads("it is dropped"), machine_.decided(Fate::Drop), all);
  all = diagrams_.choose(leads("it is rejected"), machine_.decided(Fate::Reject), all);
  return diagrams_.choose(leads("the stack discards it"), machine_.decided(Fate::Stack), all);
}

Diagram Way::comes_by_bridge(bool ipv6) {
  std::vector<Diagram> all;
  for (const ruleset::Interface& interface : machine_.host().interfaces) {
    const auto shows = ipv6 ? interface.shows_ipv6 : interface.shows_ipv4;
    if (interface.kind != "bridge" || !shows.value_or(true)) continue;
    all.push_back(*compare_.equal(space_.part(Part::InDevice), device_name(interface.device)));
  }
  return all.empty() ? kNothing : diagrams_.union_of(std::move(all));
}

Diagram Way::changed_by_bridge(bool ipv6, EnvironmentId environment) {
  const Diagram comes = comes_by_bridge(ipv6);
  if (comes == kNothing || !machine_.facts().may_translate(ipv6)) return kNothing;
  const Part to = ipv6 ? Part::Destination6 : Part::Destination4;
  if (machine_.environments()[environment].part(to) != space_.part(to)) return comes;
  return diagrams_.both(comes, diagrams_.complement(space_.is(Part::Type, 0)));
}

// nf_nat_packet(): the connection has its translation from its first packet, which came before, and
// by rules that may have been others then. It is the same at each hook.
Diagram Way::translated_before(bool ipv6, EnvironmentId environment, Diagram otherwise) {
  const Environment& now = machine_.environments()[environment];
  if (known_ == KnownConnections::Untranslated || now.tracked != Tracked::Yes ||
      !machine_.facts().may_translate(ipv6)) {
    return otherwise;
  }
  const Diagram known = diagrams_.where(
      space_.state(),
      std::vector<Values>{{ruleset::ct_state::kEstablished, ruleset::ct_state::kEstablished},
                          {ruleset::ct_state::kRelated, ruleset::ct_state::kRelated}});
  return diagrams_.choose(diagrams_.both(known, free_choice("its connection is translated")),
                          anywhere(environment, "its translation"), otherwise);
}

// nf_flow_offload_ip_hook() takes both directions of a connection, once a rule has handed it over,
// from the device that they come by straight to the next.
Diagram Way::unless_offloaded(Diagram all) {
  if (known_ == KnownConnections::Untranslated || !machine_.facts().offloads()) return all;
  Diagram carried = kNothing;
  for (const std::uint8_t protocol :
       {net::protocol::kTcp, net::protocol::kUdp, net::protocol::kGre}) {
    carried = diagrams_.either(carried, space_.is(Part::Protocol, protocol));
  }
  const Diagram known = diagrams_.where(
      space_.state(),
      std::vector<Values>{{ruleset::ct_state::kEstablished, ruleset::ct_state::kEstablished},
                          {ruleset::ct_state::kRelated, ruleset::ct_state::kRelated}});
  const Diagram taken = diagrams_.both(diagrams_.both(known, carried),
                                       free_choice("its connection is offloaded to a flowtable"));
  return diagrams_.choose(taken, anywhere(0, "a flowtable"), all);
}

bool Way::has_chains_below() const {
  return std::ranges::any_of(machine_.ruleset().tables, [](const ruleset::Table& table) {
    if ((table.flags & ruleset::kTableDormant) != 0) return false;
    return std::ranges::any_of(table.chains, [&](const ruleset::Chain& chain) {
      return chain.base && table.family != Family::Arp &&
             (table.family == Family::Bridge || chain.base->hook == Hook::Ingress ||
              chain.base->hook == Hook::Egress);
    });
  });
}

// What a chain there writes, marks or takes away other chains may see.
bool Way::is_changed_below() const {
  const auto& tables = machine_.ruleset().tables;
  for (std::uint32_t t = 0; t < tables.size(); ++t) {
    const Family family = tables[t].family;
    const bool all_below = family == Family::Netdev || family == Family::Bridge;
    const bool has_below = std::ranges::any_of(tables[t].chains, [](const ruleset::Chain& chain) {
      return chain.base && is_of_device(chain.base->hook);
    });
    if ((!all_below && !has_below) || (tables[t].flags & ruleset::kTableDormant) != 0) continue;
    for (const ruleset::Chain& chain : tables[t].chains) {
      if (!all_below && chain.base && !is_of_device(chain.base->hook)) continue;
      for (const ruleset::Rule& rule : chain.rules) {
        const bool changes = std::ranges::any_of(rule.exprs, [&](const ruleset::Expr& expr) {
          return ruleset::is_seen_elsewhere(expr, machine_.facts().tables()[t]);
        });
        if (changes) return true;
      }
    }
  }
  return false;
}

// Told to go on by the device that it came by, or not told, and by its routes. Where another route
// is longer, a part of these is led elsewhere: more than may be.
Diagram Way::leads_back_by(const ruleset::Interface& bridge, bool ipv6) {
  const ruleset::Host& host = machine_.host();
  const Diagram told = *compare_.equal(space_.part(Part::OutDevice), device_name(bridge.device));
  const Diagram not_told = *compare_.equal(space_.part(Part::OutDevice), ruleset::Bytes(16));
  if (!host.routes) return diagrams_.either(told, not_told);
  std::vector<net::Prefix> by;
  for (const auto* routes : {&*host.routes, &host.routes_for_some}) {
    for (const ruleset::Route& route : *routes) {
      const bool leads = route.type == ruleset::RouteType::Unicast && route.device == bridge.device;
      if (leads && net::is_ipv4(route.to.address) != ipv6) by.push_back(route.to);
    }
  }
  const Bits to = space_.part(ipv6 ? Part::Destination6 : Part::Destination4);
  return diagrams_.either(told, diagrams_.both(not_told, in(to, net::AddressSet::from(by), ipv6)));
}

// br_handle_frame_finish(): to whose Ethernet address it was sent is no bit of it. What
// br_netfilter shows takes no hop (br_nf_forward_ip()).
Diagram Way::between_ports(bool ipv6, Diagram otherwise) {
  const Bits to = space_.part(ipv6 ? Part::Destination6 : Part::Destination4);
  Diagram all = otherwise;
  for (const ruleset::Interface& device : machine_.host().interfaces) {
    if (ruleset::bridge_of(machine_.host(), device.device) == nullptr) continue;
    const Diagram comes = *compare_.equal(space_.part(Part::InDevice), device_name(device.device));
    Diagram passed = diagrams_.both(comes, leads_back_by(device, ipv6));
    passed = diagrams_.minus(passed, is_ours(to, ipv6));
    passed = diagrams_.both(passed, free_choice("its bridge passes it on between its ports"));
    Environment begins = machine_.environments()[0];
    begins.part(Part::OutDevice) = bits_of(device_name(""));
    const Bits out = space_.part(Part::InDevice);
    const auto shown = [&] {
      return run(Hook::Prerouting, ipv6, machine_.environments().intern(std::move(begins)),
                 [&](EnvironmentId after) {
                   Environment leaving = machine_.environments()[after];
                   leaving.part(Part::OutDevice) = out;
                   const Diagram sent =
                       forward_hooks(ipv6, machine_.environments().intern(std::move(leaving)));
                   return diagrams_.choose(changed_by_bridge(ipv6, after),
                                           anywhere(after, "a bridge"), sent);
                 });
    };
    const auto shows = ruleset::shows_frames(machine_.host(), ipv6, device.device);
    Diagram fate = machine_.decided(Fate::Accept);
    if (shows.value_or(true)) {
      const Diagram is_shown = shows ? kEverything : free_choice("br_netfilter shows it");
      fate = diagrams_.choose(is_shown, shown(), fate);
    }
    all = diagrams_.choose(passed, fate, all);
  }
  return all;
}

Diagram Way::below(Diagram all, const char* what) {
  if (!has_chains_below()) return all;
  if (known_ == KnownConnections::Any && is_changed_below()) {
    all = diagrams_.choose(free_choice("chains of devices or bridges change it"),
                           anywhere(0, "a chain of a device or a bridge"), all);
  }
  // Those that it meets last see it as it leaves.
  all = machine_.where_accepted(all, [&](EnvironmentId after) {
    const Diagram passes = machine_.decided(Fate::Accept, after);
    if (was_translated(after)) return passes;
    return diagrams_.choose(free_choice(what, after), machine_.decided(Fate::Drop), passes);
  });
  return diagrams_.choose(free_choice(what), machine_.decided(Fate::Drop), all);
}

}  // namespace rolewall::analyze
