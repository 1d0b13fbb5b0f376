// What the IP stack itself discards of what arrives, before the first hook (ip_rcv_core() of
// net/ipv4/ip_input.c, ip6_rcv_core() of net/ipv6/ip6_input.c) and between prerouting and input
// (ip_route_input_rcu() of net/ipv4/route.c, ip6_route_input()). Which sources IPv4 takes,
// source_check.h knows; which multicast groups are joined, groups.h.
//
// Each function returns why the packet goes no further, or null.
#pragma once

#include <vector>

#include "eval/packet.h"
#include "eval/wire.h"
#include "net/address_set.h"
#include "ruleset/host.h"

namespace rolewall::eval {

// The host's addresses, ready to be asked.
struct OwnAddresses {
  net::AddressSet delivered;  // destinations that are this host, pools whole
  net::AddressSet exactly;    // addresses that are this host's alone, for the source check

  static OwnAddresses of(const ruleset::Host& host);
};

inline constexpr const char* kNotForThisHost = "not addressed to this host, which does not forward";

// Cuts `packet` to the length that its header names.
const char* receive_ipv4_error(ByteSpan& packet);
const char* receive_ipv6_error(ByteSpan& packet, bool loopback_device);

// Whether the host hands on what is addressed to others.
enum class Forwarding : std::uint8_t { Off, On };

// REQUIRES: received without an error, and not over the loopback from this host itself: what it
// sends to itself is routed once, on its way out.
const char* route_ipv4_error(ByteSpan packet, const OwnAddresses& own,
                             Forwarding forwarding = Forwarding::Off, bool route_localnet = false);
const char* route_ipv6_error(ByteSpan packet, const OwnAddresses& own,
                             Forwarding forwarding = Forwarding::Off);
// Whether the packet is addressed to one other host. Groups are none: nothing here routes them.
bool is_for_another_host(ByteSpan packet, bool ipv6, const OwnAddresses& own);
// ip_rcv_options(), which every packet meets, whatever its route; but for a source route.
const char* ipv4_options_error(ByteSpan packet);
// REQUIRES: no error. Whether the sender says by which hosts the packet is to go (srr).
bool has_source_route(ByteSpan packet);
// Whether the host writes into the options on the way (the route and time that they ask for).
bool rewrites_options(ByteSpan packet);

// Between output and postrouting: ip_mc_output() of net/ipv4/ip_output.c, for groups that the
// sender has joined. Those of the link (224.0.0.0/24) are taken so, others not: to send needs no
// joining.
const char* output_ipv4_error(ByteSpan packet);

// Between prerouting and forward: ip_forward() of net/ipv4/ip_forward.c, ip6_forward() of
// net/ipv6/ip6_output.c. Sizes are not compared: the devices' are not known.
const char* forward_error(ByteSpan packet, bool ipv6, PacketType type, bool same_device);
// The hop that the packet takes off its TTL or hop limit before the forward hook.
// REQUIRES: no forward_error().
void count_hop(std::vector<std::uint8_t>& packet, bool ipv6);
// What a forwarded IPv4 packet's type of service makes its priority (rt_tos2priority()).
std::uint32_t forwarded_priority(ByteSpan packet);

bool sent_by_this_host(ByteSpan packet, bool ipv6, const OwnAddresses& own);

}  // namespace rolewall::eval
