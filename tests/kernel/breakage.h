// What can be wrong, or merely unusual, with a packet that was built right. Each function changes
// the bytes in place; what IP itself checks is put right again, unless breaking it is the point.
#pragma once

#include "eval/packet.h"
#include "random.h"

namespace rolewall::kernel_judge {

// Recomputes the header checksum of IPv4; nothing for IPv6.
void fix_header_checksum(eval::Packet& packet);

// The same of TCP's, UDP's and SCTP's. REQUIRES: no options and no extension headers.
void fix_transport_checksum(eval::Packet& packet);

// Gives a fragment an identification that no other packet has, so that no two make a whole.
void make_fragment_unique(eval::Packet& packet, std::uint64_t number);

// Between the IPv6 header and its payload: hop-by-hop, routing, destination options, fragment,
// authentication and unknown headers, one to three, sometimes cut or with odd options.
void add_extension_headers(eval::Packet& packet, Random& random);

// IPv4 options: padding, record route, timestamp, router alert, source routes, unknown ones.
void add_ip_options(eval::Packet& packet, Random& random);

// TCP options as programs write them: segment size, window scale, SACK, timestamps, padding; now
// and then unknown, cut short or with a length that is wrong. Nothing where the packet is not
// whole.
void add_tcp_options(eval::Packet& packet, Random& random);

// Header fields of the transport protocol: TCP's data offset and options, UDP's length and zero
// checksum, SCTP's chunk type and tag; mostly with a right checksum.
void twist_transport(eval::Packet& packet, Random& random);

// One or a few bytes anywhere behind the fixed header.
void flip_bytes(eval::Packet& packet, Random& random);

// Lengths that do not agree: cut short of what the header says, or followed by stray bytes.
void change_length(eval::Packet& packet, Random& random);

// The fixed header: version, header length, checksum, total length.
void break_header(eval::Packet& packet, Random& random);

}  // namespace rolewall::kernel_judge
