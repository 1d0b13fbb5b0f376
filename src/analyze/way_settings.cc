// What a machine's settings and its links' MTUs do to packets beside the rules: not gone into, but
// for whom it may concern. An answer that hangs on it is a bound.
#include <algorithm>

#include "analyze/header_bits.h"
#include "analyze/way.h"
#include "net/protocol.h"

namespace rolewall::analyze {

namespace {

constexpr std::uint32_t kUsualMtu = 1500;  // taken for granted where a link's is not known

// No link or route takes less.
std::uint32_t least_mtu(const ruleset::Host& host) {
  std::uint32_t least = kUsualMtu;
  const auto take = [&](std::uint32_t mtu) {
    if (mtu != 0) least = std::min(least, mtu);
  };
  for (const ruleset::Interface& interface : host.interfaces) {
    take(interface.mtu);
    take(interface.ipv6_mtu);
  }
  if (host.routes) {
    for (const ruleset::Route& route : *host.routes) take(route.mtu);
  }
  for (const ruleset::Route& route : host.routes_for_some) take(route.mtu);
  return least;
}

}  // namespace

bool Way::knows_settings() const {
  const ruleset::Host& host = machine_.host();
  return host.has_routing_rules || host.has_added_local_routes ||
         std::ranges::any_of(host.interfaces, [](const ruleset::Interface& interface) {
           return interface.settings.has_value() || !interface.master.empty();
         });
}

bool Way::forwards(bool ipv6) const {
  return ipv6 ? machine_.host().forwards_ipv6 : machine_.host().forwards_ipv4;
}

Diagram Way::free_choice(const std::string& what) {
  return diagrams_.where(space_.free(what, 1, FieldKind::NotModelled), 1, 1);
}

Diagram Way::free_choice(std::string_view what, EnvironmentId environment) {
  return free_choice(std::string(what) +
                     machine_.as_changed(environment, Machine::FoundFrom::Routing));
}

// rp_filter, accept_local, route_localnet, disable_ipv6, a VRF, `ip rule`.
Diagram Way::refused_by_settings(EnvironmentId environment) {
  return knows_settings() ? free_choice("the machine's settings refuse it", environment) : kNothing;
}

Diagram Way::arrives_where(bool ruleset::StackSettings::* is_set) {
  std::vector<Diagram> all;
  for (const ruleset::Interface& interface : machine_.host().interfaces) {
    if (!interface.settings || !(*interface.settings.*is_set)) continue;
    all.push_back(*compare_.equal(space_.part(Part::InDevice), device_name(interface.device)));
  }
  return diagrams_.union_of(std::move(all));
}

// bc_forwarding: a broadcast to one of the host's networks goes on to it, too (ip_mkroute_input()).
Diagram Way::is_spread_on(const Bits& destination) {
  const Diagram comes = arrives_where(&ruleset::StackSettings::forwards_broadcasts);
  return comes == kNothing ? kNothing : diagrams_.both(comes, in(destination, broadcasts_, false));
}

Diagram Way::passed_on(Diagram foreign, bool ipv6, Diagram told_where) {
  if (knows_settings()) {
    return diagrams_.both(foreign, free_choice("the device that it arrives on forwards"));
  }
  return forwards(ipv6) ? foreign : diagrams_.both(foreign, told_where);
}

// ip_forward(), ip6_forward(); `sent`: by a program, which is told so (__ip_append_data()). IPv6
// and TCP are cut to size there.
Diagram Way::too_large(bool ipv6, bool sent, EnvironmentId environment) {
  if (sent && ipv6) return kNothing;
  Diagram all = space_.has_length(least_mtu(machine_.host()) + std::uint64_t{1});
  if (sent) all = diagrams_.minus(all, space_.is(Part::Protocol, net::protocol::kTcp));
  return diagrams_.both(all, free_choice("it is larger than what its way takes", environment));
}

}  // namespace rolewall::analyze
