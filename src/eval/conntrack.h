// What connection tracking says of a flow's first packet, read from net/netfilter/
// nf_conntrack_core.c (nf_conntrack_in) and nf_conntrack_proto_*.c, with the settings that a kernel
// has by default: tcp_loose 1, checksum 1, no helpers, no expectations, an empty table.
//
// So there is no flow that an ICMP error could be about: every one is invalid. DCCP is a protocol
// like any unknown one, as since Linux 6.16.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "eval/wire.h"

namespace rolewall::eval {

// struct nf_conntrack_tuple: one direction of a flow.
struct Tuple {
  bool ipv6 = false;
  std::uint8_t protocol = 0;
  std::array<std::uint8_t, 16> source{};
  std::array<std::uint8_t, 16> destination{};
  std::array<std::uint8_t, 2> source_port{};       // of ICMP the identifier; of GRE its key
  std::array<std::uint8_t, 2> destination_port{};  // of ICMP type and code
  auto operator<=>(const Tuple&) const = default;
};

// The answer's direction, as the entry holds it where nothing is translated.
Tuple invert(const Tuple& tuple);

enum class Tracking : std::uint8_t {
  None,       // no entry, and not untracked: `ct state` reads invalid
  Untracked,  // so by a rule, or by its kind (neighbour discovery, multicast listeners)
  Entry,
};

struct FirstPacket {
  Tracking tracking = Tracking::None;
  Tuple tuple;           // Entry alone
  const char* why = "";  // None: what is wrong with it
};

// Where the packet comes from decides if its checksum is looked at (`sysctl_checksum` and
// NF_INET_PRE_ROUTING alone).
enum class Checksums : std::uint8_t { Verify, Trust };

// REQUIRES: a whole fixed IP header; the packet is cut to the length its header names (stack.h).
FirstPacket track_first_packet(ByteSpan packet, bool ipv6, Checksums checksums);

// What is wrong with a packet's own headers and checksum, whatever came before it; null: nothing.
const char* header_error(ByteSpan packet, bool ipv6, Checksums checksums);

// The packet inside an ICMP or ICMPv6 error; absent where this is none, or is cut too short.
std::optional<ByteSpan> packet_in_error(ByteSpan packet, bool ipv6);

// The flow that a packet would belong to, read as for the first packet but checked for nothing:
// nf_ct_get_tuplepr(). False where there is none to be had.
bool tuple_of(ByteSpan packet, bool ipv6, Tuple& tuple);

// nf_conntrack_proto_sctp.c. Null: a new flow; else what is wrong.
const char* first_sctp_packet_error(ByteSpan sctp);

}  // namespace rolewall::eval
