#include "apply/tunnel_lifelines.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "apply/boundaries.h"
#include "apply/ways.h"
#include "net/address_set.h"
#include "net/protocol.h"
#include "ruleset/loads.h"

namespace rolewall::apply {
namespace {

using observe::ForwardedFlow;
using observe::OuterFlow;
using observe::Relay;
using observe::Tunnel;

// Of those that the rules tell apart, for an end that is not known.
constexpr std::size_t kMostStrangers = 64;

class Tunnels {
 public:
  Tunnels(const GuardFacts& facts, const std::vector<const ruleset::Table*>& tables,
          Lifelines& into)
      : facts_(facts), tables_(tables), ways_(facts), into_(into) {}

  void add() {
    for (const Session& session : facts_.sessions) {
      use(session.client, session.device);
      add_beyond(session.client);
    }
    for (const net::Prefix& prefix : facts_.management) {
      for (const net::Address& client : ends_of(prefix)) {
        use(client, "");
        add_beyond(client);
      }
    }
    for (const Need need : {Need::Certain, Need::Possible, Need::Unlikely}) {
      for (const auto& [device, its_need] : devices_) {
        if (its_need == need) add_below(device, {.need = need});
      }
    }
    for (const Relay& relay : facts_.relays) add(relay);
    add_own_bridges();
  }

 private:
  // A flow that is asked about.
  struct Asked {
    std::string what{};    // that is carried
    std::string device{};  // of the tunnel itself: its routes are not in the main table
    Need need = Need::Certain;
    int depth = 0;  // of tunnels in tunnels
    std::string one_of{};
  };

  // Who comes to a veth of this host's passes, before it arrives there, the bridge that its other
  // end is a port of: where br_netfilter shows that to the forward chain, it is asked, too.
  void add_own_bridges() {
    for (const Session& session : facts_.sessions) {
      const Endpoint from =
          session.sent_from.value_or(Endpoint{session.client, session.client_port});
      const Endpoint to = session.sent_to.value_or(Endpoint{session.server, session.server_port});
      add_by_own_bridge(from, to, session.device, "the session from " + net::format(from.address));
    }
    for (const net::Prefix& prefix : facts_.management) {
      for (const net::Address& client : ends_of(prefix)) {
        for (const Endpoint& door : facts_.ssh_doors) {
          constexpr std::uint16_t kAnyPort = 40000;
          add_by_own_bridge({client, kAnyPort}, door, "",
                            fmt::format("ssh from {} (management)", net::format(client)));
        }
      }
    }
  }

  void add_by_own_bridge(const Endpoint& from, Endpoint to, const std::string& link,
                         const std::string& what) {
    if (ways_.is_own(from.address)) return;
    for (const Way& way : ways_.with(from.address, link)) {
      for (const netlink::OwnEnd& end : facts_.own_ends) {
        const bool shows = std::ranges::find(facts_.bridges, end.bridge) != facts_.bridges.end();
        if (!shows || way.in != end.device) continue;
        const auto own = net::is_unspecified(to.address) ? ways_.own_towards(from.address, way.out)
                                                         : std::optional(to.address);
        if (!own || net::is_ipv4(*own) != net::is_ipv4(from.address)) continue;
        add(ForwardedFlow{.protocol = net::protocol::kTcp,
                          .from = {from.address, from.port},
                          .to = {*own, to.port},
                          .comes_to = {*own, to.port},
                          .bridge = end.bridge},
            {.what = fmt::format("{}, which comes to {} through the bridge {}", what, end.device,
                                 end.bridge),
             .need = way.need});
      }
    }
  }

  // How certainly somebody comes by a device.
  void use(const net::Address& client, const std::string& link) {
    for (const Way& way : ways_.with(client, link)) {
      if (way.off_route) continue;
      Need& need = devices_.emplace(way.out, way.need).first->second;
      need = std::min(need, way.need);
    }
  }

  static Asked asked_of(const Tunnel& tunnel, const Asked& above) {
    Asked asked = above;
    asked.what = fmt::format("the tunnel {} ({})", name_of(tunnel), tunnel.kind);
    asked.device = tunnel.devices.empty() ? "" : tunnel.devices.front();
    return asked;
  }

  // By IPsec's policies, which look at addresses alone.
  void add_beyond(const net::Address& client) {
    for (const Tunnel& tunnel : facts_.tunnels) {
      if (!net::AddressSet::from(tunnel.networks).contains(client) ||
          !added_.insert(name_of(tunnel)).second) {
        continue;
      }
      for (const OuterFlow& flow : tunnel.flows) add(flow, asked_of(tunnel, {}));
    }
  }

  // What carries a tunnel may go through another.
  void add_below(const std::string& device, const Asked& above) {
    constexpr int kDeepest = 4;
    for (const Tunnel& tunnel : facts_.tunnels) {
      const bool carries = std::ranges::find(tunnel.devices, device) != tunnel.devices.end();
      if (!carries || above.depth > kDeepest || !added_.insert(name_of(tunnel)).second) continue;
      if (tunnel.flows.empty() && tunnel.relayed.empty()) not_found(tunnel, device, above.need);
      add_relayed(tunnel, asked_of(tunnel, above));
      for (const OuterFlow& flow : tunnel.flows) {
        if (is_known_beside(flow, tunnel)) continue;
        if (net::is_multicast(flow.remote)) {
          add_group(tunnel, flow, asked_of(tunnel, above));
        } else {
          add(flow, asked_of(tunnel, above));
        }
      }
    }
  }

  // Of several connections of a relay's one carries it.
  void add_relayed(const Tunnel& tunnel, Asked asked) {
    if (tunnel.relayed.size() > 1) {
      asked.need = std::max(asked.need, Need::Possible);
      asked.one_of = asked.what;
    }
    for (const OuterFlow& flow : tunnel.relayed) add(flow, asked);
  }

  // A socket of the other family waits at the same port, and carries nothing.
  static bool is_known_beside(const OuterFlow& flow, const Tunnel& tunnel) {
    return flow.anybody && std::ranges::any_of(tunnel.flows, [&](const OuterFlow& other) {
             return !other.anybody && other.protocol == flow.protocol &&
                    other.local_port == flow.local_port;
           });
  }

  void not_found(const Tunnel& tunnel, const std::string& device, Need need) {
    if (need == Need::Unlikely) return;
    into_.unasked.push_back(
        {.what = fmt::format("the tunnel {} ({}), which carries sessions through {}",
                             name_of(tunnel), tunnel.kind, device),
         .how = std::string("rolewall cannot find the packets that carry it, and so cannot check "
                            "that they still pass") +
                kUseTimer,
         .may_be_risked = need != Need::Certain && ways_.is_known()});
  }

  // Of several connections one carries the session.
  void add(const Relay& relay) {
    const std::size_t count = relay.flows.size() + relay.forwarded.size();
    if (count == 0) {
      into_.unasked.push_back({.what = relay.what,
                               .how = std::string("what carries it there cannot be seen from here, "
                                                  "and was not checked") +
                                      kUseTimer,
                               .may_be_risked = !relay.is_passed});
    }
    const Asked asked{.what = relay.what,
                      .device = "",
                      .need = count == 1 ? Need::Certain : Need::Possible,
                      .depth = 0,
                      .one_of = count == 1 ? "" : relay.what};
    for (const OuterFlow& flow : relay.flows) add(flow, asked);
    for (const ForwardedFlow& flow : relay.forwarded) add(flow, asked);
  }

  // Whoever is at an end that is not known is a stranger to all rules, or one that they tell apart.
  std::vector<net::Address> whoever(bool ipv4) const {
    const net::AddressSet all =
        net::AddressSet::from({*net::parse_prefix(ipv4 ? "0.0.0.0/0" : "::/0")});
    std::vector<net::Address> found;
    for (const ruleset::Table* table : tables_) {
      for (const net::Address& address : addresses_told_apart(*table, all)) {
        const bool may_send = !net::is_multicast(address) && !net::is_loopback(address) &&
                              !net::is_unspecified(address) && !eval::is_link_local(address) &&
                              !ways_.is_own(address);
        if (may_send && found.size() < kMostStrangers) found.push_back(address);
      }
    }
    return found;
  }

  void add(const OuterFlow& flow, const Asked& asked) {
    add_from(flow, asked);
    if (!flow.anybody) return;
    for (const net::Address& each : whoever(net::is_ipv4(flow.remote))) {
      OuterFlow from = flow;
      from.remote = each;
      add_from(from, asked);
    }
  }

  void add_from(const OuterFlow& flow, const Asked& asked) {
    for (const Way& way : ways_.with(flow.remote)) {
      if (!asked.device.empty() && way.out == asked.device) continue;
      Asked here = asked;
      here.need = std::max(asked.need, way.need);
      if (flow.anybody) here.need = std::max(here.need, Need::Possible);
      ++here.depth;
      if (asked.depth < 2) add_below(way.out, {.need = here.need, .depth = here.depth});
      const auto own = net::is_unspecified(flow.local) ? ways_.own_towards(flow.remote, way.out)
                                                       : std::optional(flow.local);
      if (own) add(flow, here, *own, way);
    }
  }

  static Leg first_from_peer(const OuterFlow& flow, const net::Address& own, const Way& way) {
    Leg in{.arrives = true, .fields = {}, .device = way.in};
    in.fields.protocol = flow.protocol;
    in.fields.source = flow.remote;
    in.fields.destination = own;
    in.fields.source_port = flow.draws_ports ? kDrawnPort : flow.remote_port;
    in.fields.destination_port = flow.local_port;
    in.fields.tcp_flags = tcp::kSyn;
    return in;
  }

  void add(const OuterFlow& flow, const Asked& asked, const net::Address& own, const Way& way) {
    const std::string what = fmt::format(
        "{}, carried by {} {} {}", asked.what, service_of(flow.protocol, flow.local_port),
        flow.opened_by_peer ? "from" : "with", flow.anybody ? "anybody" : net::format(flow.remote));
    const Leg in = first_from_peer(flow, own, way);
    Leg out = turned(in, way.out, tcp::kSyn);
    if (flow.draws_ports) {
      out.fields.source_port = kDrawnPort;
      out.fields.destination_port = flow.remote_port;
    } else {
      for (Leg open : {in, out}) {
        open.state = ruleset::ct_state::kEstablished;
        open.fields.tcp_flags = tcp::kAck;
        put({.what = what,
             .legs = {open},
             .need = asked.need,
             .kind = flow.anybody ? what : "",
             .of_anybody = flow.anybody},
            way);
      }
    }
    // Whose packets answer each other need one side that begins: what the other does is asked about
    // as far as it passes today. TCP has one side that opens, and it is not known which.
    const bool by_either = flow.opened_by_peer && flow.opened_here && !flow.draws_ports;
    const Need of_either = flow.protocol == net::protocol::kTcp ? Need::OneOfMany : Need::Possible;
    const Need need = by_either ? std::max(asked.need, of_either) : asked.need;
    const std::string of_two = flow.anybody ? what + net::format(flow.remote) : what;
    const std::string one_of = by_either && asked.one_of.empty() ? of_two : asked.one_of;
    const std::string remote = flow.anybody ? "any" : net::format(flow.remote);
    const Leg answer_in = turned(out, way.in, tcp::kSynAck);
    const Leg answer_out = turned(in, way.out, tcp::kSynAck);
    if (flow.opened_by_peer) {
      put({.what = what + ", first packet from the other end",
           .legs = {in, answer_out},
           .advice = fmt::format(R"(an [[inbound]] rule with service = "{}" and from = "{}" would)",
                                 service_of(flow.protocol, flow.local_port), remote),
           .need = need,
           .one_of = one_of,
           .kind = flow.anybody ? what : "",
           .of_anybody = flow.anybody},
          way);
    }
    if (flow.opened_here) {
      put({.what = what + ", first packet from this host",
           .legs = {out, answer_in},
           .advice = fmt::format(R"(an [[outbound]] rule with service = "{}" and to = "{}" would)",
                                 service_of(flow.protocol, out.fields.destination_port), remote),
           .need = need,
           .one_of = one_of,
           .kind = flow.anybody ? what : "",
           .of_anybody = flow.anybody},
          way);
    }
  }

  // To a group of the network below: this host sends to it, and so does each other end that is
  // known. Nobody else is known to, and nothing comes from a group.
  void add_group(const Tunnel& tunnel, const OuterFlow& group, const Asked& asked) {
    for (const Way& way : ways_to_group(group)) {
      const auto own = net::is_unspecified(group.local) ? ways_.own_towards(group.remote, way.out)
                                                        : std::optional(group.local);
      if (!own) continue;
      Leg sent = turned(first_from_peer(group, *own, way), way.out);
      sent.fields.source_port = group.draws_ports ? kDrawnPort : group.local_port;
      sent.fields.destination_port = group.remote_port;
      const std::string what =
          fmt::format("{}, carried by {} to the group {}", asked.what,
                      service_of(group.protocol, group.local_port), net::format(group.remote));
      put({.what = what,
           .legs = {sent},
           .advice = fmt::format(R"(an [[outbound]] rule with service = "{}" and to = "{}" would)",
                                 service_of(group.protocol, group.remote_port),
                                 net::format(group.remote)),
           .need = std::max(asked.need, way.need)},
          way);
      for (const auto& [peer, need] : senders_to(tunnel, way)) {
        OuterFlow from = group;
        from.remote = peer;
        put({.what = fmt::format("{}, from {}", what, net::format(peer)),
             .legs = {first_from_peer(from, group.remote, way)},
             .advice =
                 fmt::format(R"(an [[inbound]] rule with service = "{}" and from = "{}" would)",
                             service_of(group.protocol, group.local_port), net::format(peer)),
             .need = std::max(asked.need, need)},
            way);
      }
    }
  }

  std::vector<Way> ways_to_group(const OuterFlow& group) const {
    if (group.device.empty()) return ways_.with(group.remote);
    return {{.in = group.device, .out = group.device}};
  }

  std::vector<std::pair<net::Address, Need>> senders_to(const Tunnel& tunnel,
                                                        const Way& way) const {
    std::vector<std::pair<net::Address, Need>> found;
    const bool ipv6 = !net::is_ipv4(tunnel.flows.front().remote);
    for (const OuterFlow& flow : tunnel.flows) {
      const bool same = net::is_ipv4(flow.remote) != ipv6 && !net::is_multicast(flow.remote);
      if (same) found.emplace_back(flow.remote, way.need);
    }
    if (!found.empty()) return found;
    for (const net::Prefix& network : ways_.networks_on(way.in, ipv6)) {
      for (const net::Address& end : ends_of(network)) {
        if (!ways_.is_own(end)) return {{end, Need::Unlikely}};
      }
    }
    return found;
  }

  // As its packets arrive, and as they come to the forward hook.
  void add(const ForwardedFlow& flow, const Asked& asked) {
    const auto there = ways_.with(flow.comes_to.address);
    const bool bridged = !flow.bridge.empty();
    const bool known = flow.protocol != net::protocol::kIcmp &&
                       flow.protocol != net::protocol::kIcmpv6 && (bridged || !there.empty());
    if (!known) return;
    for (const Way& way :
         bridged ? std::vector<Way>{{flow.bridge, flow.bridge}} : ways_.with(flow.from.address)) {
      if (way.off_route) continue;
      Leg first{.arrives = true,
                .fields = {},
                .device = way.in,
                .forwarded = true,
                .leaves = flow.bridge};
      first.fields.protocol = flow.protocol;
      first.fields.source = flow.from.address;
      first.fields.source_port = flow.from.port;
      first.fields.destination = flow.to.address;
      first.fields.destination_port = flow.to.port;
      Leg open = first;
      open.state = ruleset::ct_state::kEstablished;
      open.fields.destination = flow.comes_to.address;
      open.fields.destination_port = flow.comes_to.port;
      open.fields.tcp_flags = tcp::kAck;
      Leg answer = turned(open, bridged ? flow.bridge : there.front().out, tcp::kAck);
      answer.arrives = true;
      const Need need = std::max(asked.need, way.need);
      const std::string service = service_of(flow.protocol, flow.comes_to.port);
      const std::string what =
          fmt::format("{}, carried by {} from {} to {}, forwarded", asked.what, service,
                      net::format(flow.from.address), net::format(flow.comes_to.address));
      put({.what = what, .legs = {open}, .need = need}, way);
      put({.what = what + " (answers)", .legs = {answer}, .need = need}, way);
      // A rule means what the client wrote, whatever it is translated to.
      Lifeline again{
          .what = what + ", first packet",
          .legs = {first},
          .advice = fmt::format(
              R"(a [[forward]] rule with service = "{}", from = "{}" and to = "{}" would)",
              service_of(flow.protocol, flow.to.port), net::format(flow.from.address),
              net::format(flow.to.address)),
          .need = need,
          .one_of = asked.one_of};
      if (flow.comes_to != flow.to) again.delivered_to = flow.comes_to;
      put(std::move(again), way);
    }
  }

  void put(Lifeline line, const Way& way) { rolewall::apply::put(into_, std::move(line), way); }

  const GuardFacts& facts_;
  const std::vector<const ruleset::Table*>& tables_;
  Ways ways_;
  Lifelines& into_;
  std::map<std::string, Need> devices_;
  std::set<std::string> added_;
};

}  // namespace

void add_tunnel_lifelines(const GuardFacts& facts, const std::vector<const ruleset::Table*>& tables,
                          Lifelines& into) {
  if (!facts.tunnels.empty() || !facts.relays.empty() || !facts.own_ends.empty()) {
    Tunnels(facts, tables, into).add();
  }
}

}  // namespace rolewall::apply
