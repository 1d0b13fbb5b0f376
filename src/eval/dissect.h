// Where the transport header of a packet is, exactly as nf_tables sees it at the start of each
// chain: nft_set_pktinfo_ipv4() and nft_set_pktinfo_ipv6() of
// include/net/netfilter/nf_tables_ipv4.h and nf_tables_ipv6.h.
#pragma once

#include <cstdint>
#include <optional>

#include "eval/wire.h"

namespace rolewall::eval {

// struct nft_pktinfo. Where `has_protocol` is false (an IPv6 chain of headers that is cut off),
// every load of the transport header and `meta l4proto` break.
struct Dissection {
  bool has_protocol = false;
  std::uint8_t protocol = 0;
  // Offset. 0 for a later IPv6 fragment, as in the kernel; behind the packet's end where an IPv6
  // extension header names a length that reaches there (kernels to 6.18; the newest check it, and
  // then there is no protocol).
  std::uint32_t transport = 0;
  // Not zero: a later fragment. In eights of bytes for IPv4, in bytes for IPv6, as the kernel's.
  std::uint16_t fragment_offset = 0;
};

// REQUIRES: at least a whole fixed IP header, its version and lengths checked (stack.h).
Dissection dissect_ipv4(ByteSpan packet);
Dissection dissect_ipv6(ByteSpan packet);

// What the netdev hooks and the bridge use: nothing was checked before them. Absent: what the
// header says of itself is wrong.
std::optional<Dissection> dissect_ipv4_checked(ByteSpan packet);
std::optional<Dissection> dissect_ipv6_checked(ByteSpan packet);

// Where the bytes after the transport header begin (NFT_PAYLOAD_INNER_HEADER).
std::optional<std::uint32_t> inner_offset(ByteSpan packet, const Dissection& dissection);

// ipv6_skip_exthdr() of net/ipv6/exthdrs_core.c, which conntrack uses and which differs from what
// rules see (it skips authentication headers, and does not mind where it ends).
struct Ipv6Transport {
  std::uint8_t protocol = 0;
  std::size_t offset = 0;      // may lie behind the packet's end
  std::uint16_t fragment = 0;  // the fragment header's offset field, in host order, with its flag
};
// Absent: the chain ends in "no next header", or is cut off.
std::optional<Ipv6Transport> skip_ipv6_extensions(ByteSpan packet, std::size_t start,
                                                  std::uint8_t next_header);

bool is_ipv6_extension(std::uint8_t next_header);

}  // namespace rolewall::eval
