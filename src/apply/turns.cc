#include "apply/turns.h"

#include <algorithm>
#include <span>

#include "eval/build.h"
#include "eval/route.h"
#include "eval/wire.h"
#include "net/protocol.h"

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
    if (!leg.leaves.empty()) turn.packet.out_device = leg.leaves;
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

bool is_forwarded(const eval::Journey& journey) {
  return std::ranges::find(journey.hooks, ruleset::Hook::Forward, &eval::HookResult::hook) !=
         journey.hooks.end();
}

}  // namespace rolewall::apply
