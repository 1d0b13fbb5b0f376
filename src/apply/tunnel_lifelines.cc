#include "apply/tunnel_lifelines.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "apply/ways.h"
#include "net/known_addresses.h"
#include "net/protocol.h"
#include "ruleset/loads.h"

namespace rolewall::apply {
namespace {

using observe::OuterFlow;
using observe::Tunnel;

// The first port that a side may draw (RFC 6335, 6); the kernel's vxlan draws from as low as this.
constexpr std::uint16_t kDrawnPort = 49152;

std::string service_of(std::uint8_t protocol, std::uint16_t port) {
  if (protocol == net::protocol::kUdp) return fmt::format("udp/{}", port);
  if (protocol == net::protocol::kTcp) return fmt::format("tcp/{}", port);
  return fmt::format("protocol/{}", protocol);
}

class Tunnels {
 public:
  Tunnels(const GuardFacts& facts, Lifelines& into) : facts_(facts), ways_(facts), into_(into) {}

  void add() {
    std::set<std::string> devices;
    for (const Session& session : facts_.sessions) {
      for (const Way& way : ways_.with(session.client, session.device)) devices.insert(way.out);
    }
    for (const net::Prefix& prefix : facts_.management) {
      for (const net::Address& client : ends_of(prefix)) {
        for (const Way& way : ways_.with(client)) devices.insert(way.out);
      }
    }
    for (const std::string& device : devices) add_below(device, 0);
  }

 private:
  // What carries a tunnel may go through another.
  void add_below(const std::string& device, int depth) {
    constexpr int kDeepest = 4;
    for (const Tunnel& tunnel : facts_.tunnels) {
      const bool carries = std::ranges::find(tunnel.devices, device) != tunnel.devices.end();
      if (!carries || depth > kDeepest || !added_.insert(tunnel.devices.front()).second) continue;
      if (tunnel.flows.empty()) not_found(tunnel, device);
      for (const OuterFlow& flow : tunnel.flows) add(tunnel, flow, depth);
    }
  }

  void not_found(const Tunnel& tunnel, const std::string& device) {
    into_.unasked.push_back(
        {.what = fmt::format("the tunnel {} ({}) that sessions by {} go through",
                             tunnel.devices.front(), tunnel.kind, device),
         .how = "its packets on the network below cannot be found, and so cannot be asked about: "
                "--confirm TIME brings the former state back by itself if they are cut"});
  }

  void add(const Tunnel& tunnel, const OuterFlow& flow, int depth) {
    for (const Way& way : ways_.with(flow.remote)) {
      if (way.out == tunnel.devices.front()) continue;  // its routes are not in the main table
      if (depth < 2) add_below(way.out, depth + 1);
      const auto own = net::is_unspecified(flow.local) ? ways_.own_towards(flow.remote, way.out)
                                                       : std::optional(flow.local);
      if (own) add(tunnel, flow, *own, way);
    }
  }

  void add(const Tunnel& tunnel, const OuterFlow& flow, const net::Address& own, const Way& way) {
    const std::string what = fmt::format(
        "the tunnel {} ({}), carried by {} {} {}", tunnel.devices.front(), tunnel.kind,
        service_of(flow.protocol, flow.local_port), flow.opened_by_peer ? "from" : "with",
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
      put(what + ", what it sends first", way, {in, answer_out},
          fmt::format(R"(an [[inbound]] rule with service = "{}" and from = "{}" would)",
                      service_of(flow.protocol, flow.local_port), remote));
    }
    if (!tcp || !flow.opened_by_peer) {
      put(what + ", what this host sends first", way, {out, answer_in},
          fmt::format(R"(an [[outbound]] rule with service = "{}" and to = "{}" would)",
                      service_of(flow.protocol, out.fields.destination_port), remote));
    }
  }

  void put(const std::string& what, const Way& way, std::vector<Leg> legs, std::string advice) {
    Lifeline line{.what = what, .legs = std::move(legs), .advice = std::move(advice)};
    line.off_route = way.off_route;
    into_.all.push_back(std::move(line));
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
