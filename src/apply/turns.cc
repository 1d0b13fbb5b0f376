#include "apply/turns.h"

#include <algorithm>
#include <span>

#include "eval/build.h"
#include "eval/route.h"
#include "eval/wire.h"
#include "net/protocol.h"
#include "ruleset/own_table.h"

namespace rolewall::apply {

std::size_t turns_in(const Lifeline& line, bool as_delivered) {
  return as_delivered && line.delivered_to ? 1 : line.legs.size();
}

std::vector<eval::Turn> turns_of(const Lifeline& line, bool as_delivered) {
  std::vector<eval::Turn> turns;
  for (const Leg& leg : std::span(line.legs).first(turns_in(line, as_delivered))) {
    eval::Turn& turn = turns.emplace_back();
    turn.packet = eval::build(leg.fields);
    (leg.arrives ? turn.packet.in_device : turn.packet.out_device) = leg.device;
    if (!leg.leaves.empty()) {
      turn.packet.out_device = leg.leaves;
      turn.packet.is_bridged = leg.arrives;
    }
    turn.packet.ct_state = leg.state;
    turn.direction = leg.arrives ? eval::Direction::Arrive : eval::Direction::Send;
  }
  return turns;
}

Endpoint destination_of(const eval::Packet& packet, std::uint8_t protocol) {
  const bool ipv6 = packet.ether_type == eval::kEtherTypeIpv6;
  Endpoint to{.address = eval::destination_of(packet.bytes, ipv6), .port = 0};
  // eval::build() puts nothing between the IP header and the transport's, whose second field is the
  // port that it is sent to (RFC 768, RFC 9293).
  const std::size_t port = (ipv6 ? eval::ipv6::kHeaderSize : eval::ipv4::kHeaderSize) + 2;
  if (net::has_ports(protocol) && packet.bytes.size() >= port + 2) {
    to.port = static_cast<std::uint16_t>(packet.bytes[port] << 8 | packet.bytes[port + 1]);
  }
  return to;
}

net::Address source_of(const eval::Packet& packet) {
  if (packet.ether_type == eval::kEtherTypeIpv6) {
    return net::ipv6_from_bytes(packet.bytes.data() + eval::ipv6::kSource);
  }
  return net::ipv4_from_bytes(packet.bytes.data() + eval::ipv4::kSource);
}

bool is_own(const ruleset::Host& machine, const net::Address& address) {
  return std::ranges::find(machine.addresses, address, &net::Prefix::address) !=
         machine.addresses.end();
}

bool comes_to(const Lifeline& line, const Leg& leg, const eval::Journey& journey, bool as_delivered,
              const ruleset::Host& machine) {
  const Endpoint to = destination_of(journey.after, leg.fields.protocol);
  const Endpoint sent{leg.fields.destination, net::has_ports(leg.fields.protocol)
                                                  ? leg.fields.destination_port
                                                  : std::uint16_t{0}};
  if (leg.forwarded && line.delivered_to) return to == *line.delivered_to;
  // A redirection is to the address of the device that it arrives by.
  const bool is_ours = is_own(machine, to.address);
  if (line.delivered_to && is_ours && to.port == line.delivered_to->port) return true;
  return to == sent && (!as_delivered || !line.delivered_to);
}

bool denied_by_behind(const eval::Journey& journey, const Lifeline& line,
                      const ruleset::Table& ours, std::uint32_t number) {
  if ((!line.off_route && !line.of_anybody) || journey.hooks.empty()) return false;
  const eval::HookResult& last = journey.hooks.back();
  if (!last.decided || last.fate == eval::Fate::Accept || last.decision.table != number ||
      last.decision.rule == eval::Decision::kPolicy) {
    return false;
  }
  return ours.chains[last.decision.chain].rules[last.decision.rule].comment ==
         ruleset::own::step::kSpoofed;
}

bool is_forwarded(const eval::Journey& journey) {
  return std::ranges::find(journey.hooks, ruleset::Hook::Forward, &eval::HookResult::hook) !=
         journey.hooks.end();
}

}  // namespace rolewall::apply
