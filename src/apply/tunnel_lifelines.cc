#include "apply/tunnel_lifelines.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "apply/ways.h"
#include "net/address_set.h"
#include "net/protocol.h"
#include "ruleset/loads.h"

namespace rolewall::apply {
namespace {

using observe::OuterFlow;
using observe::Tunnel;

// The first port that a side may draw (RFC 6335, 6); the kernel's vxlan draws from as low as this.
constexpr std::uint16_t kDrawnPort = 49152;

class Tunnels {
 public:
  Tunnels(const GuardFacts& facts, Lifelines& into) : facts_(facts), ways_(facts), into_(into) {}

  void add() {
    std::set<std::string> devices;
    for (const Session& session : facts_.sessions) {
      for (const Way& way : ways_.with(session.client, session.device)) devices.insert(way.out);
      add_beyond(session.client);
    }
    for (const net::Prefix& prefix : facts_.management) {
      for (const net::Address& client : ends_of(prefix)) {
        for (const Way& way : ways_.with(client)) devices.insert(way.out);
        add_beyond(client);
      }
    }
    for (const std::string& device : devices) add_below(device, 0);
  }

 private:
  // By IPsec's policies, which look at addresses alone.
  void add_beyond(const net::Address& client) {
    for (const Tunnel& tunnel : facts_.tunnels) {
      if (!net::AddressSet::from(tunnel.networks).contains(client) ||
          !added_.insert(name_of(tunnel)).second) {
        continue;
      }
      for (const OuterFlow& flow : tunnel.flows) add(tunnel, flow, 0);
    }
  }

  // What carries a tunnel may go through another.
  void add_below(const std::string& device, int depth) {
    constexpr int kDeepest = 4;
    for (const Tunnel& tunnel : facts_.tunnels) {
      const bool carries = std::ranges::find(tunnel.devices, device) != tunnel.devices.end();
      if (!carries || depth > kDeepest || !added_.insert(name_of(tunnel)).second) continue;
      if (tunnel.flows.empty()) not_found(tunnel, device);
      for (const OuterFlow& flow : tunnel.flows) add(tunnel, flow, depth);
    }
  }

  void not_found(const Tunnel& tunnel, const std::string& device) {
    into_.unasked.push_back(
        {.what = fmt::format("the tunnel {} ({}), which carries sessions through {}",
                             name_of(tunnel), tunnel.kind, device),
         .how = "rolewall cannot find the packets that carry it, and so cannot check that they "
                "still pass: use --confirm TIME, which rolls back by itself if you are cut off"});
  }

  void add(const Tunnel& tunnel, const OuterFlow& flow, int depth) {
    for (const Way& way : ways_.with(flow.remote)) {
      // Its routes are not in the main table.
      if (!tunnel.devices.empty() && way.out == tunnel.devices.front()) continue;
      if (depth < 2) add_below(way.out, depth + 1);
      const auto own = net::is_unspecified(flow.local) ? ways_.own_towards(flow.remote, way.out)
                                                       : std::optional(flow.local);
      if (own) add(tunnel, flow, *own, way);
    }
  }

  void add(const Tunnel& tunnel, const OuterFlow& flow, const net::Address& own, const Way& way) {
    const std::string what = fmt::format("the tunnel {} ({}), carried by {} {} {}", name_of(tunnel),
                                         tunnel.kind, service_of(flow.protocol, flow.local_port),
                                         flow.opened_by_peer ? "from" : "with",
                                         flow.anybody ? "anybody" : net::format(flow.remote));
    const bool tcp = flow.protocol == net::protocol::kTcp;
    Leg in{.arrives = true, .fields = {}, .device = way.in};
    in.fields.protocol = flow.protocol;
    in.fields.source = flow.remote;
    in.fields.destination = own;
    in.fields.source_port = flow.remote_port;
    in.fields.destination_port = flow.local_port;
    in.fields.tcp_flags = tcp::kSyn;
    Leg out = turned(in, way.out, tcp::kSyn);
    if (flow.draws_ports) {
      in.fields.source_port = kDrawnPort;
      out.fields.source_port = kDrawnPort;
      out.fields.destination_port = flow.remote_port;
    } else {
      for (Leg open : {in, out}) {
        open.state = ruleset::ct_state::kEstablished;
        open.fields.tcp_flags = tcp::kAck;
        put(what, way, {open}, "");
      }
    }
    const std::string remote = flow.anybody ? "any" : net::format(flow.remote);
    const Leg answer_in = turned(out, way.in, tcp::kSynAck);
    const Leg answer_out = turned(in, way.out, tcp::kSynAck);
    if (flow.opened_by_peer) {
      put(what + ", first packet from the other end", way, {in, answer_out},
          fmt::format(R"(an [[inbound]] rule with service = "{}" and from = "{}" would)",
                      service_of(flow.protocol, flow.local_port), remote));
    }
    if (!tcp || !flow.opened_by_peer) {
      put(what + ", first packet from this host", way, {out, answer_in},
          fmt::format(R"(an [[outbound]] rule with service = "{}" and to = "{}" would)",
                      service_of(flow.protocol, out.fields.destination_port), remote));
    }
  }

  void put(const std::string& what, const Way& way, std::vector<Leg> legs, std::string advice) {
    rolewall::apply::put(into_,
                         {.what = what, .legs = std::move(legs), .advice = std::move(advice)}, way);
  }

  const GuardFacts& facts_;
  Ways ways_;
  Lifelines& into_;
  std::set<std::string> added_;
};

}  // namespace

void add_tunnel_lifelines(const GuardFacts& facts, Lifelines& into) {
  if (!facts.tunnels.empty()) Tunnels(facts, into).add();
}

}  // namespace rolewall::apply
